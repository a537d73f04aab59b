"""The path itself: five stages, each taking what the one before returns.

A plain function, with no await inside: no other task ever sees a batch half applied,
and nothing raw outlives the call. What it leaves behind is state (presence, occupancy)
and, for the committer, the newest move of each subject and the channels that changed.
"""

from __future__ import annotations

from array import array
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np

from engine.errors import BadTime, UnknownName
from engine.ingest.formats import REFUSALS, reason_of
from engine.locate.association import Association
from engine.model import Move, Outcome, ReadingFlag, ReadingKind
from engine.occupancy import ROW, Occupancy
from engine.presence import Presence
from engine.privacy.consent import Consent
from engine.space import Kind

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from engine.ingest.formats import Format, Record
    from engine.model import Fix, Person, Reading, Sighting
    from engine.space import AccessPoint, Binding, Plan


class Message(Protocol):
    """What a link or webhook hands over."""

    @property
    def topic(self) -> str:
        """The MQTT topic; "" for a webhook."""

    @property
    def payload(self) -> bytes:
        """The bytes, as they came."""

    @property
    def retain(self) -> bool:
        """Whether the broker replayed it."""


class Tally:
    """What became of a source's events: plain counts, read when metrics are scraped."""

    __slots__ = ("by_outcome", "by_reason")

    def __init__(self) -> None:
        self.by_outcome = dict.fromkeys(Outcome, 0)
        self.by_reason: dict[str, int] = {}

    def add(self, outcome: Outcome, number: int = 1) -> None:
        """Count events."""
        self.by_outcome[outcome] += number

    def refuse(self, error: BaseException) -> str:
        """Count an event that is refused, and return its reason."""
        reason = reason_of(error)
        self.by_outcome[Outcome.INVALID] += 1
        self.by_reason[reason] = self.by_reason.get(reason, 0) + 1
        return reason


class Channels:
    """What the sensor channels of a tenant are called.

    The names are kept once, for look-ups and for the store; everything else about a
    channel is in the arrays of `Occupancy`.
    """

    def __init__(self, bindings: Sequence[Binding]) -> None:
        groups: dict[tuple[str, ReadingKind], int] = {}
        self._names = [_name(b.device, b.channel) for b in bindings]
        self._group = array(
            "H", [groups.setdefault((b.source, b.kind), len(groups)) for b in bindings]
        )
        self._groups = list(groups)
        self._prefixes = [f"{s}/{kind.name.lower()}/" for s, kind in groups]

    def __len__(self) -> int:
        """Return how many there are; their numbers are below it."""
        return len(self._names)

    @property
    def sources(self) -> set[str]:
        """The sources that the channels name."""
        return {source for source, _ in self._groups}

    def key(self, channel: int) -> str:
        """Return the name of a channel in the store: `source/kind/device[#channel]`."""
        return self._prefixes[self._group[channel]] + self._names[channel]

    def of(self, source: str) -> Iterator[tuple[ReadingKind, str, int]]:
        """Yield kind, name and number of every channel of a source."""
        for channel, name in enumerate(self._names):
            owner, kind = self._groups[self._group[channel]]
            if owner == source:
                yield kind, name, channel


def _name(device: str, channel: str) -> str:
    """Return the name of a channel; "#" can be part of no topic and of no binding."""
    return f"{device}#{channel}" if channel else device


class Floor:
    """The state of one tenant, and what of it waits to be stored.

    Args:
        tenant: Its id.
        plan: Its spaces.
        access_points: Where each access point is, by canonical name.
        bindings: The sensor channels, in the order of their numbers.
        settle_ms, stale_ms, retention_ms: See `Presence`.
        stale_floor_ms: See `Occupancy`.
        realms: Realms and domains that are the tenant's own, in lower case.

    Attributes:
        moves: Newest move by subject, at most one for each opted-in person.
        dirty: Channels whose stored row changed, at most one for each channel.
    """

    def __init__(  # noqa: PLR0913 - one tenant's whole description
        self,
        tenant: str,
        plan: Plan,
        *,
        access_points: Mapping[str, AccessPoint] | None = None,
        bindings: Sequence[Binding] = (),
        settle_ms: int = 90_000,
        stale_ms: int = 900_000,
        retention_ms: int = 86_400_000,
        stale_floor_ms: int = 600_000,
        realms: Collection[str] = (),
    ) -> None:
        self.tenant = tenant
        self.plan = plan
        self.channels = Channels(bindings)
        self.realms = realms
        self.consent = Consent(realms)
        self.locator = Association(access_points or {})
        self.presence = Presence(
            self.consent,
            [space.id for space in plan.spaces],
            settle_ms=settle_ms,
            stale_ms=stale_ms,
            retention_ms=retention_ms,
        )
        counted = (Kind.ROOM, Kind.AREA, Kind.DESK)
        self.occupancy = Occupancy(
            parent=plan.parent,
            desk=np.array([space.kind is Kind.DESK for space in plan.spaces]),
            counted=np.array([space.kind in counted for space in plan.spaces]),
            kind=np.array([b.kind for b in bindings], np.uint8),
            space=np.array([b.space for b in bindings], np.int32),
            hold_ms=np.array([b.hold_ms for b in bindings], np.int64),
            interval_ms=np.array([b.interval_ms for b in bindings], np.int64),
            stale_floor_ms=stale_floor_ms,
        )
        self.moves: dict[str, Move] = {}
        self.dirty: set[int] = set()

    def restore(self, rows: Mapping[bytes, bytes]) -> int:
        """Put back the stored state of sensors; return how many channels had one.

        Rows of channels that are no longer bound, or of another version, are passed by.
        """
        size = ROW.itemsize
        found = [
            (channel, row)
            for channel in range(len(self.channels))
            if len(row := rows.get(self.channels.key(channel).encode(), b"")) == size
        ]
        channels = np.array([channel for channel, _ in found], np.int32)
        self.occupancy.restore(channels, b"".join(row for _, row in found))
        return len(found)

    def confirm(self, now_ms: int) -> None:
        """Believe the returns that nothing contradicted; about once a second."""
        for move in self.presence.confirm(now_ms):
            self.moves[move.subject] = move

    def forget(self, person: Person) -> None:
        """Erase a person along the whole path: gate, presence, what waits."""
        subject = self.consent.subject_of(person.subject)
        if subject is not None:
            rows = self.consent.withdraw(person)
            self.presence.forget(subject, rows)
        self.moves.pop(person.subject, None)


class Stream:
    """One configured source of one tenant: its format, its sensors, its tally."""

    def __init__(
        self,
        *,
        name: str,
        floor: Floor,
        form: Format,
    ) -> None:
        self.name = name
        self.floor = floor
        self.form = form
        self.tally = Tally()
        # What the hot path calls, bound once.
        self.split = form.split
        self.identify = form.identify
        self.admit = floor.consent.admit
        self._channel: dict[ReadingKind, dict[str, int]] = {k: {} for k in ReadingKind}
        self._rest_of: dict[str, tuple[int, ...]] = {}
        """Channels of a device below the device itself, where it has any."""
        for kind, known, channel in floor.channels.of(name):
            self._channel[kind][known] = channel
            device, below, _ = known.partition("#")
            if below:
                self._rest_of[device] = (*self._rest_of.get(device, ()), channel)

    def channel(self, reading: Reading) -> int | None:
        """Return the channel that a reading is bound to, None where it is to none."""
        name = reading.device
        if reading.channel:
            name = _name(name, reading.channel)
        return self._channel[reading.kind].get(name)

    def channels_of(self, device: str) -> tuple[int, ...]:
        """Return every channel of a device."""
        own = (channels.get(device) for channels in self._channel.values())
        whole = [channel for channel in own if channel is not None]
        return (*whole, *self._rest_of.get(device, ()))


class Route(NamedTuple):
    """Where the messages of one topic filter go.

    Attributes:
        stream: Their source.
        base: Characters that every topic of the filter begins with; see `base_of`.
    """

    stream: Stream
    base: int


_APPLIED, _DISPOSED = Outcome.APPLIED, Outcome.DISPOSED
_HEALTH = ReadingKind.HEALTH
_RETAINED = int(ReadingFlag.RETAINED)
"""By a name of the module: through its class a member costs 0.15 µs each time."""

_Admitted: TypeAlias = "tuple[Stream, int, Record]"
"""A record about someone who opted in, with their device row: all that is decoded."""
_Anonymous: TypeAlias = "tuple[Stream, Record, str, bool]"
"""A record about no person, its topic after the base, and whether it was retained."""


class Pipeline:
    """Runs batches; `timed` takes a stage and the seconds that a batch spent in it."""

    def __init__(self, timed: Callable[[str, float], None]) -> None:
        self._timed = timed
        self.unrouted = 0
        """Messages that no stream wanted."""

    def run(
        self,
        messages: Sequence[Message],
        find: Callable[[str], Route | None],
        now_ms: int,
    ) -> str | None:
        """Take the messages of one chunk through every stage.

        Nothing a sender does raises here: what cannot be used is counted and dropped.

        Returns:
            Why a record was refused (the last, if several were) before it was known
            whom it is about, or because of a reading. What is refused later does not
            show: the sender must not learn from an answer who has opted in.
        """
        start = perf_counter()
        admitted, anonymous, refused = self._decide(messages, find)
        decided = perf_counter()
        sightings = _observe(admitted, now_ms)
        fixes = _place(sightings)
        placed = perf_counter()
        _settle(fixes, now_ms)
        settled = perf_counter()
        columns, unread = _read(anonymous, now_ms)
        _count(columns, now_ms)
        counted = perf_counter()
        self._timed("decide", decided - start)
        self._timed("place", placed - decided)
        self._timed("settle", settled - placed)
        self._timed("count", counted - settled)
        return unread or refused

    def _decide(  # noqa: C901 - the hot loop: a call costs more than a branch
        self,
        messages: Sequence[Message],
        find: Callable[[str], Route | None],
    ) -> tuple[list[_Admitted], list[_Anonymous], str | None]:
        """Decode identities alone, and keep only who opted in and what is nobody's."""
        refused: str | None = None
        admitted: list[_Admitted] = []
        anonymous: list[_Anonymous] = []
        for message in messages:
            topic = message.topic
            route = find(topic)
            if route is None:
                self.unrouted += 1
                continue
            stream, base = route
            try:
                records = stream.split(message.payload)
            except REFUSALS as error:
                refused = stream.tally.refuse(error)
                continue
            identify = stream.identify
            if identify is None:
                rest, retained = topic[base:], message.retain
                for record in records:
                    anonymous.append((stream, record, rest, retained))  # noqa: PERF401 - mostly one
                continue
            for record in records:
                try:
                    identity = identify(record)
                except REFUSALS as error:
                    refused = stream.tally.refuse(error)
                    continue
                if identity.login is None and identity.device is None:
                    anonymous.append((stream, record, topic[base:], message.retain))
                    continue
                if message.retain:
                    # Of unknown age, and replayed at every connect: as "now" it would
                    # renew a location for ever.
                    refused = stream.tally.refuse(BadTime())
                    continue
                row = stream.admit(identity)
                if row >= 0:
                    admitted.append((stream, row, record))
                else:
                    stream.tally.by_outcome[_DISPOSED] += 1
        return admitted, anonymous, refused


def _observe(
    admitted: Sequence[_Admitted], now_ms: int
) -> list[tuple[Stream, Sighting]]:
    """Decode the rest of each admitted record; its identity ends here."""
    sightings: list[tuple[Stream, Sighting]] = []
    for stream, row, record in admitted:
        assert stream.form.observe is not None  # noqa: S101 - it names people
        try:
            observations = stream.form.observe(record, now_ms)
        except REFUSALS as error:
            stream.tally.refuse(error)
            continue
        sighting = stream.floor.consent.sighting
        sightings += [(stream, sighting(row, seen)) for seen in observations]
    return sightings


def _place(sightings: Iterable[tuple[Stream, Sighting]]) -> list[tuple[Stream, Fix]]:
    """Find where each sighting is."""
    fixes: list[tuple[Stream, Fix]] = []
    for stream, sighting in sightings:
        fix = stream.floor.locator.place(sighting)
        if fix is None:
            stream.tally.refuse(UnknownName())
        else:
            fixes.append((stream, fix))
    return fixes


def _settle(fixes: Iterable[tuple[Stream, Fix]], now_ms: int) -> None:
    """Let each fix move its subject; the newest move of each waits for the store."""
    for stream, fix in fixes:
        floor = stream.floor
        news = floor.presence.settle(fix, now_ms)
        if isinstance(news, Move):
            floor.moves[news.subject] = news
            stream.tally.by_outcome[_APPLIED] += 1
        else:
            stream.tally.by_outcome[news] += 1


class _Columns:
    """The readings of one stream in a batch, as `Occupancy.apply` takes them."""

    __slots__ = ("channels", "flags", "observed_ms", "values")

    def __init__(self) -> None:
        self.channels: list[int] = []
        self.values: list[int] = []
        self.observed_ms: list[int] = []
        self.flags: list[int] = []


def _read(
    anonymous: Iterable[_Anonymous], now_ms: int
) -> tuple[dict[Stream, _Columns], str | None]:
    """Decode readings and find the channel of each; health is applied at once."""
    columns: dict[Stream, _Columns] = {}
    refused: str | None = None
    for stream, record, topic, retained in anonymous:
        if stream.form.read is None:
            stream.tally.by_outcome[_DISPOSED] += 1
            continue
        try:
            readings = stream.form.read(record, topic, now_ms)
        except REFUSALS as error:
            refused = stream.tally.refuse(error)
            continue
        own = columns.get(stream)
        if own is None:
            own = columns[stream] = _Columns()
        bound = not readings
        for reading in readings:
            flags = reading.flags | _RETAINED if retained else reading.flags
            if reading.kind is _HEALTH:
                bound |= _set_health(stream, reading, flags, now_ms)
                continue
            channel = stream.channel(reading)
            if channel is not None:
                bound = True
                own.channels.append(channel)
                own.values.append(reading.value)
                own.observed_ms.append(reading.observed_at_ms)
                own.flags.append(flags)
        if not bound:
            refused = stream.tally.refuse(UnknownName())
    return columns, refused


def _set_health(stream: Stream, reading: Reading, flags: int, now_ms: int) -> bool:
    """Take in that a device is on or off; return whether it is bound to a space."""
    channels = stream.channels_of(reading.device)
    if channels:
        floor = stream.floor
        changed = floor.occupancy.set_online(
            channels,
            bool(reading.value),
            reading.observed_at_ms,
            now_ms,
            retained=bool(flags & _RETAINED),
        )
        floor.dirty.update(changed.tolist())
        stream.tally.add(Outcome.APPLIED if len(changed) else Outcome.DUPLICATE)
    return bool(channels)


def _count(columns: dict[Stream, _Columns], now_ms: int) -> None:
    """Apply the readings of each stream to the occupancy of its floor."""
    for stream, own in columns.items():
        if own.channels:
            applied = stream.floor.occupancy.apply(
                own.channels, own.values, own.observed_ms, own.flags, now_ms
            )
            stream.floor.dirty.update(applied.changed.tolist())
            stream.tally.add(Outcome.APPLIED, applied.applied)
            stream.tally.add(Outcome.DUPLICATE, applied.duplicate)
            stream.tally.add(Outcome.LATE, applied.late)
