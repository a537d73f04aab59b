from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime
from engine.ingest.formats.wire import (
    FUTURE_MS,
    SENSOR_FUTURE_MS,
    SENSOR_PAST_MS,
    SourceTime,
    parse_time,
    person_time,
    sensor_time,
)
from tests.ingest.formats.golden import NOW_MS


@pytest.mark.parametrize(
    ("written", "observed_ms"),
    [
        (1_772_442_000, NOW_MS),
        (1_772_442_000_000, NOW_MS),
        (1_772_442_000.25, NOW_MS + 250),
        (1_772_442_000_000.75, NOW_MS),
        ("1772442000", NOW_MS),
        ("1772442000000", NOW_MS),
        (" 1772442000.5 ", NOW_MS + 500),
        ("2026-03-02T09:00:00Z", NOW_MS),
        ("2026-03-02T10:00:00+01:00", NOW_MS),
        ("2026-03-02T10:00:00.000+0100", NOW_MS),
        ("2026-03-02 04:00:00-05:00", NOW_MS),
        ("2026-03-02T09:00:00.123456789Z", NOW_MS + 123),
        ("2026-03-02T09:00:00.5Z", NOW_MS + 500),
        (946_684_800, 946_684_800_000),
        ("2000-01-01T00:00:00Z", 946_684_800_000),
    ],
    ids=repr,
)
def test_a_time_is_read_however_it_is_written(
    written: SourceTime, observed_ms: int
) -> None:
    assert parse_time(written) == observed_ms


@pytest.mark.parametrize(
    "written",
    [
        None,
        0,
        -1,
        946_684_799,
        1e11,  # as milliseconds: 1973
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        "NaN",
        "inf",
        "1_772_442_000",
        "1772442000" * 5,
        "9" * 5000,
        "²",
        "٤",
        "now",
        "1999-12-31T23:59:59Z",
        "2026-03-02T09:00:00",  # whose nine o'clock?
        "2026-03-02",
        "2026-02-30T09:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "Mar 2 2026 09:00:00 UTC",
    ],
    ids=repr,
)
def test_what_is_no_usable_time_is_none(written: SourceTime) -> None:
    assert parse_time(written) is None


@given(st.one_of(st.none(), st.integers(), st.floats(), st.text()))
def test_whatever_is_written_is_a_time_after_2000_or_none(written: SourceTime) -> None:
    observed_ms = parse_time(written)
    assert observed_ms is None or observed_ms >= 946_684_800_000


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1)),  # noqa: DTZ001 - bounds are naive
    st.integers(-14 * 60, 14 * 60),
)
def test_every_spelling_of_an_instant_is_the_same_time(
    instant: datetime, offset_min: int
) -> None:
    utc = instant.replace(tzinfo=UTC, microsecond=instant.microsecond // 1000 * 1000)
    sign = "-" if offset_min < 0 else "+"
    hours, minutes = divmod(abs(offset_min), 60)
    local = datetime.fromtimestamp(utc.timestamp() + offset_min * 60, UTC)
    text = f"{local:%Y-%m-%dT%H:%M:%S.%f}{sign}{hours:02}:{minutes:02}"
    observed_ms = round(utc.timestamp() * 1000)
    assert parse_time(text) == observed_ms
    assert parse_time(utc.isoformat()) == observed_ms
    assert parse_time(observed_ms) == observed_ms
    assert parse_time(str(observed_ms)) == observed_ms
    assert parse_time(observed_ms // 1000) == observed_ms // 1000 * 1000


def test_a_future_time_can_never_pin_a_location() -> None:
    assert FUTURE_MS == 120_000
    assert person_time(NOW_MS + FUTURE_MS, NOW_MS) == NOW_MS
    assert person_time(NOW_MS + 1, NOW_MS) == NOW_MS
    with pytest.raises(BadTime):
        person_time(NOW_MS + FUTURE_MS + 1, NOW_MS)


@pytest.mark.parametrize("age_ms", [0, 1, 90_000_000, NOW_MS - 946_684_800_000])
def test_a_person_was_observed_when_the_source_says_however_long_ago(
    age_ms: int,
) -> None:
    assert person_time(NOW_MS - age_ms, NOW_MS) == NOW_MS - age_ms


@pytest.mark.parametrize(
    ("written_ms", "observed_ms"),
    [
        (None, NOW_MS),
        (NOW_MS - 1, NOW_MS - 1),
        (NOW_MS + SENSOR_FUTURE_MS, NOW_MS + SENSOR_FUTURE_MS),
        (NOW_MS + SENSOR_FUTURE_MS + 1, NOW_MS),
        (NOW_MS - SENSOR_PAST_MS, NOW_MS - SENSOR_PAST_MS),
        (NOW_MS - SENSOR_PAST_MS - 1, NOW_MS - SENSOR_PAST_MS),
        (NOW_MS - 10 * SENSOR_PAST_MS, NOW_MS - SENSOR_PAST_MS),
    ],
)
def test_a_sensor_measured_at_a_time_that_can_be_true(
    written_ms: int | None, observed_ms: int
) -> None:
    assert sensor_time(written_ms, NOW_MS) == observed_ms
