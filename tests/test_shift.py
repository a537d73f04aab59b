from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.ingest.formats import FORMATS
from engine.privacy.consent import NOBODY, STRANGER
from engine.shift import newest_ms, shifted
from tests.ingest.formats.golden import GOLDEN, Sample, meaning_of
from tests.ingest.formats.golden import told as having_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model import Identity

NOW_MS = 1_792_580_400_000
YEAR_MS = 31_536_000_000
YEARLESS = "hostapd/syslog"
KINDS = ("observations", "readings", "restarts")

every = pytest.mark.parametrize("sample", GOLDEN, ids=lambda sample: sample.name)


class Everybody:
    """A gate at which everybody shares, or nobody does."""

    def __init__(self, *, shares: bool = True) -> None:
        self._row = 0 if shares else STRANGER

    def admit(self, identities: Sequence[Identity | None]) -> list[int]:
        return [
            NOBODY if one is not None and one.login is one.device is None else self._row
            for one in identities
        ]


def newest(sample: Sample) -> int | None:
    gate: Any = Everybody()
    return newest_ms(sample.format, gate, [sample.payload], [sample.topic], NOW_MS)


def times(meaning: dict[str, Any]) -> list[int]:
    return [one["observed_at_ms"] for kind in KINDS for one in meaning.get(kind, [])]


@every
def test_a_shifted_format_reads_then_and_tells_of_now(sample: Sample) -> None:
    form = shifted(having_read(sample), YEAR_MS)
    here = (sample.payload, sample.topic)
    plain = meaning_of(having_read(sample), *here, sample.now_ms)
    moved = meaning_of(form, *here, sample.now_ms + YEAR_MS)

    assert times(moved) == [time + YEAR_MS for time in times(plain)]
    for kind in KINDS:
        for one in (*plain.get(kind, []), *moved.get(kind, [])):
            del one["observed_at_ms"]
    assert moved == plain


@every
def test_the_newest_time_is_found_however_long_ago(sample: Sample) -> None:
    later = meaning_of(
        sample.format, sample.payload, sample.topic, sample.now_ms + 1000
    )
    told = times(sample.meaning | {"restarts": []})  # nobody is seen by a restart
    if sample.name == YEARLESS or sample.before:
        return  # of the nearest year, which is another now; or one message of several
    if told and told == times(
        later | {"restarts": []}
    ):  # else something follows the time of receipt
        assert newest(sample) == max(told)


def test_a_time_without_a_year_is_found_within_half_of_one() -> None:
    (sample,) = (one for one in GOLDEN if one.name == YEARLESS)
    soon_ms = sample.now_ms + YEAR_MS // 3
    gate: Any = Everybody()
    found = newest_ms(sample.format, gate, [sample.payload], [sample.topic], soon_ms)
    assert found == max(times(sample.meaning))


def test_some_samples_have_a_time_of_their_own() -> None:
    assert sum(newest(sample) is not None for sample in GOLDEN) >= 5


def test_nothing_is_decoded_of_who_does_not_share() -> None:
    def watch(*_: object) -> list[None]:
        raise AssertionError

    form = FORMATS["radius"]
    nobody: Any = Everybody(shares=False)
    watched = type(form)(
        form.name, form.max_bytes, identify=form.identify, observe=watched_only(watch)
    )
    body = b'{"User-Name": "eve", "Event-Timestamp": 1600000000}'
    assert newest_ms(watched, nobody, [body], [""], NOW_MS) is None


def watched_only(watch: Any) -> Any:  # noqa: ANN401 - a fake
    """Return a batch function that may be called with no records alone."""

    def observe(records: Sequence[object], *_: object) -> list[None]:
        return watch() if records else []

    return observe


def test_of_many_messages_the_newest_counts_in_any_order() -> None:
    form = FORMATS["livefloor"]
    at = [NOW_MS - days * 86_400_000 for days in (900, 3, 400, 8, 2_000)]
    payloads = [b'{"sensor": "a", "count": 1, "at": %d}' % one for one in at]
    payloads += [b'{"sensor": "a", "count": 1}', b"{}", b"["]
    topics = [""] * len(payloads)
    gate: Any = Everybody()

    assert newest_ms(form, gate, payloads, topics, NOW_MS) == max(at)
    payloads.reverse()
    assert newest_ms(form, gate, payloads, topics, NOW_MS) == max(at)


def test_a_recording_without_times_has_none() -> None:
    gate: Any = Everybody()
    payloads = [b'{"sensor": "a", "count": 1}', b'{"login": "a", "ap": "b"}']
    assert newest_ms(FORMATS["livefloor"], gate, payloads, ["", ""], NOW_MS) is None
