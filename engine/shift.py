"""A format in another time: when a recording was made, and how to read it as of now.

Formats take the time of receipt as an argument and bound what they tell by it: nothing
is observed in the future, no reading is older than a week. So a recording has to be
read at its own time, which it does not always say. It can be found by asking: it is
where the bounds let the time of a record through.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.ingest.formats.wire import SENSOR_PAST_MS, YEAR_2000_MS
from engine.privacy.consent import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.ingest.formats import Format, Record
    from engine.ingest.formats.wire import Batch, Refuse
    from engine.model import Observation, Reading, Restart
    from engine.privacy.consent import Consent

T = TypeVar("T")
S = TypeVar("S", "Observation", "Reading", "Restart")

_DAY_MS = 86_400_000
_FAR_MS = 4_102_444_800_000
"""The year 2100: later than any time that a recording tells of."""


def shifted(form: Format, by_ms: int) -> Format:
    """Return a format that reads at an earlier time, and tells of this one.

    Args:
        form: The format.
        by_ms: What lies between the recording and now.
    """

    def then(batch: Batch[T], move: Callable[[T], T]) -> Batch[T]:
        def moved(
            records: Sequence[Record],
            topics: Sequence[str],
            now_ms: int,
            refuse: Refuse,
        ) -> list[T]:
            return [*map(move, batch(records, topics, now_ms - by_ms, refuse))]

        return moved

    def observation(seen: Observation | None) -> Observation | None:
        return None if seen is None else _later(seen, by_ms)

    def readings(found: Sequence[Reading] | None) -> Sequence[Reading] | None:
        return None if found is None else [_later(one, by_ms) for one in found]

    def restart(one: Restart | None) -> Restart | None:
        return None if one is None else _later(one, by_ms)

    observe, read, ends = form.observe, form.read, form.restart
    return dataclasses.replace(
        form,
        observe=None if observe is None else then(observe, observation),
        read=None if read is None else then(read, readings),
        restart=None if ends is None else then(ends, restart),
    )


def _later(one: S, by_ms: int) -> S:
    """Return the same at a later time."""
    at_ms = one.observed_at_ms + by_ms
    return msgspec.structs.replace(one, observed_at_ms=at_ms)


def newest_ms(
    form: Format,
    consent: Consent,
    payloads: Sequence[bytes],
    topics: Sequence[str],
    now_ms: int,
) -> int | None:
    """Return the newest time that messages tell of, None where they tell none.

    As on the path, identities are decoded alone, and the rest only of who shares.

    Args:
        form: The format.
        consent: The gate.
        payloads: The messages.
        topics: The topic of each after the source's base.
        now_ms: The time of the replay; what is later is no time of a recording.
    """
    if form.fresh is not None:
        form = form.fresh()  # what it remembers of this is not what the path brings
    newest = -1
    for payload, topic in zip(payloads, topics, strict=True):
        records, _ = form.split([payload], [topic], _pass_by)
        whole = [topic] * len(records)
        if form.identify is not None:
            rows = consent.admit(form.identify(records, whole, now_ms, _pass_by))
            pairs = list(zip(records, rows, strict=True))
            ours = [record for record, row in pairs if row >= 0]
            newest = max(newest, _seen_ms(form, ours, topic, now_ms))
            records = [record for record, row in pairs if row == NOBODY]
        if form.read is not None and records:
            at = partial(_read_ms, form.read, records, topic)
            newest = max(newest, _measured_ms(at, newest, now_ms))
    return newest if newest >= 0 else None


def _seen_ms(form: Format, records: Sequence[Record], topic: str, now_ms: int) -> int:
    """Return the newest time at which people were seen, -1 for none.

    Of people any time before that of receipt is told, and that itself where there is
    none: in the far future the two cannot be mistaken. A time without a year is of the
    year before its receipt, so what tells none then is asked again as of now.
    """
    if form.observe is None:
        return -1
    for received_ms in (_FAR_MS, now_ms):
        found = form.observe(records, [topic] * len(records), received_ms, _pass_by)
        times = [seen.observed_at_ms for seen in found if seen is not None]
        told = [time for time in times if time <= now_ms and time < received_ms]
        if told:
            return max(told)
    return -1


def _read_ms(
    read: Batch[Sequence[Reading] | None],
    records: Sequence[Record],
    topic: str,
    now_ms: int,
) -> int:
    """Return the newest time of readings that come now; now itself for none."""
    found = read(records, [topic] * len(records), now_ms, _pass_by)
    times = [one.observed_at_ms for some in found for one in some or ()]
    return max(times, default=now_ms)


def _measured_ms(at: Callable[[int], int], guess_ms: int, now_ms: int) -> int:
    """Return when a sensor measured, -1 where it does not say.

    Received before that, a reading is of the time of receipt; received long after, it
    is cut to `SENSOR_PAST_MS`; in between it is of its own time.

    Args:
        at: When the reading is of, by the time of receipt.
        guess_ms: Of the message before.
        now_ms: Later than any time that is looked for.
    """
    if at(now_ms) >= now_ms:
        return -1
    for received_ms in (now_ms, guess_ms + _DAY_MS):
        if received_ms - SENSOR_PAST_MS < at(received_ms) < received_ms:
            return at(received_ms)
    before, after = YEAR_2000_MS, now_ms
    while after - before > 1:
        middle = (before + after) // 2
        if at(middle) < middle:
            after = middle
        else:
            before = middle
    return at(after)


def _pass_by(_: Exception) -> None:
    """Count nothing: the path itself will."""
