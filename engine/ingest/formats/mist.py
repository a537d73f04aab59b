"""Juniper Mist: webhooks about clients, zones and logins, and client statistics.

Who sends it: the Mist cloud posts `{"topic": …, "events": […]}` to
`POST /v1/ingest/{source}`, signed over its bytes (`verify = "mist"`), and takes any 200
for delivered. A topic that is set for the organisation and for its site comes twice,
which changes nothing. Statistics are what `GET /sites/{id}/stats/clients` answers (a
list) or what the WebSocket `/sites/{id}/stats/…/clients` sends (`{"event": "data",
"data": …}`, where `data` is an object, a list, or either as text).

==============================  =======================================================
topic                           becomes
==============================  =======================================================
`location`, `location-client`   of type "wifi": a spot on `map_id`, in metres, without
                                an accuracy. Mobile SDK clients have no address, and
                                assets are nobody: passed over
`client-join`                   joined at `ap`, since `connect`
`client-sessions`               left `ap` at `disconnect`; where `next_ap` is an access
                                point, joined there at that time instead
`zone`, `rssizone`              joined or left an access point by the name of
                                `zone:<id>`: give it a space in the access-points table
`nac-accounting`, `nac-events`  joined or left `ap`, with the login that was let in. Of
                                other events nothing is believed: who is refused, or
                                still asking, may call themselves anything
`occupancy-alerts`              a count of the sensor `zone_id`: devices, as Mist counts
                                them
statistics                      a spot, with its accuracy, and joined at `ap_mac`
others                          nothing, and nothing of them is decoded: `client-info`
                                has no place, raw scans (`sdkclient-scan-data`,
                                `wifi-conn-raw`, …) hold whoever walks by
==============================  =======================================================

Topics may be spelled with `_` for `-`.

A roam is told by one event of the session that ended, with `next_ap`; another event of
the same session may say "left" (`termination_reason` 1, `next_ap` zeros), before or
after. As a departure ends only the association that it names, the roam wins.

The floor of a spot is `map_id` where it is in metres. Statistics may have pixels alone:
then it is `<map_id>:px`, which is another map with another unit, so that the two cannot
be taken for each other. Both count from the top left.

`client_username` and `username` are logins where they are a person's (`wire.login_of`).
`psk_name` is not read: an administrator chose it, and a key may be shared.

Times are seconds since 1970, with or without decimals, or milliseconds; an event
without one is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from engine.errors import Malformed
from engine.ingest.formats.wire import (
    COUNT,
    MAX_COUNT,
    Record,
    SourceTime,
    ap_of,
    items_of,
    labelled,
    login_of,
    name_of,
    observed_of,
    parse_time,
    sensor_time,
    unlabelled,
)
from engine.model import Identity, Observation, ObservationKind, Reading, Spot
from engine.spelling import canonical_ap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_BYTES = 1 << 23
"""Statistics of some five thousand clients."""

_STATISTICS = "statistics"
_OTHER: Final = labelled("", [b"null"])
"""What stands for a message of which nothing may be decoded."""
_NONE: Final = msgspec.Raw(b"")
_NO_AP = "000000000000"
_WIFI = (None, "wifi")

_NAC: Final = {
    "NAC_ACCOUNTING_START": ObservationKind.JOINED,
    "NAC_ACCOUNTING_UPDATE": ObservationKind.JOINED,
    "NAC_ACCOUNTING_STOP": ObservationKind.LEFT,
    "NAC_CLIENT_PERMIT": ObservationKind.JOINED,
    "NAC_SESSION_STARTED": ObservationKind.JOINED,
    "NAC_SESSION_ENDED": ObservationKind.LEFT,
}
"""Events about a login that was let in."""
_TRIGGERS: Final = {"enter": ObservationKind.JOINED, "exit": ObservationKind.LEFT}


class _Message(msgspec.Struct, gc=False):
    """A webhook, or a message of the WebSocket."""

    topic: str | None = None
    events: msgspec.Raw = _NONE
    event: str | None = None
    channel: str = ""
    data: msgspec.Raw = _NONE


class _Alerts(msgspec.Struct, gc=False):
    alert_events: msgspec.Raw = msgspec.Raw(b"[]")


class _Who(msgspec.Struct, gc=False):
    """Who an event is about, and whether that can be believed."""

    mac: str | None = None
    client_username: str | None = None
    username: str | None = None
    type: str | None = None


class _Located(msgspec.Struct, gc=False):
    map_id: str
    x: float
    y: float
    timestamp: SourceTime = None


class _Session(msgspec.Struct, gc=False):
    """A join, or the end of a session."""

    ap: str | None = None
    next_ap: str | None = None
    connect: SourceTime = None
    connect_float: SourceTime = None
    disconnect: SourceTime = None
    disconnect_float: SourceTime = None
    timestamp: SourceTime = None


class _Zone(msgspec.Struct, gc=False):
    trigger: str | None = None
    zone_id: str | None = None
    rssizone_id: str | None = None
    timestamp: SourceTime = None


class _Access(msgspec.Struct, gc=False):
    type: str | None = None
    ap: str | None = None
    client_type: str | None = None
    timestamp: SourceTime = None


class _Client(msgspec.Struct, gc=False):
    """Statistics of a client."""

    ap_mac: str | None = None
    last_seen: SourceTime = None
    map_id: str | None = None
    x_m: float | None = None
    y_m: float | None = None
    x: float | None = None
    y: float | None = None
    accuracy: float | None = None


class _Alert(msgspec.Struct, gc=False):
    zone_id: str
    current_occupancy: int | None = None
    timestamp: SourceTime = None


_message = msgspec.json.Decoder(_Message).decode
_alerts = msgspec.json.Decoder(_Alerts).decode
_who = msgspec.json.Decoder(_Who).decode
_located = msgspec.json.Decoder(_Located).decode
_session = msgspec.json.Decoder(_Session).decode
_zone = msgspec.json.Decoder(_Zone).decode
_access = msgspec.json.Decoder(_Access).decode
_client = msgspec.json.Decoder(_Client).decode
_alert = msgspec.json.Decoder(_Alert).decode
_text = msgspec.json.Decoder(str).decode


def records(payload: bytes) -> Sequence[Record]:
    """Split a message into its events; of a topic that is not read, nothing.

    Raises:
        Malformed: Neither a webhook nor statistics.
        TooLarge: More than `MAX_RECORDS` events.
    """
    if payload.lstrip()[:1] == b"[":
        return labelled(_STATISTICS, items_of(payload))
    message = _message(payload)
    if message.topic is not None:
        return _events(message.topic.strip().lower().replace("_", "-"), message.events)
    if message.event is None:
        raise Malformed("the message is neither a webhook nor statistics")
    watched = message.channel.rpartition("/")[2]
    if not message.data or watched not in ("", "clients"):
        return _OTHER
    data = bytes(message.data)
    if data[:1] == b'"':
        data = _text(data).encode()
    clients = items_of(data) if data.lstrip()[:1] == b"[" else [data]
    return labelled(_STATISTICS, clients)


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode login and device alone; both None: an event about nobody we may know."""
    del topic, now_ms
    event = unlabelled(record)
    if event.label not in _OBSERVE:
        return Identity()
    who = _who(event.raw)
    if event.label in _TYPED and who.type not in _TYPED[event.label]:
        return Identity()
    return Identity(login_of(who.client_username or who.username), who.mac or None)


def observe(record: Record, topic: str, now_ms: int) -> Observation | None:
    """Decode what happened and where; None of what tells no place.

    Raises:
        Malformed: No access point, zone or map.
        BadTime: No time, or one in the future.
    """
    del topic
    event = unlabelled(record)
    meaning = _OBSERVE.get(event.label)
    return None if meaning is None else meaning(event.raw, now_ms)


def read(record: Record, topic: str, now_ms: int) -> Sequence[Reading]:
    """Return the count of a zone from an alert about its occupancy."""
    del topic
    event = unlabelled(record)
    if event.label != _ALERTS:
        return ()
    alert = _alert(event.raw)
    count = alert.current_occupancy
    if count is None or not 0 <= count <= MAX_COUNT:
        count = -1
    zone = name_of(alert.zone_id, "a zone").lower()
    at_ms = sensor_time(parse_time(alert.timestamp), now_ms)
    return (Reading(zone, COUNT, count, at_ms),)


def _events(topic: str, events: msgspec.Raw) -> Sequence[Record]:
    if not events or (topic not in _OBSERVE and topic != _ALERTS):
        return _OTHER
    raws: list[msgspec.Raw] = items_of(events)
    if topic == _ALERTS:
        raws = [alert for raw in raws for alert in items_of(_alerts(raw).alert_events)]
    return labelled(topic, raws)


def _at_spot(raw: msgspec.Raw, now_ms: int) -> Observation:
    located = _located(raw)
    spot = Spot(name_of(located.map_id, "a map"), located.x, located.y)
    at_ms, blur_ms = observed_of(now_ms, located.timestamp)
    return Observation(ObservationKind.JOINED, "", at_ms, spot=spot, blur_ms=blur_ms)


def _joined(raw: msgspec.Raw, now_ms: int) -> Observation:
    session = _session(raw)
    ap = ap_of(session.ap)
    at_ms, blur_ms = observed_of(
        now_ms, session.connect_float, session.connect, session.timestamp
    )
    name = _name_of(session, ap)
    return Observation(ObservationKind.JOINED, ap, at_ms, name, blur_ms=blur_ms)


def _ended(raw: msgspec.Raw, now_ms: int) -> Observation:
    session = _session(raw)
    at_ms, blur_ms = observed_of(
        now_ms, session.disconnect_float, session.disconnect, session.timestamp
    )
    if session.next_ap and session.next_ap != _NO_AP:
        ap = ap_of(session.next_ap)
        return Observation(ObservationKind.JOINED, ap, at_ms, blur_ms=blur_ms)
    ap = ap_of(session.ap)
    name = _name_of(session, ap)
    return Observation(ObservationKind.LEFT, ap, at_ms, name, blur_ms=blur_ms)


def _name_of(session: _Session, ap: str) -> str | None:
    """Return what names a session in its join and in its end alike.

    Whole seconds: the decimals of the two differ by a millisecond.
    """
    connect_ms = parse_time(session.connect)
    return None if connect_ms is None else f"{ap}@{connect_ms // 1000}"


def _in_zone(raw: msgspec.Raw, now_ms: int) -> Observation | None:
    zone = _zone(raw)
    kind = _TRIGGERS.get((zone.trigger or "").lower())
    if kind is None:
        return None
    name = name_of(zone.zone_id or zone.rssizone_id, "a zone")
    at_ms, blur_ms = observed_of(now_ms, zone.timestamp)
    return Observation(kind, canonical_ap(f"zone:{name}"), at_ms, blur_ms=blur_ms)


def _accessed(raw: msgspec.Raw, now_ms: int) -> Observation | None:
    access = _access(raw)
    kind = _NAC.get(access.type or "")
    if kind is None or not access.ap or access.client_type == "wired":
        return None
    ap = ap_of(access.ap)
    at_ms, blur_ms = observed_of(now_ms, access.timestamp)
    return Observation(kind, ap, at_ms, blur_ms=blur_ms)


def _seen(raw: msgspec.Raw, now_ms: int) -> Observation:
    client = _client(raw)
    spot = None
    if client.map_id:
        floor = name_of(client.map_id, "a map")
        accuracy_m = -1.0 if client.accuracy is None else client.accuracy
        if client.x_m is not None and client.y_m is not None:
            spot = Spot(floor, client.x_m, client.y_m, accuracy_m)
        elif client.x is not None and client.y is not None:
            spot = Spot(f"{floor}:px", client.x, client.y, accuracy_m)
    ap = ap_of(client.ap_mac) if spot is None or client.ap_mac else ""
    at_ms, blur_ms = observed_of(now_ms, client.last_seen)
    return Observation(ObservationKind.JOINED, ap, at_ms, spot=spot, blur_ms=blur_ms)


_ALERTS = "occupancy-alerts"
_OBSERVE: Final[dict[str, Callable[[msgspec.Raw, int], Observation | None]]] = {
    "location": _at_spot,
    "location-client": _at_spot,
    "client-join": _joined,
    "client-sessions": _ended,
    "zone": _in_zone,
    "rssizone": _in_zone,
    "nac-accounting": _accessed,
    "nac-events": _accessed,
    _STATISTICS: _seen,
}
"""What each topic about a person says."""
_TYPED: Final = {
    "location": _WIFI,
    "location-client": _WIFI,
    "zone": _WIFI,
    "rssizone": _WIFI,
    "nac-accounting": tuple(_NAC),
    "nac-events": tuple(_NAC),
}
"""Of which types the events of a topic are read."""
