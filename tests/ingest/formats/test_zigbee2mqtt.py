from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.errors import Malformed, TooLarge
from engine.ingest.formats.zigbee2mqtt import MAX_DEVICES, Memory
from engine.model import Reading, ReadingFlag, ReadingKind
from tests.ingest.formats.golden import NOW_MS

if TYPE_CHECKING:
    from collections.abc import Sequence


def read(record: bytes, topic: str, now_ms: int) -> Sequence[Reading]:
    return Memory().read(record, topic, now_ms)


def devices(*exposes: dict[str, Any], name: str = "Hall") -> bytes:
    return json.dumps(
        [
            {"friendly_name": "Coordinator", "definition": None},
            {"friendly_name": name, "definition": {"exposes": exposes}},
        ]
    ).encode()


def binary(name: str, *, on: object = True, off: object = False, **more: str) -> Any:  # noqa: ANN401 - JSON
    return {"type": "binary", "name": name, "value_on": on, "value_off": off, **more}


def plainly(readings: Sequence[Reading]) -> list[tuple[str, str, int]]:
    return [(r.channel, r.kind.name, r.value) for r in readings]


@pytest.mark.parametrize("attribute", ["occupancy", "presence"])
@pytest.mark.parametrize(
    ("written", "value"), [(b"true", 1), (b"false", 0), (b"null", -1)]
)
def test_a_state_is_presence_that_may_be_a_cached_repeat(
    attribute: str, written: bytes, value: int
) -> None:
    body = b'{"linkquality": 97, "%s": %s}' % (attribute.encode(), written)
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
        "bridge/groups",
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


@pytest.mark.parametrize(
    ("exposed", "body", "found"),
    [
        (binary("occupancy"), {"occupancy": True}, [("", "PRESENCE", 1)]),
        (
            binary("presence", on="ON", off="OFF"),
            {"presence": "ON"},
            [("", "PRESENCE", 1)],
        ),
        (
            binary("presence", on="ON", off="OFF"),
            {"presence": "OFF"},
            [("", "PRESENCE", 0)],
        ),
        (
            binary("presence", on="ON", off="OFF"),
            {"presence": True},
            [("", "PRESENCE", -1)],
        ),
        (
            binary("presence", on="ON", off="OFF"),
            {"presence": None},
            [("", "PRESENCE", -1)],
        ),
        (binary("occupancy", on=1, off=0), {"occupancy": 1}, [("", "PRESENCE", 1)]),
        (binary("occupancy", on=1, off=0), {"occupancy": True}, [("", "PRESENCE", -1)]),
        (
            binary("contact", on=False, off=True),
            {"contact": True},
            [("", "CONTACT", 0)],
        ),
        (
            binary("contact", on=True, off=False),
            {"contact": True},
            [("", "CONTACT", 1)],
        ),
        (
            binary("contact", on="open", off="shut"),
            {"contact": "shut"},
            [("", "CONTACT", 0)],
        ),
        (binary("motion"), {"motion": True}, [("", "MOTION", 1)]),
        (binary("motion"), {"motion": None}, []),
        (
            binary("occupancy", property="occupancy_left"),
            {"occupancy_left": True},
            [("left", "PRESENCE", 1)],
        ),
        (
            {"type": "enum", "name": "presence"},
            {"presence": True},
            [("", "PRESENCE", 1)],
        ),
    ],
)
def test_an_attribute_is_read_as_its_device_exposes_it(
    exposed: dict[str, Any], body: dict[str, Any], found: list[tuple[str, str, int]]
) -> None:
    memory = Memory()
    assert not memory.read(devices(exposed), "bridge/devices", NOW_MS)
    assert plainly(memory.read(json.dumps(body).encode(), "Hall", NOW_MS)) == found


def test_of_two_that_say_whether_somebody_is_there_presence_speaks() -> None:
    memory = Memory()
    exposed = [binary("occupancy", on=1, off=0), binary("presence", on=1, off=0)]
    memory.read(devices(*exposed), "bridge/devices", NOW_MS)
    found = memory.read(b'{"occupancy": 1, "presence": 0}', "hall", NOW_MS)
    assert plainly(found) == [("", "PRESENCE", 0)]


def test_what_devices_expose_is_the_last_list_and_no_other() -> None:
    memory = Memory()
    memory.read(devices(binary("occupancy", on=1, off=0)), "bridge/devices", NOW_MS)
    memory.read(devices(binary("occupancy")), "bridge/devices", NOW_MS)
    assert plainly(memory.read(b'{"occupancy": true}', "hall", NOW_MS))
    memory.read(devices(binary("occupancy", on=1, off=0)), "bridge/devices", NOW_MS)
    memory.read(b"", "bridge/devices", NOW_MS)
    assert plainly(memory.read(b'{"occupancy": true}', "hall", NOW_MS))


def test_a_list_of_more_unusual_devices_than_are_remembered_is_too_large() -> None:
    odd = {"definition": {"exposes": [binary("occupancy", on=1, off=0)]}}
    many = [{"friendly_name": f"d{n}", **odd} for n in range(MAX_DEVICES + 1)]
    with pytest.raises(TooLarge):
        read(json.dumps(many).encode(), "bridge/devices", NOW_MS)


@pytest.mark.parametrize(
    ("action", "found"),
    [
        ("region_3_occupied", [("region_3", "PRESENCE", 1)]),
        ("region_3_enter", [("region_3", "PRESENCE", 1)]),
        ("region_3_unoccupied", [("region_3", "PRESENCE", 0)]),
        ("region_3_leave", []),
        ("single", []),
        ("", []),
        (None, []),
        (["region_3_enter"], []),
    ],
)
@pytest.mark.parametrize("unusual", [False, True])
def test_an_action_of_a_region_is_news_and_never_cached(
    action: object, found: list[tuple[str, str, int]], *, unusual: bool
) -> None:
    memory = Memory()
    if unusual:
        memory.read(devices(binary("occupancy", on=1, off=0)), "bridge/devices", NOW_MS)
    readings = memory.read(json.dumps({"action": action}).encode(), "hall", NOW_MS)
    assert plainly(readings) == found
    assert not any(reading.flags for reading in readings)


@pytest.mark.parametrize("unusual", [False, True])
def test_what_is_measured_of_the_air_is_read_beside_the_rest(*, unusual: bool) -> None:
    memory = Memory()
    if unusual:
        memory.read(devices(binary("presence", on=1, off=0)), "bridge/devices", NOW_MS)
    body = b'{"co2": 812, "temperature": 21.5, "humidity": "41", "battery": true}'
    found = memory.read(body, "hall", NOW_MS)
    assert [(r.metric, r.value, r.flags) for r in found] == [
        ("co2_ppm", 812_000, ReadingFlag.CACHED),
        ("temperature_c", 21_500, ReadingFlag.CACHED),
    ]
