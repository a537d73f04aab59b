"""An access server that restarts ends what it reported: on its own, and by a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import Fixes, Observation, ObservationKind, Placement
from engine.presence import SERVERS, Presence
from tests.moves import singly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.presence import Settled
    from tests.moves import Move

JOINED, LEFT = ObservationKind.JOINED, ObservationKind.LEFT
HOUR = 3_600_000
START = 100 * HOUR
PEOPLE = 4
APS = ["ap-0", "ap-1", "ap-2"]
PLACES = [Placement(row, row, 70) for row in range(len(APS))]


class People:
    """Whose the device rows are: each somebody's, unless it is said otherwise."""

    def __init__(self, *subject_by_row: int) -> None:
        self.subject_by_row = subject_by_row or range(PEOPLE)

    def subject_ids(self, subjects: Sequence[int], /) -> list[str]:
        return [f"s-{subject}" for subject in subjects]

    def rows_of(self, subject: int, /) -> Iterable[int]:
        owners = enumerate(self.subject_by_row)
        return [row for row, owner in owners if owner == subject]


class Floor:
    """Presence with a clock in milliseconds since START."""

    def __init__(self, people: People | None = None) -> None:
        self.people = people or People()
        self.presence = Presence(self.people, ["north", "south", "hopper"], APS)
        self.stored: dict[str, Move] = {}

    def settle(
        self, row: int, ap: int, at: int, nas: str | None, kind: ObservationKind
    ) -> Settled:
        seen = Observation(kind, APS[ap], START + at, nas=nas)
        subject = self.people.subject_by_row[row]
        return self.presence.settle(
            Fixes([subject], [row], [PLACES[ap]], [seen]), START + HOUR
        )

    def joined(self, row: int, ap: int, at: int, nas: str | None = "a") -> Settled:
        return self.settle(row, ap, at, nas, JOINED)

    def restart(self, nas: str, at: int) -> bool:
        return self.presence.restart(nas, START + at)

    def spaces(self) -> dict[str, str | None]:
        """Return where each subject is, as the store would know."""
        for move in singly(self.presence.take(100)):
            self.stored[move.subject] = move
        return {subject: move.space for subject, move in self.stored.items()}


def test_a_restart_ends_what_its_server_reported_and_nothing_else() -> None:
    floor = Floor()
    floor.joined(0, 0, 1, "a")
    floor.joined(1, 1, 1, "b")
    floor.joined(2, 2, 1, None)
    assert floor.restart("a", 5)
    assert floor.spaces() == {"s-0": None, "s-1": "south", "s-2": "hopper"}


def test_a_restart_spares_what_is_newer() -> None:
    floor = Floor()
    floor.joined(0, 0, 5)
    floor.joined(1, 0, 6)
    floor.restart("a", 5)
    assert floor.spaces() == {"s-0": None, "s-1": "north"}


def test_a_restart_that_is_known_is_no_news() -> None:
    floor = Floor()
    assert floor.restart("a", 5)
    assert not floor.restart("a", 5)
    assert not floor.restart("a", 4)
    assert floor.restart("a", 6)


def test_what_comes_late_from_before_a_restart_has_ended() -> None:
    floor = Floor()
    floor.restart("a", 5)
    floor.joined(0, 0, 5)
    floor.joined(1, 0, 6)
    assert floor.spaces() == {"s-0": None, "s-1": "north"}


def test_who_had_gone_to_a_server_that_restarted_is_no_longer_where_they_were() -> None:
    floor = Floor()
    floor.joined(0, 0, 3, "a")
    floor.restart("b", 5)
    floor.joined(0, 1, 4, "b")
    assert floor.spaces() == {"s-0": None}


def test_a_restart_does_not_keep_an_earlier_process_from_being_cleared() -> None:
    """The store may hold the place still, and only the Stop names its access point."""
    floor = Floor()
    floor.restart("a", 5)
    assert floor.settle(0, 0, 4, "a", LEFT).applied
    assert floor.spaces() == {"s-0": None}


def test_a_device_that_another_server_reports_by_now_stays() -> None:
    floor = Floor()
    floor.joined(0, 0, 1, "a")
    floor.joined(0, 1, 2, "b")
    floor.restart("a", 5)
    assert floor.spaces() == {"s-0": "south"}


def test_the_other_device_of_a_person_leads_when_a_restart_ends_the_first() -> None:
    floor = Floor(People(0, 0))
    floor.joined(0, 0, 1, "a")
    floor.joined(1, 1, 3, "b")
    floor.joined(0, 2, 4, "a")
    floor.restart("a", 5)
    assert floor.spaces() == {"s-0": None}
    floor.joined(1, 1, 4, "b")
    assert floor.spaces() == {"s-0": "south"}


def test_a_restart_says_nothing_more_of_who_has_left() -> None:
    floor = Floor()
    floor.joined(0, 0, 1)
    floor.settle(0, 0, 2, "a", LEFT)
    assert floor.spaces() == {"s-0": None}
    floor.restart("a", 5)
    assert not floor.presence.waiting


def test_a_restart_forgets_who_was_forgotten() -> None:
    floor = Floor()
    floor.joined(0, 0, 1)
    floor.presence.forget(0, [0])
    floor.restart("a", 5)
    assert floor.spaces() == {}


def test_the_servers_that_are_remembered_are_bounded() -> None:
    floor = Floor()
    floor.restart("first", 1)
    floor.restart("second", 1)
    floor.restart("first", 2)
    for number in range(SERVERS - 1):
        floor.restart(f"nas-{number}", 1)
    assert not floor.restart("first", 2)
    assert floor.restart("second", 1)


class Joined(NamedTuple):
    row: int
    ap: int
    nas: str
    at: int


class Restarted(NamedTuple):
    nas: str
    at: int


def ends(happened: Sequence[Joined | Restarted]) -> dict[str, str]:
    """Say plainly who is where in the end, whatever the order of arrival was."""
    there = {}
    for row in range(PEOPLE):
        own = [one for one in happened if isinstance(one, Joined) and one.row == row]
        if own:
            last = max(own, key=lambda one: one.at)
            if not any(
                isinstance(one, Restarted) and one.nas == last.nas and one.at >= last.at
                for one in happened
            ):
                there[f"s-{row}"] = ["north", "south", "hopper"][last.ap]
    return there


happenings = st.lists(
    st.tuples(
        st.sampled_from(["joined", "joined", "restarted"]),
        st.integers(0, PEOPLE - 1),
        st.integers(0, len(APS) - 1),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=14,
)


@settings(max_examples=300)
@given(drawn=happenings, order=st.randoms(use_true_random=False))
def test_in_whatever_order_things_arrive_those_are_there_whom_no_restart_ended(
    drawn: list[tuple[str, int, int, str]], order: st.DataObject
) -> None:
    """Apart from returns, which `settle_ms` decides: each join is at another place."""
    happened: list[Joined | Restarted] = []
    for at, (kind, row, ap, nas) in enumerate(drawn, start=1):
        happened.append(
            Joined(row, ap, nas, at) if kind == "joined" else Restarted(nas, at)
        )
    floor = Floor()
    arrived = list(happened)
    order.shuffle(arrived)  # type: ignore[attr-defined]
    for one in arrived:
        if isinstance(one, Joined):
            floor.joined(one.row, one.ap, one.at, one.nas)
        else:
            floor.restart(one.nas, one.at)
    floor.presence.confirm(START + HOUR)
    there = {subject: space for subject, space in floor.spaces().items() if space}
    assert there == ends(happened)


@pytest.mark.parametrize("nas", ["a", "b"])
def test_what_a_restart_ends_is_not_told_twice(nas: str) -> None:
    floor = Floor()
    floor.joined(0, 0, 1, nas)
    floor.spaces()
    floor.restart(nas, 5)
    assert [move.space for move in singly(floor.presence.take(100))] == [None]
    assert not floor.presence.waiting
