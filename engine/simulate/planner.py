"""Plans a day: who comes, takes which desk, meets whom, lunches and leaves when."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

from engine.simulate.chance import dice
from engine.simulate.places import Place, Use
from engine.simulate.schedule import Itinerary, Stay, walk_s

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from engine.simulate.building import Building
    from engine.simulate.people import Person

HOUR_S: Final = 3600.0
MINUTE_S: Final = 60.0

_ATTENDANCE: Final = (0.58, 0.66, 0.62, 0.66, 0.42)
"""Share of the employees who come, Monday to Friday."""
_FULL: Final = 0.94
"""However many want to come, a few desks stay free."""
_SIT_DOWN_S: Final = 4 * MINUTE_S
"""With less time than this between two engagements nobody goes back to a desk."""
_HALL: Final = 16
_MEETINGS: Final = 5
"""Nobody is asked to more in a day."""
_STAFF_PER_OFFICE: Final = 40
_SLOT_S: Final = 5 * MINUTE_S

Busy = list[tuple[float, float, int]]
"""Engagements of one person: from, to, row of the place."""


def plan_day(
    building: Building, people: Sequence[Person], seed: int, day: int
) -> list[Itinerary]:
    """Return the itineraries of everybody who comes, in order of arrival."""
    planner = _Planner(building, dice(seed, 2, day), day)
    present = planner.arrivals(people)
    planner.meetings(present)
    for visit in present:
        planner.breaks(visit)
    return [planner.itinerary(visit) for visit in present]


class _Visit:
    """One person's day while it is being planned."""

    def __init__(
        self, person: Person, arrive_s: float, leave_s: float, lobby: Place
    ) -> None:
        self.person = person
        self.arrive_s = arrive_s
        self.leave_s = leave_s
        self.desk = lobby
        self.busy: Busy = []

    def free(self, start_s: float, end_s: float) -> bool:
        """Tell whether nothing is planned between, and a way to and fro."""
        margin = _SIT_DOWN_S
        if start_s < self.arrive_s + margin or end_s > self.leave_s - margin:
            return False
        return all(
            end_s + margin <= s or start_s - margin >= e for s, e, _ in self.busy
        )


class _Planner:
    def __init__(self, building: Building, chance: random.Random, day: int) -> None:
        self.building = building
        self.chance = chance
        self.day = day
        self.places = building.places
        self.by_use: dict[Use, list[Place]] = {use: [] for use in Use}
        for place in building.places:
            self.by_use[place.use].append(place)
        self.lobby = self.by_use[Use.LOBBY][0]
        self.guests: list[_Visit] = []
        self.teams: dict[int, list[_Visit]] = {}
        self.by_level: dict[int, list[_Visit]] = {}
        self.load: dict[tuple[int, int], int] = {}
        """People planned for a kitchen or lounge, by place and slot of time."""

    def arrivals(self, people: Sequence[Person]) -> list[_Visit]:
        """Choose who comes and when, and give everybody a desk for the day."""
        chance = self.chance
        staff = [person for person in people if not person.visits]
        wanted = round(_ATTENDANCE[self.day % 5] * len(staff))
        coming = chance.sample(staff, min(wanted, int(_FULL * self.building.desks)))
        visits = [self._hours(person) for person in coming]
        visits += [self._guest(person) for person in people if person.visits]
        visits.sort(key=lambda visit: (visit.arrive_s, visit.person.row))
        self._seat(visits)
        return visits

    def _hours(self, person: Person) -> _Visit:
        chance = self.chance
        arrive = _between(chance.gauss(8.8, 0.7), 6.8, 11.0)
        leave = _between(arrive + chance.gauss(8.6, 0.8), 14.5, 19.9)
        if chance.random() < 0.08:  # noqa: PLR2004 - half a day
            leave = _between(arrive + 4.2 + chance.random(), 12.2, 15.0)
        return _Visit(person, arrive * HOUR_S, leave * HOUR_S, self.lobby)

    def _guest(self, person: Person) -> _Visit:
        arrive = self.chance.uniform(9.0, 15.5)
        leave = arrive + self.chance.uniform(1.2, 2.5)
        return _Visit(person, arrive * HOUR_S, leave * HOUR_S, self.lobby)

    def _seat(self, visits: Sequence[_Visit]) -> None:
        """Give out desks in order of arrival; teams have a zone where they look first.

        Who leaves at noon leaves a desk for somebody who comes later.
        """
        chance = self.chance
        zones: dict[str, list[tuple[float, float, int]]] = {}
        for desk in self.by_use[Use.DESK]:
            zones.setdefault(desk.zone, []).append((0.0, chance.random(), desk.row))
        for heap in zones.values():
            heapify(heap)
        heaps = list(zones.values())
        offices = [place.row for place in self.by_use[Use.OFFICE]]
        teams = 1 + max((visit.person.team for visit in visits), default=0)
        for visit in visits:
            person = visit.person
            if person.visits:
                continue
            if person.row % _STAFF_PER_OFFICE == 0 and offices:
                visit.desk = self.places[offices.pop()]
                continue
            home = person.team * len(heaps) // teams
            for heap in heaps[home:] + heaps[:home]:
                if heap[0][0] <= visit.arrive_s:
                    _, order, row = heappop(heap)
                    heappush(heap, (visit.leave_s + 2 * MINUTE_S, order, row))
                    visit.desk = self.places[row]
                    break

    def meetings(self, present: Sequence[_Visit]) -> None:
        """Fill the rooms: mostly with people of one team, now and then with a guest."""
        self.guests = [visit for visit in present if visit.person.visits]
        for visit in present:
            if not visit.person.visits:
                self.teams.setdefault(visit.person.team, []).append(visit)
                self.by_level.setdefault(visit.desk.level, []).append(visit)
        if not self.teams:
            return
        for room in self.by_use[Use.MEETING]:
            self._book(room)
        for room in self.by_use[Use.PHONE]:
            self._call(room)

    def _book(self, room: Place) -> None:
        """Plan the meetings of one room: whole quarters, and a pause after each."""
        chance = self.chance
        start = 9 * HOUR_S + chance.choice((0, 30)) * MINUTE_S
        while start < 17 * HOUR_S:
            if chance.random() < self._idle(room, start):
                start += 30 * MINUTE_S
                continue
            end = start + chance.choice((30, 30, 45, 60, 60, 90)) * MINUTE_S
            self._meet(room, start, end)
            start = end + chance.choice((15, 30, 30, 45)) * MINUTE_S

    def _idle(self, room: Place, start_s: float) -> float:
        """Return how likely a room stays free: halls mostly, and all at noon."""
        if 11.9 * HOUR_S < start_s < 13.2 * HOUR_S:
            return 0.85
        return 0.8 if room.capacity >= _HALL else 0.42

    def _meet(self, room: Place, start_s: float, end_s: float) -> None:
        chance = self.chance
        asked = self._circle(room)
        free = [v for v in asked if len(v.busy) < _MEETINGS and v.free(start_s, end_s)]
        most = min(room.capacity, len(free))
        if most < 2:  # noqa: PLR2004 - nobody meets alone
            return
        least = min(most, max(2, room.capacity // 3))
        attending = chance.sample(free, chance.randint(least, most))
        guest = next((g for g in self.guests if g.free(start_s, end_s)), None)
        if guest is not None and len(attending) < room.capacity:
            attending.append(guest)
        for visit in attending:
            come = start_s + chance.uniform(-60, 150)
            go = end_s - chance.uniform(0, 120)
            visit.busy.append((come, go, room.row))

    def _circle(self, room: Place) -> list[_Visit]:
        """Return whom a meeting in this room may be of: a team, or several in a row."""
        near = self.by_level.get(room.level, ())
        host = self.chance.choice(near) if near else None
        first = host.person.team if host else min(self.teams)
        teams = 1 + room.capacity // 9
        return [v for n in range(first, first + teams) for v in self.teams.get(n, ())]

    def _call(self, room: Place) -> None:
        """Plan the calls of one phone room, of people who sit on its level."""
        chance = self.chance
        near = self.by_level.get(room.level, ())
        start = 8.5 * HOUR_S
        while (
            near and (start := start + chance.uniform(6, 60) * MINUTE_S) < 18 * HOUR_S
        ):
            end = start + chance.uniform(6, 35) * MINUTE_S
            caller = chance.choice(near)
            if caller.free(start, end):
                caller.busy.append((start, end, room.row))
            start = end + 2 * MINUTE_S

    def breaks(self, visit: _Visit) -> None:
        """Plan lunch, coffee and the rest of a person's short ways."""
        if visit.person.visits:
            return
        chance = self.chance
        if visit.arrive_s < 11.5 * HOUR_S and visit.leave_s > 13 * HOUR_S:
            noon = _between(chance.gauss(12.4, 0.35), 11.4, 13.6) * HOUR_S
            self._pause(visit, noon, chance.uniform(22, 48), self._canteens(visit))
        for _ in range(chance.randint(2, 4)):
            rooms = self._near(Use.RESTROOM, visit)
            self._pause(visit, self._sometime(visit), chance.uniform(3, 6), rooms)
        for _ in range(chance.randint(1, 3)):
            minutes, use = chance.uniform(4, 10), Use.KITCHEN
            if chance.random() < 0.3:  # noqa: PLR2004 - some talk, sitting down
                minutes, use = chance.uniform(12, 35), Use.LOUNGE
            near = self._near(use, visit)
            self._pause(visit, self._sometime(visit), minutes, near)

    def _near(self, use: Use, visit: _Visit) -> list[Place]:
        """Return the places of a use on the level where somebody sits."""
        return [p for p in self.by_use[use] if p.level == visit.desk.level]

    def _sometime(self, visit: _Visit) -> float:
        return self.chance.uniform(visit.arrive_s + 900, visit.leave_s - 1200)

    def _canteens(self, visit: _Visit) -> list[Place]:
        """Return where one may lunch: the café, or the kitchen of the own level."""
        own = self._near(Use.KITCHEN, visit)
        cafe = self.by_use[Use.KITCHEN][:1]
        return [*own, *cafe] if self.chance.getrandbits(1) else [*cafe, *own]

    def _pause(
        self, visit: _Visit, start_s: float, minutes: float, places: Sequence[Place]
    ) -> None:
        """Plan a break where a seat is left, a little later if need be."""
        for _ in range(6):
            end = start_s + minutes * MINUTE_S
            if visit.free(start_s, end):
                slots = range(int(start_s // _SLOT_S), int(end // _SLOT_S) + 1)
                for place in places:
                    if all(
                        self.load.get((place.row, s), 0) < place.capacity for s in slots
                    ):
                        for slot in slots:
                            key = (place.row, slot)
                            self.load[key] = self.load.get(key, 0) + 1
                        visit.busy.append((start_s, end, place.row))
                        return
            start_s += 11 * MINUTE_S

    def itinerary(self, visit: _Visit) -> Itinerary:
        """Turn engagements into stays: ways take time, and between them is the desk."""
        stays: list[Stay] = []
        here, now = self.places[0], visit.arrive_s
        desk = visit.desk
        for start, end, row in sorted(visit.busy):
            place = self.places[row]
            sit_s = now + walk_s(here, desk)
            rise_s = start - walk_s(desk, place)
            if rise_s - sit_s >= _SIT_DOWN_S:
                stays.append(Stay(sit_s, rise_s, desk.row))
                here, now = desk, rise_s
            come = max(start, now + walk_s(here, place))
            if end - come >= MINUTE_S:
                stays.append(Stay(come, end, row))
                here, now = place, end
        sit_s = now + walk_s(here, desk)
        out_s = visit.leave_s - walk_s(desk, self.places[0])
        if out_s - sit_s >= _SIT_DOWN_S:
            stays.append(Stay(sit_s, out_s, desk.row))
            here, now = desk, out_s
        leave = max(visit.leave_s, now + walk_s(here, self.places[0]))
        return Itinerary(visit.person.row, desk.row, visit.arrive_s, leave, stays)


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
