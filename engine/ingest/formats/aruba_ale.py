"""HPE Aruba ALE (Analytics and Location Engine): its REST answers in JSON.

Who sends it: ALE is asked for `GET /api/v1/location` and `GET /api/v1/station`, and
answers `{"Location_result": [{"msg": {…}, "ts": …}]}` or `{"Station_result": […]}`, a
record for each device. Both may go to one source: one knows where, the other who.

==================  ===================================================================
of a location       becomes
==================  ===================================================================
`sta_eth_mac`       `Identity.device`; where ALE hides it (its anonymising option leaves
                    `hashed_sta_eth_mac` alone) the record is about nobody
`floor_id`, `unit`  the floor of the spot: `floor_id` where the unit is metres,
                    `<floor_id>:feet` or `<floor_id>:px` where it is another. ALE has
                    one unit at a time; after a change the floor is an unknown one, and
                    not one of another scale
`sta_location_x`,   the spot, from the top left
`sta_location_y`
`error_level`       the accuracy, by `unit`: not said where that is pixels
`loc_algorithm`     of AP_PLACEMENT and LOW_DENSITY, which put a device where its access
                    point is, the accuracy is a cell's at best: `CELL_M`
`err_code`          of anything but NO_ERROR nothing: no new fix, the last one is sent
                    again as if it were (LEGACY says nothing, so the fix counts)
`ts`                when
==================  ===================================================================

Of a station, `username` is the login where it is a person's (`wire.login_of`),
`sta_eth_mac` the device, and it has joined `bssid`, the address of a radio, at `ts`.

Other results (presence, geofences, applications, …) become nothing: what a device does
on the network is none of our business. Nor is a departure ever told: who is gone is not
in the next answer, and silence proves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from engine.errors import Malformed
from engine.ingest.formats.wire import (
    FEET,
    Record,
    SourceTime,
    ap_of,
    items_of,
    labelled,
    login_of,
    name_of,
    observed_of,
    unlabelled,
)
from engine.model import Identity, Observation, ObservationKind, Spot

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 1 << 23
"""Answers about some ten thousand devices."""

CELL_M = 15.0
"""About as far as an office lets a device be from its access point."""

_LOCATION = "location"
_STATION = "station"
_OTHER: Final = labelled("", [b"null"])
"""What stands for an answer of which nothing may be decoded."""

_NONE: Final = msgspec.Raw(b"")
_PIXELS = "PIXELS"
_FLOORS: Final = {"METERS": "", "FEET": ":feet", _PIXELS: ":px"}
_AT_ITS_AP: Final = frozenset({"AP_PLACEMENT", "LOW_DENSITY"})
_FIXED: Final = frozenset({"NO_ERROR", "LEGACY"})


class _Answer(msgspec.Struct, gc=False):
    locations: msgspec.Raw = msgspec.field(default=_NONE, name="Location_result")
    stations: msgspec.Raw = msgspec.field(default=_NONE, name="Station_result")


class _Address(msgspec.Struct, gc=False):
    addr: str | None = None


class _WhoMsg(msgspec.Struct, gc=False):
    sta_eth_mac: _Address | None = None
    username: str | None = None


class _Who(msgspec.Struct, gc=False):
    """Who a record is about."""

    msg: _WhoMsg


class _Fix(msgspec.Struct, gc=False):
    floor_id: str
    sta_location_x: float
    sta_location_y: float
    unit: str
    error_level: float | None = None
    loc_algorithm: str = ""
    err_code: str = "NO_ERROR"


class _Location(msgspec.Struct, gc=False):
    msg: _Fix
    ts: SourceTime = None


class _Radio(msgspec.Struct, gc=False):
    bssid: _Address | None = None


class _Station(msgspec.Struct, gc=False):
    msg: _Radio
    ts: SourceTime = None


_answer = msgspec.json.Decoder(_Answer).decode
_who = msgspec.json.Decoder(_Who).decode
_location = msgspec.json.Decoder(_Location).decode
_station = msgspec.json.Decoder(_Station).decode


def records(payload: bytes) -> Sequence[Record]:
    """Split an answer into its records; of one that is not read, nothing.

    Raises:
        TooLarge: More than `MAX_RECORDS` records.
    """
    answer = _answer(payload)
    found: list[Record] = []
    for label, raw in ((_LOCATION, answer.locations), (_STATION, answer.stations)):
        if raw:
            found += labelled(label, items_of(raw))
    return found if answer.locations or answer.stations else _OTHER


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode login and device alone; both None: ALE hides who it is."""
    del topic, now_ms
    answer = unlabelled(record)
    if answer.label not in (_LOCATION, _STATION):
        return Identity()
    who = _who(answer.raw).msg
    device = None if who.sta_eth_mac is None else who.sta_eth_mac.addr
    return Identity(login_of(who.username), device or None)


def observe(record: Record, topic: str, now_ms: int) -> Observation | None:
    """Decode where and when; None of what is no new fix.

    Raises:
        Malformed: No floor, no radio, or a unit that is none.
        BadTime: No time, or one in the future.
    """
    del topic
    answer = unlabelled(record)
    if answer.label == _LOCATION:
        return _at_spot(_location(answer.raw), now_ms)
    if answer.label == _STATION:
        return _at_radio(_station(answer.raw), now_ms)
    return None


def _at_spot(location: _Location, now_ms: int) -> Observation | None:
    fix = location.msg
    if _name(fix.err_code, "ERROR_CODE_") not in _FIXED:
        return None
    unit = fix.unit.strip().upper()
    if unit not in _FLOORS:
        raise Malformed('"unit" is METERS, FEET or PIXELS')
    accuracy_m = fix.error_level
    if unit == _PIXELS or accuracy_m is None:
        accuracy_m = -1.0
    elif unit == "FEET":
        accuracy_m *= FEET
    if _name(fix.loc_algorithm, "ALGORITHM_") in _AT_ITS_AP:
        accuracy_m = max(accuracy_m, CELL_M)
    floor = name_of(fix.floor_id, "a floor") + _FLOORS[unit]
    spot = Spot(floor, fix.sta_location_x, fix.sta_location_y, accuracy_m)
    at_ms, blur_ms = observed_of(now_ms, location.ts)
    return Observation(ObservationKind.JOINED, "", at_ms, spot=spot, blur_ms=blur_ms)


def _at_radio(station: _Station, now_ms: int) -> Observation:
    bssid = station.msg.bssid
    radio = None if bssid is None else bssid.addr
    ap = ap_of(radio)
    at_ms, blur_ms = observed_of(now_ms, station.ts)
    return Observation(ObservationKind.JOINED, ap, at_ms, blur_ms=blur_ms)


def _name(code: str, prefix: str) -> str:
    """Return a member of an enumeration, which may be written with its prefix."""
    return code.strip().upper().removeprefix(prefix)
