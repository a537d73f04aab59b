"""The working day as a stream of events in order of time, from any hour on."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from engine.simulate.coverage import Coverage
from engine.simulate.events import Event, Radio, Step
from engine.simulate.planner import plan_day
from engine.simulate.radios import carriers
from engine.simulate.schedule import CLOSES_S, OPENS_S, Truth
from engine.simulate.sensing import Due, Faults, Sensing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from engine.simulate.building import Building
    from engine.simulate.people import Person

_Stretches: TypeAlias = "Iterator[tuple[float, list[Radio | Step]]]"


class Day:
    """One day in the building.

    The same seed and number give the same day; the events after an hour are the same
    whether one was there from the morning or came at that hour, except that the random
    delays of sensors differ.

    Attributes:
        truth: Where everybody is, whatever radios and sensors say.
    """

    def __init__(
        self,
        building: Building,
        people: Sequence[Person],
        seed: int,
        number: int = 0,
    ) -> None:
        self._building = building
        self._people = people
        self._seeds = (seed, number)
        self._itineraries = plan_day(building, people, seed, number)
        self.truth = Truth(building, len(people), self._itineraries)

    @property
    def faults(self) -> Faults:
        """Which sensors are not well on this day."""
        return Faults.of(self._building.sensors, *self._seeds)

    def events(
        self, since_s: float = OPENS_S, until_s: float = CLOSES_S
    ) -> Iterator[Event]:
        """Yield the events of the day in order of time.

        The first ones, all at `since_s`, tell the state at that time: where everybody
        is, what every device is on, what every sensor says. Memory is bounded by the
        number of people and sensors, however long the day.
        """
        return _Agenda(self._building, self._seeds).run(
            self._stretches(since_s), since_s, until_s
        )

    def _stretches(self, since_s: float) -> Iterator[_Stretches]:
        coverage = Coverage(self._building)
        seeds = (self._seeds[0] * 8 + 6, self._seeds[1])
        for carrier in carriers(
            self._building, coverage, self._people, self._itineraries, seeds
        ):
            yield carrier.stretches(since_s)


class _Stretch(NamedTuple):
    """Events of a person for a while, and the stretches that follow."""

    events: list[Radio | Step]
    following: _Stretches


class _Agenda:
    """What is due next: a heap of events, chores, and stretches still to be opened."""

    def __init__(self, building: Building, seeds: tuple[int, int]) -> None:
        self._sensing = Sensing(building, *seeds)
        self._heap: list[tuple[float, int, Radio | Step | Due | _Stretch]] = []
        self._order = count()

    def run(
        self, people: Iterable[_Stretches], since_s: float, until_s: float
    ) -> Iterator[Event]:
        """Yield events from since to until."""
        yield from self._open(people, since_s)
        heap, sensing = self._heap, self._sensing
        while heap and heap[0][0] < until_s:
            task = heappop(heap)[2]
            if isinstance(task, Radio):
                yield task
            elif isinstance(task, Due):
                sense, following = sensing.do(task)
                if following is not None:
                    self._put(following.at_s, following)
                if sense is not None:
                    yield sense
            elif isinstance(task, Step):
                yield task
                for due in sensing.notice(sensing.enter(task), task.at_s):
                    self._put(due.at_s, due)
            else:
                for event in task.events:
                    self._put(event.at_s, event)
                self._follow(task.following)

    def _open(self, people: Iterable[_Stretches], since_s: float) -> Iterator[Event]:
        """Yield the state at the beginning: people, what sensors see, then devices.

        Sensors come before devices because they are what a map shows.
        """
        radios: list[Radio] = []
        for stretches in people:
            start_s, events = next(stretches, (since_s, []))
            if start_s > since_s:
                self._put(start_s, _Stretch(events, stretches))
                continue
            for event in events:
                if isinstance(event, Step):
                    deque(self._sensing.enter(event), maxlen=0)
                    yield event
                else:
                    radios.append(event)
            self._follow(stretches)
        for sense, dues in self._sensing.begin(since_s):
            if sense is not None:
                yield sense
            for due in dues:
                self._put(due.at_s, due)
        yield from radios

    def _follow(self, stretches: _Stretches) -> None:
        stretch = next(stretches, None)
        if stretch is not None:
            self._put(stretch[0], _Stretch(stretch[1], stretches))

    def _put(self, at_s: float, task: Radio | Step | Due | _Stretch) -> None:
        heappush(self._heap, (at_s, next(self._order), task))
