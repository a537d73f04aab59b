from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from engine.simulate.delivery import LATE_S, delivered
from engine.simulate.events import Radio, Sense, Step
from engine.simulate.fittings import Controller
from engine.simulate.schedule import OPENS_S

if TYPE_CHECKING:
    from engine.simulate.delivery import Delivery
    from engine.simulate.scenario import Scenario
    from tests.simulate.conftest import Morning


@pytest.fixture(scope="module")
def arrived(scenario: Scenario, morning: Morning) -> list[Delivery]:
    return list(delivered(morning.events, scenario.building, 3))


def test_deliveries_come_in_order_and_never_before_their_event(
    scenario: Scenario, morning: Morning, arrived: list[Delivery]
) -> None:
    found = arrived
    assert all(a.at_s <= b.at_s for a, b in pairwise(found))
    assert all(d.at_s >= d.event.at_s for d in found)
    assert found == list(delivered(morning.events, scenario.building, 3))


def test_everything_seen_from_outside_arrives_and_nothing_else(
    morning: Morning, arrived: list[Delivery]
) -> None:
    seen = {event for event in morning.events if not isinstance(event, Step)}
    assert {d.event for d in arrived} == seen


def test_one_controller_is_minutes_late_and_out_of_order(
    scenario: Scenario, arrived: list[Delivery]
) -> None:
    late = [
        d
        for d in arrived
        if isinstance(d.event, Radio)
        and scenario.building.access_points[d.event.ap].controller is Controller.LATE
    ]
    waits = [d.at_s - d.event.at_s for d in late if d.event.at_s > OPENS_S]
    assert LATE_S[0] <= min(waits) < max(waits) <= LATE_S[1]
    assert any(b.event.at_s < a.event.at_s for a, b in pairwise(late))


def test_some_associations_come_twice_and_no_reading_does(
    arrived: list[Delivery],
) -> None:
    events = [d.event for d in arrived]
    readings = [event for event in events if isinstance(event, Sense)]
    radios = [event for event in events if isinstance(event, Radio)]
    assert len(readings) == len(set(readings))
    assert len(set(radios)) < len(radios) < 1.2 * len(set(radios))


def test_the_state_at_the_beginning_is_delivered_at_once(scenario: Scenario) -> None:
    since_s = 10 * 3600.0
    events = scenario.day(1).events(since_s, since_s + 1)
    for delivery in delivered(events, scenario.building, 3, since_s=since_s):
        if delivery.event.at_s == since_s:
            assert delivery.at_s == since_s
