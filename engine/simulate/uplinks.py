"""Bodies of sensor messages as ChirpStack v4 and Zigbee2MQTT publish them."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import msgspec

from engine.simulate.fittings import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.simulate.events import Sense
    from engine.simulate.fittings import Sensor

APPLICATION: Final = "17c82e96-be03-4f38-aef3-f83d48582d97"

_PROFILES: Final = {
    Model.DESK_PRESENCE: "Milesight VS341",
    Model.PASSIVE_INFRARED: "Milesight WS202",
    Model.PEOPLE_COUNTER: "Milesight VS121",
}
_TX: Final = msgspec.Raw(
    msgspec.json.encode(
        {
            "frequency": 867100000,
            "modulation": {
                "lora": {
                    "bandwidth": 125000,
                    "spreadingFactor": 7,
                    "codeRate": "CR_4_5",
                }
            },
        }
    )
)


class Gateway:
    """A LoRaWAN network server: counts the frames of each device."""

    def __init__(self, sensors: Sequence[Sensor]) -> None:
        self._sensors = sensors
        self._frames = [0] * len(sensors)
        self._info: dict[int, tuple[str, msgspec.Raw]] = {}

    def uplink(self, event: Sense, time: str) -> tuple[str, dict[str, Any]]:
        """Return topic and body of the event `up` of a device."""
        sensor = self._sensors[event.sensor]
        known = self._info.get(sensor.row)
        if known is None:
            known = self._info[sensor.row] = _device(sensor)
        topic, info = known
        frame = self._frames[sensor.row] = self._frames[sensor.row] + 1
        decoded, data = _decoded(sensor, event.value)
        body = {
            "deduplicationId": f"{sensor.row:08x}-{frame >> 16:04x}-4{frame & 4095:03x}"
            f"-8a5b-{sensor.device[-12:]}",
            "time": time,
            "deviceInfo": info,
            "devAddr": f"01{sensor.row:06x}",
            "adr": True,
            "dr": 5,
            "fCnt": frame,
            "fPort": 85,
            "confirmed": False,
            "data": b64encode(data).decode(),
            "object": decoded,
            "rxInfo": [
                {
                    "gatewayId": "24e124fffef5a001",
                    "uplinkId": frame * 7919 & 0xFFFFFFFF,
                    "rssi": -60 - sensor.row % 40,
                    "snr": 9.5,
                    "context": "E3OWOQ==",
                    "metadata": {"region_config_id": "eu868"},
                }
            ],
            "txInfo": _TX,
        }
        return topic, body


def _device(sensor: Sensor) -> tuple[str, msgspec.Raw]:
    """Return topic and the part of the body that never changes."""
    info = {
        "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
        "tenantName": "ChirpStack",
        "applicationId": APPLICATION,
        "applicationName": "Workplace",
        "deviceProfileId": "14855bf7-d10d-4aee-b618-ebfcb64dc7ad",
        "deviceProfileName": _PROFILES[sensor.model],
        "deviceName": f"sensor-{sensor.row}",
        "devEui": sensor.device,
        "tags": {},
    }
    topic = f"application/{APPLICATION}/device/{sensor.device}/event/up"
    return topic, msgspec.Raw(msgspec.json.encode(info))


def _decoded(sensor: Sensor, value: int) -> tuple[dict[str, Any], bytes]:
    """Return what the codec of the device makes of its bytes, and the bytes."""
    battery = _battery(sensor)
    power = bytes((0x01, 0x75, battery))
    match sensor.model:
        case Model.DESK_PRESENCE:
            occupancy = "occupied" if value else "vacant"
            data = power + bytes((0x03, 0x00, value))
            return {"battery": battery, "occupancy": occupancy}, data
        case Model.PASSIVE_INFRARED:
            pir = "trigger" if value else "normal"
            data = power + bytes((0x03, 0x00, value, 0x04, 0x00, 0x01))
            return {"battery": battery, "pir": pir, "daylight": "light"}, data
        case _:  # a camera has no battery; no region is set up
            data = bytes((0x04, 0xC9, min(value, 255), 0x00, 0x00, 0x00))
            return {"people_count_all": value, "region_count": 0}, data


def zigbee(sensor: Sensor, event: Sense, time: str) -> dict[str, Any]:
    """Return everything that Zigbee2MQTT remembers of a device: each body has it all.

    That it is published says only that some attribute was reported, perhaps the light.
    """
    key = "presence" if sensor.model is Model.ZIGBEE_PRESENCE else "occupancy"
    body: dict[str, Any] = {
        "battery": _battery(sensor),
        "illuminance": 180 + (sensor.row * 37 + int(event.at_s // 600) * 11) % 240,
        "linkquality": 60 + sensor.row % 150,
        key: event.value > 0,
        "voltage": 2900 + sensor.row % 100,
    }
    if sensor.row % 2:  # `last_seen` is a setting; half of the devices here have it
        body["last_seen"] = time
    return body


def _battery(sensor: Sensor) -> int:
    return 62 + sensor.row * 7 % 38
