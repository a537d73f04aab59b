"""When each event reaches us: most at once, some twice, one controller's late."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.simulate.chance import dice
from engine.simulate.events import Radio, Sense, Step
from engine.simulate.fittings import Controller
from engine.simulate.schedule import OPENS_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.simulate.building import Building
    from engine.simulate.events import Event

LATE_S: Final = (120.0, 900.0)
"""How late the late controller is: independently for each event, so out of order."""

_AGAIN: Final = {
    Controller.LATE: 0.08,
    Controller.DIRECT: 0.01,
    Controller.RADIUS: 0.01,
}
"""Share of the events that come twice."""
_SOON_S: Final = (0.5, 20.0)


class Delivery(NamedTuple):
    """An event on the wire at `at_s`; the event has its own, earlier time."""

    at_s: float
    event: Radio | Sense


def delivered(
    events: Iterable[Event], building: Building, seed: int, *, since_s: float = OPENS_S
) -> Iterator[Delivery]:
    """Yield the events that are seen from outside, in the order in which they arrive.

    Args:
        events: In order of time.
        building: Which access point belongs to which controller.
        seed: Of the delays.
        since_s: Events of this time are the state at the beginning, delivered at once.
    """
    chance = dice(seed, 7)
    waiting: list[tuple[float, int, Radio]] = []
    order = count()
    for event in events:
        while waiting and waiting[0][0] <= event.at_s:
            at_s, _, radio = heappop(waiting)
            yield Delivery(at_s, radio)
        if isinstance(event, Step):
            continue
        if isinstance(event, Sense) or event.at_s <= since_s:
            yield Delivery(event.at_s, event)
            continue
        controller = building.access_points[event.ap].controller
        late = controller is Controller.LATE
        delay = LATE_S if late else _SOON_S
        if late:
            due_s = event.at_s + chance.uniform(*delay)
            heappush(waiting, (due_s, next(order), event))
        else:
            yield Delivery(event.at_s, event)
        if chance.random() < _AGAIN[controller]:
            due_s = event.at_s + chance.uniform(*delay)
            heappush(waiting, (due_s, next(order), event))
    while waiting:
        at_s, _, radio = heappop(waiting)
        yield Delivery(at_s, radio)
