from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ingest.formats import FORMATS, Format, find
from engine.ingest.routing import Routes
from engine.model import Outcome, Person, Reading, ReadingKind, State
from engine.pipeline import Pipeline
from engine.source import Route, Source
from engine.space import AccessPoint, Binding, Map
from engine.tenant import Tenant
from tests.building import small_plan
from tests.moves import Move, singly

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_800_000_000_000
ADA = Person("s-ada", "ada", "Ada", ("a483e7112233",), 0)
BOB = Person("s-bob", "bob", "Bob", (), 0)


# Metres from the middle of the level, which is 11 m by 5.5 m; hopper is 2 m wide.
MAP = Map(
    *("own", "first", "hq/1", (1.0, 0.0, 0.0), (0.0, 1.0, -2.0), 100.0, 100.0),
    *(10.0, 1.0, 0.0),
)


class Message(NamedTuple):
    topic: str
    payload: bytes
    retain: bool = False


class Site:
    """A tenant with a Wi-Fi and sensor source and a Zigbee one."""

    def __init__(self) -> None:
        plan = small_plan()
        space = plan.space_by_id
        presence, motion, count = (
            ReadingKind.PRESENCE,
            ReadingKind.MOTION,
            ReadingKind.COUNT,
        )
        self.plan = plan
        self.tenant = Tenant(
            "acme",
            plan,
            access_points={
                "ap-1": AccessPoint(space["hq-1-north"], 70),
                "ap-2": AccessPoint(space["hq-1-hopper"], 80),
                **{f"own-{n}": AccessPoint(space["hq-1-north"], 70) for n in range(3)},
            },
            bindings=[
                Binding("own", "desk-1", "", space["hq-1-desk-1"], presence, 0, 0),
                Binding("own", "cam", "left", space["hq-1-hopper"], count, 0, 0),
                Binding("own", "cam", "right", space["hq-1-lovelace"], count, 0, 0),
                Binding("z2m", "hall/pir", "", space["hq-1-desk-2"], motion, 60_000, 0),
                Binding("z2m", "seat", "", space["hq-1-desk-3"], presence, 0, 0),
            ],
            maps=[MAP],
        )
        self.own = Source(name="own", tenant=self.tenant, form=FORMATS["livefloor"])
        self.z2m = Source(name="z2m", tenant=self.tenant, form=FORMATS["zigbee2mqtt"])
        self.routes: Routes[Route] = Routes()
        zigbee = ("zigbee2mqtt/#", "z/+", "z/+/availability", "seat")
        for source, filters in ((self.own, ("acme/#",)), (self.z2m, zigbee)):
            route = Route(source, *filters)
            for topic_filter in filters:
                self.routes.add(topic_filter, route)
        self.stages: list[str] = []
        self.pipeline = Pipeline(lambda stage, _: self.stages.append(stage))

    def run(self, *messages: Message, now_ms: int = NOW) -> None:
        self.pipeline.run(self.routes.sort(messages), now_ms)

    def send(self, *events: object, now_ms: int = NOW) -> None:
        messages = [Message("acme/x", msgspec.json.encode(e)) for e in events]
        self.run(*messages, now_ms=now_ms)

    def state(self, space: str) -> State:
        self.tenant.occupancy.tick(NOW)
        return State(self.tenant.occupancy.state[self.plan.space_by_id[space]])

    def moves(self) -> list[Move]:
        return singly(self.tenant.presence.take(1_000))

    def outcomes(self) -> dict[str, int]:
        return {o.value: n for o, n in self.own.tally.by_outcome.items() if n}


def test_who_opted_in_moves_and_nobody_else() -> None:
    site = Site()
    site.tenant.consent.grant(ADA)
    site.send(
        {"login": "ada", "ap": "AP-1", "at": NOW - 5},
        {"login": "eve", "ap": "AP-1", "at": NOW - 5},
        {"device": "02:00:00:00:00:01", "ap": "AP-2"},
    )
    assert site.moves() == [Move("s-ada", NOW - 5, "hq-1-north", 70, "ap-1")]
    assert site.outcomes() == {"applied": 1, "disposed": 2}


def test_only_the_newest_move_of_a_subject_waits() -> None:
    site = Site()
    site.tenant.consent.grant(ADA)
    site.send(*({"login": "ada", "ap": "ap-1", "at": NOW - n} for n in (9, 3, 5)))
    assert [move.observed_at_ms for move in site.moves()] == [NOW - 3]
    assert site.outcomes() == {"applied": 2, "late": 1}


def test_readings_reach_the_space_that_their_channel_watches() -> None:
    site = Site()
    site.send(
        [
            {"sensor": "desk-1", "occupied": True},
            {"sensor": "cam", "channel": "left", "count": 3},
            {"sensor": "cam", "channel": "right", "count": 0},
        ]
    )
    site.run(
        Message("zigbee2mqtt/hall/pir/availability", b"offline"),
        Message("zigbee2mqtt/Seat", b'{"presence":false}'),
    )
    assert site.state("hq-1-desk-1") is State.OCCUPIED
    assert site.state("hq-1-hopper") is State.OCCUPIED
    assert site.state("hq-1-lovelace") is State.FREE
    assert site.state("hq-1-desk-2") is State.OFFLINE
    assert site.state("hq-1-desk-3") is State.FREE
    assert site.tenant.dirty == {0, 1, 2, 3, 4}
    assert site.outcomes() == {"applied": 3}


def test_health_speaks_for_every_channel_of_a_device() -> None:
    site = Site()
    site.send({"sensor": "cam", "channel": "left", "count": 3})
    site.send({"sensor": "cam", "online": False})
    assert site.state("hq-1-hopper") is State.OFFLINE
    assert site.state("hq-1-lovelace") is State.OFFLINE


def test_a_device_that_went_off_in_the_chunk_that_brought_its_reading_is_off() -> None:
    site = Site()
    site.run(
        Message("zigbee2mqtt/seat", b'{"occupancy":false}'),
        Message("zigbee2mqtt/seat/availability", b'{"state":"offline"}'),
    )
    assert site.state("hq-1-desk-3") is State.OFFLINE


def test_messages_of_a_source_keep_their_order_whatever_filters_cover_them() -> None:
    site = Site()
    site.run(
        Message("z/seat", b'{"occupancy":true}'),
        Message("z/seat/availability", b"offline"),
        Message("zigbee2mqtt/seat", b'{"occupancy":true}'),
    )
    assert site.state("hq-1-desk-3") is State.OCCUPIED
    site.run(
        Message("zigbee2mqtt/seat", b'{"occupancy":true}'),
        Message("z/seat", b'{"occupancy":true}'),
        Message("seat", b'{"occupancy":false}'),
    )
    assert site.state("hq-1-desk-3") is State.FREE


def test_what_the_broker_replayed_is_older_than_what_is_live() -> None:
    site = Site()
    site.run(
        Message("zigbee2mqtt/seat/availability", b"offline", retain=True),
        Message("zigbee2mqtt/seat", b'{"occupancy":true}'),
    )
    assert site.state("hq-1-desk-3") is State.OCCUPIED


def test_a_retained_reading_never_counts_as_motion() -> None:
    site = Site()
    site.run(Message("zigbee2mqtt/seat", b'{"presence":true}', retain=True))
    assert site.state("hq-1-desk-3") in (State.LIKELY, State.OCCUPIED)
    site.run(Message("zigbee2mqtt/seat", b'{"presence":false}'))
    assert site.state("hq-1-desk-3") is State.FREE


def located(x: float, y: float, **more: object) -> dict[str, object]:
    return {"login": "ada", "floor": "first", "x": x, "y": y, **more}


def test_coordinates_put_a_person_where_the_map_says() -> None:
    site = Site()
    site.tenant.consent.grant(ADA)
    site.send(located(2, 3, accuracy_m=0.1, ap="ap-2", at=NOW - 1))
    assert site.moves() == [Move("s-ada", NOW - 1, "hq-1-north", 90, "")]
    site.send({"login": "ada", "event": "gone", "at": NOW})
    assert site.moves() == [Move("s-ada", NOW, None, 0, "", NOW)]
    assert site.outcomes() == {"applied": 2}


def test_coordinates_of_who_has_not_opted_in_leave_no_trace() -> None:
    site = Site()
    site.send(located(2, 3), located(2, 3, floor="nowhere"), located(-9, 3))
    assert site.outcomes() == {"disposed": 3}
    assert site.own.tally.by_reason == {}
    assert site.tenant.locator.unknown_floors == set()


def test_a_floor_without_a_map_is_there_for_the_operator_to_see() -> None:
    site = Site()
    site.tenant.consent.grant(ADA)
    site.send(located(2, 3, floor="second"))
    assert site.tenant.locator.unknown_floors == {("own", "second")}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (located(2, 3, accuracy_m=51), "inaccurate"),
        (located(99, 3), "outside"),
        (located(0, 0), "outside"),
        (located(2, 3, floor="second"), "unknown_name"),
        ({"login": "ada", "ap": "ap-9"}, "unknown_name"),
        ({"login": "ada"}, "malformed"),
        ({"sensor": "desk-9", "occupied": True}, "unknown_name"),
        ({"login": "ada", "ap": "ap-1", "at": NOW + 3_600_000}, "bad_time"),
        ([1], "malformed"),
        (7, "malformed"),
    ],
)
def test_what_cannot_be_used_is_counted_by_its_reason(
    event: object, reason: str
) -> None:
    site = Site()
    site.tenant.consent.grant(ADA)
    site.send(event)
    assert site.own.tally.by_reason == {reason: 1}
    assert site.outcomes() == {"invalid": 1}
    assert not site.moves()
    assert not site.tenant.dirty


def test_a_value_without_a_meaning_is_counted_and_refuses_no_message() -> None:
    """A sender that is answered with an error would be told to stop, or would stop."""
    site = Site()
    source = Source(name="own", tenant=site.tenant, form=find("milesight-gateway"))
    for written, state in (("occupied", State.OCCUPIED), ("odd", State.UNKNOWN)):
        body = {"devEUI": "desk-1", "object": {"occupancy": written}}
        message = Message("", msgspec.json.encode(body))
        assert site.pipeline.run({Route(source): [message]}, NOW) is None
        assert site.state("hq-1-desk-1") is state
    assert source.tally.by_reason == {"unknown_value": 1}
    assert source.tally.by_outcome[Outcome.APPLIED] == 2


def test_a_retained_record_about_a_person_is_refused_whoever_it_is() -> None:
    site = Site()
    site.tenant.consent.grant(ADA)
    for login in ("ada", "eve"):
        event = msgspec.json.encode({"login": login, "ap": "ap-1"})
        site.run(Message("acme/x", event, retain=True))
    assert site.own.tally.by_reason == {"bad_time": 2}
    assert not site.moves()


def test_what_is_bound_to_no_space_is_noted_for_the_operator() -> None:
    site = Site()
    site.run(
        Message("zigbee2mqtt/hall/new", b'{"occupancy":true}'),
        Message("zigbee2mqtt/seat", b'{"presence":true}'),
        Message("zigbee2mqtt/hall/new", b'{"occupancy":7}'),
    )
    strays = site.z2m.tally.strays
    assert list(strays.unbound) == [("hall/new", "")]
    assert site.z2m.tally.heard_ms == NOW
    assert [reason for reason, _ in strays.letters] == ["malformed", "unknown_name"]


def test_an_unknown_access_point_is_noted_of_people_who_share_alone() -> None:
    site = Site()
    site.tenant.consent.grant(ADA)
    site.send(
        {"login": "eve", "ap": "ap-8"},
        {"login": "ada", "ap": "AP-9"},
        {"login": "ada", "ap": "ap-1"},
    )
    strays = site.own.tally.strays
    assert list(strays.access_points) == ["ap-9"]
    assert list(strays.letters) == [("unknown_name", "")]


def test_a_message_that_nobody_wants_is_counted() -> None:
    site = Site()
    site.run(Message("other/topic", b"{}"))
    assert site.routes.unrouted == 1


def test_every_stage_is_timed_once_a_batch() -> None:
    site = Site()
    site.send({"sensor": "desk-1", "occupied": True}, {"login": "x", "ap": "y"})
    assert site.stages == ["decide", "place", "settle", "count"]


def test_a_forgotten_person_leaves_nothing_that_waits() -> None:
    site = Site()
    site.tenant.consent.grant(ADA)
    site.tenant.consent.grant(BOB)
    site.send({"login": "ada", "ap": "ap-1"}, {"login": "bob", "ap": "ap-1"})
    site.tenant.forget(ADA)
    site.send({"login": "ada", "ap": "ap-2"})
    assert [move.subject for move in site.moves()] == ["s-bob"]
    site.tenant.presence.tell_all()
    assert [move.subject for move in site.moves()] == ["s-bob"]


class Counted:
    """A format of readings that a test makes itself."""

    def __init__(self) -> None:
        plan = small_plan()
        self.plan = plan
        hopper = plan.space_by_id["hq-1-hopper"]
        self.tenant = Tenant(
            "acme",
            plan,
            bindings=[
                Binding("door", "cam", "1", hopper, ReadingKind.FLOW_DELTA, 0, 0),
                Binding("door", "cam", "", hopper, ReadingKind.PRESENCE, 0, 60_000),
                Binding("door", "cam", "2", hopper, ReadingKind.CONTACT, 0, 0),
            ],
        )
        self.said: list[Reading] = []
        form = Format("any", max_bytes=9, read=lambda *_: [self.said])
        self.source = Source(name="door", tenant=self.tenant, form=form)
        self.pipeline = Pipeline(lambda *_: None)

    def say(self, *said: Reading, now_ms: int = NOW, retain: bool = False) -> None:
        self.said = list(said)
        route = {Route(self.source): [Message("", b"", retain)]}
        assert self.pipeline.run(route, now_ms) is None

    def seen(self, now_ms: int = NOW) -> tuple[State, int]:
        o, hopper = self.tenant.occupancy, self.plan.space_by_id["hq-1-hopper"]
        o.tick(now_ms)
        return State(int(o.state[hopper])), int(o.count[hopper])


def flow(came: int, went: int, at: int = NOW) -> Reading:
    return Reading("cam", ReadingKind.FLOW_DELTA, came, at, "1", out=went)


def test_who_crosses_a_line_is_counted_and_stored_with_the_line() -> None:
    site = Counted()
    site.say(flow(3, 1), flow(1, 0, NOW + 1), now_ms=NOW + 1)
    assert site.seen(NOW + 1) == (State.OCCUPIED, 3)
    assert site.tenant.dirty == {0, 3}
    assert site.tenant.channels.keys([0, 3]) == [
        "door/flow/cam#1",
        "door/counter/hq-1-hopper/in/cam#1",
    ]
    assert site.source.tally.by_outcome[Outcome.APPLIED] == 2


def test_what_the_broker_replays_of_a_line_has_no_effect() -> None:
    site = Counted()
    site.say(flow(3, 1), retain=True)
    assert site.seen()[0] is State.UNKNOWN
    assert not site.tenant.dirty


def test_an_implausible_flow_is_counted_and_its_sender_not_told() -> None:
    site = Counted()
    site.say(flow(1_000_000, 0))
    assert site.source.tally.by_reason == {"implausible": 1}
    assert site.seen()[0] is State.UNKNOWN


@pytest.mark.parametrize("kind", [ReadingKind.CONTACT, ReadingKind.ENV])
def test_a_door_and_the_air_show_that_the_device_lives_and_no_more(
    kind: ReadingKind,
) -> None:
    site = Counted()
    site.say(Reading("cam", ReadingKind.PRESENCE, 1, NOW))
    later = NOW + 11 * 60_000
    assert site.seen(later)[0] is State.UNKNOWN
    site.say(Reading("cam", kind, 1, later, "2"), now_ms=later, retain=True)
    assert site.seen(later)[0] is State.UNKNOWN
    site.say(Reading("cam", kind, 1, later, "2"), now_ms=later)
    assert site.seen(later)[0] is State.OCCUPIED


def test_a_faulty_device_makes_its_space_unknown_and_not_offline() -> None:
    site = Counted()
    health = Reading("cam", ReadingKind.HEALTH, -1, NOW)
    site.say(flow(3, 0), Reading("cam", ReadingKind.PRESENCE, 1, NOW), health)
    assert site.seen()[0] is State.UNKNOWN
    off = Reading("cam", ReadingKind.HEALTH, 0, NOW + 1)
    site.say(off, now_ms=NOW + 1)
    assert site.seen(NOW + 1)[0] is State.OFFLINE
    site.say(Reading("cam", ReadingKind.HEALTH, -1, NOW + 2), now_ms=NOW + 2)
    assert site.seen(NOW + 2)[0] is State.UNKNOWN
    site.say(Reading("cam", ReadingKind.PRESENCE, 1, NOW + 3), now_ms=NOW + 3)
    assert site.seen(NOW + 3)[0] is State.OCCUPIED


def test_channels_that_stay_keep_what_they_said_and_the_others_go() -> None:
    site = Counted()
    site.say(flow(3, 0), Reading("cam", ReadingKind.PRESENCE, 1, NOW))
    tenant, dirty = site.tenant, site.tenant.dirty
    hopper = site.plan.space_by_id["hq-1-hopper"]
    tenant.bind(
        [
            Binding("door", "new", "", hopper, ReadingKind.COUNT, 0, 0),
            Binding("door", "cam", "1", hopper, ReadingKind.FLOW_DELTA, 0, 0),
        ]
    )
    site.source.bind()
    assert site.seen() == (State.OCCUPIED, 3)
    assert tenant.unbound == {b"door/presence/cam", b"door/contact/cam#2"}
    assert tenant.dirty == {0, 1, 2}
    assert tenant.dirty is not dirty
    site.say(Reading("new", ReadingKind.COUNT, 7, NOW + 1), now_ms=NOW + 1)
    assert site.seen(NOW + 1) == (State.OCCUPIED, 7)


def test_a_line_that_now_leads_elsewhere_begins_anew() -> None:
    site = Counted()
    site.say(flow(3, 0))
    space = site.plan.space_by_id
    for name, flip in (("hq-1-lovelace", False), ("hq-1-hopper", True)):
        kind = ReadingKind.FLOW_DELTA
        line = Binding("door", "cam", "1", space[name], kind, 0, 0, flip=flip)
        site.tenant.bind([line])
        site.tenant.occupancy.tick(NOW)
        assert site.tenant.occupancy.state[space[name]] == State.UNKNOWN


def test_a_channel_has_one_name_in_the_store() -> None:
    channels = Site().tenant.channels
    assert channels.keys(range(len(channels))) == [
        "own/presence/desk-1",
        "own/count/cam#left",
        "own/count/cam#right",
        "z2m/motion/hall/pir",
        "z2m/presence/seat",
    ]


EVENTS: Sequence[object] = [
    {"login": "ada", "ap": "ap-1", "at": NOW - 9_000},
    {"device": "a4-83-e7-11-22-33", "ap": "ap-2", "at": NOW - 8_000},
    {"sensor": "desk-1", "occupied": True, "at": NOW - 7_000},
    {"sensor": "cam", "channel": "left", "count": 2, "at": NOW - 6_000},
    {"login": "ada", "ap": "ap-1", "event": "left", "at": NOW - 5_000},
]
STRANGER = st.fixed_dictionaries(
    {
        "ap": st.sampled_from(["ap-1", "ap-2", "ap-7", ""]),
        "at": st.integers(NOW - 10_000, NOW),
        "event": st.sampled_from(["joined", "left"]),
    },
    optional={
        "login": st.text(max_size=12).map(lambda text: f"x-{text}"),
        "session": st.text(max_size=4),
    },
).flatmap(
    lambda event: st.integers(0, 2**40).map(lambda n: {**event, "device": f"{n:012x}"})
)


@given(
    st.lists(st.tuples(STRANGER, STRANGER, st.integers(0, len(EVENTS))), max_size=12)
)
def test_what_strangers_do_changes_nothing_but_their_number(
    strangers: list[tuple[dict[str, object], dict[str, object], int]],
) -> None:
    def after(version: int) -> tuple[object, ...]:
        site = Site()
        site.tenant.consent.grant(ADA)
        stream = list(EVENTS)
        for stranger in strangers:
            stream.insert(int(stranger[2]), stranger[version])
        site.send(*stream)
        tenant = site.tenant
        tenant.occupancy.tick(NOW)
        return (
            site.moves(),
            tenant.dirty,
            tenant.occupancy.state.tolist(),
            site.own.tally.by_outcome,
            site.own.tally.by_reason,
            site.own.tally.strays.letters,
            site.own.tally.strays.unbound,
            site.own.tally.strays.access_points,
            tenant.consent.rows,
        )

    assert after(0) == after(1)


PAYLOADS = [
    msgspec.json.encode({"login": "ada", "ap": "ap-1", "at": NOW - 9_000}),
    msgspec.json.encode({"device": "A483E7-112233", "ap": "ap-2"}),
    msgspec.json.encode({"login": "ada", "ap": "ap-2", "at": "yesterday"}),
    msgspec.json.encode({"login": "eve", "ap": "ap-1"}),
    msgspec.json.encode({"login": "bob", "ap": "ap-1", "event": "left"}),
    msgspec.json.encode({"sensor": "desk-1", "occupied": True}),
    msgspec.json.encode({"sensor": "desk-1", "online": False}),
    msgspec.json.encode({"sensor": "cam", "channel": "left", "count": 2, "at": NOW}),
    msgspec.json.encode({"sensor": "cam", "online": True}),
    msgspec.msgpack.encode([{"login": "bob", "ap": "ap-2"}, {"login": "eve"}]),
    msgspec.msgpack.encode({"login": "ada", "ap": "ap-1", "event": "left"}),
    *(b"", b"{", b"[]", b"null", b"\xff", b"\x91\xc0", b"{}"),
]


@given(
    st.lists(
        st.tuples(st.sampled_from([b"", b" ", b"\r\n"]), st.sampled_from(PAYLOADS)),
        max_size=12,
    )
)
def test_a_message_means_the_same_whatever_else_its_chunk_brings(
    messages: list[tuple[bytes, bytes]],
) -> None:
    together, one_by_one = Site(), Site()
    chunk = [Message("acme/x", blank + payload) for blank, payload in messages]
    for site in (together, one_by_one):
        site.tenant.consent.grant_all([ADA, BOB])
    together.run(*chunk)
    for message in chunk:
        one_by_one.run(message)

    def left(site: Site) -> tuple[object, ...]:
        tenant = site.tenant
        rows = tenant.occupancy.export(np.arange(len(tenant.channels), dtype=np.int32))
        tally = site.own.tally
        return sorted(site.moves()), rows, tally.by_outcome, tally.by_reason

    assert left(together) == left(one_by_one)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["grant", "withdraw", "change", "see", "leave", "expire"]),
        st.integers(0, 2),
        st.integers(0, 3),
        st.integers(1, 40),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_move_ever_carries_somebody_else(
    steps: list[tuple[str, int, int, int]],
) -> None:
    """Rows of subjects and devices are given away: nothing may come with them.

    Each person is only ever seen at an access point of their own.
    """
    site = Site()
    tenant, now, sharing = site.tenant, NOW, dict[int, Person]()
    for step, (act, who, device, hours) in enumerate(steps):
        now += 3_600_000 * hours
        devices = (f"0200000000{who}{device}",)
        known = sharing.get(who)
        if act == "grant" and known is None:
            sharing[who] = Person(f"s-{step}", f"p{who}", f"P {who}", devices, now)
            tenant.consent.grant(sharing[who])
        elif act == "withdraw" and known is not None:
            tenant.forget(sharing.pop(who))
        elif act == "change" and known is not None:
            sharing[who] = msgspec.structs.replace(known, devices=devices)
            tenant.change(sharing[who], now)
        elif act in ("see", "leave"):
            event = {"device": devices[0], "ap": f"own-{who}", "at": now}
            if device % 2:
                event["login"] = f"p{who}"
            kind = "joined" if act == "see" else "left"
            site.send({**event, "event": kind}, now_ms=now)
        elif act == "expire":
            tenant.expire(now)
        tenant.presence.confirm(now)
        tenant.presence.tell_all()
        own = {person.subject: f"own-{one}" for one, person in sharing.items()}
        for move in site.moves():
            assert own[move.subject] == move.ap
