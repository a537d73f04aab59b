from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime, Malformed, TooLarge
from engine.ingest.formats import FORMATS
from engine.ingest.formats.wire import MAX_RECORDS
from engine.model import Identity, ObservationKind
from tests.ingest.formats.golden import NOW_MS, one, split
from tests.wifi import PHONE, Wifi

if TYPE_CHECKING:
    from engine.ingest.formats import Record
    from engine.model import Observation

HOSTAPD = FORMATS["hostapd"]
JOINED, LEFT = ObservationKind.JOINED, ObservationKind.LEFT
BSD = "Mar  2 08:59:58"
EVENTS = {
    f"AP-STA-CONNECTED {PHONE} auth_alg=ft": JOINED,
    f"AP-STA-CONNECTED {PHONE}": JOINED,
    f"AP-STA-DISCONNECTED {PHONE}": LEFT,
    f"STA {PHONE} IEEE 802.11: associated (aid 2)": JOINED,
    f"STA {PHONE} IEEE 802.11: disassociated due to inactivity": LEFT,
    f"STA {PHONE} IEEE 802.11: deauthenticated due to local deauth request": LEFT,
}
HEADERS = {
    f"<30>{BSD} ap1 hostapd: wlan1: ": ("ap1/wlan1", 999),
    f"{BSD} ap1 hostapd[77]: phy1-ap0: ": ("ap1/phy1-ap0", 999),
    "<30>1 2026-03-02T08:59:58.5Z ap1 hostapd 7 - - wlan1: ": ("ap1/wlan1", 0),
    '1 2026-03-02T08:59:58Z ap1 hostapd - - [a b="c"] wlan1: ': ("ap1/wlan1", 999),
    "2026-03-02T09:59:58+01:00 ap1 hostapd: wlan1: ": ("ap1/wlan1", 999),
    "Mon Mar  2 08:59:58 2026 daemon.notice hostapd: wlan1: ": ("relay/wlan1", 999),
    "<3>": ("relay", 0),
    "IFNAME=wlan1 <3>": ("relay/wlan1", 0),
    "wlan1: ": ("relay/wlan1", 0),
    "": ("relay", 0),
}


def observe(
    line: str, topic: str = "relay", now_ms: int = NOW_MS
) -> Observation | None:
    return one(HOSTAPD.observe, line.encode(), topic, now_ms)


def identify(record: Record, topic: str = "") -> Identity | None:
    return one(HOSTAPD.identify, record, topic)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_read_behind_every_header(header: str, event: str) -> None:
    ap, blur_ms = HEADERS[header]
    found = observe(header + event)
    assert found
    assert (found.kind, found.ap, found.blur_ms) == (EVENTS[event], ap, blur_ms)
    assert found.observed_at_ms in (NOW_MS - 2_000, NOW_MS - 1_500, NOW_MS)
    assert identify(f"{header}{event}".encode()) == Identity(device=PHONE)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(
    "said",
    [
        f"STA {PHONE} IEEE 802.11: authenticated",
        f"STA {PHONE} WPA: group key handshake completed (RSN)",
        f"STA {PHONE} RADIUS: starting accounting session 1",
        f"Prune association for {PHONE}",
        f"CTRL-EVENT-EAP-SUCCESS2 {PHONE}",
        f"AP-STA-CONNECTEDX {PHONE}",
        f"AP-STA-POSSIBLE-PSK-MISMATCH {PHONE}",
        "AP-STA-CONNECTED 8c:7a:3d",
        f"AP-STA-CONNECTED {PHONE}ff",
        f"STA {PHONE} IEEE 802.11: associatedly",
        f"said AP-STA-CONNECTED {PHONE}",
        "AP-ENABLED ",
    ],
)
def test_of_any_other_line_not_even_the_device_is_taken(header: str, said: str) -> None:
    line = header + said
    assert identify(line.encode()) == Identity()
    assert observe(line) is None


@pytest.mark.parametrize(
    "line",
    [
        f"{BSD} ap1 dnsmasq-dhcp[7]: DHCPACK(lan) 192.0.2.7 AP-STA-CONNECTED {PHONE}",
        f"{BSD} ap1 dnsmasq-dhcp: hostapd: wlan1: AP-STA-CONNECTED {PHONE}",
        f"{BSD} ap1 logger: AP-STA-CONNECTED {PHONE}",
        f"<30>1 2026-03-02T08:59:58Z ap1 sshd 7 - - AP-STA-CONNECTED {PHONE}",
        f"Mon Mar  2 08:59:58 2026 user.info me: AP-STA-CONNECTED {PHONE}",
    ],
)
def test_what_another_program_wrote_is_no_event_whatever_its_words(line: str) -> None:
    assert identify(line.encode()) == Identity()
    assert observe(line) is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_in_a_roam_within_one_second_the_leave_ends_the_other_radio_alone(
    order: tuple[int, int],
) -> None:
    wifi = Wifi("hostapd", ["ap1/phy1-ap0", "ap1/phy0-ap0"], "wifi/")
    stamp = "Mon Mar  2 08:59:{} 2026 daemon.notice hostapd: "
    wifi.send(
        f"{stamp.format(20)}phy0-ap0: AP-STA-CONNECTED {PHONE}",
        NOW_MS,
        topic="wifi/ap1",
    )
    assert wifi.where() == "hq-1-hopper"
    lines = [
        f"{stamp.format(22)}phy1-ap0: AP-STA-CONNECTED {PHONE} auth_alg=ft",
        f"{stamp.format(22)}phy0-ap0: AP-STA-DISCONNECTED {PHONE}",
    ]
    wifi.send("\n".join(lines[number] for number in order), NOW_MS, topic="wifi/ap1")
    assert wifi.where() == "hq-1-north"
    gone = f"{stamp.format(52)}phy0-ap0: STA {PHONE} IEEE 802.11: deauthenticated"
    wifi.send(gone, NOW_MS, topic="wifi/ap1")
    assert wifi.where() == "hq-1-north"


def test_a_leave_minutes_after_the_join_elsewhere_ends_nothing() -> None:
    wifi = Wifi("hostapd", ["ap1/wlan1", "ap2/wlan1"])
    wifi.send(f"Mar  2 08:40:00 ap2 hostapd: wlan1: AP-STA-CONNECTED {PHONE}", NOW_MS)
    wifi.send(f"Mar  2 08:53:58 ap1 hostapd: wlan1: AP-STA-CONNECTED {PHONE}", NOW_MS)
    wifi.send(
        f"Mar  2 08:59:18 ap2 hostapd: wlan1: AP-STA-DISCONNECTED {PHONE}", NOW_MS
    )
    assert wifi.where() == "hq-1-north"


@given(
    now=st.datetimes(datetime(2024, 1, 1), datetime(2032, 12, 31)),  # noqa: DTZ001
    age_s=st.integers(0, 86_400 * 150),
)
def test_a_time_without_a_year_is_the_nearest_one(now: datetime, age_s: int) -> None:
    now_s = int(now.replace(tzinfo=UTC).timestamp())
    written = datetime.fromtimestamp(now_s - age_s, UTC)
    line = f"{written:%b} {written.day:2} {written:%H:%M:%S} ap1 hostapd: wlan1: "
    found = observe(f"{line}AP-STA-CONNECTED {PHONE}", now_ms=1000 * now_s)
    assert found
    assert found.observed_at_ms == 1000 * (now_s - age_s)


def test_a_clock_a_little_ahead_at_the_turn_of_the_year_is_of_now() -> None:
    now_ms = int(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1000
    line = f"Jan  1 00:00:01 ap1 hostapd: wlan1: AP-STA-CONNECTED {PHONE}"
    found = observe(line, now_ms=now_ms)
    assert found
    assert found.observed_at_ms == now_ms


@pytest.mark.parametrize(
    "time",
    [
        "Mar  2 10:59:58",
        "Mar 32 08:59:58",
        "Mrz  2 08:59:58",
        "Mar  2 25:00:00",
        "2026-03-02T08:59:58",
        "2026-03-02",
        "1970-01-01T00:00:00Z",
    ],
)
def test_a_time_that_is_none_or_of_another_zone_is_refused(time: str) -> None:
    with pytest.raises(BadTime):
        observe(f"{time} ap1 hostapd: wlan1: AP-STA-CONNECTED {PHONE}")


def test_a_line_that_names_neither_host_nor_interface_is_refused() -> None:
    with pytest.raises(Malformed):
        observe(f"<3>AP-STA-CONNECTED {PHONE}", topic="")


@given(lines=st.lists(st.sampled_from([*EVENTS, "noise", " "]), max_size=30))
def test_each_line_is_a_record_in_its_order(lines: list[str]) -> None:
    found = split(HOSTAPD, "\r\n".join(lines).encode())
    assert [bytes(record).decode() for record in found] == [
        line for line in lines if line.strip()
    ]


def test_more_lines_than_a_message_may_hold_are_refused() -> None:
    with pytest.raises(TooLarge):
        split(HOSTAPD, b"a\n" * (MAX_RECORDS + 1))


def watched(topic: str, payload: bytes) -> Observation | None:
    assert identify(payload, topic) == Identity(device=PHONE)
    return one(HOSTAPD.observe, payload, topic)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"connected", JOINED),
        (b"home", JOINED),
        (b"Home\n", JOINED),
        (b"not_connected", LEFT),
        (b"not_home", LEFT),
        (b"away", None),
    ],
)
def test_a_state_says_whether_a_device_is_there(
    payload: bytes, kind: ObservationKind | None
) -> None:
    found = watched(f"station/AP1/{PHONE}/state", payload)
    assert (found and found.kind) == kind
    assert found is None or (found.ap, found.observed_at_ms) == ("ap1", NOW_MS)


def test_attributes_without_a_time_say_nothing() -> None:
    for body in (b'{"is_connected":true}', b'{"is_connected":false,"connected_at":1}'):
        assert watched(f"ap1/{PHONE}/attrs", body) is None


@pytest.mark.parametrize("topic", [f"{PHONE}/state", f"station/{PHONE}/state"])
def test_a_topic_without_an_access_point_is_refused(topic: str) -> None:
    with pytest.raises(Malformed):
        watched(topic, b"home")


def building() -> Wifi:
    return Wifi("hostapd", ["ap1", "ap2"], "wifi-presence/")


STATE = "wifi-presence/station/{}/8C:7A:3D:00:53:01/state"


def test_what_the_broker_replays_brings_nobody_back() -> None:
    wifi = building()
    for _ in range(3):
        refused = wifi.send(b"home", NOW_MS, topic=STATE.format("ap1"), retain=True)
        assert refused == "bad_time"
    assert wifi.where() is None
    wifi.send(b"home", NOW_MS, topic=STATE.format("ap1"))
    assert wifi.where() == "hq-1-north"


def test_when_an_access_point_goes_away_those_go_whom_it_reported() -> None:
    wifi = building()
    wifi.send(b"connected", NOW_MS, topic=STATE.format("ap1"))
    wifi.send(b"offline", NOW_MS + 1, topic="wifi-presence/ap2/status")
    wifi.send(b"offline", NOW_MS + 1, topic="wifi-presence/ap1/status", retain=True)
    assert wifi.where() == "hq-1-north"
    wifi.send(b"offline", NOW_MS + 1, topic="wifi-presence/ap1/status")
    assert wifi.where() is None
    wifi.send(b"online", NOW_MS + 2, topic="wifi-presence/ap1/status")
    wifi.send(b"connected", NOW_MS + 3, topic=STATE.format("ap1"))
    assert wifi.where() == "hq-1-north"


def test_the_leave_of_the_access_point_before_ends_nothing() -> None:
    wifi = building()
    wifi.send(b"connected", NOW_MS, topic=STATE.format("ap1"))
    wifi.send(b"connected", NOW_MS + 5_000, topic=STATE.format("ap2"))
    wifi.send(b"not_connected", NOW_MS + 10_000, topic=STATE.format("ap1"))
    assert wifi.where() == "hq-1-hopper"


def test_the_topic_of_a_bystander_ends_at_the_gate() -> None:
    wifi = building()
    topic = "wifi-presence/station/ap1/02:00:00:00:53:09/state"
    assert wifi.send(b"\xff{[not even text", NOW_MS, topic=topic) is None
    assert wifi.outcomes() == {"disposed": 1}
