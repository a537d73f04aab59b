"""What all formats share: records in batches, bounds of numbers, the rules for time.

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
  older than a week becomes a week old: too old to prove anything, and bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Final, TypeAlias, TypeVar

import msgspec

from engine.errors import BadTime, InputError, Malformed, TooLarge
from engine.model import ReadingFlag, ReadingKind
from engine.spelling import canonical_ap

Record: TypeAlias = bytes | memoryview | msgspec.Raw
"""One record of a message, still encoded."""

T = TypeVar("T")

Refuse: TypeAlias = Callable[[Exception], object]
"""Counts a record that is refused; it is called with one of `REFUSALS`."""

Batch: TypeAlias = Callable[[Sequence[Record], Sequence[str], int, Refuse], list[T]]
"""A function of a format: takes records, the topic of each after the source's base, the
time of receipt and `Refuse`; gives one thing for each record, None where it is refused
or says nothing."""

REFUSALS: Final[tuple[type[Exception], ...]] = (
    InputError,
    msgspec.DecodeError,  # also ValidationError, which is one
    RecursionError,  # too deep; msgspec passes the interpreter's own error on
    UnicodeDecodeError,  # text that is not UTF-8; msgspec passes this on, too
)
"""Everything that a function of a format may refuse with, whatever the bytes are."""

SourceTime: TypeAlias = int | float | str | None
"""A time as sources write it."""

MAX_COUNT = 1_000_000
"""The largest count or number of pulses of one sensor that can be meant."""

MAX_FLOW = 1 << 53
"""The largest count of a counter that never begins anew."""

MAX_ENV = 1 << 53
"""The largest amount of thousandths of a unit; beyond it a float is not exact."""

FUTURE_MS = 120_000
"""How far a source's clock may be ahead where the record is about a person."""

SENSOR_FUTURE_MS = 5_000
"""How far a source's clock may be ahead where the record is about a sensor."""

SENSOR_PAST_MS = 7 * 86_400_000
"""The greatest age of a reading: beyond it one is as stale as the other. It is longer
than any channel lives (`occupancy`: 26 hours), so that cutting it revives none."""

MAX_NAME = 253
"""Characters of the name of an access point, floor or session; octets of a RADIUS
attribute. What is remembered of names has a bound."""

MAX_RECORDS = 10_000
"""Records that one message may hold."""

MONTHS = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
"""As programs write them, whatever the language of their users; in lower case."""

FEET = 0.3048
"""Metres."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_read_time = datetime.fromisoformat
_DAY_MS = 86_400_000
_YEAR_2000_DAYS = 10_957
YEAR_2000_MS = 946_684_800_000
_SECONDS_BELOW = 100_000_000_000
SENSIBLE_BELOW_MS = 100_000_000_000_000
"""The year 5138; no rule, only what the short way covers."""

_LONGEST_TIME = 40
"""Characters; a longer text is no time, and no work is done on it."""

_LONGEST_NUMBER = 40
"""Characters; a longer text is no number."""

# Naming a member by way of its enum is a Python call on 3.11: 0.15 µs each time.
PRESENCE = ReadingKind.PRESENCE
MOTION = ReadingKind.MOTION
COUNT = ReadingKind.COUNT
HEALTH = ReadingKind.HEALTH
CONTACT = ReadingKind.CONTACT
ENV = ReadingKind.ENV
CACHED = ReadingFlag.CACHED


def each(one: Callable[[Record, str, int], T | None]) -> Batch[T | None]:
    """Return the batch function that calls `one` for each record.

    Args:
        one: Takes a record, its topic after the source's base and the time of receipt;
            may raise any of `REFUSALS`.
    """

    def batch(
        records: Sequence[Record], topics: Sequence[str], now_ms: int, refuse: Refuse
    ) -> list[T | None]:
        found: list[T | None] = []
        for record, topic in zip(records, topics, strict=True):
            try:
                found.append(one(record, topic, now_ms))
            except REFUSALS as error:
                refuse(error)
                found.append(None)
        return found

    return batch


class Labelled(msgspec.Struct, array_like=True, gc=False):
    """A record as it stands in a message, behind what the message says of it.

    Attributes:
        label: The kind of the record.
        raw: The record, still encoded.
    """

    label: str
    raw: msgspec.Raw


_COMMAS = 50 * MAX_RECORDS
"""An array has no more items than commas, and a record seldom more than fifty: beyond
this, cutting it apart would take more memory and time than any message is worth."""

_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_labelled = msgspec.json.Decoder(Labelled).decode
_label = msgspec.json.Encoder().encode


def items_of(array: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Return the items of a JSON array, still encoded.

    Raises:
        TooLarge: More than `MAX_RECORDS`.
    """
    array = bytes(array)  # a Raw is a buffer, whatever its type says
    items = _items(array) if array.count(b",") <= _COMMAS else None
    if items is None or len(items) > MAX_RECORDS:
        raise TooLarge(f"a message holds at most {MAX_RECORDS} records")
    return items


def labelled(label: str, raws: Sequence[bytes]) -> list[Record]:
    """Return records in JSON, each behind the label that their message gives them.

    So `identify` of a batch can know what kind of record it has before it.
    """
    head = b"[" + _label(label) + b","
    return [b"".join((head, raw, b"]")) for raw in raws]


def unlabelled(record: Record) -> Labelled:
    """Return what `labelled` put together; decodes nothing but the label."""
    return _labelled(record)


def name_of(text: str | None, what: str) -> str:
    """Return the name of something fixed, without blanks around it.

    Args:
        text: As the source has it.
        what: What the name stands for: "an access point".

    Raises:
        Malformed: Nothing, or longer than `MAX_NAME`.
    """
    name = (text or "").strip()
    if not name:
        raise Malformed(f"the record does not name {what}")
    if len(name) > MAX_NAME:
        raise Malformed(f"the name of {what} has at most {MAX_NAME} characters")
    return name


def ap_of(name: str | None) -> str:
    """Return the canonical name of an access point.

    Raises:
        Malformed: Nothing, or longer than `MAX_NAME`.
    """
    return canonical_ap(name_of(name, "an access point"))


_NOBODY = frozenset({"", "anonymous", "anon"})
_ADDRESS = re.compile(r"[0-9a-f]{2}(?:[:.-]?[0-9a-f]{2}){5}")


def login_of(user: str | None) -> str | None:
    """Return the login that a source says authenticated; None where it is no person's.

    Machines (`host/…`, `…$`), addresses (MAC authentication) and the anonymous outer
    identity of EAP (`anonymous@realm`, `@realm`) are never a person: the device alone
    then speaks. Nothing here may keep the text: it may be that of a bystander.
    """
    if not user:
        return None
    local = user.strip().lower().rpartition("\\")[2].partition("@")[0]
    if local in _NOBODY or local.endswith("$") or local.startswith("host/"):
        return None
    return None if _ADDRESS.fullmatch(local) else user


def blur_of(observed_ms: int) -> int:
    """Return how much later it may have been: 999 ms of a time in whole seconds."""
    return 0 if observed_ms % 1000 else 999


def plain(value: float | None) -> Sequence[tuple[ReadingKind, int]]:
    """Return what a value can mean of which its source does not say what it measures.

    That is a kind and a value for each reading which its type allows; the binding of
    the sensor says which of them is meant, and the others find no channel.

    Args:
        value: A boolean is presence, motion, or a door that is open; a whole number is
            people, pulses, or (0 and 1) presence. None is unknown, and so is a number
            below 0 or over `MAX_COUNT`; one with decimals is nothing, as nobody says
            its unit.
    """
    if value is None:
        return ((PRESENCE, -1), (COUNT, -1), (CONTACT, -1))
    if isinstance(value, bool):
        return ((PRESENCE, int(value)), (MOTION, int(value)), (CONTACT, int(value)))
    if not 0 <= value <= MAX_COUNT:  # so that NaN is unknown, too
        return ((PRESENCE, -1), (COUNT, -1))
    number = int(value)
    if number != value:
        return ()
    present = number if number <= 1 else -1
    return ((PRESENCE, present), (COUNT, number), (MOTION, number))


def thousandths(value: float) -> int | None:
    """Return the value of an ENV reading, None for a number that cannot be meant."""
    # Written so that NaN is refused, too.
    return round(value * 1000) if -MAX_ENV <= value * 1000 <= MAX_ENV else None


def parse_time(value: SourceTime) -> int | None:
    """Return a source's time in milliseconds, or None where there is no usable one."""
    if value is None:
        return None
    # What busy sources send goes first: whole milliseconds, then text.
    if value.__class__ is int and YEAR_2000_MS <= value < SENSIBLE_BELOW_MS:
        return value
    return _parse_text(value) if isinstance(value, str) else _from_number(value)


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


def observed_of(now_ms: int, *times: SourceTime) -> tuple[int, int]:
    """Return when a person was observed, and how much later it may have been.

    Args:
        now_ms: The time of receipt.
        times: As the source has them; the first that can be read is meant.

    Raises:
        BadTime: None can be read, or it is too far ahead.
    """
    for time in times:
        observed_ms = parse_time(time)
        if observed_ms is not None:
            return person_time(observed_ms, now_ms), blur_of(observed_ms)
    raise BadTime("the record has no time")


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


def number_of(value: float | str | None) -> float | None:
    """Return a number that may be written as text; None for NaN and all other text."""
    if isinstance(value, str):
        # float() also reads "1_0"; and no work is done on a long text.
        if len(value) > _LONGEST_NUMBER or "_" in value:
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    return value if value is not None and isfinite(value) else None


def radius_of(value: float | str | None, metres: float = 1.0) -> float:
    """Return a radius in metres, negative where there is none.

    Args:
        value: As a source writes it; 0 is none.
        metres: Length of its unit.
    """
    radius = number_of(value)
    return -1.0 if radius is None or radius <= 0 else radius * metres


def _parse_text(text: str) -> int | None:
    try:
        # A time without an offset cannot be subtracted from one with.
        since = _read_time(text) - _EPOCH
    except (ValueError, TypeError):
        return _parse_loose(text)
    if since.days < _YEAR_2000_DAYS:
        return None
    # In whole numbers, as timestamp() would round.
    return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000


def _parse_loose(text: str) -> int | None:
    """Read a number in digits, or a time with blanks around it."""
    bare = text[: 2 * _LONGEST_TIME].strip()
    if not bare or len(bare) > _LONGEST_TIME:
        return None
    # float() also reads "nan", "inf" and "1_0": only digits may get there.
    if bare.replace(".", "", 1).isdecimal():
        return _from_number(float(bare))
    return _parse_text(bare) if bare != text else None


def _from_number(value: float) -> int | None:
    # Written so that NaN, which msgpack can carry, is no time; so is infinity.
    scale = 1000 if value < _SECONDS_BELOW else 1
    if not YEAR_2000_MS <= value * scale < float("inf"):
        return None
    return int(value * scale)
