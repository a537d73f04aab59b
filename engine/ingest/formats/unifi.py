"""Ubiquiti UniFi: the events of a controller, and its records of clients.

Who sends it: the controller's WebSocket sends `{"meta": {"message": …}, "data": […]}`;
`GET …/stat/sta` answers the same shape with all clients, and a record may come alone.
None of it is an official interface: what is not known here is passed over.

==========================  ===========================================================
`key` of an event           becomes
==========================  ===========================================================
`EVT_WU_Connected`          joined `ap`
`EVT_WU_Roam`               joined `ap_to`
`EVT_WU_RoamRadio`          joined `ap`: it changed radio, and so is there. It may
                            follow a "Disconnected" that was none, without a "Connected"
`EVT_WU_Disconnected`       left `ap`. The controller rounds this time to the second and
                            may date it back
`EVT_AP_Notification`       left `ap`, where its `payload` (JSON as text) says
                            "sta_leave"
`EVT_WG_…`                  the same of guests
others                      nothing: wired clients, alarms, …
==========================  ===========================================================

A record of a client (it has no `key`) has joined `ap_mac` when it was last seen by an
access point, `_last_seen_by_uap`, else `last_seen`; of a wired one nothing.

The device is `user`, `guest` or `mac`, in a notification the `mac` of its `payload`.
The login is `1x_identity`, which records of clients alone have, and only with WPA
Enterprise; `hostname` and `name` are not read. Times are milliseconds or seconds since
1970, or RFC 3339.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from engine.ingest.formats.wire import (
    Record,
    SourceTime,
    ap_of,
    items_of,
    login_of,
    observed_of,
)
from engine.model import Identity, Observation, ObservationKind

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 1 << 23
"""Records of some four thousand clients."""

_JOINED, _LEFT = ObservationKind.JOINED, ObservationKind.LEFT
_NONE: Final = msgspec.Raw(b"")
_NOTIFICATION = "EVT_AP_Notification"
_EVENTS: Final = {
    f"EVT_W{who}_{what}": kind
    for who in "UG"
    for what, kind in (
        ("Connected", _JOINED),
        ("Roam", _JOINED),
        ("RoamRadio", _JOINED),
        ("Disconnected", _LEFT),
    )
}


class _Message(msgspec.Struct, gc=False):
    data: msgspec.Raw = _NONE


class _Who(msgspec.Struct, gc=False):
    """Who a record is about: an event, or a client."""

    key: str | None = None
    user: str | None = None
    guest: str | None = None
    mac: str | None = None
    identity: str | None = msgspec.field(default=None, name="1x_identity")
    payload: str | None = None


class _Tracked(msgspec.Struct, gc=False):
    """Who a notification of an access point is about."""

    mac: str | None = None


class _Tracker(msgspec.Struct, gc=False):
    """What a notification of an access point says."""

    event_type: str | None = None


class _What(msgspec.Struct, gc=False):
    """What happened, and where; no field of it says who."""

    key: str | None = None
    ap: str | None = None
    ap_to: str | None = None
    ap_mac: str | None = None
    is_wired: bool = False
    time: SourceTime = None
    datetime: SourceTime = None
    last_seen_by_uap: SourceTime = msgspec.field(default=None, name="_last_seen_by_uap")
    last_seen: SourceTime = None
    payload: str | None = None


_message = msgspec.json.Decoder(_Message).decode
_who = msgspec.json.Decoder(_Who).decode
_tracked = msgspec.json.Decoder(_Tracked).decode
_tracker = msgspec.json.Decoder(_Tracker).decode
_what = msgspec.json.Decoder(_What).decode


def records(payload: bytes) -> Sequence[Record]:
    """Split a message into events or records of clients; one may come alone.

    Raises:
        TooLarge: More than `MAX_RECORDS`.
    """
    data = _message(payload).data
    return items_of(data) if data else (payload,)


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode login and device alone; both None: an event that is not about Wi-Fi."""
    del topic, now_ms
    who = _who(record)
    if who.key == _NOTIFICATION:
        return Identity(device=_tracked(who.payload or "{}").mac or None)
    if who.key is None:
        return Identity(login_of(who.identity), who.mac or None)
    if who.key not in _EVENTS:
        return Identity()
    return Identity(device=who.user or who.guest or None)


def observe(record: Record, topic: str, now_ms: int) -> Observation | None:
    """Decode what happened, where and when; None of what tells no place.

    Raises:
        Malformed: No access point.
        BadTime: No time, or one in the future.
    """
    del topic
    what = _what(record)
    if what.key is None:
        if what.is_wired:
            return None
        return _observation(
            _JOINED, what.ap_mac, (what.last_seen_by_uap, what.last_seen), now_ms
        )
    if what.key == _NOTIFICATION:
        left = _tracker(what.payload or "{}").event_type == "sta_leave"
        kind = _LEFT if left else None
    else:
        kind = _EVENTS.get(what.key)
    if kind is None:
        return None
    ap = what.ap_to or what.ap if kind is _JOINED else what.ap
    return _observation(kind, ap, (what.time, what.datetime), now_ms)


def _observation(
    kind: ObservationKind, ap: str | None, times: Sequence[SourceTime], now_ms: int
) -> Observation:
    at_ms, blur_ms = observed_of(now_ms, *times)
    ap = ap_of(ap)
    return Observation(kind, ap, at_ms, blur_ms=blur_ms)
