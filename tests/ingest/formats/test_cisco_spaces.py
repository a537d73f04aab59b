from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime, Malformed
from engine.ingest.formats.cisco_spaces import identify, observe, read
from engine.model import Identity, ObservationKind, Reading, ReadingKind, Spot
from tests.ingest.formats.golden import NOW_MS

DEVICE = {"deviceId": "d", "userId": "u", "macAddress": "00:52:bf:74:b:00"}
FLOOR = {
    "locationId": "location-1",
    "inferredLocationTypes": ["FLOOR"],
    "sourceLocationId": "733542549725119049",
}


def event(kind: str, key: str, **payload: object) -> bytes:
    return json.dumps(
        {"recordTimestamp": NOW_MS - 1, "eventType": kind, key: payload}
    ).encode()


def update(**fields: object) -> bytes:
    base = {
        "device": DEVICE,
        "location": FLOOR,
        "lastSeen": NOW_MS - 92_000,
        "xPos": 10.5,
        "yPos": 20.5,
    }
    return event("DEVICE_LOCATION_UPDATE", "deviceLocationUpdate", **{**base, **fields})


def spot_of(**fields: object) -> Spot | None:
    seen = observe(update(**fields), "", NOW_MS)
    return None if seen is None else seen.spot


kinds = st.lists(st.sampled_from(["ZONE", "BUILDING", "CAMPUS", "ROOT"]), max_size=2)


@given(st.lists(kinds, max_size=6), st.lists(kinds, max_size=6))
def test_the_floor_is_found_wherever_it_stands_in_the_chain(
    below: list[list[str]], above: list[list[str]]
) -> None:
    chain: dict[str, object] | None = None
    for types in above:
        chain = {"inferredLocationTypes": types, "sourceLocationId": "0"} | (
            {"parent": chain} if chain else {}
        )
    chain = {**FLOOR, "parent": chain}
    for types in below:
        chain = {
            "inferredLocationTypes": types,
            "sourceLocationId": "0",
            "parent": chain,
        }
    spot = spot_of(location=chain, mapId="other")
    assert spot is not None
    assert spot.floor == "733542549725119049"


@pytest.mark.parametrize(
    ("location", "map_id", "floor"),
    [
        ({**FLOOR, "sourceLocationId": ""}, "m", "location-1"),
        ({"inferredLocationTypes": ["BUILDING"], "locationId": "b"}, "m", "m"),
        (None, "m", "m"),
        (None, "", None),
        (None, None, None),
    ],
)
def test_a_floor_without_a_number_goes_by_its_id_and_none_by_the_map(
    location: object, map_id: str | None, floor: str | None
) -> None:
    spot = spot_of(location=location, mapId=map_id)
    assert (None if spot is None else spot.floor) == floor


def test_a_floor_that_is_too_long_is_refused() -> None:
    with pytest.raises(Malformed):
        spot_of(location=None, mapId="m" * 257)


@pytest.mark.parametrize(
    ("x", "y"), [(-999, -999), (-999.0, 4), (0, 0.0), (None, 1), (1, None)]
)
def test_what_is_no_coordinate_is_none(x: float | None, y: float | None) -> None:
    assert spot_of(xPos=x, yPos=y) is None


@given(st.floats(0.1, 1e4))
def test_an_accuracy_in_feet_becomes_metres_and_the_spot_stays_in_feet(
    feet: float,
) -> None:
    spot = spot_of(confidenceFactor=feet)
    assert spot is not None
    assert (spot.x, spot.y) == (10.5, 20.5)
    assert spot.accuracy_m == pytest.approx(feet * 0.3048)


@pytest.mark.parametrize("seen", [0, None, "", "yesterday"])
def test_the_time_of_sending_never_stands_for_that_of_seeing(seen: object) -> None:
    with pytest.raises(BadTime):
        observe(update(lastSeen=seen), "", NOW_MS)


def test_whole_seconds_are_blurred_and_others_are_not() -> None:
    for seen_ms, blur_ms in ((NOW_MS - 92_000, 999), (NOW_MS - 91_877, 0)):
        seen = observe(update(lastSeen=seen_ms), "", NOW_MS)
        assert seen is not None
        assert (seen.observed_at_ms, seen.blur_ms) == (seen_ms, blur_ms)


@pytest.mark.parametrize(
    ("raw", "login"),
    [("ada", "ada"), ("CORP\\ada", "CORP\\ada"), ("", None), ("host/pc", None)],
)
def test_who_is_the_address_and_what_signed_on_and_nothing_of_spaces_own(
    raw: str, login: str | None
) -> None:
    assert identify(update(rawUserId=raw), "", 0) == Identity(login, "00:52:bf:74:b:00")
    hidden = {"deviceId": "d", "userId": "u", "macAddress": ""}
    assert identify(update(device=hidden, rawUserId=raw), "", 0) == Identity(login)


@pytest.mark.parametrize(
    ("kind", "key", "presence", "gone"),
    [
        ("DEVICE_EXIT", "deviceExit", None, True),
        ("DEVICE_PRESENCE", "devicePresence", "DEVICE_EXIT_EVENT", True),
        ("DEVICE_PRESENCE", "devicePresence", "DEVICE_ENTRY_EVENT", False),
        ("DEVICE_PRESENCE", "devicePresence", "DEVICE_IN_ACTIVE_EVENT", False),
    ],
)
def test_an_exit_and_no_other_presence_ends_a_stay(
    kind: str, key: str, presence: str | None, *, gone: bool
) -> None:
    more = {"presenceEventType": presence} if presence else {}
    body = event(kind, key, device=DEVICE, exitTimestamp=NOW_MS - 5, **more)
    seen = observe(body, "", NOW_MS)
    assert (seen is not None) == gone
    assert seen is None or seen.kind is ObservationKind.GONE
    assert seen is None or seen.observed_at_ms == NOW_MS - 5


def counts(kind: str, key: str, **payload: object) -> list[Reading]:
    return [*read(event(kind, key, **payload), "", NOW_MS)]


@given(st.integers(-(2**70), 2**70))
def test_a_count_is_what_it_is_or_unknown(count: int) -> None:
    (reading,) = counts(
        "CAMERA_COUNT", "cameraCounts", location=FLOOR, count=count, countDelta=1
    )
    assert reading.kind is ReadingKind.COUNT
    assert reading.value == (count if 0 <= count <= 1_000_000 else -1)


@pytest.mark.parametrize(
    ("kind", "key", "payload"),
    [
        ("DEVICE_COUNT", "deviceCounts", {"userCount": 1}),
        ("RAW_CAMERA_COUNT", "rawCameraCounts", {"cameraId": " ", "count": 1}),
        ("SPACE_OCCUPANCY", "spaceOccupancy", {"space": {"id": ""}}),
        ("IOT_TELEMETRY", "iotTelemetry", {"deviceInfo": {"deviceId": ""}}),
        ("TP_PEOPLE_COUNT_UPDATE", "tpPeopleCountUpdate", {"presence": True}),
        ("IOT_TELEMETRY", "iotTelemetry", {"deviceInfo": {"deviceId": "d" * 257}}),
    ],
)
def test_a_reading_of_nothing_is_refused(
    kind: str, key: str, payload: dict[str, object]
) -> None:
    with pytest.raises(Malformed):
        counts(kind, key, **payload)


@pytest.mark.parametrize(
    "kind", ["KEEP_ALIVE", "USER_PRESENCE", "PROFILE_UPDATE", "APP_ACTIVATION", "NEW"]
)
def test_an_event_of_another_kind_says_nothing(kind: str) -> None:
    assert not counts(kind, "deviceCounts", userCount=1)


def test_a_kind_without_its_payload_says_nothing() -> None:
    for kind in ("DEVICE_COUNT", "IOT_TELEMETRY", "SPACE_OCCUPANCY", "WEBEX_TELEMETRY"):
        assert not counts(kind, "other")
    for kind in ("RAW_CAMERA_COUNT", "TP_PEOPLE_COUNT_UPDATE"):
        assert not counts(kind, "other")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_measure_is_in_thousandths_or_out_of_range(celsius: float) -> None:
    info = {"deviceId": "d"}
    found = counts(
        "IOT_TELEMETRY",
        "iotTelemetry",
        deviceInfo=info,
        temperature={"temperatureInCelsius": celsius},
    )
    if abs(celsius * 1000) <= 10**9:
        assert [one.value for one in found] == [round(celsius * 1000)]
    else:
        assert not found


def test_a_sensor_that_says_neither_is_unknown_not_free() -> None:
    found = counts(
        "IOT_TELEMETRY",
        "iotTelemetry",
        deviceInfo={"deviceId": "d"},
        occupancyStatus={"status": "MAYBE"},
        magnetContact={"contactType": "AJAR"},
        battery={"value": 3000, "unit": "MILLI_VOLTS"},
        pirTrigger={"timestamp": 0},
    )
    assert [(one.kind, one.value) for one in found] == [
        (ReadingKind.PRESENCE, -1),
        (ReadingKind.CONTACT, -1),
    ]
