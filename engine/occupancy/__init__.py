"""Anonymous occupancy: readings in, state, count, confidence and age by space out.

Nothing here knows a person: a reading has no field for one. The files in the order of
the work: `batch` lines up readings, `channels` keeps what each sensor said, `lines` who
crossed the doors of a space, `evidence` judges it at a time, `rollup` carries it from
desks and rooms to levels and buildings.

All of it is recomputed on each tick, in numpy and in time linear in the channels, so
that no expiry can be forgotten and the state is a function of what was heard.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np

from engine.model import ReadingKind
from engine.occupancy.channels import (
    DEFAULT_INTERVAL_MS,
    ROW,
    STALE_FLOOR_MS,
    Applied,
    Channels,
)
from engine.occupancy.evidence import Evidence
from engine.occupancy.lines import COUNTER, Crossed, Flow, Lines
from engine.occupancy.rollup import Rollup
from engine.space import RESET_AT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    import numpy.typing as npt

__all__ = ["REFRESH_MS", "ROW", "Applied", "Crossed", "Flow", "Occupancy"]

_MISFIT = "columns of spaces and channels must be of one length and in range"
assert COUNTER.itemsize == ROW.itemsize  # noqa: S101 - both are rows of one table

SUSPECT_MS = 60_000
"""How often it is looked which channels are stuck: they take hours to be."""
REFRESH_MS = 60_000
"""A space whose evidence was renewed is published again at most so often, so that its
age stays honest without every repeat becoming news."""


class Occupancy:
    """The occupancy of one tenant's spaces.

    Args:
        parent: int32[spaces], index of the space around each, -1 for none.
        desk: bool[spaces], spaces for one person: occupied means one.
        counted: bool[spaces], rooms, areas and desks: what coverage is counted in.
        kind: uint8[channels], `ReadingKind`: presence, motion, count, contact, or
            `FLOW_DELTA` for a line.
        space: int32[channels], the space that each channel watches.
        hold_ms: int64[channels], how long a pulse of motion lasts; others ignore it.
        interval_ms: int64[channels], report interval, 0 where none is declared.
        max_on_ms: int64[channels], how long presence or a count may say the same
            before it is stuck, 0 for ever.
        flip: bool[channels], lines that are mounted the other way round.
        reset_at: int32[channels], minute of the day at which the balance of a line's
            space begins again; of several lines of a space the first.
        capacity: int32[spaces], people, -1 where none is known.
        zone: Where the building is, for the time of the day.
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
        max_on_ms: npt.NDArray[np.int64] | None = None,
        flip: npt.NDArray[np.bool_] | None = None,
        reset_at: npt.NDArray[np.int32] | None = None,
        capacity: npt.NDArray[np.int32] | None = None,
        zone: tzinfo = UTC,
        stale_floor_ms: int = STALE_FLOOR_MS,
        default_interval_ms: int = DEFAULT_INTERVAL_MS,
        refresh_ms: int = REFRESH_MS,
    ) -> None:
        spaces = len(parent)
        if capacity is None:
            capacity = np.full(spaces, -1, np.int32)
        fit = len(desk) == len(counted) == len(capacity) == spaces
        fit &= bool(((parent >= -1) & (parent < spaces)).all())
        if not fit:
            raise ValueError(_MISFIT)
        self._capacity = capacity
        self._zone = zone
        self._stale_floor_ms = stale_floor_ms
        self._default_interval_ms = default_interval_ms
        self._rollup = Rollup(parent, desk, counted, refresh_ms)
        self._newest_ms = 0
        self.bind(
            kind=kind,
            space=space,
            hold_ms=hold_ms,
            interval_ms=interval_ms,
            max_on_ms=max_on_ms,
            flip=flip,
            reset_at=reset_at,
        )

    def bind(  # noqa: PLR0913 - the columns of a table
        self,
        *,
        kind: npt.NDArray[np.uint8],
        space: npt.NDArray[np.int32],
        hold_ms: npt.NDArray[np.int64],
        interval_ms: npt.NDArray[np.int64],
        max_on_ms: npt.NDArray[np.int64] | None = None,
        flip: npt.NDArray[np.bool_] | None = None,
        reset_at: npt.NDArray[np.int32] | None = None,
    ) -> None:
        """Watch the spaces by these channels, of which none has said anything.

        What was published of the spaces stays until the next tick. To keep what is
        known, `export` it before and `restore` it after.

        Raises:
            ValueError: The columns do not fit each other; nothing has changed then.
        """
        spaces, n = len(self.state), len(kind)
        max_on_ms = np.zeros(n, np.int64) if max_on_ms is None else max_on_ms
        flip = np.zeros(n, np.bool_) if flip is None else flip
        reset_at = np.full(n, RESET_AT, np.int32) if reset_at is None else reset_at
        columns = (space, hold_ms, interval_ms, max_on_ms, flip, reset_at)
        fit = all(len(column) == n for column in columns)
        if not fit or not bool(((space >= 0) & (space < spaces)).all()):
            raise ValueError(_MISFIT)
        channels = Channels(
            kind=kind,
            space=space,
            hold_ms=hold_ms,
            interval_ms=interval_ms,
            max_on_ms=max_on_ms,
            stale_floor_ms=self._stale_floor_ms,
            default_interval_ms=self._default_interval_ms,
        )
        line = np.flatnonzero(kind == ReadingKind.FLOW_DELTA)
        slots = channels.slot[line]
        by_slot = line[np.argsort(slots)]
        self._channels = channels
        self._lines = Lines(
            channels,
            flip=flip[by_slot],
            reset_at=reset_at[by_slot],
            capacity=self._capacity,
            zone=self._zone,
        )
        self._line: npt.NDArray[np.int32] = np.argsort(np.argsort(slots)).astype(
            np.int32
        )
        self._counter = {c: len(kind) + i for i, c in enumerate(line.tolist())}
        self._channel_by_line = by_slot.astype(np.int32)
        self._evidence = Evidence(channels, self._lines, spaces)
        self._suspected_ms = 0
        watching = space[kind != ReadingKind.CONTACT]
        watched = np.bincount(watching, minlength=spaces) > 0
        self.sensed = self._rollup.spread(watched)

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

    def said(self, channel: int) -> tuple[int, int]:
        """Return what a channel last said, below 0 for unknown, and when it was."""
        slot = self._channels.slot[channel]
        value = int(self._channels.value[slot])
        return value, max(0, int(self._channels.evidence_ms[slot]))

    def cross(self, channel: int, flow: Flow, now_ms: int) -> Crossed:
        """Take in a reading of a line: see `Lines.cross`."""
        return self._lines.cross(int(self._channels.slot[channel]), flow, now_ms)

    def counter_of(self, channel: int) -> int:
        """Return the number under which the counter of a line is exported."""
        return self._counter[channel]

    def keep(self, now_ms: int) -> list[int]:
        """Look for channels that are stuck, and begin balances anew that are due.

        To be called about once a second. A balance of a space where something shows
        somebody stays as it is.

        Returns:
            The counters that changed, as `export` numbers them.
        """
        if not 0 <= now_ms - self._suspected_ms < SUSPECT_MS:
            self._suspected_ms = now_ms
            self._evidence.suspect(now_ms)
        if not len(self._lines):
            return []
        due = self._lines.due(now_ms)
        if not len(due):
            return []
        shown = self._rollup.spread(self._evidence.shown(now_ms))
        empty = due[~shown[self._lines.spaces[due]]]
        lines = self._lines.reset(empty, now_ms)
        return [self._counter[c] for c in self._channel_by_line[lines].tolist()]

    def tick(self, now_ms: int) -> npt.NDArray[np.int32]:
        """Bring every space to a time.

        Returns:
            int32, ascending: the spaces whose state, count or confidence changed since
            the last tick, or whose evidence is `refresh_ms` newer than when they were
            last returned.
        """
        if now_ms < self._newest_ms:
            self._channels.rewind(now_ms)
            self._lines.rewind(now_ms)
        self._newest_ms = now_ms
        self._evidence.judge(now_ms)
        return self._rollup.roll(self._evidence.key, self._evidence.since_ms)

    def export(self, channels: npt.NDArray[np.int32]) -> bytes:
        """Return the rows of channels, `ROW.itemsize` bytes each: times and values.

        Numbers beyond the channels are the counters of lines, in their order: a line
        has a row like every channel, and a counter.
        """
        n = len(self._channels)
        if not len(self._lines):
            return self._channels.export(channels)
        counter = channels >= n
        table = np.empty(len(channels), ROW)
        rows = self._channels.export(channels[~counter])
        table[~counter] = np.frombuffer(rows, ROW)
        rows = self._lines.export(self._line[channels[counter] - n])
        table[counter] = np.frombuffer(rows, ROW)
        return table.tobytes()

    def restore(self, channels: npt.NDArray[np.int32], rows: bytes) -> None:
        """Put back what `export` gave, at once and before any reading is applied.

        Raises:
            ValueError: `rows` is not `ROW.itemsize` bytes for each channel.
        """
        if len(rows) != len(channels) * ROW.itemsize:
            message = f"a stored channel has {ROW.itemsize} bytes; forget the others"
            raise ValueError(message)
        n = len(self._channels)
        counter = channels >= n
        table = np.frombuffer(rows, ROW)
        newest_ms = self._channels.restore(
            channels[~counter], table[~counter].tobytes()
        )
        self._newest_ms = max(self._newest_ms, newest_ms)
        lines = self._line[channels[counter] - n]
        self._lines.restore(lines, table[counter].tobytes())
