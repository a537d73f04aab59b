"""What the channels of a space say together now: expiry, decay, disagreement.

Each channel is judged into a *key*, an int32 of four fields, made so that the largest
key among the channels of a space is what the space's own evidence says:

- rank (from bit 27): 4 count, 3 the balance of lines, 2 presence, 1 motion; 4 more
  while the channel is fresh;
- certainty (bits 25, 26): 2 occupied, 1 likely, 0 free;
- confidence in percent (bits 18 to 24);
- people (bits 0 to 17), where the channel counts.

Rank 0 is a channel that says nothing; the whole key is then `UNHEARD` or `OFF`.

Fresh channels are judged by one table look-up per kind; the few that are late, stale,
off or decaying are gathered and looked at closer. The lines of a space are judged
together: their balance is worth as much as the line that is heard of least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.model import ReadingKind
from engine.occupancy.channels import OFFLINE

if TYPE_CHECKING:
    import numpy.typing as npt

    from engine.occupancy.channels import Channels
    from engine.occupancy.lines import Lines

NOTHING = 0
"""Key of a space without a channel."""
OFF = 1
"""Key of a channel whose device says, or whose last will says, that it is off."""
UNHEARD = 2
"""Key of a channel that is stale, was never heard, or does not know."""

RANK_SHIFT = 27
CERTAINTY_SHIFT = 25
CONFIDENCE_SHIFT = 18
PEOPLE_MASK = 2**CONFIDENCE_SHIFT - 1
CONFIDENCE_MASK = 127
CERTAINTY_MASK = 3

RANK = {
    ReadingKind.MOTION: 1,
    ReadingKind.PRESENCE: 2,
    ReadingKind.FLOW_DELTA: 3,
    ReadingKind.COUNT: 4,
}
"""Who is believed where channels disagree (an area count sees most)."""
FRESH = 4
"""Added to the rank of a fresh channel: any fresh one beats any late one."""
COUNTS = np.isin(
    np.arange(2 * FRESH + 1) % FRESH,
    [RANK[kind] % FRESH for kind in (ReadingKind.COUNT, ReadingKind.FLOW_DELTA)],
)
"""By rank: whether it tells a number of people. (Of rank 0 nothing is asked.)"""
CONFIDENCE = {
    ReadingKind.MOTION: 80,
    ReadingKind.PRESENCE: 90,
    ReadingKind.FLOW_DELTA: 85,
    ReadingKind.COUNT: 95,
}
"""Percent for a fresh channel; what is late or decaying falls from here."""
DISPUTED = 50
"""Percent where motion contradicts a count of 0, as the camera may have a blind spot,
and of a balance that began at a number nobody knows."""
STEP = 10
"""Decay shows in steps of so many percent: a few changes rather than a stream."""

FLOW = ReadingKind.FLOW_DELTA
"""Of a line, whichever of the two flows it reports."""

_CHUNK = 8_192
"""Channels judged at a time: the scratch arrays stay in the processor's cache."""


class _Chunk(NamedTuple):
    """A run of slots of one kind, cut where a space ends.

    Attributes:
        kind: What they measure.
        start, stop: The slots.
        spaces: int32[m], the spaces they belong to.
        first: Where each space begins, from `start`.
    """

    kind: ReadingKind
    start: int
    stop: int
    spaces: npt.NDArray[np.int32]
    first: npt.NDArray[np.intp]


class Evidence:
    """Judges the channels; keeps one key and the newest evidence's time by space.

    Attributes:
        key: int32[spaces].
        since_ms: int64[spaces], 0 where there is no evidence.
    """

    def __init__(self, channels: Channels, lines: Lines, spaces: int) -> None:
        self._channels = channels
        self._lines = lines
        self._chunks = [
            chunk
            for kind in (ReadingKind.MOTION, ReadingKind.PRESENCE, ReadingKind.COUNT)
            for chunk in _chunks(kind, channels.kind_slots[kind], channels.space)
        ]
        self.key = np.empty(spaces, np.int32)
        self.since_ms = np.empty(spaces, np.int64)
        self._moved = np.zeros(spaces, np.int32)
        self._stuck = np.empty(0, np.intp)
        motion = channels.kind_slots[ReadingKind.MOTION]
        count = channels.kind_slots[ReadingKind.COUNT]
        self._mixed = np.intersect1d(
            channels.space[motion.start : motion.stop],
            channels.space[count.start : count.stop],
        )
        longest = max((chunk.stop - chunk.start for chunk in self._chunks), default=0)
        self._age = np.empty(longest, np.int64)
        self._judged = np.empty(longest, np.int32)
        self._spare = np.empty(longest, np.int32)
        self._code = np.empty(longest, np.uint8)
        self._flag = np.empty(longest, np.bool_)
        self._other = np.empty(longest, np.bool_)

    def suspect(self, now_ms: int) -> None:
        """Look which channels are stuck: they say nothing until they change.

        To be called about once a minute: between two calls a channel can get stuck
        unseen, and one that changes is believed at once.
        """
        channels = self._channels
        presence = channels.kind_slots[ReadingKind.PRESENCE]
        count = channels.kind_slots[ReadingKind.COUNT]
        # These two are neighbours. Motion ends by itself.
        slots = np.arange(presence.start, count.stop)
        self._stuck = slots[channels.stuck(slots, now_ms)]

    def judge(self, now_ms: int) -> None:
        """Bring `key` and `since_ms` to a time."""
        self._judge_channels(now_ms)
        if len(self._lines):
            self._judge_lines(now_ms)

    def shown(self, now_ms: int) -> npt.NDArray[np.bool_]:
        """Return in which spaces channels show somebody, whatever their lines say.

        What `judge` left is gone; it is to be called again.
        """
        self._judge_channels(now_ms)
        certainty = self.key >> CERTAINTY_SHIFT & CERTAINTY_MASK
        return (self.key >> RANK_SHIFT > 0) & (certainty > 0)

    def _judge_channels(self, now_ms: int) -> None:
        self.key.fill(NOTHING)
        self.since_ms.fill(0)
        evidence_ms = self._channels.evidence_ms
        for chunk in self._chunks:
            keys = np.maximum.reduceat(self._judge_chunk(chunk, now_ms), chunk.first)
            spaces = chunk.spaces
            if chunk.kind is ReadingKind.MOTION:
                self._moved[spaces] = keys
            self.key[spaces] = np.maximum(self.key[spaces], keys)
            newest = np.maximum.reduceat(
                evidence_ms[chunk.start : chunk.stop], chunk.first
            )
            self.since_ms[spaces] = np.maximum(self.since_ms[spaces], newest)
        np.minimum(self.since_ms, now_ms, out=self.since_ms)
        if len(self._mixed):
            self._dispute()

    def _dispute(self) -> None:
        """Let motion within its hold turn a count of 0 into "likely"."""
        mixed = self._mixed
        empty = self.key[mixed] >> CERTAINTY_SHIFT == _certain(ReadingKind.COUNT, 0)
        moved = self._moved[mixed] >> CERTAINTY_SHIFT == _certain(ReadingKind.MOTION, 2)
        self.key[mixed[empty & moved]] = _DISPUTED_KEY

    def _judge_lines(self, now_ms: int) -> None:
        """Let the balances of lines take part; motion and presence may dispute a 0."""
        channels, lines = self._channels, self._lines
        slots, first, spaces = channels.kind_slots[FLOW], lines.first, lines.spaces
        rows = slice(slots.start, slots.stop)
        value, late_ms = channels.value[rows], channels.late_ms[rows]
        silent = now_ms - channels.heard_ms[rows]
        off = (value == OFFLINE) & (channels.online_ms[rows] <= channels.order_ms[rows])
        mute = (value < 0) | (silent > channels.stale_ms[rows])
        fresh = np.logical_and.reduceat(silent <= late_ms, first)
        fade = _falling(silent, late_ms, channels.stale_ms[rows])
        people = lines.balance.astype(np.int32)
        anchored = lines.anchored
        percent = np.where(anchored, CONFIDENCE[FLOW], DISPUTED)
        steps = np.ceil(np.minimum.reduceat(fade, first) * percent / STEP) * STEP
        keys = steps.astype(np.int32).clip(STEP, percent) << CONFIDENCE_SHIFT | people
        keys |= np.where(fresh, RANK[FLOW] + FRESH, RANK[FLOW]) << RANK_SHIFT
        keys |= np.where(people > 0, fresh + 1, 0) << CERTAINTY_SHIFT
        keys[np.logical_or.reduceat(mute, first) | ~(anchored | (people > 0))] = UNHEARD
        keys[np.logical_and.reduceat(off, first)] = OFF
        others = self.key[spaces]
        seen = np.isin(others >> CERTAINTY_SHIFT, _SOMEBODY) | (others == _DISPUTED_KEY)
        seen &= keys >> CERTAINTY_SHIFT == _certain(FLOW, 0)
        keys = np.where(seen, _DISPUTED_KEY, np.maximum(others, keys))
        self.key[spaces] = keys
        newest = np.maximum.reduceat(channels.evidence_ms[rows], first)
        newest = np.maximum(self.since_ms[spaces], newest)
        self.since_ms[spaces] = np.minimum(newest, now_ms)

    def _judge_chunk(self, chunk: _Chunk, now_ms: int) -> npt.NDArray[np.int32]:
        """Return the keys of a chunk, in scratch memory."""
        channels = self._channels
        kind, start, stop = chunk.kind, chunk.start, chunk.stop
        n = stop - start
        value = channels.value[start:stop]
        age, fresh, other = self._age[:n], self._flag[:n], self._other[:n]
        code, keys = self._code[:n], self._judged[:n]
        # code: 0 look closer, 1 free, 2 occupied
        if kind is ReadingKind.MOTION:
            hold_ms = channels.hold_ms[start:stop]
            np.subtract(now_ms, channels.evidence_ms[start:stop], out=age)
            np.less_equal(age, hold_ms, out=other)
            np.multiply(other, np.uint8(2), out=code)
            np.multiply(hold_ms, np.int32(2), out=self._spare[:n])
            np.greater(age, self._spare[:n], out=other)
            np.add(code, other, out=code)
        else:
            np.greater(value, 0, out=other)
            np.add(other, np.uint8(1), out=code)
        np.subtract(now_ms, channels.heard_ms[start:stop], out=age)
        np.less_equal(age, channels.late_ms[start:stop], out=fresh)
        np.greater_equal(value, 0, out=other)
        np.logical_and(fresh, other, out=fresh)
        np.multiply(code, fresh, out=code)
        np.take(_FRESH_KEYS[kind], code, out=keys)
        if kind is ReadingKind.COUNT:
            np.multiply(value, fresh, out=self._spare[:n])
            np.add(keys, self._spare[:n], out=keys)
        closer = np.flatnonzero(code == 0)
        if len(closer):
            keys[closer] = self._look_closer(kind, closer + start, now_ms)
        if len(self._stuck):
            here = self._stuck[(self._stuck >= start) & (self._stuck < stop)]
            keys[here[channels.stuck(here, now_ms)] - start] = UNHEARD
        return keys

    def _look_closer(
        self, kind: ReadingKind, slot: npt.NDArray[np.intp], now_ms: int
    ) -> npt.NDArray[np.int32]:
        """Return the keys of channels that are late, decaying, stale, mute or off."""
        channels = self._channels
        silent = now_ms - channels.heard_ms[slot]
        alive = silent <= channels.stale_ms[slot]
        alive &= channels.value[slot] >= 0
        if alive.all():
            return self._fading(kind, slot, silent, now_ms)
        keys = np.empty(len(slot), np.int32)
        keys[alive] = self._fading(kind, slot[alive], silent[alive], now_ms)
        slot = slot[~alive]
        value, evidence_ms = channels.value[slot], channels.evidence_ms[slot]
        off = (value == OFFLINE) & (channels.online_ms[slot] <= channels.order_ms[slot])
        mute = np.where(off, np.int32(OFF), np.int32(UNHEARD))
        # Only a retained reading so far: late from the moment of its receipt.
        kept = (evidence_ms < 0) & (value >= 0) & (channels.heard_ms[slot] == 0)
        silent = now_ms + evidence_ms + channels.late_ms[slot] + 1
        kept &= silent <= channels.stale_ms[slot]
        if kept.any():
            mute[kept] = self._fading(kind, slot[kept], silent[kept], now_ms)
        keys[~alive] = mute
        return keys

    def _fading(
        self,
        kind: ReadingKind,
        slot: npt.NDArray[np.intp],
        silent: npt.NDArray[np.int64],
        now_ms: int,
    ) -> npt.NDArray[np.int32]:
        """Return the keys of channels that are late or decaying, yet not stale."""
        channels = self._channels
        late_ms = channels.late_ms[slot]
        fresh = silent <= late_ms
        occupied = channels.value[slot] > 0
        fade = np.ones(len(slot))
        if not fresh.all():
            fade = _falling(silent, late_ms, channels.stale_ms[slot])
        if kind is ReadingKind.MOTION:
            hold_ms = channels.hold_ms[slot]
            quiet = now_ms - channels.evidence_ms[slot]
            occupied = quiet <= 2 * hold_ms
            decay = _falling(quiet, hold_ms, 2 * hold_ms)
            np.minimum(fade, decay, out=fade, where=occupied)
        steps = np.ceil(fade * (CONFIDENCE[kind] / STEP)).astype(np.int32) * STEP
        keys = steps.clip(STEP, CONFIDENCE[kind]) << CONFIDENCE_SHIFT
        keys |= np.where(fresh, RANK[kind] + FRESH, RANK[kind]) << RANK_SHIFT
        keys |= occupied.astype(np.int32) << CERTAINTY_SHIFT
        if kind is ReadingKind.COUNT:
            keys |= channels.value[slot]
        return keys


def _falling(
    age: npt.NDArray[np.int64], start: npt.NDArray[np.int32], end: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """Return 1 up to `start`, then a straight line down to 0 at `end`."""
    line: npt.NDArray[np.float64] = (end - age) / np.maximum(end - start, 1)
    np.minimum(line, 1.0, out=line)
    return np.maximum(line, 0.0, out=line)


def _certain(kind: ReadingKind, certainty: int) -> int:
    """Return rank and certainty of a fresh channel, as they stand in a key."""
    return (RANK[kind] + FRESH) << RANK_SHIFT - CERTAINTY_SHIFT | certainty


_DISPUTED_KEY = (
    _certain(ReadingKind.MOTION, 1) << CERTAINTY_SHIFT | DISPUTED << CONFIDENCE_SHIFT
)
_SOMEBODY = (_certain(ReadingKind.MOTION, 2), _certain(ReadingKind.PRESENCE, 2))
_FRESH_KEYS = {
    kind: np.array(
        [
            UNHEARD,
            *(
                _certain(kind, certainty) << CERTAINTY_SHIFT
                | CONFIDENCE[kind] << CONFIDENCE_SHIFT
                for certainty in (0, 2)
            ),
        ],
        np.int32,
    )
    for kind in RANK
}


def _chunks(
    kind: ReadingKind, slots: range, space: npt.NDArray[np.int32]
) -> list[_Chunk]:
    """Cut the slots of a kind into chunks of about `_CHUNK`, at the ends of spaces."""
    spaces = space[slots.start : slots.stop]
    if not len(spaces):
        return []
    first = np.flatnonzero(np.diff(spaces, prepend=-1))
    ends = np.append(first[1:], len(spaces))
    chunks = []
    i = 0
    while i < len(first):
        j = max(i + 1, int(np.searchsorted(ends, first[i] + _CHUNK, side="right")))
        a, b = int(first[i]), int(ends[j - 1])
        chunk = (slots.start + a, slots.start + b, spaces[first[i:j]], first[i:j] - a)
        chunks.append(_Chunk(kind, *chunk))
        i = j
    return chunks
