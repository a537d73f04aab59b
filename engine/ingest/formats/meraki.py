"""Cisco Meraki's Scanning API, versions 2 and 3: where the cloud puts each client.

Who sends it: the Meraki dashboard posts to `POST /v1/ingest/{source}`, about once a
minute. The body holds the secret that proves it (`verify = "meraki"`), and many people:
it is split into one record for each client, all of it still encoded.

Version 3, type `WiFi`: one body a network, by client, each with a short history::

    {"version": "3.0", "type": "WiFi", "secret": …, "data": {"networkId": …,
     "observations": [{"clientMac": …, "userId": …, "latestRecord": {…},
                       "locations": [{"time": …, "floorPlanId": …, "x": …, "y": …,
                                      "variance": …}, …]}, …]}}

==================  ===================================================================
`clientMac`         `Identity.device`
`userId`            `Identity.login`: e-mail or login of the sign-on; a phone number is
                    none, and the device alone speaks
`locations`         the newest entry with coordinates is the spot: floor `floorPlanId`;
                    `x`, `y` in metres from the lower-left corner; `variance` is taken
                    for the radius in metres, as Meraki's own examples do
`latestRecord`      `nearestApMac` is the access point. Where no entry of `locations`
                    has coordinates (fewer than three access points heard the client),
                    its `time` is the time, too
==================  ===================================================================

Version 2, type `DevicesSeen`: one body an access point, so a client that five of them
hear is in five bodies.

==================  ===================================================================
`clientMac`         `Identity.device`
`location`          `x`, `y` hold one value for each name in the access point's
                    `apFloors`: the first is the spot, that name its floor; `unc` is the
                    radius in metres
`rssi`              dBm + 95. An access point that hears a client more faintly than
                    `MIN_RSSI` is not where the client is
`data.apMac`        the access point, where there is no spot and `rssi` is enough
`seenEpoch`         when, in seconds; 0 is none, and then `seenTime`
==================  ===================================================================

A coordinate may be a number, text ("7.97"), "NaN", or the word NaN, which is no JSON
and is read as null. Latitude and longitude are not read. Meraki never says that a
client left. Bodies of type `Bluetooth` or `BLE` are passed over: a complete one has not
been published. So are the MQTT messages of Meraki's access points, for the same reason.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec import Raw

from engine.errors import TooLarge
from engine.ingest.formats.wire import (
    Record,
    SourceTime,
    ap_of,
    login_of,
    name_of,
    number_of,
    observed_of,
    parse_time,
    radius_of,
)
from engine.model import Identity, Observation, ObservationKind, Spot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_BYTES = 32 << 20
"""About 1 KB a client; the largest networks have some ten thousands of them."""

MAX_RECORDS = 50_000

MAX_NANS = 500_000
"""Of a body with so many bare NaNs the reading takes half a second."""

MIN_RSSI = 28
"""-67 dBm: where a cell ends, as Cisco plans them."""

_WIFI = frozenset({"WiFi", "DevicesSeen"})
_PHONE = re.compile(r"\+?[0-9 ()-]{5,}")
_NOTHING = Raw(b"null")
_first = itemgetter(0)
_Number: TypeAlias = float | str | None

# Everything before a bare NaN: whatever is no text, whole texts, other words with an N.
# Possessive, and applied from where the last match ended, so each byte is read once.
_BEFORE_NAN = re.compile(
    rb'(?:[^"N]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"|N(?!aN))*+(?=NaN)', re.DOTALL
)


class _Client(
    msgspec.Struct,
    rename="camel",
    kw_only=True,
    omit_defaults=True,
    gc=False,
):
    """A client as it is cut out of a body, and at the same time its record.

    It begins as part of a body, where it has all fields but those of the access point.
    """

    client_mac: Raw
    user_id: Raw = _NOTHING
    locations: Raw = _NOTHING
    latest_record: Raw = _NOTHING
    location: Raw = _NOTHING
    rssi: Raw = _NOTHING
    seen_epoch: Raw = _NOTHING
    seen_time: Raw = _NOTHING
    ap_mac: Raw = _NOTHING
    ap_floors: Raw = _NOTHING


class _Data(msgspec.Struct, rename="camel", gc=False):
    observations: list[_Client]
    ap_mac: Raw = _NOTHING
    ap_floors: Raw = _NOTHING


class _Body(msgspec.Struct, gc=False):
    type: str
    data: _Data


class _Who(msgspec.Struct, rename="camel", gc=False):
    """All that says who."""

    client_mac: str | None = None
    user_id: str | None = None


class _Location(msgspec.Struct, rename="camel", gc=False):
    """An entry of a client's history."""

    time: SourceTime = None
    floor_plan_id: str | None = None
    x: _Number = None
    y: _Number = None
    variance: _Number = None


class _Latest(msgspec.Struct, rename="camel", gc=False):
    time: SourceTime = None
    nearest_ap_mac: str | None = None


class _Area(msgspec.Struct):
    """A position of version 2: a value for each floor of the access point."""

    x: list[_Number] = []
    y: list[_Number] = []
    unc: _Number = None


class _What(msgspec.Struct, rename="camel"):
    """What was seen, and where; nothing of it says who."""

    locations: list[_Location] | None = None
    latest_record: _Latest | None = None
    location: _Area | None = None
    rssi: float | None = None
    seen_epoch: SourceTime = None
    seen_time: SourceTime = None
    ap_mac: str | None = None
    ap_floors: list[str] | None = None


_decode = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode
_who = msgspec.json.Decoder(_Who).decode
_what = msgspec.json.Decoder(_What).decode
_JOINED: Final = ObservationKind.JOINED


def records(payload: bytes) -> Sequence[Record]:
    """Split a body into one record a client, nothing of which is decoded.

    Raises:
        TooLarge: More than `MAX_RECORDS`, or `MAX_NANS`.
    """
    if payload.count(b'"clientMac"') > MAX_RECORDS:
        raise TooLarge(f"a body holds at most {MAX_RECORDS} clients")
    try:
        body = _decode(payload)
    except msgspec.DecodeError:
        nans = payload.count(b"NaN")
        if not nans:
            raise
        if nans > MAX_NANS:
            raise TooLarge(f"a body holds at most {MAX_NANS} NaNs") from None
        body = _decode(b"".join(_without_nan(payload)))
    if body.type not in _WIFI:
        return ()
    data = body.data
    for client in data.observations:
        client.ap_mac, client.ap_floors = data.ap_mac, data.ap_floors
    return [_encode(client) for client in data.observations]


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode the client and who signed on with it, alone."""
    del topic, now_ms
    who = _who(record)
    login = login_of(who.user_id)
    if login is not None and _PHONE.fullmatch(login):
        login = None
    return Identity(login, who.client_mac or None)


def observe(record: Record, topic: str, now_ms: int) -> Observation | None:
    """Decode the newest of where a client was seen; None where nothing tells a place.

    Raises:
        BadTime: No time, or one in the future.
        Malformed: The name of an access point or floor is too long.
    """
    del topic
    what = _what(record)
    if what.locations is None and what.latest_record is None:
        times = [what.seen_epoch, what.seen_time]
        heard = what.rssi is not None and what.rssi >= MIN_RSSI
        spot, ap = _area(what), _ap(what.ap_mac) if heard else ""
    else:
        latest = what.latest_record or _Latest()
        newest = max(_history(what.locations or []), default=None, key=_first)
        time, spot = newest or (latest.time, None)
        times = [time]
        ap = _ap(latest.nearest_ap_mac)
    if spot is None and not ap:
        return None
    at_ms, blur_ms = observed_of(now_ms, *times)
    return Observation(_JOINED, ap, at_ms, spot=spot, blur_ms=blur_ms)


def _history(locations: Iterable[_Location]) -> Iterator[tuple[int, Spot]]:
    """Yield time and spot of each entry that has both."""
    for one in locations:
        at_ms = parse_time(one.time)
        spot = _spot(one.floor_plan_id, one.x, one.y, one.variance)
        if at_ms is not None and spot is not None:
            yield at_ms, spot


def _area(what: _What) -> Spot | None:
    """Return the spot of version 2 on the first floor of its access point."""
    area = what.location
    if area is None or not (area.x and area.y and what.ap_floors):
        return None
    return _spot(what.ap_floors[0], area.x[0], area.y[0], area.unc)


def _spot(floor: str | None, x: _Number, y: _Number, radius_m: _Number) -> Spot | None:
    east, north = number_of(x), number_of(y)
    if not floor or east is None or north is None or east == north == 0:
        return None
    return Spot(name_of(floor, "a floor"), east, north, radius_of(radius_m))


def _ap(name: str | None) -> str:
    return ap_of(name) if name else ""


def _without_nan(payload: bytes) -> Iterator[bytes]:
    """Yield a body in parts, with null for each bare NaN."""
    start = 0
    while (found := _BEFORE_NAN.match(payload, start)) is not None:
        yield found[0]
        yield b"null"
        start = found.end() + len(b"NaN")
    yield payload[start:]
