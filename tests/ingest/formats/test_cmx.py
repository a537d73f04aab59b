from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime, Malformed, TooLarge
from engine.ingest.formats.cmx import identify, observe, records
from engine.ingest.formats.wire import MAX_RECORDS
from engine.model import Identity, ObservationKind, Spot
from tests.ingest.formats.golden import NOW_MS

SEEN = "2026-03-02T08:59:46.500+0000"
SEEN_MS = 1_772_441_986_500


def note(**fields: object) -> bytes:
    base = {
        "notificationType": "locationupdate",
        "deviceId": "a4:83:e7:11:22:33",
        "locationCoordinate": {"x": 10.5, "y": 20.5, "unit": "FEET"},
        "floorRefId": "17",
        "lastSeen": SEEN,
    }
    return json.dumps({**base, **fields}).encode()


def spot_of(**fields: object) -> Spot | None:
    seen = observe(note(**fields), "", NOW_MS)
    return None if seen is None else seen.spot


@given(st.integers(0, 10**30))
def test_a_bare_number_of_a_floor_is_taken_digit_by_digit(number: int) -> None:
    spot = spot_of(floorRefId=None, floorId=number)
    assert spot is not None
    assert spot.floor == str(number)


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_the_text_of_a_floor_speaks_before_its_number(text: int, number: int) -> None:
    spot = spot_of(floorRefId=str(text), floorId=number)
    assert spot is not None
    assert spot.floor == str(text)


@pytest.mark.parametrize("number", [1.5, -3, 7.2e17, None, [1], "", {}])
def test_what_is_no_number_of_a_floor_is_none(number: object) -> None:
    assert spot_of(floorRefId=None, floorId=number) is None


def test_a_floor_that_is_too_long_is_refused() -> None:
    for fields in ({"floorRefId": "9" * 257}, {"floorRefId": "", "floorId": 10**300}):
        with pytest.raises(Malformed):
            spot_of(**fields)


@pytest.mark.parametrize(
    "at",
    [
        None,
        {"x": -999, "y": -999, "unit": "FEET"},
        {"x": -999.0, "y": 4, "unit": "FEET"},
        {"x": 0, "y": 0.0, "unit": "FEET"},
        {"x": "NaN", "y": 1, "unit": "FEET"},
        {"x": 1, "unit": "FEET"},
        {"x": 1, "y": 1, "unit": "FURLONGS"},
    ],
)
def test_what_is_no_coordinate_is_none(at: object) -> None:
    assert spot_of(locationCoordinate=at) is None


def test_one_coordinate_may_be_zero() -> None:
    for unit in ("FEET", "Feet", None, ""):
        spot = spot_of(locationCoordinate={"x": 0.0, "y": 4.5, "unit": unit})
        assert spot == Spot("17", 0.0, 4.5)


@given(st.floats(0.1, 1e4))
def test_an_accuracy_in_feet_becomes_metres_and_the_spot_stays_in_feet(
    feet: float,
) -> None:
    spot = spot_of(confidenceFactor=feet)
    assert spot is not None
    assert (spot.x, spot.y) == (10.5, 20.5)
    assert spot.accuracy_m == pytest.approx(feet * 0.3048)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"notificationType": "movement"}, ObservationKind.JOINED),
        ({"notificationType": "inout", "boundary": "INSIDE"}, ObservationKind.JOINED),
        (
            {"notificationType": "inout", "boundary": "OUTSIDE", "areaType": "ZONE"},
            ObservationKind.LEFT,
        ),
        (
            {"notificationType": "inout", "boundary": "OUTSIDE", "areaType": "CAMPUS"},
            ObservationKind.GONE,
        ),
        ({"notificationType": "absence"}, ObservationKind.GONE),
        ({"notificationType": "absence", "apMacAddress": ""}, ObservationKind.GONE),
        (
            {"notificationType": "inout", "boundary": "OUTSIDE"},
            ObservationKind.LEFT,
        ),
        ({"notificationType": "inout"}, None),
        ({"notificationType": "chokepoint"}, None),
        (
            {
                "notificationType": "inout",
                "boundary": "OUTSIDE",
                "areaType": "FLOOR",
                "apMacAddress": None,
            },
            None,
        ),
    ],
)
def test_a_notification_says_what_the_device_did(
    fields: dict[str, object], kind: ObservationKind | None
) -> None:
    seen = observe(note(**{"apMacAddress": "00:2b:01:00:09:00", **fields}), "", NOW_MS)
    assert (None if seen is None else seen.kind) == kind
    assert seen is None or seen.spot is None or kind is ObservationKind.JOINED


def test_an_access_point_that_only_heard_a_device_is_not_its_place() -> None:
    fields = {"apMacAddress": "00:2b:01:00:09:00", "locationCoordinate": None}
    assert observe(note(**fields, associated=False), "", NOW_MS) is None
    seen = observe(note(**fields, associated=True), "", NOW_MS)
    assert seen is not None
    assert seen.ap == "002b01000900"


@pytest.mark.parametrize(
    ("seen", "timestamp", "at_ms"),
    [
        (SEEN, 1, SEEN_MS),
        ("2026-03-02T16:59:46.500+0800", None, SEEN_MS),
        ("", SEEN_MS, SEEN_MS),
        ("2026-03-02T08:59:46.500", str(SEEN_MS), SEEN_MS),
        (None, 0, None),
    ],
)
def test_the_time_is_when_a_device_was_last_seen(
    seen: str | None, timestamp: object, at_ms: int | None
) -> None:
    body = note(lastSeen=seen, timestamp=timestamp)
    if at_ms is None:
        with pytest.raises(BadTime):
            observe(body, "", NOW_MS)
    else:
        found = observe(body, "", NOW_MS)
        assert found is not None
        assert found.observed_at_ms == at_ms


@pytest.mark.parametrize("key", ["username", "userName"])
@pytest.mark.parametrize(
    ("user", "login"),
    [("CORP\\ada", "CORP\\ada"), ("", None), ("anonymous@x", None), ("PC-17$", None)],
)
def test_a_login_has_two_spellings_of_its_key(
    key: str, user: str, login: str | None
) -> None:
    body = note(**{"username": "", key: user})
    assert identify(body, "", 0) == Identity(login, "a4:83:e7:11:22:33")


def test_a_body_is_a_list_an_object_around_one_or_one_notification() -> None:
    one = note()
    for body in (b" [" + one + b"]", b'{"notifications":[' + one + b"]}", one):
        (record,) = records(body)
        assert bytes(record) == one
    assert not records(b'{"notifications":[]}')


@pytest.mark.parametrize(
    "body",
    [b"[" + b"0," * (MAX_RECORDS + 1) + b"0]", b"[" + b"0," * 3_000_000 + b"0]"],
)
def test_a_body_has_a_bound_of_notifications(body: bytes) -> None:
    with pytest.raises(TooLarge):
        records(body)
