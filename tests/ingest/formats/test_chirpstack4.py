from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine.errors import Malformed, TooLarge
from engine.ingest.formats import find
from engine.model import ReadingKind
from tests.ingest.formats.golden import NOW_MS, one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model import Reading

UP = "1/device/24e124535b316017/event/up"


def read(body: bytes, topic: str, now_ms: int) -> Sequence[Reading]:
    return one(find("chirpstack4").read, body, topic, now_ms) or ()


def uplink(decoded: object, **fields: object) -> bytes:
    info = {"devEui": "24E124535B316017"}
    return json.dumps({"deviceInfo": info, "object": decoded, **fields}).encode()


def values(decoded: object) -> list[tuple[str, str, int]]:
    return [
        (reading.channel, reading.kind.name, reading.value)
        for reading in read(uplink(decoded), UP, NOW_MS)
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("occupied", 1),
        ("Occupied", 1),
        ("vacant", 0),
        (True, 1),
        (False, 0),
        (0, 0),
        (0.0, 0),
        (2, 1),
        (2.0, 1),
        (1, -1),  # Elsys: entering or leaving
        (1.0, -1),
        (3, -1),
        (255, -1),
        (0.5, -1),
        ("1", -1),
        ("", -1),
        (None, -1),
        ([1], -1),
        ({}, -1),
        (10**30, -1),
    ],
    ids=repr,
)
def test_an_occupancy_is_read_or_unknown_and_never_guessed(
    written: object, value: int
) -> None:
    assert values({"occupancy": written}) == [("", "PRESENCE", value)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (0, 0),
        (3, 3),
        (3.0, 3),
        (-1, -1),
        (2.5, -1),
        (True, -1),
        ("3", 3),
        ("three", -1),
        (10**9, -1),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("field", "channel"),
    [
        ("people_count_all", ""),
        ("people_counter_all", ""),
        ("people_total_counts", ""),
        ("region_16_count", "region_16"),
    ],
)
def test_a_count_is_read_or_unknown(
    field: str, channel: str, written: object, value: int
) -> None:
    assert values({field: written}) == [(channel, "COUNT", value)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("trigger", 1),
        ("idle", 0),
        ("normal", 0),
        (True, 1),
        (6, 6),
        (0, 0),
        (1e9, 10**6),
    ],
    ids=repr,
)
@pytest.mark.parametrize("field", ["pir", "motion"])
def test_motion_is_pulses(field: str, written: object, value: int) -> None:
    assert values({field: written}) == [("", "MOTION", value)]


@pytest.mark.parametrize("written", ["tamper", -1, None, 0.5, []])
def test_motion_that_cannot_be_read_only_says_that_the_device_is_alive(
    written: object,
) -> None:
    assert values({"pir": written}) == [("", "HEALTH", 1)]


def test_the_number_of_regions_is_not_a_number_of_people() -> None:
    assert values({"region_count": 8}) == [("", "HEALTH", 1)]


@pytest.mark.parametrize(
    "decoded",
    [
        {"region_x": 1},
        {"region_": 1},
        {"region_100": 1},
        {"region_1_avg_dwell": 7},
        {"regions": {"index": 0}},
        {"regions": [1, {"index": -1, "count": 0}, {"index": "x", "count": 0}]},
        {"people_in": 2, "line_1_total_in": 72, "line_5_total_out": 1},
    ],
)
def test_what_is_no_channel_is_passed_over(decoded: dict[str, object]) -> None:
    assert values(decoded) == [("", "HEALTH", 1)]


def test_a_list_of_regions_is_bounded() -> None:
    regions = [{"index": 0, "count": 0}] * 5000
    with pytest.raises(TooLarge):
        values({"regions": regions})


@pytest.mark.parametrize(
    ("fields", "alive"),
    [
        ({"object": {"occupancy": 7}, "fPort": 1}, True),
        ({"data": "qg=="}, True),
        ({"fPort": 85}, True),
        ({"margin": 10}, True),
        ({"level": "ERROR", "code": "UPLINK_CODEC"}, True),
        ({"level": "ERROR", "code": "UPLINK_MIC"}, False),
        ({"devAddr": "00189440"}, False),
    ],
)
@pytest.mark.parametrize("topic", ["", "webhook", "custom/24e124535b316017"])
def test_where_the_topic_does_not_name_the_event_its_fields_do(
    topic: str, fields: dict[str, object], *, alive: bool
) -> None:
    body = json.dumps({"deviceInfo": {"devEui": "a1"}, **fields}).encode()
    assert bool(read(body, topic, NOW_MS)) is alive


@pytest.mark.parametrize(
    "fields",
    [
        {"devAddr": "00189440"},  # join
        {"queueItemId": "a", "acknowledged": True, "fCntDown": 10},  # ack
        {"downlinkId": 1, "fCntDown": 10, "gatewayId": "0016c001f153a14c"},  # txack
        {"location": {"latitude": 1.2, "longitude": 3.4}},
        {"integrationName": "loracloud", "eventType": "x", "object": {"occupancy": 2}},
    ],
)
def test_other_events_say_nothing(fields: dict[str, object]) -> None:
    body = json.dumps({"deviceInfo": {"devEui": "a1"}, **fields}).encode()
    assert not read(body, "application/1/device/a1/event/other", NOW_MS)


def test_an_uplink_without_a_usable_time_is_of_the_time_of_receipt() -> None:
    for time in ("yesterday", None, "2026-03-02T09:00:00"):
        body = uplink({"occupancy": 2}, time=time)
        assert read(body, UP, NOW_MS)[0].observed_at_ms == NOW_MS


def test_an_uplink_of_no_device_is_malformed() -> None:
    with pytest.raises(Malformed):
        read(b'{"deviceInfo": {"devEui": ""}, "object": {}}', UP, NOW_MS)
    with pytest.raises(Malformed):
        read(b'{"object": {"occupancy": "occupied"}}', UP, NOW_MS)


def test_a_device_is_alive_in_the_sense_of_health() -> None:
    [reading] = read(uplink(None), UP, NOW_MS)
    assert (reading.kind, reading.value) == (ReadingKind.HEALTH, 1)
