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

from engine.errors import BadTime, Implausible, UnknownName, UnknownValue
from engine.ingest.formats import REFUSALS
from engine.model import Outcome, ReadingFlag, ReadingKind
from engine.occupancy import Crossed, Flow
from engine.privacy.consent import NOBODY, STRANGER
from engine.tenant import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.ingest.formats import Format, Record
    from engine.model import Fixes, Identity, Reading
    from engine.source import Routed, Source, Tally


_COUNT = ReadingKind.COUNT
"""The last of the kinds that are applied in columns; the others are seldom."""
_OUTCOME = {
    Crossed.APPLIED: Outcome.APPLIED,
    Crossed.DUPLICATE: Outcome.DUPLICATE,
    Crossed.LATE: Outcome.LATE,
}
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


class _Known(NamedTuple):
    """Records, still encoded, and whose each of them is. Columns."""

    source: Source
    records: Sequence[Record]
    topics: Sequence[str]
    identities: list[Identity | None] | None
    """None: of a format about no person."""
    rows: list[int]
    """As the gate answered; empty without identities."""
    retained: bool
    refuse: _Refusals


class _Admitted(NamedTuple):
    """Records about people who opted in: all that is decoded of people. Columns."""

    source: Source
    device: list[int]
    records: list[Record]
    topics: list[str]
    named: list[bool]
    """Of a format that vouches for devices: which records name a login; else empty."""


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
        known = [_know(part, now_ms) for part in _parts(routed)]
        disowned = [_disown(one, now_ms) for one in known]
        if any(disowned):
            known = list(map(_ask, known))
        refused = [_decide(one, admitted, anonymous) for one in known]
        decided = perf_counter()
        placed = [_place(one, now_ms) for one in admitted]
        found = perf_counter()
        for source, fixes in placed:
            _settle(source, fixes, now_ms)
        anonymous = [_restart(one, now_ms, refused) for one in anonymous]
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


def _know(part: _Part, now_ms: int) -> _Known:
    """Decode identities alone, and ask whose records they are."""
    source, payloads, topics, retained = part
    source.tally.heard_ms = now_ms
    refuse = _Refusals(source.tally)
    records, whose, identities = _identify(
        source.form, payloads, topics, now_ms, refuse
    )
    if identities is not None and retained:
        _refuse_people(identities, refuse)
    return _ask(_Known(source, records, whose, identities, [], retained, refuse))


def _ask(known: _Known) -> _Known:
    """Ask the gate about the identities."""
    if known.identities is None:
        return known
    return known._replace(rows=known.source.tenant.consent.admit(known.identities))


def _disown(known: _Known, now_ms: int) -> bool:
    """Take devices from whom strangers were seen with them; return whether any was."""
    source, identities = known.source, known.identities
    if identities is None or not source.form.binds:
        return False
    return source.tenant.consent.disown(identities, known.rows, now_ms)


def _decide(
    known: _Known, admitted: list[_Admitted], anonymous: list[_Anonymous]
) -> str | None:
    """Keep only who opted in and what is nobody's.

    Returns:
        Why a record was refused, the last if several were.
    """
    source, records, whose, identities, rows, retained, refuse = known
    if identities is None:
        anonymous.append(_Anonymous(source, records, whose, retained))
        return refuse.reason
    source.tally.add(Outcome.DISPOSED, rows.count(STRANGER))
    ours = [row >= 0 for row in rows]
    if any(ours):
        devices = [row for row in rows if row >= 0]
        kept, topics = list(compress(records, ours)), list(compress(whose, ours))
        named: list[bool] = []
        if source.form.binds:
            named = [bool(one and one.login) for one in compress(identities, ours)]
        admitted.append(_Admitted(source, devices, kept, topics, named))
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
    source, devices, records, topics, named = admitted
    observe, tenant, refuse = source.form.observe, source.tenant, source.tally.refuse
    assert observe is not None  # noqa: S101 - it names people
    observations = observe(records, topics, now_ms, refuse)
    if any(named):
        vouched = list(compress(devices, named))
        tenant.consent.vouch(vouched, list(compress(observations, named)), now_ms)
    sightings = tenant.consent.sightings(devices, observations)
    fixes = tenant.locator.place(source.name, sightings, refuse)
    if len(fixes.device) < len(sightings.device):
        find = tenant.locator.find
        aps = (one.ap for one in sightings.observation)
        source.tally.strays.miss((ap for ap in aps if ap and not find(ap)), now_ms)
    return source, fixes


def _settle(source: Source, fixes: Fixes, now_ms: int) -> None:
    """Let the fixes move their subjects."""
    settled = source.tenant.presence.settle(fixes, now_ms)
    source.tally.add(Outcome.APPLIED, settled.applied)
    source.tally.add(Outcome.DUPLICATE, settled.duplicate)
    source.tally.add(Outcome.LATE, settled.late)


def _restart(
    anonymous: _Anonymous, now_ms: int, refused: list[str | None]
) -> _Anonymous:
    """Let access servers that restarted end what they reported; return the rest.

    What the broker replayed is of unknown age, and ends nothing.
    """
    source, records, topics, retained = anonymous
    if source.form.restart is None:
        return anonymous
    refuse = _Refusals(source.tally)
    left: list[Record] = []
    whose: list[str] = []
    for record, topic in zip(records, topics, strict=True):
        refuse.reason = None
        (restart,) = source.form.restart([record], [topic], now_ms, refuse)
        if restart is None:
            if refuse.reason is None:
                left.append(record)
                whose.append(topic)
        elif retained:
            refuse(BadTime())
        else:
            news = source.tenant.presence.restart(restart.nas, restart.observed_at_ms)
            source.tally.add(Outcome.APPLIED if news else Outcome.DUPLICATE)
        refused.append(refuse.reason)
    return _Anonymous(source, left, whose, retained)


def _count(anonymous: _Anonymous, now_ms: int) -> str | None:
    """Decode readings and apply each to its channel; health and flows at once.

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
            if kind > _COUNT:
                bound |= _take(source, reading, columns, now_ms, retained=retained)
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
            # Counted and listed, and not told to its sender: vendors give up receivers
            # that refuse, and the sensor beside it may be bound.
            source.tally.refuse(UnknownName())
            source.tally.strays.hear(readings, now_ms)
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


def _take(
    source: Source, reading: Reading, columns: _Columns, now_ms: int, *, retained: bool
) -> bool:
    """Take in a reading that is not of a space's state; return whether it is bound."""
    match reading.kind:
        case ReadingKind.FLOW_DELTA | ReadingKind.FLOW_TOTAL:
            return _cross(source, reading, now_ms, retained=retained)
        case ReadingKind.HEALTH:
            if reading.value <= 0:
                _apply(source, columns, now_ms, retained=retained)
            return _set_health(
                source, reading, reading.value, now_ms, retained=retained
            )
        case _:  # a door, or the air: no state by itself, but a device that lives
            name = name_of(reading.device, reading.channel)
            channel = source.channel[reading.kind].get(name)
            if channel is not None:
                columns.channels.append(channel)
                columns.values.append(reading.value)
                columns.observed_ms.append(reading.observed_at_ms)
                columns.flags.append(reading.flags)
            return _set_health(source, reading, 1, now_ms, retained=retained)


def _cross(source: Source, reading: Reading, now_ms: int, *, retained: bool) -> bool:
    """Let people have crossed a line; return whether it is bound to a space."""
    name = name_of(reading.device, reading.channel)
    channel = source.channel[ReadingKind.FLOW_DELTA].get(name)
    if channel is None:
        return False
    tenant = source.tenant
    flow = Flow(
        reading.kind,
        reading.value,
        reading.out,
        reading.bits,
        reading.observed_at_ms,
        reading.flags | _RETAINED if retained else reading.flags,
    )
    crossed = tenant.occupancy.cross(channel, flow, now_ms)
    if crossed is Crossed.IMPLAUSIBLE:
        # Counted, and not told to its sender: it would only send the same again.
        source.tally.refuse(Implausible())
    else:
        source.tally.add(_OUTCOME[crossed])
    if not flow.flags & _RETAINED:
        tenant.dirty.update((channel, tenant.occupancy.counter_of(channel)))
    return True


def _set_health(
    source: Source, reading: Reading, health: int, now_ms: int, *, retained: bool
) -> bool:
    """Take in how a device is; return whether it is bound to a space."""
    channels = source.channels_of(reading.device)
    if channels:
        tenant = source.tenant
        changed = tenant.occupancy.set_online(
            channels,
            health,
            reading.observed_at_ms,
            now_ms,
            retained=retained or bool(reading.flags & _RETAINED),
        )
        tenant.dirty.update(changed.tolist())
        source.tally.add(Outcome.APPLIED if len(changed) else Outcome.DUPLICATE)
    return bool(channels)
