"""Events as messages on the wire, in the shapes that real systems send."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgpack
import msgspec

from engine.simulate import uplinks
from engine.simulate.events import Link, Radio, Report, Sense
from engine.simulate.fittings import Controller, Model
from engine.simulate.people import Carried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.simulate.building import Building
    from engine.simulate.delivery import Delivery
    from engine.simulate.people import Device, Person

BATCH: Final = 500
"""Records in one message at most."""
WEBHOOK: Final = "/v1/ingest/radius"
"""Path of the RADIUS source."""


class Via(StrEnum):
    """How a message travels."""

    MQTT = "mqtt"
    HTTP = "http"


class Message(NamedTuple):
    """A message: `topic` is the path of the webhook where it goes by HTTP."""

    via: Via
    source: str
    topic: str
    payload: bytes
    retain: bool = False


class Feed(NamedTuple):
    """A source as the engine must be told of it.

    Attributes:
        name: As in the table of sensors.
        format: What its bytes mean.
        topics: Its MQTT filter; "" where it comes by `POST /v1/ingest/{name}`.
    """

    name: str
    format: str
    topics: str


def feeds(prefix: str, *, vendor_prefix: str = "") -> tuple[Feed, ...]:
    """Return every source of the simulation.

    Args:
        prefix: What livefloor's own topics are beneath; "" is nothing.
        vendor_prefix: The same for ChirpStack and Zigbee2MQTT, which have none unless
            they are given one.
    """
    lora, zigbee = "application/+/device/+/event/+", "zigbee2mqtt/#"
    return (
        Feed("wifi", "livefloor", _beneath(prefix, "wifi")),
        Feed("sensors", "livefloor", _beneath(prefix, "sensors")),
        Feed("radius", "radius", ""),
        Feed("chirpstack", "chirpstack4", _beneath(vendor_prefix, lora)),
        Feed("zigbee2mqtt", "zigbee2mqtt", _beneath(vendor_prefix, zigbee)),
    )


def _beneath(prefix: str, topic: str) -> str:
    return f"{prefix}/{topic}" if prefix else topic


class Clock:
    """Maps simulated seconds to real milliseconds since 1970."""

    def __init__(self, wall_ms: float, at_s: float, speed: float) -> None:
        self._wall_ms = wall_ms
        self._at_s = at_s
        self._speed = speed

    def wall_ms(self, at_s: float) -> int:
        """Return the real time of a simulated one."""
        return int(self._wall_ms + (at_s - self._at_s) * 1000 / self._speed)

    def at_s(self, wall_ms: float) -> float:
        """Return the simulated time of a real one."""
        return self._at_s + (wall_ms - self._wall_ms) * self._speed / 1000

    def behind_s(self, at_s: float, wall_ms: float) -> float:
        """Return how many real seconds ago a simulated time was due."""
        return (self.at_s(wall_ms) - at_s) / self._speed


Record: TypeAlias = dict[str, Any]
_Shape: TypeAlias = Callable[[Record], Record]


def _simple(attributes: Record) -> Record:
    """The `json` module with simple objects."""
    return attributes


def _typed(attributes: Record) -> Record:
    """The `json` module with objects: each attribute has a type."""
    return {
        name: {"type": _RADIUS_TYPES.get(name, "string"), "value": value}
        for name, value in attributes.items()
    }


def _lists(attributes: Record) -> Record:
    """The `rest` module: lists of attributes; a value is always a list."""
    typed = {
        name: {"type": _RADIUS_TYPES.get(name, "string"), "value": [value]}
        for name, value in attributes.items()
    }
    return {"request": typed, "reply": {}, "control": {}, "session-state": {}}


_RADIUS_TYPES: Final = {
    "Acct-Delay-Time": "uint32",
    "Acct-Status-Type": "uint32",
    "Event-Timestamp": "date",
    "Framed-IP-Address": "ipaddr",
    "NAS-IP-Address": "ipaddr",
    "NAS-Port-Type": "uint32",
}
_SHAPES: Final[tuple[_Shape, ...]] = (_simple, _typed, _lists)
"""By access point: every server of the simulated organisation is set up differently."""
_STATUS: Final = {
    Link.JOINED: "Start",
    Link.STILL: "Interim-Update",
    Link.LEFT: "Stop",
}


class Encoder:
    """Turns deliveries into messages; remembers what real gateways remember.

    Args:
        building: Access points and sensors.
        people: Whose devices they are.
        prefix: What livefloor's own topics are beneath; see `feeds`.
        vendor_prefix: The same for ChirpStack and Zigbee2MQTT.
    """

    def __init__(
        self,
        building: Building,
        people: Sequence[Person],
        *,
        prefix: str = "demo",
        vendor_prefix: str = "",
    ) -> None:
        self._aps = building.access_points
        self._people = people
        self._devices = [device for person in people for device in person.devices]
        self._sensors = building.sensors
        self._lora = uplinks.Gateway(building.sensors)
        self._wifi_topic = _beneath(prefix, "wifi")
        self._sensor_topic = _beneath(prefix, "sensors")
        self._vendor_prefix = vendor_prefix
        self._json = msgspec.json.Encoder().encode
        # Another library than the engine's: what one writes the other must read.
        self._msgpack = msgpack.packb

    def messages(self, deliveries: Iterable[Delivery], clock: Clock) -> list[Message]:
        """Return the messages of deliveries that are due at about the same time.

        livefloor's own events travel in batches where there are several, all others
        one by one, as they do from their real senders.
        """
        own: dict[str, list[Record]] = {"wifi": [], "late": [], "sensors": []}
        found: list[Message] = []
        posts: list[Message] = []
        for _, event in deliveries:
            wall_ms = clock.wall_ms(event.at_s)
            if isinstance(event, Radio):
                ap = self._aps[event.ap]
                if ap.controller is Controller.RADIUS:
                    posts.append(self._radius(event, wall_ms))
                else:
                    late = ap.controller is Controller.LATE
                    own["late" if late else "wifi"].append(self._wifi(event, wall_ms))
            elif self._sensors[event.sensor].source == "sensors":
                own["sensors"].append(self._own(event, wall_ms))
            else:
                found.append(self._foreign(event, wall_ms))
        for key, records in own.items():
            found += self._batches(key, records)
        return found + posts

    def _batches(self, key: str, records: list[Record]) -> Iterable[Message]:
        source = "sensors" if key == "sensors" else "wifi"
        topic = self._sensor_topic if key == "sensors" else self._wifi_topic
        encode = self._msgpack if key == "late" else self._json
        for first in range(0, len(records), BATCH):
            batch = records[first : first + BATCH]
            payload = encode(batch if len(batch) > 1 else batch[0])
            yield Message(Via.MQTT, source, topic, payload)

    def _wifi(self, event: Radio, wall_ms: int) -> Record:
        """An association as our own event; the network of guests knows no login."""
        device = self._devices[event.device]
        record = {
            "device": device.address,
            "ap": self._aps[event.ap].name,
            "event": "left" if event.link is Link.LEFT else "joined",
            "at": wall_ms,
            "session": f"{event.device:x}-{event.session:x}",
        }
        if self._authenticated(device):
            record["login"] = self._people[device.person].login
        return record

    def _authenticated(self, device: Device) -> bool:
        """Watches and guests are on a network without logins."""
        guest = self._people[device.person].visits
        return device.carried is not Carried.WATCH and not guest

    def _radius(self, event: Radio, wall_ms: int) -> Message:
        device = self._devices[event.device]
        ap = self._aps[event.ap]
        address = device.address.replace(":", "-").upper()
        bssid = ap.name.replace(":", "-").upper()
        user = self._people[device.person].login
        if not self._authenticated(device):
            user = device.address.replace(":", "")  # authenticated by its address
        attributes: Record = {
            "Acct-Status-Type": _STATUS[event.link],
            "Acct-Session-Id": f"{event.device:08X}{event.session:08X}",
            "User-Name": user,
            "Calling-Station-Id": address,
            "Called-Station-Id": f"{bssid}:livefloor",
            "NAS-Identifier": f"wlc-{ap.level}",
            "NAS-IP-Address": f"10.10.{ap.level}.{ap.row % 250 + 1}",
            "NAS-Port-Type": "Wireless-802.11",
            "Framed-IP-Address": f"10.{20 + ap.level}.{event.device >> 8 & 255}."
            f"{event.device & 255}",
            "Event-Timestamp": rfc3339(wall_ms),
            "Acct-Delay-Time": 0,
        }
        payload = self._json(_SHAPES[ap.row % len(_SHAPES)](attributes))
        return Message(Via.HTTP, "radius", WEBHOOK, payload)

    def _own(self, event: Sense, wall_ms: int) -> Record:
        sensor = self._sensors[event.sensor]
        if sensor.model is Model.OWN_COUNT:
            return {"sensor": sensor.device, "count": event.value, "at": wall_ms}
        return {"sensor": sensor.device, "occupied": event.value > 0, "at": wall_ms}

    def _foreign(self, event: Sense, wall_ms: int) -> Message:
        sensor = self._sensors[event.sensor]
        if sensor.source == "chirpstack":
            topic, record = self._lora.uplink(event, rfc3339(wall_ms))
            topic = _beneath(self._vendor_prefix, topic)
            return Message(Via.MQTT, "chirpstack", topic, self._json(record))
        topic = _beneath(self._vendor_prefix, f"zigbee2mqtt/{sensor.device}")
        if event.report is Report.HEALTH:
            state = self._json({"state": "online" if event.value else "offline"})
            topic += "/availability"
            return Message(Via.MQTT, "zigbee2mqtt", topic, state, retain=True)
        payload = self._json(uplinks.zigbee(sensor, event, rfc3339(wall_ms)))
        return Message(Via.MQTT, "zigbee2mqtt", topic, payload)


def rfc3339(wall_ms: int) -> str:
    """Return a time as text, in UTC with milliseconds."""
    moment = datetime.fromtimestamp(wall_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds")
