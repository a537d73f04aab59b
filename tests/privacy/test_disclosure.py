"""What leaves: one history for everyone, and nothing that a rule takes away."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import Delta, Snapshot, State
from engine.privacy.disclosure import (
    RULES_OUT,
    Disclosure,
    Occupied,
    Rule,
    Verdict,
    deny_what_no_sensor_sees,
)
from tests.building import small_plan

if TYPE_CHECKING:
    import numpy.typing as npt

NOW = 1_792_580_400_000
PLAN = small_plan()
N = len(PLAN.spaces)
ONE, TWO = PLAN.levels.values()
ROOM = ONE.start + 1
COLUMNS = ("state", "count", "confidence", "since_ms")


@dataclass
class Known:
    """Occupancy whose columns a test sets by hand."""

    sensed: npt.NDArray[np.bool_] = field(default_factory=lambda: np.ones(N, np.bool_))
    state: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(N, np.uint8))
    count: npt.NDArray[np.int32] = field(
        default_factory=lambda: np.full(N, -1, np.int32)
    )
    confidence: npt.NDArray[np.uint8] = field(
        default_factory=lambda: np.zeros(N, np.uint8)
    )
    since_ms: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(N, np.int64)
    )

    def set(self, index: int, state: State, people: int, since_ms: int = NOW) -> None:
        self.state[index] = state
        self.count[index] = people
        self.confidence[index] = 90
        self.since_ms[index] = since_ms


def disclosure(known: Occupied, rules: tuple[Rule, ...] = RULES_OUT) -> Disclosure:
    numbers = count()
    return Disclosure(
        PLAN, known, new_epoch=lambda: f"epoch-{next(numbers)}", rules=rules
    )


def spaces(*index: int) -> npt.NDArray[np.int32]:
    return np.array(index, np.int32)


def rows(message: Snapshot | Delta) -> list[tuple[int, ...]]:
    columns = (getattr(message, name).tolist() for name in COLUMNS)
    return list(zip(*columns, strict=True))


def test_a_level_begins_unknown_at_offset_zero() -> None:
    d = disclosure(Known())
    snapshot = d.snapshot(ONE.id, NOW)
    assert (snapshot.level, snapshot.plan) == (ONE.id, PLAN.version)
    assert (snapshot.epoch, snapshot.offset, snapshot.at_ms) == ("epoch-0", 0, NOW)
    assert rows(snapshot) == [(State.UNKNOWN, -1, 0, 0)] * (ONE.stop - ONE.start)
    assert list(d.levels()) == [ONE.id, TWO.id]


def test_a_change_is_one_delta_of_its_level_and_one_offset() -> None:
    known = Known()
    d = disclosure(known)
    known.set(ROOM, State.OCCUPIED, 3)
    (delta,) = d.publish(spaces(ROOM), NOW)
    assert (delta.level, delta.epoch, delta.prev, delta.offset, delta.at_ms) == (
        ONE.id,
        "epoch-0",
        0,
        1,
        NOW,
    )
    assert delta.index.tolist() == [ROOM - ONE.start]
    assert rows(delta) == [(State.OCCUPIED, 3, 90, NOW)]
    assert d.snapshot(ONE.id, NOW).offset == 1
    assert d.snapshot(TWO.id, NOW).offset == 0


def test_levels_that_change_together_count_for_themselves() -> None:
    known = Known()
    d = disclosure(known)
    changed = [PLAN.buildings["hq"].index, ONE.start, ROOM, TWO.start + 2]
    for index in changed:
        known.set(index, State.FREE, 0)
    deltas = d.publish(spaces(*sorted(changed)), NOW)
    assert [delta.level for delta in deltas] == [ONE.id, TWO.id]
    assert [delta.index.tolist() for delta in deltas] == [[0, 1], [2]]
    assert d.space(PLAN.buildings["hq"].index, NOW).state is State.FREE


def test_what_did_not_change_makes_no_delta() -> None:
    known = Known()
    d = disclosure(known)
    assert d.publish(spaces(), NOW) == []
    assert d.publish(spaces(ROOM), NOW) == []
    known.set(ROOM, State.FREE, 0)
    assert len(d.publish(spaces(ROOM), NOW)) == 1
    assert d.publish(spaces(ROOM), NOW) == []


def test_a_space_without_a_sensor_is_unknown_whatever_is_said_of_it() -> None:
    known = Known()
    known.sensed[ROOM] = False
    d = disclosure(known)
    known.set(ROOM, State.OCCUPIED, 3)
    assert d.publish(spaces(ROOM), NOW) == []
    assert rows(d.snapshot(ONE.id, NOW))[ROOM - ONE.start] == (0, -1, 0, 0)
    row = d.space(ROOM, NOW)
    assert (row.state, row.count, row.confidence, row.since_ms) == (0, -1, 0, 0)


def coarsen(_occupied: Occupied, index: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    return np.full(len(index), Verdict.COARSEN, np.uint8)


def fail(_occupied: Occupied, _index: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    raise ZeroDivisionError


def answer_amiss(
    _occupied: Occupied, _index: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint8]:
    return np.zeros(1, np.uint8)


def test_a_coarsened_space_keeps_its_state_and_loses_its_number() -> None:
    known = Known()
    d = disclosure(known, (coarsen,))
    known.set(ROOM, State.OCCUPIED, 3)
    (delta,) = d.publish(spaces(ROOM), NOW)
    assert rows(delta) == [(State.OCCUPIED, -1, 90, NOW)]
    known.set(ROOM, State.OCCUPIED, 4)
    assert d.publish(spaces(ROOM), NOW) == []


@pytest.mark.parametrize("rule", [fail, answer_amiss])
def test_a_rule_that_fails_lets_nothing_out(rule: Rule) -> None:
    known = Known()
    d = disclosure(known, (rule,))
    for index in (ROOM, ROOM + 1):
        known.set(index, State.OCCUPIED, 3)
    assert d.publish(spaces(ROOM, ROOM + 1), NOW) == []


@pytest.mark.slow
@given(
    st.lists(st.sampled_from([deny_what_no_sensor_sees, coarsen, fail]), max_size=3),
    st.sampled_from([deny_what_no_sensor_sees, coarsen, fail, answer_amiss]),
    st.lists(st.booleans(), min_size=N, max_size=N),
)
@settings(max_examples=50)
def test_another_rule_never_lets_more_out(
    rules: list[Rule], another: Rule, sensed: list[bool]
) -> None:
    known = Known(sensed=np.array(sensed))
    for index in range(N):
        known.set(index, State.OCCUPIED, index)
    fewer, more = disclosure(known, (*rules,)), disclosure(known, (*rules, another))
    for d in (fewer, more):
        d.publish(np.arange(N, dtype=np.int32), NOW)
    for index in range(N):
        let, kept = fewer.space(index, NOW), more.space(index, NOW)
        assert kept.state in (let.state, State.UNKNOWN)
        assert kept.count in (let.count, -1)
        assert kept.confidence <= let.confidence


def test_what_was_handed_out_never_changes() -> None:
    known = Known()
    d = disclosure(known)
    known.set(ROOM, State.FREE, 0)
    (delta,) = d.publish(spaces(ROOM), NOW)
    snapshot = d.snapshot(ONE.id, NOW)
    merged = d.since(ONE.id, "epoch-0", 0, NOW)
    before = rows(delta), rows(snapshot)
    known.set(ROOM, State.OCCUPIED, 5)
    d.publish(spaces(ROOM), NOW)
    assert (rows(delta), rows(snapshot)) == before
    assert merged is not None
    for message in (delta, snapshot, merged):
        for name in COLUMNS:
            with pytest.raises(ValueError, match="read-only"):
                getattr(message, name)[0] = 1


def test_what_is_not_published_yet_is_not_seen() -> None:
    known = Known()
    d = disclosure(known)
    known.set(ROOM, State.OCCUPIED, 3)
    assert d.space(ROOM, NOW).state is State.UNKNOWN
    assert rows(d.snapshot(ONE.id, NOW))[ROOM - ONE.start][0] == State.UNKNOWN


def test_a_position_of_another_life_or_of_the_future_is_refused() -> None:
    known = Known()
    d = disclosure(known)
    known.set(ROOM, State.FREE, 0)
    d.publish(spaces(ROOM), NOW)
    assert d.since(ONE.id, "epoch-1", 0, NOW) is None
    assert d.since(ONE.id, "", 0, NOW) is None
    assert d.since(ONE.id, "epoch-0", 2, NOW) is None
    assert d.since(ONE.id, "epoch-0", -1, NOW) is None


def test_a_position_that_is_up_to_date_gets_an_empty_delta() -> None:
    d = disclosure(Known())
    delta = d.since(ONE.id, "epoch-0", 0, NOW)
    assert delta is not None
    assert (delta.prev, delta.offset, len(delta.index)) == (0, 0, 0)


def test_each_life_of_a_level_has_a_name_of_its_own() -> None:
    first, second = Disclosure(PLAN, Known()), Disclosure(PLAN, Known())
    epochs = {
        d.snapshot(level, NOW).epoch
        for d in (first, second)
        for level in (
            ONE.id,
            TWO.id,
        )
    }
    assert len(epochs) == 4


def test_an_unknown_level_is_a_key_error() -> None:
    d = disclosure(Known())
    with pytest.raises(KeyError):
        d.snapshot("hq/9", NOW)
    with pytest.raises(KeyError):
        d.since("hq/9", "epoch-0", 0, NOW)


class Client:
    """Someone who follows a level from snapshots and deltas alone."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.epoch = snapshot.epoch
        self.offset = snapshot.offset
        self.table = dict(enumerate(rows(snapshot)))

    def take(self, delta: Delta) -> None:
        assert delta.prev == self.offset
        assert delta.epoch == self.epoch
        self.offset = delta.offset
        self.table.update(zip(delta.index.tolist(), rows(delta), strict=True))


change = st.tuples(
    st.integers(0, N - 1),
    st.sampled_from(State),
    st.integers(-1, 3),
    st.integers(0, 3),
)


@pytest.mark.slow
@given(st.lists(st.tuples(st.lists(change, max_size=6), st.integers(0, 7))))
@settings(max_examples=100)
def test_a_snapshot_and_its_deltas_are_the_next_snapshot(
    ticks: list[tuple[list[tuple[int, State, int, int]], int]],
) -> None:
    known = Known(sensed=np.arange(N) != ROOM)
    d = disclosure(known)
    steady = {level: Client(d.snapshot(level, NOW)) for level in d.levels()}
    # Snapshots taken at every tick: each is a position that a subscriber may be at.
    behind = [Client(d.snapshot(level, NOW)) for level in d.levels()]
    for number, (changes, who) in enumerate(ticks):
        now = NOW + number
        for index, state, people, since in changes:
            known.set(index, state, people, since)
        touched = np.array(sorted({index for index, *_ in changes}), np.int32)
        for delta in d.publish(touched, now):
            assert delta.offset == delta.prev + 1
            steady[delta.level].take(delta)
        for level, client in steady.items():
            assert client.table == dict(enumerate(rows(d.snapshot(level, now))))
        resumed = behind[who % len(behind)]
        level = next(name for name, c in steady.items() if c.epoch == resumed.epoch)
        merged = d.since(level, resumed.epoch, resumed.offset, now)
        assert merged is not None
        resumed.take(merged)
        assert resumed.table == steady[level].table
        behind += [Client(d.snapshot(name, now)) for name in d.levels()]
