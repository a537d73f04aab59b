"""What decoders of LoRaWAN devices return means the same in every envelope.

For each device and decoder, done or exempt:

- a payload in the real shape, with what it must mean, in `decoded/`
- the envelopes of The Things Stack, ChirpStack and Milesight's gateways; of the last
  also with the fields beside its own
- restart, loss: exempt, nothing is kept between two uplinks
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.ingest.formats import find
from tests.ingest.formats.golden import NOW_MS, meaning_of

if TYPE_CHECKING:
    from collections.abc import Callable

DECODED = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "decoded").glob("*.json"))
}
EUI = "24E124136C191967"
AT_MS = NOW_MS - 1_250
AT = "2026-03-02T08:59:58.750123456Z"


def tts3(decoded: dict[str, Any]) -> dict[str, Any]:
    return {
        "end_device_ids": {
            "device_id": "sensor-1",
            "application_ids": {"application_id": "offices"},
            "dev_eui": EUI,
            "dev_addr": "260B1234",
        },
        "received_at": "2026-03-02T08:59:59.014773143Z",
        "uplink_message": {
            "session_key_id": "AXA50tHUGUucuzS/bCGMNw==",
            "f_cnt": 7,
            "f_port": 85,
            "frm_payload": "AXVkAwAA",
            "decoded_payload": decoded,
            "received_at": AT,
        },
    }


def chirpstack4(decoded: dict[str, Any]) -> dict[str, Any]:
    return {
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
        "time": AT.replace("Z", "+00:00"),
        "deviceInfo": {"deviceName": "sensor 1", "devEui": EUI.lower()},
        "devAddr": "00189440",
        "fCnt": 7,
        "fPort": 85,
        "data": "AXVkAwAA",
        "object": decoded,
    }


def gateway(decoded: dict[str, Any]) -> dict[str, Any]:
    return {
        "applicationID": 1,
        "applicationName": "cloud",
        "deviceName": "sensor 1",
        "devEUI": EUI.lower(),
        "time": AT,
        "fCnt": 7,
        "fPort": 85,
        "data": "AXVkAwAA",
        "object": decoded,
    }


def gateway_flat(decoded: dict[str, Any]) -> dict[str, Any]:
    body = gateway({})
    del body["object"]
    return {**decoded, **body}


ENVELOPES: dict[str, tuple[str, str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "tts3": ("tts3", "offices/devices/sensor-1/up", tts3),
    "chirpstack4": ("chirpstack4", f"1/device/{EUI.lower()}/event/up", chirpstack4),
    "gateway": ("milesight-gateway", "uplink", gateway),
    "gateway-flat": ("milesight-gateway", "uplink", gateway_flat),
}


# In a flat message the envelope's own `time` stands where the device's would.
WRAPPED = [
    (name, envelope)
    for name in DECODED
    for envelope in ENVELOPES
    if envelope != "gateway-flat" or "time" not in DECODED[name]["decoded"]
]


@pytest.mark.parametrize(("name", "envelope"), WRAPPED)
def test_a_decoded_payload_means_the_same_in_every_envelope(
    name: str, envelope: str
) -> None:
    form, topic, wrap = ENVELOPES[envelope]
    body = json.dumps(wrap(DECODED[name]["decoded"])).encode()
    usual = {"device": EUI.lower(), "observed_at_ms": AT_MS, "flags": 0}
    found = meaning_of(find(form), body, topic, NOW_MS)
    assert sorted(map(str, map(sorted, map(dict.items, found["readings"])))) == sorted(
        str(sorted({**usual, **reading}.items()))
        for reading in DECODED[name]["readings"]
    )
    assert found.get("refused", []) == DECODED[name].get("refused", [])
