"""ChirpStack v4 by hand: the yardstick that profiles are compared with.

It reads what the profile `chirpstack4` read when it was written, and was the format
until then. Only `bench_profiles.py` and the floor of `load_ingest.py` use it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from engine.errors import Malformed
from engine.ingest.formats.wire import (
    COUNT,
    HEALTH,
    MAX_COUNT,
    MOTION,
    PRESENCE,
    Record,
    parse_time,
    sensor_time,
)
from engine.model import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.model import ReadingKind

MAX_BYTES = 1 << 18
"""An uplink heard by a hundred gateways has some 60 KB."""

MAX_REGIONS = 99


class _DeviceInfo(msgspec.Struct, rename="camel", gc=False):
    dev_eui: str


class _Event(msgspec.Struct, rename="camel"):
    device_info: _DeviceInfo
    time: str | None = None
    object: dict[str, Any] | None = None
    data: str | None = None
    f_port: int | None = None
    margin: int | None = None
    code: str | None = None


_decode = msgspec.json.Decoder(_Event).decode
_EVENTS = frozenset(
    {"up", "status", "log", "join", "ack", "txack", "location", "integration"}
)

_PRESENCE_TEXT: Final = {"occupied": 1, "vacant": 0, "unoccupied": 0}
_ELSYS: Final = {0: 0, 2: 1}
_FLAG: Final = {0: 0, 1: 1}
_PIR_TEXT: Final = {"trigger": 1, "idle": 0, "normal": 0}
_REGION = re.compile(r"(region_[0-9]{1,2})(_count)?")
_NOT_IN_USE = ("disable", "disabled", 0)


def read(record: Record, topic: str, now_ms: int) -> Sequence[Reading]:
    """Return what an event says of the device's channels, or that it is alive.

    Raises:
        Malformed: No device.
    """
    event = _decode(record)
    device = event.device_info.dev_eui.strip().lower()
    if not device:
        raise Malformed('"devEui" names no device')
    if topic.endswith("/up"):
        name = "up"
    else:
        name = topic.rpartition("/")[2]
        if name not in _EVENTS:
            name = _name_of(event)
    at_ms = sensor_time(parse_time(event.time), now_ms)
    if name == "up" and event.object:
        found = _measured(device, at_ms, event.object)
        if found:
            return found
    alive = name in ("up", "status") or (name == "log" and event.code == "UPLINK_CODEC")
    return (Reading(device, HEALTH, 1, at_ms),) if alive else ()


def _name_of(event: _Event) -> str:
    """Return which event this must be; "" where no rule tells."""
    if event.code is not None:
        return "log"
    if event.margin is not None:
        return "status"
    fields = (event.object, event.data, event.f_port)
    return "up" if any(field is not None for field in fields) else ""


def _measured(device: str, at_ms: int, fields: dict[str, Any]) -> list[Reading]:
    """Return a reading for each field that is known."""
    found = []
    for name, value in fields.items():
        known = _FIELDS.get(name)
        if known is not None:
            kind, meaning = known
            number = meaning(value)
            if number is not None:
                found.append(Reading(device, kind, number, at_ms))
        elif name.startswith("region"):
            regions = _regions(name, value, fields)
            found += [Reading(device, kind, n, at_ms, c) for c, kind, n in regions]
    return found


def _regions(
    name: str, value: object, fields: dict[str, Any]
) -> Iterator[tuple[str, ReadingKind, int]]:
    """Yield channel, kind and value of what a field says of regions."""
    if name == "regions":
        yield from _listed_regions(value)
        return
    known = _REGION.fullmatch(name)
    if known is None:
        return
    channel, is_count = known.groups()
    if fields.get(f"{channel}_enable") in _NOT_IN_USE:
        return
    if is_count:
        yield channel, COUNT, _count(value)
    else:
        yield channel, PRESENCE, _presence(value, _FLAG)


def _listed_regions(regions: object) -> Iterator[tuple[str, ReadingKind, int]]:
    if not isinstance(regions, list):
        return
    for region in regions[:MAX_REGIONS]:
        if not isinstance(region, dict):
            continue
        index = _count(region.get("index"))
        if 0 <= index < MAX_REGIONS:
            vacant = _count(region.get("count")) == 0
            yield f"region_{index + 1}", PRESENCE, 0 if vacant else -1


def _occupancy(value: object) -> int:
    if value.__class__ is str and value in _PRESENCE_TEXT:  # what most codecs write
        return _PRESENCE_TEXT[value]
    return _presence(value, _ELSYS)


def _presence(value: object, numbers: dict[int, int]) -> int:
    """Return 1, 0 or, for everything that is not plainly one of them, -1."""
    if isinstance(value, str):
        return _PRESENCE_TEXT.get(value.lower(), -1)
    if isinstance(value, bool):
        return int(value)
    number = _number(value)
    return -1 if number is None else numbers.get(number, -1)


def _count(value: object) -> int:
    """Return a whole number of people, -1 for everything that is none."""
    number = None if isinstance(value, bool) else _number(value)
    return -1 if number is None or not 0 <= number <= MAX_COUNT else number


def _pulses(value: object) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return _PIR_TEXT.get(value.lower())
    number = _number(value)
    # However many pulses a faulty device claims, that something moved remains true.
    return None if number is None or number < 0 else min(number, MAX_COUNT)


def _number(value: object) -> int | None:
    """Return a whole number, however it is written; None for everything else."""
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


_FIELDS: Final[dict[str, tuple[ReadingKind, Callable[[object], int | None]]]] = {
    "occupancy": (PRESENCE, _occupancy),
    "people_count_all": (COUNT, _count),
    "people_counter_all": (COUNT, _count),
    "people_total_counts": (COUNT, _count),
    "pir": (MOTION, _pulses),
    "motion": (MOTION, _pulses),
}
