"""The balance of people in a space, from the counters at the lines around it.

A *line* is a channel that counts who crosses it, in and out. What all its crossings
come to is its *share*; the balance of a space is the sum of the shares of its lines,
held between nobody and half more than the space is for. Rules of this file:

- A counter that runs on (a *total*) counts by its difference. The first one sets only
  what the next is compared with. One that is lower wrapped, where it was about to, or
  began anew: all that it shows then happened since, unless that is longer than a day.
- Where a line has totals, its *deltas* (people since the last report) say the same a
  second time: they count only once the totals have fallen silent.
- The same delta of the same time is a duplicate; another one of the same time was
  computed anew, and takes its place. What is older than the newest is late: whatever
  was counted since cannot be undone, so it shows life and no more.
- More than `PER_MINUTE` people a minute crossed no door: such a reading is quarantined.
- A balance drifts, as every counter misses some. So once a day, at an hour when nobody
  is there, it becomes 0, unless something shows that somebody is. Before the first of
  these it is not known who was there when the counting began: nobody is then no news.
- Unlike a channel's value, a balance is a function of readings in their order of
  arrival: what is cut off at either end stays cut off.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.model import ReadingFlag, ReadingKind
from engine.occupancy.channels import AHEAD_MS, COUNT_CEILING

if TYPE_CHECKING:
    from datetime import tzinfo

    import numpy.typing as npt

    from engine.occupancy.channels import Channels

PER_MINUTE = 60
"""People who can cross a line in one direction in a minute: a wide door at its best."""
WRAPS_ABOVE = 0.9
"""How full a counter was, as a share of its range, that wrapped rather than reset."""
RESET_GAP_MS = 86_400_000
"""After such a silence a counter that began anew says nothing about today."""
RESET_WINDOW_MS = 3_600_000
"""How long after the hour of the reset it is tried, while somebody is still there."""

COUNTER = np.dtype(
    [
        ("share", "<i4"),
        ("base", "<i4"),
        ("last_in", "<i8"),
        ("last_out", "<i8"),
        ("reset_ms", "<i8"),
        ("lines", "<u4"),
        ("mode", "<u4"),
    ]
)
"""A line as it is stored, beside the row of every channel and as long as that."""

_RETAINED = int(ReadingFlag.RETAINED)
_BACKFILL = int(ReadingFlag.BACKFILL)
_MOST = 2**62
_SHARE = 2**30
_MINUTE_MS = 60_000


class Crossed(IntEnum):
    """What became of a reading of a line."""

    APPLIED = 1
    DUPLICATE = 2
    """Known, replayed by the broker, without numbers, or said by the totals already."""
    LATE = 3
    IMPLAUSIBLE = 4
    """More people than can have crossed; the balance stays as it was."""


class _Mode(IntEnum):
    """What `last_in` and `last_out` of a line are."""

    NOTHING = 0
    DELTA = 1
    TOTAL = 2


_MODE = {ReadingKind.FLOW_DELTA: _Mode.DELTA, ReadingKind.FLOW_TOTAL: _Mode.TOTAL}


class Flow(NamedTuple):
    """A reading of a line.

    Attributes:
        kind: `FLOW_DELTA` or `FLOW_TOTAL`.
        people_in, people_out: Since the last report, or since the counter began; below
            0 is unknown.
        bits: Of a total: the width of the counter, 0 where it never wraps.
        observed_ms: By the source's clock.
        flags: Bits of `ReadingFlag`.
    """

    kind: ReadingKind
    people_in: int
    people_out: int
    bits: int
    observed_ms: int
    flags: int


class Lines:
    """The counters of all lines, in the order of their slots in `Channels`.

    Args:
        channels: Holds time, liveness and health of the lines, as of every channel.
        flip: bool[lines], in the order of slots: mounted the other way round.
        reset_at: int32[lines], minute of the day of the reset, by the clock of `zone`.
        capacity: int32[spaces], people, -1 where none is known.
        zone: Where the building is.

    Attributes:
        spaces: int32[m], the spaces that have lines, ascending.
        first: Where the lines of each begin.
        share: int32[lines], what each line adds to the balance; may be negative.
        reset_ms: int64[lines], when it was last set to 0 for want of anybody; 0 never.
    """

    def __init__(
        self,
        channels: Channels,
        *,
        flip: npt.NDArray[np.bool_],
        reset_at: npt.NDArray[np.int32],
        capacity: npt.NDArray[np.int32],
        zone: tzinfo,
    ) -> None:
        slots = channels.kind_slots[ReadingKind.FLOW_DELTA]
        n = len(slots)
        self._channels = channels
        self._start = slots.start
        space = channels.space[slots.start : slots.stop]
        self.first = np.flatnonzero(np.diff(space, prepend=-1))
        self.spaces = space[self.first]
        self._ends = np.append(self.first[1:], n).astype(np.intp)
        self._group = np.cumsum(np.diff(space, prepend=-1) != 0, dtype=np.int32) - 1
        limit = np.full(len(self.spaces), COUNT_CEILING, np.int64)
        people = capacity[self.spaces]
        np.copyto(limit, people.astype(np.int64) * 3 // 2, where=people > 0)
        self._limit = np.minimum(limit, COUNT_CEILING)
        self._flip = flip
        self._reset_at = np.minimum.reduceat(reset_at, self.first) if n else reset_at
        self._zone = zone
        self.share = np.zeros(n, np.int32)
        self.base = np.zeros(n, np.int32)
        self.last_in = np.zeros(n, np.int64)
        self.last_out = np.zeros(n, np.int64)
        self.reset_ms = np.zeros(n, np.int64)
        self.mode = np.zeros(n, np.uint32)
        self.lines = np.zeros(n, np.uint32)
        self.lines[:] = np.diff(np.append(self.first, n))[self._group] if n else 0
        self._due_ms: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.share)

    @property
    def balance(self) -> npt.NDArray[np.int64]:
        """int64[m], people in each of `spaces`."""
        sums = np.add.reduceat(self.share, self.first, dtype=np.int64)
        return sums.clip(0, self._limit)

    @property
    def anchored(self) -> npt.NDArray[np.bool_]:
        """bool[m], whether the balance has once been that of an empty space."""
        return np.minimum.reduceat(self.reset_ms, self.first) > 0

    def cross(self, slot: int, flow: Flow, now_ms: int) -> Crossed:
        """Take in a reading of the line in a slot of `Channels`."""
        line = slot - self._start
        at = min(max(flow.observed_ms, 1), now_ms + AHEAD_MS)
        if self._is_mute(slot, flow, now_ms):
            return Crossed.DUPLICATE
        self._channels.hear(slot, at, now_ms)
        if at < self._channels.order_ms[slot] or flow.flags & _BACKFILL:
            return Crossed.LATE
        pair = min(flow.people_in, _MOST), min(flow.people_out, _MOST)
        if min(pair) < 0:
            return Crossed.DUPLICATE
        return self._count(slot, flow, pair[::-1] if self._flip[line] else pair, at)

    def _is_mute(self, slot: int, flow: Flow, now_ms: int) -> bool:
        """Return whether a reading says nothing, not even that the line lives."""
        if flow.flags & _RETAINED:
            return True
        if _MODE[flow.kind] >= self.mode[slot - self._start]:
            return False
        # A delta where there are totals.
        channels = self._channels
        return bool(now_ms - channels.heard_ms[slot] <= channels.stale_ms[slot])

    def _count(self, slot: int, flow: Flow, pair: tuple[int, int], at: int) -> Crossed:
        """Count who crossed, by a reading that is not late."""
        channels, line = self._channels, slot - self._start
        mode = _MODE[flow.kind]
        gap_ms = at - int(channels.order_ms[slot])
        same = bool(self.mode[line] == mode)
        last = int(self.last_in[line]), int(self.last_out[line])
        if same and gap_ms == 0 and pair == last and channels.value[slot] >= 0:
            return Crossed.DUPLICATE
        crossed = pair
        if mode is _Mode.TOTAL:
            crossed = _since(last, pair, flow.bits, gap_ms) if same else (0, 0)
        if mode is _Mode.TOTAL or not same or gap_ms:
            self.base[line] = self.share[line]
        self.mode[line] = mode
        self.last_in[line], self.last_out[line] = pair
        channels.speak(slot, at)
        # How long a first or a repeated reading took to gather can only be guessed.
        took_ms = gap_ms if 0 < gap_ms < at else int(channels.late_ms[slot])
        if max(crossed) > PER_MINUTE * max(1, -(-took_ms // _MINUTE_MS)):
            self._put(line, int(self.base[line]))
            return Crossed.IMPLAUSIBLE
        self._put(line, int(self.base[line]) + crossed[0] - crossed[1])
        return Crossed.APPLIED

    def due(self, now_ms: int) -> npt.NDArray[np.intp]:
        """Return which of `spaces` are due for their daily reset."""
        if self._due_ms is None:
            oldest = np.minimum.reduceat(self.reset_ms, self.first)
            after = np.maximum(oldest, now_ms - RESET_WINDOW_MS).tolist()
            self._due_ms = np.array(
                [self._reset_after(m, ms) for m, ms in enumerate(after)], np.int64
            )
        missed = np.flatnonzero(self._due_ms <= now_ms - RESET_WINDOW_MS)
        for m in missed.tolist():
            self._due_ms[m] = self._reset_after(m, now_ms - RESET_WINDOW_MS)
        return np.flatnonzero(self._due_ms <= now_ms)

    def reset(self, due: npt.NDArray[np.intp], now_ms: int) -> npt.NDArray[np.intp]:
        """Let nobody be in some of `spaces`; return the lines that changed."""
        if self._due_ms is not None:
            for m in due.tolist():
                self._due_ms[m] = self._reset_after(m, now_ms)
        lines = np.flatnonzero(np.isin(self._group, due))
        self.base[lines] -= self.share[lines]
        self.share[lines] = 0
        self.reset_ms[lines] = now_ms
        return lines

    def rewind(self, now_ms: int) -> None:
        """Bring times of the future back to now: our clock was stepped back."""
        np.minimum(self.reset_ms, now_ms, out=self.reset_ms)
        self._due_ms = None

    def export(self, lines: npt.NDArray[np.int32]) -> bytes:
        """Return the counters of lines, `COUNTER.itemsize` bytes each."""
        table = np.empty(len(lines), COUNTER)
        for name in COUNTER.names or ():
            table[name] = getattr(self, name)[lines]
        return table.tobytes()

    def restore(self, lines: npt.NDArray[np.int32], rows: bytes) -> None:
        """Put back what `export` gave, clipped to what can be; before any reading.

        The balance of a space is taken up only as a whole: all of its lines, and as
        many as there were. Else it begins again, and only the counters are kept.
        """
        table = np.frombuffer(rows, COUNTER)
        whole = np.zeros(len(self), np.bool_)
        whole[lines] = table["lines"] == self.lines[lines]
        self.share[lines] = table["share"].clip(-_SHARE, _SHARE)
        self.base[lines] = table["base"].clip(-_SHARE, _SHARE)
        for name in ("last_in", "last_out", "reset_ms"):
            getattr(self, name)[lines] = table[name].clip(0, _MOST)
        self.mode[lines] = np.where(table["mode"] > max(_Mode), 0, table["mode"])
        if len(self):
            broken = ~np.logical_and.reduceat(whole, self.first)[self._group]
            self.base[broken] -= self.share[broken]
            self.share[broken] = self.reset_ms[broken] = 0
        self._due_ms = None

    def _put(self, line: int, share: int) -> None:
        """Let a line add so many people, as far as its space can hold them."""
        group = self._group[line]
        start, stop = int(self.first[group]), int(self._ends[group])
        others = int(self.share[start:stop].sum(dtype=np.int64)) - int(self.share[line])
        held = min(max(others + share, 0), int(self._limit[group]))
        self.share[line] = min(max(held - others, -_SHARE), _SHARE)

    def _reset_after(self, m: int, now_ms: int) -> int:
        """Return when a space is next reset."""
        return next_daily_ms(int(self._reset_at[m]), self._zone, now_ms)


def next_daily_ms(minute: int, zone: tzinfo, now_ms: int) -> int:
    """Return the next time after `now_ms` at which a clock shows a minute of the day.

    Every day has it once: where the clock is put forward over it, it is as far behind
    the change as it would have been; where the clock shows it twice, the first counts.
    """
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    at = time(*divmod(minute, 60), tzinfo=zone)
    days = (today + timedelta(days=number) for number in (-1, 0, 1, 2))
    times = (datetime.combine(day, at).astimezone(UTC) for day in days)
    return next(ms for one in times if (ms := round(one.timestamp() * 1000)) > now_ms)


def _since(
    last: tuple[int, int], pair: tuple[int, int], bits: int, gap_ms: int
) -> tuple[int, int]:
    """Return how many crossed between two readings of a counter, in and out."""
    if gap_ms == 0:  # said anew: the difference, whichever way it goes
        return pair[0] - last[0], pair[1] - last[1]
    span = 1 << bits if bits else 0
    found = []
    for old, new in zip(last, pair, strict=True):
        wrapped = new < old and WRAPS_ABOVE * span < old < span and new < old - span / 2
        if new < old and not wrapped:
            return pair if gap_ms <= RESET_GAP_MS else (0, 0)
        found.append(new - old + (span if wrapped else 0))
    return found[0], found[1]
