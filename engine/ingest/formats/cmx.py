"""Location notifications of Cisco CMX and Spaces, and CMX's list of clients.

Who sends it: CMX (on site) or Cisco Spaces posts notifications to
`POST /v1/ingest/{source}`; or the engine asks CMX for `/api/location/v3/clients` (a
source with `[tenant.source.pull]`, mode "poll"). A body is `{"notifications": […]}`, a
bare list, or one notification.

========================  =============================================================
`deviceId`                `Identity.device`
`username`, `userName`    `Identity.login`, where it is one of a person
`notificationType`        `locationupdate`, `movement`: joined. `inout`: joined where
                          `boundary` is "INSIDE"; where it is "OUTSIDE", gone if
                          `areaType` is BUILDING or CAMPUS. Any other ends the
                          association with the named access point alone, since the
                          device may be next door. `absence`: gone. Others say nothing
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

from engine.ingest.formats.wire import (
    FEET,
    Record,
    SourceTime,
    ap_of,
    items_of,
    login_of,
    name_of,
    number_of,
    observed_of,
    radius_of,
)
from engine.model import Identity, Observation, ObservationKind, Spot

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 16 << 20
"""A client has 1.2 KB in CMX's list, and a message at most ten thousand of them."""

_UNKNOWN = -999
_NOTHING = Raw(b"null")
_METRES = {"FEET": FEET, "METERS": 1.0}


class _Batch(msgspec.Struct, gc=False):
    notifications: Raw = _NOTHING


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
_text = msgspec.json.Decoder(str).decode
_who = msgspec.json.Decoder(_Who).decode
_what = msgspec.json.Decoder(_What).decode

_JOINED: Final = ObservationKind.JOINED
_LEFT: Final = ObservationKind.LEFT
_GONE: Final = ObservationKind.GONE
_SITES = frozenset({"BUILDING", "CAMPUS"})
"""Areas that are all of a site: who leaves a smaller one may be in the next."""


def records(payload: bytes) -> Sequence[Record]:
    """Split a body into its notifications, still encoded.

    Raises:
        TooLarge: More than `wire.MAX_RECORDS`.
    """
    if payload.lstrip()[:1] == b"[":
        return items_of(payload)
    batch = _batch(payload).notifications
    return (payload,) if batch is _NOTHING else items_of(batch)


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
    named = what.ap_mac_address if what.associated is not False else None
    ap = ap_of(named) if named else ""
    spot = _spot(what) if kind is _JOINED else None
    if spot is None and not ap and kind is not _GONE:
        return None
    at_ms, blur_ms = observed_of(now_ms, what.last_seen, what.timestamp)
    return Observation(kind, ap, at_ms, spot=spot, blur_ms=blur_ms)


def _kind(what: _What) -> ObservationKind | None:
    """Return what a notification says that the device did; None for nothing of use."""
    match what.notification_type, what.boundary:
        case ("locationupdate" | "movement", _) | ("inout", "INSIDE"):
            return _JOINED
        case ("inout", "OUTSIDE"):
            return _GONE if what.area_type in _SITES else _LEFT
        case ("absence", _):
            return _GONE
        case _:
            return None


def _spot(what: _What) -> Spot | None:
    at = what.location_coordinate
    if at is None:
        return None
    x, y = number_of(at.x), number_of(at.y)
    metres = _METRES.get((at.unit or "FEET").upper())
    floor = what.floor_ref_id or _digits(what.floor_id)
    if x is None or y is None or metres is None or not floor:
        return None
    if _UNKNOWN in (x, y) or x == y == 0:
        return None
    accuracy_m = radius_of(what.confidence_factor, metres)
    return Spot(name_of(floor, "a floor"), x, y, accuracy_m)


def _digits(floor: Raw) -> str:
    """Return a bare number as it stands, or the text; "" for anything else."""
    bare = bytes(floor)
    if bare[:1] == b'"':
        return _text(bare)
    return bare.decode("ascii") if bare.isdigit() else ""
