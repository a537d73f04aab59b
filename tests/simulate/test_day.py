from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from engine.simulate.coverage import Coverage
from engine.simulate.events import Link, Radio, Report, Sense, Step
from engine.simulate.fittings import Model
from engine.simulate.people import Carried
from engine.simulate.places import Use
from engine.simulate.schedule import AWAY
from tests.simulate.conftest import DAY, HOUR_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.simulate.events import Event
    from engine.simulate.scenario import Scenario
    from tests.simulate.conftest import Morning

SETTLED_S = 60.0
"""After this every sensor that looks has looked."""
COUNTS = {Model.PEOPLE_COUNTER, Model.OWN_COUNT}
LEVEL_PRESENCE = {Model.DESK_PRESENCE, Model.OWN_PRESENCE, Model.ZIGBEE_PRESENCE}


def places_after(events: Iterable[Event]) -> dict[int, int]:
    """Return the place of each person after the steps."""
    return {event.person: event.place for event in events if isinstance(event, Step)}


def radios_of(events: Iterable[Event]) -> dict[int, list[Radio]]:
    """Return what the air tells of each device."""
    found: dict[int, list[Radio]] = defaultdict(list)
    for event in events:
        if isinstance(event, Radio):
            found[event.device].append(event)
    return found


def test_a_day_is_the_same_twice(scenario: Scenario) -> None:
    until_s = 7.8 * HOUR_S
    first = list(scenario.day(DAY).events(until_s=until_s))
    assert first == list(scenario.day(DAY).events(until_s=until_s))
    assert first != list(scenario.day(DAY + 1).events(until_s=until_s))


def test_events_come_in_order_of_time(morning: Morning) -> None:
    assert all(a.at_s <= b.at_s for a, b in pairwise(morning.events))
    assert morning.events[-1].at_s < morning.until_s


@pytest.mark.parametrize("hour", [8.0, 9.25, 10.5, 11.4])
def test_steps_lead_to_the_truth(morning: Morning, hour: float) -> None:
    at_s = hour * HOUR_S
    steps = places_after(e for e in morning.events if e.at_s <= at_s)
    truth = morning.day.truth.at(at_s).place
    assert {p: row for p, row in enumerate(truth) if row != AWAY} == {
        p: row for p, row in steps.items() if row != AWAY
    }


@pytest.mark.parametrize("hour", [7.6, 9.25, 10.9])
def test_a_day_entered_later_begins_with_where_everybody_is(
    scenario: Scenario, morning: Morning, hour: float
) -> None:
    since_s = hour * HOUR_S
    coming = scenario.day(DAY).events(since_s)
    beginning = []
    for event in coming:
        if event.at_s > since_s:
            break
        beginning.append(event)
    before = [e for e in morning.events if e.at_s <= since_s]
    here = {p: row for p, row in places_after(before).items() if row != AWAY}
    assert places_after(beginning) == here
    seen = {e.sensor: e.value for e in beginning if isinstance(e, Sense)}
    assert len(seen) >= len(scenario.building.sensors) - 3
    people = morning.day.truth.at(since_s).people
    unreachable = morning.day.faults.offline[0]
    for sensor in scenario.building.sensors:
        if sensor.row in seen and sensor.row != unreachable:
            count = people[sensor.place]
            exact = sensor.model in COUNTS
            assert seen[sensor.row] == (count if exact else int(count > 0))
    joined = {e.device for e in beginning if isinstance(e, Radio)}
    phones = {scenario.people[person].devices[0].row for person in here}
    assert joined >= phones


def test_a_day_entered_later_goes_on_as_if_one_had_been_there(
    scenario: Scenario, morning: Morning
) -> None:
    since_s, until_s = 9.25 * HOUR_S, 9.75 * HOUR_S
    steps = [
        e
        for e in scenario.day(DAY).events(since_s, until_s)
        if isinstance(e, Step) and e.at_s > since_s
    ]
    assert steps == [
        e for e in morning.events if isinstance(e, Step) and since_s < e.at_s < until_s
    ]


def test_sensors_follow_the_truth(scenario: Scenario, morning: Morning) -> None:
    sensors = scenario.building.sensors
    faults = morning.day.faults
    unwell = {*faults.dead, faults.offline[0]}
    changed_s: dict[int, float] = {}
    people: Counter[int] = Counter()
    where: dict[int, int] = {}
    reported: dict[int, int] = {}
    compared = 0
    for event in morning.events:
        if isinstance(event, Step):
            for place in (where.get(event.person, -1), event.place):
                changed_s[place] = event.at_s
            people[where.get(event.person, -1)] -= 1
            people[event.place] += 1
            where[event.person] = event.place
        elif isinstance(event, Sense):
            reported[event.sensor] = event.value
            sensor = sensors[event.sensor]
            quiet = event.at_s - changed_s.get(sensor.place, 0) > SETTLED_S
            if sensor.row in unwell or not quiet:
                continue
            if sensor.model in LEVEL_PRESENCE:
                assert event.value == (people[sensor.place] > 0)
                compared += 1
            elif sensor.model in COUNTS:
                assert event.value == people[sensor.place]
                compared += 1
    assert compared > 1000


def test_motion_is_reported_only_where_somebody_is(
    scenario: Scenario, morning: Morning
) -> None:
    where: dict[int, int] = {}
    pulses = 0
    for event in morning.events:
        if isinstance(event, Step):
            where[event.person] = event.place
        elif isinstance(event, Sense):
            sensor = scenario.building.sensors[event.sensor]
            if sensor.model is Model.PASSIVE_INFRARED and event.value:
                assert sensor.place in where.values()
                pulses += 1
    assert pulses > 10


def test_every_healthy_sensor_keeps_its_interval(
    scenario: Scenario, morning: Morning
) -> None:
    heard: dict[int, list[float]] = defaultdict(list)
    for event in morning.events:
        if isinstance(event, Sense):
            heard[event.sensor].append(event.at_s)
    faults = morning.day.faults
    for sensor in scenario.building.sensors:
        if sensor.row in faults.dead or sensor.row == faults.offline[0]:
            continue
        times = [*heard[sensor.row], morning.until_s]
        longest = max(b - a for a, b in pairwise(times))
        assert longest <= 1.03 * sensor.interval_s


def test_a_dead_sensor_falls_silent_for_good(morning: Morning) -> None:
    sensor, dead_s = min(morning.day.faults.dead.items(), key=lambda item: item[1])
    times = [
        e.at_s for e in morning.events if isinstance(e, Sense) and e.sensor == sensor
    ]
    assert times
    assert dead_s - 900 < times[-1] < dead_s < morning.until_s


def test_an_unreachable_sensor_is_reported_by_its_gateway(morning: Morning) -> None:
    sensor, from_s, until_s = morning.day.faults.offline
    reports = [e for e in morning.events if isinstance(e, Sense) and e.sensor == sensor]
    health = [(e.at_s, e.value) for e in reports if e.report is Report.HEALTH]
    assert health == [(6.5 * HOUR_S, 1), (from_s, 0)]
    assert not [
        e
        for e in reports
        if from_s <= e.at_s < until_s and e.report is not Report.HEALTH
    ]


def test_one_sensor_repeats_what_it_remembers_all_the_time(morning: Morning) -> None:
    parrot = morning.day.faults.parrot
    repeats = [
        e.at_s
        for e in morning.events
        if isinstance(e, Sense) and e.sensor == parrot and e.report is Report.REPEAT
    ]
    assert len(repeats) > 300


def test_a_device_is_on_one_access_point_after_the_other(morning: Morning) -> None:
    for radios in radios_of(morning.events).values():
        assert radios[0].link is Link.JOINED
        session = -1
        ap = -1
        for radio in radios:
            if radio.link is Link.JOINED:
                assert radio.session > session
                ap, session = radio.ap, radio.session
            elif radio.link is Link.STILL:
                assert (radio.ap, radio.session) == (ap, session)
            else:
                assert radio.session <= session


def test_a_late_leave_names_an_association_that_has_ended(morning: Morning) -> None:
    late = 0
    for radios in radios_of(morning.events).values():
        newest = radios[0]
        for radio in radios:
            if radio.link is Link.JOINED:
                newest = radio
            elif radio.link is Link.LEFT and radio.at_s - newest.at_s > 20:
                late += radio.session != newest.session
    assert late > 0


def test_some_phones_flap_at_rest_and_end_on_the_best_access_point(
    scenario: Scenario, morning: Morning
) -> None:
    coverage = Coverage(scenario.building)
    owner = {d.row: p.row for p in scenario.people for d in p.devices}
    where: dict[int, int] = {}
    flaps: Counter[int] = Counter()
    for event in morning.events:
        if isinstance(event, Step):
            where[event.person] = event.place
        elif isinstance(event, Radio) and event.link is Link.JOINED:
            place = where.get(owner[event.device], -1)
            if place >= 0:
                best, rival = coverage.at(place)
                flaps[event.device] += event.ap == rival != best
    assert max(flaps.values()) >= 3


def test_whoever_sets_out_was_on_the_best_access_point_of_the_place(
    scenario: Scenario, morning: Morning
) -> None:
    coverage = Coverage(scenario.building)
    phone = {p.row: p.devices[0].row for p in scenario.people}
    where: dict[int, Step] = {}
    on: dict[int, int] = {}
    compared = 0
    for event in morning.events:
        if isinstance(event, Radio) and event.link is Link.JOINED:
            on[event.device] = event.ap
        elif isinstance(event, Step):
            before = where.get(event.person)
            if before and before.place >= 0:
                assert on[phone[event.person]] == coverage.at(before.place).best
                compared += 1
            where[event.person] = event
    assert compared > 100


def test_a_laptop_says_when_it_is_taken_along(
    scenario: Scenario, morning: Morning
) -> None:
    radios = radios_of(morning.events)
    moved = 0
    for person in scenario.people:
        for device in person.devices:
            if device.carried is Carried.LAPTOP:
                told = [r for r in radios[device.row] if r.link is not Link.STILL]
                for before, after in pairwise(told):
                    assert before.link is not after.link
                    moved += after.link is Link.JOINED
    assert moved > 5


def test_a_docked_laptop_stays_while_its_owner_has_coffee(
    scenario: Scenario, morning: Morning
) -> None:
    devices = [d for p in scenario.people for d in p.devices]
    places = scenario.building.places
    where: dict[int, int] = {}
    stayed = 0
    for event in morning.events:
        if isinstance(event, Step):
            where[event.person] = event.place
        elif isinstance(event, Radio) and event.link is Link.STILL:
            device = devices[event.device]
            place = where[device.person]
            away = place >= 0 and places[place].use in (Use.KITCHEN, Use.MEETING)
            stayed += device.carried is Carried.LAPTOP and away
    assert stayed > 0
