"""Cisco's real payloads, where the collection of them lies beside the repository.

What they mean is written here by hand; they are not copied, so that each has one home.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.ingest.formats import FORMATS
from engine.model import Identity, Observation, ObservationKind, Spot
from tests.ingest.formats.golden import NOW_MS, one, split
from tests.ingest.formats.test_shared_samples import SHARED

if TYPE_CHECKING:
    from engine.ingest.formats import Record

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no collection of samples beside the repository"
)

JOINED = ObservationKind.JOINED


def meaning(name: str, body: Record) -> tuple[Identity | None, Observation | None]:
    form = FORMATS[name]
    return one(form.identify, body), one(form.observe, body, now_ms=NOW_MS)


def test_a_real_history_of_meraki_ends_at_its_newest_location() -> None:
    body = (SHARED / "wifi/meraki-scanning-v3-wifi.json").read_bytes()
    (record,) = split(FORMATS["meraki"], body)
    identity, seen = meaning("meraki", record)
    assert identity == Identity(None, "11:22:33:44:55:66")
    assert seen == Observation(
        JOINED,
        "aaaaaa444444",
        1_574_951_266_000,  # 2019-11-28T14:27:46Z
        spot=Spot(
            "g_643451796760560979",
            8.591860719528196,
            11.404523745521399,
            1.5097088029182084,
        ),
        blur_ms=999,
    )


def test_a_real_body_of_meraki_2_is_at_its_access_point() -> None:
    body = (SHARED / "wifi/meraki-scanning-v2-wifi.json").read_bytes()
    found = [meaning("meraki", record) for record in split(FORMATS["meraki"], body)]
    assert found == [
        (
            Identity(None, "18:fe:34:fc:5a:7f"),
            Observation(JOINED, "00180a13ddb0", 1_474_675_583_000, blur_ms=999),
        ),
        (
            Identity(None, "74:da:38:56:0a:80"),
            Observation(JOINED, "00180a13ddb0", 1_474_675_600_000, blur_ms=999),
        ),
    ]


def test_a_real_location_of_spaces_is_on_the_floor_of_its_chain() -> None:
    body = (SHARED / "wifi/cisco-spaces-device-location-update.json").read_bytes()
    identity, seen = meaning("cisco-spaces", body)
    assert identity == Identity(None, "00:39:a7:8f:4a:00")
    assert seen is not None
    assert (seen.kind, seen.ap) == (JOINED, "")
    assert (seen.observed_at_ms, seen.blur_ms) == (1_641_975_908_000, 999)
    assert seen.spot is not None
    assert seen.spot.floor == "733542549725119049"
    assert (seen.spot.x, seen.spot.y) == (372.79483, 210.72083)
    assert seen.spot.accuracy_m == pytest.approx(99.9744)


def test_a_real_keep_alive_of_spaces_is_about_nobody_and_says_nothing() -> None:
    body = (SHARED / "wifi/cisco-spaces-keep-alive.json").read_bytes()
    form = FORMATS["cisco-spaces"]
    assert one(form.identify, body) == Identity()
    assert not one(form.read, body, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("name", "device", "kind"),
    [
        ("cisco-cmx-notification-movement", "00:00:a9:3e:a7:3a", JOINED),
        ("cisco-cmx-notification-inout", "00:00:69:99:34:80", ObservationKind.LEFT),
    ],
)
def test_real_notifications_of_cmx(
    name: str, device: str, kind: ObservationKind
) -> None:
    body = (SHARED / f"wifi/{name}.json").read_bytes()
    (record,) = split(FORMATS["cmx"], body)
    identity, seen = meaning("cmx", record)
    assert identity == Identity(None, device)
    assert seen is not None
    assert (seen.kind, seen.ap) == (kind, "002b01000900")
    assert seen.observed_at_ms == 1_509_341_797_241
    if kind is JOINED:
        assert seen.spot is not None
        # The digits as they stand, which are more than a float holds.
        assert seen.spot.floor == "723413320329068590"
        assert (seen.spot.x, seen.spot.y) == (47.92146, 57.322598)
        assert seen.spot.accuracy_m == pytest.approx(17.0688)


def test_a_real_list_of_cmx_takes_the_floor_that_no_float_has_rounded() -> None:
    body = (SHARED / "wifi/cisco-cmx-v3-clients.json").read_bytes()
    (record,) = split(FORMATS["cmx"], body)
    identity, seen = meaning("cmx", record)
    assert identity == Identity("user-1", "f4:8c:50:00:53:01")
    assert seen is not None
    assert (seen.ap, seen.observed_at_ms) == ("70df2fb53860", 1_530_864_250_486)
    assert seen.spot is not None
    assert seen.spot.floor == "788149884915780818"
    assert (seen.spot.x, seen.spot.y) == (84.5761, 84.75132)
    assert seen.spot.accuracy_m == pytest.approx(7.3152)
