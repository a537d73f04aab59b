from __future__ import annotations

import pytest

from tests.wifi import PHONE, Wifi

NOW = 1_772_442_000_000
START = {
    "User-Name": "ada",
    "Calling-Station-Id": PHONE,
    "Called-Station-Id": "04-BD-88-00-53-02:corp",
    "NAS-Identifier": "wlc-1",
    "Acct-Status-Type": "Start",
}


def building() -> Wifi:
    return Wifi("radius", ["04bd88005302", "04bd88005303"])


@pytest.mark.parametrize("status", ["Accounting-On", "Accounting-Off", 7, 8])
def test_an_access_server_that_restarts_ends_whom_it_reported(
    status: str | int,
) -> None:
    wifi = building()
    wifi.send(START, NOW)
    assert wifi.where() == "hq-1-north"
    wifi.send({"NAS-Identifier": "wlc-2", "Acct-Status-Type": status}, NOW + 1_000)
    assert wifi.where() == "hq-1-north"
    wifi.send({"NAS-Identifier": "WLC-1", "Acct-Status-Type": status}, NOW + 1_000)
    assert wifi.where() is None
    assert wifi.outcomes() == {"applied": 3}


def test_who_joins_after_a_restart_stays_also_within_its_millisecond() -> None:
    wifi = building()
    wifi.send({"NAS-Identifier": "wlc-1", "Acct-Status-Type": "Accounting-On"}, NOW)
    wifi.send(START, NOW)
    assert wifi.where() == "hq-1-north"


def test_within_one_message_the_restart_ends_what_stands_before_it() -> None:
    wifi = building()
    lines = "\n".join(f'{name} = "{value}"' for name, value in START.items())
    off = 'NAS-Identifier = "wlc-1"\nAcct-Status-Type = Accounting-Off\n'
    wifi.send(f"{lines}\n\n{off}", NOW)
    assert wifi.where() is None
    assert wifi.outcomes() == {"applied": 2}


def test_a_restart_sent_again_is_a_duplicate_whoever_shares() -> None:
    wifi = building()
    off = {"NAS-Identifier": "wlc-1", "Acct-Status-Type": 8, "Event-Timestamp": NOW}
    for _ in range(3):
        wifi.send(off, NOW)
    assert wifi.outcomes() == {"applied": 1, "duplicate": 2}


def test_a_restart_that_the_broker_replays_ends_nothing() -> None:
    wifi = building()
    wifi.send(START, NOW)
    off = {"NAS-Identifier": "wlc-1", "Acct-Status-Type": 8}
    assert wifi.send(off, NOW + 1, retain=True) == "bad_time"
    assert wifi.where() == "hq-1-north"


def test_a_packet_about_nobody_that_is_no_restart_is_disposed_of() -> None:
    wifi = building()
    wifi.send({"Acct-Status-Type": "Accounting-On"}, NOW)
    wifi.send({"NAS-Identifier": "wlc-1", "Acct-Status-Type": "Start"}, NOW)
    assert wifi.outcomes() == {"disposed": 2}


def test_a_packet_about_nobody_that_cannot_be_read_is_refused_once() -> None:
    wifi = building()
    bad = {"Acct-Status-Type": {"value": {}}, "NAS-Identifier": "wlc-1"}
    assert wifi.send(bad, NOW) == "malformed"
    assert wifi.outcomes() == {"invalid": 1}
