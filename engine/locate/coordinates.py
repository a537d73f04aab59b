"""Coordinates place a device in the space around them that they are good enough for.

A location engine gives a point of its map and, mostly, how far off it may be. The map
says where the point is on the plan; the accuracy, how small a space may be named:

===============  =================================================================
accuracy up to   the place is the smallest around the point among
===============  =================================================================
`room_m`         rooms and areas, else zones, else the level
`zone_m`         zones, else the level
`level_m`        the level alone
beyond           none: refused as `Inaccurate`
===============  =================================================================

Never a desk: one stands 1.6 m from the next, and no Wi-Fi tells them apart.

Where the figures come from: a meeting room is about 5 m wide, and PlaceOS, which
follows Meraki's positions, always takes those below 5 m; a neighbourhood of desks is
15 m or more, while PlaceOS takes none above 25 m (it knows nothing but points); at 50 m
a level is all that can be right. Vendors do not mean the same by the figure:
Cisco's and Aruba's is the radius that holds the device in 95 of 100 cases, Meraki's is
called a variance. None is converted, as only some say which. Where all sources tell a
radius of 95 %, `room_m = 8` asks the same of them as 5 of the others.

What is refused as `Outside`: a number that is none (NaN, infinite); x and y both zero,
the corner of the picture, where nobody is and which engines write for "nowhere"; beside
the map, as -999 is; farther from the level's outline than the accuracy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from engine.errors import Inaccurate, InputError, Outside, UnknownName
from engine.model import Placement
from engine.space import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import numpy.typing as npt
    from shapely.geometry.base import BaseGeometry

    from engine.model import Spot
    from engine.space import Map, Plan

    Points = npt.NDArray[np.float64]

ROOMS = frozenset({Kind.ROOM, Kind.AREA})
ZONES = frozenset({Kind.ZONE})

SUREST, LEAST_SURE = 90, 60
"""Percent for a fix that is exact, and for one that is just good enough for its space;
between them in proportion. By access point alone it is 70 (`files.access_points`)."""

EDGE_M = 0.01
"""So near to a shape is in it: engines push what lies outside onto the very edge of the
map, which is often that of a room too, and rounding must not decide."""
FARTHEST = 1e9
"""No map is larger, in whatever unit; infinity must not get any further."""

MOST_FLOORS = 100
"""Unknown floors that are remembered; a source has a few dozen, or invents them."""
LONGEST_FLOOR = 128
"""Characters of one that is remembered."""


class Reach(NamedTuple):
    """How accurate coordinates must be, in metres, to name a space of each kind."""

    room_m: float = 5.0
    zone_m: float = 15.0
    level_m: float = 50.0


class Coordinates:
    """Places spots by the maps and the plan of a tenant.

    Args:
        plan: The spaces and their shapes.
        maps: One for each source and floor.
        reach: How accurate a spot must be.

    Attributes:
        unknown: Sources with floors that no map has: at most `MOST_FLOORS`, the first
            ones since the maps were read; shown to the operator.
    """

    def __init__(
        self, plan: Plan, maps: Iterable[Map] = (), reach: Reach | None = None
    ) -> None:
        self._reach = reach or Reach()
        self._maps: dict[tuple[str, str], _Map] = {}
        levels: dict[str, _Level] = {}
        for one in maps:
            level = levels.get(one.level)
            if level is None:
                level = levels[one.level] = _Level(plan, one.level)
            self._maps[one.source, one.floor] = _Map(one, level)
        self.unknown: set[tuple[str, str]] = set()

    def place(
        self, source: str, spots: Sequence[Spot | None]
    ) -> list[Placement | InputError | None]:
        """Return where each spot is, or why it is nowhere; None where there is none."""
        found: list[Placement | InputError | None] = [None] * len(spots)
        rows_by_floor: dict[str, list[int]] = {}
        for row, spot in enumerate(spots):
            if spot is not None:
                rows_by_floor.setdefault(spot.floor, []).append(row)
        for floor, rows in rows_by_floor.items():
            one = self._maps.get((source, floor))
            if one is None:
                self._remember(source, floor)
                places: Sequence[Placement | InputError] = [UnknownName() for _ in rows]
            else:
                places = one.place([spots[row] for row in rows], self._reach)  # type: ignore[misc]
            for row, place in zip(rows, places, strict=True):
                found[row] = place
        return found

    def _remember(self, source: str, floor: str) -> None:
        if len(self.unknown) < MOST_FLOORS and len(floor) <= LONGEST_FLOOR:
            self.unknown.add((source, floor))


class _Map:
    """A map of a source, over the level that it shows."""

    def __init__(self, one: Map, level: _Level) -> None:
        self._axes = np.array([one.east, one.north]).T
        self._size = np.minimum([one.width, one.height], FARTHEST)
        self._accuracy_m = one.accuracy_m
        self._level = level

    def place(
        self, spots: Sequence[Spot], reach: Reach
    ) -> list[Placement | InputError]:
        """Return where each spot is, or why it is nowhere."""
        xy = np.array([(spot.x, spot.y) for spot in spots], np.float64)
        told = np.array([spot.accuracy_m for spot in spots], np.float64)
        # Also of one that is not a number; an accuracy of 0 is none that was measured.
        accuracy_m = np.where(told > 0, told, self._accuracy_m)
        # A comparison with what is no number is false.
        on_map = np.all((xy >= 0) & (xy <= self._size), axis=1) & np.any(xy, axis=1)
        metres = np.where(on_map[:, None], xy, 0) @ self._axes[:2] + self._axes[2]
        points = shapely.points(metres)
        near = on_map & self._level.reaches(
            points, np.minimum(accuracy_m, reach.level_m)
        )
        spaces, confidence = self._level.spaces(points, accuracy_m, reach)
        coarse = accuracy_m > reach.room_m
        return [
            Outside()
            if not here
            else Inaccurate()
            if off_m > reach.level_m
            else Placement(-1, space, percent, poor)
            for here, off_m, space, percent, poor in zip(
                near.tolist(),
                accuracy_m.tolist(),
                spaces.tolist(),
                confidence.tolist(),
                coarse.tolist(),
                strict=True,
            )
        ]


class _Level:
    """The shapes of a level in metres from its middle: what is around a point?"""

    def __init__(self, plan: Plan, level: str) -> None:
        ground = plan.ground(level)
        start, stop = plan.levels[level].start, plan.levels[level].stop
        own, *shapes = (
            shapely.transform(shape, ground.metres) for shape in plan.outlines(level)
        )
        self._own = own
        self._start = start
        kinds = [space.kind for space in plan.spaces[start + 1 : stop]]
        shape_by_space = dict(zip(range(start + 1, stop), shapes, strict=True))

        def some(wanted: Collection[Kind]) -> _Shapes:
            return _Shapes(
                {
                    space: shape
                    for (space, shape), kind in zip(
                        shape_by_space.items(), kinds, strict=True
                    )
                    if kind in wanted
                }
            )

        self._rooms, self._zones = some(ROOMS), some(ZONES)

    def reaches(
        self, points: npt.NDArray[np.object_], within_m: Points
    ) -> npt.NDArray[np.bool_]:
        """Return whether points lie on the level, or so near that they may."""
        near: npt.NDArray[np.bool_] = shapely.distance(points, self._own) <= within_m
        return near

    def spaces(
        self, points: npt.NDArray[np.object_], accuracy_m: Points, reach: Reach
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the space of each point, and the confidence in it."""
        room, zone = self._rooms.around(points), self._zones.around(points)
        in_room = (room >= 0) & (accuracy_m <= reach.room_m)
        in_zone = (zone >= 0) & (accuracy_m <= reach.zone_m)
        spaces = np.where(in_room, room, np.where(in_zone, zone, self._start))
        needed_m = np.where(
            in_room, reach.room_m, np.where(in_zone, reach.zone_m, reach.level_m)
        )
        share = np.minimum(accuracy_m / needed_m, 1)
        return spaces, np.rint(SUREST - share * (SUREST - LEAST_SURE)).astype(np.int64)


class _Shapes:
    """Some shapes of a level, by space."""

    def __init__(self, shape_by_space: Mapping[int, BaseGeometry]) -> None:
        spaces = sorted(shape_by_space, key=lambda space: shape_by_space[space].area)
        self._spaces = np.array([*spaces, -1], np.int64)
        self._tree = shapely.STRtree([shape_by_space[space] for space in spaces])

    def around(self, points: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
        """Return the smallest space around each point; -1 for none."""
        point, shape = self._tree.query(points, predicate="dwithin", distance=EDGE_M)
        smallest = np.full(len(points), len(self._spaces) - 1)
        np.minimum.at(smallest, point, shape)  # the shapes are sorted by their area
        around: npt.NDArray[np.int64] = self._spaces[smallest]
        return around
