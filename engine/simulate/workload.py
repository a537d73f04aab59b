"""Pre-built messages for measurements: the same list for the same arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.simulate.chance import dice
from engine.simulate.delivery import Delivery
from engine.simulate.events import Link, Radio, Report, Sense
from engine.simulate.fittings import Controller
from engine.simulate.messages import Clock
from engine.simulate.scenario import Scenario

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

START_MS: Final = 1_767_225_600_000
"""2026-01-01: what the messages are stamped with unless told otherwise."""

_ASSOCIATIONS: Final = 0.6
"""Share of the messages that are about a device; the others are about a sensor."""
_MOVES: Final = 0.25
"""Share of the associations that change the access point; most repeat it."""
_CHANGES: Final = 0.3
"""Share of the reports that bring news; most repeat it."""


def workload(  # noqa: PLR0913 - each of these is a choice of a measurement
    seed: int,
    people: int,
    messages: int,
    *,
    seconds: float = 60.0,
    share: float = 0.6,
    start_ms: int = START_MS,
    prefix: str = "demo",
) -> list[tuple[str, bytes]]:
    """Return topic and payload of `messages` single events of the MQTT formats.

    Three in five are associations in livefloor's JSON (of level controllers that speak
    it), the others readings in all three sensor formats, a third news. Plan, tables and
    people are those of `Scenario(people, seed=seed, share=share)`.

    Args:
        seed: Names the list.
        people: Employees; who of them opted in is `Person.shares`.
        messages: How many.
        seconds: The time that the stamps of the messages span, from `start_ms` on.
        share: How many of the employees opted in, 0 to 1.
        start_ms: Stamp of the first message.
        prefix: What livefloor's own topics are beneath.
    """
    scenario = Scenario(people, seed=seed, share=share)
    encoder = scenario.encoder(prefix=prefix)
    clock = Clock(start_ms, 0.0, 1.0)
    pace = seconds / messages
    found: list[tuple[str, bytes]] = []
    events = _events(scenario, dice(seed, 9))
    for number in range(messages):
        at_s = number * pace
        event = next(events)._replace(at_s=at_s)
        message = encoder.messages((Delivery(at_s, event),), clock)[0]
        found.append((message.topic, message.payload))
    return found


def _events(scenario: Scenario, chance: random.Random) -> Iterator[Radio | Sense]:
    """Yield events without end; the time is left to the caller."""
    aps = [
        ap.row
        for ap in scenario.building.access_points
        if ap.controller is Controller.DIRECT
    ]
    devices = sum(len(person.devices) for person in scenario.people)
    sensors = len(scenario.building.sensors)
    on = [chance.choice(aps) for _ in range(devices)]
    session = [0] * devices
    values = [0] * sensors
    while True:
        if chance.random() < _ASSOCIATIONS:
            device = chance.randrange(devices)
            link = Link.STILL
            if chance.random() < _MOVES:
                link = Link.JOINED
                on[device] = chance.choice(aps)
                session[device] += 1
            yield Radio(0.0, device, on[device], link, session[device])
            continue
        sensor = chance.randrange(sensors)
        if chance.random() < _CHANGES:
            values[sensor] = 1 - values[sensor]
        yield Sense(0.0, sensor, values[sensor], Report.NEWS)
