from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from engine.model import Fix, Move, ObservationKind, Outcome
from engine.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Iterable

JOINED, LEFT = ObservationKind.JOINED, ObservationKind.LEFT
SPACES = ["lobby", "north", "south", "hopper"]
PHONE, LAPTOP = 0, 1
HOUR = 3_600_000
START = 100 * HOUR


class People:
    """Subject 0 has a phone and a laptop, subject 1 a phone (row 2)."""

    def subject_id(self, subject: int, /) -> str:
        return f"s-{subject}"

    def rows_of(self, subject: int, /) -> Iterable[int]:
        return [[PHONE, LAPTOP], [2]][subject]


class Floor:
    """Presence with a clock in seconds since START."""

    def __init__(self) -> None:
        self.presence = Presence(People(), SPACES)

    def joined(self, space: int, second: float, row: int = PHONE) -> Move | Outcome:
        return self._settle(JOINED, space, second, row, f"ap-{space}")

    def left(self, space: int, second: float, row: int = PHONE) -> Move | Outcome:
        return self._settle(LEFT, space, second, row, f"ap-{space}")

    def confirm(self, second: float) -> list[Move]:
        return self.presence.confirm(START + round(1000 * second))

    def _settle(
        self,
        kind: ObservationKind,
        space: int,
        second: float,
        row: int,
        ap: str,
    ) -> Move | Outcome:
        at_ms = START + round(1000 * second)
        fix = Fix(row // 2, row, kind, ap, space, 70, at_ms, None)
        return self.presence.settle(fix, at_ms)


def place(news: Move | Outcome) -> str | None:
    assert isinstance(news, Move)
    return news.space


def test_a_new_place_is_believed_at_once() -> None:
    floor = Floor()
    assert floor.joined(1, 0) == Move("s-0", START, "north", 70, "ap-1")
    assert floor.joined(2, 5) == Move("s-0", START + 5_000, "south", 70, "ap-2")


def test_a_device_at_rest_between_two_access_points_does_not_bounce() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.joined(2, 10)
    seen = {place(floor.joined(1 + n % 2, 20 + 10 * n)) for n in range(1_000)}
    assert seen == {"south"}
    assert floor.confirm(20 + 10 * 1_000) == []


def test_a_device_among_three_access_points_does_not_bounce() -> None:
    floor = Floor()
    for space in (1, 2, 3):
        floor.joined(space, 10 * space)
    seen = {place(floor.joined(1 + n % 3, 40 + 10 * n)) for n in range(1_000)}
    assert seen == {"hopper"}


def test_a_return_is_believed_after_a_while_without_another_event() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.joined(2, 600)
    assert place(floor.joined(1, 900)) == "south"
    assert floor.confirm(989) == []
    assert floor.confirm(990) == [Move("s-0", START + 900_000, "north", 70, "ap-1")]
    assert floor.confirm(2_000) == []


def test_a_return_is_believed_when_a_later_event_says_so_again() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.joined(2, 600)
    floor.joined(1, 900)
    assert place(floor.joined(1, 989)) == "south"
    assert place(floor.joined(1, 990)) == "north"


def test_an_older_observation_is_late_and_the_same_twice_a_duplicate() -> None:
    floor = Floor()
    floor.joined(1, 10)
    assert floor.joined(2, 9) is Outcome.LATE
    assert floor.joined(1, 10) is Outcome.DUPLICATE
    assert place(floor.joined(1, 11)) == "north"


def test_nothing_as_old_as_the_retention_time_is_taken() -> None:
    presence = Presence(People(), SPACES, retention_ms=HOUR)
    fix = Fix(0, PHONE, JOINED, "ap-1", 1, 70, START, None)
    assert presence.settle(fix, START + HOUR) is Outcome.LATE
    assert isinstance(presence.settle(fix, START + HOUR - 1), Move)


def test_a_departure_clears_the_association_that_it_names() -> None:
    floor = Floor()
    floor.joined(1, 0)
    assert floor.left(1, 10) == Move("s-0", START + 10_000, None, 0, "ap-1")


def test_a_departure_from_where_the_device_no_longer_is_changes_nothing() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.joined(2, 10)
    assert floor.left(1, 320) is Outcome.LATE
    assert place(floor.joined(2, 330)) == "south"


def test_a_roam_reported_within_one_instant_ends_in_the_new_place() -> None:
    either, other = Floor(), Floor()
    for floor in (either, other):
        floor.joined(1, 0)
    either.left(1, 10)
    assert place(either.joined(2, 10)) == "south"
    assert place(other.joined(2, 10)) == "south"
    assert other.left(1, 10) is Outcome.LATE


def test_a_departure_names_its_session_where_the_access_point_changed() -> None:
    presence = Presence(People(), SPACES)
    joined = Fix(0, PHONE, JOINED, "ap-1", 1, 70, START, "session-1")
    presence.settle(joined, START)
    roamed = joined._replace(ap="ap-2", space=2, observed_at_ms=START + 1)
    presence.settle(roamed, START + 1)
    stop = joined._replace(kind=LEFT, observed_at_ms=START + 2)
    assert presence.settle(stop, START + 2) == Move("s-0", START + 2, None, 0, "ap-2")


def test_a_departure_unknown_here_is_left_to_the_store() -> None:
    assert Floor().left(1, 10) == Move("s-0", START + 10_000, None, 0, "ap-1")


def test_a_late_join_does_not_bring_back_who_left() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.left(1, 10)
    assert floor.joined(1, 9) is Outcome.LATE


def test_the_device_that_moved_last_leads() -> None:
    floor = Floor()
    floor.joined(1, 0, LAPTOP)
    assert place(floor.joined(1, 1, PHONE)) == "north"
    assert place(floor.joined(3, 60, PHONE)) == "hopper"
    assert floor.joined(1, 120, LAPTOP) is Outcome.APPLIED
    assert place(floor.joined(3, 180, PHONE)) == "hopper"


def test_a_leading_device_that_falls_silent_loses_the_lead() -> None:
    floor = Floor()
    floor.joined(1, 0, LAPTOP)
    floor.joined(3, 60, PHONE)
    assert floor.joined(1, 900, LAPTOP) is Outcome.APPLIED
    assert place(floor.joined(1, 961, LAPTOP)) == "north"


def test_a_resting_device_may_leave_without_moving_anybody() -> None:
    floor = Floor()
    floor.joined(1, 0, LAPTOP)
    floor.joined(3, 60, PHONE)
    assert floor.left(1, 70, LAPTOP) is Outcome.APPLIED


def test_when_the_leading_device_leaves_the_rest_waits_to_be_seen_again() -> None:
    floor = Floor()
    floor.joined(1, 0, LAPTOP)
    floor.joined(3, 60, PHONE)
    assert place(floor.left(3, 70, PHONE)) is None
    assert place(floor.joined(1, 80, LAPTOP)) == "north"


def test_a_forgotten_subject_leaves_nothing_to_who_gets_its_rows() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.joined(2, 10)
    floor.joined(1, 20)
    floor.presence.forget(0, [PHONE, LAPTOP])
    assert floor.confirm(1_000) == []
    assert place(floor.joined(1, 5)) == "north"


def test_all_moves_tell_an_empty_store_where_everybody_is() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.joined(3, 5, 2)
    floor.joined(2, 6)
    places = {move.subject: move.space for move in floor.presence.moves()}
    assert places == {"s-0": "south", "s-1": "hopper"}
    floor.left(2, 7)
    assert [move.subject for move in floor.presence.moves()] == ["s-1"]


def test_expired_associations_are_cleared() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.presence.expire(START + 24 * HOUR)
    assert floor.left(2, 10) == Move("s-0", START + 10_000, None, 0, "ap-2")


EVENT = st.tuples(
    st.sampled_from([JOINED, JOINED, LEFT]),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 600),
)


@given(st.lists(EVENT, max_size=40))
def test_moves_of_a_subject_never_go_back_in_time(
    events: list[tuple[ObservationKind, int, int, int]],
) -> None:
    floor = Floor()
    newest: dict[str, int] = {}
    for kind, space, row, second in events:
        act = floor.joined if kind is JOINED else floor.left
        news = act(space, second, row)
        if isinstance(news, Move):
            assert news.observed_at_ms >= newest.get(news.subject, 0)
            newest[news.subject] = news.observed_at_ms
            assert news.subject == f"s-{row // 2}"


@given(st.lists(EVENT, max_size=30), st.integers(0, 29))
def test_the_same_event_twice_changes_nothing(
    events: list[tuple[ObservationKind, int, int, int]], twice: int
) -> None:
    once, again = Floor(), Floor()
    for number, (kind, space, row, second) in enumerate(events):
        results = []
        for floor in (once, again):
            act = floor.joined if kind is JOINED else floor.left
            results.append(act(space, second, row))
            if floor is again and number == twice:
                act(space, second, row)
        assert results[0] == results[1]
