"""The architecture of one level, in metres from its south-west corner.

An office slab of 7.2 m bays, 32 m deep: neighbourhoods of desks along both long
façades, two corridors, and between them a core with stairs, lifts and restrooms that
small rooms flank. The ground has a lobby, a café, a forum and training rooms.

    y 32 ┌────┬───────────┬─────────┬───────────┬────┐
         │room│  zone C   │ kitchen │  zone D   │room│
    y 21 ├────┴───────────┴─────────┴───────────┴────┤ corridor
         │hall│ rooms │ stairs, lifts, WC │ rooms │hall│
    y 11 ├────┬───────────┬─────────┬───────────┬────┤ corridor
         │room│  zone A   │ lounge  │  zone B   │room│
    y  0 └────┴───────────┴─────────┴───────────┴────┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from engine.simulate import furniture
from engine.simulate.box import Box
from engine.simulate.names import NEIGHBOURHOODS, ROOMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BAY_M: Final = 7.2
DEPTH_M: Final = 32.0
SOUTH_M: Final = 11.0
"""Depth of the band of desks along a façade; the corridor begins here."""
CORE_M: Final = (13.0, 19.0)
NORTH_M: Final = 21.0
DESK_M: Final = (0.8, 1.6)
"""A desk stands with its long side across the façade."""
BENCH_M: Final = 3.6
"""From the middle of one bench to the next: two desks, two chairs and an aisle."""
SMALL_M: Final = 3.6
"""Width of a huddle room, and of two phone rooms."""
WALL_M: Final = 0.04
"""Half of a partition: rooms are drawn this much smaller than the grid."""


class Unit(NamedTuple):
    """A room, an area, or a part that is only drawn (capacity None)."""

    id: str
    name: str
    category: str
    box: Box
    capacity: int | None


class Zone(NamedTuple):
    """A neighbourhood of desks; `letter` is A to D."""

    id: str
    name: str
    letter: str
    box: Box


class Desk(NamedTuple):
    """A place for one."""

    id: str
    name: str
    zone: str
    box: Box


class LevelPlan(NamedTuple):
    """Everything on one level; `number` is 1 for the ground."""

    number: int
    name: str
    outline: Sequence[tuple[float, float]]
    units: Sequence[Unit]
    zones: Sequence[Zone]
    desks: Sequence[Desk]
    furniture: Sequence[tuple[str, Box]]


class Draughtsman:
    """Draws one level; `side` is the number of desks on each side of a bench."""

    def __init__(self, number: int, bays: int, side: int) -> None:
        self.number = number
        self.length = bays * BAY_M
        self.bays = bays
        self.side = side
        self.units: list[Unit] = []
        self.zones: list[Zone] = []
        self.desks: list[Desk] = []
        self.furniture: list[tuple[str, Box]] = []
        self._names = iter(ROOMS[(number - 1) % len(ROOMS)])
        self._count_by_category: dict[str, int] = {}

    def ground(self) -> LevelPlan:
        """Draw the ground: who comes in, eats, listens or learns is here."""
        length = self.length
        forum, lobby = 2 * BAY_M, length - 3 * BAY_M
        self._room("conferenceroom", Box(0, 0, forum, SOUTH_M), 64, table=False)
        self.furniture += furniture.rows(Box(0, 0, forum, SOUTH_M))
        self._area("lobby", "Lobby", Box(forum, 0, lobby, SOUTH_M), 60)
        for bay in range(3):
            west = lobby + bay * BAY_M
            self._room("meetingroom", Box(west, 0, west + BAY_M, SOUTH_M), 20)
        cafe = (self.bays // 2) * BAY_M
        self._drawn("foodservice", Box(0, NORTH_M, BAY_M, DEPTH_M))
        self._area("kitchen", "Café", Box(BAY_M, NORTH_M, cafe, DEPTH_M), 110)
        self._zone("A", Box(cafe, NORTH_M, length - BAY_M, DEPTH_M))
        self._corner(Box(length - BAY_M, NORTH_M, length, DEPTH_M), offices=False)
        self._ends()
        self._core()
        self.furniture += furniture.reception(Box(forum, 0, lobby, SOUTH_M))
        porch = (forum + lobby) / 2
        self._drawn("vestibule", Box(porch - 3, -1.8, porch + 3, 0))
        steps = ((-3.0, 0.0), (-3.0, -1.8), (3.0, -1.8), (3.0, 0.0))
        return self._level("Ground", south=[(porch + x, y) for x, y in steps])

    def office(self) -> LevelPlan:
        """Draw a level of offices; even levels are the mirror image of odd ones."""
        length, wide = self.length, (self.bays - 4) // 2 * BAY_M
        west, east = BAY_M, length - BAY_M
        middle = (west + wide, east - wide)
        self._zone("A", Box(west, 0, middle[0], SOUTH_M))
        self._zone("B", Box(middle[1], 0, east, SOUTH_M))
        self._zone("C", Box(west, NORTH_M, middle[0], DEPTH_M))
        self._zone("D", Box(middle[1], NORTH_M, east, DEPTH_M))
        lounge = Box(middle[0], 0, middle[1], 6.2)
        kitchen = Box(middle[0], NORTH_M, middle[1], DEPTH_M)
        if self.number % 2 == 0:
            self._area("lounge", "Lounge", lounge, 20)
            self._row_of_rooms(middle, 6.2, SOUTH_M)
            self._area("kitchen", "Kitchen", kitchen, 40)
        else:
            top = DEPTH_M - 6.2
            self._area("kitchen", "Kitchen", Box(middle[0], 0, middle[1], SOUTH_M), 40)
            self._row_of_rooms(middle, NORTH_M, top)
            self._area("lounge", "Lounge", Box(middle[0], top, middle[1], DEPTH_M), 20)
        for x in (0.0, length - BAY_M):
            self._corner(Box(x, 0, x + BAY_M, SOUTH_M), offices=False)
            self._corner(Box(x, NORTH_M, x + BAY_M, DEPTH_M), offices=True)
        self._ends()
        self._core()
        edge, out, (low, high) = length, length + 2.4, (12.5, 19.5)
        self._drawn("terrace", Box(edge, low, out, high))
        for y in (low + 0.6, (low + high) / 2, high - 0.6):
            self.furniture.append(furniture.planter(edge + 1.2, y))
        around = ((edge, low), (out, low), (out, high), (edge, high))
        return self._level(f"Level {self.number}", east=around)

    def _level(
        self,
        name: str,
        south: Iterable[tuple[float, float]] = (),
        east: Iterable[tuple[float, float]] = (),
    ) -> LevelPlan:
        """Gather what was drawn; `south` and `east` stand out from the slab there."""
        length = self.length
        outline = [
            (0.0, 0.0),
            *south,
            (length, 0.0),
            *east,
            (length, DEPTH_M),
            (0.0, DEPTH_M),
        ]
        return LevelPlan(
            self.number,
            name,
            outline,
            self.units,
            self.zones,
            self.desks,
            self.furniture,
        )

    def _corner(self, box: Box, *, offices: bool) -> None:
        """Two meeting rooms, or two offices and a meeting room."""
        half = (box.south + box.north) / 2
        low, high = box._replace(north=half), box._replace(south=half)
        # the meeting room has the corner; offices lie on the corridor
        if not offices:
            self._room("meetingroom", low, 10)
            self._room("meetingroom", high, 8)
            return
        self._room("meetingroom", high, 10)
        split = low.middle[0]
        for part in (low._replace(east=split), low._replace(west=split)):
            self._room("office", part, 2)

    def _ends(self) -> None:
        """The heads of both corridors: a boardroom west, a lounge east."""
        west = Box(0, SOUTH_M, BAY_M, NORTH_M)
        east = Box(self.length - BAY_M, SOUTH_M, self.length, NORTH_M)
        self._room("conferenceroom", west, 18)
        self._area("lounge", "Winter garden", east, 18)

    def _row_of_rooms(
        self, between: tuple[float, float], south: float, north: float
    ) -> None:
        """Four small rooms side by side between lounge and corridor."""
        width = (between[1] - between[0]) / 4
        for number in range(4):
            west = between[0] + number * width
            self._room("meetingroom", Box(west, south, west + width, north), 5)

    def _core(self) -> None:
        """Stairs, restrooms and lifts in the middle, small rooms on both sides."""
        south, north = CORE_M
        middle = self.length / 2
        for corridor in ((SOUTH_M, south), (north, NORTH_M)):
            box = Box(BAY_M, corridor[0], self.length - BAY_M, corridor[1])
            self._drawn("walkway", box)
        x = middle - 10.8
        for category, width in (("stairs", 3.0), ("restroom", 4.2)):
            self._drawn(category, Box(x, south, x + width, north))
            x += width
        half = (south + north) / 2
        for lift in (x, x + 4.8):
            self._drawn("elevator", Box(lift, south, lift + 2.4, half))
            self._drawn("elevator", Box(lift, half, lift + 2.4, north))
        self._drawn("walkway", Box(x + 2.4, south, x + 4.8, north))
        x += 7.2
        for category, width in (("restroom", 4.2), ("stairs", 3.0)):
            self._drawn(category, Box(x, south, x + width, north))
            x += width
        self._flank(BAY_M, middle - 10.8, mirrored=self.number % 2 == 1)
        self._flank(middle + 10.8, self.length - BAY_M, mirrored=self.number % 2 == 0)

    def _flank(self, west: float, east: float, *, mirrored: bool) -> None:
        """Rooms of the core, from `west` to `east`: through rooms, huddles, phones."""
        south, north = CORE_M
        half = (south + north) / 2
        kinds = ["meeting", "phones", "huddles", "meeting"]
        spare = east - west - 3 * SMALL_M
        kinds = kinds[:-1] if spare < SMALL_M else kinds
        through = (east - west - 2 * SMALL_M) / kinds.count("meeting")
        x = west
        for kind in reversed(kinds) if mirrored else kinds:
            if kind == "meeting":
                capacity = round(1.3 * through) + 1
                self._room("meetingroom", Box(x, south, x + through, north), capacity)
                x += through
                continue
            columns = 2 if kind == "phones" else 1
            width = SMALL_M / columns
            for _ in range(columns):
                for low, high in ((south, half), (half, north)):
                    box = Box(x, low, x + width, high)
                    if kind == "phones":
                        self._phone(box)
                    else:
                        self._room("huddleroom", box, 4)
                x += width

    def _zone(self, letter: str, box: Box) -> None:
        """A neighbourhood: benches across the façade, planting at the corridor."""
        number = self.number
        names = NEIGHBOURHOODS[(number - 1) % len(NEIGHBOURHOODS)]
        zone = Zone(
            f"hq-{number}-{letter.lower()}", names["ABCD".index(letter)], letter, box
        )
        self.zones.append(zone)
        at_south = box.south == 0
        run = self.side * DESK_M[1]
        spare = SOUTH_M - run
        # towards the façade: the light is there, the corridor keeps its distance
        south = box.south + (0.4 * spare if at_south else 0.6 * spare)
        benches = round((box.east - box.west) / BENCH_M)
        seats: list[Box] = []
        for bench in range(benches):
            middle = box.west + (bench + 0.5) * BENCH_M
            for west in (middle - DESK_M[0], middle):
                for place in range(self.side):
                    low = south + place * DESK_M[1]
                    seats.append(Box(west, low, west + DESK_M[0], low + DESK_M[1]))
            y = south + run + 0.5 if at_south else south - 0.5
            self.furniture.append(furniture.planter(middle, y))
        for place, seat in enumerate(seats, 1):
            self.desks.append(
                Desk(
                    f"{zone.id}-{place:02}",
                    f"{number}{letter}-{place:02}",
                    zone.id,
                    seat.shrunk(0.03),
                )
            )

    def _room(
        self, category: str, box: Box, capacity: int, *, table: bool = True
    ) -> None:
        """A room with a name of its own and a table."""
        name = next(self._names)
        self._unit(category, name, name, box.shrunk(WALL_M), capacity)
        if table:
            self.furniture.append(furniture.table(box, small=category == "office"))

    def _phone(self, box: Box) -> None:
        number = self._next("phoneroom")
        name = f"Phone {self.number}.{number}"
        self._unit("phoneroom", f"phone-{number}", name, box.shrunk(WALL_M), 1)

    def _area(self, category: str, name: str, box: Box, capacity: int) -> None:
        """An area without walls, with seats; a kitchen has its counter as well."""
        self._unit(category, name, name, box, capacity)
        if category == "kitchen":
            self.furniture += furniture.kitchen(box, counter_south=box.south == 0)
        elif category == "lounge":
            self.furniture += furniture.seats(box)

    def _drawn(self, category: str, box: Box) -> None:
        """A part that nobody is counted in."""
        number = self._next(category)
        walls = WALL_M if category != "walkway" else 0.0
        name = f"{category.capitalize()} {self.number}.{number}"
        self._unit(category, f"{category}-{number}", name, box.shrunk(walls), None)

    def _unit(
        self, category: str, key: str, name: str, box: Box, capacity: int | None
    ) -> None:
        key = key.lower().replace(" ", "-").replace("é", "e")
        unit_id = f"hq-{self.number}-{key}"
        self.units.append(Unit(unit_id, name, category, box, capacity))

    def _next(self, category: str) -> int:
        number = self._count_by_category.get(category, 0) + 1
        self._count_by_category[category] = number
        return number
