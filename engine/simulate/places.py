"""Where a person can be, and what one does there."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.simulate.layout import LevelPlan


class Use(IntEnum):
    """What people do at a place."""

    ENTRANCE = 0
    DESK = 1
    OFFICE = 2
    MEETING = 3
    PHONE = 4
    KITCHEN = 5
    LOUNGE = 6
    LOBBY = 7
    RESTROOM = 8


class Place(NamedTuple):
    """Where a person can be: a space of the plan, a restroom or the entrance.

    Attributes:
        row: Its place in `Building.places`.
        space: Id of the space in the plan; "" where nobody is counted.
        use: What people do there.
        level: Number of the level, 1 for the ground.
        x: Metres from the west of the building, its middle.
        y: Metres from the south.
        capacity: People it is meant for.
        zone: Id of the zone that a desk belongs to, else "".
    """

    row: int
    space: str
    use: Use
    level: int
    x: float
    y: float
    capacity: int
    zone: str = ""


_USE_BY_CATEGORY: Final = {
    "conferenceroom": Use.MEETING,
    "huddleroom": Use.MEETING,
    "kitchen": Use.KITCHEN,
    "lobby": Use.LOBBY,
    "lounge": Use.LOUNGE,
    "meetingroom": Use.MEETING,
    "office": Use.OFFICE,
    "phoneroom": Use.PHONE,
    "restroom": Use.RESTROOM,
}


def places_of(levels: Sequence[LevelPlan]) -> Iterator[Place]:
    """Yield the entrance, then every place, level by level."""
    lobby = next(u for u in levels[0].units if u.category == "lobby").box
    yield Place(0, "", Use.ENTRANCE, 1, lobby.middle[0], 0.0, 10_000)
    row = 1
    for level in levels:
        for unit in level.units:
            use = _USE_BY_CATEGORY.get(unit.category)
            if use is None:
                continue
            space = "" if unit.capacity is None else unit.id
            x, y = unit.box.middle
            yield Place(row, space, use, level.number, x, y, unit.capacity or 12)
            row += 1
        for desk in level.desks:
            x, y = desk.box.middle
            yield Place(row, desk.id, Use.DESK, level.number, x, y, 1, desk.zone)
            row += 1
