"""The language of profiles: the tables and keys of their TOML.

`deploy/sources/mapping.md` teaches it; what a path, a template or a topic pattern may
look like is said in `path`, and the values that a kind understands in `value`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

MAX_TEXT = 200
"""Characters of a path, a template or a value."""
MAX_RULES = 200

Text: TypeAlias = Annotated[str, Meta(max_length=MAX_TEXT)]
Texts: TypeAlias = Text | Annotated[tuple[Text, ...], Meta(min_length=1, max_length=8)]
"""One, or several of which the first that is there counts."""
Scalar: TypeAlias = bool | int | float | Text
Scalars: TypeAlias = Annotated[tuple[Scalar, ...], Meta(max_length=64)]
Kind: TypeAlias = Literal[
    "presence",
    "motion",
    "count",
    "health",
    "flow_delta",
    "flow_total",
    "contact",
    "env",
    "plain",
]
Metric: TypeAlias = Literal[
    "co2", "temperature", "humidity", "illuminance", "battery", "voltage"
]
Type: TypeAlias = Literal["text", "number", "boolean", "list", "table", "null"]
Clock: TypeAlias = Literal["auto", "rfc3339", "epoch_s", "epoch_ms", "local"]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class Test(_Table, frozen=True, kw_only=True):
    """A question to one value; every question that a test asks must be answered yes.

    Without a question: is there a value that is not null?
    """

    path: Texts
    exists: bool | UnsetType = UNSET
    equals: Scalar | Scalars | UnsetType = field(default=UNSET, name="is")
    differs: Scalar | Scalars | UnsetType = field(default=UNSET, name="not")
    type: Type | UnsetType = UNSET
    matches: Texts | UnsetType = UNSET
    contains: Scalar | UnsetType = UNSET


Tests: TypeAlias = Annotated[tuple[Test, ...], Meta(max_length=16)]


class When(_Table, frozen=True, kw_only=True):
    """What readings of a rule carry besides their value: when, and how they were made.

    Attributes:
        time: Paths to when it was measured; the first usable time counts.
        time_as: How it is spelt.
        time_zone: Of "local": the name of the zone in which the sensor's clock runs.
        time_offset: Of "local": the path to its offset, "UTC+8:00" or "+02:00".
    """

    time: Texts | None = None
    time_as: Clock = "auto"
    time_zone: Text | None = None
    time_offset: Text | None = None


class Flags(_Table, frozen=True, kw_only=True):
    """Flags of readings: set, or the path to a boolean that sets it."""

    cached: bool | Text = False
    backfill: bool | Text = False
    capped: bool | Text = False


class Reading(_Table, frozen=True, kw_only=True):
    """What becomes a reading, and of which value.

    Attributes:
        kind: As `model.ReadingKind`, or plain: all that a value can mean of which its
            source does not say what it measures (`wire.plain`).
        value: Path to the value, several of which the first present counts, or a number
            as it is. Of health it may be absent: the device is online.
        inward, outward: Of flows, likewise.
        channel: Template of the part of the device.
        metric, scale: Of env: what is measured, and what to multiply by to get its
            unit.
        bits: Of flow totals: the width of the counter, 0 where it never wraps.
        default: The number where there is no value at all.
        when: Only where these tests hold.
        occupied, vacant: Of presence: the values that mean it; so are the other words.
        unknown: Values that say that nothing is known.
    """

    kind: Kind
    value: int | Texts | None = None
    inward: int | Texts | None = field(default=None, name="in")
    outward: int | Texts | None = field(default=None, name="out")
    channel: Text = ""
    metric: Metric | None = None
    scale: float = 1.0
    bits: Annotated[int, Meta(ge=0, le=64)] = 0
    default: int | None = None
    when: Tests = ()
    occupied: Scalars = ()
    vacant: Scalars = ()
    motion: Scalars = ()
    still: Scalars = ()
    online: Scalars = ()
    offline: Scalars = ()
    faulty: Scalars = ()
    open: Scalars = ()
    closed: Scalars = ()
    on: Scalars = ()
    off: Scalars = ()
    unknown: Scalars = ()


class Scope(When, frozen=True, kw_only=True):
    """Where something applies: what rules and includes share.

    Attributes:
        topic: Pattern of the topic.
        when: Tests at the place that `at` names.
        at: Where paths begin; with `[*]`, once for each item.
        device: Template of the device's name, instead of the profile's.
        device_as: How it is made canonical.
        flags: Of all readings.
    """

    topic: Text | None = None
    when: Tests = ()
    at: Text = ""
    device: Texts | None = None
    device_as: Literal["lower", "hex", "last"] = "lower"
    flags: Flags = Flags()


class Rule(Scope, frozen=True, kw_only=True):
    """What to read at a place.

    Attributes:
        each: By name, the numbers ("1..16") or words to repeat the rule with.
        alive: The device is online where the message gives no other reading.
        readings: What to read.
    """

    each: dict[
        Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,30}$")],
        Text | Annotated[tuple[int | Text, ...], Meta(max_length=64)],
    ] = field(default_factory=dict, name="for")
    alive: bool = False
    readings: Annotated[tuple[Reading, ...], Meta(max_length=100)] = field(
        default=(), name="reading"
    )


class Include(Scope, frozen=True, kw_only=True):
    """The rules of another profile, applied at a place.

    Attributes:
        profile: Its name; of a file of one's own, the path beside this one.
    """

    profile: Text


class Profile(When, frozen=True, kw_only=True):
    """The whole file.

    Attributes:
        about: Who sends it, in one line.
        body: A JSON text, plain text, or JSON where it is JSON and text where not.
        max_bytes: A larger message is refused.
        verify, answer: As `Format`: how a webhook proves itself, what it is answered.
        topic: Pattern of the topics of all messages; no rule is about any other.
        device, device_as: Template of the device's name.
        passed: Messages about something else, to pass over without a word.
        refused: Messages to refuse, counted.
        otherwise: What to do with a message that no rule applies to.
    """

    about: Annotated[str, Meta(min_length=1, max_length=200)]
    body: Literal["json", "text", "any"] = "json"
    max_bytes: Annotated[int, Meta(ge=1, le=1 << 20)] = 1 << 18
    verify: Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,30}$")] = "secret"
    answer: Annotated[int, Meta(ge=200, le=299)] = 204
    topic: Text | None = None
    device: Texts | None = None
    device_as: Literal["lower", "hex", "last"] = "lower"
    flags: Flags = Flags()
    passed: Tests = field(default=(), name="pass")
    refused: Tests = field(default=(), name="refuse")
    otherwise: Literal["refuse", "pass"] = "refuse"
    includes: Annotated[tuple[Include, ...], Meta(max_length=32)] = field(
        default=(), name="include"
    )
    rules: Annotated[tuple[Rule, ...], Meta(max_length=MAX_RULES)] = field(
        default=(), name="rule"
    )
