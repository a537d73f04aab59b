"""What the sensors report of the people who come and go, with the faults they have.

A desk sensor and a counter look a few seconds after something changed; an infrared
sensor reports motion, which people at rest make only now and then. Every sensor repeats
itself at its interval. Four of them are not well, see `Faults`.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.simulate.chance import dice
from engine.simulate.events import Report, Sense, Step
from engine.simulate.fittings import Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from engine.simulate.building import Building
    from engine.simulate.fittings import Sensor

CLEAR_S: Final = 300.0
"""How long Zigbee2MQTT is set to keep `occupancy: true` after the last motion."""
BLIND_S: Final = 60.0
"""An infrared sensor rests this long after a trigger to save its battery."""
PARROT_S: Final = 45.0

_PULSED: Final = frozenset({Model.PASSIVE_INFRARED, Model.ZIGBEE_MOTION})
_COUNTS: Final = frozenset({Model.PEOPLE_COUNTER, Model.OWN_COUNT})


class Faults(NamedTuple):
    """Sensors that are not well, by row.

    Attributes:
        dead: Each with the time at which it fell silent for the rest of the day.
        offline: A sensor that its gateway reports unreachable, from when until when.
        parrot: A sensor that repeats its remembered value every 45 s.
    """

    dead: dict[int, float]
    offline: tuple[int, float, float]
    parrot: int

    @classmethod
    def of(cls, sensors: Sequence[Sensor], seed: int, day: int) -> Faults:
        """Choose the unwell of a day."""
        chance = dice(seed, 4, day)
        by_model: dict[Model, list[int]] = {model: [] for model in Model}
        for sensor in sensors:
            by_model[sensor.model].append(sensor.row)
        radars = chance.sample(by_model[Model.ZIGBEE_PRESENCE], 2)
        dead = {
            chance.choice(by_model[Model.DESK_PRESENCE]): 10.7 * 3600,
            chance.choice(by_model[Model.OWN_COUNT]): 13.2 * 3600,
        }
        return cls(dead, (radars[0], 11.3 * 3600, 14.1 * 3600), radars[1])


class Chore(IntEnum):
    """What a sensor does next."""

    LOOK = 1
    PULSE = 2
    REPEAT = 3
    HEALTH = 4


class Due(NamedTuple):
    """A chore of a sensor at a time."""

    at_s: float
    chore: Chore
    sensor: int


class Sensing:
    """All sensors of a building on one day."""

    def __init__(self, building: Building, seed: int, day: int) -> None:
        self._sensors = building.sensors
        self._chance = dice(seed, 5, day)
        self.faults = Faults.of(building.sensors, seed, day)
        self._sensor_by_place = {s.place: s.row for s in building.sensors}
        self._place_by_person: dict[int, int] = {}
        self._people = [0] * len(building.places)
        count = len(building.sensors)
        self._reported = [0] * count
        self._busy = [False] * count
        """A look or a pulse is due: it will see whatever happens until then."""
        self._moved_s = [0.0] * count

    def enter(self, step: Step) -> Iterator[int]:
        """Move a person; yield the sensors of the places left and entered."""
        before = self._place_by_person.get(step.person, -1)
        if before >= 0:
            self._people[before] -= 1
        self._place_by_person[step.person] = step.place
        if step.place >= 0:
            self._people[step.place] += 1
        for place in (before, step.place):
            sensor = self._sensor_by_place.get(place)
            if sensor is not None:
                yield sensor

    def begin(self, at_s: float) -> Iterator[tuple[Sense | None, list[Due]]]:
        """Yield the first report of each sensor and what it does next."""
        chance = self._chance
        for sensor in self._sensors:
            row = sensor.row
            first = at_s + chance.random() * self._interval(sensor)
            due: list[Due] = [Due(first, Chore.REPEAT, row)]
            value = self._reported[row] = self._seen(sensor)
            if sensor.model in _PULSED and value:
                self._busy[row] = True
                self._moved_s[row] = at_s
                due.append(Due(at_s + chance.uniform(5, 90), Chore.PULSE, row))
            if row == self.faults.offline[0]:
                # at once as well: a broker may have kept what it said last
                turns = (at_s, *(t for t in self.faults.offline[1:] if t > at_s))
                due += [Due(turn_s, Chore.HEALTH, row) for turn_s in turns]
            silent = self._silent(row, at_s)
            yield None if silent else Sense(at_s, row, value, Report.NEWS), due

    def notice(self, sensors: Iterable[int], at_s: float) -> Iterator[Due]:
        """Yield what sensors do after a step: look, or see motion."""
        chance = self._chance
        for row in sensors:
            if self._busy[row]:
                continue
            sensor = self._sensors[row]
            if sensor.model in _PULSED:
                if not self._people[sensor.place]:
                    continue
                delay, chore = chance.uniform(0.5, 3), Chore.PULSE
            elif sensor.model in _COUNTS:
                delay, chore = chance.uniform(4, 15), Chore.LOOK
            elif self._people[sensor.place]:
                delay, chore = chance.uniform(3, 15), Chore.LOOK
            else:
                delay, chore = chance.uniform(15, 45), Chore.LOOK
            self._busy[row] = True
            yield Due(at_s + delay, chore, row)

    def do(self, due: Due) -> tuple[Sense | None, Due | None]:
        """Do a chore: the report it makes, and the next one it leads to."""
        at_s, chore, row = due
        sensor = self._sensors[row]
        sense: Sense | None
        following: Due | None = None
        if chore is Chore.HEALTH:
            online = not self._offline(row, at_s)
            return Sense(at_s, row, int(online), Report.HEALTH), None
        if chore is Chore.LOOK:
            sense = self._look(sensor, at_s)
        elif chore is Chore.PULSE:
            sense, following = self._pulse(sensor, at_s)
        else:
            sense = Sense(at_s, row, self._repeated(sensor), Report.REPEAT)
            wait = self._interval(sensor) * self._chance.uniform(0.98, 1.02)
            following = Due(at_s + wait, Chore.REPEAT, row)
        return (None if self._silent(row, at_s) else sense), following

    def _repeated(self, sensor: Sensor) -> int:
        """Return the last value; of motion that was reported, nothing is left."""
        if sensor.model is Model.PASSIVE_INFRARED:
            return 0
        return self._reported[sensor.row]

    def _look(self, sensor: Sensor, at_s: float) -> Sense | None:
        row = sensor.row
        self._busy[row] = False
        value = self._seen(sensor)
        if value == self._reported[row]:
            return None
        self._reported[row] = value
        return Sense(at_s, row, value, Report.NEWS)

    def _pulse(self, sensor: Sensor, at_s: float) -> tuple[Sense | None, Due | None]:
        """Report motion, or that it ended."""
        row = sensor.row
        if self._people[sensor.place]:
            self._reported[row] = 1
            self._moved_s[row] = at_s
            wait = min(BLIND_S + self._chance.expovariate(1 / 60), CLEAR_S - 30)
            following = Due(at_s + wait, Chore.PULSE, row)
            return Sense(at_s, row, 1, Report.NEWS), following
        clear_s = self._moved_s[row] + CLEAR_S
        if sensor.model is Model.ZIGBEE_MOTION and at_s < clear_s:
            return None, Due(clear_s, Chore.PULSE, row)
        self._busy[row] = False
        self._reported[row] = 0
        return Sense(at_s, row, 0, Report.NEWS), None

    def _seen(self, sensor: Sensor) -> int:
        people = self._people[sensor.place]
        return people if sensor.model in _COUNTS else int(people > 0)

    def _interval(self, sensor: Sensor) -> float:
        return PARROT_S if sensor.row == self.faults.parrot else sensor.interval_s

    def _silent(self, row: int, at_s: float) -> bool:
        dead_s = self.faults.dead.get(row, math.inf)
        return at_s >= dead_s or self._offline(row, at_s)

    def _offline(self, row: int, at_s: float) -> bool:
        gone, start_s, end_s = self.faults.offline
        return row == gone and start_s <= at_s < end_s
