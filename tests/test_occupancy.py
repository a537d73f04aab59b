"""Occupancy from readings: what each rule promises, and the properties of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import ReadingFlag, ReadingKind, State
from engine.occupancy import ROW, Occupancy
from engine.occupancy import channels as occupancy_channels
from engine.occupancy.channels import AHEAD_MS, COUNT_CEILING

if TYPE_CHECKING:
    import random
    from contextlib import AbstractContextManager

    import numpy.typing as npt

NOW = 1_792_580_400_000
S = 1000
MIN = 60 * S
HOUR = 60 * MIN
HOLD = 5 * MIN
EVERY = 10 * MIN
LATE = 2 * EVERY
STALE = 3 * EVERY

MOTION, PRESENCE, COUNT = ReadingKind.MOTION, ReadingKind.PRESENCE, ReadingKind.COUNT

# A building of one level: a zone with two desks, a room with two desks, two rooms.
BUILDING, LEVEL, ZONE, DESK_A, DESK_B, ROOM, DESK_C, DESK_D, BOX, BARE = range(10)
PARENT = [-1, BUILDING, LEVEL, ZONE, ZONE, LEVEL, ROOM, ROOM, LEVEL, LEVEL]
DESKS = (DESK_A, DESK_B, DESK_C, DESK_D)
COUNTED = (*DESKS, ROOM, BOX, BARE)


def floor(
    *sensors: tuple[ReadingKind, int],
    every_ms: int = EVERY,
    stale_floor_ms: int = 10 * MIN,
) -> Occupancy:
    """Return the building with one channel for each (kind, space)."""
    n = len(sensors)
    spaces = np.arange(len(PARENT))
    return Occupancy(
        parent=np.array(PARENT, np.int32),
        desk=np.isin(spaces, DESKS),
        counted=np.isin(spaces, COUNTED),
        kind=np.array([kind for kind, _ in sensors], np.uint8),
        space=np.array([space for _, space in sensors], np.int32),
        hold_ms=np.full(n, HOLD, np.int64),
        interval_ms=np.full(n, every_ms, np.int64),
        stale_floor_ms=stale_floor_ms,
    )


class Seen(NamedTuple):
    state: State
    people: int
    percent: int


def seen(occupancy: Occupancy, space: int, now_ms: int | None = None) -> Seen:
    if now_ms is not None:
        occupancy.tick(now_ms)
    return Seen(
        State(int(occupancy.state[space])),
        int(occupancy.count[space]),
        int(occupancy.confidence[space]),
    )


def say(  # noqa: PLR0913 - a reading, and when it came
    occupancy: Occupancy,
    channel: int,
    value: int,
    at_ms: int = NOW,
    *,
    flags: int = 0,
    now_ms: int | None = None,
) -> tuple[int, int, int]:
    now = max(NOW, at_ms) if now_ms is None else now_ms
    return occupancy.apply([channel], [value], [at_ms], [flags], now)[:3]


def test_a_space_is_unknown_until_its_sensor_speaks() -> None:
    o = floor((PRESENCE, BOX))
    assert seen(o, BOX, NOW) == (State.UNKNOWN, -1, 0)
    say(o, 0, 0)
    assert seen(o, BOX, NOW) == (State.FREE, 0, 90)


def test_a_space_without_a_sensor_stays_unknown() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1)
    assert seen(o, BARE, NOW) == (State.UNKNOWN, -1, 0)
    assert not o.sensed[BARE]
    assert o.sensed[[BOX, LEVEL, BUILDING]].all()


def test_presence_occupies_a_room_without_a_number() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1)
    assert seen(o, BOX, NOW) == (State.OCCUPIED, -1, 90)
    say(o, 0, 0, NOW + S)
    assert seen(o, BOX, NOW + S) == (State.FREE, 0, 90)


def test_presence_on_a_desk_is_one_person() -> None:
    o = floor((PRESENCE, DESK_A))
    say(o, 0, 1)
    assert seen(o, DESK_A, NOW) == (State.OCCUPIED, 1, 90)


def test_a_sensor_that_does_not_know_makes_the_space_unknown() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1)
    say(o, 0, -1, NOW + S)
    assert seen(o, BOX, NOW + S).state is State.UNKNOWN


def test_presence_is_likely_once_late_and_unknown_once_stale() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1)
    assert seen(o, BOX, NOW + LATE).state is State.OCCUPIED
    assert seen(o, BOX, NOW + LATE + 1) == (State.LIKELY, -1, 90)
    halfway = seen(o, BOX, NOW + (LATE + STALE) // 2)
    assert halfway == (State.LIKELY, -1, 50)
    assert seen(o, BOX, NOW + STALE) == (State.LIKELY, -1, 10)
    assert seen(o, BOX, NOW + STALE + 1) == (State.UNKNOWN, -1, 0)


@pytest.mark.slow
def test_a_silent_sensor_never_makes_a_space_free() -> None:
    for kind in (PRESENCE, MOTION, COUNT):
        o = floor((kind, BOX), every_ms=2 * MIN)
        say(o, 0, 1)
        states = [seen(o, BOX, NOW + s * S).state for s in range(0, 3600, 20)]
        assert states[-1] is State.UNKNOWN
        free = [state for state in states if state is State.FREE]
        assert kind is MOTION or not free


def test_a_vacancy_is_less_certain_once_late_and_unknown_once_stale() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 0)
    assert seen(o, BOX, NOW + (LATE + STALE) // 2) == (State.FREE, 0, 50)
    assert seen(o, BOX, NOW + STALE + 1).state is State.UNKNOWN


def test_stale_has_a_floor_and_a_ceiling() -> None:
    quick, slow = (floor((PRESENCE, BOX), every_ms=e) for e in (10 * S, 24 * HOUR))
    say(quick, 0, 1)
    say(slow, 0, 1)
    assert seen(quick, BOX, NOW + 10 * MIN).state is State.LIKELY
    assert seen(quick, BOX, NOW + 10 * MIN + 1).state is State.UNKNOWN
    assert seen(slow, BOX, NOW + 26 * HOUR).state is State.OCCUPIED
    assert seen(slow, BOX, NOW + 26 * HOUR + 1).state is State.UNKNOWN


def test_an_undeclared_interval_is_taken_as_an_hour() -> None:
    o = floor((PRESENCE, BOX), every_ms=0)
    say(o, 0, 1)
    assert seen(o, BOX, NOW + 2 * HOUR).state is State.OCCUPIED
    assert seen(o, BOX, NOW + 3 * HOUR + 1).state is State.UNKNOWN


def test_motion_holds_then_decays_then_is_free_while_the_sensor_lives() -> None:
    o = floor((MOTION, BOX))
    say(o, 0, 1)
    assert seen(o, BOX, NOW + HOLD) == (State.OCCUPIED, -1, 80)
    assert seen(o, BOX, NOW + HOLD + 1) == (State.LIKELY, -1, 80)
    assert seen(o, BOX, NOW + HOLD * 3 // 2) == (State.LIKELY, -1, 40)
    assert seen(o, BOX, NOW + 2 * HOLD) == (State.LIKELY, -1, 10)
    assert seen(o, BOX, NOW + 2 * HOLD + 1) == (State.FREE, 0, 80)
    assert seen(o, BOX, NOW + STALE + 1).state is State.UNKNOWN


def test_no_motion_is_a_sign_of_life_and_ends_no_hold() -> None:
    o = floor((MOTION, BOX))
    say(o, 0, 3)
    say(o, 0, 0, NOW + MIN)
    assert seen(o, BOX, NOW + MIN).state is State.OCCUPIED
    assert seen(o, BOX, NOW + MIN + STALE).state is State.FREE


def test_a_late_pulse_still_holds() -> None:
    o = floor((MOTION, BOX))
    say(o, 0, 0, NOW)
    assert say(o, 0, 1, NOW - MIN) == (0, 0, 1)
    assert seen(o, BOX, NOW).state is State.OCCUPIED
    assert seen(o, BOX, NOW + HOLD).state is State.LIKELY


def test_a_count_is_the_number_of_people() -> None:
    o = floor((COUNT, BOX))
    say(o, 0, 7)
    assert seen(o, BOX, NOW) == (State.OCCUPIED, 7, 95)
    say(o, 0, 0, NOW + S)
    assert seen(o, BOX, NOW + S) == (State.FREE, 0, 95)


def test_counts_are_clipped_and_sums_do_not_wrap() -> None:
    o = floor(*[(COUNT, BOX)], (COUNT, ROOM), (COUNT, ZONE))
    for channel, value in enumerate((2**70, 2**31, COUNT_CEILING + 1)):
        say(o, channel, value)
    o.tick(NOW)
    assert o.count[[BOX, ROOM, ZONE]].tolist() == [COUNT_CEILING] * 3
    assert o.count[[LEVEL, BUILDING]].tolist() == [3 * COUNT_CEILING] * 2
    o.apply([0] * 50, [-(2**70)] * 50, [NOW + S] * 50, [0] * 50, NOW + S)
    assert seen(o, BOX, NOW + S).state is State.UNKNOWN


def test_sums_beyond_32_bits_are_clipped() -> None:
    n = 10_000
    o = Occupancy(
        parent=np.array([-1] + [0] * n, np.int32),
        desk=np.zeros(n + 1, np.bool_),
        counted=np.ones(n + 1, np.bool_),
        kind=np.full(n, COUNT, np.uint8),
        space=np.arange(1, n + 1, dtype=np.int32),
        hold_ms=np.zeros(n, np.int64),
        interval_ms=np.zeros(n, np.int64),
    )
    o.apply(range(n), [COUNT_CEILING] * n, [NOW] * n, [0] * n, NOW)
    o.tick(NOW)
    assert o.count[0] == 2**31 - 1
    assert o.total[0] == o.known[0] == n + 1


def test_more_channels_than_are_judged_at_a_time() -> None:
    n, spaces = 20_000, 3_000
    space = np.arange(n, dtype=np.int32) * 7 % spaces
    o = Occupancy(
        parent=np.full(spaces, -1, np.int32),
        desk=np.zeros(spaces, np.bool_),
        counted=np.ones(spaces, np.bool_),
        kind=np.full(n, COUNT, np.uint8),
        space=space,
        hold_ms=np.zeros(n, np.int64),
        interval_ms=np.zeros(n, np.int64),
    )
    values = np.arange(n) % 501
    o.apply(range(n), values.tolist(), [NOW] * n, [0] * n, NOW)
    o.tick(NOW)
    most = np.zeros(spaces, np.int64)
    np.maximum.at(most, space, values)
    assert o.count.tolist() == most.tolist()


@pytest.mark.parametrize("weaker", [PRESENCE, MOTION])
def test_a_count_beats_a_vacant_presence_or_motion_sensor(weaker: ReadingKind) -> None:
    o = floor((COUNT, BOX), (weaker, BOX))
    say(o, 0, 3)
    say(o, 1, 0)
    assert seen(o, BOX, NOW) == (State.OCCUPIED, 3, 95)


def test_presence_that_ended_beats_motion_within_its_hold() -> None:
    o = floor((PRESENCE, BOX), (MOTION, BOX))
    say(o, 0, 0, NOW + S)
    say(o, 1, 1, NOW)
    assert seen(o, BOX, NOW + S) == (State.FREE, 0, 90)


def test_motion_within_its_hold_disputes_a_count_of_zero() -> None:
    o = floor((COUNT, BOX), (MOTION, BOX))
    say(o, 0, 0)
    say(o, 1, 1)
    assert seen(o, BOX, NOW) == (State.LIKELY, -1, 50)
    assert seen(o, BOX, NOW + HOLD + 1) == (State.FREE, 0, 95)


def test_motion_does_not_dispute_a_count_of_people() -> None:
    o = floor((COUNT, BOX), (MOTION, BOX))
    say(o, 0, 2)
    say(o, 1, 1)
    assert seen(o, BOX, NOW) == (State.OCCUPIED, 2, 95)


def test_a_fresh_sensor_beats_a_late_one_of_higher_rank() -> None:
    o = floor((COUNT, BOX), (MOTION, BOX))
    say(o, 0, 4)
    late = NOW + LATE + 1
    say(o, 1, 0, late)
    assert seen(o, BOX, late) == (State.FREE, 0, 80)


def test_a_late_count_is_likely_and_keeps_its_number() -> None:
    o = floor((COUNT, BOX))
    say(o, 0, 4)
    assert seen(o, BOX, NOW + LATE + 1) == (State.LIKELY, 4, 95)


def test_two_counters_of_one_space_are_not_added() -> None:
    o = floor((COUNT, BOX), (COUNT, BOX))
    say(o, 0, 4)
    say(o, 1, 6)
    assert seen(o, BOX, NOW).people == 6


def test_an_older_reading_changes_nothing_but_shows_life() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1, NOW)
    assert say(o, 0, 0, NOW - S, now_ms=NOW + LATE) == (0, 0, 1)
    assert seen(o, BOX, NOW + 2 * LATE).state is State.OCCUPIED
    assert seen(o, BOX, NOW + 2 * LATE + 1).state is State.LIKELY
    assert o.since_ms[BOX] == NOW


def test_a_reading_that_waited_longer_than_stale_is_no_sign_of_life() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1, NOW - STALE - 1, now_ms=NOW)
    assert seen(o, BOX, NOW).state is State.UNKNOWN
    say(o, 0, 1, NOW - STALE, now_ms=NOW)
    assert seen(o, BOX, NOW).state is State.OCCUPIED


def test_at_equal_times_the_last_arrival_wins() -> None:
    o = floor((PRESENCE, BOX))
    assert say(o, 0, 1) == (1, 0, 0)
    assert say(o, 0, 1) == (0, 1, 0)
    assert say(o, 0, 0) == (1, 0, 0)
    assert seen(o, BOX, NOW).state is State.FREE


def test_a_clock_that_runs_ahead_does_not_shut_out_later_readings() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1, NOW + 24 * HOUR, now_ms=NOW)
    say(o, 0, 0, NOW + AHEAD_MS + 1)
    assert seen(o, BOX, NOW + AHEAD_MS + 1).state is State.FREE


def test_our_clock_stepped_back_does_not_freeze_a_channel() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1, NOW + HOUR)
    o.tick(NOW + HOUR)
    o.tick(NOW)
    say(o, 0, 0, NOW + S)
    assert seen(o, BOX, NOW + S).state is State.FREE
    assert seen(o, BOX, NOW + S + STALE + 1).state is State.UNKNOWN


def test_a_retained_reading_gives_a_decaying_state_once_and_never_refreshes() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1, flags=ReadingFlag.RETAINED)
    assert seen(o, BOX, NOW) == (State.LIKELY, -1, 90)
    assert o.since_ms[BOX] == 0
    say(o, 0, 1, NOW + EVERY, flags=ReadingFlag.RETAINED)
    assert seen(o, BOX, NOW + EVERY).state is State.UNKNOWN


def test_a_retained_reading_never_replaces_a_live_one() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 0)
    assert say(o, 0, 1, NOW + S, flags=ReadingFlag.RETAINED) == (0, 1, 0)
    assert seen(o, BOX, NOW + S).state is State.FREE
    assert seen(o, BOX, NOW + LATE + 1) == (State.FREE, 0, 90)


def test_retained_motion_is_no_motion() -> None:
    o = floor((MOTION, BOX))
    assert say(o, 0, 1, flags=ReadingFlag.RETAINED) == (0, 1, 0)
    assert seen(o, BOX, NOW).state is State.UNKNOWN
    say(o, 0, 0)
    assert seen(o, BOX, NOW).state is State.FREE


def test_a_cached_repeat_shows_life_but_is_no_evidence() -> None:
    o = floor((PRESENCE, BOX), (MOTION, ROOM))
    for channel in (0, 1):
        say(o, channel, 1)
        repeat = say(o, channel, 1, NOW + LATE, flags=ReadingFlag.CACHED)
        assert repeat == (0, 1, 0)
    o.tick(NOW + LATE)
    assert o.state[[BOX, ROOM]].tolist() == [State.OCCUPIED, State.FREE]
    assert o.since_ms[[BOX, ROOM]].tolist() == [NOW, NOW]


def test_backfill_is_late_whatever_its_time_and_no_pulse() -> None:
    o = floor((PRESENCE, BOX), (MOTION, ROOM))
    say(o, 0, 0)
    for channel in (0, 1):
        old = say(o, channel, 1, NOW + S, flags=ReadingFlag.BACKFILL)
        assert old == (0, 0, 1)
    o.tick(NOW + LATE + S)
    assert seen(o, BOX) == (State.FREE, 0, 90)
    assert seen(o, ROOM).state is State.UNKNOWN
    say(o, 0, 1, NOW + S)
    assert seen(o, BOX, NOW + S).state is State.OCCUPIED


def test_a_contact_has_a_value_and_no_state() -> None:
    o = floor((ReadingKind.CONTACT, BOX))
    assert say(o, 0, 1) == (1, 0, 0)
    assert seen(o, BOX, NOW) == (State.UNKNOWN, -1, 0)
    assert not o.sensed[BOX]


def test_a_cached_change_is_evidence() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1)
    assert say(o, 0, 0, NOW + S, flags=ReadingFlag.CACHED) == (1, 0, 0)
    assert seen(o, BOX, NOW + S).state is State.FREE


def test_a_device_that_is_off_makes_the_space_offline() -> None:
    o = floor((PRESENCE, BOX), (MOTION, BOX))
    say(o, 0, 1)
    assert o.set_online([0, 1], 0, NOW + S, NOW + S).tolist() == [0, 1]
    assert seen(o, BOX, NOW + S) == (State.OFFLINE, -1, 0)
    assert seen(o, LEVEL).state is State.OFFLINE


def test_one_device_that_is_off_leaves_the_word_to_the_others() -> None:
    o = floor((PRESENCE, BOX), (MOTION, BOX))
    say(o, 1, 1)
    o.set_online([0], 0, NOW, NOW)
    assert seen(o, BOX, NOW).state is State.OCCUPIED
    assert seen(o, BOX, NOW + 24 * HOUR).state is State.UNKNOWN


def test_online_again_is_unknown_until_the_sensor_speaks() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1)
    o.set_online([0], 0, NOW + S, NOW + S)
    o.set_online([0], 1, NOW + 2 * S, NOW + 2 * S)
    assert seen(o, BOX, NOW + 2 * S).state is State.UNKNOWN
    say(o, 0, 0, NOW + 3 * S)
    assert seen(o, BOX, NOW + 3 * S).state is State.FREE


def test_a_reading_brings_a_device_back() -> None:
    o = floor((PRESENCE, BOX))
    o.set_online([0], 0, NOW, NOW)
    say(o, 0, 1, NOW + 1)
    assert seen(o, BOX, NOW + 1).state is State.OCCUPIED
    o.set_online([0], 0, NOW, NOW + S)
    assert seen(o, BOX, NOW + S).state is State.OCCUPIED


def test_online_shows_life_unless_it_is_retained() -> None:
    o = floor((PRESENCE, BOX))
    say(o, 0, 1)
    later = NOW + LATE + MIN
    o.set_online([0], 1, later, later, retained=True)
    assert seen(o, BOX, later).state is State.LIKELY
    o.set_online([0], 1, later, later)
    assert seen(o, BOX, later).state is State.OCCUPIED
    assert o.set_online([0], 1, later - S, later).tolist() == []


def test_a_zone_counts_its_desks_and_not_its_counter_twice() -> None:
    o = floor((COUNT, ZONE), (PRESENCE, DESK_A), (PRESENCE, DESK_B))
    for channel, value in enumerate((1, 1, 1)):
        say(o, channel, value)
    assert seen(o, ZONE, NOW).people == 2
    say(o, 0, 5, NOW + S)
    assert seen(o, ZONE, NOW + S).people == 5


def test_a_level_is_the_sum_of_its_disjoint_parts() -> None:
    o = floor((PRESENCE, DESK_A), (PRESENCE, DESK_C), (COUNT, ROOM), (COUNT, BOX))
    for channel, value in enumerate((1, 1, 4, 2)):
        say(o, channel, value)
    o.tick(NOW)
    assert o.count[[ZONE, ROOM, BOX]].tolist() == [1, 4, 2]
    assert o.count[[LEVEL, BUILDING]].tolist() == [7, 7]


def test_a_room_occupied_without_a_number_adds_one_person_to_its_level() -> None:
    o = floor((PRESENCE, BOX), (PRESENCE, DESK_A))
    say(o, 0, 1)
    say(o, 1, 1)
    assert seen(o, BOX, NOW).people == -1
    assert seen(o, LEVEL).people == 2


def test_a_room_with_presence_of_its_own_and_free_desks_has_no_number() -> None:
    o = floor((PRESENCE, ROOM), (PRESENCE, DESK_C))
    say(o, 0, 1)
    say(o, 1, 0)
    assert seen(o, ROOM, NOW) == (State.OCCUPIED, -1, 90)
    assert seen(o, LEVEL).people == 1


def test_a_level_is_occupied_if_any_part_is() -> None:
    o = floor((PRESENCE, DESK_A), (PRESENCE, BOX))
    say(o, 0, 1)
    say(o, 1, 0)
    assert seen(o, LEVEL, NOW).state is State.OCCUPIED


def test_a_level_of_which_one_sensor_speaks_is_unknown_and_not_free() -> None:
    o = floor(*((PRESENCE, desk) for desk in DESKS), (PRESENCE, BOX))
    say(o, 0, 0)
    assert seen(o, DESK_A, NOW) == (State.FREE, 0, 90)
    assert (o.known[LEVEL], o.total[LEVEL]) == (1, 7)
    assert seen(o, LEVEL) == (State.UNKNOWN, -1, 0)
    say(o, 0, 1, NOW + S)
    assert seen(o, LEVEL, NOW + S) == (State.OCCUPIED, 1, 90)


def test_a_level_is_free_once_most_of_it_is_known() -> None:
    parts = (DESK_A, DESK_B, BOX, BARE)
    o = floor(*((PRESENCE, space) for space in parts))
    states = []
    for channel in range(len(parts)):
        say(o, channel, 0)
        states.append(seen(o, LEVEL, NOW))
    assert [state for state, *_ in states] == [*[State.UNKNOWN] * 3, State.FREE]
    assert states[-1].percent == 90 * 4 // 7
    assert seen(o, LEVEL, NOW + STALE + 1).state is State.UNKNOWN


def test_half_of_the_desks_are_not_most_of_a_zone() -> None:
    o = floor((PRESENCE, DESK_A), (PRESENCE, DESK_B))
    say(o, 0, 0)
    assert seen(o, ZONE, NOW).state is State.UNKNOWN
    assert (o.known[ZONE], o.total[ZONE]) == (1, 2)
    say(o, 1, 0)
    assert seen(o, ZONE, NOW) == (State.FREE, 0, 90)


def test_a_room_whose_own_sensor_speaks_speaks_for_its_desks() -> None:
    o = floor((PRESENCE, ROOM), (PRESENCE, BOX))
    say(o, 0, 0)
    assert seen(o, LEVEL, NOW).state is State.UNKNOWN
    assert (o.known[LEVEL], o.known[ROOM], o.total[ROOM]) == (3, 3, 3)
    say(o, 1, 0)
    assert seen(o, LEVEL, NOW) == (State.FREE, 0, 90 * 4 // 7)


def test_a_counter_on_a_zone_that_is_no_counted_space_is_published() -> None:
    o = floor((COUNT, ZONE))
    say(o, 0, 3)
    assert seen(o, ZONE, NOW) == (State.OCCUPIED, 3, 95)
    assert seen(o, LEVEL) == (State.OCCUPIED, 3, 95)
    say(o, 0, 0, NOW + S)
    assert seen(o, ZONE, NOW + S) == (State.FREE, 0, 95)
    assert seen(o, LEVEL).state is State.UNKNOWN  # of its rooms nothing is known


def test_a_tick_returns_what_changed_and_nothing_twice() -> None:
    o = floor((PRESENCE, DESK_A), (PRESENCE, BOX))
    assert o.tick(NOW).tolist() == []
    say(o, 0, 1)
    assert o.tick(NOW).tolist() == [BUILDING, LEVEL, ZONE, DESK_A]
    say(o, 0, 1, NOW + S)
    assert o.tick(NOW + S).tolist() == []


def test_renewed_evidence_is_told_once_a_minute() -> None:
    o = floor((PRESENCE, BOX))
    told = []
    for s in range(0, 180, 10):
        say(o, 0, 1, NOW + s * S)
        if len(o.tick(NOW + s * S)):
            told.append(s)
    assert told == [0, 60, 120]


def test_applied_names_the_changed_channels_once() -> None:
    o = floor((PRESENCE, BOX), (PRESENCE, ROOM), (MOTION, ZONE))
    for copies in (1, 30):
        ahead = copies * S
        a = o.apply(
            [1, 0, 1, 2] * copies,
            [1, 1, 0, 1] * copies,
            [NOW + ahead] * 4 * copies,
            [0, 0, 0, ReadingFlag.RETAINED] * copies,
            NOW + ahead,
        )
        assert sorted(a.changed.tolist()) == [0, 1]
        assert a.changed.dtype == np.int32
        assert a.applied + a.duplicate + a.late == 4 * copies


def test_the_state_survives_export_and_restore() -> None:
    sensors = ((PRESENCE, BOX), (MOTION, ROOM), (COUNT, ZONE), (PRESENCE, DESK_A))
    o, again = floor(*sensors), floor(*sensors)
    for channel in range(3):
        say(o, channel, 1, NOW + channel)
    o.set_online([3], 0, NOW, NOW)
    channels = np.array([3, 1, 0, 2], np.int32)
    rows = o.export(channels)
    assert len(rows) == 4 * ROW.itemsize == 4 * 40
    again.restore(channels, rows)
    for now in (NOW + 3, NOW + HOLD + 5, NOW + LATE + 5, NOW + STALE + 5):
        o.tick(now)
        again.tick(now)
        for name in ("state", "count", "confidence", "since_ms", "known"):
            assert (getattr(o, name) == getattr(again, name)).all(), name


def test_rows_of_another_version_are_refused() -> None:
    o = floor((PRESENCE, BOX))
    with pytest.raises(ValueError, match="40 bytes"):
        o.restore(np.array([0], np.int32), bytes(39))


def test_restored_rows_from_the_future_do_not_freeze_a_channel() -> None:
    o, again = floor((PRESENCE, BOX)), floor((PRESENCE, BOX))
    say(o, 0, 1, NOW + HOUR)
    channel = np.array([0], np.int32)
    again.restore(channel, o.export(channel))
    again.tick(NOW)
    say(again, 0, 0, NOW + S)
    assert seen(again, BOX, NOW + S).state is State.FREE


@pytest.mark.slow
@given(st.binary(min_size=40, max_size=40), st.integers(0, 2))
@settings(max_examples=100)
def test_restored_garbage_makes_no_impossible_state(row: bytes, channel: int) -> None:
    o = floor((PRESENCE, BOX), (MOTION, BOX), (COUNT, BOX))
    o.restore(np.array([channel], np.int32), row)
    state, count, confidence = seen(o, BOX, NOW)
    assert -1 <= count <= COUNT_CEILING
    assert confidence <= 100
    assert state in State


def test_the_arrays_of_a_channel_are_at_most_66_bytes() -> None:
    n = 10_000
    o = floor(*[(MOTION, BOX), (PRESENCE, ROOM)] * (n // 2))
    assert o.channel_bytes <= 66 * n


@pytest.mark.parametrize(
    "wrong",
    [
        {"space": np.array([10], np.int32)},
        {"space": np.array([-1], np.int32)},
        {"space": np.array([0, 1], np.int32)},
        {"kind": np.array([4], np.uint8)},
        {"kind": np.array([0], np.uint8)},
        {"parent": np.array([1, 0], np.int32)},
        {"parent": np.array([-1, 2], np.int32)},
        {"desk": np.zeros(3, np.bool_)},
    ],
)
def test_columns_that_do_not_fit_are_refused(
    wrong: dict[str, Any],
) -> None:
    columns: dict[str, Any] = {
        "parent": np.array([-1, 0], np.int32),
        "desk": np.zeros(2, np.bool_),
        "counted": np.zeros(2, np.bool_),
        "kind": np.array([1], np.uint8),
        "space": np.array([1], np.int32),
        "hold_ms": np.zeros(1, np.int64),
        "interval_ms": np.zeros(1, np.int64),
    }
    Occupancy(**columns)
    with pytest.raises(ValueError, match=r"columns|channel|around"):
        Occupancy(**{**columns, **wrong})


def test_an_engine_without_sensors_ticks() -> None:
    o = floor()
    assert o.tick(NOW).tolist() == []
    assert o.apply([], [], [], [], NOW)[:3] == (0, 0, 0)


def lasting(*sensors: tuple[ReadingKind, int], max_on_ms: int) -> Occupancy:
    o = floor(*sensors)
    n = len(sensors)
    o.bind(
        kind=np.array([kind for kind, _ in sensors], np.uint8),
        space=np.array([space for _, space in sensors], np.int32),
        hold_ms=np.full(n, HOLD, np.int64),
        interval_ms=np.full(n, EVERY, np.int64),
        max_on_ms=np.full(n, max_on_ms, np.int64),
    )
    return o


@pytest.mark.parametrize("kind", [PRESENCE, COUNT])
def test_who_sits_there_without_a_change_for_too_long_is_a_stuck_sensor(
    kind: ReadingKind,
) -> None:
    o = lasting((kind, BOX), max_on_ms=2 * HOUR)
    for now in range(NOW, NOW + 3 * HOUR, EVERY):
        say(o, 0, 2, now)
        o.keep(now)
        state = seen(o, BOX, now).state
        stuck = now - NOW > 2 * HOUR
        assert state is (State.UNKNOWN if stuck else State.OCCUPIED), now - NOW
    say(o, 0, 0, NOW + 3 * HOUR)
    assert seen(o, BOX, NOW + 3 * HOUR).state is State.FREE
    say(o, 0, 2, NOW + 3 * HOUR + S)
    assert seen(o, BOX, NOW + 3 * HOUR + S).state is State.OCCUPIED


def test_an_empty_room_is_never_stuck_nor_is_motion() -> None:
    o = lasting((PRESENCE, BOX), (MOTION, ROOM), max_on_ms=HOUR)
    for now in range(NOW, NOW + 3 * HOUR, MIN):
        say(o, 0, 0, now)
        say(o, 1, 1, now)
        o.keep(now)
    o.tick(now)
    assert o.state[[BOX, ROOM]].tolist() == [State.FREE, State.OCCUPIED]


def test_a_sensor_that_was_silent_in_between_is_not_stuck() -> None:
    o = lasting((PRESENCE, BOX), max_on_ms=2 * HOUR)
    say(o, 0, 1)
    back = NOW + 9 * HOUR
    say(o, 0, 1, back)
    o.keep(back)
    assert seen(o, BOX, back).state is State.OCCUPIED


def test_a_stuck_sensor_stays_so_after_a_restart() -> None:
    o, again = (lasting((PRESENCE, BOX), max_on_ms=HOUR) for _ in range(2))
    for now in range(NOW, NOW + 2 * HOUR, EVERY):
        say(o, 0, 1, now)
    channel = np.array([0], np.int32)
    again.restore(channel, o.export(channel))
    again.keep(now)
    assert seen(again, BOX, now).state is State.UNKNOWN


# Properties. A small world, so that collisions of channel, time and value are common.

SENSORS = (
    (PRESENCE, BOX),
    (PRESENCE, ROOM),
    (MOTION, ROOM),
    (MOTION, ZONE),
    (COUNT, ROOM),
    (COUNT, BOX),
    (PRESENCE, DESK_A),
)
CHANNELS = np.arange(len(SENSORS), dtype=np.int32)

channel = st.integers(0, len(SENSORS) - 1)
value = st.integers(-1, 3)
time = st.integers(NOW - STALE - 3, NOW + 3) | st.just(NOW + HOUR)
EMPTY: tuple[tuple[int, ...], ...] = ((), (), (), ())
FLAGS = (
    *(0, 0, 0, ReadingFlag.CACHED, ReadingFlag.RETAINED, ReadingFlag.BACKFILL),
    ReadingFlag.BACKFILL | ReadingFlag.RETAINED,
)
reading = st.tuples(channel, value, time, st.sampled_from(FLAGS))
UNCACHED = (0, ReadingFlag.RETAINED, ReadingFlag.BACKFILL)


def in_numpy() -> AbstractContextManager[object]:
    """Let even a small batch take the way of a large one."""
    return patch.object(occupancy_channels, "FEW", 0)


def columns(
    readings: list[tuple[int, int, int, int]],
) -> tuple[list[int], list[int], list[int], list[int]]:
    channels, values, times, flags = zip(*readings, strict=True) if readings else EMPTY
    return [*channels], [*values], [*times], [*flags]


@pytest.mark.slow
@given(
    st.dictionaries(
        st.tuples(channel, time, st.sampled_from(UNCACHED)),
        value,
        max_size=40,
    ),
    st.randoms(use_true_random=False),
    st.integers(1, 9),
)
@settings(max_examples=150)
def test_any_order_with_repeats_gives_the_same_arrays(
    said: dict[tuple[int, int, int], int], shuffled: random.Random, cut: int
) -> None:
    readings = [(c, v, t, f) for (c, t, f), v in said.items()]
    once = floor(*SENSORS)
    with in_numpy():
        once.apply(*columns(readings), NOW)
    mixed = readings + shuffled.sample(readings, len(readings) // 2)
    shuffled.shuffle(mixed)
    parts = floor(*SENSORS)
    for start in range(0, len(mixed), cut):
        parts.apply(*columns(mixed[start : start + cut]), NOW)
    rows = [np.frombuffer(o.export(CHANNELS), ROW) for o in (once, parts)]
    for name in ROW.names or ():
        # What is late may have been a change: since when, depends on the order.
        assert name == "turned_s" or (rows[0][name] == rows[1][name]).all(), name


@pytest.mark.slow
@given(st.lists(reading, max_size=7), st.lists(reading, min_size=25, max_size=60))
@settings(max_examples=100)
def test_a_batch_is_its_readings_one_after_the_other(
    before: list[tuple[int, int, int, int]],
    readings: list[tuple[int, int, int, int]],
) -> None:
    batch, single = floor(*SENSORS), floor(*SENSORS)
    for o in (batch, single):
        o.apply(*columns(before), NOW)
    # What is known comes again, as after a lost acknowledgement.
    readings += before
    with in_numpy():
        together = batch.apply(*columns(readings), NOW)
    each = [single.apply(*columns([one]), NOW) for one in readings]
    assert batch.export(CHANNELS) == single.export(CHANNELS)
    assert together.applied == sum(a.applied for a in each)
    assert together.duplicate == sum(a.duplicate for a in each)
    assert together.late == sum(a.late for a in each)
    changed = {channel for a in each for channel in a.changed.tolist()}
    assert sorted(together.changed.tolist()) == sorted(changed)


step = st.one_of(
    st.lists(reading, max_size=5),
    st.tuples(channel, st.booleans(), time),
    st.integers(1, STALE),
)


@pytest.mark.slow
@given(st.lists(step, max_size=12))
@settings(max_examples=150)
def test_the_columns_are_always_possible_and_changes_are_always_told(
    steps: list[list[tuple[int, int, int, int]] | tuple[int, bool, int] | int],
) -> None:
    o = floor(*SENSORS)
    now = NOW
    told: list[npt.NDArray[np.generic]]
    told = [o.state.copy(), o.count.copy(), o.confidence.copy()]
    for one in steps:
        if isinstance(one, int):
            now += one
        elif isinstance(one, tuple):
            o.set_online([one[0]], one[1], one[2], now)
        else:
            o.apply(*columns(one), now)
        changed = o.tick(now)
        now_told: list[npt.NDArray[np.generic]] = [o.state, o.count, o.confidence]
        for kept, column in zip(told, now_told, strict=True):
            kept[changed] = column[changed]
            assert np.array_equal(kept, column)
        known = np.isin(o.state, (State.FREE, State.OCCUPIED, State.LIKELY))
        assert (o.count >= -1).all()
        assert (o.count[o.state == State.FREE] == 0).all()
        assert (o.count[~known] == -1).all()
        assert (o.count[known & (o.state != State.FREE)] != 0).all()
        assert ((o.confidence > 0) <= known).all()
        assert (o.confidence <= 100).all()
        assert (o.known <= o.total).all()
        assert (o.since_ms <= now).all()
        assert o.state[BARE] == State.UNKNOWN
        inner = np.maximum(o.count[[ZONE, ROOM, BOX]], 0).sum()
        assert max(o.count[LEVEL], 0) >= inner


def test_a_number_of_readings_of_one_channel_is_not_one_person_each() -> None:
    # The classic mistake is `count[index] += 1`, which also drops repeats.
    o = floor((PRESENCE, DESK_A), (PRESENCE, DESK_B))
    n = 40
    times = [NOW + i for i in range(n)]
    o.apply([0, 1] * (n // 2), [1] * n, times, [0] * n, NOW + n)
    assert seen(o, ZONE, NOW + n).people == 2
