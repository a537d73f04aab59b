"""livefloor's own events: associations and readings, one or a batch in a message.

Who sends it: whoever writes a small program between a system that no other format
covers and the engine, over MQTT or by `POST /v1/ingest/{source}`.

A message is one record or an array of at most 10,000, in JSON or in msgpack; the first
byte tells which. A record is about a person's device or about a sensor.

An association::

    {"login": "ada", "device": "a4:83:e7:11:22:33", "ap": "hq-3-ap-12",
     "event": "joined", "at": 1767225600000, "session": "5a4f59aa"}

=========  ============================================================================
`login`    the organisation's name for the person; or
`device`   the address of their device, in any spelling; best both
`ap`       the access point, as in the table of access points
`event`    "joined" (also: still there) or "left"; without it, "joined"
`at`       when; RFC 3339 or a number since 1970; without it, the time of receipt
`session`  the source's name for the association: a late "left" ends no newer one
=========  ============================================================================

A reading::

    {"sensor": "desk-17", "channel": "", "occupied": true, "at": "2026-01-01T09:00:00Z"}

=============  ========================================================================
`sensor`       the device, as in the table of sensors
`channel`      line, region or zone inside the device; without it, the whole device
`occupied`     true, false, or null: unknown
`motion`       pulses since the last report, or true or false
`count`        people now, or null (also -1): unknown
`online`       whether the device is reachable; speaks for all of its channels
`at`           as above
=============  ========================================================================

A reading has one of `occupied`, `motion`, `count`, `online`; where it has more, each
becomes a reading. A record with `login` or `device` is about a person, whatever else it
has, and is never read as a reading.

A key that this table does not have is passed over, so that a sender may be newer than
the engine. Refusing it would not even be safer: the identity is decoded before anything
else is looked at, and for that all other keys have to be passed over anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from engine.errors import BadTime, Malformed, TooLarge
from engine.ingest.formats.wire import (
    COUNT,
    HEALTH,
    MAX_COUNT,
    MOTION,
    PRESENCE,
    Record,
    SourceTime,
    parse_time,
    person_time,
    sensor_time,
)
from engine.model import Identity, Observation, ObservationKind, Reading
from engine.spelling import canonical_ap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_BYTES = 1 << 20
MAX_RECORDS = 10_000
MAX_NAME = 256
"""Of an access point or session: what is remembered of people has a bound."""

_T = TypeVar("_T")
_Count = Annotated[int, msgspec.Meta(ge=-1, le=MAX_COUNT)]
_Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
_Pulses = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]

_COMMAS = 10
"""More than a record with every key has."""
_BLANK = b" \t\r\n"
_OBJECT = ord("{")
_ARRAY = ord("[")
_MSGPACK_ARRAYS = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})


class _Association(msgspec.Struct, gc=False):
    """An association without the person it is about."""

    ap: _Name
    event: str = "joined"
    at: SourceTime = None
    session: _Name | None = None


class _Reading(msgspec.Struct, gc=False):
    """A reading as it stands on the wire."""

    sensor: str
    channel: str = ""
    occupied: bool | UnsetType | None = UNSET
    motion: bool | _Pulses | UnsetType = UNSET
    count: _Count | UnsetType | None = UNSET
    online: bool | UnsetType = UNSET
    at: SourceTime = None


_json_identity = msgspec.json.Decoder(Identity).decode
_msgpack_identity = msgspec.msgpack.Decoder(Identity).decode
_json_batch = msgspec.json.Decoder(list[Raw]).decode
_msgpack_batch = msgspec.msgpack.Decoder(list[Raw]).decode
_associations = (
    msgspec.json.Decoder(_Association),
    msgspec.msgpack.Decoder(_Association),
)
_readings = (msgspec.json.Decoder(_Reading), msgspec.msgpack.Decoder(_Reading))

_KINDS = {"joined": ObservationKind.JOINED, "left": ObservationKind.LEFT}


def records(payload: bytes) -> Sequence[Record]:
    """Split a message into its records, still encoded.

    A record of a JSON batch is a `Raw`, of a msgpack batch a `memoryview`, so that the
    type and the first byte of a record tell its encoding.

    Raises:
        Malformed: An empty message.
        TooLarge: More than `MAX_RECORDS`.
    """
    first = payload[0] if payload else 0
    if first == _OBJECT:
        return (payload,)
    if first in _BLANK:
        payload = payload.lstrip(_BLANK)
        if not payload:
            raise Malformed("the message is empty")
        first = payload[0]
    if first == _ARRAY:
        # Each record has a few commas at most: a million of them are no batch, and
        # would hold the loop for as long as it takes to cut them apart.
        return _bounded(payload.count(b",") // _COMMAS, payload, _json_batch)
    if first in _MSGPACK_ARRAYS:
        batch = _bounded(_msgpack_length(payload), payload, _msgpack_batch)
        return [memoryview(raw) for raw in batch]
    return (payload,)


def _bounded(
    expected: int, payload: bytes, cut: Callable[[bytes], list[Raw]]
) -> list[Raw]:
    """Cut a batch into records, unless they are too many.

    Raises:
        TooLarge: More than `MAX_RECORDS`.
    """
    batch = cut(payload) if expected <= MAX_RECORDS else []
    if len(batch) > MAX_RECORDS or expected > MAX_RECORDS:
        raise TooLarge(f"a batch holds at most {MAX_RECORDS} records")
    return batch


def _msgpack_length(payload: bytes) -> int:
    """Return how many items a msgpack array says that it has."""
    match payload[0]:
        case 0xDC:
            return int.from_bytes(payload[1:3])
        case 0xDD:
            return int.from_bytes(payload[1:5])
        case short:
            return short & 0x0F


def identify(record: Record) -> Identity:
    """Decode `login` and `device` alone; both None: a reading."""
    # As in `_is_json`, but a call less: this is what most records end with.
    if isinstance(record, Raw) or (record and record[0] == _OBJECT):
        return _json_identity(record)
    return _msgpack_identity(record)


def observe(record: Record, now_ms: int) -> Sequence[Observation]:
    """Decode what an association says beside the identity.

    Raises:
        Malformed: No access point, or an event of another name.
        BadTime: `at` is no time, or in the future.
    """
    wire = _decode(record, _associations)
    kind = _KINDS.get(wire.event)
    if kind is None:
        raise Malformed('"event" must be "joined" or "left"')
    ap = canonical_ap(wire.ap)
    if not ap:
        raise Malformed('"ap" names no access point')
    at = wire.at
    observed_ms = now_ms if at is None else person_time(_time(at), now_ms)
    return (Observation(kind, ap, observed_ms, wire.session or None),)


def read(record: Record, topic: str, now_ms: int) -> Sequence[Reading]:
    """Decode a reading; the topic says nothing here.

    Raises:
        Malformed: No sensor, or nothing that it measures.
        BadTime: `at` is no time.
    """
    del topic
    wire = _decode(record, _readings)
    device = wire.sensor.lower()
    if not device:
        raise Malformed('"sensor" names no sensor')
    channel = wire.channel
    at = wire.at
    observed_ms = now_ms if at is None else sensor_time(_time(at), now_ms)
    found: list[Reading] = []
    if wire.occupied is not UNSET:
        value = -1 if wire.occupied is None else int(wire.occupied)
        found.append(Reading(device, PRESENCE, value, observed_ms, channel))
    if wire.motion is not UNSET:
        found.append(Reading(device, MOTION, int(wire.motion), observed_ms, channel))
    if wire.count is not UNSET:
        value = -1 if wire.count is None else wire.count
        found.append(Reading(device, COUNT, value, observed_ms, channel))
    if wire.online is not UNSET:
        found.append(Reading(device, HEALTH, int(wire.online), observed_ms))
    if not found:
        raise Malformed('a reading has one of "occupied", "motion", "count", "online"')
    return found


def _is_json(record: Record) -> bool:
    """Tell by type or first byte; "{" begins no msgpack map, so there is no third."""
    if isinstance(record, Raw):
        return True
    return bool(record) and record[0] == _OBJECT


def _decode(
    record: Record,
    decoders: tuple[msgspec.json.Decoder[_T], msgspec.msgpack.Decoder[_T]],
) -> _T:
    return decoders[0 if _is_json(record) else 1].decode(record)


def _time(at: SourceTime) -> int:
    """Return the time of a record: here, unlike elsewhere, a bad one is refused."""
    observed_ms = parse_time(at)
    if observed_ms is None:
        raise BadTime('"at" is no time: RFC 3339 with an offset, or since 1970')
    return observed_ms
