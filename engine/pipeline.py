"""The path itself: five stages, each taking what the one before returns.

A plain function, with no await inside: no other task ever sees a batch half applied,
and nothing raw outlives the call. What it leaves behind is state (presence, occupancy)
and, for the committer, the numbers of the subjects and channels with news.

Each stage takes what a chunk brought for one source as columns: a call for each message
costs more than most of what is done to it.
"""

from __future__ import annotations

from itertools import compress
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import BadTime, UnknownName, UnknownValue
from engine.ingest.formats import REFUSALS
from engine.model import Outcome, ReadingFlag, ReadingKind
from engine.privacy.consent import NOBODY, STRANGER
from engine.tenant import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.ingest.formats import Format, Record
    from engine.model import Fixes, Identity, Reading
    from engine.source import Routed, Source, Tally


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
        reason = self._tally.refuse(error)
        if not isinstance(error, UnknownValue):  # the rest of its record was read
            self.reason = reason


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
                name = name_of(name, reading.channel)
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
