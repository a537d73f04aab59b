from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from engine.errors import BadTime, Malformed
from engine.ingest.formats import FORMATS
from engine.model import Identity, ObservationKind
from engine.spelling import canonical_ap
from tests.ingest.formats.golden import NOW_MS, one

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
