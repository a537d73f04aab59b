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
`event`    "joined" (also: still there), "left" (that access point or session), or
           "gone" (the site: whatever is known and no newer); without it, "joined"
`at`       when; RFC 3339 or a number since 1970; without it, the time of receipt
`session`  the source's name for the association: a late "left" ends no newer one
=========  ============================================================================

Where a location engine knows more than the access point, instead of it or beside it::

    {"login": "ada", "floor": "3rd", "x": 12.5, "y": 7.25, "accuracy_m": 4}

============  =========================================================================
`floor`       the floor or map, a text, as in the file of maps
`x`, `y`      where on that map, in its unit and from its origin
`accuracy_m`  how far off that may be, in metres; without it, null or 0: not known
============  =========================================================================

"joined" needs `ap`, or `floor`, `x` and `y`; "left" needs `ap`; "gone" needs neither.

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

from math import isfinite
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Raw, UnsetType

from engine.errors import BadTime, Malformed, TooLarge
from engine.ingest.formats.wire import (
    COUNT,
    HEALTH,
    MAX_COUNT,
    MOTION,
    PRESENCE,
    REFUSALS,
    SENSIBLE_BELOW_MS,
    YEAR_2000_MS,
    Record,
    Refuse,
    SourceTime,
    each,
    parse_time,
    person_time,
    sensor_time,
)
from engine.model import Identity, Observation, ObservationKind, Reading, Spot
from engine.spelling import canonical_ap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_BYTES = 1 << 20
MAX_RECORDS = 10_000
MAX_NAME = 256
"""Of an access point or session: what is remembered of people has a bound."""

_Count = Annotated[int, msgspec.Meta(ge=-1, le=MAX_COUNT)]
_Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
_Session = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=YEAR_2000_MS, lt=SENSIBLE_BELOW_MS)]
_Pulses = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]

_OBJECT = b"{"

_COMMAS = 10
"""More than a record with every key has."""
_BLANK = b" \t\r\n"
_ARRAY = ord("[")
_MSGPACK_ARRAYS = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})


class _Association(msgspec.Struct, gc=False):
    """An association without the person it is about."""

    ap: _Name = ""
    event: str = "joined"
    at: SourceTime = None
    session: _Name | None = None
    floor: _Name | None = None
    x: float | None = None
    y: float | None = None
    accuracy_m: float | None = None


class _PlainAssociation(msgspec.Struct, gc=False):
    """An association as most are: nothing about it is left to ask.

    msgspec quotes an event of another name in its error, which must not be shown: what
    is refused here goes the long way, and is refused there in words of our own.
    """

    ap: _Name
    at: _Milliseconds
    event: ObservationKind = ObservationKind.JOINED
    session: _Session | None = None
    floor: None = None
    """One with coordinates goes the long way."""


class _Reading(msgspec.Struct, gc=False):
    """A reading as it stands on the wire."""

    sensor: str
    channel: str = ""
    occupied: bool | UnsetType | None = UNSET
    motion: bool | _Pulses | UnsetType = UNSET
    count: _Count | UnsetType | None = UNSET
    online: bool | UnsetType = UNSET
    at: SourceTime = None


quick = msgspec.json.Decoder(Identity).decode
_msgpack_identity = msgspec.msgpack.Decoder(Identity).decode
_json_batch = msgspec.json.Decoder(list[Raw]).decode
_msgpack_batch = msgspec.msgpack.Decoder(list[Raw]).decode
_associations = (
    msgspec.json.Decoder(_Association).decode,
    msgspec.msgpack.Decoder(_Association).decode,
)
_decode_plain = msgspec.json.Decoder(_PlainAssociation).decode
_readings = (
    msgspec.json.Decoder(_Reading).decode,
    msgspec.msgpack.Decoder(_Reading).decode,
)

_KINDS = {kind.value: kind for kind in ObservationKind}
_JOINED, _LEFT = ObservationKind.JOINED, ObservationKind.LEFT


def records(payload: bytes) -> Sequence[Record]:
    """Split a message into its records, still encoded.

    A record of a JSON batch is a `Raw`, of a msgpack batch a `memoryview`, so that the
    type and the first byte of a record tell its encoding.

    Raises:
        Malformed: An empty message.
        TooLarge: More than `MAX_RECORDS`.
    """
    first = payload[0] if payload else 0
    if payload[:1] == _OBJECT:
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


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode `login` and `device` alone; both None: a reading."""
    del topic, now_ms
    return quick(record) if _is_json(record) else _msgpack_identity(record)


def observe(
    records: Sequence[Record], topics: Sequence[str], now_ms: int, refuse: Refuse
) -> list[Observation | None]:
    """Decode what associations say beside the identity.

    Refuses as malformed one without a place or with an event of another name, and for
    its time one whose `at` is no time, or in the future.
    """
    try:
        return [*_plain(records, now_ms)]
    except REFUSALS:
        return _observe_each(records, topics, now_ms, refuse)


def _plain(records: Sequence[Record], now_ms: int) -> Iterator[Observation]:
    """Yield the observations of associations in JSON that are stamped in milliseconds.

    This is what busy sources send. Anything else raises, and goes the long way.
    """
    for wire in map(_decode_plain, records):
        at_ms = wire.at
        if at_ms > now_ms:
            at_ms = person_time(at_ms, now_ms)
        ap = canonical_ap(wire.ap)
        if not ap:
            raise Malformed
        yield Observation(wire.event, ap, at_ms, wire.session)


def _observe(record: Record, topic: str, now_ms: int) -> Observation:
    del topic
    json, msgpack = _associations
    wire = json(record) if _is_json(record) else msgpack(record)
    kind = _KINDS.get(wire.event)
    if kind is None:
        raise Malformed('"event" must be "joined", "left" or "gone"')
    ap, spot = canonical_ap(wire.ap), _spot(wire)
    if not ap and (kind is _LEFT or (kind is _JOINED and spot is None)):
        raise Malformed('"ap" names no access point, and no "floor" stands for it')
    at = wire.at
    observed_ms = now_ms if at is None else person_time(_time(at), now_ms)
    return Observation(kind, ap, observed_ms, wire.session or None, spot)


def _spot(wire: _Association) -> Spot | None:
    """Return the coordinates; None where there are none.

    Raises:
        Malformed: Not all of them, or one that is no number (msgpack can say so).
    """
    floor, x, y, accuracy_m = wire.floor, wire.x, wire.y, wire.accuracy_m or -1.0
    if floor is None:
        return None
    if not floor or x is None or y is None or not (isfinite(x) and isfinite(y)):
        raise Malformed('"floor", "x" and "y" go together: a text and two numbers')
    if not isfinite(accuracy_m):
        raise Malformed('"accuracy_m" must be a number of metres')
    return Spot(floor, x, y, accuracy_m)


_observe_each = each(_observe)


def read(record: Record, topic: str, now_ms: int) -> Sequence[Reading]:
    """Decode a reading; the topic says nothing here.

    Raises:
        Malformed: No sensor, or nothing that it measures.
        BadTime: `at` is no time.
    """
    del topic
    json, msgpack = _readings
    wire = json(record) if _is_json(record) else msgpack(record)
    device, channel, at = wire.sensor.lower(), wire.channel, wire.at
    if not device:
        raise Malformed('"sensor" names no sensor')
    at_ms = now_ms if at is None else sensor_time(_time(at), now_ms)
    found: list[Reading] = []
    if wire.occupied is not UNSET:
        value = -1 if wire.occupied is None else int(wire.occupied)
        found.append(Reading(device, PRESENCE, value, at_ms, channel))
    if wire.motion is not UNSET:
        found.append(Reading(device, MOTION, int(wire.motion), at_ms, channel))
    if wire.count is not UNSET:
        value = -1 if wire.count is None else wire.count
        found.append(Reading(device, COUNT, value, at_ms, channel))
    if wire.online is not UNSET:
        found.append(Reading(device, HEALTH, int(wire.online), at_ms))
    if not found:
        raise Malformed('a reading has one of "occupied", "motion", "count", "online"')
    return found


def _is_json(record: Record) -> bool:
    """Tell by type or first byte: no map of msgpack begins with "{" or a blank.

    A blank may stand before what `quick` took: it goes by no `records`.
    """
    if isinstance(record, Raw):
        return True
    first = record[:1]
    return first == _OBJECT or bytes(first).isspace()


def _time(at: SourceTime) -> int:
    """Return the time of a record: here, unlike elsewhere, a bad one is refused."""
    observed_ms = parse_time(at)
    if observed_ms is None:
        raise BadTime('"at" is no time: RFC 3339 with an offset, or since 1970')
    return observed_ms
