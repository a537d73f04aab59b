"""Presence on two levels, for tests: spaces in spaces, and a clock in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model import Fixes, Observation, ObservationKind, Outcome, Placement
from engine.presence import Patience, Presence
from tests.moves import Move, singly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

JOINED, LEFT, GONE = ObservationKind.JOINED, ObservationKind.LEFT, ObservationKind.GONE
PARENT: dict[str, str | None] = {
    "hq": None,
    "hq/1": "hq",
    "north": "hq/1",
    "lovelace": "north",
    "hopper": "north",
    "south": "hq/1",
    "curie": "south",
    "hq/2": "hq",
    "up": "hq/2",
    "noether": "up",
}
SPACES = list(PARENT)
SPACE_BY_AP = {
    "ap-north": "north",
    "ap-south": "south",
    "ap-up": "up",
    "ap-lovelace": "lovelace",
    "ap-hq": "hq",
}
APS = list(SPACE_BY_AP)
PHONE, LAPTOP, OTHER = 0, 1, 2
HOUR = 3_600_000
START = 100 * HOUR
PATIENCE = Patience()


class People:
    """Subject 0 has a phone and a laptop, subject 1 a phone (row 2)."""

    subject_by_row = (0, 0, 1)

    def subject_ids(self, subjects: Sequence[int], /) -> list[str]:
        return [f"s-{subject}" for subject in subjects]

    def rows_of(self, subject: int, /) -> Iterable[int]:
        return [[PHONE, LAPTOP], [OTHER]][subject]


def parents() -> list[int]:
    return [
        -1 if parent is None else SPACES.index(parent) for parent in PARENT.values()
    ]


def ms(second: float) -> int:
    return START + round(1000 * second)


def by_ap(ap: str) -> Placement:
    if ap not in SPACE_BY_AP:
        return Placement(-1, -1, 0)
    return Placement(APS.index(ap), SPACES.index(SPACE_BY_AP[ap]), 70)


def by_spot(space: str, *, coarse: bool = False) -> Placement:
    return Placement(-1, SPACES.index(space), 65 if coarse else 85, coarse)


class Floors:
    """Presence, one event at a time; each is seen `late_s` before it arrives."""

    def __init__(self) -> None:
        self.presence = Presence(People(), SPACES, APS, parents=parents())

    def joined(
        self,
        ap: str,
        second: float,
        row: int = PHONE,
        *,
        session: str | None = None,
        blur_ms: int = 0,
    ) -> str:
        return self.settle(
            by_ap(ap), JOINED, second, row, ap=ap, session=session, blur_ms=blur_ms
        )

    def left(
        self,
        ap: str,
        second: float,
        row: int = PHONE,
        *,
        session: str | None = None,
        blur_ms: int = 0,
    ) -> str:
        return self.settle(
            by_ap(ap), LEFT, second, row, ap=ap, session=session, blur_ms=blur_ms
        )

    def gone(self, second: float, row: int = PHONE) -> str:
        return self.settle(by_ap(""), GONE, second, row)

    def at(
        self,
        space: str,
        second: float,
        row: int = PHONE,
        *,
        coarse: bool = False,
        late_s: float = 0,
    ) -> str:
        place = by_spot(space, coarse=coarse)
        return self.settle(place, JOINED, second, row, late_s=late_s)

    def settle(  # noqa: PLR0913 - all that an event is
        self,
        place: Placement,
        kind: ObservationKind,
        second: float,
        row: int,
        *,
        ap: str = "",
        session: str | None = None,
        blur_ms: int = 0,
        late_s: float = 0,
    ) -> str:
        """Return what became of the event: applied, duplicate or late."""
        seen = Observation(kind, ap, ms(second), session, blur_ms=blur_ms)
        fixes = Fixes([row // 2], [row], [place], [seen])
        settled = self.presence.settle(fixes, ms(second + late_s))
        assert sum(settled) == 1
        outcomes = (Outcome.APPLIED, Outcome.DUPLICATE, Outcome.LATE)
        return outcomes[settled.index(1)].value

    def moves(self) -> list[Move]:
        """Return what waits for the store."""
        return singly(self.presence.take(100))

    def place(self, subject: int = 0) -> str | None:
        """Return where a subject is, as the store would be told."""
        self.presence.give_back([subject])
        moves = self.moves()
        assert len({move.space for move in moves}) <= 1
        return moves[0].space if moves else None
