"""What stands in rooms and areas, drawn so that a plan reads at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.simulate.box import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

Piece = tuple[str, Box]
"""Category and outline."""


def planter(x: float, y: float) -> Piece:
    """Return a row of plants around a point."""
    return "planter", Box.around(x, y, 1.4, 0.4)


def table(room: Box, *, small: bool) -> Piece:
    """Return a table along the room, with space for chairs and a way around it."""
    x, y = room.middle
    if small:
        return "table", Box.around(x, y, 1.6, 0.8)
    width, depth = room.shrunk(1.0).size
    if depth >= width:
        width = min(width, 1.6)
    else:
        depth = min(depth, 1.6)
    return "table", Box.around(x, y, width, depth)


def rows(room: Box) -> Iterator[Piece]:
    """Yield the rows of a forum, with an aisle; they face its west wall."""
    middle = room.middle[1]
    for west in _spread(room.west + 3.6, room.east - 0.6, 1.4):
        for south, north in (
            (room.south + 1, middle - 0.6),
            (middle + 0.6, room.north - 1),
        ):
            yield "sofa", Box(west - 0.3, south, west + 0.3, north)


def kitchen(area: Box, *, counter_south: bool) -> Iterator[Piece]:
    """Yield a counter along the façade and rows of tables."""
    y = area.south + 0.6 if counter_south else area.north - 0.6
    yield "counter", Box(area.west + 0.6, y - 0.3, area.east - 0.6, y + 0.3)
    for x in _spread(area.west, area.east, 2.9):
        for row in _spread(area.south + 1.4, area.north - 1.4, 2.7):
            yield "table", Box.around(x, row, 1.0, 1.0)


def seats(area: Box) -> Iterator[Piece]:
    """Yield pairs of sofas that face each other over a low table."""
    for x in _spread(area.west, area.east, 4.8):
        for y in _spread(area.south, area.north, 5.0):
            yield "sofa", Box.around(x, y - 1.1, 2.0, 0.8)
            yield "table", Box.around(x, y, 1.0, 0.5)
            yield "sofa", Box.around(x, y + 1.1, 2.0, 0.8)


def reception(lobby: Box) -> Iterator[Piece]:
    """Yield the desk that one meets on coming in, and where one waits."""
    x = lobby.middle[0]
    yield "counter", Box.around(x, lobby.north - 2.6, 4.8, 0.8)
    yield from seats(lobby._replace(east=x - 3.6))
    yield from seats(lobby._replace(west=x + 3.6))


def _spread(low: float, high: float, apart: float) -> Iterator[float]:
    """Yield the middles of as many equal parts, at least `apart` wide, as fit."""
    parts = max(1, int((high - low) / apart))
    for part in range(parts):
        yield low + (part + 0.5) * (high - low) / parts
