"""Access points and sensors: what hangs where, and how each one reports."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.simulate.layout import DEPTH_M
from engine.simulate.places import Place, Use

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.simulate.layout import LevelPlan


class Controller(StrEnum):
    """What the access points of a level report through."""

    DIRECT = "direct"
    """Livefloor's own JSON, at once."""
    RADIUS = "radius"
    """RADIUS accounting by HTTP."""
    LATE = "late"
    """Livefloor's own msgpack, minutes late, out of order and with duplicates."""


class AccessPoint(NamedTuple):
    """A radio: `name` is how its controller spells it, `space` what it is mapped to."""

    row: int
    name: str
    controller: Controller
    level: int
    x: float
    y: float
    space: str
    confidence: int


class Model(IntEnum):
    """Makes of sensors; each speaks its own format."""

    DESK_PRESENCE = 1
    """Milesight VS341 by ChirpStack: `occupancy` occupied or vacant."""
    PASSIVE_INFRARED = 2
    """Milesight WS202 by ChirpStack: `pir` trigger or normal."""
    PEOPLE_COUNTER = 3
    """Milesight VS121 by ChirpStack: `people_count_all`."""
    ZIGBEE_MOTION = 4
    """An infrared sensor by Zigbee2MQTT: `occupancy`, cleared after five minutes."""
    ZIGBEE_PRESENCE = 5
    """A radar by Zigbee2MQTT: `presence`."""
    OWN_PRESENCE = 6
    """Livefloor's own JSON, presence."""
    OWN_COUNT = 7
    """Livefloor's own JSON, people."""


class _Traits(NamedTuple):
    source: str
    kind: str
    interval_s: float
    device: str


_TRAITS: Final = {
    Model.DESK_PRESENCE: _Traits("chirpstack", "presence", 900, "24e12434{:010x}"),
    Model.PASSIVE_INFRARED: _Traits("chirpstack", "motion", 900, "24e12420{:010x}"),
    Model.PEOPLE_COUNTER: _Traits("chirpstack", "count", 600, "24e12412{:010x}"),
    Model.ZIGBEE_MOTION: _Traits("zigbee2mqtt", "presence", 600, "motion-{space}"),
    Model.ZIGBEE_PRESENCE: _Traits("zigbee2mqtt", "presence", 600, "radar-{space}"),
    Model.OWN_PRESENCE: _Traits("sensors", "presence", 300, "seat-{space}"),
    Model.OWN_COUNT: _Traits("sensors", "count", 300, "counter-{space}"),
}

_DESK_MODELS: Final = (
    Model.DESK_PRESENCE,
    Model.ZIGBEE_MOTION,
    Model.OWN_PRESENCE,
    Model.ZIGBEE_PRESENCE,
)


class Sensor(NamedTuple):
    """A sensor and the place it watches; times in simulated seconds."""

    row: int
    source: str
    device: str
    place: int
    model: Model
    kind: str
    hold_s: float
    interval_s: float


def mounted(levels: Sequence[LevelPlan]) -> Iterator[AccessPoint]:
    """Yield two radios a zone, one for each large room and area, two at the lifts."""
    row = 0
    for level in levels:
        controller = _controller(level.number, len(levels))
        for number, (x, y, space, confidence) in enumerate(_mounts(level), 1):
            name = f"hq-{level.number}-ap-{number:02}"
            if controller is Controller.RADIUS:  # RADIUS speaks of addresses
                name = f"c4:41:1e:{level.number:02x}:00:{number:02x}"
            yield AccessPoint(
                row, name, controller, level.number, x, y, space, confidence
            )
            row += 1


def _controller(number: int, levels: int) -> Controller:
    if number == levels:
        return Controller.LATE
    return Controller.DIRECT if number % 2 else Controller.RADIUS


def _mounts(level: LevelPlan) -> Iterator[tuple[float, float, str, int]]:
    """Yield x, y, the space and percent of confidence of each radio of a level."""
    for zone in level.zones:
        x, y = zone.box.middle
        quarter = zone.box.size[0] / 4
        yield x - quarter, y, zone.id, 80
        yield x + quarter, y, zone.id, 80
    for unit in level.units:
        if unit.capacity is None or unit.capacity < 10:  # noqa: PLR2004 - small rooms share their neighbours' radio
            continue
        yield *unit.box.middle, unit.id, 85
    length = max(zone.box.east for zone in level.zones)
    for share in (0.3, 0.7):
        yield length * share, DEPTH_M / 2, f"hq/{level.number}", 45


def installed(places: Sequence[Place]) -> Iterator[Sensor]:
    """Yield a sensor for every space; makes differ by zone and by kind of room."""
    row = 0
    for place in places:
        if not place.space:
            continue
        model = _model(place)
        traits = _TRAITS[model]
        hold_s = 0.0
        if traits.kind == "motion":
            hold_s = 720.0 if place.use is Use.DESK else 300.0
        device = traits.device.format(row, space=place.space.removeprefix("hq-"))
        yield Sensor(
            row,
            traits.source,
            device,
            place.row,
            model,
            traits.kind,
            hold_s,
            traits.interval_s,
        )
        row += 1


def _model(place: Place) -> Model:
    """Return which make watches a place."""
    if place.use is Use.DESK:
        letter = "abcd".index(place.zone[-1])
        return _DESK_MODELS[(letter + place.level) % 4]
    if place.use is Use.OFFICE:
        return Model.PASSIVE_INFRARED
    if place.use is Use.PHONE:
        return Model.ZIGBEE_PRESENCE
    if place.use is Use.MEETING and place.capacity <= 5:  # noqa: PLR2004 - a camera is too dear for a small room
        return Model.PASSIVE_INFRARED
    return Model.PEOPLE_COUNTER if place.level % 2 else Model.OWN_COUNT
