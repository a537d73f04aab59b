"""A batch of readings in columns, where one channel may occur several times.

numpy applies a batch at once; the rule is one reading after the other. So each row has
to know what it would have met: the newest time and the value of its channel after all
rows before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


def int64_column(numbers: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return a column; numbers of more than 64 bits are clipped rather than refused."""
    try:
        return np.fromiter(numbers, np.int64, len(numbers))
    except OverflowError:
        clipped = [min(max(number, -(2**62)), 2**62) for number in numbers]
        return np.fromiter(clipped, np.int64, len(numbers))


def met_by_each(
    slot: npt.NDArray[np.int32],
    value: npt.NDArray[np.int64],
    at: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    known: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return time and value that each row meets, as if applied one after the other.

    Args:
        slot: int32[n], ascending, rows of a slot in order of arrival.
        value: What the rows say.
        at: When, lowered for retained readings.
        order: The time that their slots held before the batch.
        known: The value that these held.
    """
    row = np.arange(len(slot))
    first = np.empty(len(slot), np.bool_)
    first[0] = True
    np.not_equal(slot[1:], slot[:-1], out=first[1:])
    # The running maximum within each slot: that of all, with each slot's times lifted
    # above those of the slot before. Ranks stand in for times where retained readings
    # spread these over 62 bits.
    times, rank = at, at
    if at.min() < 0:
        times, rank = np.unique(at, return_inverse=True)
    lift = np.cumsum(first) * (rank.max() + 1)
    newest = np.maximum.accumulate(rank + lift) - lift
    if rank is not at:
        newest = times[newest]
    met = order.copy()
    inner = ~first[1:]
    np.maximum(order[1:], newest[:-1], out=met[1:], where=inner)
    # The value met is that of the last earlier row of the slot that was not late.
    start = np.maximum.accumulate(np.where(first, row, 0))
    setter = np.maximum.accumulate(np.where(at >= met, row, -1))[:-1]
    held = known.copy()
    inner &= setter >= start[1:]
    held[1:][inner] = value[setter[inner]]
    return met, held
