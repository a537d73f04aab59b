"""Real payloads, where the collection of them lies beside the repository.

What they mean is written here by hand; they are not copied, so that each has one home.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from engine.errors import Malformed
from engine.ingest.formats import FORMATS, find
from engine.model import Identity, ObservationKind
from tests.ingest.formats.golden import NOW_MS, one

SHARED = Path(__file__).resolve().parents[4] / "shared" / "samples"

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no collection of samples beside the repository"
)

DECODED: dict[str, list[tuple[str, str, int]]] = {
    "milesight-vs341-desk-occupied": [("", "PRESENCE", 1)],
    "milesight-vs341-desk-vacant": [("", "PRESENCE", 0)],
    "milesight-vs330-distance-occupancy": [("", "PRESENCE", 1)],
    "milesight-vs370-radar": [("", "PRESENCE", 1)],
    "milesight-ws203-occupancy": [
        ("", "PRESENCE", 0),
        ("", "ENV", 30_800),
        ("", "ENV", 50_500),
    ],
    "milesight-ws203-history": [
        ("", "PRESENCE", 0),
        ("", "ENV", 29_200),
        ("", "ENV", 50_500),
        ("", "PRESENCE", 1),
        ("", "ENV", 30_800),
        ("", "ENV", 50_500),
        ("", "HEALTH", 1),
    ],
    "milesight-ws202-pir": [("", "MOTION", 1)],
    "milesight-am308-pir-co2": [
        ("", "MOTION", 1),
        ("", "ENV", 936_000),
        ("", "ENV", 23_800),
        ("", "ENV", 62_000),
    ],
    "milesight-ws301-contact": [("", "CONTACT", 1)],
    "milesight-vs121-people-count": [
        ("", "COUNT", 3),
        ("region_1", "PRESENCE", 1),
        ("region_2", "PRESENCE", 0),
        ("region_3", "PRESENCE", 0),
        ("region_4", "PRESENCE", 0),
        ("region_5", "PRESENCE", 0),
        ("region_6", "PRESENCE", 1),
        ("region_7", "PRESENCE", 0),
        ("region_8", "PRESENCE", 1),
    ],
    "milesight-vs121-region-counts": [
        *[
            (f"region_{number}", "COUNT", count)
            for number, count in enumerate([0, 1, 0, 0, 0, 0, 0, 3, 1], start=1)
        ],
        *[(f"region_{number}", "COUNT", 0) for number in range(10, 17)],
    ],
    "milesight-vs121-flow-matrix": [("", "HEALTH", 1)],
    "milesight-vs121-period-in-out": [("", "FLOW_DELTA", 2)],
    "milesight-vs132-totals": [("", "FLOW_TOTAL", 190), ("", "FLOW_DELTA", 0)],
    "milesight-vs133-region-count": [
        ("region_1", "COUNT", 2),
        ("region_2", "COUNT", 16),
        ("region_3", "COUNT", 7),
        ("region_4", "COUNT", 9),
    ],
    "milesight-vs133-line-totals": [
        ("line_1", "FLOW_TOTAL", 72),
        ("line_2", "FLOW_TOTAL", 0),
        ("line_3", "FLOW_TOTAL", 0),
        ("line_4", "FLOW_TOTAL", 5_300),
    ],
    "milesight-vs133-line-period": [
        ("line_1", "FLOW_DELTA", 0),
        ("line_2", "FLOW_DELTA", 0),
        ("line_3", "FLOW_DELTA", 0),
        ("line_4", "FLOW_DELTA", 5),
    ],
    "milesight-vs350-passage-totals": [
        ("", "FLOW_TOTAL", 18),
        ("", "FLOW_DELTA", 19),
    ],
    "milesight-vs350-history-period": [("", "FLOW_DELTA", 11), ("", "HEALTH", 1)],
    "milesight-vs350-history-total": [
        ("", "FLOW_TOTAL", 29),
        ("", "FLOW_DELTA", 7),
        ("", "HEALTH", 1),
    ],
    "milesight-vs360-fault-events": [
        ("", "HEALTH", -1),
        ("", "HEALTH", 1),
        ("", "HEALTH", -1),
        ("", "HEALTH", -1),
    ],
    "ttn-elsys-ems-desk": [
        ("", "PRESENCE", 1),
        ("", "ENV", 22_600),
        ("", "ENV", 41_000),
    ],
    "ttn-elsys-ers-eye": [
        ("", "PRESENCE", -1),
        ("", "MOTION", 6),
        ("", "ENV", 22_600),
        ("", "ENV", 41_000),
    ],
    "ttn-milesight-vs121": [
        ("", "COUNT", 3),
        ("region_1", "PRESENCE", -1),
        ("region_2", "PRESENCE", -1),
        ("region_3", "PRESENCE", 0),
    ],
    "ttn-milesight-vs133": [
        ("line_1", "FLOW_TOTAL", 72),
        ("line_1", "FLOW_DELTA", 0),
        ("line_2", "FLOW_TOTAL", 0),
        ("line_2", "FLOW_DELTA", 0),
    ],
    "ttn-browan-tbms100-pir": [("", "MOTION", 1)],
}


def read(name: str, body: bytes, topic: str) -> list[tuple[str, str, int]]:
    return [
        (reading.channel, reading.kind.name, reading.value)
        for reading in one(find(name).read, body, topic) or ()
    ]


ENVELOPES = {
    "chirpstack4": ("chirpstack-v4-up", ("object",)),
    "tts3": ("tts-v3-uplink", ("uplink_message", "decoded_payload")),
    "milesight-gateway": ("milesight-gateway-loraobject", ("object",)),
}


@pytest.mark.parametrize("name", DECODED)
@pytest.mark.parametrize("form", ENVELOPES)
def test_a_real_payload_means_the_same_in_every_envelope(form: str, name: str) -> None:
    envelope, way = ENVELOPES[form]
    body = json.loads((SHARED / f"sensors/{envelope}.json").read_bytes())
    place = body
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = json.loads((SHARED / f"sensors/{name}.json").read_bytes())
    found = read(form, json.dumps(body).encode(), "")
    assert sorted(found) == sorted(DECODED[name])


def test_a_real_uplink_without_a_decoder_is_alive() -> None:
    body = (SHARED / "sensors/tts-v3-uplink-undecoded.json").read_bytes()
    assert read("tts3", body, "") == [("", "HEALTH", 1)]


def test_a_real_uplink_of_a_thermometer_is_air() -> None:
    body = (SHARED / "sensors/tts-v3-uplink.json").read_bytes()
    assert read("tts3", body, "") == [("", "ENV", 1_000)]


def test_a_real_uplink_of_a_gateway_without_a_decoder_is_alive() -> None:
    body = (SHARED / "sensors/milesight-gateway-loraobject.json").read_bytes()
    assert read("milesight-gateway", body, "") == [("", "HEALTH", 1)]


def test_a_real_vivid_says_motion_by_255() -> None:
    """Its file holds what the decoder returned beside what was made of that."""
    file = SHARED / "sensors/ttn-tektelic-vivid-motion.json"
    body = json.loads((SHARED / "sensors/tts-v3-uplink.json").read_bytes())
    body["uplink_message"]["decoded_payload"] = json.loads(file.read_bytes())["data"]
    assert read("tts3", json.dumps(body).encode(), "") == [("", "MOTION", 1)]


def test_a_simulated_uplink_is_refused() -> None:
    body = (SHARED / "sensors/tts-v3-uplink-simulated.json").read_bytes()
    with pytest.raises(Malformed):
        read("tts3", body, "")


XOVIS: dict[str, list[tuple[str, str, int, int]]] = {
    "live-data-count": [("Line-based logic 2/fw", "FLOW_TOTAL", 1471, 0)],
    "live-data-line-cross": [("", "HEALTH", 1, 0)],
    "logics-data": [
        *[("Zone 0", "COUNT", 0, 0)] * 4,
        ("Line 0", "FLOW_DELTA", 1, 0),
        ("Line 0", "FLOW_DELTA", 3, 1),
        ("Line 0", "FLOW_DELTA", 0, 0),
        ("Line 0", "FLOW_DELTA", 0, 0),
    ],
    "status-data": [("", "HEALTH", 1, 0)],
}


@pytest.mark.parametrize("name", XOVIS)
def test_real_pushes_of_xovis_are_counts_and_flows(name: str) -> None:
    body = (SHARED / f"sensors/xovis-{name}.json").read_bytes()
    found = one(find("xovis").read, body) or ()
    rows = [(r.channel, r.kind.name, r.value, r.out) for r in found]
    assert rows == XOVIS[name]


@pytest.mark.parametrize(
    ("event", "readings"), [("up", 1), ("status", 1), ("join", 0), ("log", 0)]
)
def test_real_events_of_chirpstack_are_told_apart(event: str, readings: int) -> None:
    body = (SHARED / f"sensors/chirpstack-v4-{event}.json").read_bytes()
    for topic in ("", f"1/device/0101010101010101/event/{event}"):
        assert read("chirpstack4", body, topic) == [("", "HEALTH", 1)] * readings


@pytest.mark.parametrize(
    "name", ["aqara-rtcgq11lm", "hue-sml001-cached", "ikea-e1745", "xiaomi-occupancy"]
)
def test_real_states_of_zigbee2mqtt_are_presence(name: str) -> None:
    body = (SHARED / f"sensors/zigbee2mqtt-{name}.json").read_bytes()
    assert read("zigbee2mqtt", body, "hall") == [("", "PRESENCE", 1)]


@pytest.mark.parametrize(
    ("name", "identity", "kind", "ap"),
    [
        (
            "radius-accounting-start-aruba-iap",
            Identity("user-1", "dadb91005301"),
            ObservationKind.JOINED,
            "04bd88005302",
        ),
        (
            "radius-accounting-interim-cisco-wlc",
            Identity(None, "90-b9-31-00-53-01"),
            ObservationKind.JOINED,
            "58bc27005302",
        ),
        (
            "radius-accounting-stop-unifi-ap",
            Identity("user-1", "F8-4E-73-00-53-01"),
            ObservationKind.LEFT,
            "b4fbe4005302",
        ),
        (
            "radius-openwisp-accounting-start",
            Identity("username", "A4-02-B9-D3-FD-29"),
            ObservationKind.JOINED,
            "c04a00eed10d",
        ),
    ],
)
def test_real_accounting_is_observed(
    name: str, identity: Identity, kind: ObservationKind, ap: str
) -> None:
    form = FORMATS["radius"]
    assert form.identify is not None
    assert form.observe is not None
    body = accounting(name)
    assert one(form.identify, body) == identity
    observation = one(form.observe, body, now_ms=NOW_MS)
    assert observation is not None
    assert (observation.kind, observation.ap) == (kind, ap)
    assert NOW_MS - 5_000 <= observation.observed_at_ms <= NOW_MS


def accounting(name: str) -> bytes:
    """Return the JSON of a packet, also of one that is kept as attribute lines."""
    path = SHARED / f"wifi/{name}.json"
    if path.exists():
        return path.read_bytes()
    lines = path.with_suffix(".txt").read_text().splitlines()
    pairs = (line.split(" = ", 1) for line in lines if line)
    return msgspec.json.encode({key: value.strip("'\"") for key, value in pairs})


@pytest.mark.parametrize(
    "name", ["freeradius-json-object", "freeradius-json-object-simple"]
)
def test_a_login_is_found_in_every_real_shape_and_no_accounting_is_made_up(
    name: str,
) -> None:
    form = FORMATS["radius"]
    assert form.identify is not None
    assert form.observe is not None
    for shape in (name, "freeradius-rest-lists"):
        body = (SHARED / f"wifi/radius-{shape}.json").read_bytes()
        assert one(form.identify, body) == Identity("bob", None)
        with pytest.raises(Malformed):
            one(form.observe, body, now_ms=NOW_MS)
