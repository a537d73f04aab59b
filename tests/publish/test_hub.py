"""The hub: snapshot and deltas add up, whoever stalls, and encoding is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.codec import encode
from engine.errors import Forbidden, NotFound, TooMany
from engine.publish.frames import Framing, Position
from engine.publish.hub import Hub
from engine.publish.topic import Subscriber
from tests.publish.floor import NOW_MS, TENANT, Building, Floor, Replica, message

if TYPE_CHECKING:
    from collections.abc import Callable

LEVEL = "hq/3"
OTHER = "hq/4"


class Screen:
    """A subscriber whose pipe clogs after so many frames."""

    def __init__(self, hub: Hub, framing: Framing = Framing.TEXT) -> None:
        self.hub = hub
        self.heard: list[dict[str, Any]] = []
        self.frames: list[bytes] = []
        self.replicas = {LEVEL: Replica(), OTHER: Replica()}
        self.clogs_after: int | None = None
        self.ended = False
        self.subscriber = Subscriber(TENANT, framing, self.write, self.end)
        hub.join(self.subscriber)

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)
        if self.subscriber.framing is not Framing.EVENT:
            heard = message(frame)
            self.heard.append(heard)
            if "level" in heard:
                self.replicas[heard["level"]].hear(heard)
        if self.clogs_after is not None:
            self.clogs_after -= 1
            if self.clogs_after <= 0:
                self.hub.pause(self.subscriber)

    def flow(self) -> None:
        self.clogs_after = None
        self.hub.resume(self.subscriber)

    def come_back(self, *, forged: bool) -> None:
        known = self.replicas[LEVEL]
        epoch = "forged" if forged else known.epoch
        position = Position(epoch, max(0, known.offset))
        self.hub.subscribe(self.subscriber, LEVEL, position)

    def end(self) -> None:
        self.ended = True

    def told(self) -> list[str]:
        return [heard["type"] for heard in self.heard]


class World:
    """One tenant with two levels, a hub and a clock."""

    def __init__(self, **limits: int) -> None:
        self.floor = Floor(LEVEL, 8)
        self.other = Floor(OTHER, 3)
        self.now_ms = NOW_MS
        self.hub = Hub(
            {TENANT: Building(self.floor, self.other)},
            encode=encode,
            now_ms=lambda: self.now_ms,
            **limits,
        )

    def tick(self, *rows: int, state: int = 1) -> None:
        self.hub.publish(TENANT, [self.floor.change(rows, state)])


def test_a_subscriber_gets_a_snapshot_and_then_each_delta() -> None:
    world = World()
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, LEVEL)
    world.tick(0, 2)
    world.tick(2, state=2)
    assert screen.told() == ["snapshot", "delta", "delta"]
    assert screen.replicas[LEVEL].agrees(world.floor)


def test_each_wire_is_encoded_once_a_tick_however_many_subscribe() -> None:
    world = World()
    screens = [Screen(world.hub, framing) for framing in list(Framing) * 20]
    for screen in screens:
        world.hub.subscribe(screen.subscriber, LEVEL)
    assert world.hub.encodes == 2  # snapshots: JSON, msgpack
    world.tick(1)
    assert world.hub.encodes == 4
    texts = [s.frames[-1] for s in screens if s.subscriber.framing is Framing.TEXT]
    assert all(text is texts[0] for text in texts)
    assert world.hub.frames == 120
    assert world.hub.sent_bytes == sum(len(f) for s in screens for f in s.frames)


def test_a_level_that_nobody_follows_is_not_encoded() -> None:
    world = World()
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, OTHER)
    before = world.hub.encodes
    world.tick(1)
    assert world.hub.encodes == before


def test_a_clogged_subscriber_costs_one_number_and_gets_the_newest_state() -> None:
    world = World()
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, LEVEL)
    world.hub.pause(screen.subscriber)
    for row in range(6):
        world.tick(row, state=row % 5)
    assert list(screen.subscriber.behind.values()) == [0]
    assert screen.told() == ["snapshot"]
    assert world.hub.conflated == 6
    screen.flow()
    assert screen.told() == ["snapshot", "delta"]
    assert screen.replicas[LEVEL].agrees(world.floor)
    assert not screen.subscriber.behind


def test_laggards_at_the_same_offset_share_one_encoding() -> None:
    world = World()
    screens = [Screen(world.hub) for _ in range(50)]
    for screen in screens:
        world.hub.subscribe(screen.subscriber, LEVEL)
        world.hub.pause(screen.subscriber)
    world.tick(1)
    world.tick(2)
    before = world.hub.encodes
    for screen in screens:
        screen.flow()
    assert world.hub.encodes == before + 1
    assert all(screen.replicas[LEVEL].agrees(world.floor) for screen in screens)


def test_the_write_that_clogs_counts_as_seen() -> None:
    world = World()
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, LEVEL)
    screen.clogs_after = 1
    world.tick(1)
    world.tick(2)
    screen.flow()
    assert [heard.get("prev") for heard in screen.heard] == [None, 0, 1]
    assert screen.replicas[LEVEL].agrees(world.floor)


def test_a_laggard_beyond_memory_gets_a_snapshot() -> None:
    world = World()
    world.floor.memory = 2
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, LEVEL)
    world.hub.pause(screen.subscriber)
    for row in range(5):
        world.tick(row)
    screen.flow()
    assert screen.told() == ["snapshot", "snapshot"]
    assert screen.replicas[LEVEL].agrees(world.floor)


def test_a_new_epoch_is_said_and_followed_by_a_snapshot() -> None:
    world = World()
    fast, slow = Screen(world.hub), Screen(world.hub)
    for screen in (fast, slow):
        world.hub.subscribe(screen.subscriber, LEVEL)
    world.hub.pause(slow.subscriber)
    world.floor.renew("e2")
    world.tick(3)
    slow.flow()
    for screen in (fast, slow):
        assert screen.heard[-2] == {"type": "reset", "level": LEVEL, "reason": "epoch"}
        assert screen.replicas[LEVEL].agrees(world.floor)


def test_a_lost_delta_is_made_good_from_what_each_has_seen() -> None:
    world = World()
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, LEVEL)
    world.floor.change([1], 2)  # never published
    world.tick(2)
    assert screen.told() == ["snapshot", "delta"]
    assert screen.replicas[LEVEL].agrees(world.floor)


def test_a_view_that_is_ahead_of_the_hub_tells_nothing_twice() -> None:
    world = World()
    first, second = Screen(world.hub), Screen(world.hub)
    world.hub.subscribe(first.subscriber, LEVEL)
    late = world.floor.change([1], 2)
    world.hub.subscribe(second.subscriber, LEVEL)
    world.hub.publish(TENANT, [late])
    for screen in (first, second):
        assert screen.replicas[LEVEL].agrees(world.floor)


@pytest.mark.parametrize(
    ("position", "told"),
    [
        (Position("e1", 3), ["resumed"]),
        (Position("e1", 1), ["resumed", "delta"]),
        (Position("e1", 4), ["reset", "snapshot"]),
        (Position("e1", 2**53), ["reset", "snapshot"]),
        (Position("other", 3), ["reset", "snapshot"]),
        (Position("", 0), ["reset", "snapshot"]),
        (Position("%s{0}\n", 1), ["reset", "snapshot"]),
    ],
)
def test_a_resume_is_answered_by_resumed_or_reset(
    position: Position, told: list[str]
) -> None:
    world = World()
    for row in range(3):
        world.floor.change([row], 1)
    screen = Screen(world.hub)
    screen.replicas[LEVEL] = Replica("e1", position.offset, [0] * 8, [None] * 8)
    world.hub.subscribe(screen.subscriber, LEVEL, position)
    assert screen.told() == told
    assert screen.heard[0].get("reason") in {
        None,
        "future" if position.epoch == "e1" else "epoch",
    }
    assert b"%s{0}" not in b"".join(screen.frames)
    world.tick(5)
    assert screen.told() == [*told, "delta"]


def test_a_resume_beyond_memory_is_a_reset() -> None:
    world = World()
    world.floor.memory = 1
    for row in range(3):
        world.floor.change([row], 1)
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, LEVEL, Position("e1", 1))
    assert screen.told() == ["reset", "snapshot"]


def test_a_storm_of_returning_clients_costs_one_encoding() -> None:
    world = World()
    for row in range(3):
        world.floor.change([row], 1)
    screens = [Screen(world.hub) for _ in range(500)]
    for screen in screens:
        screen.replicas[LEVEL] = Replica("e1", 1, [1] * 8, [2] * 8)
        world.hub.subscribe(screen.subscriber, LEVEL, Position("e1", 1))
    assert world.hub.encodes == 1
    assert {tuple(screen.told()) for screen in screens} == {("resumed", "delta")}


def test_subscribing_again_asks_for_the_snapshot_again() -> None:
    world = World()
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, LEVEL)
    world.hub.subscribe(screen.subscriber, LEVEL)
    world.tick(1)
    assert screen.told() == ["snapshot", "snapshot", "delta"]


def test_unsubscribing_ends_the_level_and_forgets_its_topic() -> None:
    world = World()
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, LEVEL)
    world.hub.unsubscribe(screen.subscriber, LEVEL)
    world.hub.unsubscribe(screen.subscriber, LEVEL)
    world.tick(1)
    assert screen.told() == ["snapshot", "unsubscribed", "unsubscribed"]
    assert world.hub.topics == 0


def test_leaving_forgets_everything_and_may_be_repeated() -> None:
    world = World()
    screen = Screen(world.hub)
    world.hub.subscribe(screen.subscriber, LEVEL)
    world.hub.subscribe(screen.subscriber, OTHER)
    world.hub.leave(screen.subscriber)
    world.hub.leave(screen.subscriber)
    assert (world.hub.subscribers, world.hub.topics) == (0, 0)


def test_a_heartbeat_reaches_all_but_the_clogged() -> None:
    world = World()
    screens = [Screen(world.hub) for _ in range(3)]
    world.hub.pause(screens[1].subscriber)
    world.hub.beat()
    assert [screen.told() for screen in screens] == [["heartbeat"], [], ["heartbeat"]]
    assert world.hub.paused == 1


def test_the_end_of_the_server_reaches_every_stream() -> None:
    world = World()
    screens = [Screen(world.hub) for _ in range(3)]
    world.hub.end()
    assert all(screen.ended for screen in screens)


def test_bounds_and_unknown_names_are_refused() -> None:
    world = World(max_subscribers=1, max_levels=1)
    screen = Screen(world.hub)
    with pytest.raises(NotFound):
        world.hub.subscribe(screen.subscriber, "hq/9")
    world.hub.subscribe(screen.subscriber, LEVEL)
    with pytest.raises(TooMany):
        world.hub.subscribe(screen.subscriber, OTHER)
    with pytest.raises(TooMany):
        Screen(world.hub)
    with pytest.raises(TooMany):
        world.hub.check(TENANT, LEVEL)
    with pytest.raises(Forbidden):
        world.hub.check("nobody", LEVEL)
    with pytest.raises(NotFound):
        world.hub.check(TENANT, "hq/9")


def test_a_tenant_never_hears_of_anothers_level_of_the_same_name() -> None:
    ours, theirs = Floor(LEVEL, 4), Floor(LEVEL, 4)
    hub = Hub(
        {TENANT: Building(ours), "rival": Building(theirs)},
        encode=encode,
        now_ms=lambda: NOW_MS,
    )
    screen = Screen(hub)
    hub.subscribe(screen.subscriber, LEVEL)
    hub.publish("rival", [theirs.change([0], 2)])
    assert screen.told() == ["snapshot"]
    assert screen.replicas[LEVEL].agrees(ours)


def test_shared_messages_are_told_anew_when_their_ages_are_old() -> None:
    world = World()
    first, second = Screen(world.hub), Screen(world.hub)
    world.hub.subscribe(first.subscriber, LEVEL)
    world.now_ms += 60_000
    world.hub.subscribe(second.subscriber, LEVEL)
    assert second.heard[0]["at"] == world.now_ms


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.integers(0, 7), st.integers(0, 4)),
        st.tuples(st.just("other"), st.integers(0, 2), st.integers(0, 4)),
        st.tuples(st.just("lost"), st.integers(0, 7), st.integers(0, 4)),
        st.tuples(st.just("renew"), st.just(0), st.just(0)),
        st.tuples(st.just("pause"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("clog"), st.integers(0, 2), st.integers(1, 3)),
        st.tuples(st.just("flow"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("drop"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("back"), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("again"), st.integers(0, 2), st.just(0)),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(steps=STEPS, memory=st.sampled_from([0, 2, 1_000]))
def test_snapshot_and_deltas_add_up_to_the_state_whoever_stalls(
    steps: list[tuple[str, int, int]], memory: int
) -> None:
    world = World()
    world.floor.memory = memory
    screens = [Screen(world.hub) for _ in range(3)]
    for screen in screens:
        world.hub.subscribe(screen.subscriber, LEVEL)
        world.hub.subscribe(screen.subscriber, OTHER)
    for step in steps:
        _act(world, screens, *step)
    world.tick(0, state=4)
    for screen in screens:
        screen.flow()
        assert not screen.subscriber.behind
        for floor in (world.floor, world.other):
            if floor.level in screen.subscriber.topics:
                assert screen.replicas[floor.level].agrees(floor)


def _act(world: World, screens: list[Screen], act: str, which: int, how: int) -> None:
    screen = screens[which % 3]
    acts: dict[str, Callable[[], object]] = {
        "tick": lambda: world.tick(which, state=how),
        "other": lambda: world.hub.publish(TENANT, [world.other.change([which], how)]),
        "lost": lambda: world.floor.change([which], how),
        "renew": lambda: world.floor.renew(f"{world.floor.epoch}e"),
        "pause": lambda: world.hub.pause(screen.subscriber),
        "clog": lambda: setattr(screen, "clogs_after", how),
        "flow": screen.flow,
        "drop": lambda: world.hub.unsubscribe(screen.subscriber, LEVEL),
        "back": lambda: screen.come_back(forged=how == 0),
        "again": lambda: world.hub.subscribe(screen.subscriber, LEVEL),
    }
    acts[act]()
