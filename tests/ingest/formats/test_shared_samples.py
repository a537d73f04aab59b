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
    "milesight-ws203-occupancy": [("", "PRESENCE", 0)],
    "milesight-ws203-history": [("", "HEALTH", 1)],
    "milesight-ws202-pir": [("", "MOTION", 1)],
    "milesight-am308-pir-co2": [("", "MOTION", 1)],
    "milesight-ws301-contact": [("", "HEALTH", 1)],
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
    "milesight-vs121-period-in-out": [("", "HEALTH", 1)],
    "milesight-vs133-region-count": [
        ("region_1", "COUNT", 2),
        ("region_2", "COUNT", 16),
        ("region_3", "COUNT", 7),
        ("region_4", "COUNT", 9),
    ],
    "milesight-vs133-line-totals": [("", "HEALTH", 1)],
    "milesight-vs350-history-total": [("", "HEALTH", 1)],
    "milesight-vs360-fault-events": [("", "HEALTH", 1)],
    "ttn-elsys-ems-desk": [("", "PRESENCE", 1)],
    "ttn-elsys-ers-eye": [("", "MOTION", 6), ("", "PRESENCE", -1)],
    "ttn-milesight-vs121": [
        ("", "COUNT", 3),
        ("region_1", "PRESENCE", -1),
        ("region_2", "PRESENCE", -1),
        ("region_3", "PRESENCE", 0),
    ],
    "ttn-milesight-vs133": [("", "HEALTH", 1)],
    "ttn-browan-tbms100-pir": [("", "HEALTH", 1)],
}


def read(name: str, body: bytes, topic: str) -> list[tuple[str, str, int]]:
    return [
        (reading.channel, reading.kind.name, reading.value)
        for reading in one(find(name).read, body, topic) or ()
    ]


@pytest.mark.parametrize("name", DECODED)
def test_what_a_real_codec_returns_is_read(name: str) -> None:
    envelope = json.loads((SHARED / "sensors/chirpstack-v4-up.json").read_bytes())
    envelope["object"] = json.loads((SHARED / f"sensors/{name}.json").read_bytes())
    found = read("chirpstack4", json.dumps(envelope).encode(), "event/up")
    assert found == DECODED[name]


ENVELOPES = {
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
    assert sorted(read(form, json.dumps(body).encode(), "")) == sorted(
        HISTORY.get(name, DECODED[name])
    )


HISTORY = {
    "milesight-ws203-history": [
        ("", "PRESENCE", 0),
        ("", "PRESENCE", 1),
        ("", "HEALTH", 1),
    ]
}
"""What a device could not send in time, which only profiles read."""


@pytest.mark.parametrize("name", ["tts-v3-uplink", "tts-v3-uplink-undecoded"])
def test_a_real_uplink_without_a_known_field_is_alive(name: str) -> None:
    body = (SHARED / f"sensors/{name}.json").read_bytes()
    assert read("tts3", body, "") == [("", "HEALTH", 1)]


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
