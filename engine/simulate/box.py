"""A rectangle in the metres of a level."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle, in metres."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def around(cls, x: float, y: float, width: float, depth: float) -> Box:
        """Return the rectangle of this size around a point."""
        return cls(x - width / 2, y - depth / 2, x + width / 2, y + depth / 2)

    def shrunk(self, by_m: float) -> Box:
        """Return the rectangle with every side moved inwards."""
        return Box(
            self.west + by_m, self.south + by_m, self.east - by_m, self.north - by_m
        )

    @property
    def middle(self) -> tuple[float, float]:
        """The centre."""
        return (self.west + self.east) / 2, (self.south + self.north) / 2

    @property
    def size(self) -> tuple[float, float]:
        """Width and depth."""
        return self.east - self.west, self.north - self.south

    @property
    def corners(self) -> list[tuple[float, float]]:
        """The four corners, counter-clockwise from the south-west."""
        west, south, east, north = self
        return [(west, south), (east, south), (east, north), (west, north)]
