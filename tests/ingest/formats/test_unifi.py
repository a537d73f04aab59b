from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime, Malformed
from engine.ingest.formats import FORMATS
from engine.model import Identity
from tests.ingest.formats.golden import NOW_MS, one, split
from tests.wifi import PHONE, Wifi

if TYPE_CHECKING:
    from engine.model import Observation

UNIFI = FORMATS["unifi"]
AP_1, AP_2 = "80:2a:a8:00:53:01", "80:2a:a8:00:53:02"
NOW = NOW_MS


def event(key: str, at_ms: int, **more: object) -> dict[str, Any]:
    return {"key": key, "user": PHONE, "ap": AP_1, "time": at_ms, **more}


def message(*items: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"meta": {"message": "events"}, "data": items})


def observed(item: dict[str, Any]) -> Observation | None:
    (record,) = split(UNIFI, message(item))
    return one(UNIFI.observe, record)


def building() -> Wifi:
    return Wifi("unifi", ["802aa8005301", "802aa8005302"])


@pytest.mark.parametrize("together", [True, False])
def test_a_disconnect_with_a_change_of_radio_after_it_ends_present(
    together: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    wifi = building()
    wifi.send(message(event("EVT_WU_Connected", NOW - 60_000)), NOW)
    gone = event("EVT_WU_Disconnected", NOW - 5_000)
    back = event("EVT_WU_RoamRadio", NOW - 935, radio_from="na", radio_to="ng")
    for items in [(gone, back)] if together else [(gone,), (back,)]:
        wifi.send(message(*items), NOW)
    assert wifi.where() == "hq-1-north"


def test_a_roam_ends_where_it_went_however_late_the_old_one_reports() -> None:
    wifi = building()
    wifi.send(message(event("EVT_WU_Connected", NOW - 60_000)), NOW)
    wifi.send(message(event("EVT_WU_Roam", NOW - 9_000, ap_from=AP_1, ap_to=AP_2)), NOW)
    assert wifi.where() == "hq-1-hopper"
    wifi.send(message(event("EVT_WU_Disconnected", NOW - 5_000)), NOW)
    payload = msgspec.json.encode({"event_type": "sta_leave", "mac": PHONE}).decode()
    notice = {"key": "EVT_AP_Notification", "ap": AP_1, "payload": payload}
    wifi.send(message({**notice, "time": NOW - 4_000}), NOW)
    assert wifi.where() == "hq-1-hopper"
    wifi.send(message({**notice, "ap": AP_2, "time": NOW - 3_000}), NOW)
    assert wifi.where() is None


def test_clients_that_are_listed_are_present_and_their_age_is_true() -> None:
    wifi = building()
    client = {"mac": PHONE, "ap_mac": AP_2, "last_seen": NOW // 1000 - 86_401}
    wifi.send({"meta": {"message": "sta:sync"}, "data": [client]}, NOW)
    assert wifi.where() is None
    client["last_seen"] = NOW // 1000 - 5
    wifi.send({"meta": {"message": "sta:sync"}, "data": [client]}, NOW)
    assert wifi.where() == "hq-1-hopper"


@given(key=st.text(max_size=30) | st.sampled_from(["EVT_LU_Connected", "EVT_AD_Login"]))
def test_of_other_events_not_even_the_device_is_taken(key: str) -> None:
    (record,) = split(UNIFI, message(event(f"{key}x", NOW)))
    assert one(UNIFI.identify, record) == Identity()
    assert one(UNIFI.observe, record) is None


@pytest.mark.parametrize(
    ("fields", "login"),
    [
        ({"1x_identity": "ada"}, "ada"),
        ({"1x_identity": "host/pc-17"}, None),
        ({"hostname": "ada", "name": "ada"}, None),
        ({"1x_identity": ""}, None),
    ],
)
def test_a_login_is_what_enterprise_authenticated(
    fields: dict[str, str], login: str | None
) -> None:
    record = msgspec.json.encode({"mac": PHONE, **fields})
    assert one(UNIFI.identify, record) == Identity(login, PHONE)


def test_the_login_of_an_event_is_not_read() -> None:
    (record,) = split(UNIFI, message(event("EVT_WU_Roam", NOW, **{"1x_identity": "a"})))
    assert one(UNIFI.identify, record) == Identity(None, PHONE)


def test_a_notification_without_a_payload_is_about_nobody() -> None:
    for payload in ({}, {"payload": None}, {"payload": ""}, {"payload": "{}"}):
        record = msgspec.json.encode({"key": "EVT_AP_Notification", **payload})
        assert one(UNIFI.identify, record) == Identity()
        assert one(UNIFI.observe, record) is None


@pytest.mark.parametrize("payload", ["{", "[]", '{"mac":7}', "sta_leave"])
def test_a_notification_that_cannot_be_read_is_refused(payload: str) -> None:
    record = msgspec.json.encode({"key": "EVT_AP_Notification", "payload": payload})
    with pytest.raises(msgspec.DecodeError):
        one(UNIFI.identify, record)


def test_an_event_without_a_time_or_access_point_is_refused() -> None:
    with pytest.raises(BadTime):
        observed({"key": "EVT_WU_Connected", "user": PHONE, "ap": AP_1})
    with pytest.raises(Malformed):
        observed({"key": "EVT_WU_Connected", "user": PHONE, "time": NOW})
    with pytest.raises(Malformed):
        observed({"mac": PHONE, "last_seen": NOW})


def test_a_wired_client_has_no_place() -> None:
    assert observed({"mac": PHONE, "is_wired": True, "last_seen": NOW}) is None
