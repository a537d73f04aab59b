"""What happens on a day: steps of people, associations of devices, sensor reports."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias


class Step(NamedTuple):
    """A person comes to a place, sets out (`WALKING`) or leaves (`AWAY`)."""

    at_s: float
    person: int
    place: int


class Link(IntEnum):
    """What a controller tells of a device."""

    JOINED = 1
    STILL = 2
    LEFT = 3


class Radio(NamedTuple):
    """A device and an access point.

    Attributes:
        at_s: When, in simulated seconds.
        device: Row of the device.
        ap: Row of the access point.
        link: What happened.
        session: Names the association of the device, rising: the decisecond it began.
    """

    at_s: float
    device: int
    ap: int
    link: Link
    session: int


class Report(IntEnum):
    """Why a sensor speaks."""

    NEWS = 1
    """What it measures changed; a motion sensor: something moved."""
    REPEAT = 2
    """It is time to: the value is the last one."""
    HEALTH = 3
    """Its gateway says that it is reachable (1) or not (0)."""


class Sense(NamedTuple):
    """A report of a sensor; `value` is 0, 1 or people."""

    at_s: float
    sensor: int
    value: int
    report: Report


Event: TypeAlias = Step | Radio | Sense
