"""Balances of lines: what each rule promises, and a plain model of the whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import ReadingFlag, ReadingKind, State
from engine.occupancy import ROW, Crossed, Flow, Occupancy
from engine.occupancy.lines import COUNTER, PER_MINUTE, next_daily_ms

S = 1000
MIN = 60 * S
HOUR = 60 * MIN
EVERY = 10 * MIN
STALE = 3 * EVERY
NOW = 1_792_580_400_000
"""21 October 2026, 11:00 UTC."""
FOUR = next_daily_ms(4 * 60, UTC, NOW)

DELTA, TOTAL = ReadingKind.FLOW_DELTA, ReadingKind.FLOW_TOTAL
PRESENCE, MOTION, COUNT = ReadingKind.PRESENCE, ReadingKind.MOTION, ReadingKind.COUNT

LEVEL, ROOM, HALL = range(3)
CAPACITY = 10
"""Of the room; the hall has none."""


class Doors:
    """A room and a hall on a level, watched by channels of (kind, space)."""

    def __init__(
        self, *channels: tuple[ReadingKind, int], flip: tuple[int, ...] = ()
    ) -> None:
        n = len(channels)
        self.now = NOW
        self.occupancy = Occupancy(
            parent=np.array([-1, LEVEL, LEVEL], np.int32),
            desk=np.zeros(3, np.bool_),
            counted=np.array([False, True, True]),
            kind=np.array([kind for kind, _ in channels], np.uint8),
            space=np.array([space for _, space in channels], np.int32),
            hold_ms=np.full(n, 5 * MIN, np.int64),
            interval_ms=np.full(n, EVERY, np.int64),
            flip=np.isin(np.arange(n), flip),
            capacity=np.array([-1, CAPACITY, -1], np.int32),
        )

    def delta(  # noqa: PLR0913 - a reading
        self,
        came: int,
        went: int,
        channel: int = 0,
        *,
        at: int | None = None,
        flags: int = 0,
        kind: ReadingKind = DELTA,
        bits: int = 0,
    ) -> Crossed:
        at = self.now if at is None else at
        self.now = max(self.now, at)
        flow = Flow(kind, came, went, bits, at, flags)
        return self.occupancy.cross(channel, flow, self.now)

    def total(
        self, came: int, went: int, channel: int = 0, *, bits: int = 0, after: int = MIN
    ) -> Crossed:
        at = self.now + after
        return self.delta(came, went, channel, at=at, kind=TOTAL, bits=bits)

    def say(self, channel: int, value: int) -> None:
        self.occupancy.apply([channel], [value], [self.now], [0], self.now)

    def seen(self, space: int = ROOM) -> tuple[State, int, int]:
        o = self.occupancy
        o.tick(self.now)
        return State(int(o.state[space])), int(o.count[space]), int(o.confidence[space])

    def people(self, space: int = ROOM) -> int:
        return self.seen(space)[1]

    def sleep(self) -> list[int]:
        """Let the next night pass at which the balance begins anew."""
        self.now = next_daily_ms(4 * 60, UTC, self.now) + S
        return self.occupancy.keep(self.now)


def test_deltas_add_up_to_the_people_in_a_space() -> None:
    doors = Doors((DELTA, ROOM))
    assert doors.delta(3, 1) is Crossed.APPLIED
    doors.delta(2, 0, at=NOW + MIN)
    assert doors.seen() == (State.OCCUPIED, 4, 50)


def test_nobody_is_no_news_before_the_first_night_and_is_after_it() -> None:
    doors = Doors((DELTA, ROOM))
    doors.delta(1, 1)
    assert doors.seen()[0] is State.UNKNOWN
    doors.sleep()
    doors.delta(0, 0)
    assert doors.seen() == (State.FREE, 0, 85)
    doors.delta(2, 0, at=doors.now + MIN)
    assert doors.seen() == (State.OCCUPIED, 2, 85)


def test_the_first_total_sets_only_what_the_next_is_compared_with() -> None:
    doors = Doors((DELTA, ROOM))
    assert doors.total(1_200, 900) is Crossed.APPLIED
    assert doors.people() == -1
    doors.total(1_205, 902)
    assert doors.people() == 3


def test_a_total_that_wraps_goes_on_and_one_that_resets_begins_anew() -> None:
    doors = Doors((DELTA, ROOM))
    doors.total(65_533, 100, bits=16)
    doors.total(2, 101, bits=16)
    assert doors.people() == 4
    doors.total(3, 1, bits=16)
    assert doors.people() == 6


def test_a_counter_that_is_not_about_to_wrap_resets() -> None:
    doors = Doors((DELTA, ROOM))
    doors.total(50_000, 0, bits=16)
    doors.total(4, 0, bits=16)
    assert doors.people() == 4


def test_a_counter_that_began_anew_more_than_a_day_ago_says_nothing_of_today() -> None:
    doors = Doors((DELTA, ROOM))
    doors.total(500, 0)
    doors.total(300, 0, after=24 * HOUR + MIN)
    assert doors.people() == -1
    doors.total(301, 0)
    assert doors.people() == 1


def test_more_people_than_fit_through_a_door_are_passed_by() -> None:
    doors = Doors((DELTA, HALL))
    doors.total(0, 0)
    assert doors.total(PER_MINUTE, 0) is Crossed.APPLIED
    assert doors.total(2 * PER_MINUTE + 1, 0) is Crossed.IMPLAUSIBLE
    assert doors.people(HALL) == PER_MINUTE
    doors.total(2 * PER_MINUTE + 3, 0)
    assert doors.people(HALL) == PER_MINUTE + 2


def test_an_implausible_delta_computed_anew_counts() -> None:
    doors = Doors((DELTA, HALL))
    doors.delta(1, 0)
    at = NOW + MIN
    assert doors.delta(10_000, 0, at=at) is Crossed.IMPLAUSIBLE
    assert doors.delta(10_000, 0, at=at) is Crossed.DUPLICATE
    assert doors.delta(4, 0, at=at) is Crossed.APPLIED
    assert doors.people(HALL) == 5


def test_a_balance_is_never_below_nobody_nor_far_above_the_capacity() -> None:
    doors = Doors((DELTA, ROOM))
    doors.delta(1, 5)
    doors.delta(2, 0, at=NOW + MIN)
    assert doors.people() == 2
    doors.delta(50, 0, at=NOW + 2 * MIN)
    assert doors.people() == CAPACITY * 3 // 2
    doors.delta(0, 1, at=NOW + 3 * MIN)
    assert doors.people() == CAPACITY * 3 // 2 - 1


def test_the_lines_of_a_space_sum_and_one_may_be_mounted_the_other_way_round() -> None:
    doors = Doors((DELTA, ROOM), (DELTA, HALL), (DELTA, ROOM), flip=(2,))
    doors.delta(5, 0, 0)
    doors.delta(9, 0, 1)
    doors.delta(2, 1, 2)
    assert doors.people() == 4
    assert doors.people(HALL) == 9


def test_who_comes_by_one_door_and_leaves_by_another_is_gone() -> None:
    doors = Doors((DELTA, ROOM), (DELTA, ROOM))
    for minute in range(30):
        doors.delta(1, 0, 0, at=NOW + minute * MIN)
        doors.delta(0, 1, 1, at=NOW + minute * MIN)
    doors.delta(1, 0, 0, at=NOW + HOUR)
    doors.delta(0, 0, 1, at=NOW + HOUR)
    assert doors.people() == 1


def test_the_same_delta_again_has_no_second_effect_and_another_replaces_it() -> None:
    doors = Doors((DELTA, ROOM))
    doors.delta(1, 0)
    assert doors.delta(4, 0, at=NOW + MIN) is Crossed.APPLIED
    assert doors.delta(4, 0, at=NOW + MIN) is Crossed.DUPLICATE
    assert doors.people() == 5
    assert doors.delta(2, 0, at=NOW + MIN) is Crossed.APPLIED
    assert doors.people() == 3


def test_a_late_delta_shows_life_and_counts_nobody() -> None:
    doors = Doors((DELTA, ROOM))
    doors.delta(2, 0)
    doors.now = NOW + STALE - MIN
    assert doors.delta(7, 0, at=NOW - MIN) is Crossed.LATE
    doors.now += 2 * EVERY
    assert doors.seen()[:2] == (State.OCCUPIED, 2)


def test_backfill_is_late_whatever_its_time() -> None:
    doors = Doors((DELTA, ROOM))
    assert doors.delta(7, 0, flags=ReadingFlag.BACKFILL) is Crossed.LATE
    assert doors.people() == -1
    assert doors.delta(2, 0, at=NOW) is Crossed.APPLIED


def test_what_the_broker_replays_counts_nobody_and_proves_nothing() -> None:
    doors = Doors((DELTA, ROOM))
    assert doors.delta(7, 0, flags=ReadingFlag.RETAINED) is Crossed.DUPLICATE
    assert doors.seen()[0] is State.UNKNOWN


def test_a_line_without_numbers_shows_life_and_counts_nobody() -> None:
    doors = Doors((DELTA, ROOM))
    doors.delta(2, 0)
    assert doors.delta(-1, 4, at=NOW + MIN) is Crossed.DUPLICATE
    assert doors.people() == 2


def test_where_there_are_totals_deltas_say_nothing_until_these_fall_silent() -> None:
    doors = Doors((DELTA, ROOM))
    doors.delta(2, 0)
    doors.total(100, 40)
    doors.total(101, 40)
    assert doors.delta(1, 0, at=doors.now) is Crossed.DUPLICATE
    assert doors.people() == 3
    doors.now += STALE + 1
    assert doors.delta(1, 0, at=doors.now) is Crossed.APPLIED
    assert doors.people() == 4


def test_one_line_that_is_silent_makes_the_balance_worthless() -> None:
    doors = Doors((DELTA, ROOM), (DELTA, ROOM))
    doors.delta(2, 0, 0)
    assert doors.seen()[0] is State.UNKNOWN
    doors.delta(0, 0, 1)
    assert doors.seen()[0] is State.OCCUPIED
    doors.now = NOW + 2 * EVERY + 1
    doors.delta(0, 0, 0)
    assert doors.seen()[0] is State.LIKELY
    doors.now = NOW + STALE + 1
    doors.delta(0, 0, 0)
    assert doors.seen()[0] is State.UNKNOWN


def test_lines_that_are_off_and_lines_that_are_faulty() -> None:
    doors = Doors((DELTA, ROOM), (DELTA, ROOM))
    for line in (0, 1):
        doors.delta(2, 0, line)
    o = doors.occupancy
    o.set_online([0], 0, NOW + S, NOW + S)
    assert doors.seen()[0] is State.UNKNOWN
    o.set_online([1], 0, NOW + S, NOW + S)
    assert doors.seen()[0] is State.OFFLINE
    o.set_online([1], -1, NOW + 2 * S, NOW + 2 * S)
    assert doors.seen()[0] is State.UNKNOWN
    for line in (0, 1):
        doors.delta(1, 0, line, at=NOW + MIN)
    assert doors.people() == 6


def test_an_area_count_beats_the_balance_which_beats_presence_and_motion() -> None:
    doors = Doors((DELTA, ROOM), (COUNT, ROOM), (PRESENCE, ROOM), (MOTION, ROOM))
    doors.sleep()
    doors.say(2, 0)
    doors.say(3, 0)
    doors.delta(3, 0)
    assert doors.seen() == (State.OCCUPIED, 3, 85)
    doors.say(1, 5)
    assert doors.seen() == (State.OCCUPIED, 5, 95)


@pytest.mark.parametrize("kind", [PRESENCE, MOTION])
def test_who_is_seen_disputes_a_balance_of_nobody(kind: ReadingKind) -> None:
    doors = Doors((DELTA, ROOM), (kind, ROOM))
    doors.sleep()
    doors.delta(0, 0)
    doors.say(1, 1)
    assert doors.seen() == (State.LIKELY, -1, 50)
    doors.now += MIN
    doors.delta(2, 0)
    assert doors.seen() == (State.OCCUPIED, 2, 85)


def test_a_balance_begins_anew_each_night_if_nothing_shows_anybody() -> None:
    doors = Doors((DELTA, ROOM), (PRESENCE, ROOM))
    doors.delta(3, 0)
    doors.now = FOUR - S
    assert doors.occupancy.keep(doors.now) == []
    doors.now = FOUR
    doors.say(1, 1)
    assert doors.occupancy.keep(FOUR) == []
    doors.now = FOUR + MIN
    doors.say(1, 0)
    assert doors.occupancy.keep(doors.now) == [2]
    assert doors.occupancy.keep(doors.now + MIN) == []
    doors.delta(0, 0)
    assert doors.seen() == (State.FREE, 0, 85)


def test_a_balance_that_began_anew_does_not_do_so_again_after_a_restart() -> None:
    doors, again = Doors((DELTA, ROOM)), Doors((DELTA, ROOM))
    doors.sleep()
    doors.delta(3, 0)
    again.occupancy.restore(np.array([0, 1], np.int32), rows_of(doors.occupancy, 2))
    assert again.occupancy.keep(FOUR + 30 * MIN) == []
    assert again.occupancy.keep(FOUR + 24 * HOUR) == [1]


def test_a_balance_is_carried_to_the_next_night_while_somebody_shows() -> None:
    doors = Doors((DELTA, ROOM), (PRESENCE, ROOM))
    doors.delta(3, 0)
    for minute in range(0, 70, 5):
        doors.now = FOUR + minute * MIN
        doors.say(1, 1)
        doors.delta(0, 0)
        assert doors.occupancy.keep(doors.now) == []
    doors.say(1, 0)
    assert doors.occupancy.keep(doors.now) == []
    assert doors.people() == 3


def test_somebody_in_a_room_keeps_the_balance_of_the_level() -> None:
    doors = Doors((DELTA, LEVEL), (PRESENCE, ROOM))
    doors.delta(3, 0)
    doors.now = FOUR
    doors.say(1, 1)
    assert doors.occupancy.keep(FOUR) == []


def test_a_delta_from_before_the_night_computed_anew_adds_the_difference() -> None:
    doors = Doors((DELTA, ROOM))
    doors.delta(3, 0, at=FOUR - S)
    doors.sleep()
    assert doors.delta(4, 0, at=FOUR - S) is Crossed.APPLIED
    assert doors.people() == 1


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-10-24T10:00+02:00", "2026-10-25T04:00+01:00"),  # the clock goes back
        ("2026-03-28T10:00+01:00", "2026-03-29T04:00+02:00"),  # … and forward
        ("2026-06-01T03:59:59+02:00", "2026-06-01T04:00+02:00"),
        ("2026-06-01T04:00+02:00", "2026-06-02T04:00+02:00"),
    ],
)
def test_the_hour_of_the_reset_is_that_of_the_clock_on_the_wall(
    now: str, expected: str
) -> None:
    at, then = (datetime.fromisoformat(t).timestamp() * S for t in (now, expected))
    assert next_daily_ms(4 * 60, ZoneInfo("Europe/Berlin"), round(at)) == then


@given(
    st.integers(NOW, NOW + 400 * 24 * HOUR),
    st.integers(0, 24 * 60 - 1),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]),
)
def test_every_day_has_the_hour_once(now: int, minute: int, name: str) -> None:
    zone = ZoneInfo(name)
    first = next_daily_ms(minute, zone, now)
    second = next_daily_ms(minute, zone, first)
    assert now < first <= now + 25 * HOUR + HOUR
    assert 22 * HOUR <= second - first <= 26 * HOUR
    days = [datetime.fromtimestamp(ms / S, zone).date() for ms in (first, second)]
    assert (days[1] - days[0]).days == 1


def rows_of(o: Occupancy, numbers: int) -> bytes:
    return o.export(np.arange(numbers, dtype=np.int32))


def test_a_line_survives_export_and_restore() -> None:
    assert COUNTER.itemsize == ROW.itemsize
    doors = Doors((DELTA, ROOM), (PRESENCE, ROOM), (DELTA, HALL), (DELTA, ROOM))
    doors.total(100, 40, 0)
    doors.total(107, 41, 0)
    doors.delta(2, 0, 3)
    doors.delta(9, 0, 2)
    doors.say(1, 0)
    again = Doors((DELTA, ROOM), (PRESENCE, ROOM), (DELTA, HALL), (DELTA, ROOM))
    again.now = doors.now
    rows = rows_of(doors.occupancy, 7)
    numbers = np.array([6, 2, 0, 4, 5, 1, 3], np.int32)
    again.occupancy.restore(numbers, doors.occupancy.export(numbers))
    assert rows_of(again.occupancy, 7) == rows
    for one in (doors, again):
        assert one.people() == 8
        one.total(108, 41, 0)
        assert (one.people(), one.people(HALL)) == (9, 9)


def test_a_balance_is_taken_up_as_a_whole_or_not_at_all() -> None:
    doors = Doors((DELTA, ROOM), (DELTA, ROOM))
    doors.sleep()
    for line in (0, 1):
        doors.delta(2, 0, line)
    rows = rows_of(doors.occupancy, 4)
    fewer = Doors((DELTA, ROOM))
    fewer.now = doors.now
    size = ROW.itemsize
    fewer.occupancy.restore(
        np.array([0, 1], np.int32), rows[:size] + rows[2 * size : 3 * size]
    )
    assert fewer.seen()[0] is State.UNKNOWN
    fewer.delta(1, 0, at=doors.now + MIN)
    assert fewer.seen() == (State.OCCUPIED, 1, 50)


@given(st.binary(min_size=3 * 40, max_size=3 * 40))
@settings(max_examples=100)
def test_restored_garbage_makes_no_impossible_balance(rows: bytes) -> None:
    doors = Doors((DELTA, ROOM), (COUNT, ROOM))
    doors.occupancy.restore(np.array([0, 1, 2], np.int32), rows)
    doors.delta(1, 0, at=NOW + MIN)
    state, people, percent = doors.seen()
    assert -1 <= people <= 2**18 - 1
    assert percent <= 100
    assert state in State
    doors.sleep()
    doors.occupancy.tick(NOW)
    doors.occupancy.keep(NOW)


# A model: the rules of `lines` in plain Python, for one space with two lines.


@dataclass
class Line:
    at: int = 0
    heard: int = 0
    kind: ReadingKind | None = None
    last: tuple[int, int] = (0, 0)
    before: int = 0
    """The share before the newest reading."""
    share: int = 0


@dataclass
class Model:
    lines: list[Line] = field(default_factory=lambda: [Line(), Line()])

    def take(self, number: int, flow: Flow, now: int) -> None:
        line = self.lines[number]
        silent = now - line.heard
        if flow.kind is DELTA and line.kind is TOTAL and silent <= STALE:
            return
        at = flow.observed_ms
        line.heard = max(line.heard, now if now - at <= STALE else at)
        pair = (flow.people_in, flow.people_out)
        if at < line.at or flow.flags & ReadingFlag.BACKFILL or min(pair) < 0:
            return
        if (line.at, line.kind, line.last) == (at, flow.kind, pair):
            return
        redone = line.at == at and line.kind is flow.kind is DELTA
        took = at - line.at if line.at and at > line.at else 2 * EVERY
        came, went = pair
        if flow.kind is TOTAL:
            came, went = self.between(line, pair, at) if line.kind is TOTAL else (0, 0)
        if not redone:
            line.before = line.share
        line.at, line.kind, line.last = at, flow.kind, pair
        if max(came, went) > PER_MINUTE * max(1, -(-took // MIN)):
            came = went = 0
        other = self.lines[1 - number].share
        line.share = line.before + came - went
        line.share += min(max(line.share + other, 0), CAPACITY * 3 // 2) - (
            line.share + other
        )

    @staticmethod
    def between(line: Line, pair: tuple[int, int], at: int) -> tuple[int, int]:
        if at > line.at and any(
            new < old and not (old > 0.9 * 256 and new < old - 128 and old < 256)
            for old, new in zip(line.last, pair, strict=True)
        ):
            return pair if at - line.at <= 24 * HOUR else (0, 0)
        came, went = (
            new - old + (256 if new < old and at > line.at else 0)
            for old, new in zip(line.last, pair, strict=True)
        )
        return came, went


people = st.integers(-1, 12) | st.sampled_from([120, 140, 250, 255])
step = st.tuples(
    st.integers(0, 1),
    st.sampled_from([DELTA, DELTA, TOTAL]),
    people,
    people,
    st.sampled_from([-MIN, 0, 0, S, MIN, EVERY]),
    st.sampled_from([0, 0, 0, ReadingFlag.BACKFILL]),
    st.sampled_from([0, 0, MIN, EVERY, STALE + 1, 25 * HOUR]),
)


@pytest.mark.slow
@given(st.lists(step, max_size=40))
@settings(max_examples=300)
def test_the_lines_of_a_space_are_those_of_a_plain_model(
    steps: list[tuple[int, ReadingKind, int, int, int, int, int]],
) -> None:
    doors, model = Doors((DELTA, ROOM), (DELTA, ROOM)), Model()
    for number, kind, came, went, ahead, flags, pause in steps:
        doors.now += pause
        at = max(line.at for line in model.lines) or NOW
        at = min(at + ahead, doors.now)
        flow = Flow(kind, came, went, 8, at, flags)
        doors.occupancy.cross(number, flow, doors.now)
        model.take(number, flow, doors.now)
        lines = doors.occupancy._lines  # noqa: SLF001 - held to the model
        assert lines.share.tolist() == [line.share for line in model.lines]
        assert 0 <= int(lines.balance[0]) <= CAPACITY * 3 // 2
