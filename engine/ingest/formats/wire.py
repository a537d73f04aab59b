"""What all formats share: a record, bounds of numbers, and the rules for time.

The time rules, in one place because each of them is easy to get wrong:

- A source writes RFC 3339 (any number of decimals, any offset, `Z`), or a number since
  1970 in seconds or milliseconds, as a number or as text. Below 10¹¹ a number counts
  seconds (that is until the year 5138; as milliseconds it would be early 1973).
- A time without an offset is no time: which zone it means cannot be known.
- A year before 2000 is no time: a clock that was never set, or a zero for "none".
- About a person, up to two minutes ahead is the difference of two clocks and becomes
  the time of receipt; more is refused, or a wrong clock would pin a location that
  nothing newer can replace. However old it is, the true time is passed on.
- About a sensor, more than five seconds ahead becomes the time of receipt, and what is
  older than a day becomes a day old: too old to prove anything, and bounded.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from engine.errors import BadTime
from engine.model import ReadingFlag, ReadingKind

Record: TypeAlias = bytes | memoryview | msgspec.Raw
"""One record of a message, still encoded."""

SourceTime: TypeAlias = int | float | str | None
"""A time as sources write it."""

MAX_COUNT = 1_000_000
"""The largest count or number of pulses of one sensor that can be meant."""

FUTURE_MS = 120_000
"""How far a source's clock may be ahead where the record is about a person."""

SENSOR_FUTURE_MS = 5_000
"""How far a source's clock may be ahead where the record is about a sensor."""

SENSOR_PAST_MS = 7 * 86_400_000
"""The greatest age of a reading: beyond it one is as stale as the other. It is longer
than any channel lives (`occupancy`: 26 hours), so that cutting it revives none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_YEAR_2000_MS = 946_684_800_000
_SECONDS_BELOW = 100_000_000_000
_SENSIBLE_BELOW_MS = 100_000_000_000_000
"""The year 5138; no rule, only what the short way covers."""

_LONGEST_TIME = 40
"""Characters; a longer text is no time, and no work is done on it."""

# Naming a member by way of its enum is a Python call on 3.11: 0.15 µs each time.
PRESENCE = ReadingKind.PRESENCE
MOTION = ReadingKind.MOTION
COUNT = ReadingKind.COUNT
HEALTH = ReadingKind.HEALTH
CACHED = ReadingFlag.CACHED


def parse_time(value: SourceTime) -> int | None:
    """Return a source's time in milliseconds, or None where there is no usable one."""
    if value is None:
        return None
    if isinstance(value, str):
        return _parse_text(value)
    # Milliseconds as a whole number are what a busy source sends: they go first.
    if _YEAR_2000_MS <= value < _SENSIBLE_BELOW_MS and isinstance(value, int):
        return value
    return _from_number(value)


def person_time(observed_ms: int, now_ms: int) -> int:
    """Return when a person was observed, never later than now.

    Raises:
        BadTime: More than `FUTURE_MS` ahead.
    """
    if observed_ms <= now_ms:
        return observed_ms
    if observed_ms - now_ms > FUTURE_MS:
        raise BadTime("the time of observation is in the future")
    return now_ms


def sensor_time(observed_ms: int | None, now_ms: int) -> int:
    """Return when a sensor measured: the time of receipt where nothing better is known.

    Returns:
        Between `now_ms` less `SENSOR_PAST_MS` and `now_ms` + `SENSOR_FUTURE_MS`.
    """
    if observed_ms is None or observed_ms > now_ms + SENSOR_FUTURE_MS:
        return now_ms
    if observed_ms < now_ms - SENSOR_PAST_MS:
        return now_ms - SENSOR_PAST_MS
    return observed_ms


def _parse_text(text: str) -> int | None:
    text = text.strip()
    if not text or len(text) > _LONGEST_TIME:
        return None
    try:
        # float() also reads "nan", "inf" and "1_0": only digits may get there.
        if text[4:5] != "-" and text.replace(".", "", 1).isdecimal():
            return _from_number(float(text))
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    since = moment - _EPOCH  # in whole numbers: timestamp() would round
    observed_ms = (
        since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
    )
    return observed_ms if observed_ms >= _YEAR_2000_MS else None


def _from_number(value: float) -> int | None:
    # Written so that NaN, which msgpack can carry, is no time; so is infinity.
    scale = 1000 if value < _SECONDS_BELOW else 1
    if not _YEAR_2000_MS <= value * scale < float("inf"):
        return None
    return int(value * scale)
