"""Location notifications of Cisco CMX and Spaces, and CMX's list of clients.

Who sends it: CMX (on site) or Cisco Spaces posts notifications to
`POST /v1/ingest/{source}`; or the engine asks CMX for `/api/location/v3/clients` (a
source with `[tenant.source.pull]`, mode "poll"). A body is `{"notifications": […]}`, a
bare list, or one notification.

========================  =============================================================
`deviceId`                `Identity.device`
`username`, `userName`    `Identity.login`, where it is one of a person
`notificationType`        `locationupdate`, `movement`: joined. `inout`: joined where
                          `boundary` is "INSIDE"; where it is "OUTSIDE", the device left
                          what `areaType` says: a FLOOR or ZONE ends the association
                          with the named access point, since the device may be next
                          door; a BUILDING or CAMPUS: gone. `absence`: gone. Others say
                          nothing
`floorRefId`              the floor, as text; where it is null, the digits of `floorId`
                          as they stand, which are more than a float can hold
`locationCoordinate`      `x`, `y` in feet from the top-left corner of the floor's map.
                          -999 is none, and so is 0, 0
`confidenceFactor`        the radius that holds the device with 95 %, in the same unit;
                          becomes metres
`apMacAddress`            the access point, unless `associated` is false: then the
                          device was only heard
`lastSeen`                when, RFC 3339 ("+0000" without its colon); else `timestamp`,
                          milliseconds
========================  =============================================================

An absence is told minutes later, but dated `lastSeen`: what another source has seen
since stands. Addresses (`ipAddress`), names of networks and signal strengths are not
read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw

from engine.errors import BadTime, TooLarge
from engine.ingest.formats.wire import (
    METRES_PER_FOOT,
    Record,
    SourceTime,
    blur_of,
    bounded,
    login_of,
    number_of,
    parse_time,
    person_time,
    radius_of,
)
from engine.model import Identity, Observation, ObservationKind, Spot
from engine.spelling import canonical_ap

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 16 << 20
"""A client has 1.2 KB in CMX's list; one CMX knows at most some ten thousand."""

MAX_RECORDS = 20_000

_COMMAS = 100
"""More than a notification with every key has."""

_UNKNOWN = -999
_NOTHING = Raw(b"null")
_METRES = {"FEET": METRES_PER_FOOT, "METERS": 1.0}


class _Batch(msgspec.Struct, gc=False):
    notifications: list[Raw] | None = None


class _Who(msgspec.Struct, rename="camel", gc=False):
    """All that says who."""

    device_id: str | None = None
    username: str | None = None
    user_name: str | None = None


class _Coordinate(msgspec.Struct, gc=False):
    x: float | str | None = None
    y: float | str | None = None
    unit: str | None = None


class _What(msgspec.Struct, rename="camel", gc=False):
    """What happened, and where; nothing of it says who."""

    notification_type: str
    location_coordinate: _Coordinate | None = None
    confidence_factor: float | str | None = None
    floor_ref_id: str | None = None
    floor_id: Raw = _NOTHING
    ap_mac_address: str | None = None
    associated: bool | None = None
    boundary: str | None = None
    area_type: str | None = None
    last_seen: SourceTime = None
    timestamp: SourceTime = None


_batch = msgspec.json.Decoder(_Batch).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_text = msgspec.json.Decoder(str).decode
_who = msgspec.json.Decoder(_Who).decode
_what = msgspec.json.Decoder(_What).decode

_JOINED: Final = ObservationKind.JOINED
_LEFT: Final = ObservationKind.LEFT
_GONE: Final = ObservationKind.GONE
_WITHIN = frozenset({"FLOOR", "ZONE"})
"""Areas of a site: who leaves one may be in the next."""


def records(payload: bytes) -> Sequence[Record]:
    """Split a body into its notifications, still encoded.

    Raises:
        TooLarge: More than `MAX_RECORDS`.
    """
    # A million commas are no batch, and would take long to be cut apart.
    if payload.count(b",") // _COMMAS <= MAX_RECORDS:
        is_list = payload.lstrip()[:1] == b"["
        batch = _list(payload) if is_list else _batch(payload).notifications
        if batch is None:
            return (payload,)
        if len(batch) <= MAX_RECORDS:
            return batch
    raise TooLarge(f"a body holds at most {MAX_RECORDS} notifications")


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode the device and its user alone."""
    del topic, now_ms
    who = _who(record)
    return Identity(login_of(who.username or who.user_name), who.device_id or None)


def observe(record: Record, topic: str, now_ms: int) -> Observation | None:
    """Decode what happened, and where; None of what tells no place and no departure.

    Raises:
        BadTime: No time, or one in the future.
        Malformed: The name of an access point or floor is too long.
    """
    del topic
    what = _what(record)
    kind = _kind(what)
    if kind is None:
        return None
    heard = what.associated is False
    ap = "" if heard or not what.ap_mac_address else what.ap_mac_address
    ap = canonical_ap(bounded(ap))
    spot = _spot(what) if kind is _JOINED else None
    if spot is None and not ap and kind is not _GONE:
        return None
    at_ms = parse_time(what.last_seen) or parse_time(what.timestamp)
    if at_ms is None:
        raise BadTime("a notification without a time")
    seen_ms = person_time(at_ms, now_ms)
    return Observation(kind, ap, seen_ms, spot=spot, blur_ms=blur_of(at_ms))


def _kind(what: _What) -> ObservationKind | None:
    """Return what a notification says that the device did; None for nothing of use."""
    match what.notification_type, what.boundary:
        case ("locationupdate" | "movement", _) | ("inout", "INSIDE"):
            return _JOINED
        case ("inout", "OUTSIDE"):
            return _LEFT if what.area_type in _WITHIN else _GONE
        case ("absence", _):
            return _GONE
        case _:
            return None


def _spot(what: _What) -> Spot | None:
    at = what.location_coordinate
    if at is None:
        return None
    x, y = number_of(at.x), number_of(at.y)
    metres = _METRES.get(at.unit or "FEET")
    floor = bounded(what.floor_ref_id or _digits(what.floor_id))
    if x is None or y is None or metres is None or not floor:
        return None
    if _UNKNOWN in (x, y) or x == y == 0:
        return None
    return Spot(floor, x, y, radius_of(what.confidence_factor, metres))


def _digits(floor: Raw) -> str:
    """Return a bare number as it stands, or the text; "" for anything else."""
    bare = bytes(floor)
    if bare[:1] == b'"':
        return _text(bare)
    return bare.decode("ascii") if bare.isdigit() else ""
