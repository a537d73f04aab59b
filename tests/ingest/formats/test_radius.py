from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime, Malformed, TooLarge
from engine.ingest.formats import FORMATS
from engine.ingest.formats.wire import MAX_RECORDS
from engine.model import Identity, ObservationKind
from engine.spelling import canonical_ap
from tests.ingest.formats.golden import NOW_MS, one, split
from tests.wifi import PHONE, Wifi

if TYPE_CHECKING:
    from engine.ingest.formats import Record
    from engine.model import Observation

START = {
    "User-Name": "ada",
    "Acct-Status-Type": "Start",
    "Calling-Station-Id": "a4-83-e7-11-22-33",
    "Called-Station-Id": "04-BD-88-00-53-02:corp",
}


def packet(**attributes: object) -> bytes:
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return json.dumps({**START, **named}).encode()


def identify(record: Record) -> Identity:
    identity = one(FORMATS["radius"].identify, record)
    assert identity is not None
    return identity


def observe(record: Record, now_ms: int) -> Observation | None:
    return one(FORMATS["radius"].observe, record, now_ms=now_ms)


def observed(record: Record) -> Observation:
    observation = observe(record, NOW_MS)
    assert observation is not None
    return observation


@pytest.mark.parametrize(
    "login",
    ["ada", "ADA", "CORP\\ada", "ada@corp.example", "ada.lovelace", "host", "decade"],
)
def test_a_login_is_passed_on_as_it_is_spelled(login: str) -> None:
    assert identify(packet(User_Name=login)).login == login


@pytest.mark.parametrize(
    "login",
    [
        "host/pc-17.corp.example",
        "HOST/PC-17",
        "CORP\\pc-17$",
        "pc-17$@corp.example",
        "a483e7112233",
        "A4-83-E7-11-22-33",
        "a4:83:e7:11:22:33",
        "a483.e711.2233",
        "a4-83-e7-11-22-33@corp.example",
        "anonymous",
        "Anonymous@corp.example",
        "CORP\\anonymous",
        "@corp.example",
        "",
        "  ",
        [],
    ],
)
def test_machines_addresses_and_the_anonymous_are_never_a_person(
    login: str | list[str],
) -> None:
    assert identify(packet(User_Name=login)) == Identity(None, "a4-83-e7-11-22-33")


def test_a_number_as_a_login_is_that_login() -> None:
    assert identify(packet(User_Name=1815)).login == "1815"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("Start", ObservationKind.JOINED),
        ("Interim-Update", ObservationKind.JOINED),
        ("Alive", ObservationKind.JOINED),
        ("Stop", ObservationKind.LEFT),
        (1, ObservationKind.JOINED),
        (2, ObservationKind.LEFT),
        (3, ObservationKind.JOINED),
        ("3", ObservationKind.JOINED),
        (["stop"], ObservationKind.LEFT),
        ({"type": "integer", "value": 2}, ObservationKind.LEFT),
        ({"type": "integer", "value": ["Start"]}, ObservationKind.JOINED),
    ],
    ids=repr,
)
def test_a_status_is_joined_or_left(status: object, kind: ObservationKind) -> None:
    observation = observed(packet(Acct_Status_Type=status))
    assert observation.kind is kind


@pytest.mark.parametrize(
    "status",
    ["Accounting-On", "Accounting-Off", 7, 8, "7", "Failed", 15, "Tunnel-Stop"],
    ids=repr,
)
def test_any_other_status_is_about_no_person(status: object) -> None:
    assert not observe(packet(Acct_Status_Type=status), NOW_MS)


@pytest.mark.parametrize("status", [None, "", []])
def test_a_packet_without_a_status_is_not_accounting(status: object) -> None:
    with pytest.raises(Malformed):
        observe(packet(Acct_Status_Type=status), NOW_MS)


@pytest.mark.parametrize(
    ("called", "ap"),
    [
        ("04-BD-88-00-53-02:corp", "04bd88005302"),
        ("04-bd-88-00-53-02:Guest: 2", "04bd88005302"),
        ("04bd88005302", "04bd88005302"),
        ("04bd.8800.5302:corp", "04bd88005302"),
        ("HQ-3-AP-12", "hq-3-ap-12"),
        ("HQ-3-AP-12:corp", "hq-3-ap-12"),
        (":corp", ":corp"),
    ],
)
def test_the_access_point_is_what_was_called_without_the_ssid(
    called: str, ap: str
) -> None:
    assert observed(packet(Called_Station_Id=called)).ap == ap


@pytest.mark.parametrize("attribute", ["Called_Station_Id", "Aruba_Location_Id"])
def test_an_access_point_longer_than_an_attribute_is_refused(attribute: str) -> None:
    with pytest.raises(Malformed):
        observe(packet(**{attribute: 254 * "x"}), NOW_MS)


def test_the_location_of_a_vendor_is_better_than_what_was_called() -> None:
    record = packet(Aruba_Location_Id="HQ-3-AP-9")
    assert observed(record).ap == "hq-3-ap-9"


def test_a_packet_that_names_no_place_is_malformed() -> None:
    with pytest.raises(Malformed):
        observe(packet(Called_Station_Id="", NAS_Identifier="b4fbe4005302"), NOW_MS)


@pytest.mark.parametrize(
    ("written", "observed_ms"),
    [
        ("Mar  2 2026 08:59:00 UTC", NOW_MS - 60_000),
        ("Mar 02 2026 08:59:00 GMT", NOW_MS - 60_000),
        (1_772_441_940, NOW_MS - 60_000),
        ("2026-03-02T08:59:00Z", NOW_MS - 60_000),
        ("Mar  2 2026 21:59:00 NZDT", NOW_MS - 7_000),
        ("Mar 32 2026 08:59:00 UTC", NOW_MS - 7_000),
        ("Mrz  2 2026 08:59:00 UTC", NOW_MS - 7_000),
        ("Mar 2 2026 UTC", NOW_MS - 7_000),
        ("", NOW_MS - 7_000),
        (0, NOW_MS - 7_000),
    ],
)
def test_a_time_that_cannot_be_read_is_that_of_receipt_less_the_delay(
    written: object, observed_ms: int
) -> None:
    record = packet(Event_Timestamp=written, Acct_Delay_Time=7)
    assert observed(record).observed_at_ms == observed_ms


@pytest.mark.parametrize("delay", [-5, "", "soon", "9" * 5000, "²", None])
def test_a_delay_that_cannot_be_read_is_none(delay: object) -> None:
    observation = observed(packet(Acct_Delay_Time=delay))
    assert observation.observed_at_ms == NOW_MS


def test_a_packet_from_the_future_is_refused() -> None:
    with pytest.raises(BadTime):
        observe(packet(Event_Timestamp=NOW_MS // 1000 + 3600), NOW_MS)


def test_no_login_stays_behind_in_a_cache() -> None:
    before = canonical_ap.cache_info()
    chance = random.Random(1)  # noqa: S311 - seeded, only has to differ from others
    for login in ("bystander", f"{chance.getrandbits(48):012x}", "host/pc"):
        identify(packet(User_Name=login))
    assert canonical_ap.cache_info() == before


def test_a_prefixed_packet_is_read_through_its_prefix() -> None:
    body = {f"pf:{name}": value for name, value in START.items()}
    record = json.dumps(body).encode()
    assert identify(record) == Identity("ada", "a4-83-e7-11-22-33")
    assert observed(record).ap == "04bd88005302"


def lines(**attributes: str) -> str:
    """Return a packet as FreeRADIUS writes it in lines, with its quotes and escapes."""
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return "\n".join(
        f'\t{name} = "{value.translate(ESCAPES)}"'
        for name, value in {**START, **named}.items()
    )


ESCAPES = {
    ord(char): f"\\{code}" for char, code in zip('"\\\n\r\t', '"\\nrt', strict=True)
}
values = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs"))
    | st.sampled_from('"\\\n\t,='),
    min_size=1,
    max_size=40,
).map(lambda text: f"x{text}x")


@given(login=values, ssid=values)
def test_no_value_in_a_line_can_pass_for_another_attribute(
    login: str, ssid: str
) -> None:
    called = f"04-BD-88-00-53-02:{ssid}"
    detail = lines(User_Name=login, Called_Station_Id=called)
    for body in (detail, detail.replace("\n\t", ", ").strip()):
        (record,) = split(FORMATS["radius"], body.encode())
        assert identify(record) == Identity(login.strip(), START["Calling-Station-Id"])
        assert observed(record).ap == "04bd88005302"
        assert observed(record).kind is ObservationKind.JOINED


@given(
    logins=st.lists(values, min_size=1, max_size=5),
    gap=st.sampled_from(["\n", " \n\r\n"]),
)
def test_packets_with_an_empty_line_between_them_are_as_many_records(
    logins: list[str], gap: str
) -> None:
    body = f"\n{gap}".join(
        f"Mon Mar  2 09:00:00 2026\n{lines(User_Name=login)}" for login in logins
    )
    found = split(FORMATS["radius"], body.encode())
    assert [identify(record).login for record in found] == [
        login.strip() for login in logins
    ]


def test_the_first_of_several_values_counts_in_either_shape() -> None:
    lines_of_both = b'User-Name = "ada"\nUser-Name = "bob"\nAcct-Status-Type = Start'
    for record in (lines_of_both, packet(User_Name=["ada", "bob"])):
        assert identify(record).login == "ada"


def test_octets_that_are_written_as_numbers_are_read() -> None:
    body = b'User-Name = "Andr\\303\\251", Acct-Status-Type = Start'
    assert identify(body).login == "Andr\u00e9"


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b"hello", b"[]", b'"a"', b"= 1", b"a b"]
)
def test_what_is_neither_json_nor_lines_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        split(FORMATS["radius"], body)


def test_more_packets_than_a_message_may_hold_are_refused() -> None:
    with pytest.raises(TooLarge):
        split(FORMATS["radius"], b"a=1,b=2\n" * (MAX_RECORDS + 1))


@pytest.mark.parametrize(
    ("attributes", "nas"),
    [
        ({"NAS-Identifier": "WLC-1"}, "wlc-1"),
        ({"NAS-IP-Address": "192.0.2.1"}, "192.0.2.1"),
        ({"NAS-IPv6-Address": "2001:DB8::1"}, "2001:db8::1"),
        ({"NAS-Identifier": "a", "NAS-IP-Address": "192.0.2.1"}, "a 192.0.2.1"),
        ({"nas_ip_address": "192.0.2.1"}, "192.0.2.1"),
        ({"nas_identifier": "a", "nas_ip_address": ""}, "a"),
        ({}, None),
    ],
)
def test_the_server_of_an_observation_is_spelled_as_in_its_restart(
    attributes: dict[str, str], nas: str | None
) -> None:
    assert observed(json.dumps({**START, **attributes}).encode()).nas == nas
    record = json.dumps({**attributes, "Acct-Status-Type": "Accounting-On"}).encode()
    found = one(FORMATS["radius"].restart, record)
    assert (found and found.nas) == nas


def test_a_restart_of_a_server_whose_clock_is_ahead_is_of_now() -> None:
    for status, observed_ms in (("Accounting-On", NOW_MS - 1), (8, NOW_MS)):
        record = packet(
            Acct_Status_Type=status, NAS_Identifier="a", Event_Timestamp=NOW_MS + 10**9
        )
        found = one(FORMATS["radius"].restart, record)
        assert found
        assert found.observed_at_ms == observed_ms


def test_the_time_of_a_detail_file_is_that_of_its_writing() -> None:
    record = packet(
        Event_Timestamp="Mar  2 2026 21:58:00 NZDT",
        Timestamp=str(NOW_MS // 1000 - 60),
        Acct_Delay_Time="2",
    )
    assert observed(record).observed_at_ms == NOW_MS - 62_000


AP_1, AP_2 = "04-BD-88-00-53-02", "04-BD-88-00-53-03"
ROAM = [
    {"Acct-Status-Type": "Start", "Called-Station-Id": AP_1, "Acct-Session-Id": "1"},
    {"Acct-Status-Type": "Stop", "Called-Station-Id": AP_1, "Acct-Session-Id": "1"},
    {"Acct-Status-Type": "Start", "Called-Station-Id": AP_2, "Acct-Session-Id": "2"},
]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
def test_a_roam_ends_at_the_new_access_point_however_late_the_stop_is(
    order: tuple[int, ...],
) -> None:
    wifi = Wifi("radius", ["04bd88005302", "04bd88005303"])
    for second, number in enumerate(order):
        wifi.send(
            {
                "User-Name": "ada",
                "Calling-Station-Id": PHONE,
                "Acct-Multi-Session-Id": "roaming",
                "Event-Timestamp": NOW_MS // 1000 + second,
                **ROAM[number],
            },
            NOW_MS + 10_000,
        )
    assert wifi.where() == "hq-1-hopper"


def test_a_roam_that_keeps_its_session_follows_the_interim() -> None:
    wifi = Wifi("radius", ["04bd88005302", "04bd88005303"])
    person = {"User-Name": "ada", "Calling-Station-Id": PHONE, "Acct-Session-Id": "1"}
    wifi.send({**person, **ROAM[0]}, NOW_MS)
    interim = {"Acct-Status-Type": "Interim-Update", "Called-Station-Id": AP_2}
    wifi.send({**person, **interim}, NOW_MS + 1)
    assert wifi.where() == "hq-1-hopper"
    wifi.send({**person, "Acct-Status-Type": 2, "Called-Station-Id": AP_1}, NOW_MS + 2)
    assert wifi.where() is None
