"""Who is where when: the stays of every person on one day, and so the ground truth."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.simulate.building import Building
    from engine.simulate.places import Place

OPENS_S: Final = 6.5 * 3600
CLOSES_S: Final = 20.5 * 3600
"""A day of the simulation: the building is empty at both ends."""

WALK_M_PER_S: Final = 1.3
LIFT_S: Final = 25.0
"""Waiting for a lift; each level adds to it."""
LEVEL_S: Final = 6.0

WALKING: Final = -1
AWAY: Final = -2


class Stay(NamedTuple):
    """A person is at a place from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    place: int


class Itinerary(NamedTuple):
    """A person's day; between two stays they walk.

    Attributes:
        person: Row of the person.
        desk: Row of the place that is theirs today.
        arrive_s: They come in at the entrance.
        leave_s: They go out.
        stays: In order, without overlap, all between the two.
    """

    person: int
    desk: int
    arrive_s: float
    leave_s: float
    stays: Sequence[Stay]


def walk_s(a: Place, b: Place) -> float:
    """Return how long the way from a to b takes, along corridors and by lift."""
    if a.row == b.row:
        return 0.0
    way = (abs(a.x - b.x) + abs(a.y - b.y)) / WALK_M_PER_S
    levels = abs(a.level - b.level)
    return way + (LIFT_S + LEVEL_S * levels if levels else 0.0) + 2.0


class Moment:
    """The ground truth at one time.

    Attributes:
        at_s: The simulated time.
        place: For each person the row of their place, `WALKING` or `AWAY`.
        people: For each place, how many are there.
    """

    def __init__(self, at_s: float, place: Sequence[int], places: int) -> None:
        self.at_s = at_s
        self.place = place
        self.people = [0] * places
        for row in place:
            if row >= 0:
                self.people[row] += 1


class Truth:
    """What is true on a day, whatever the radios and sensors say."""

    def __init__(
        self, building: Building, people: int, itineraries: Sequence[Itinerary]
    ) -> None:
        self._building = building
        self._people = people
        self._itineraries = itineraries
        self._starts = [[s.start_s for s in one.stays] for one in itineraries]

    def at(self, at_s: float) -> Moment:
        """Return where everybody is at a time; costs a little for each person."""
        place = [AWAY] * self._people
        for number, itinerary in enumerate(self._itineraries):
            if itinerary.arrive_s <= at_s < itinerary.leave_s:
                place[itinerary.person] = self._place(number, at_s)
        return Moment(at_s, place, len(self._building.places))

    def _place(self, number: int, at_s: float) -> int:
        stay = bisect_right(self._starts[number], at_s) - 1
        stays = self._itineraries[number].stays
        if stay < 0 or at_s >= stays[stay].end_s:
            return WALKING
        return stays[stay].place
