"""Which access point a device hears best, at rest and on the way."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.simulate.layout import CORE_M, NORTH_M, SOUTH_M
from engine.simulate.schedule import LEVEL_S, LIFT_S, WALK_M_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.simulate.building import Building
    from engine.simulate.fittings import AccessPoint
    from engine.simulate.places import Place

OWN_SPACE_M: Final = 4.0
"""A wall counts as much: the radio in one's own room or zone seems nearer by this."""
STICKY_M: Final = 4.0
"""A device on the way keeps its radio until another is nearer by this."""
CLOSE_M: Final = 4.0
"""At rest between two radios whose distances differ by less, a device may flap."""
STEP_M: Final = 8.0

_CORRIDORS: Final = ((SOUTH_M + CORE_M[0]) / 2, (CORE_M[1] + NORTH_M) / 2)


class Heard(NamedTuple):
    """The best radio at a place, and another one almost as good (-1: none)."""

    best: int
    rival: int


class Coverage:
    """The radios of a building; answers are remembered for each place."""

    def __init__(self, building: Building) -> None:
        self._places = building.places
        self._radios: dict[int, list[AccessPoint]] = {}
        for ap in building.access_points:
            self._radios.setdefault(ap.level, []).append(ap)
        self._heard: dict[int, Heard] = {}
        self._lifts_x = max(zone.box.east for zone in building.levels[0].zones) / 2

    def at(self, place: int) -> Heard:
        """Return what a device at rest hears."""
        heard = self._heard.get(place)
        if heard is None:
            heard = self._heard[place] = self._rank(self._places[place])
        return heard

    def _rank(self, place: Place) -> Heard:
        own = {place.space, place.zone} - {""}
        ranked = sorted(
            (
                math.hypot(ap.x - place.x, ap.y - place.y)
                - (OWN_SPACE_M if ap.space in own else 0.0),
                ap.row,
            )
            for ap in self._radios[place.level]
        )
        (first, best), (second, rival) = ranked[:2]
        return Heard(best, rival if second - first < CLOSE_M else -1)

    def along(self, start: Place, end: Place, ap: int) -> Iterator[tuple[float, int]]:
        """Yield seconds on the way and the radio roamed to, for a walk that begins.

        Args:
            start: Where it begins.
            end: Where it ends.
            ap: Row of the radio that the device is on.
        """
        current = ap
        for after_s, level, x, y in self._way(start, end):
            radios = self._radios[level]
            best_m, best, current_m = math.inf, current, math.inf
            for radio in radios:
                distance = math.hypot(radio.x - x, radio.y - y)
                if distance < best_m:
                    best_m, best = distance, radio.row
                if radio.row == current:
                    current_m = distance
            if best != current and best_m + STICKY_M < current_m:
                current = best
                yield after_s, best

    def _way(
        self, start: Place, end: Place
    ) -> Iterator[tuple[float, int, float, float]]:
        """Yield time, level and point every few metres."""
        now = 0.0
        corners: list[tuple[float, float]]
        if start.level != end.level:
            lifts = (self._lifts_x, sum(CORE_M) / 2)
            for point in _points([(start.x, start.y), *_corridor(start, lifts), lifts]):
                now += STEP_M / WALK_M_PER_S
                yield now, start.level, *point
            now += LIFT_S + LEVEL_S * abs(start.level - end.level)
            corners = [lifts, *_corridor(end, lifts), (end.x, end.y)]
        else:
            target = (end.x, end.y)
            corners = [(start.x, start.y), *_corridor(start, target), target]
        for point in _points(corners):
            now += STEP_M / WALK_M_PER_S
            yield now, end.level, *point


def _corridor(
    place: Place, target: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where one enters and leaves the corridor of one's own side."""
    y = min(_CORRIDORS, key=lambda corridor: abs(corridor - place.y))
    near, far = (place.x, y), (target[0], y)
    return near, far


def _points(corners: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield points along a line through the corners, `STEP_M` apart."""
    left = STEP_M
    for (x0, y0), (x1, y1) in pairwise(corners):
        length = math.hypot(x1 - x0, y1 - y0)
        at = left
        while at <= length:
            share = at / length
            yield x0 + share * (x1 - x0), y0 + share * (y1 - y0)
            at += STEP_M
        left = at - length
