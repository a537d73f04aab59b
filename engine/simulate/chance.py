"""Seeded randomness: the same numbers for the same seeds, whatever was asked before."""

from __future__ import annotations

import random

_PRIME = 1_000_003
_ROOM = (1 << 61) - 1


def dice(*seeds: int) -> random.Random:
    """Return a generator of its own for a purpose that these numbers name.

    Each part of the simulation draws from its own dice, so that one who asks for more
    does not change what another gets, and a day may be entered at any hour.
    """
    mixed = 0
    for seed in seeds:
        mixed = (mixed * _PRIME + seed + 1) % _ROOM
    return random.Random(mixed)  # noqa: S311 - a day to be repeated, not a secret
