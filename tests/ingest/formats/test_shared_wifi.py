"""Real payloads of Wi-Fi, where the collection of them lies beside the repository.

What they mean is written here by hand; they are not copied, so that each has one home.
They are received when their newest event happened, or `LATER`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.ingest.formats import FORMATS
from tests.ingest.formats.golden import meaning_of, split

SHARED = Path(__file__).resolve().parents[4] / "shared" / "samples" / "wifi"

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no collection of samples beside the repository"
)

LATER = 1_798_761_600_000  # 2027-01-01
NOBODY = {"login": None, "device": None}
MAP = "845a23bf-bed9-e43c-4c86-6fa474be7ae5"
ALE_FLOOR = "D635A61B06673775ADFF61D70B55785C"


def who(device: str, login: str | None = None) -> dict[str, Any]:
    return {"login": login, "device": device}


def seen(
    kind: str, ap: str, at_ms: int, session: str | None = None, **more: object
) -> dict[str, Any]:
    whole = {"blur_ms": 999} if at_ms % 1000 == 0 else {}
    return {
        "kind": kind,
        "ap": ap,
        "observed_at_ms": at_ms,
        "session": session,
        **whole,
        **more,
    }


def spot(floor: str, x: float, y: float, accuracy_m: float) -> dict[str, Any]:
    return {"spot": {"floor": floor, "x": x, "y": y, "accuracy_m": accuracy_m}}


MEANINGS: dict[str, tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = {
    "mist-location-client": (
        "mist",
        [who("5684dae9ac8b")],
        [seen("JOINED", "", 1461220784000, **spot(MAP, 13.5, 3.2, -1.0))],
    ),
    "mist-location-sdk": ("mist", [NOBODY], []),
    "mist-client-info": ("mist", [NOBODY], []),
    "mist-sdkclient-scan-data": ("mist", [NOBODY], []),
    "mist-wifi-unconn-raw": ("mist", [NOBODY], []),
    "mist-client-join": (
        "mist",
        [who("xxdd8e7508xx")],
        [seen("JOINED", "xx2316ed6axx", 1695172665082, "xx2316ed6axx@1695172665")],
    ),
    "mist-client-join-8021x": (
        "mist",
        [who("020000000c04", "alex.taylor@example.edu")],
        [seen("JOINED", "020000000a02", 1769121852220, "020000000a02@1769121852")],
    ),
    "mist-client-join-psk": (
        "mist",
        [who("020000000c07")],
        [seen("JOINED", "020000000a05", 1769121848000)],
    ),
    "mist-client-sessions": (
        "mist",
        [who("xxdd8e7508xx")],
        [seen("LEFT", "xx2316ed6axx", 1695189374476, "xx2316ed6axx@1695172665")],
    ),
    "mist-client-sessions-disconnect": (
        "mist",
        [who("020000000c03", "jordan.smith@example.edu")],
        [seen("LEFT", "020000000a04", 1769117262000, "020000000a04@1769117238")],
    ),
    "mist-client-sessions-roam": (
        "mist",
        [who("020000000c02", "jsmith@example.edu")],
        [seen("JOINED", "020000000a07", 1769117307146)],
    ),
    "mist-rssizone": (
        "mist",
        [who("500291xxxxxx")],
        [seen("JOINED", "zone:e38f8e76-40db-4144-xxxx-xxxxxxxxxxxx", 1694158990986)],
    ),
    "mist-nac-accounting": (
        "mist",
        [who("6e795836d5f9", "hi")],
        [seen("LEFT", "5c5b355005be", 1547235620890)],
    ),
    # Wired, whatever else it says: it has a place in no table of access points.
    "mist-nac-events": ("mist", [who("ac3eb179e535", "user@deaflyz.net")], []),
    "mist-rest-client-stats": (
        "mist",
        [who("dadbfc123456")],
        [
            seen(
                "JOINED",
                "5c5b358e6fea",
                1741257505000,
                **spot(
                    "ed7a0a4e-8835-4c94-ba78-6c1169c9f135", 24.086588, 26.349943, -1.0
                ),
            )
        ],
    ),
    "mist-ws-client-stats": (
        "mist",
        [who("5684dae9ac8b", "user-1@example.com")],
        [
            seen(
                "JOINED",
                "5c5b35000010",
                1470417522000,
                **spot("63eda950-c6da-11e4-a628-60f81dd250cc:px", 53.5, 173.1, 2.0),
            )
        ],
    ),
    "aruba-ale-location": (
        "aruba-ale",
        [who("c0:bd:d1:56:81:f3")],
        [seen("JOINED", "", 1434750262000, **spot(ALE_FLOOR, 17.033, 16.5164, 9.0))],
    ),
    "aruba-ale-station": (
        "aruba-ale",
        [who("E4CE8F02CAB0", "user-1"), who("8C2DAA682987", "user-1")],
        [
            seen("JOINED", "6cf37fe71f71", 1383906326000),
            seen("JOINED", "6cf37fe71f71", 1383787224000),
        ],
    ),
    "unifi-event-connected": (
        "unifi",
        [who("00:00:00:00:00:01")],
        [seen("JOINED", "802aa8000102", 1587753456179)],
    ),
    "unifi-event-disconnected": (
        "unifi",
        [who("00:00:00:00:00:01")],
        [seen("LEFT", "802aa8000102", 1587752927000)],
    ),
    "unifi-event-disconnect-roamradio": (
        "unifi",
        [who("<<user_mac>>"), who("<<user_mac>>")],
        [
            seen("LEFT", "<<ap_mac>>", 1588042724000),
            seen("JOINED", "<<ap_mac>>", 1588042728065),
        ],
    ),
    "unifi-event-ap-sta-leave": (
        "unifi",
        [who("40:4e:36:00:53:01")],
        [seen("LEFT", "7483c2005302", 1586379853732)],
    ),
    "unifi-client-sta": (
        "unifi",
        [who("00:00:00:00:00:01")],
        [seen("JOINED", "802aa8000102", 1587765360000)],
    ),
    "openwrt-hostapd-roam-two-aps": (
        "hostapd",
        [who("84:c7:de:ad:be:ef")] * 4,
        [
            seen("JOINED", "ap1/wlan1", 1795764238000),
            seen("JOINED", "ap1/wlan1", 1795764238000),
            seen("LEFT", "ap2/wlan1", 1795764558000),
            seen("LEFT", "ap2/wlan1", 1795764558000),
        ],
    ),
    "openwrt-hostapd-roam-same-second": (
        "hostapd",
        [who("8c:7a:3d:00:53:01")] * 2 + [NOBODY] + [who("8c:7a:3d:00:53:01")] * 2,
        [
            seen("JOINED", "phy1-ap0", 1720431322000),
            seen("JOINED", "phy1-ap0", 1720431322000),
            seen("LEFT", "phy0-ap0", 1720431322000),
            seen("LEFT", "phy0-ap0", 1720431352000),
        ],
    ),
}


def payload(name: str) -> bytes:
    [path] = SHARED.glob(f"{name}.*")
    return path.read_bytes()


@pytest.mark.parametrize("name", MEANINGS)
def test_a_real_payload_means_what_stands_here(name: str) -> None:
    form, identities, observations = MEANINGS[name]
    expected = {"identities": identities, "observations": observations}
    found = meaning_of(FORMATS[form], payload(name), "", LATER)
    assert found == {key: values for key, values in expected.items() if values}


def test_a_real_alert_counts_its_zone() -> None:
    found = meaning_of(FORMATS["mist"], payload("mist-occupancy-alerts"), "", LATER)
    assert found == {
        "identities": [NOBODY],
        "readings": [
            {
                "device": "4495020a-236f-46e0-9453-e3f9cc6476f4",
                "kind": "COUNT",
                "value": 0,
                "observed_at_ms": LATER,
                "channel": "",
                "flags": 0,
            }
        ],
    }


def test_a_placeholder_for_a_time_is_no_time() -> None:
    form = FORMATS["mist"]
    assert form.observe is not None
    refused: list[Exception] = []
    records = split(form, payload("mist-zone"))
    assert form.observe(records, [""], LATER, refused.append) == [None]
    assert [getattr(one, "reason", None) for one in refused] == ["bad_time"]


def test_the_list_of_whom_wifi_presence_watches_is_not_decoded() -> None:
    body = payload("openwrt-wifi-presence-config")
    found = meaning_of(FORMATS["hostapd"], body, "config", LATER)
    assert found == {"identities": [NOBODY]}
