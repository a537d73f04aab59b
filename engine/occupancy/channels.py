"""What each sensor channel last said, and when: order, duplicates, liveness.

Rules of this file:

- Order by the source's clock, expire by ours. The newest `observed_ms` decides the
  value; at equal times the last arrival does. An older reading is *late*: it changes no
  value, yet it shows that the channel lives.
- The arrays are a function of the set of readings, not of their order: each update is a
  maximum or "the newest wins". (Two exceptions by nature: unequal values at one time,
  and how old a cached repeat makes the evidence.)
- A reading older than the channel's stale time when it arrives, as in a broker's
  backlog, counts as heard when it was observed: a flush of old messages must not make
  dead sensors look alive.
- What says the same for ever is *stuck*. So it is kept since when: since the first
  reading of the value, or the first after a silence in which the channel went stale.
  (This is a function of the order of arrival, as what is late may have been a change.)
- A *retained* reading is of unknown age: older than anything live, never a pulse, and
  it refreshes nothing. A channel never heard before is late from the start with it.
- *Backfill* was measured while it could not be sent: late, whatever its time.
- An *offline* mark is a reading that voids the value. *Online* again leaves it unknown
  until the sensor speaks: what it said before may be long over. *Faulty* voids it, too,
  and shows that the device lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.model import ReadingFlag, ReadingKind
from engine.occupancy.batch import int64_column, met_by_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

LATE_INTERVALS = 2
STALE_INTERVALS = 3
"""A channel is late after so many silent intervals, then stale."""
STALE_FLOOR_MS = 600_000
"""No channel is stale sooner than this: radio loses single messages."""
STALE_CEILING_MS = 26 * 3_600_000
"""None lives longer: battery Zigbee devices check in once in 25 hours."""
DEFAULT_INTERVAL_MS = 3_600_000
"""Where no interval is declared: an hour, a usual heartbeat of battery sensors."""
HOLD_CEILING_MS = 12 * 3_600_000
"""Longest hold of motion; twice of it ends before the stale ceiling."""
MAX_ON_CEILING_MIN = 2**16 - 1
"""Longest time without a change that is not stuck: 45 days."""
AHEAD_MS = 5_000
"""How far ahead a source's clock may be; more would shut out all later readings."""
COUNT_CEILING = 2**18 - 1
"""Largest count of one channel: more than a building holds, and it fits 18 bits."""

UNKNOWN = -1
"""Value of a channel that never spoke, or that says it does not know."""
OFFLINE = -2
"""Value of a channel whose device is off."""

ROW = np.dtype(
    [
        ("value", "<i4"),
        ("order_ms", "<i8"),
        ("evidence_ms", "<i8"),
        ("heard_ms", "<i8"),
        ("online_ms", "<i8"),
        ("turned_s", "<u4"),
    ]
)
"""A channel as it is stored: 40 bytes; rows of another length are another version."""

_KINDS = (
    ReadingKind.MOTION,
    ReadingKind.PRESENCE,
    ReadingKind.COUNT,
    ReadingKind.CONTACT,
    ReadingKind.FLOW_DELTA,
)
"""Order of the slots; motion first, so that only it needs a hold. A line is of one
kind, whichever of the two flows it reports; `lines` keeps what it counted."""
_NEVER = -(2**63)
_RETAINED = 2**62
"""Taken off the time of a retained reading, so that it is older than anything live."""
_OLDEST = {"order_ms": _NEVER, "evidence_ms": -(2**61), "heard_ms": 0, "online_ms": 0}
_RETAINED_FLAG = int(ReadingFlag.RETAINED)
_CACHED_FLAG = int(ReadingFlag.CACHED)
_BACKFILL_FLAG = int(ReadingFlag.BACKFILL)
_NO_PULSE = _CACHED_FLAG | _BACKFILL_FLAG
"""A member looked up through its class costs 0.15 µs, a module's name 0.02."""
FEW = 256
"""Up to so many readings a loop costs less than the numpy calls of a batch."""


class Applied(NamedTuple):
    """What became of a batch of readings.

    Attributes:
        applied: Readings that are the channel's newest word.
        duplicate: Repeats of what is known; they still show that the channel lives.
        late: Older than what is known.
        changed: int32, the channels whose stored row changed, each once.
    """

    applied: int
    duplicate: int
    late: int
    changed: npt.NDArray[np.int32]


class Channels:
    """The state of all channels of a tenant, sorted by kind and then by space.

    Attributes:
        slot: int32[n], slot of each channel.
        kind_slots: For each kind, the range of its slots; motion first.
        space: int32[n], space of each slot; ascending within a kind.
        late_ms: int32[n], silence after which a channel is late.
        stale_ms: int32[n], silence after which it is stale.
        hold_ms: int32[motion channels].
        value: int32[n], last value, `UNKNOWN` or `OFFLINE`.
        order_ms: int64[n], when the value was observed; negative: retained or never.
        evidence_ms: int64[n], the value's age as shown: the last pulse of motion, the
            last real report of others, 0 for none, negated time of receipt: retained.
        heard_ms: int64[n], when we last heard of the channel, by our clock; 0 never.
        online_ms: int64[n], when the device last said that it is online.
        turned_s: uint32[n], since when it says the same; seconds since 1970, 0 never.
        max_on_min: uint16[n], minutes after which it is stuck; 0 never.
    """

    def __init__(  # noqa: PLR0913 - the columns of a table
        self,
        *,
        kind: npt.NDArray[np.uint8],
        space: npt.NDArray[np.int32],
        hold_ms: npt.NDArray[np.int64],
        interval_ms: npt.NDArray[np.int64],
        max_on_ms: npt.NDArray[np.int64],
        stale_floor_ms: int,
        default_interval_ms: int,
    ) -> None:
        n = len(kind)
        if not np.isin(kind, _KINDS).all():
            message = "a channel is of kind motion, presence, count, contact or flow"
            raise ValueError(message)
        rank_by_kind = np.zeros(max(_KINDS) + 1, np.intp)
        rank_by_kind[list(_KINDS)] = range(len(_KINDS))
        rank = rank_by_kind[kind]
        order = np.lexsort((space, rank))
        self.slot = np.empty(n, np.int32)
        self.slot[order] = np.arange(n, dtype=np.int32)
        ends = np.searchsorted(rank[order], range(len(_KINDS) + 1)).tolist()
        self.kind_slots = {
            sort: range(*ends[i : i + 2]) for i, sort in enumerate(_KINDS)
        }
        self._motions = len(self.kind_slots[ReadingKind.MOTION])
        self.space = space[order]
        every = np.where(interval_ms > 0, interval_ms, default_interval_ms)[order]
        stale = np.clip(every * STALE_INTERVALS, stale_floor_ms, STALE_CEILING_MS)
        self.stale_ms = stale.astype(np.int32)
        self.late_ms = np.minimum(every * LATE_INTERVALS, stale).astype(np.int32)
        holds = hold_ms[order][: self._motions]
        self.hold_ms = holds.clip(1, HOLD_CEILING_MS).astype(np.int32)
        self.value = np.full(n, UNKNOWN, np.int32)
        self.order_ms = np.full(n, _NEVER, np.int64)
        self.evidence_ms = np.zeros(n, np.int64)
        self.heard_ms = np.zeros(n, np.int64)
        self.online_ms = np.zeros(n, np.int64)
        self.turned_s = np.zeros(n, np.uint32)
        minutes = max_on_ms[order] // 60_000
        self.max_on_min = minutes.clip(0, MAX_ON_CEILING_MIN).astype(np.uint16)
        self._stamp = np.empty(n, np.int32)
        # One item of a memoryview costs half of what an array's does.
        self._slots = self.slot.data
        self._views = (
            self.stale_ms.data,
            self.value.data,
            self.order_ms.data,
            self.evidence_ms.data,
            self.heard_ms.data,
            self.turned_s.data,
        )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.slot)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays by channel."""
        arrays = (a for a in vars(self).values() if isinstance(a, np.ndarray))
        return sum(array.nbytes for array in arrays)

    def apply(
        self,
        channels: Sequence[int],
        values: Sequence[int],
        observed_ms: Sequence[int],
        flags: Sequence[int],
        now_ms: int,
    ) -> Applied:
        """Take in a batch of readings, in order of arrival.

        Args:
            channels: Channels, as numbered by the constructor's columns; any may occur
                several times.
            values: See `ReadingKind`; below 0 is unknown, above `COUNT_CEILING` is cut.
            observed_ms: Times by the sources' clocks, cut at `now_ms + AHEAD_MS`.
            flags: Bits of `ReadingFlag`.
            now_ms: Our clock.
        """
        if len(channels) <= FEW:
            return self._apply_few(channels, values, observed_ms, flags, now_ms)
        channel = np.fromiter(channels, np.int32, len(channels))
        value = int64_column(values).clip(UNKNOWN, COUNT_CEILING)
        at = int64_column(observed_ms).clip(1, now_ms + AHEAD_MS)
        flag = np.fromiter(flags, np.uint8, len(flags)) if any(flags) else None
        return self._apply_many(channel, value, at, flag, now_ms)

    def _apply_few(  # noqa: C901, PLR0912 - the rules of a reading, without a call
        self,
        channels: Sequence[int],
        values: Sequence[int],
        observed_ms: Sequence[int],
        flags: Sequence[int],
        now_ms: int,
    ) -> Applied:
        slots = self._slots
        motions = self._motions
        stale_ms, known, order_ms, evidence_ms, heard_ms, turned_s = self._views
        applied = late = 0
        changed: dict[int, None] = {}
        newest = now_ms + AHEAD_MS
        # Comparisons rather than min() and max(): a call costs as much as three.
        for channel, value, at, flag in zip(
            channels, values, observed_ms, flags, strict=True
        ):
            if value > COUNT_CEILING:
                value = COUNT_CEILING  # noqa: PLW2901 - cut
            elif value < UNKNOWN:
                value = UNKNOWN  # noqa: PLW2901
            if at > newest:
                at = newest  # noqa: PLW2901
            elif at < 1:
                at = 1  # noqa: PLW2901
            slot = slots[channel]
            motion = slot < motions
            order = order_ms[slot]
            if flag & _RETAINED_FLAG:
                at -= _RETAINED  # noqa: PLW2901
                if motion or flag & _BACKFILL_FLAG or at < order:
                    continue
                if at == order and value == known[slot]:
                    continue
                known[slot] = value
                order_ms[slot] = at
                evidence_ms[slot] = evidence_ms[slot] or -now_ms
                changed[channel] = None
                applied += 1
                continue
            changed[channel] = None
            heard = now_ms if now_ms - at <= stale_ms[slot] else at
            if heard > heard_ms[slot]:  # noqa: PLR1730 - see above
                heard_ms[slot] = heard
            repeat = flag & _NO_PULSE
            if at < order or flag & _BACKFILL_FLAG:
                late += 1
            else:
                equal = value == known[slot]
                repeat = repeat and equal
                order_ms[slot] = at
                if not equal or at - order > stale_ms[slot]:
                    known[slot] = value
                    turned_s[slot] = at // 1000
                if not (repeat or (equal and at == order)):
                    applied += 1
                    if not motion:
                        evidence_ms[slot] = at
            if motion and value > 0 and not repeat and at > evidence_ms[slot]:
                evidence_ms[slot] = at
        duplicate = len(channels) - applied - late
        return Applied(applied, duplicate, late, np.array([*changed], np.int32))

    def _apply_many(  # noqa: PLR0915 - the same rules, a statement each
        self,
        channel: npt.NDArray[np.int32],
        value: npt.NDArray[np.int64],
        at: npt.NDArray[np.int64],
        flag: npt.NDArray[np.uint8] | None,
        now_ms: int,
    ) -> Applied:
        if flag is not None and (flag & _BACKFILL_FLAG).any():
            return self._apply_backfilled(channel, value, at, flag, now_ms)
        total = len(channel)
        slot = self.slot[channel]
        motion = slot < self._motions
        if flag is not None:
            keep = ~(motion & (flag & ReadingFlag.RETAINED != 0))
            channel, slot, motion = channel[keep], slot[keep], motion[keep]
            value, at, flag = value[keep], at[keep], flag[keep]
        row = np.arange(len(slot), dtype=np.int32)
        self._stamp[slot] = row
        distinct = bool((self._stamp[slot] == row).all())
        if not distinct:
            by_slot = np.argsort(slot, kind="stable")
            channel, slot, motion = channel[by_slot], slot[by_slot], motion[by_slot]
            value, at = value[by_slot], at[by_slot]
            flag = None if flag is None else flag[by_slot]
        live = cached = None
        if flag is not None:
            live = flag & ReadingFlag.RETAINED == 0
            cached = (flag & ReadingFlag.CACHED != 0) & live
            at = np.where(live, at, at - _RETAINED)
        order, known = self.order_ms[slot], self.value[slot].astype(np.int64)
        if not distinct:
            order, known = met_by_each(slot, value, at, order, known)
        late = at < order
        equal = value == known
        news = ~late & ~(equal & (at == order))
        pulse = motion & (value > 0)
        if cached is not None:
            news &= ~(equal & cached)
            pulse &= ~(cached & (equal | late))
        # Assigning to an index several times leaves the last value, which is the
        # newest one here: the rows of a slot that are not late ascend in time.
        # What is retained is of a time below 0.
        long = at - np.maximum(order, 0) > self.stale_ms[slot]
        turned = ~late & (at > 0) & (long | ~equal)
        self.turned_s[slot[turned]] = at[turned] // 1000
        self.value[slot[~late]] = value[~late]
        self.order_ms[slot[~late]] = at[~late]
        report = news & ~motion if live is None else news & ~motion & live
        self.evidence_ms[slot[report]] = at[report]
        np.maximum.at(self.evidence_ms, slot[pulse], at[pulse])
        if live is not None:
            kept = slot[news & ~live]
            kept = kept[self.evidence_ms[kept] == 0]
            self.evidence_ms[kept] = -now_ms
            touched, late = news | live, late & live
            channel, slot, at = channel[touched], slot[touched], at[touched]
            live = live[touched]
            slot, at = slot[live], at[live]
        heard = np.where(now_ms - at <= self.stale_ms[slot], now_ms, at)
        np.maximum.at(self.heard_ms, slot, heard)
        if not distinct:
            channel = channel[np.flatnonzero(np.diff(channel, prepend=-1))]
        applied, lates = int(np.count_nonzero(news)), int(np.count_nonzero(late))
        return Applied(applied, total - applied - lates, lates, channel)

    def _apply_backfilled(
        self,
        channel: npt.NDArray[np.int32],
        value: npt.NDArray[np.int64],
        at: npt.NDArray[np.int64],
        flag: npt.NDArray[np.uint8],
        now_ms: int,
    ) -> Applied:
        """Apply a batch with backfill in it: the rest, then the life that it shows."""
        old = flag & _BACKFILL_FLAG != 0
        applied, duplicate, late, changed = self._apply_many(
            channel[~old], value[~old], at[~old], flag[~old], now_ms
        )
        heard = old & (flag & _RETAINED_FLAG == 0)
        channel, at = channel[heard], at[heard]
        slot = self.slot[channel]
        at = np.where(now_ms - at <= self.stale_ms[slot], now_ms, at)
        np.maximum.at(self.heard_ms, slot, at)
        duplicate += int(np.count_nonzero(old)) - len(channel)
        changed = np.union1d(changed, channel).astype(np.int32)
        return Applied(applied, duplicate, late + len(channel), changed)

    def hear(self, slot: int, at: int, now_ms: int) -> bool:
        """Note that a slot was heard of; return whether that is news."""
        heard_ms = self.heard_ms
        heard = now_ms if now_ms - at <= self.stale_ms[slot] else at
        news = bool(heard > heard_ms[slot])
        if news:
            heard_ms[slot] = heard
        return news

    def speak(self, slot: int, at: int) -> None:
        """Note that the line in a slot said something at a time, its newest."""
        self.value[slot] = 0
        self.order_ms[slot] = self.evidence_ms[slot] = at

    def set_online(
        self,
        channels: Sequence[int],
        online: int,
        observed_ms: int,
        now_ms: int,
        *,
        retained: bool = False,
    ) -> npt.NDArray[np.int32]:
        """Take in that a device is online, offline or faulty.

        Args:
            channels: All channels of the device.
            online: 1 online, 0 offline, as the device or its last will says; -1 faulty.
            observed_ms: When, by the source's clock.
            now_ms: Our clock.
            retained: Replayed by the broker: "online" is no sign of life then.

        Returns:
            The channels whose stored row changed.
        """
        # One by one: a device has few channels, and arrays cost twenty times as much.
        at = min(max(observed_ms, 1), now_ms + AHEAD_MS)
        changed = []
        for channel in channels:
            slot = self._slots[channel]
            news = False
            if online > 0:
                news = self._came_on(slot, at, now_ms, retained=retained)
            else:
                news = self._void(slot, at, UNKNOWN if online else OFFLINE)
                if online and not retained:
                    news |= self.hear(slot, at, now_ms)
            if news:
                changed.append(channel)
        return np.array(changed, np.int32)

    def _came_on(self, slot: int, at: int, now_ms: int, *, retained: bool) -> bool:
        """Return whether it is news that the device of a slot was online at a time."""
        news = bool(at > self.online_ms[slot])
        if news:
            self.online_ms[slot] = at
        if not retained:
            news |= self.hear(slot, at, now_ms)
        return news

    def _void(self, slot: int, at: int, void: int) -> bool:
        """Return whether it is news that a slot had no value at a time."""
        _, value, order_ms, evidence_ms, _, _ = self._views
        if at < order_ms[slot]:
            return False
        news = at > order_ms[slot] or value[slot] != void
        value[slot] = void
        order_ms[slot] = at
        if slot >= self._motions and evidence_ms[slot] != at:
            evidence_ms[slot] = at
            news = True
        return news

    def stuck(self, slots: npt.NDArray[np.intp], now_ms: int) -> npt.NDArray[np.bool_]:
        """Return which slots have said for too long that the same people are there."""
        most_s = self.max_on_min[slots].astype(np.int64) * 60
        turned_s = self.turned_s[slots].astype(np.int64)
        stuck = (most_s > 0) & (turned_s > 0) & (self.value[slots] > 0)
        return stuck & (now_ms // 1000 - turned_s > most_s)

    def rewind(self, now_ms: int) -> None:
        """Bring times of the future back to now: our clock was stepped back."""
        for times in (self.order_ms, self.evidence_ms, self.heard_ms, self.online_ms):
            np.minimum(times, now_ms, out=times)
        np.minimum(self.turned_s, np.uint32(now_ms // 1000), out=self.turned_s)

    def export(self, channels: npt.NDArray[np.int32]) -> bytes:
        """Return the rows of some channels, `ROW.itemsize` bytes each, in their order.

        They hold times, a value, and nothing that names anything.
        """
        return self._rows(self.slot[channels]).tobytes()

    def restore(self, channels: npt.NDArray[np.int32], rows: bytes) -> int:
        """Put back what `export` gave; whatever is stored is clipped to what can be.

        Returns:
            The newest time in the rows, 0 where there is none.
        """
        table = np.frombuffer(rows, ROW)
        slots = self.slot[channels]
        self.value[slots] = np.clip(table["value"], OFFLINE, COUNT_CEILING)
        self.turned_s[slots] = table["turned_s"]
        newest = 0
        for name, oldest in _OLDEST.items():
            getattr(self, name)[slots] = np.maximum(table[name], oldest)
            newest = max(newest, int(table[name].max(initial=0)))
        return newest

    def _rows(self, slots: npt.NDArray[np.int32]) -> npt.NDArray[np.void]:
        table = np.empty(len(slots), ROW)
        for name in ROW.names or ():
            table[name] = getattr(self, name)[slots]
        return table
