"""One move at a time, as a test thinks of it; the engine has them in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.model import Moves

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.store.locations import Locations, Written


class Move(NamedTuple):
    subject: str
    observed_at_ms: int
    space: str | None
    confidence: int
    ap: str
    seen_ms: int = 0


def columns(moves: Iterable[Move]) -> Moves:
    rows = list(moves)
    return Moves(*([list(column) for column in zip(*rows, strict=True)] or [[]] * 6))


def singly(moves: Moves) -> list[Move]:
    return [Move(*row) for row in zip(*moves, strict=True)]


async def write(locations: Locations, tenant: str, moves: Iterable[Move]) -> Written:
    return await locations.commit(tenant, columns(moves))
