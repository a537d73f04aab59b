"""Zigbee2MQTT's state messages: what Zigbee sensors report, and who is available.

Who sends it: Zigbee2MQTT, with `output: json` (its default), on `{base}/{name}`, where
the base is `zigbee2mqtt` unless configured and a friendly name may hold "/".

`read` gets what is left of the topic after the source's base (`formats.base_of` of its
topic filter), hence the friendly name first. Where nothing was cut off, the usual base
`zigbee2mqtt/` is cut off here.

========================  =============================================================
`{name}`                  the attributes below. A body with none of them is another kind
                          of device's: nothing
`{name}/availability`     `online` or `offline`, or `{"state": "online"}`: health
`bridge/devices`          which attributes of a device are written otherwise: remembered
`{name}/set`, `…/get`     commands of others, not reports: nothing
`bridge/…`                Zigbee2MQTT about itself: nothing
an empty message          a retained one was cleared: nothing
========================  =============================================================

========================  =============================================================
`presence` (mmWave),      presence: true, false, null (unknown)
else `occupancy` (PIR)
`contact`                 contact: *true is closed*, false open
`action`                  of an Aqara FP1: `region_3_occupied` and `_enter` are presence
                          on channel `region_3`, `_unoccupied` its end. `_leave` is one
                          person's and says nothing of others
`co2`, `temperature`,     env. `illuminance` is not read: its unit depends on the
`humidity`                version of Zigbee2MQTT
========================  =============================================================

`bridge/devices` is retained, and tells of each device what it exposes. An attribute
whose values or name are others than above is read as it says there: `value_on` is 1, of
a contact open, and `occupancy_left` is `occupancy` on channel `left`. It is lost when
the engine restarts, and replayed when it connects.

The device is the friendly name in lower case. The time is `last_seen`, in any of the
three ways it can be configured (ISO 8601 in UTC, ISO 8601 local, epoch milliseconds),
else that of receipt.

Zigbee2MQTT repeats all attributes that it remembers whenever one of them is reported:
an `occupancy: true` may be hours old and published because the light changed. Each of
these readings therefore carries `ReadingFlag.CACHED`: an equal value proves that the
device is alive, and nothing about the space. An `action` is never repeated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from engine.errors import Malformed, TooLarge
from engine.ingest.formats.wire import (
    CACHED,
    CONTACT,
    ENV,
    HEALTH,
    MOTION,
    PRESENCE,
    Record,
    SourceTime,
    parse_time,
    sensor_time,
    thousandths,
)
from engine.model import Metric, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.model import ReadingKind

MAX_BYTES = 1 << 22
"""`bridge/devices` of a large network: a device has some 8 KB."""

MAX_DEVICES = 4_096
"""Devices with attributes that are written otherwise."""

MAX_FEATURES = 64
"""Of these attributes, of one device."""

USUAL_BASE = "zigbee2mqtt/"

_AVAILABILITY = "/availability"
_COMMANDS = frozenset({"set", "get"})
_LONGEST = 255
_REGION = re.compile(r"(region_[0-9]{1,2})_(enter|occupied|unoccupied)")
_METRICS: Final = {
    "co2": Metric.CO2,
    "temperature": Metric.TEMPERATURE,
    "humidity": Metric.HUMIDITY,
}


class _State(msgspec.Struct, gc=False):
    occupancy: bool | UnsetType | None = UNSET
    presence: bool | UnsetType | None = UNSET
    contact: bool | UnsetType | None = UNSET
    last_seen: SourceTime = None
    action: Any = None
    co2: Any = None
    temperature: Any = None
    humidity: Any = None


_NOTHING_MORE = (UNSET, None, None, None, None)


class _Availability(msgspec.Struct, gc=False):
    state: str


class _Exposed(msgspec.Struct, gc=False):
    """A feature of a device, as `bridge/devices` tells of it."""

    type: str = ""
    name: str = ""
    property: str = ""
    value_on: Any = None
    value_off: Any = None


class _Definition(msgspec.Struct, gc=False):
    exposes: list[_Exposed] = []


class _Device(msgspec.Struct, gc=False):
    friendly_name: str = ""
    definition: _Definition | None = None


class _Feature(NamedTuple):
    """An attribute that is written otherwise than usual.

    Attributes:
        attribute: Its name in the body.
        kind: What it measures.
        channel: What its name has more than usual.
        on, off: How its values are written, each as JSON.
    """

    attribute: str
    kind: ReadingKind
    channel: str
    on: bytes
    off: bytes


_KINDS: Final = {
    "presence": PRESENCE,
    "occupancy": PRESENCE,
    "motion": MOTION,
    "contact": CONTACT,
}
_USUAL: Final = {
    ("presence", b"true", b"false"),
    ("occupancy", b"true", b"false"),
    ("contact", b"false", b"true"),
}
"""Attributes with their values as `_State` reads them."""

_decode_state = msgspec.json.Decoder(_State).decode
_decode_body = msgspec.json.Decoder(dict[str, Any]).decode
_decode_availability = msgspec.json.Decoder(_Availability).decode
_decode_devices = msgspec.json.Decoder(list[_Device]).decode
_ONLINE_BY_BODY = {b"online": 1, b"offline": 0}
_ONLINE_BY_STATE = {"online": 1, "offline": 0}


class Memory:
    """What the devices of one source expose, where it is not the usual."""

    def __init__(self) -> None:
        self._features: dict[str, tuple[_Feature, ...]] = {}

    def read(self, record: Record, topic: str, now_ms: int) -> Sequence[Reading]:
        """Return what a message reports: states, or the availability of a device.

        Args:
            record: The body.
            topic: `{name}` or `{name}/availability`, after the source's base.
            now_ms: The time of receipt.

        Raises:
            Malformed: An availability that is neither online nor offline, or no name.
            TooLarge: More devices that are unusual than are remembered.
        """
        if "/" in topic:  # a plain name is the usual case, and needs no more questions
            topic = topic.removeprefix(USUAL_BASE)
            if topic.startswith("bridge/"):
                if topic == "bridge/devices":
                    self._features = _unusual(record)
                return ()
            if _is_command(topic):
                return ()
            if topic.endswith(_AVAILABILITY) and record:
                device = _device(topic.removesuffix(_AVAILABILITY))
                return (Reading(device, HEALTH, _online(record), now_ms),)
        if not record:
            return ()
        device = topic.lower()
        if device in self._features:
            return list(_by_features(record, device, self._features[device], now_ms))
        return _usually(record, device, now_ms)


def _usually(record: Record, device: str, now_ms: int) -> Sequence[Reading]:
    """Return what a device reports whose attributes are the usual."""
    state = _decode_state(record)
    seen = state.last_seen
    at_ms = now_ms if seen is None else sensor_time(parse_time(seen), now_ms)
    present = state.occupancy if state.presence is UNSET else state.presence
    found: list[Reading] = []
    if present is not UNSET:
        value = -1 if present is None else int(present)
        found.append(Reading(device, PRESENCE, value, at_ms, "", CACHED))
    # What few devices have is looked at last, and mostly not at all.
    air = state.co2, state.temperature, state.humidity
    if (state.contact, state.action, *air) != _NOTHING_MORE:
        if state.contact is not UNSET:
            value = -1 if state.contact is None else int(not state.contact)
            found.append(Reading(device, CONTACT, value, at_ms, "", CACHED))
        found += _acted(state.action, device, at_ms)
        found += _measured(air, device, at_ms)
    if found and not device:
        raise Malformed("the topic names no device: is the source's base right?")
    return found


def _acted(action: object, device: str, at_ms: int) -> Iterator[Reading]:
    """Yield what an action says of a region."""
    known = _REGION.fullmatch(action) if isinstance(action, str) else None
    if known is not None:
        region, what = known.groups()
        yield Reading(device, PRESENCE, int(what != "unoccupied"), at_ms, region)


def _measured(values: Sequence[object], device: str, at_ms: int) -> Iterator[Reading]:
    """Yield what is measured of the air, in order of `_METRICS`."""
    for metric, value in zip(_METRICS.values(), values, strict=True):
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = thousandths(value)
            if number is not None:
                yield Reading(device, ENV, number, at_ms, "", CACHED, metric=metric)


def _by_features(
    record: Record, device: str, features: tuple[_Feature, ...], now_ms: int
) -> Iterator[Reading]:
    """Yield what a device reports whose attributes are not the usual."""
    body = _decode_body(record)
    at_ms = sensor_time(_time_of(body), now_ms)
    for attribute, kind, channel, on, off in features:
        if attribute in body:
            value = msgspec.json.encode(body[attribute])
            number = 1 if value == on else 0 if value == off else -1
            if number >= 0 or kind is not MOTION:
                yield Reading(device, kind, number, at_ms, channel, CACHED)
    yield from _acted(body.get("action"), device, at_ms)
    yield from _measured([body.get(name) for name in _METRICS], device, at_ms)


def _time_of(body: dict[str, Any]) -> int | None:
    seen = body.get("last_seen")
    return parse_time(seen) if isinstance(seen, str | int | float) else None


def _unusual(record: Record) -> dict[str, tuple[_Feature, ...]]:
    """Return the attributes of all devices that have any which are not the usual."""
    found = {}
    for device in _decode_devices(record) if record else ():
        if device.definition is None or not device.friendly_name:
            continue
        features = _features(device.definition.exposes)
        if any((one.attribute, one.on, one.off) not in _USUAL for one in features):
            found[device.friendly_name.lower()] = features
    if len(found) > MAX_DEVICES:
        raise TooLarge(f"at most {MAX_DEVICES} unusual devices are remembered")
    return found


def _features(exposes: Sequence[_Exposed]) -> tuple[_Feature, ...]:
    """Return what a device exposes that we read, one for each kind and channel."""
    found: dict[tuple[ReadingKind, str], _Feature] = {}
    for one in exposes[:MAX_FEATURES]:
        kind = _KINDS.get(one.name) if one.type == "binary" else None
        attribute = one.property or one.name
        if kind is None or len(attribute) > _LONGEST:
            continue
        channel = attribute.removeprefix(one.name).lstrip("_")
        on, off = map(msgspec.json.encode, (one.value_on, one.value_off))
        # A radar's presence speaks before its occupancy.
        if (kind, channel) not in found or one.name == "presence":
            found[kind, channel] = _Feature(attribute, kind, channel, on, off)
    return tuple(found.values())


def _device(name: str) -> str:
    if not name:
        raise Malformed("the topic names no device: is the source's base right?")
    return name.lower()


def _is_command(topic: str) -> bool:
    """Tell `{name}/set`, `{name}/get` and their `/{attribute}` forms."""
    return not _COMMANDS.isdisjoint(topic.split("/")[1:][-2:])


def _online(record: Record) -> int:
    online = _ONLINE_BY_BODY.get(bytes(record).strip())
    if online is None:
        online = _ONLINE_BY_STATE.get(_decode_availability(record).state)
    if online is None:
        raise Malformed('an availability is "online" or "offline"')
    return online
