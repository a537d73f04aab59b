from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime, Malformed
from engine.ingest.formats import FORMATS
from engine.ingest.formats.aruba_ale import CELL_M
from engine.model import Identity, Observation
from tests.ingest.formats.golden import NOW_MS, one, split
from tests.wifi import PHONE, Wifi

ALE = FORMATS["aruba-ale"]
NOW = NOW_MS // 1000
FIX = {
    "sta_eth_mac": {"addr": PHONE},
    "sta_location_x": 1.5,
    "sta_location_y": 2.5,
    "floor_id": "F",
    "unit": "METERS",
    "error_level": 4,
}


def answer(name: str, *messages: dict[str, Any], ts: object = NOW) -> bytes:
    records = [{"msg": message, "ts": ts} for message in messages]
    return msgspec.json.encode({f"{name}_result": records})


def observed(payload: bytes) -> Observation | None:
    (record,) = split(ALE, payload)
    return one(ALE.observe, record)


def spot(**more: object) -> tuple[str, float, float, float]:
    found = observed(answer("Location", {**FIX, **more}))
    assert found
    assert found.spot
    return found.spot.floor, found.spot.x, found.spot.y, found.spot.accuracy_m


@given(
    unit=st.sampled_from(["METERS", "FEET", "PIXELS"]),
    error=st.floats(0, 1e6) | st.none(),
    x=st.floats(-1e6, 1e6),
)
def test_a_spot_stays_in_its_unit_which_its_floor_tells(
    unit: str, error: float | None, x: float
) -> None:
    floor, at_x, _, accuracy_m = spot(unit=unit, error_level=error, sta_location_x=x)
    assert at_x == x
    assert floor == {"METERS": "F", "FEET": "F:feet", "PIXELS": "F:px"}[unit]
    if error is None or unit == "PIXELS":
        assert accuracy_m == -1
    else:
        metres = {"METERS": 1, "FEET": 0.3048}[unit]
        assert accuracy_m == pytest.approx(error * metres)


@given(error=st.floats(0, 1e3) | st.none())
def test_a_device_put_where_its_access_point_is_is_no_more_accurate_than_a_cell(
    error: float | None,
) -> None:
    for algorithm in ("ALGORITHM_AP_PLACEMENT", "LOW_DENSITY"):
        accuracy_m = spot(error_level=error, loc_algorithm=algorithm)[-1]
        assert accuracy_m == max(error or 0, CELL_M)


@pytest.mark.parametrize("code", ["0_RSSI", "ONLY_1_RSSI", "RSSI_QUALITY", "NEW"])
def test_what_is_no_new_fix_is_nothing(code: str) -> None:
    for name in (code, f"ERROR_CODE_{code}"):
        assert observed(answer("Location", {**FIX, "err_code": name})) is None


@pytest.mark.parametrize(
    "code", ["ERROR_CODE_NO_ERROR", "NO_ERROR", "ERROR_CODE_LEGACY"]
)
def test_a_code_that_is_no_error_lets_a_fix_count(code: str) -> None:
    assert observed(answer("Location", {**FIX, "err_code": code}))


@pytest.mark.parametrize("unit", ["", "YARDS", "meters per second"])
def test_a_unit_that_is_none_is_malformed(unit: str) -> None:
    with pytest.raises(Malformed):
        spot(unit=unit)


def test_a_hash_is_no_address() -> None:
    hidden = {**FIX, "hashed_sta_eth_mac": "A09B5D8F99F9BB8034A8ADBBEC11B24494981096"}
    del hidden["sta_eth_mac"]
    for body in (
        hidden,
        {**hidden, "sta_eth_mac": None},
        {**hidden, "sta_eth_mac": {}},
    ):
        (record,) = split(ALE, answer("Location", body))
        assert one(ALE.identify, record) == Identity()


def test_both_results_of_one_answer_are_read() -> None:
    station = {"sta_eth_mac": {"addr": PHONE}, "username": "ada"}
    body = {
        "Location_result": [{"msg": FIX, "ts": NOW}],
        "Station_result": [{"msg": station, "ts": NOW}],
    }
    who = [
        one(ALE.identify, record) for record in split(ALE, msgspec.json.encode(body))
    ]
    assert who == [Identity(None, PHONE), Identity("ada", PHONE)]


def test_a_station_is_where_its_radio_is() -> None:
    wifi = Wifi("aruba-ale", ["6cf37f005301"])
    station = {"username": "ADA", "bssid": {"addr": "6CF37F005301"}}
    wifi.send(answer("Station", station, {**station, "username": "eve"}), NOW_MS)
    assert wifi.where() == "hq-1-north"
    assert wifi.outcomes() == {"applied": 1, "disposed": 1}


def test_a_record_without_radio_floor_or_time_is_refused() -> None:
    for bssid in (None, {}, {"addr": " "}):
        with pytest.raises(Malformed):
            observed(answer("Station", {"bssid": bssid}))
    with pytest.raises(Malformed):
        spot(floor_id="")
    for name, message in (("Station", {"bssid": {"addr": "a"}}), ("Location", FIX)):
        with pytest.raises(BadTime):
            observed(answer(name, message, ts=0))


@pytest.mark.parametrize("name", ["Presence", "Geofence", "Application"])
def test_of_other_results_nothing_is_kept(name: str) -> None:
    (record,) = split(ALE, answer(name, FIX))
    assert bytes(record) == b'["",null]'
    assert one(ALE.observe, record) is None
