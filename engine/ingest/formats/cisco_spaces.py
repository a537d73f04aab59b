"""Events of the Cisco Spaces Firehose: where devices are, and what sensors count.

Who sends it: Cisco Spaces answers our request with events without end, one in a line (a
source with `[tenant.source.pull]`, mode "stream"). A message is one event::

    {"recordTimestamp": 1641977166586, "eventType": "DEVICE_LOCATION_UPDATE",
     "deviceLocationUpdate": {"device": {"macAddress": …}, "rawUserId": …, …}}

About a device, and so about whoever carries it:

==========================  ===========================================================
`device.macAddress`         `Identity.device`
`rawUserId`                 `Identity.login`, where it is one of a person. `userId` and
                            `deviceId` are Spaces' own, and not read
`DEVICE_LOCATION_UPDATE`    joined at `xPos`, `yPos`, in feet from the top-left corner
                            of the floor's map. -999 is none, and so is 0, 0
`location`                  the place and its parents: the floor is the first of them
                            whose `inferredLocationTypes` has FLOOR, by its
                            `sourceLocationId` (the floor's number in CMX), else its
                            `locationId`. Where none is a floor: `mapId`
`confidenceFactor`          the radius that holds the device with 95 %, in feet; becomes
                            metres
`lastSeen`                  when. `recordTimestamp` is when it was sent, up to half an
                            hour later
`DEVICE_EXIT`, and          gone at `exitTimestamp`, else at `recordTimestamp`. Other
`DEVICE_PRESENCE` with      kinds of presence tell no place
"DEVICE_EXIT_EVENT"
==========================  ===========================================================

About no person; a device is a location, a space or a sensor, by its address where it
has one, else by its id:

===========================  ==========================================================
`DEVICE_COUNT`               at the location's `locationId`: `userCount` on channel
                             `users`, `associatedCount` on channel `devices`
`CAMERA_COUNT`               there, too: `count` on channel `camera`
`RAW_CAMERA_COUNT`           at `cameraId`: `count` on channel `cameraZoneId`
`SPACE_OCCUPANCY`,           at the space's `id`: `peoplePresence`, `peopleCount`.
`SPACE_OCCUPANCY_CHANGE`     `peakPeopleCount` is that of a quarter of an hour: not now
`TP_PEOPLE_COUNT_UPDATE`     at `macAddress`, else `tpDeviceId`: `presence` and
                             `peopleCount`, at `timeStamp`
`WEBEX_TELEMETRY`            at `deviceInfo`: the same two, wherever in `telemetries`
`IOT_TELEMETRY`              at `deviceInfo`: `tpData` as above; `occupancyStatus`,
                             `pirTrigger` (motion, when it says), `magnetContact`;
                             `temperature`, `humidity`, `carbonEmissions`,
                             `ambientLight`, `battery`, `voltage`. Never its position
===========================  ==========================================================

All others say nothing: `KEEP_ALIVE`; `USER_PRESENCE`, which repeats of a user what
`DEVICE_PRESENCE` says of each device. A count below zero is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from engine.ingest.formats.wire import (
    CONTACT,
    COUNT,
    ENV,
    FEET,
    MAX_COUNT,
    MOTION,
    PRESENCE,
    Record,
    SourceTime,
    login_of,
    name_of,
    observed_of,
    parse_time,
    radius_of,
    sensor_time,
)
from engine.model import (
    Identity,
    Metric,
    Observation,
    ObservationKind,
    Reading,
    Spot,
)
from engine.spelling import canonical_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_BYTES = 1 << 18
"""An event has some 3 KB; one with a long chain of locations a few times as many."""

MAX_TELEMETRIES = 100
"""A room device reports some ten at once."""

RESUME: Final = ("fromTimestamp", "recordTimestamp")
"""The parameter of the request that says from when on to replay, and the key of an
event that says when it was sent."""

_UNKNOWN = -999
_MAX_MEASURE = 10**9
"""In thousandths of a unit; nothing that is read gets there."""


class _Device(msgspec.Struct, rename="camel", gc=False):
    mac_address: str | None = None


class _Bearer(msgspec.Struct, rename="camel", gc=False):
    device: _Device | None = None
    raw_user_id: str | None = None


class _Who(msgspec.Struct, rename="camel", gc=False):
    """All that says who, in the events that are read."""

    device_location_update: _Bearer | None = None
    device_presence: _Bearer | None = None
    device_exit: _Bearer | None = None


class _Place(msgspec.Struct, rename="camel"):
    """A location, within its parents."""

    location_id: str = ""
    source_location_id: str = ""
    inferred_location_types: list[str] = []
    parent: _Place | None = None


class _Update(msgspec.Struct, rename="camel"):
    location: _Place | None = None
    last_seen: SourceTime = None
    map_id: str | None = None
    x_pos: float | None = None
    y_pos: float | None = None
    confidence_factor: float | None = None


class _Exit(msgspec.Struct, rename="camel", gc=False):
    presence_event_type: str = ""
    exit_timestamp: SourceTime = None


class _What(msgspec.Struct, rename="camel"):
    """What happened to a device, and where; nothing of it says who."""

    event_type: str
    record_timestamp: SourceTime = None
    device_location_update: _Update | None = None
    device_presence: _Exit | None = None
    device_exit: _Exit | None = None


class _Head(msgspec.Struct, rename="camel", gc=False):
    event_type: str
    record_timestamp: SourceTime = None


class _Counts(msgspec.Struct, rename="camel", gc=False):
    """What was counted at a location."""

    location: _Place | None = None
    user_count: int | None = None
    associated_count: int | None = None
    count: int | None = None
    camera_id: str | None = None
    camera_zone_id: str | None = None


class _Id(msgspec.Struct, gc=False):
    id: str


class _Occupied(msgspec.Struct, rename="camel", gc=False):
    """The people in a space."""

    space: _Id
    people_presence: bool | None = None
    people_count: int | None = None


class _Room(msgspec.Struct, rename="camel", gc=False):
    """What a room device sees."""

    presence: bool | None = None
    people_count: int | None = None
    time_stamp: SourceTime = None
    mac_address: str | None = None
    tp_device_id: str | None = None


class _Info(msgspec.Struct, rename="camel", gc=False):
    device_id: str | None = None
    device_mac_address: str | None = None
    mac_address: str | None = None


class _Webex(msgspec.Struct, rename="camel"):
    device_info: _Info
    telemetries: list[_Room] = []


class _Measure(msgspec.Struct, rename="camel", gc=False):
    """One of the things that a sensor measures; each has keys of its own."""

    timestamp: SourceTime = None
    status: str | None = None
    contact_type: str | None = None
    temperature_in_celsius: float | None = None
    humidity_in_percentage: float | None = None
    co2_ppm: float | None = msgspec.field(default=None, name="co2Ppm")
    value_lx: float | None = None
    value_mv: float | None = None
    value: float | None = None
    unit: str | None = None


class _Telemetry(msgspec.Struct, rename="camel"):
    device_info: _Info
    tp_data: _Room | None = None
    occupancy_status: _Measure | None = None
    pir_trigger: _Measure | None = None
    magnet_contact: _Measure | None = None
    temperature: _Measure | None = None
    humidity: _Measure | None = None
    carbon_emissions: _Measure | None = None
    ambient_light: _Measure | None = None
    battery: _Measure | None = None
    voltage: _Measure | None = None


class _Anonymous(msgspec.Struct, rename="camel"):
    """An event about no person: its type says which of these it has."""

    device_counts: _Counts | None = None
    camera_counts: _Counts | None = None
    raw_camera_counts: _Counts | None = None
    space_occupancy: _Occupied | None = None
    space_occupancy_change: _Occupied | None = None
    tp_people_count_update: _Room | None = None
    webex_telemetry_update: _Webex | None = None
    iot_telemetry: _Telemetry | None = None


_who = msgspec.json.Decoder(_Who).decode
_what = msgspec.json.Decoder(_What).decode
_head = msgspec.json.Decoder(_Head).decode
_anonymous = msgspec.json.Decoder(_Anonymous).decode

_EXIT = "DEVICE_EXIT_EVENT"
_OCCUPIED: Final = {"OCCUPIED": 1, "NOT_OCCUPIED": 0}
_CONTACT: Final = {"OPEN": 1, "CLOSED": 0}


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode the device and its user alone; both None: an event about no person."""
    del topic, now_ms
    who = _who(record)
    bearer = who.device_location_update or who.device_presence or who.device_exit
    if bearer is None:
        return Identity()
    device = bearer.device.mac_address if bearer.device is not None else None
    return Identity(login_of(bearer.raw_user_id), device or None)


def observe(record: Record, topic: str, now_ms: int) -> Observation | None:
    """Decode where a device is, or that it left; None where neither is said.

    Raises:
        BadTime: No time, or one in the future.
        Malformed: The key of a floor is too long.
    """
    del topic
    what = _what(record)
    update, left = what.device_location_update, what.device_exit or what.device_presence
    spot: Spot | None = None
    if what.event_type == "DEVICE_LOCATION_UPDATE" and update is not None:
        kind, spot = ObservationKind.JOINED, _spot(update)
        if spot is None:
            return None
        times = [update.last_seen]
    elif left is not None and (what.device_exit or left.presence_event_type == _EXIT):
        kind = ObservationKind.GONE
        times = [left.exit_timestamp, what.record_timestamp]
    else:
        return None
    at_ms, blur_ms = observed_of(now_ms, *times)
    return Observation(kind, "", at_ms, spot=spot, blur_ms=blur_ms)


def read(record: Record, topic: str, now_ms: int) -> Sequence[Reading]:
    """Return what an event says of locations, spaces and sensors; () for others.

    Raises:
        Malformed: No device, or a name that is too long.
    """
    del topic
    head = _head(record)
    meaning = _MEANINGS.get(head.event_type)
    if meaning is None:
        return ()
    at_ms = sensor_time(parse_time(head.record_timestamp), now_ms)
    return [*meaning(_anonymous(record), at_ms, now_ms)]


def _spot(update: _Update) -> Spot | None:
    x, y = update.x_pos, update.y_pos
    floor = _floor(update)
    if x is None or y is None or _UNKNOWN in (x, y) or x == y == 0 or not floor:
        return None
    accuracy_m = radius_of(update.confidence_factor, FEET)
    return Spot(name_of(floor, "a floor"), x, y, accuracy_m)


def _floor(update: _Update) -> str:
    """Return the key of the floor, "" where there is none."""
    place = update.location
    while place is not None:
        if "FLOOR" in place.inferred_location_types:
            return place.source_location_id or place.location_id
        place = place.parent
    return update.map_id or ""


def _counted(event: _Anonymous, at_ms: int, _: int) -> Iterator[Reading]:
    """Yield what was counted at a location."""
    counts = event.device_counts or event.camera_counts
    if counts is None:
        return
    place = counts.location
    device = _named(None, place.location_id if place is not None else None)
    for channel, count in (
        ("users", counts.user_count),
        ("devices", counts.associated_count),
        ("camera", counts.count),
    ):
        if count is not None:
            yield Reading(device, COUNT, _count(count), at_ms, channel)


def _seen_by_camera(event: _Anonymous, at_ms: int, _: int) -> Iterator[Reading]:
    counts = event.raw_camera_counts
    if counts is not None and counts.count is not None:
        device = _named(None, counts.camera_id)
        zone = counts.camera_zone_id
        zone = name_of(zone, "a zone").lower() if zone else ""
        yield Reading(device, COUNT, _count(counts.count), at_ms, zone)


def _in_space(event: _Anonymous, at_ms: int, _: int) -> Iterator[Reading]:
    occupied = event.space_occupancy_change or event.space_occupancy
    if occupied is not None:
        device = _named(None, occupied.space.id)
        present, count = occupied.people_presence, occupied.people_count
        yield from _people(device, at_ms, present, count)


def _in_room(event: _Anonymous, at_ms: int, now_ms: int) -> Iterator[Reading]:
    room = event.tp_people_count_update
    if room is not None:
        device = _named(room.mac_address, room.tp_device_id)
        yield from _of_room(device, room, at_ms, now_ms)


def _of_webex(event: _Anonymous, at_ms: int, now_ms: int) -> Iterator[Reading]:
    webex = event.webex_telemetry_update
    if webex is not None:
        device = _named(webex.device_info.mac_address, webex.device_info.device_id)
        for room in webex.telemetries[:MAX_TELEMETRIES]:
            yield from _of_room(device, room, at_ms, now_ms)


def _measured(event: _Anonymous, at_ms: int, now_ms: int) -> Iterator[Reading]:
    """Yield what a sensor measures; each only where it says so."""
    sensor = event.iot_telemetry
    if sensor is None:
        return
    info = sensor.device_info
    device = _named(info.device_mac_address, info.device_id)
    if sensor.tp_data is not None:
        yield from _of_room(device, sensor.tp_data, at_ms, now_ms)
    status = sensor.occupancy_status
    if status is not None and status.status is not None:
        yield Reading(device, PRESENCE, _OCCUPIED.get(status.status, -1), at_ms)
    trigger = sensor.pir_trigger
    moved_ms = parse_time(trigger.timestamp) if trigger is not None else None
    if moved_ms is not None:
        yield Reading(device, MOTION, 1, sensor_time(moved_ms, now_ms))
    contact = sensor.magnet_contact
    if contact is not None and contact.contact_type is not None:
        state = _CONTACT.get(contact.contact_type, -1)
        yield Reading(device, CONTACT, state, at_ms)
    for metric, thousandths in _environment(sensor):
        if abs(thousandths) <= _MAX_MEASURE:
            value = round(thousandths)
            yield Reading(device, ENV, value, at_ms, metric=metric)


def _environment(sensor: _Telemetry) -> Iterator[tuple[Metric, float]]:
    """Yield metric and value, in thousandths, of the air and of the sensor itself."""
    none = _Measure()
    battery = sensor.battery or none
    for metric, value, scale in (
        (
            Metric.TEMPERATURE,
            (sensor.temperature or none).temperature_in_celsius,
            1000,
        ),
        (Metric.HUMIDITY, (sensor.humidity or none).humidity_in_percentage, 1000),
        (Metric.CO2, (sensor.carbon_emissions or none).co2_ppm, 1000),
        (Metric.ILLUMINANCE, (sensor.ambient_light or none).value_lx, 1000),
        (Metric.VOLTAGE, (sensor.voltage or none).value_mv, 1),
        (
            Metric.BATTERY,
            battery.value if battery.unit == "PERCENTAGE" else None,
            1000,
        ),
    ):
        if value is not None:
            yield metric, value * scale


def _of_room(device: str, room: _Room, at_ms: int, now_ms: int) -> Iterator[Reading]:
    own_ms = parse_time(room.time_stamp)
    at_ms = at_ms if own_ms is None else sensor_time(own_ms, now_ms)
    yield from _people(device, at_ms, room.presence, room.people_count)


def _people(
    device: str,
    at_ms: int,
    present: bool | None,  # noqa: FBT001 - as it stands in the event
    count: int | None,
) -> Iterator[Reading]:
    if present is not None:
        yield Reading(device, PRESENCE, int(present), at_ms)
    if count is not None:
        yield Reading(device, COUNT, _count(count), at_ms)


def _count(count: int) -> int:
    return count if 0 <= count <= MAX_COUNT else -1


def _named(address: str | None, name: str | None) -> str:
    """Return a sensor by its address where it has one, else by its name."""
    device = canonical_address(address) if address else None
    return device or name_of(name, "a sensor").lower()


_MEANINGS: Final[dict[str, Callable[[_Anonymous, int, int], Iterator[Reading]]]] = {
    "DEVICE_COUNT": _counted,
    "CAMERA_COUNT": _counted,
    "RAW_CAMERA_COUNT": _seen_by_camera,
    "SPACE_OCCUPANCY": _in_space,
    "SPACE_OCCUPANCY_CHANGE": _in_space,
    "TP_PEOPLE_COUNT_UPDATE": _in_room,
    "WEBEX_TELEMETRY": _of_webex,
    "IOT_TELEMETRY": _measured,
}
