from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from paho.mqtt.client import topic_matches_sub

from engine.ingest.formats import base_of, find
from engine.model import Identity, Observation, ObservationKind, Reading, ReadingKind
from engine.simulate.delivery import Delivery, delivered
from engine.simulate.events import Link, Radio, Report, Sense
from engine.simulate.fittings import Controller, Model
from engine.simulate.messages import BATCH, Clock, Encoder, Message, Via, feeds
from engine.spelling import canonical_ap
from tests.ingest.formats.golden import one, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.simulate.scenario import Scenario

START_MS = 1_800_000_000_000
SINCE_S = 10 * 3600.0
KINDS = {
    Model.PASSIVE_INFRARED: ReadingKind.MOTION,
    Model.PEOPLE_COUNTER: ReadingKind.COUNT,
    Model.OWN_COUNT: ReadingKind.COUNT,
}
FEEDS = {feed.name: feed for feed in feeds("demo")}


class Read(NamedTuple):
    """What the engine makes of a record."""

    source: str
    identity: Identity | None
    observation: Observation | None
    reading: Reading | None


def read(message: Message, now_ms: int) -> Iterator[Read]:
    """Yield what the engine's own formats read in a message."""
    feed = FEEDS[message.source]
    row = find(feed.format)
    rest = message.topic.removeprefix(base_of(feed.topics))
    for record in split(row, message.payload):
        identity = one(row.identify, record) if row.identify else None
        if identity and (identity.login or identity.device):
            observation = one(row.observe, record, now_ms=now_ms)
            if observation is not None:
                yield Read(feed.name, identity, observation, None)
        else:
            for reading in one(row.read, record, rest, now_ms) or ():
                yield Read(feed.name, None, None, reading)


@pytest.fixture
def clock() -> Clock:
    return Clock(START_MS, SINCE_S, 60.0)


@pytest.fixture
def encoder(scenario: Scenario) -> Encoder:
    return scenario.encoder()


@pytest.fixture(scope="module")
def due(scenario: Scenario) -> list[Delivery]:
    """What arrives within five minutes, and what the late controller still brings."""
    events = scenario.day(1).events(SINCE_S, SINCE_S + 300)
    return list(delivered(events, scenario.building, 1, since_s=SINCE_S))


def radio(scenario: Scenario, controller: Controller, link: Link) -> Radio:
    ap = next(
        ap for ap in scenario.building.access_points if ap.controller is controller
    )
    device = scenario.people[0].devices[0]
    return Radio(SINCE_S + 60, device.row, ap.row, link, 360_000)


def sensed(scenario: Scenario, model: Model, value: int) -> Sense:
    sensor = next(s for s in scenario.building.sensors if s.model is model)
    return Sense(SINCE_S + 60, sensor.row, value, Report.NEWS)


def test_the_engine_reads_every_message_and_every_name_is_known(
    scenario: Scenario, encoder: Encoder, clock: Clock, due: list[Delivery]
) -> None:
    aps = {canonical_ap(ap.name) for ap in scenario.building.access_points}
    sensors = {(s.source, s.device) for s in scenario.building.sensors}
    found: Counter[str] = Counter()
    coming = iter(due)
    while some := list(islice(coming, 40)):
        now_ms = clock.wall_ms(some[-1].at_s)
        for message in encoder.messages(some, clock):
            for what in read(message, now_ms):
                found[what.source] += 1
                if what.observation is not None:
                    assert what.observation.ap in aps
                    assert what.observation.observed_at_ms <= now_ms
                    assert what.observation.session
                if what.reading is not None:
                    assert (what.source, what.reading.device) in sensors
                    assert now_ms - 900_000 / 60 < what.reading.observed_at_ms <= now_ms
    assert set(found) == set(FEEDS)


def test_with_a_prefix_everything_is_beneath_it(
    scenario: Scenario, clock: Clock, due: list[Delivery]
) -> None:
    encoder = scenario.encoder(prefix="acme", vendor_prefix="acme")
    filters = {f.name: f.topics for f in feeds("acme", vendor_prefix="acme")}
    sources = set()
    for message in encoder.messages(due, clock):
        if message.via is Via.MQTT:
            assert message.topic.startswith("acme/")
            assert topic_matches_sub(filters[message.source], message.topic)
            sources.add(message.source)
    assert sources == {"wifi", "sensors", "chirpstack", "zigbee2mqtt"}


def test_no_record_is_lost_on_the_way_to_the_wire(
    encoder: Encoder, clock: Clock, due: list[Delivery]
) -> None:
    now_ms = clock.wall_ms(due[-1].at_s)
    messages = encoder.messages(due, clock)
    assert sum(1 for m in messages for _ in read(m, now_ms)) == len(due)
    assert len(messages) < len(due)
    assert max(len(list(read(m, now_ms))) for m in messages) <= BATCH


@pytest.mark.parametrize("controller", list(Controller))
@pytest.mark.parametrize("link", list(Link))
def test_an_association_says_the_same_in_every_format(
    scenario: Scenario,
    encoder: Encoder,
    clock: Clock,
    controller: Controller,
    link: Link,
) -> None:
    left = link is Link.LEFT
    kind = ObservationKind.LEFT if left else ObservationKind.JOINED
    event = radio(scenario, controller, link)
    (message,) = encoder.messages([Delivery(event.at_s, event)], clock)
    (one,) = read(message, START_MS + 1000)
    person = scenario.people[0]
    assert one.identity is not None
    assert one.identity.login == person.login
    assert one.identity.device is not None
    address = one.identity.device.replace("-", ":").lower()
    assert address == person.devices[0].address
    assert one.observation is not None
    assert one.observation.kind is kind
    assert one.observation.observed_at_ms == START_MS + 1000
    name = scenario.building.access_points[event.ap].name
    assert one.observation.ap == canonical_ap(name)
    assert (message.via is Via.HTTP) == (controller is Controller.RADIUS)


@pytest.mark.parametrize("model", list(Model))
@pytest.mark.parametrize("value", [0, 1])
def test_a_reading_arrives_as_what_its_sensor_measures(
    scenario: Scenario,
    encoder: Encoder,
    clock: Clock,
    model: Model,
    value: int,
) -> None:
    kind = KINDS.get(model, ReadingKind.PRESENCE)
    event = sensed(scenario, model, value)
    (message,) = encoder.messages([Delivery(event.at_s, event)], clock)
    (one,) = read(message, START_MS + 1000)
    assert one.reading is not None
    assert (one.reading.kind, one.reading.value) == (kind, value)
    assert one.reading.observed_at_ms == START_MS + 1000
    assert scenario.building.sensors[event.sensor].kind == kind.name.lower()


@pytest.mark.parametrize("model", [Model.PEOPLE_COUNTER, Model.OWN_COUNT])
def test_a_counter_reports_how_many(
    scenario: Scenario, encoder: Encoder, clock: Clock, model: Model
) -> None:
    event = sensed(scenario, model, 17)
    (message,) = encoder.messages([Delivery(event.at_s, event)], clock)
    (one,) = read(message, START_MS + 1000)
    assert one.reading is not None
    assert one.reading.value == 17


@pytest.mark.parametrize("online", [0, 1])
def test_an_unreachable_device_is_told_by_a_retained_message(
    scenario: Scenario, encoder: Encoder, clock: Clock, online: int
) -> None:
    event = sensed(scenario, Model.ZIGBEE_PRESENCE, online)
    event = event._replace(report=Report.HEALTH)
    (message,) = encoder.messages([Delivery(event.at_s, event)], clock)
    (one,) = read(message, START_MS + 1000)
    assert message.retain
    assert one.reading is not None
    assert (one.reading.kind, one.reading.value) == (ReadingKind.HEALTH, online)


def test_several_events_of_our_own_travel_as_a_batch_and_late_ones_as_msgpack(
    scenario: Scenario, encoder: Encoder, clock: Clock
) -> None:
    direct = radio(scenario, Controller.DIRECT, Link.JOINED)
    late = radio(scenario, Controller.LATE, Link.JOINED)
    due = [Delivery(SINCE_S + 60, event) for event in (direct, direct, late, late)]
    first, second = encoder.messages(due, clock)
    assert len(msgspec.json.decode(first.payload)) == 2
    assert len(msgspec.msgpack.decode(second.payload)) == 2
    single = encoder.messages(due[:1], clock)[0]
    assert isinstance(msgspec.json.decode(single.payload), dict)


def test_the_frames_of_a_device_are_counted(
    scenario: Scenario, encoder: Encoder, clock: Clock
) -> None:
    event = sensed(scenario, Model.DESK_PRESENCE, 1)
    due = [Delivery(event.at_s, event)] * 3
    bodies = [msgspec.json.decode(m.payload) for m in encoder.messages(due, clock)]
    assert [body["fCnt"] for body in bodies] == [1, 2, 3]
    assert len({body["deduplicationId"] for body in bodies}) == 3


def test_guests_and_watches_never_show_a_login(
    scenario: Scenario, encoder: Encoder, clock: Clock
) -> None:
    guest = next(person for person in scenario.people if person.visits)
    for controller in Controller:
        event = radio(scenario, controller, Link.JOINED)
        event = event._replace(device=guest.devices[0].row)
        (message,) = encoder.messages([Delivery(event.at_s, event)], clock)
        (one,) = read(message, START_MS + 1000)
        assert one.identity is not None
        assert one.identity.login is None


def test_the_clock_maps_both_ways() -> None:
    clock = Clock(START_MS, SINCE_S, 60.0)
    assert clock.wall_ms(SINCE_S + 600) == START_MS + 10_000
    assert clock.at_s(START_MS + 10_000) == SINCE_S + 600
    assert clock.behind_s(SINCE_S + 600, START_MS + 12_000) == 2.0
