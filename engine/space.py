"""The building: tenant → building → level → zone → space, and what is bound where.

These are the nouns; `files` makes them from what an operator wrote. What a plan draws
in degrees, coordinates of devices are compared with in metres, level by level.

Every space has an index. The spaces of a level are contiguous, the level's own first,
so that a level is a slice of every array of the engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import shapely
from shapely.geometry import shape

from engine.model import ReadingKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from shapely.geometry.base import BaseGeometry


class Kind(StrEnum):
    """What a space is."""

    BUILDING = "building"
    LEVEL = "level"
    ZONE = "zone"
    ROOM = "room"
    AREA = "area"
    DESK = "desk"


COUNTED = frozenset({Kind.ROOM, Kind.AREA, Kind.DESK})
"""What one can take; a level is summed up by these."""


@dataclass(frozen=True, slots=True)
class Space:
    """A place the engine counts in.

    Attributes:
        index: Its row in every array by space.
        id: Unique within the tenant; a `spelling.Id`, except a level's, which is
            `building/name`.
        name: What people call it.
        kind: What it is.
        level: Id of its level; None for a building.
        parent: Index of the space that it is part of; -1 for a building.
        capacity: People it is meant for, or None where the plan does not say.
    """

    index: int
    id: str
    name: str
    kind: Kind
    level: str | None
    parent: int
    capacity: int | None


class Level(NamedTuple):
    """A storey: the spaces `start` to `stop` (exclusive), the level itself first."""

    id: str
    building: str
    name: str
    ordinal: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Building:
    """A building and the index of its own space."""

    id: str
    name: str
    index: int


BOUND_AS: Mapping[str, ReadingKind] = MappingProxyType(
    {
        "presence": ReadingKind.PRESENCE,
        "motion": ReadingKind.MOTION,
        "count": ReadingKind.COUNT,
        "flow": ReadingKind.FLOW_DELTA,
        "contact": ReadingKind.CONTACT,
    }
)
"""What a channel can be bound as, by the word of the tables. A line is of one kind,
whichever of the two flows it reports."""

WORD_OF: Mapping[ReadingKind, str] = MappingProxyType(
    {
        **{kind: word for word, kind in BOUND_AS.items()},
        ReadingKind.FLOW_TOTAL: "flow",
        ReadingKind.HEALTH: "health",
        ReadingKind.ENV: "env",
    }
)
"""What operators call the kind of a reading; one that is not in `BOUND_AS` needs no
binding."""

RESET_AT = 4 * 60
"""The usual reset of a balance: offices are at their emptiest at four."""


class AccessPoint(NamedTuple):
    """Where an access point says that a device is, and how likely that is (percent)."""

    space: int
    confidence: int


class Binding(NamedTuple):
    """A sensor channel and the space that it watches.

    Attributes:
        source: The configured source that reports it.
        device: The sensor, as the source names it (lower case).
        channel: Line, region or zone inside the device; "" is the whole device.
        space: Index of the space.
        kind: What it measures.
        hold_ms: How long a motion pulse keeps the space occupied.
        interval_ms: The report interval it promises; 0 where none is declared.
        max_on_ms: How long it may say that the same people are there; 0 for ever.
        flip: Of a line: "in" leads out of the space.
        reset_at: Of a line: minute of the day at which the balance begins anew.
    """

    source: str
    device: str
    channel: str
    space: int
    kind: ReadingKind
    hold_ms: int
    interval_ms: int
    max_on_ms: int = 0
    flip: bool = False
    reset_at: int = RESET_AT


class Map(NamedTuple):
    """How a source's map of a floor lies on a level of the plan.

    Attributes:
        source: The configured source.
        floor: Its key of the floor, always a text.
        level: Id of the level.
        east, north: Metres from the middle of the level (`Plan.ground`), each as what
            one unit of x adds, what one of y adds, and where the map's origin is.
        width, height: Of the map, in its own unit; infinite where the file says none.
        accuracy_m: Of coordinates whose source does not tell it.
        unit_m: Metres of one unit, as the points or corners have it.
        residual_m: The farthest that a given point lies from where the map puts it.
    """

    source: str
    floor: str
    level: str
    east: tuple[float, float, float]
    north: tuple[float, float, float]
    width: float
    height: float
    accuracy_m: float
    unit_m: float
    residual_m: float


class Ground(NamedTuple):
    """The ground around a point, flat as it is for the size of a building.

    Attributes:
        lon, lat: The point, in degrees (WGS 84).
        east_m, north_m: Metres of one degree there; over a kilometre the error is some
            centimetres.
    """

    lon: float
    lat: float
    east_m: float
    north_m: float

    @classmethod
    def around(cls, lon: float, lat: float) -> Ground:
        """Return the ground around a point; the series are those of the ellipsoid."""
        phi = math.radians(lat)
        east_m = 111_412.84 * math.cos(phi) - 93.5 * math.cos(3 * phi)
        north_m = 111_132.954 - 559.822 * math.cos(2 * phi) + 1.175 * math.cos(4 * phi)
        return cls(lon, lat, east_m, north_m)

    def metres(self, degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return float64[n, 2], metres east and north, of longitudes and latitudes."""
        return (degrees - (self.lon, self.lat)) * (self.east_m, self.north_m)


class Plan:
    """The spaces of a tenant, in index order, with their geometry.

    Attributes:
        version: Names the content of the plan file: 12 hexadecimal digits.
        spaces: Every space; `spaces[i].index == i`.
        levels: By id, in building and ordinal order.
        buildings: By id.
        space_by_id: Index by space id.
        parent: int32[n], index of the parent or -1.
        capacity: int32[n], people or -1.
    """

    def __init__(
        self,
        version: str,
        spaces: Sequence[Space],
        levels: Mapping[str, Level],
        buildings: Mapping[str, Building],
        drawings: Mapping[str, list[dict[str, Any]]],
    ) -> None:
        self.version = version
        self.spaces = tuple(spaces)
        self.levels = levels
        self.buildings = buildings
        self.space_by_id = {space.id: space.index for space in spaces}
        self.parent: npt.NDArray[np.int32] = np.array(
            [space.parent for space in spaces], np.int32
        )
        self.capacity: npt.NDArray[np.int32] = np.array(
            [-1 if s.capacity is None else s.capacity for s in spaces], np.int32
        )
        self._drawings = drawings

    def building_of(self, space: Space) -> str:
        """Return the id of the building that a space is in, or is."""
        return space.id if space.level is None else self.levels[space.level].building

    def outlines(self, level: str) -> list[BaseGeometry]:
        """Return the shapes of a level's spaces in degrees, its own first.

        A level without an outline has the hull of all that is drawn on it.
        """
        own: BaseGeometry | None = None
        rows: dict[int, BaseGeometry] = {}
        drawn = [(shape(f["geometry"]), f["properties"]) for f in self._drawings[level]]
        for geometry, properties in drawn:
            if "row" in properties:
                rows[properties["row"]] = geometry
            elif own is None and properties["kind"] == "outline" and geometry.area:
                own = geometry
        if own is None:
            own = shapely.union_all([one.envelope for one, _ in drawn]).convex_hull
        return [shapely.make_valid(own), *(rows[row] for row in sorted(rows))]

    def ground(self, level: str) -> Ground:
        """Return the ground around the middle of a level."""
        west, south, east, north = self.outlines(level)[0].bounds
        return Ground.around((west + east) / 2, (south + north) / 2)

    def geojson(self, level: str) -> bytes:
        """Return the drawing of a level as GeoJSON (features by row, see README).

        Raises:
            KeyError: No such level.
        """
        features = self._drawings[level]
        bounds = shapely.union_all([shape(f["geometry"]) for f in features]).bounds
        return msgspec.json.encode(
            {
                "type": "FeatureCollection",
                "level": level,
                "plan": self.version,
                "bbox": bounds,
                "features": features,
            }
        )
