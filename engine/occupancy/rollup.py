"""From the verdict of each space's own sensors to the state of desks, rooms, levels.

Bottom up along the tree of spaces, one depth at a time:

- a space is occupied if its own evidence or anything in it is. It is free if its own
  evidence says so, or if most of its parts are known and all that are known are free:
  one live sensor in a hundred does not make a level free. Else it is unknown;
- people of a space = the larger of its own count and the sum over its parts. A space
  that is occupied without a number adds one person to the sum: that many are there;
- `known` of `total`: how many of the rooms, areas and desks have a known state, or are
  in something whose own sensors speak. What is free only by its parts is as certain as
  they are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.model import State
from engine.occupancy.evidence import (
    CERTAINTY_MASK,
    CERTAINTY_SHIFT,
    CONFIDENCE_MASK,
    CONFIDENCE_SHIFT,
    COUNTS,
    PEOPLE_MASK,
    RANK_SHIFT,
)

if TYPE_CHECKING:
    import numpy.typing as npt

DEEPEST = 16
"""Most ancestors of a space; a plan has five, and a cycle has no end."""
PEOPLE_CEILING = 2**31 - 1
"""Sums are made in 64 bits and published in 32."""

# Standing of a space: the larger wins along the tree.
_SILENT, _FREE, _LIKELY, _OCCUPIED = 2, 3, 4, 5
_STATE = np.array(
    [
        State.UNKNOWN,  # no sensor
        State.OFFLINE,
        State.UNKNOWN,
        State.FREE,
        State.LIKELY,
        State.OCCUPIED,
    ],
    np.uint8,
)
_PERCENT_BITS = 7


class _Depth(NamedTuple):
    """The spaces of one depth, gathered by parent.

    Attributes:
        spaces: int32[m], sorted by parent.
        parents: int32[p].
        first: Where the children of each parent begin in `spaces`.
    """

    spaces: npt.NDArray[np.int32]
    parents: npt.NDArray[np.int32]
    first: npt.NDArray[np.intp]


class Rollup:
    """Columns by space, made from the keys and times of `Evidence`.

    Attributes:
        state: uint8[n], `State`.
        count: int32[n], people, or -1 where only presence, or nothing, is known.
        confidence: uint8[n], percent.
        since_ms: int64[n], the newest evidence in the space or its parts.
        known, total: int32[n], rooms, areas and desks in the space, itself included:
            those that something speaks for, and all.
    """

    def __init__(
        self,
        parent: npt.NDArray[np.int32],
        desk: npt.NDArray[np.bool_],
        counted: npt.NDArray[np.bool_],
        refresh_ms: int,
    ) -> None:
        n = len(parent)
        self._depths = _depths(parent)
        self._desk = desk
        self._counted = counted.astype(np.int32)
        self.total = self._counted.copy()
        for depth in self._depths[:-1]:
            self.total[depth.parents] += np.add.reduceat(
                self.total[depth.spaces], depth.first
            )
        self.state = np.full(n, State.UNKNOWN, np.uint8)
        self.count = np.full(n, -1, np.int32)
        self.confidence = np.zeros(n, np.uint8)
        self.since_ms = np.zeros(n, np.int64)
        self.known = np.zeros(n, np.int32)
        self._told_ms = np.zeros(n, np.int64)
        self._refresh_ms = refresh_ms

    def spread(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return the spaces that are in the mask or have one inside that is."""
        spread = mask.copy()
        for spaces, parents, first in self._depths[:-1]:
            spread[parents] |= np.logical_or.reduceat(spread[spaces], first)
        return spread

    def roll(
        self, key: npt.NDArray[np.int32], since_ms: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int32]:
        """Fill the columns and return the spaces to publish, ascending.

        Args:
            key: int32[n], see `evidence`.
            since_ms: int64[n]; raised in place to the newest of the parts.
        """
        rank = key >> RANK_SHIFT
        heard = rank > 0
        certainty = key >> CERTAINTY_SHIFT & CERTAINTY_MASK
        own = np.where(heard & self._desk, certainty > 0, -certainty.clip(0, 1))
        own = np.where(heard, own, -1)
        own = np.where(heard & COUNTS[rank], key & PEOPLE_MASK, own)
        people = np.maximum(own, certainty > 0).astype(np.int64)
        # The fields of a key without a rank are empty, so its percent is 0.
        percent = key >> CONFIDENCE_SHIFT & CONFIDENCE_MASK
        standing = np.where(heard, certainty + _FREE, key)
        verdict = standing << _PERCENT_BITS | percent
        inner, below = self._climb(verdict, heard, people, since_ms)

        standing, percent = verdict >> _PERCENT_BITS, verdict & CONFIDENCE_MASK
        by_parts = (standing == _FREE) & ~heard & (self.total > 0)
        share = percent * self.known // np.maximum(self.total, 1)
        percent = np.where(by_parts, share, percent)
        parts = np.where((below > 0) | (inner > 0), inner, -1)
        count = np.maximum(own, parts).clip(-1, PEOPLE_CEILING)
        count[(standing > _FREE) & (count == 0)] = -1
        count[standing < _FREE] = -1
        count[standing == _FREE] = 0
        return self._settle(_STATE[standing], count, percent, since_ms)

    def _climb(
        self,
        verdict: npt.NDArray[np.int32],
        heard: npt.NDArray[np.bool_],
        people: npt.NDArray[np.int64],
        since_ms: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Carry everything up the tree, in place; fill `known`.

        Returns:
            People in the parts of each space, and how many known spaces are below it.
        """
        inner = np.zeros(len(verdict), np.int64)
        below = np.zeros(len(verdict), np.int32)
        parts = self.total - self._counted
        for spaces, parents, first in self._depths:
            standing = verdict[spaces] >> _PERCENT_BITS
            guessed = (standing == _FREE) & ~heard[spaces]
            guessed &= 2 * below[spaces] <= parts[spaces]
            verdict[spaces[guessed]] = _SILENT << _PERCENT_BITS
            known = (standing >= _FREE) & ~guessed
            self.known[spaces] = np.where(
                heard[spaces],
                self.total[spaces],
                below[spaces] + (self._counted[spaces] & known),
            )
            people[spaces] = np.maximum(people[spaces], inner[spaces])
            if not len(parents):
                continue
            inner[parents] = np.add.reduceat(people[spaces], first)
            below[parents] = np.add.reduceat(self.known[spaces], first)
            for column in (verdict, since_ms):
                best = np.maximum.reduceat(column[spaces], first)
                column[parents] = np.maximum(column[parents], best)
        return inner, below

    def _settle(
        self,
        state: npt.NDArray[np.uint8],
        count: npt.NDArray[np.int64],
        percent: npt.NDArray[np.int32],
        since_ms: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int32]:
        """Keep the new columns; return the spaces where they differ enough."""
        dirty = state != self.state
        dirty |= count != self.count
        dirty |= percent != self.confidence
        dirty |= since_ms - self._told_ms >= self._refresh_ms
        self.state[:] = state
        self.count[:] = count
        self.confidence[:] = percent
        self.since_ms[:] = since_ms
        changed = np.flatnonzero(dirty).astype(np.int32)
        self._told_ms[changed] = since_ms[changed]
        return changed


def _depths(parent: npt.NDArray[np.int32]) -> list[_Depth]:
    """Return the spaces by depth, deepest first, the roots last and without parents.

    Raises:
        ValueError: A chain of parents has no end, or is longer than `DEEPEST`.
    """
    depth = np.zeros(len(parent), np.int32)
    above = parent.copy()
    for _ in range(DEEPEST):
        inside = above >= 0
        if not inside.any():
            break
        depth += inside
        above[inside] = parent[above[inside]]
    else:
        message = f"a space has more than {DEEPEST - 1} others around it, or a cycle"
        raise ValueError(message)
    depths = []
    for d in range(int(depth.max(initial=0)), 0, -1):
        spaces = np.flatnonzero(depth == d).astype(np.int32)
        spaces = spaces[np.argsort(parent[spaces], kind="stable")]
        parents = parent[spaces]
        first = np.flatnonzero(np.diff(parents, prepend=-1))
        depths.append(_Depth(spaces, parents[first], first))
    roots = np.flatnonzero(depth == 0).astype(np.int32)
    return [*depths, _Depth(roots, roots[:0], np.zeros(0, np.intp))]
