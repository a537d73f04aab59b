"""Anonymous occupancy: readings in, state, count, confidence and age by space out.

Nothing here knows a person: a reading has no field for one. The files in the order of
the work: `batch` lines up readings, `channels` keeps what each sensor said, `evidence`
judges it at a time, `rollup` carries it from desks and rooms to levels and buildings.

All of it is recomputed on each tick, in numpy and in time linear in the channels, so
that no expiry can be forgotten and the state is a function of what was heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.occupancy.channels import (
    DEFAULT_INTERVAL_MS,
    ROW,
    STALE_FLOOR_MS,
    Applied,
    Channels,
)
from engine.occupancy.evidence import Evidence
from engine.occupancy.rollup import Rollup

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["REFRESH_MS", "ROW", "Applied", "Occupancy"]

REFRESH_MS = 60_000
"""A space whose evidence was renewed is published again at most so often, so that its
age stays honest without every repeat becoming news."""


class Occupancy:
    """The occupancy of one tenant's spaces.

    Args:
        parent: int32[spaces], index of the space around each, -1 for none.
        desk: bool[spaces], spaces for one person: occupied means one.
        counted: bool[spaces], rooms, areas and desks: what coverage is counted in.
        kind: uint8[channels], `ReadingKind`: presence, motion or count.
        space: int32[channels], the space that each channel watches.
        hold_ms: int64[channels], how long a pulse of motion lasts; others ignore it.
        interval_ms: int64[channels], report interval, 0 where none is declared.
        stale_floor_ms: No channel is stale sooner (a demo in fast time needs less).
        default_interval_ms: Stands in for an interval that is not declared.
        refresh_ms: See `REFRESH_MS`.

    Raises:
        ValueError: The columns do not fit each other, or `parent` is not a tree.
    """

    def __init__(  # noqa: PLR0913 - the columns of two tables, and three times
        self,
        *,
        parent: npt.NDArray[np.int32],
        desk: npt.NDArray[np.bool_],
        counted: npt.NDArray[np.bool_],
        kind: npt.NDArray[np.uint8],
        space: npt.NDArray[np.int32],
        hold_ms: npt.NDArray[np.int64],
        interval_ms: npt.NDArray[np.int64],
        stale_floor_ms: int = STALE_FLOOR_MS,
        default_interval_ms: int = DEFAULT_INTERVAL_MS,
        refresh_ms: int = REFRESH_MS,
    ) -> None:
        spaces, channels = len(parent), len(kind)
        fit = len(desk) == len(counted) == spaces
        fit &= len(space) == len(hold_ms) == len(interval_ms) == channels
        for column in (parent, space):
            fit &= bool(((column >= -1) & (column < spaces)).all())
        if not fit or (channels and space.min() < 0):
            message = (
                "columns of spaces and channels must be of one length and in range"
            )
            raise ValueError(message)
        self._channels = Channels(
            kind=kind,
            space=space,
            hold_ms=hold_ms,
            interval_ms=interval_ms,
            stale_floor_ms=stale_floor_ms,
            default_interval_ms=default_interval_ms,
        )
        self._evidence = Evidence(self._channels, spaces)
        self._rollup = Rollup(parent, desk, counted, refresh_ms)
        self._newest_ms = 0
        self.sensed = self._rollup.spread(np.bincount(space, minlength=spaces) > 0)

    @property
    def state(self) -> npt.NDArray[np.uint8]:
        """uint8[spaces], `State`; the arrays live and change with the next tick."""
        return self._rollup.state

    @property
    def count(self) -> npt.NDArray[np.int32]:
        """int32[spaces], people, or -1 where only presence, or nothing, is known."""
        return self._rollup.count

    @property
    def confidence(self) -> npt.NDArray[np.uint8]:
        """uint8[spaces], percent."""
        return self._rollup.confidence

    @property
    def since_ms(self) -> npt.NDArray[np.int64]:
        """int64[spaces], time of the newest evidence, 0 where there is none."""
        return self._rollup.since_ms

    @property
    def known(self) -> npt.NDArray[np.int32]:
        """int32[spaces], counted spaces, inside and itself, that sensors speak for."""
        return self._rollup.known

    @property
    def total(self) -> npt.NDArray[np.int32]:
        """int32[spaces], counted spaces, inside and itself."""
        return self._rollup.total

    @property
    def channel_bytes(self) -> int:
        """Bytes of all arrays by channel."""
        return self._channels.nbytes

    def apply(
        self,
        channels: Sequence[int],
        values: Sequence[int],
        observed_ms: Sequence[int],
        flags: Sequence[int],
        now_ms: int,
    ) -> Applied:
        """Take in readings, in order of arrival: see `Channels.apply`."""
        return self._channels.apply(channels, values, observed_ms, flags, now_ms)

    def set_online(
        self,
        channels: Sequence[int],
        online: int,
        observed_ms: int,
        now_ms: int,
        *,
        retained: bool = False,
    ) -> npt.NDArray[np.int32]:
        """Take in a device's health, on all its channels: see `Channels.set_online`."""
        return self._channels.set_online(
            channels, online, observed_ms, now_ms, retained=retained
        )

    def tick(self, now_ms: int) -> npt.NDArray[np.int32]:
        """Bring every space to a time.

        Returns:
            int32, ascending: the spaces whose state, count or confidence changed since
            the last tick, or whose evidence is `refresh_ms` newer than when they were
            last returned.
        """
        if now_ms < self._newest_ms:
            self._channels.rewind(now_ms)
        self._newest_ms = now_ms
        self._evidence.judge(now_ms)
        return self._rollup.roll(self._evidence.key, self._evidence.since_ms)

    def export(self, channels: npt.NDArray[np.int32]) -> bytes:
        """Return the rows of channels, `ROW.itemsize` bytes each: times and values."""
        return self._channels.export(channels)

    def restore(self, channels: npt.NDArray[np.int32], rows: bytes) -> None:
        """Put back what `export` gave, before any reading is applied.

        Raises:
            ValueError: `rows` is not `ROW.itemsize` bytes for each channel.
        """
        newest_ms = self._channels.restore(channels, rows)
        self._newest_ms = max(self._newest_ms, newest_ms)
