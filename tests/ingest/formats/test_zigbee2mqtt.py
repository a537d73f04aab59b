from __future__ import annotations

import msgspec
import pytest

from engine.errors import Malformed
from engine.ingest.formats.zigbee2mqtt import read
from engine.model import ReadingFlag, ReadingKind
from tests.ingest.formats.golden import NOW_MS


@pytest.mark.parametrize("attribute", ["occupancy", "presence"])
@pytest.mark.parametrize(
    ("written", "value"), [(b"true", 1), (b"false", 0), (b"null", -1)]
)
def test_a_state_is_presence_that_may_be_a_cached_repeat(
    attribute: str, written: bytes, value: int
) -> None:
    body = b'{"battery": 97, "%s": %s}' % (attribute.encode(), written)
    [reading] = read(body, "Hall", NOW_MS)
    assert (reading.device, reading.kind) == ("hall", ReadingKind.PRESENCE)
    assert reading.value == value
    assert reading.flags == ReadingFlag.CACHED


@pytest.mark.parametrize("written", [b"1", b'"true"', b"[]"])
def test_an_occupancy_of_another_type_is_refused(written: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(b'{"occupancy": %s}' % written, "hall", NOW_MS)


def test_presence_speaks_before_occupancy_where_a_device_has_both() -> None:
    [reading] = read(b'{"occupancy": true, "presence": null}', "booth", NOW_MS)
    assert reading.value == -1


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"online", 1),
        (b"offline", 0),
        (b" offline\n", 0),
        (b'{"state": "online"}', 1),
        (b'{"state":"offline"}', 0),
    ],
)
def test_both_spellings_of_availability_are_health(body: bytes, value: int) -> None:
    [reading] = read(body, "level 3/hall/availability", NOW_MS)
    assert (reading.device, reading.kind) == ("level 3/hall", ReadingKind.HEALTH)
    assert (reading.value, reading.flags) == (value, 0)


@pytest.mark.parametrize("body", [b"Online", b"true", b'{"state": "asleep"}', b"{}"])
def test_any_other_availability_is_refused(body: bytes) -> None:
    with pytest.raises((Malformed, msgspec.DecodeError)):
        read(body, "hall/availability", NOW_MS)


@pytest.mark.parametrize(
    "topic",
    [
        "bridge/state",
        "bridge/devices",
        "bridge/event",
        "hall/set",
        "hall/get",
        "level 3/hall/set",
        "hall/set/occupancy",
        "zigbee2mqtt/bridge/logging",
    ],
)
def test_what_is_no_report_of_a_device_says_nothing(topic: str) -> None:
    assert not read(b'{"occupancy": true}', topic, NOW_MS)


@pytest.mark.parametrize(
    "topic", ["settee/pir", "level 3/getaway", "set", "set/getaway"]
)
def test_a_name_that_only_looks_like_a_command_is_a_name(topic: str) -> None:
    assert read(b'{"occupancy": true}', topic, NOW_MS)[0].device == topic


@pytest.mark.parametrize("topic", ["hall", "hall/availability"])
def test_a_cleared_topic_says_nothing(topic: str) -> None:
    assert not read(b"", topic, NOW_MS)


@pytest.mark.parametrize("topic", ["", "/availability"])
def test_a_topic_without_a_name_is_malformed(topic: str) -> None:
    body = b"online" if topic else b'{"occupancy": true}'
    with pytest.raises(Malformed):
        read(body, topic, NOW_MS)
