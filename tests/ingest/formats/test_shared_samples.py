"""Real payloads, where the collection of them lies beside the repository.

What they mean is written here by hand; they are not copied, so that each has one home.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from engine.errors import Malformed
from engine.ingest.formats import FORMATS, find, names
from engine.ingest.formats.sparkplug import Payload
from engine.model import Identity, ObservationKind, ReadingKind
from tests.ingest.formats.golden import NOW_MS, new, one

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


BUILDING: dict[str, tuple[str, str, list[tuple[str, str, int]]]] = {
    "tasmota-switch1-sensor": (
        "tasmota",
        "tele/tasmota/SENSOR",
        [
            ("switch1", "PRESENCE", 1),
            ("switch1", "MOTION", 1),
            ("switch1", "CONTACT", 1),
        ],
    ),
    "tasmota-ld2410-sensor": (
        "tasmota",
        "tele/booth/SENSOR",
        [("ld2410", "MOTION", 1)],
    ),
    "shelly-gen2-notifystatus": ("shelly", "shellypro4pm-f008d1d8b8b8/events/rpc", []),
    "sensorthings-observation-published": (
        "sensorthings",
        "v1.0/Datastreams(1)/Observations",
        [("", "PRESENCE", -1), ("", "COUNT", 26), ("", "MOTION", 26)],
    ),
    "sensorthings-observation-created": (
        "sensorthings",
        "v1.0/Datastreams(1)/Observations",
        [],
    ),
    "haltian-thingsee-presence-2100": ("thingsee", "", [("", "PRESENCE", 0)]),
    "haltian-thingsee-occupancy-2100": ("thingsee", "", [("", "PRESENCE", 1)]),
    "haltian-thingsee-movecount-13100": ("thingsee", "", [("", "MOTION", 7)]),
    "haltian-iot-movement-detections": (
        "haltian-iot",
        "haltian-iot/events/i/k/measurements/movementDetections/1f0c",
        [("", "MOTION", 7)],
    ),
}


@pytest.mark.parametrize("name", BUILDING)
def test_real_messages_of_building_mqtt_are_read(name: str) -> None:
    form, topic, readings = BUILDING[name]
    body = (SHARED / f"sensors/{name}.json").read_bytes()
    assert read(form, body, topic) == readings


def test_an_uplink_that_names_no_device_is_refused() -> None:
    """The sample is a part of a message."""
    body = (SHARED / "sensors/tts-v3-uplink-normalized.json").read_bytes()
    with pytest.raises(Malformed):
        read("tts3", body, "")


def test_a_phone_that_espresense_located_is_refused() -> None:
    whole = json.loads((SHARED / "sensors/espresense-devices.json").read_bytes())
    body = json.dumps(whole["devices"][0]).encode()
    with pytest.raises(Malformed) as refused:
        read("espresense", body, "espresense/devices/apple:iphone15-3/kitchen")
    assert "iphone" not in str(refused.value).lower()


FOREIGN = {
    # A phone that a Bluetooth gateway saw: of a person, and not asked for.
    "theengs-ble-tracker": "home/TheengsGateway/BTtoMQTT/112233445566",
    # Of sources that are not read: beacons, protobuf as text, an event log as text.
    "ruckus-iot-beacon": "",
    "ruckus-spot-locations": "",
    "meraki-event-log-association": "",
    # What a map is, as its vendor answers; `maps.toml` says it for the engine.
    "mist-map": "",
}


@pytest.mark.parametrize("sample", FOREIGN)
@pytest.mark.parametrize("name", names())
def test_what_no_format_is_for_is_nothing_to_any(name: str, sample: str) -> None:
    """Whether a format refuses it or passes it over, nothing comes of it."""
    [path] = SHARED.glob(f"*/{sample}.*")
    body, topic = path.read_bytes(), FOREIGN[sample]
    form = new(find(name))
    refused: list[Exception] = []
    records, topics = form.split([body], [topic], refused.append)
    for function in (form.identify, form.read):
        if function is not None:
            found = function(records, topics, NOW_MS, refused.append)
            assert not [one for one in found if one and one != Identity()]


def test_a_test_says_of_every_real_payload_what_it_means() -> None:
    tests = Path(__file__).parents[2].rglob("test_*.py")
    said = {word for test in tests for word in re.findall(r"[\w-]+", test.read_text())}
    here = {path.stem for path in SHARED.glob("*/*") if path.stem != "SOURCES"}
    assert here - said == set()


def test_real_announcements_say_what_a_topic_means() -> None:
    form = new(find("ha-discovery"))
    topic = "homeassistant/binary_sensor/{}/config"
    # The first is of a version with a usual state topic, which is no longer one.
    body = (SHARED / "sensors/homeassistant-discovery-motion.json").read_bytes()
    assert one(form.read, body, topic.format("garden")) == ()
    assert one(form.read, b"ON", "homeassistant/binary_sensor/garden/state") == ()
    body = (SHARED / "sensors/homeassistant-discovery-tasmota-pir.json").read_bytes()
    assert one(form.read, body, topic.format("tasmota")) == ()
    (motion,) = one(form.read, b"1", "stat/%topic%/MOTION") or ()
    (health,) = one(form.read, b"Offline", "tele/%topic%/LWT") or ()
    assert (motion.device, motion.kind, motion.value) == (
        "%deviceid%_motion",
        ReadingKind.MOTION,
        1,
    )
    assert (health.device, health.kind, health.value) == (
        "%deviceid%_motion",
        ReadingKind.HEALTH,
        0,
    )


def test_the_payload_of_the_sparkplug_specification_is_read() -> None:
    """It stands there as JSON; on the wire it is protobuf."""
    told = json.loads((SHARED / "sensors/sparkplug-b-ddata.json").read_bytes())
    body = Payload(timestamp=told["timestamp"], seq=told["seq"])
    for metric in told["metrics"]:
        body.metrics.add(
            name=metric["name"],
            timestamp=metric["timestamp"],
            datatype=11,
            boolean_value=metric["value"],
        )
    topic = "spBv1.0/Sparkplug B Devices/DDATA/Raspberry Pi/Pibrella"
    assert read("sparkplug", body.SerializeToString(), topic) == [
        (name, kind, 1)
        for name in ("Inputs/A", "Inputs/C")
        for kind in ("PRESENCE", "MOTION", "CONTACT")
    ]


XOVIS: dict[str, list[tuple[str, str, int, int]]] = {
    "xovis-live-data-count": [("Line-based logic 2/fw", "FLOW_TOTAL", 1471, 0)],
    "xovis-live-data-line-cross": [("", "HEALTH", 1, 0)],
    "xovis-logics-data": [
        *[("Zone 0", "COUNT", 0, 0)] * 4,
        ("Line 0", "FLOW_DELTA", 1, 0),
        ("Line 0", "FLOW_DELTA", 3, 1),
        ("Line 0", "FLOW_DELTA", 0, 0),
        ("Line 0", "FLOW_DELTA", 0, 0),
    ],
    "xovis-status-data": [("", "HEALTH", 1, 0)],
}


@pytest.mark.parametrize("name", XOVIS)
def test_real_pushes_of_xovis_are_counts_and_flows(name: str) -> None:
    body = (SHARED / f"sensors/{name}.json").read_bytes()
    found = one(find("xovis").read, body) or ()
    rows = [(r.channel, r.kind.name, r.value, r.out) for r in found]
    assert rows == XOVIS[name]


@pytest.mark.parametrize(
    ("name", "readings"),
    [
        ("chirpstack-v4-up", 1),
        ("chirpstack-v4-status", 1),
        ("chirpstack-v4-join", 0),
        ("chirpstack-v4-log", 0),
    ],
)
def test_real_events_of_chirpstack_are_told_apart(name: str, readings: int) -> None:
    body = (SHARED / f"sensors/{name}.json").read_bytes()
    event = name.removeprefix("chirpstack-v4-")
    for topic in ("", f"1/device/0101010101010101/event/{event}"):
        assert read("chirpstack4", body, topic) == [("", "HEALTH", 1)] * readings


@pytest.mark.parametrize(
    "name",
    [
        "zigbee2mqtt-aqara-rtcgq11lm",
        "zigbee2mqtt-hue-sml001-cached",
        "zigbee2mqtt-ikea-e1745",
        "zigbee2mqtt-xiaomi-occupancy",
    ],
)
def test_real_states_of_zigbee2mqtt_are_presence(name: str) -> None:
    body = (SHARED / f"sensors/{name}.json").read_bytes()
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
    """Return a packet in JSON or in attribute lines."""
    [path] = SHARED.glob(f"wifi/{name}.*")
    return path.read_bytes()


@pytest.mark.parametrize(
    "name", ["radius-freeradius-json-object", "radius-freeradius-json-object-simple"]
)
def test_a_login_is_found_in_every_real_shape_and_no_accounting_is_made_up(
    name: str,
) -> None:
    form = FORMATS["radius"]
    assert form.identify is not None
    assert form.observe is not None
    for shape in (name, "radius-freeradius-rest-lists"):
        body = (SHARED / f"wifi/{shape}.json").read_bytes()
        assert one(form.identify, body) == Identity("bob", None)
        with pytest.raises(Malformed):
            one(form.observe, body, now_ms=NOW_MS)
