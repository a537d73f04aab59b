from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.errors import ConfigError
from engine.ingest.formats.profile.library import load_text
from engine.ingest.formats.wire import SENSOR_PAST_MS
from tests.ingest.formats.golden import NOW_MS
from tests.ingest.formats.profile.profiles import made

RULE = '\n[[rule]]\nreading = [{ kind = "health" }]'


def at_ms(clock: str, body: object) -> int:
    found = made(f'device = "d"\n{clock}{RULE}', body).readings
    assert found
    return found[0].observed_at_ms


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


S = NOW_MS // 1000 - 60


@pytest.mark.parametrize(
    ("spelling", "written", "read"),
    [
        ("auto", "2026-03-02T08:59:00.123456789Z", ms("2026-03-02T08:59:00.123")),
        ("auto", S, 1000 * S),
        ("auto", 1000 * S, 1000 * S),
        ("auto", str(S - 1), 1000 * S - 1000),
        ("auto", "2026-03-02T08:59:00", NOW_MS),
        ("rfc3339", "2026-03-02T09:59:00+01:00", ms("2026-03-02T08:59:00")),
        ("rfc3339", S, NOW_MS),
        ("rfc3339", str(S - 1), NOW_MS),
        ("epoch_s", S + 0.5, 1000 * S + 500),
        ("epoch_s", str(S - 1), 1000 * S - 1000),
        ("epoch_s", 1000 * S, NOW_MS),
        ("epoch_s", 0, NOW_MS),
        ("epoch_ms", 1000 * S, 1000 * S),
        ("epoch_ms", S, NOW_MS),
        ("epoch_ms", True, NOW_MS),
        ("auto", "0001-01-01T00:00:00Z", NOW_MS),
        ("auto", None, NOW_MS),
        ("auto", [S], NOW_MS),
        ("auto", 1, NOW_MS),
        ("epoch_s", 4_000_000_000, NOW_MS),
        ("epoch_s", 1_000_000_000, NOW_MS - SENSOR_PAST_MS),
    ],
)
def test_a_time_is_read_as_its_name_says_or_is_that_of_receipt(
    spelling: str, written: object, read: int
) -> None:
    assert at_ms(f'time = "t"\ntime_as = "{spelling}"', {"t": written}) == read


@pytest.mark.parametrize(
    ("clock", "body", "read"),
    [
        ('time_zone = "Europe/Zurich"', {"t": "2026-03-02T09:59:00"}, "08:59:00"),
        ('time_zone = "Europe/Zurich"', {"t": "2026/03/02 09:59:00"}, "08:59:00"),
        ('time_zone = "Europe/Zurich"', {"t": "20260302095900"}, "08:59:00"),
        ('time_zone = "Asia/Tokyo"', {"t": "2026-03-02 09:59:00+01:00"}, "08:59:00"),
        ('time_zone = "Europe/Zurich"', {"t": "soon"}, "09:00:00"),
        ('time_zone = "Europe/Zurich"', {"t": 20260302095900}, "09:00:00"),
        *[
            ('time_offset = "z"', {"t": "2026-03-02 16:59:00", "z": zone}, "08:59:00")
            for zone in ("UTC+8:00", "utc+08:00", "+8", "+0800", "GMT+8", 8, 8.0)
        ],
        ('time_offset = "z"', {"t": "2026-03-02 03:29", "z": "UTC-5:30"}, "08:59:00"),
        ('time_offset = "z"', {"t": "2026-03-02 16:59", "z": "UTC+99"}, "09:00:00"),
        ('time_offset = "z"', {"t": "2026-03-02 16:59", "z": "China"}, "09:00:00"),
        ('time_offset = "z"', {"t": "2026-03-02 16:59"}, "09:00:00"),
        (
            'time_offset = "z"\ntime_zone = "Europe/Zurich"',
            {"t": "2026-03-02 09:59"},
            "08:59:00",
        ),
    ],
)
def test_a_wall_clock_needs_a_zone_or_an_offset(
    clock: str, body: object, read: str
) -> None:
    text = f'time = "t"\ntime_as = "local"\n{clock}'
    assert at_ms(text, body) == ms(f"2026-03-02T{read}")


def test_the_first_usable_time_counts() -> None:
    text = 'time = ["a", "b", "c"]'
    body = {"a": "0001-01-01T00:00:00Z", "c": S, "b": None}
    assert at_ms(text, body) == 1000 * S


@pytest.mark.parametrize(
    ("clock", "problem"),
    [
        ('time = "t"\ntime_as = "local"', "needs time_zone"),
        ('time = "t"\ntime_zone = "Europe/Zurich"', 'need time_as = "local"'),
        ('time = "t"\ntime_as = "local"\ntime_zone = "Europe/Olten"', "Europe/Zurich"),
        ('time = "t"\ntime_as = "local"\ntime_zone = "../etc"', "no time zone"),
        ('time = "t"\ntime_as = "unix"', "must be one of"),
    ],
)
def test_a_clock_that_cannot_be_is_told(clock: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_text(f'about = "a"\n{clock}{RULE}', "p.toml")
