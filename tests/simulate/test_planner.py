from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from engine.simulate.places import Use
from engine.simulate.planner import plan_day
from engine.simulate.scenario import Scenario
from engine.simulate.schedule import AWAY, CLOSES_S, OPENS_S, WALKING, Truth, walk_s

if TYPE_CHECKING:
    from engine.simulate.schedule import Itinerary

SIZES = (4, 90, 600)


def planned(people: int, *, seed: int = 7) -> tuple[Scenario, list[Itinerary]]:
    scenario = Scenario(people, seed=seed)
    return scenario, plan_day(scenario.building, scenario.people, seed, 1)


def test_the_same_seed_plans_the_same_day() -> None:
    assert planned(60)[1] == planned(60)[1]
    assert planned(60)[1] != planned(60, seed=8)[1]


@pytest.mark.parametrize("people", SIZES)
def test_nobody_is_in_two_places_and_every_way_takes_its_time(people: int) -> None:
    scenario, itineraries = planned(people)
    places = scenario.building.places
    for one in itineraries:
        assert OPENS_S < one.arrive_s < one.leave_s < CLOSES_S
        assert one.stays
        first, last = one.stays[0], one.stays[-1]
        assert first.start_s >= one.arrive_s + walk_s(places[0], places[first.place])
        assert one.leave_s + 1e-6 >= last.end_s + walk_s(places[last.place], places[0])
        for stay in one.stays:
            assert stay.end_s > stay.start_s
        for before, after in pairwise(one.stays):
            way = walk_s(places[before.place], places[after.place])
            assert after.start_s - before.end_s >= way - 1e-6


@pytest.mark.parametrize("people", SIZES)
def test_no_place_ever_holds_more_people_than_it_is_meant_for(people: int) -> None:
    scenario, itineraries = planned(people)
    truth = Truth(scenario.building, len(scenario.people), itineraries)
    counted = {Use.DESK, Use.MEETING, Use.PHONE, Use.OFFICE, Use.KITCHEN}
    for minute in range(7 * 60, 20 * 60, 20):
        moment = truth.at(minute * 60)
        for place in scenario.building.places:
            if place.use in counted:
                assert moment.people[place.row] <= place.capacity, place.space


def test_people_meet_lunch_and_have_coffee() -> None:
    scenario, itineraries = planned(600)
    uses = {
        scenario.building.places[stay.place].use
        for one in itineraries
        for stay in one.stays
    }
    assert uses == set(Use) - {Use.ENTRANCE}
    truth = Truth(scenario.building, len(scenario.people), itineraries)
    noon, ten = (truth.at(hour * 3600) for hour in (12.5, 10.0))
    kitchens = [p.row for p in scenario.building.places if p.use is Use.KITCHEN]
    assert sum(noon.people[k] for k in kitchens) > 3 * sum(
        ten.people[k] for k in kitchens
    )


def test_most_but_not_all_employees_come() -> None:
    scenario, itineraries = planned(600)
    visitors = sum(person.visits for person in scenario.people)
    assert 0.4 * 600 < len(itineraries) - visitors < 0.8 * 600


def test_the_truth_counts_everybody_once() -> None:
    scenario, itineraries = planned(90)
    truth = Truth(scenario.building, len(scenario.people), itineraries)
    for minute in range(6 * 60, 21 * 60, 25):
        moment = truth.at(minute * 60)
        inside = [row for row in moment.place if row >= 0]
        assert sum(moment.people) == len(inside)
        outside = sum(row in (WALKING, AWAY) for row in moment.place)
        assert len(inside) + outside == len(scenario.people)
