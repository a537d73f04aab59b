"""When a message was measured: the named spellings of time in profiles.

`wire` has the rules for time, and "auto" is all of them. The other names say less,
so that a counter is not taken for a time: "rfc3339" takes text alone, "epoch_s" and
"epoch_ms" numbers, "local" the sensor's own wall clock, of which the profile knows the
zone, or a field of the message the offset. A time before 2000 is none.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

from engine.ingest.formats.profile.path import MISSING, Flaw, Value, getter, listed
from engine.ingest.formats.profile.value import number
from engine.ingest.formats.wire import SENSIBLE_BELOW_MS, YEAR_2000_MS, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.ingest.formats.profile.language import When
    from engine.ingest.formats.profile.path import Get, Known, Names

Clock: TypeAlias = "Callable[[Value, Known], int | None]"
"""Takes the item and what is known; gives milliseconds, None for no usable time."""

_LONGEST = 40
_COMPACT = 14
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{1,2})(?::?([0-9]{2}))?", re.IGNORECASE)


def clock(when: When, names: Names) -> Clock | None:
    """Compile when something was measured; None where the profile does not say.

    Raises:
        Flaw: A path, a zone or a combination that cannot be used.
    """
    local = when.time_as == "local"
    if local == (when.time_zone is None and when.time_offset is None):
        raise Flaw(
            'time_as = "local" needs time_zone = "Europe/Zurich", or time_offset'
            if local
            else 'time_zone and time_offset need time_as = "local"'
        )
    if when.time is None:
        return None
    gets = [getter(path, names) for path in listed(when.time)]
    if local:
        return _local(gets, _zone(when), when.time_offset, names)
    read = {
        "auto": parse_time,
        "rfc3339": _text,
        "epoch_s": lambda value: _epoch(value, 1000),
        "epoch_ms": lambda value: _epoch(value, 1),
    }[when.time_as]
    return _first(gets, read)


def _first(gets: list[Get], read: Callable[[Value], int | None]) -> Clock:
    first = gets[0]

    def one(item: Value, known: Known) -> int | None:
        value = first(item, known)
        return read(value) if isinstance(value, str | int | float) else None

    def several(item: Value, known: Known) -> int | None:
        for get in gets:
            value = get(item, known)
            if isinstance(value, str | int | float):
                found = read(value)
                if found is not None:
                    return found
        return None

    return one if len(gets) == 1 else several


def _text(value: object) -> int | None:
    if isinstance(value, str) and not value[:_LONGEST].strip().isdecimal():
        return parse_time(value)
    return None


def _epoch(value: object, scale: int) -> int | None:
    found = number(value)
    if found is None or not YEAR_2000_MS <= found * scale < SENSIBLE_BELOW_MS:
        return None
    return int(found * scale)


def _zone(when: When) -> tzinfo | None:
    if when.time_zone is None:
        return None
    try:
        return ZoneInfo(when.time_zone)
    except (OSError, ValueError, KeyError):
        problem = f"there is no time zone {when.time_zone!r}"
        raise Flaw(f'{problem}: write one like "Europe/Zurich"') from None


def _local(
    gets: list[Get], zone: tzinfo | None, offset: str | None, names: Names
) -> Clock:
    offset_of = None if offset is None else getter(offset, names)

    def read(item: Value, known: Known) -> int | None:
        there = zone
        if offset_of is not None:
            there = _fixed(offset_of(item, known)) or zone
        if there is None:
            return None
        for get in gets:
            found = _wall(get(item, known), there)
            if found is not None:
                return found
        return None

    return read


def _fixed(offset: object) -> tzinfo | None:
    """Read "UTC+8:00", "+02:00", "-0330"; a number counts hours."""
    if offset is MISSING or isinstance(offset, bool):
        return None
    if isinstance(offset, int | float):
        hours, minutes, sign = abs(offset), 0.0, 1 if offset >= 0 else -1
    else:
        found = _OFFSET.fullmatch(str(offset)[:_LONGEST].strip())
        if found is None:
            return None
        sign = -1 if found[1] == "-" else 1
        hours, minutes = float(found[2]), float(found[3] or 0)
    if not hours + minutes / 60 < 24:  # noqa: PLR2004 - a day; also NaN
        return None
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def _wall(value: object, zone: tzinfo) -> int | None:
    """Read "2022/12/20 19:15:52", "2022-12-20T19:15:52" or "20221220191552"."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = value.strip().replace("/", "-")
    if len(text) == _COMPACT and text.isascii() and text.isdecimal():
        text = f"{text[:8]}T{text[8:]}"
    try:
        read = datetime.fromisoformat(text)
        # A time that has an offset of its own needs no other.
        moment = read if read.tzinfo else read.replace(tzinfo=zone)
        return parse_time(moment.timestamp())
    except (ValueError, OverflowError, OSError):
        return None
