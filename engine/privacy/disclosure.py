"""The gate out: what may be seen of occupancy, as numbered snapshots and deltas.

The only maker of `Snapshot` and `Delta`. It keeps a copy of its own of what is public:
a frame can never change while it is being sent, and everyone is told one history, in
which a snapshot and the deltas after it are the next snapshot.

There is no ring of past deltas. Each space knows the offset at which it last changed;
that brings any subscriber forward in one merged delta, in the same memory however far
behind they are.

A rule of `RULES_OUT` can only take away: it answers with a verdict for each space, the
strictest verdict wins, and a rule that fails withholds everything it was asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from engine.model import Delta, Snapshot, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import numpy.typing as npt

    from engine.space import Level, Plan


class Verdict(IntEnum):
    """What may leave about a space; the larger is the stricter."""

    ALLOW = 0
    COARSEN = 1
    """The state, but no number of people."""
    DENY = 2
    """Nothing: the space is unknown."""


class Occupied(Protocol):
    """What the engine knows, in columns of one row a space; `occupancy` keeps it.

    The columns may change after each call: what is published of them is copied.
    """

    @property
    def sensed(self) -> npt.NDArray[np.bool_]:
        """Whether the space or anything in it has a sensor."""

    @property
    def state(self) -> npt.NDArray[np.uint8]:
        """A `State`."""

    @property
    def count(self) -> npt.NDArray[np.int32]:
        """People, or -1."""

    @property
    def confidence(self) -> npt.NDArray[np.uint8]:
        """Percent."""

    @property
    def since_ms(self) -> npt.NDArray[np.int64]:
        """Time of the newest evidence, or 0."""


class Rule(Protocol):
    """What may leave: given all that is known, judge some spaces."""

    def __call__(
        self, occupied: Occupied, index: npt.NDArray[np.int32], /
    ) -> npt.NDArray[np.uint8]:
        """Return a `Verdict` for each index."""


def deny_what_no_sensor_sees(
    occupied: Occupied, index: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint8]:
    """Deny a space without sensors: whatever is said of it, no sensor said it."""
    seen = occupied.sensed[index]
    return np.where(seen, Verdict.ALLOW, Verdict.DENY).astype(np.uint8)


RULES_OUT: tuple[Rule, ...] = (deny_what_no_sensor_sees,)


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """What is public about one space: a row of the columns of `Snapshot`."""

    state: State
    count: int
    confidence: int
    since_ms: int
    at_ms: int


class Disclosure:
    """What everybody who may see a tenant's map is told.

    Args:
        plan: The spaces and levels.
        occupied: What the engine knows of them, read at each `publish`.
        new_epoch: Names a life of the offsets; called once for each level.
        rules: What may leave.
    """

    def __init__(
        self,
        plan: Plan,
        occupied: Occupied,
        *,
        new_epoch: Callable[[], str] = lambda: token_hex(8),
        rules: Sequence[Rule] = RULES_OUT,
    ) -> None:
        n = len(plan.spaces)
        self.plan = plan
        self._occupied = occupied
        self._rules = rules
        self._topics = {
            level.id: _Topic(level, new_epoch()) for level in plan.levels.values()
        }
        self._topic_of = np.full(n, -1, np.int32)
        for i, level in enumerate(plan.levels.values()):
            self._topic_of[level.start : level.stop] = i
        self._order = list(self._topics.values())
        self._changed_at = np.zeros(n, np.int64)
        self._public = _Columns(
            np.full(n, State.UNKNOWN, np.uint8),
            np.full(n, -1, np.int32),
            np.zeros(n, np.uint8),
            np.zeros(n, np.int64),
        )

    def publish(self, changed: npt.NDArray[np.int32], now_ms: int) -> list[Delta]:
        """Make public what may be of the spaces that changed.

        Args:
            changed: int32, ascending: the spaces that changed since the last call.
            now_ms: The time of the tick.

        Returns:
            A delta for each level in which a public column changed. What a rule
            withholds makes none: the time of a change would tell something too.
        """
        now = self._permitted(changed)
        differs = self._public.differ(changed, now)
        changed = changed[differs]
        if not len(changed):
            return []
        self._public.put(changed, now.at(differs))
        # The spaces of a level are neighbours, so each level is one run.
        topic_of = self._topic_of[changed]
        first = np.flatnonzero(np.diff(topic_of, prepend=-2)).tolist()
        deltas = []
        for a, b in zip(first, [*first[1:], len(changed)], strict=True):
            if topic_of[a] >= 0:
                topic = self._order[topic_of[a]]
                topic.offset += 1
                self._changed_at[changed[a:b]] = topic.offset
                deltas.append(
                    self._delta(topic, topic.offset - 1, changed[a:b], now_ms)
                )
        return deltas

    def levels(self) -> Collection[str]:
        """Return the ids of the levels."""
        return self._topics.keys()

    def snapshot(self, level: str, now_ms: int) -> Snapshot:
        """Return the public state of a level.

        Raises:
            KeyError: There is no such level.
        """
        topic = self._topics[level]
        columns = self._public.at(slice(topic.start, topic.stop)).frozen()
        return Snapshot(
            level,
            self.plan.version,
            topic.epoch,
            topic.offset,
            now_ms,
            columns.state,
            columns.count,
            columns.confidence,
            columns.since_ms,
        )

    def since(self, level: str, epoch: str, offset: int, now_ms: int) -> Delta | None:
        """Return all that changed after an offset, as one delta.

        Returns:
            The delta, empty if nothing changed; None if the position is none of this
            life of the level, so that only a snapshot helps.

        Raises:
            KeyError: There is no such level.
        """
        topic = self._topics[level]
        if epoch != topic.epoch or not 0 <= offset <= topic.offset:
            return None
        behind = np.flatnonzero(self._changed_at[topic.start : topic.stop] > offset)
        index = (behind + topic.start).astype(np.int32)
        return self._delta(topic, offset, index, now_ms)

    def space(self, index: int, now_ms: int) -> SpaceRow:
        """Return what is public about a space, by its index in the plan."""
        public = self._public
        return SpaceRow(
            State(int(public.state[index])),
            int(public.count[index]),
            int(public.confidence[index]),
            int(public.since_ms[index]),
            now_ms,
        )

    def _permitted(self, index: npt.NDArray[np.int32]) -> _Columns:
        """Return a copy of what is known of some spaces, less what rules take away."""
        verdict = np.zeros(len(index), np.uint8)
        for rule in self._rules:
            verdict = np.maximum(verdict, _judge(rule, self._occupied, index))
        known = self._occupied
        seen = _Columns(known.state, known.count, known.confidence, known.since_ms)
        seen = seen.at(index)
        seen.count[verdict >= Verdict.COARSEN] = -1
        deny = verdict >= Verdict.DENY
        seen.state[deny] = State.UNKNOWN
        seen.confidence[deny] = 0
        seen.since_ms[deny] = 0
        return seen

    def _delta(
        self, topic: _Topic, prev: int, index: npt.NDArray[np.int32], now_ms: int
    ) -> Delta:
        columns = self._public.at(index).frozen()
        return Delta(
            topic.level,
            topic.epoch,
            prev,
            topic.offset,
            now_ms,
            _frozen(index - np.int32(topic.start)),
            columns.state,
            columns.count,
            columns.confidence,
            columns.since_ms,
        )


class _Topic:
    """A level and where its offsets are."""

    def __init__(self, level: Level, epoch: str) -> None:
        self.level = level.id
        self.start = level.start
        self.stop = level.stop
        self.epoch = epoch
        self.offset = 0


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of `Snapshot`."""

    state: npt.NDArray[np.uint8]
    count: npt.NDArray[np.int32]
    confidence: npt.NDArray[np.uint8]
    since_ms: npt.NDArray[np.int64]

    def at(self, rows: npt.NDArray[Any] | slice) -> _Columns:
        """Return a copy of some rows."""
        return _Columns(
            self.state[rows].copy(),
            self.count[rows].copy(),
            self.confidence[rows].copy(),
            self.since_ms[rows].copy(),
        )

    def put(self, index: npt.NDArray[np.int32], rows: _Columns) -> None:
        """Replace some rows."""
        self.state[index] = rows.state
        self.count[index] = rows.count
        self.confidence[index] = rows.confidence
        self.since_ms[index] = rows.since_ms

    def differ(
        self, index: npt.NDArray[np.int32], rows: _Columns
    ) -> npt.NDArray[np.bool_]:
        """Return which rows differ from those at the indexes."""
        differs: npt.NDArray[np.bool_] = self.state[index] != rows.state
        differs |= self.count[index] != rows.count
        differs |= self.confidence[index] != rows.confidence
        differs |= self.since_ms[index] != rows.since_ms
        return differs

    def frozen(self) -> _Columns:
        """Return the same columns, which nobody can change once they are sent."""
        for column in (self.state, self.count, self.confidence, self.since_ms):
            _frozen(column)
        return self


def _frozen(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    column.flags.writeable = False
    return column


def _judge(
    rule: Rule, occupied: Occupied, index: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint8]:
    """Return a rule's verdicts; one that fails, or answers amiss, means no."""
    try:
        verdict = np.asarray(rule(occupied, index))
    except Exception:  # noqa: BLE001 - whatever it is, nothing may leave
        verdict = np.empty(0, np.uint8)
    if verdict.shape != index.shape:
        verdict = np.full(len(index), Verdict.DENY, np.uint8)
    return verdict
