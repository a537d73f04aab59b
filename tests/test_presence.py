from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from engine.model import Fixes, Observation, ObservationKind, Outcome, Placement
from engine.presence import Presence
from tests.moves import Move, singly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

JOINED, LEFT = ObservationKind.JOINED, ObservationKind.LEFT
SPACES = ["lobby", "north", "south", "hopper"]
APS = [f"ap-{number}" for number in range(5)]
PHONE, LAPTOP = 0, 1
HOUR = 3_600_000
START = 100 * HOUR


class People:
    """Subject 0 has a phone and a laptop, subject 1 a phone (row 2)."""

    def subject_ids(self, subjects: Sequence[int], /) -> list[str]:
        return [f"s-{subject}" for subject in subjects]

    subject_by_row = (0, 0, 1)

    def rows_of(self, subject: int, /) -> Iterable[int]:
        return [[PHONE, LAPTOP], [2]][subject]


class Floor:
    """Presence with a clock in seconds since START."""

    def __init__(self, retention_ms: int = 24 * HOUR) -> None:
        self.presence = Presence(People(), SPACES, APS, retention_ms=retention_ms)

    def joined(
        self, space: int, second: float, row: int = PHONE, session: str | None = None
    ) -> Move | Outcome:
        return self._settle(JOINED, space, second, row, session)

    def left(
        self, space: int, second: float, row: int = PHONE, session: str | None = None
    ) -> Move | Outcome:
        return self._settle(LEFT, space, second, row, session)

    def confirm(self, second: float) -> list[Move]:
        self.presence.confirm(ms(second))
        return self.moves()

    def moves(self) -> list[Move]:
        return singly(self.presence.take(100))

    def _settle(
        self,
        kind: ObservationKind,
        ap: int,
        second: float,
        row: int,
        session: str | None,
    ) -> Move | Outcome:
        """Return the move that came of one fix, or what else became of it."""
        seen = Observation(kind, APS[ap], ms(second), session)
        place = Placement(ap, min(ap, 3), 70)
        fixes = Fixes([row // 2], [row], [place], [seen])
        settled = self.presence.settle(fixes, ms(second))
        assert sum(settled) == 1
        moves = self.moves()
        if moves:
            assert settled.applied
            return moves[0]
        outcomes = (Outcome.APPLIED, Outcome.DUPLICATE, Outcome.LATE)
        return outcomes[settled.index(1)]


def ms(second: float) -> int:
    return START + round(1000 * second)


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
    presence = Floor(retention_ms=HOUR).presence
    seen = Observation(JOINED, "ap-1", START)
    fixes = Fixes([0], [PHONE], [Placement(1, 1, 70)], [seen])
    assert presence.settle(fixes, START + HOUR) == (0, 0, 1)
    assert presence.settle(fixes, START + HOUR - 1) == (1, 0, 0)


def test_a_departure_clears_the_association_that_it_names() -> None:
    floor = Floor()
    floor.joined(1, 0)
    assert floor.left(1, 10) == Move("s-0", ms(10), None, 0, "ap-1", START)


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
    floor = Floor()
    floor.joined(1, 0, session="session-1")
    floor.joined(2, 1, session="session-1")
    gone = floor.left(1, 2, session="session-1")
    assert gone == Move("s-0", ms(2), None, 0, "ap-2", ms(1))


def test_a_departure_in_another_session_changes_nothing() -> None:
    floor = Floor()
    floor.joined(1, 0, session="session-1")
    floor.joined(2, 1, session="session-2")
    assert floor.left(1, 2, session="session-1") is Outcome.LATE


def test_a_departure_unknown_here_is_left_to_the_store() -> None:
    assert Floor().left(1, 10) == Move("s-0", ms(10), None, 0, "ap-1")


def test_of_two_devices_that_leave_from_where_only_the_store_knows_both_are_told() -> (
    None
):
    """After a restart: the store holds the place that one of them saw, the phone's.

    The last of them alone would leave it there for a day.
    """
    phone = Move("s-0", ms(20), None, 0, "ap-1")
    laptop = Move("s-0", ms(10), None, 0, "ap-2")
    floor = Floor()
    assert floor.left(2, 10, LAPTOP) == laptop
    floor.left(1, 20, PHONE)
    floor.presence.give_back([0])
    assert set(floor.moves()) == {phone, laptop}
    assert floor.joined(1, 30, PHONE) == Move("s-0", ms(30), "north", 70, "ap-1")


def test_a_second_departure_still_says_when_the_association_was_seen() -> None:
    """The first may not have been written when the second comes."""
    floor = Floor()
    floor.joined(1, 0)
    floor.left(1, 10)
    assert floor.left(2, 20) == Move("s-0", ms(20), None, 0, "ap-2", START)


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
    floor.presence.tell_all()
    places = {move.subject: move.space for move in floor.moves()}
    assert places == {"s-0": "south", "s-1": "hopper"}
    floor.left(2, 7)
    floor.presence.tell_all()
    assert [move.subject for move in floor.moves()] == ["s-1"]


def test_expired_associations_are_cleared() -> None:
    floor = Floor()
    floor.joined(1, 0)
    assert PHONE in floor.presence.expire(START + 24 * HOUR)
    assert floor.left(2, 10) == Move("s-0", ms(10), None, 0, "ap-2")


def test_the_row_of_an_expired_device_leads_nobody_when_it_is_given_away() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.presence.expire(START + 24 * HOUR)
    seen = Observation(JOINED, "ap-3", START + 24 * HOUR)
    reused = Fixes([1], [PHONE], [Placement(3, 3, 70)], [seen])
    floor.presence.settle(reused, START + 24 * HOUR)
    floor.presence.tell_all()
    assert [move.subject for move in floor.moves()] == ["s-1"]


def test_a_forgotten_subject_is_not_where_the_next_device_of_its_row_is() -> None:
    """The subject's row may be somebody else's by then, and a claim was still open."""
    floor = Floor()
    for space, second in ((1, 0), (2, 10), (1, 20)):
        floor.joined(space, second)
    floor.presence.forget(0, [PHONE])
    assert floor.confirm(600) == []
    reused = Fixes(
        [1], [PHONE], [Placement(3, 3, 70)], [Observation(JOINED, "ap-3", ms(700))]
    )
    floor.presence.settle(reused, ms(700))
    floor.presence.tell_all()
    assert floor.moves() == [Move("s-1", ms(700), "hopper", 70, "ap-3")]


def test_a_device_that_is_no_longer_the_subjects_takes_its_place_with_it() -> None:
    floor = Floor()
    floor.joined(1, 0, LAPTOP)
    floor.joined(3, 60, PHONE)
    floor.presence.end(0, [PHONE], ms(70))
    assert floor.moves() == [Move("s-0", ms(70), None, 0, "ap-3", ms(60))]
    assert place(floor.joined(1, 80, LAPTOP)) == "north"


def test_what_the_store_did_not_take_waits_again_with_what_came_meanwhile() -> None:
    floor = Floor()
    first = floor.joined(1, 0)
    floor.presence.give_back([0])
    assert floor.moves() == [first]
    newest = floor.joined(2, 1)
    floor.presence.give_back([0])
    assert floor.moves() == [newest]


def test_what_is_given_back_of_a_forgotten_subject_is_nothing() -> None:
    floor = Floor()
    floor.joined(1, 0)
    floor.presence.forget(0, [PHONE, LAPTOP])
    floor.presence.give_back([0])
    assert floor.moves() == []


def test_no_more_moves_are_taken_than_asked_for() -> None:
    presence = Floor().presence
    seen = Observation(JOINED, "ap-1", START)
    place = Placement(1, 1, 70)
    presence.settle(Fixes([0, 1], [0, 2], [place] * 2, [seen] * 2), START)
    assert len(presence.take(1).subject) == 1
    assert presence.waiting == 1
    assert len(presence.take(5).subject) == 1
    assert presence.waiting == 0


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
