from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime, Malformed, TooLarge
from engine.ingest.formats import FORMATS
from engine.ingest.formats.wire import MAX_RECORDS
from engine.model import Identity, ObservationKind
from tests.ingest.formats.golden import NOW_MS, one, split
from tests.wifi import Wifi

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model import Observation

MIST = FORMATS["mist"]
PHONE = "8c7a3d005301"
AP_1, AP_2, AP_3 = "5c5b35005301", "5c5b35005302", "5c5b35005303"
NOW = NOW_MS // 1000
READ = {"location", "location-client", "client-join", "client-sessions", "zone"}
READ |= {"rssizone", "nac-accounting", "nac-events", "occupancy-alerts", "statistics"}
"""The topics that are read, and the label of what has none."""
SESSION = {"mac": PHONE, "ap": AP_1, "connect": NOW - 60, "timestamp": NOW}


def webhook(topic: str, *events: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"events": events, "topic": topic})


def identities(payload: bytes) -> list[Identity]:
    found = [one(MIST.identify, record) for record in split(MIST, payload)]
    assert None not in found
    return found  # type: ignore[return-value]


def observed(payload: bytes) -> Observation | None:
    (record,) = split(MIST, payload)
    return one(MIST.observe, record)


LEFT = webhook(
    "client-sessions",
    {**SESSION, "disconnect": NOW - 5, "next_ap": "0" * 12, "termination_reason": 1},
)
ROAMED = webhook(
    "client-sessions",
    {**SESSION, "disconnect": NOW - 5, "next_ap": AP_2, "termination_reason": 3},
)
JOINED = webhook("client-join", {**SESSION, "ap": AP_2, "connect": NOW - 5})


@pytest.mark.parametrize("order", [*permutations([LEFT, ROAMED, JOINED])])
def test_a_roam_told_as_a_departure_too_is_a_roam_in_any_order(
    order: Sequence[bytes],
) -> None:
    wifi = Wifi("mist", [AP_1, AP_2])
    wifi.send(webhook("client-join", {**SESSION, "connect": NOW - 60}), NOW_MS)
    assert wifi.where() == "hq-1-north"
    for payload in order:
        wifi.send(payload, NOW_MS)
    assert wifi.where() == "hq-1-hopper"


@pytest.mark.parametrize("order", [*permutations([LEFT, ROAMED])])
def test_a_roam_needs_no_join_to_be_told(order: Sequence[bytes]) -> None:
    wifi = Wifi("mist", [AP_1, AP_2])
    wifi.send(webhook("client-join", SESSION), NOW_MS)
    for payload in order:
        wifi.send(payload, NOW_MS)
    assert wifi.where() == "hq-1-hopper"


def test_who_leaves_is_gone_and_a_second_time_too() -> None:
    wifi = Wifi("mist", [AP_1, AP_2])
    wifi.send(webhook("client-join", SESSION), NOW_MS)
    for _ in range(2):
        wifi.send(LEFT, NOW_MS)
        assert wifi.where() is None


def test_the_end_of_a_session_elsewhere_ends_nothing() -> None:
    wifi = Wifi("mist", [AP_1, AP_2])
    wifi.send(webhook("client-join", {**SESSION, "ap": AP_2}), NOW_MS)
    wifi.send(LEFT, NOW_MS)
    assert wifi.where() == "hq-1-hopper"
    assert wifi.outcomes() == {"applied": 1, "late": 1}


def test_a_zone_is_where_the_table_says() -> None:
    wifi = Wifi("mist", ["zone:a", "zone:b"])
    event = {"mac": PHONE, "type": "wifi", "timestamp": NOW - 9}
    wifi.send(webhook("zone", {**event, "zone_id": "A", "trigger": "enter"}), NOW_MS)
    assert wifi.where() == "hq-1-north"
    later = {**event, "timestamp": NOW - 5}
    wifi.send(webhook("zone", {**later, "zone_id": "b", "trigger": "enter"}), NOW_MS)
    wifi.send(webhook("zone", {**later, "zone_id": "a", "trigger": "exit"}), NOW_MS)
    assert wifi.where() == "hq-1-hopper"
    later["timestamp"] = NOW - 1
    wifi.send(
        webhook("rssizone", {**later, "rssizone_id": "b", "trigger": "exit"}), NOW_MS
    )
    assert wifi.where() is None


@pytest.mark.parametrize("topic", ["nac-events", "nac_accounting"])
def test_only_a_login_that_was_let_in_is_believed(topic: str) -> None:
    event = {"mac": PHONE, "ap": AP_1, "username": "ada", "timestamp": NOW}
    for kind in ("NAC_CLIENT_PERMIT", "NAC_ACCOUNTING_START", "NAC_SESSION_ENDED"):
        payload = webhook(topic, {**event, "type": kind})
        assert identities(payload) == [Identity("ada", PHONE)]
    for other in ("NAC_CLIENT_DENY", "NAC_CLIENT_CERT_CHECK_FAILURE", "", None):
        payload = webhook(topic, {**event, "type": other})
        assert identities(payload) == [Identity()]


@pytest.mark.parametrize("name", ["host/pc-17", "PC-17$", "anonymous", PHONE, "", None])
def test_what_is_no_persons_login_leaves_the_device_to_speak(name: str | None) -> None:
    event = {**SESSION, "client_username": name}
    assert identities(webhook("client-join", event)) == [Identity(None, PHONE)]


@given(
    topic=st.sampled_from(
        ["sdkclient-scan-data", "wifi-conn-raw", "wifi_unconn_raw", "asset-raw", "ping"]
    )
    | st.text(max_size=12).filter(lambda text: text not in READ),
    events=st.lists(st.binary(max_size=8), max_size=3),
)
def test_of_a_topic_that_is_not_read_nothing_is_kept_or_decoded(
    topic: str, events: list[bytes]
) -> None:
    body = msgspec.json.encode({"topic": topic, "events": [e.hex() for e in events]})
    (record,) = split(MIST, body)
    assert bytes(record) == b'["",null]'
    assert one(MIST.identify, record) == Identity()


@given(
    macs=st.lists(st.text("0123456789abcdef", min_size=12, max_size=12), max_size=20),
    topic=st.sampled_from(["client-join", "Client_Join", " CLIENT-JOIN "]),
)
def test_each_event_of_a_message_is_one_record_in_its_order(
    macs: list[str], topic: str
) -> None:
    payload = webhook(topic, *({**SESSION, "mac": mac} for mac in macs))
    assert [who.device for who in identities(payload)] == macs


def test_more_events_than_a_message_may_hold_are_refused() -> None:
    for body in (b"0," * MAX_RECORDS + b"0", b"{}," * 600_000 + b"0"):
        for payload in (
            b"[" + body + b"]",
            b'{"topic":"zone","events":[' + body + b"]}",
            b'{"event":"data","data":[' + body + b"]}",
        ):
            with pytest.raises(TooLarge):
                split(MIST, payload)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"data":{}}', b'{"events":[]}', b'"a"', b"7"]
)
def test_what_is_neither_a_webhook_nor_statistics_is_malformed(body: bytes) -> None:
    with pytest.raises((Malformed, msgspec.ValidationError)):
        split(MIST, body)


@pytest.mark.parametrize("time", [None, 0, 0.0, "", "soon"])
def test_an_event_without_a_time_is_refused(time: object) -> None:
    event = {"mac": PHONE, "ap": AP_1, "timestamp": time}
    with pytest.raises(BadTime):
        observed(webhook("client-join", event))


@pytest.mark.parametrize(
    ("fields", "floor", "x"),
    [
        ({"x_m": 1, "y_m": 2, "x": 50, "y": 100}, "m", 1),
        ({"x": 50, "y": 100}, "m:px", 50),
        ({"x_m": None, "y_m": 2, "x": 50, "y": 100, "accuracy": None}, "m:px", 50),
    ],
)
def test_pixels_are_on_another_floor_than_metres(
    fields: dict[str, float | None], floor: str, x: float
) -> None:
    client = {"mac": PHONE, "map_id": "m", "last_seen": NOW, **fields}
    found = observed(msgspec.json.encode([client]))
    assert found
    assert found.spot
    assert (found.spot.floor, found.spot.x) == (floor, x)


def test_a_client_without_a_position_has_joined_its_access_point() -> None:
    for more in ({}, {"map_id": ""}, {"map_id": "m"}, {"map_id": "m", "x": 1}):
        client = {"mac": PHONE, "ap_mac": AP_1, "last_seen": NOW, **more}
        found = observed(msgspec.json.encode([client]))
        assert found
        assert (found.ap, found.spot) == (AP_1, None)


def test_an_event_that_names_no_place_is_malformed() -> None:
    for topic, event in (
        ("client-join", {}),
        ("client-sessions", {"ap": " "}),
        ("zone", {"trigger": "enter", "type": "wifi"}),
        ("location", {"map_id": "", "x": 1, "y": 1}),
        ("nac-events", {"type": "NAC_CLIENT_PERMIT", "ap": 300 * "a"}),
    ):
        with pytest.raises(Malformed):
            observed(webhook(topic, {"mac": PHONE, "timestamp": NOW, **event}))


def test_a_trigger_that_is_neither_enter_nor_exit_is_nothing() -> None:
    event = {"type": "wifi", "zone_id": "a", "timestamp": NOW, "trigger": "dwell"}
    assert observed(webhook("zone", event)) is None


def test_a_wired_client_has_no_place() -> None:
    event = {"type": "NAC_CLIENT_PERMIT", "client_type": "wired", "ap": AP_1}
    assert observed(webhook("nac-events", {**event, "timestamp": NOW})) is None


def test_a_count_that_is_none_is_unknown() -> None:
    for count, value in ((-1, -1), (10**7, -1), (None, -1), (0, 0), (9, 9)):
        alert = {"zone_id": "Z", "current_occupancy": count, "timestamp": NOW}
        (record,) = split(MIST, webhook("occupancy-alerts", {"alert_events": [alert]}))
        (reading,) = one(MIST.read, record) or ()
        assert (reading.device, reading.value) == ("z", value)


@given(connect=st.integers(NOW - 86_400, NOW - 61), drift=st.floats(0, 0.999))
def test_a_session_is_named_alike_by_its_join_and_its_end(
    connect: int, drift: float
) -> None:
    event = {**SESSION, "connect": connect, "connect_float": connect + drift}
    joined = observed(webhook("client-join", event))
    event["connect_float"] = connect
    left = observed(webhook("client-sessions", event))
    assert joined
    assert left
    assert joined.session == left.session
    assert left.kind is ObservationKind.LEFT
