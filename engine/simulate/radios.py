"""What the devices of one person do on the air while the person walks and stays.

A phone goes where its owner goes, roams on the way and, at rest between two radios,
flaps. A laptop stays docked on the desk while its owner has coffee. Controllers report
a device every ten minutes, tell of a leave late or never, and lose those who go home.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from engine.simulate.chance import dice
from engine.simulate.events import Link, Radio, Step
from engine.simulate.people import Carried
from engine.simulate.places import Use
from engine.simulate.schedule import AWAY, WALKING, walk_s

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from engine.simulate.building import Building
    from engine.simulate.coverage import Coverage
    from engine.simulate.people import Device, Person
    from engine.simulate.schedule import Itinerary, Stay

INTERIM_S: Final = 600.0
"""How often a controller reports that a device is still there."""
IDLE_S: Final = 300.0
"""After this a controller gives up a device that went without a word."""

_FLAPPING: Final = 0.5
"""Share of the stays between two radios during which a phone flaps."""
_FLAPS: Final = 12
_LATE_LEAVE: Final = 0.1
_NO_LEAVE: Final = 0.15
_TAKEN_ALONG: Final = 0.5
"""Share of the meetings that somebody brings a laptop to."""


class Carrier:
    """A person with devices on one day."""

    def __init__(
        self,
        building: Building,
        coverage: Coverage,
        person: Person,
        itinerary: Itinerary,
        seeds: tuple[int, int],
    ) -> None:
        self._places = building.places
        self._coverage = coverage
        self._person = person.row
        self._carried = [d for d in person.devices if d.carried is not Carried.LAPTOP]
        self._laptops = [d for d in person.devices if d.carried is Carried.LAPTOP]
        self._itinerary = itinerary
        self._seeds = seeds
        self._sessions: dict[int, int] = {}
        desks = (n for n, s in enumerate(itinerary.stays) if s.place == itinerary.desk)
        self._first_desk = next(desks, len(itinerary.stays))

    def stretches(self, since_s: float) -> Iterator[tuple[float, list[Radio | Step]]]:
        """Yield time and events of each stretch of the day, a walk and a stay at most.

        The first stretch of a day that is under way begins with where everything is.
        No event of a stretch is before its time, but some are after the next one's.
        """
        itinerary = self._itinerary
        stays = itinerary.stays
        if since_s >= itinerary.leave_s:
            return
        first = bisect_right([stay.end_s for stay in stays], since_s)
        if since_s > itinerary.arrive_s:
            yield since_s, self._warm(first, since_s)
        for number in range(first, len(stays) + 1):
            start_s = stays[number - 1].end_s if number else itinerary.arrive_s
            events = self._stretch(number, start_s)
            if start_s < since_s:
                events = [event for event in events if event.at_s > since_s]
            yield max(start_s, since_s), events

    def _warm(self, number: int, at_s: float) -> list[Radio | Step]:
        """Return where person and devices are, as if they had just come."""
        stays = self._itinerary.stays
        here = number < len(stays) and stays[number].start_s <= at_s
        place = stays[number].place if here else WALKING
        events: list[Radio | Step] = [Step(at_s, self._person, place)]
        near = place if here else stays[number - 1].place if number else 0
        ap = self._coverage.at(near).best
        events += [self._join(at_s, device, ap) for device in self._carried]
        laptop = self._laptop_place(number if here else number - 1)
        if laptop is not None:
            ap = self._coverage.at(laptop).best
            events += [self._join(at_s, device, ap) for device in self._laptops]
        return events

    def _stretch(self, number: int, start_s: float) -> list[Radio | Step]:
        """Return the events of the walk to a stay and of the stay itself."""
        stays = self._itinerary.stays
        chance = dice(*self._seeds, self._person, number)
        stay = stays[number] if number < len(stays) else None
        end_s = stay.end_s if stay else self._itinerary.leave_s
        events: list[Radio | Step] = [Step(start_s, self._person, WALKING)]
        for device in self._carried:
            events += self._walk(chance, device, number, start_s)
        if stay:
            events.append(Step(stay.start_s, self._person, stay.place))
            for device in self._carried:
                events += self._rest(chance, device, stay)
        else:
            events.append(Step(end_s, self._person, AWAY))
            for device in self._carried:
                events.append(self._gone(chance, device, end_s))
        for device in self._laptops:
            events += self._laptop(chance, device, number, start_s, end_s)
        return events

    def _walk(
        self, chance: random.Random, device: Device, number: int, start_s: float
    ) -> Iterator[Radio]:
        """Yield how a device roams on the way to a stay, or out."""
        stays = self._itinerary.stays
        before = stays[number - 1].place if number else 0
        after = stays[number].place if number < len(stays) else 0
        ap = self._coverage.at(before).best
        if not number:
            yield self._join(start_s + chance.uniform(1, 6), device, ap)
        start, end = self._places[before], self._places[after]
        last_s = start_s + walk_s(start, end)
        for after_s, heard in self._coverage.along(start, end, ap):
            at_s = min(start_s + after_s + chance.random(), last_s)
            yield from self._roam(chance, at_s, device, ap, heard)
            ap = heard
        best = self._coverage.at(after).best
        if best != ap:
            at_s = last_s + chance.uniform(0.5, 4)
            yield from self._roam(chance, at_s, device, ap, best)

    def _rest(
        self, chance: random.Random, device: Device, stay: Stay
    ) -> Iterator[Radio]:
        """Yield the interim reports of a device at rest, and its flapping."""
        best, rival = self._coverage.at(stay.place)
        flaps: list[float] = []
        if (
            rival >= 0
            and device.carried is Carried.PHONE
            and chance.random() < _FLAPPING
        ):
            at_s = stay.start_s + chance.uniform(20, 120)
            while len(flaps) < _FLAPS and at_s < stay.end_s - 5:
                flaps.append(at_s)
                at_s += 12 + chance.expovariate(1 / 45)
            flaps = flaps[: len(flaps) // 2 * 2]  # it ends where it began
        for number, at_s in enumerate(flaps):
            old, new = (rival, best) if number % 2 else (best, rival)
            yield from self._roam(chance, at_s, device, old, new)
        settled = flaps[-1] if flaps else stay.start_s
        yield from self._still(chance, device, best, settled, stay.end_s)

    def _still(
        self,
        chance: random.Random,
        device: Device,
        ap: int,
        start_s: float,
        end_s: float,
    ) -> Iterator[Radio]:
        at_s = start_s + chance.uniform(0.2, 1.0) * INTERIM_S
        while at_s < end_s:
            session = self._sessions.get(device.row, 0)
            yield Radio(at_s, device.row, ap, Link.STILL, session)
            at_s += INTERIM_S * chance.uniform(0.95, 1.05)

    def _laptop(
        self,
        chance: random.Random,
        device: Device,
        number: int,
        start_s: float,
        end_s: float,
    ) -> Iterator[Radio]:
        """Yield what a laptop does from setting out to the end of a stay."""
        stays = self._itinerary.stays
        before = self._laptop_place(number - 1)
        after = self._laptop_place(number)
        if before == after:
            if after is not None:
                ap = self._coverage.at(after).best
                yield from self._still(chance, device, ap, start_s, end_s)
            return
        if before is not None:  # the lid is closed before one gets up
            ap = self._coverage.at(before).best
            yield self._leave(start_s + chance.random(), device, ap)
        if after is not None and number < len(stays):
            ap = self._coverage.at(after).best
            at_s = stays[number].start_s + chance.uniform(20, 90)
            if at_s < end_s:
                yield self._join(at_s, device, ap)
                yield from self._still(chance, device, ap, at_s, end_s)

    def _laptop_place(self, number: int) -> int | None:
        """Return where the laptop is during a stay; None: in a bag."""
        stays = self._itinerary.stays
        if number >= len(stays) or number < self._first_desk:
            return None
        place = stays[number].place
        if self._places[place].use is Use.MEETING and self._brings(number):
            return place
        return self._itinerary.desk

    def _brings(self, number: int) -> bool:
        return dice(*self._seeds, self._person, number, 1).random() < _TAKEN_ALONG

    def _roam(
        self, chance: random.Random, at_s: float, device: Device, old: int, new: int
    ) -> Iterator[Radio]:
        """Yield the join, and the leave it makes: soon, minutes later, or never."""
        session = self._sessions.get(device.row, 0)
        yield self._join(at_s, device, new)
        luck = chance.random()
        if luck < _NO_LEAVE:
            return
        late = luck < _NO_LEAVE + _LATE_LEAVE
        after_s = chance.uniform(30, 320) if late else chance.uniform(0, 4)
        yield Radio(at_s + after_s, device.row, old, Link.LEFT, session)

    def _gone(self, chance: random.Random, device: Device, at_s: float) -> Radio:
        quiet = chance.random() < 0.3  # noqa: PLR2004 - out of reach before a word
        after_s = IDLE_S if quiet else chance.uniform(2, 30)
        return self._leave(at_s + after_s, device, self._coverage.at(0).best)

    def _join(self, at_s: float, device: Device, ap: int) -> Radio:
        session = max(round(at_s * 10), self._sessions.get(device.row, 0) + 1)
        self._sessions[device.row] = session
        return Radio(at_s, device.row, ap, Link.JOINED, session)

    def _leave(self, at_s: float, device: Device, ap: int) -> Radio:
        session = self._sessions.get(device.row, 0)
        return Radio(at_s, device.row, ap, Link.LEFT, session)


def carriers(
    building: Building,
    coverage: Coverage,
    people: Sequence[Person],
    itineraries: Sequence[Itinerary],
    seeds: tuple[int, int],
) -> Iterator[Carrier]:
    """Yield a carrier for everybody who comes."""
    for itinerary in itineraries:
        person = people[itinerary.person]
        yield Carrier(building, coverage, person, itinerary, seeds)
