"""One small scenario, and a morning of it, for all tests of the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from engine.simulate.scenario import Scenario

if TYPE_CHECKING:
    from engine.simulate.day import Day
    from engine.simulate.events import Event

HOUR_S = 3600.0
DAY = 1


class Morning(NamedTuple):
    """The events of a day from when it opens until half past eleven."""

    day: Day
    until_s: float
    events: list[Event]


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    return Scenario(90, seed=7)


@pytest.fixture(scope="session")
def morning(scenario: Scenario) -> Morning:
    day = scenario.day(DAY)
    until_s = 11.5 * HOUR_S
    return Morning(day, until_s, list(day.events(until_s=until_s)))
