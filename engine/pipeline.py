"""The path itself: five stages, each taking what the one before returns.

A plain function, with no await inside: no other task ever sees a batch half applied,
and nothing raw outlives the call. What it leaves behind is state (presence, occupancy)
and, for the committer, the numbers of the subjects and channels with news.

Each stage takes what a chunk brought for one source as columns: a call for each message
costs more than most of what is done to it.
"""

from __future__ import annotations

from array import array
from itertools import compress
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np

from engine.errors import BadTime, UnknownName
from engine.ingest.formats import REFUSALS, base_of, reason_of
from engine.locate.association import Association
from engine.model import Outcome, ReadingFlag, ReadingKind
from engine.occupancy import ROW, Occupancy
from engine.presence import Presence
from engine.privacy.consent import NOBODY, STRANGER, Consent
from engine.space import COUNTED, Kind

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
    from engine.model import Fixes, Identity, Person, Reading
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

    def keys(self, channels: Iterable[int]) -> list[str]:
        """Return their names in the store: `source/kind/device[#channel]`."""
        prefixes, group, names = self._prefixes, self._group, self._names
        return [prefixes[group[channel]] + names[channel] for channel in channels]

    def of(self, source: str) -> Iterator[tuple[ReadingKind, str, int]]:
        """Yield kind, name and number of every channel of a source."""
        for channel, name in enumerate(self._names):
            owner, kind = self._groups[self._group[channel]]
            if owner == source:
                yield kind, name, channel


def _name(device: str, channel: str) -> str:
    """Return the name of a channel; "#" can be part of no topic and of no binding."""
    return f"{device}#{channel}" if channel else device


class Tenant:
    """The state of one tenant, and what of it waits to be stored.

    Args:
        tenant_id: As every key, topic and metric names it.
        plan: Its spaces.
        access_points: Where each access point is, by canonical name.
        bindings: The sensor channels, in the order of their numbers.
        settle_ms, stale_ms, retention_ms: See `Presence`.
        stale_floor_ms: See `Occupancy`.
        realms: Realms and domains that are the tenant's own, in lower case.

    Attributes:
        dirty: Channels whose stored row changed, at most one for each channel; what of
            people waits is in `presence`.
    """

    def __init__(  # noqa: PLR0913 - one tenant's whole description
        self,
        tenant_id: str,
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
        self.id = tenant_id
        self.plan = plan
        self.channels = Channels(bindings)
        self.realms = realms
        self.consent = Consent(realms)
        self.locator = Association(access_points or {})
        self.presence = Presence(
            self.consent,
            [space.id for space in plan.spaces],
            self.locator.names,
            settle_ms=settle_ms,
            stale_ms=stale_ms,
            retention_ms=retention_ms,
        )
        self.occupancy = Occupancy(
            parent=plan.parent,
            desk=np.array([space.kind is Kind.DESK for space in plan.spaces]),
            counted=np.array([space.kind in COUNTED for space in plan.spaces]),
            kind=np.array([b.kind for b in bindings], np.uint8),
            space=np.array([b.space for b in bindings], np.int32),
            hold_ms=np.array([b.hold_ms for b in bindings], np.int64),
            interval_ms=np.array([b.interval_ms for b in bindings], np.int64),
            stale_floor_ms=stale_floor_ms,
        )
        self.dirty: set[int] = set()

    def restore(self, rows: Mapping[bytes, bytes]) -> int:
        """Put back the stored state of sensors; return how many channels had one.

        Rows of channels that are no longer bound, or of another version, are passed by.
        """
        size = ROW.itemsize
        keys = self.channels.keys(range(len(self.channels)))
        found = [
            (channel, row)
            for channel, key in enumerate(keys)
            if len(row := rows.get(key.encode(), b"")) == size
        ]
        channels = np.array([channel for channel, _ in found], np.int32)
        self.occupancy.restore(channels, b"".join(row for _, row in found))
        return len(found)

    def expire(self, now_ms: int) -> None:
        """Clear what is older than it may get; about once a minute."""
        rows = self.presence.expire(now_ms)
        self.consent.release([row for row in rows if row < self.consent.rows])

    def change(self, person: Person, now_ms: int) -> None:
        """Take over the devices that a person has now; what others saw of them ends."""
        subject = self.consent.subject_of(person.subject)
        if subject is not None:
            self.presence.end(subject, self.consent.change(person), now_ms)

    def forget(self, person: Person) -> None:
        """Erase a person along the whole path: gate, presence, what waits."""
        subject = self.consent.subject_of(person.subject)
        if subject is not None:
            self.presence.forget(subject, self.consent.withdraw(person))


class Source:
    """One configured source of one tenant: its format, its sensors, its tally."""

    def __init__(
        self,
        *,
        name: str,
        tenant: Tenant,
        form: Format,
    ) -> None:
        self.name = name
        self.tenant = tenant
        self.form = form
        self.tally = Tally()
        self.channel: list[dict[str, int]] = [{} for _ in range(max(ReadingKind) + 1)]
        """Channels by kind, then by name."""
        self._rest_of: dict[str, tuple[int, ...]] = {}
        """Channels of a device below the device itself, where it has any."""
        for kind, known, channel in tenant.channels.of(name):
            self.channel[kind][known] = channel
            device, below, _ = known.partition("#")
            if below:
                self._rest_of[device] = (*self._rest_of.get(device, ()), channel)

    def channels_of(self, device: str) -> tuple[int, ...]:
        """Return every channel of a device."""
        own = (channels.get(device) for channels in self.channel)
        whole = [channel for channel in own if channel is not None]
        return (*whole, *self._rest_of.get(device, ()))


class Route:
    """Where the messages of one topic filter go.

    Args:
        source: Their source.
        topic_filter: As subscribed to; "" for a webhook.
    """

    __slots__ = ("_base", "_only", "source")

    def __init__(self, source: Source, topic_filter: str = "") -> None:
        self.source = source
        self._base = len(base_of(topic_filter))
        wild = "+" in topic_filter or "#" in topic_filter
        self._only = None if wild else topic_filter[self._base :]

    def rests(self, messages: Sequence[Message]) -> list[str]:
        """Return the topic of each message after the source's base."""
        if self._only is not None:
            return [self._only] * len(messages)
        base = self._base
        return [message.topic[base:] for message in messages]


_HEALTH = ReadingKind.HEALTH
_RETAINED = int(ReadingFlag.RETAINED)
"""By a name of the module: through its class a member costs 0.15 µs each time."""


class _Refusals:
    """Counts what is refused of a source, and remembers the last reason."""

    __slots__ = ("_tally", "reason")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.reason: str | None = None

    def __call__(self, error: Exception) -> None:
        self.reason = self._tally.refuse(error)


class _Part(NamedTuple):
    """Messages of one source, all replayed by the broker or none of them."""

    source: Source
    payloads: list[bytes]
    topics: list[str]
    retained: bool


class _Admitted(NamedTuple):
    """Records about people who opted in: all that is decoded of people. Columns."""

    source: Source
    device: list[int]
    records: list[Record]
    topics: list[str]


class _Anonymous(NamedTuple):
    """Records about no person. Columns."""

    source: Source
    records: Sequence[Record]
    topics: Sequence[str]
    retained: bool


class _Columns(NamedTuple):
    """Readings of sensor channels, in order of arrival."""

    channels: list[int]
    values: list[int]
    observed_ms: list[int]
    flags: list[int]


Routed: TypeAlias = "Mapping[Route, Sequence[Message]]"
"""The messages of a chunk, by where they go."""


class Pipeline:
    """Runs batches; `timed` takes a stage and the seconds that a batch spent in it."""

    def __init__(self, timed: Callable[[str, float], None]) -> None:
        self._timed = timed

    def run(self, routed: Routed, now_ms: int) -> str | None:
        """Take the messages of one chunk through every stage.

        Nothing a sender does raises here: what cannot be used is counted and dropped.

        Returns:
            Why a record was refused (the last, if several were) before it was known
            whom it is about, or because of a reading. What is refused later does not
            show: the sender must not learn from an answer who has opted in.
        """
        admitted: list[_Admitted] = []
        anonymous: list[_Anonymous] = []
        start = perf_counter()
        refused = [
            _decide(part, now_ms, admitted, anonymous) for part in _parts(routed)
        ]
        decided = perf_counter()
        placed = [_place(one, now_ms) for one in admitted]
        found = perf_counter()
        for source, fixes in placed:
            _settle(source, fixes, now_ms)
        settled = perf_counter()
        refused += [_count(one, now_ms) for one in anonymous]
        counted = perf_counter()
        self._timed("decide", decided - start)
        self._timed("place", found - decided)
        self._timed("settle", settled - found)
        self._timed("count", counted - settled)
        return next((reason for reason in reversed(refused) if reason), None)


def _parts(routed: Routed) -> Iterator[_Part]:
    """Take the messages apart into columns."""
    for route, messages in routed.items():
        kept = [message for message in messages if message.retain]
        live = [m for m in messages if not m.retain] if kept else messages
        # What was replayed is older than whatever is live.
        for chosen, retained in ((kept, True), (live, False)):
            if chosen:
                payloads = [message.payload for message in chosen]
                yield _Part(route.source, payloads, route.rests(chosen), retained)


def _decide(
    part: _Part, now_ms: int, admitted: list[_Admitted], anonymous: list[_Anonymous]
) -> str | None:
    """Decode identities alone, and keep only who opted in and what is nobody's.

    Returns:
        Why a record was refused, the last if several were.
    """
    source, payloads, topics, retained = part
    refuse = _Refusals(source.tally)
    records, whose, identities = _identify(
        source.form, payloads, topics, now_ms, refuse
    )
    if identities is None:
        anonymous.append(_Anonymous(source, records, whose, retained))
        return refuse.reason
    if retained:
        _refuse_people(identities, refuse)
    rows = source.tenant.consent.admit(identities)
    source.tally.add(Outcome.DISPOSED, rows.count(STRANGER))
    ours = [row >= 0 for row in rows]
    if any(ours):
        devices = [row for row in rows if row >= 0]
        kept, topics = list(compress(records, ours)), list(compress(whose, ours))
        admitted.append(_Admitted(source, devices, kept, topics))
    if NOBODY in rows:
        free = [row == NOBODY for row in rows]
        kept, topics = list(compress(records, free)), list(compress(whose, free))
        anonymous.append(_Anonymous(source, kept, topics, retained))
    return refuse.reason


def _identify(
    form: Format,
    payloads: Sequence[bytes],
    topics: Sequence[str],
    now_ms: int,
    refuse: _Refusals,
) -> tuple[Sequence[Record], Sequence[str], list[Identity | None] | None]:
    """Return the records, the topic of each, and who each is about.

    No identities: the format is about no person.
    """
    if form.quick is not None and form.fit(payloads):
        try:
            return payloads, topics, list(map(form.quick, payloads))
        except REFUSALS:
            pass  # at least one is not plain: all of them the long way
    records, whose = form.split(payloads, topics, refuse)
    if form.identify is None:
        return records, whose, None
    return records, whose, form.identify(records, whose, now_ms, refuse)


def _refuse_people(identities: list[Identity | None], refuse: _Refusals) -> None:
    """Take people out of what the broker replayed, whoever they are.

    It is of unknown age, and replayed at every connect: as "now" it would renew a
    location for ever.
    """
    for number, one in enumerate(identities):
        if one is not None and (one.login is not None or one.device is not None):
            refuse(BadTime())
            identities[number] = None


def _place(admitted: _Admitted, now_ms: int) -> tuple[Source, Fixes]:
    """Decode the rest of each record, and find where it is; its identity ends here."""
    source, devices, records, topics = admitted
    observe, tenant, refuse = source.form.observe, source.tenant, source.tally.refuse
    assert observe is not None  # noqa: S101 - it names people
    observations = observe(records, topics, now_ms, refuse)
    sightings = tenant.consent.sightings(devices, observations)
    return source, tenant.locator.place(sightings, refuse)


def _settle(source: Source, fixes: Fixes, now_ms: int) -> None:
    """Let the fixes move their subjects."""
    settled = source.tenant.presence.settle(fixes, now_ms)
    source.tally.add(Outcome.APPLIED, settled.applied)
    source.tally.add(Outcome.DUPLICATE, settled.duplicate)
    source.tally.add(Outcome.LATE, settled.late)


def _count(anonymous: _Anonymous, now_ms: int) -> str | None:
    """Decode readings and apply each to its channel; health is applied at once.

    So readings that came before an "offline" are applied before it, too: it voids them.

    Returns:
        Why a reading was refused, the last if several were.
    """
    source, records, topics, retained = anonymous
    if source.form.read is None:
        source.tally.add(Outcome.DISPOSED, len(records))
        return None
    refuse = _Refusals(source.tally)
    channels, values, observed_ms, flags = columns = _Columns([], [], [], [])
    channel_by_kind = source.channel
    for readings in source.form.read(records, topics, now_ms, refuse):
        if readings is None:
            continue
        bound = not readings
        for reading in readings:
            kind, name = reading.kind, reading.device
            if kind is _HEALTH:
                if not reading.value:
                    _apply(source, columns, now_ms, retained=retained)
                bound |= _set_health(source, reading, now_ms, retained=retained)
                continue
            if reading.channel:
                name = _name(name, reading.channel)
            channel = channel_by_kind[kind].get(name)
            if channel is not None:
                bound = True
                channels.append(channel)
                values.append(reading.value)
                observed_ms.append(reading.observed_at_ms)
                flags.append(reading.flags)
        if not bound:
            refuse(UnknownName())
    _apply(source, columns, now_ms, retained=retained)
    return refuse.reason


def _apply(source: Source, columns: _Columns, now_ms: int, *, retained: bool) -> None:
    """Apply readings, and empty their columns."""
    channels, values, observed_ms, flags = columns
    if not channels:
        return
    if retained:
        flags = [one | _RETAINED for one in flags]
    tenant = source.tenant
    applied = tenant.occupancy.apply(channels, values, observed_ms, flags, now_ms)
    tenant.dirty.update(applied.changed.tolist())
    source.tally.add(Outcome.APPLIED, applied.applied)
    source.tally.add(Outcome.DUPLICATE, applied.duplicate)
    source.tally.add(Outcome.LATE, applied.late)
    for column in columns:
        column.clear()


def _set_health(
    source: Source, reading: Reading, now_ms: int, *, retained: bool
) -> bool:
    """Take in that a device is on or off; return whether it is bound to a space."""
    channels = source.channels_of(reading.device)
    if channels:
        tenant = source.tenant
        changed = tenant.occupancy.set_online(
            channels,
            bool(reading.value),
            reading.observed_at_ms,
            now_ms,
            retained=retained or bool(reading.flags & _RETAINED),
        )
        tenant.dirty.update(changed.tolist())
        source.tally.add(Outcome.APPLIED if len(changed) else Outcome.DUPLICATE)
    return bool(channels)
