"""The nouns that travel: Observation, Sightings, Fixes, Moves, Reading, Delta, ….

Each is frozen. A singular name is one thing; a plural is a batch in columns. Who may
make which is a rule (`tests/test_architecture.py` walks the syntax trees):

==================  =====================================  ======================
type                holds                                  made only in
==================  =====================================  ======================
Identity            login or device address                ingest.formats
Observation         an access point and a time, no person  ingest.formats
Reading             a sensor and a value, no person        ingest.formats
Restart             an access server that began anew       ingest.formats
Sighting            an opaque subject and an Observation   privacy.consent
Fix                 a subject in a space                   locate
Move                what the store must write              presence
Snapshot, Delta     what an audience may see of a level    privacy.disclosure
==================  =====================================  ======================

Times are UTC milliseconds since 1970 (`_ms`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Who an observation is about, as the wire spells it; ends in `privacy.consent`.

    Field names are those of livefloor's own JSON, so that the hot path decodes the wire
    into it at once. Both None: the record is about no person (a sensor).
    """

    login: str | None = None
    device: str | None = None


class ObservationKind(StrEnum):
    """What a device did; spelled as in livefloor's own JSON."""

    JOINED = "joined"
    """Associated, roamed or located here, or reported as still here."""
    LEFT = "left"
    """The association with the named access point (or session) ended."""
    GONE = "gone"
    """Left the site: whatever is known of the device, and is not newer, ended."""


class Spot(msgspec.Struct, frozen=True, gc=False):
    """Where a source's location engine puts a device, in the source's own terms.

    Attributes:
        floor: The source's key of the floor, map or floor plan; always a text, as
            some are numbers beyond 2⁵³.
        x, y: In the unit and from the origin of that map, which `locate` knows.
        accuracy_m: Radius in metres; negative where the source does not say.
    """

    floor: str
    x: float
    y: float
    accuracy_m: float = -1.0


class Observation(msgspec.Struct, frozen=True, gc=False):
    """What a Wi-Fi source reported, without the person it is about.

    Attributes:
        kind: Joined, left or gone.
        ap: Access point, in canonical spelling (`space.canonical_ap`); "" where the
            source names none.
        observed_at_ms: The source's clock, clamped by the format's time rules.
        session: The source's name for the association, where it has one.
        spot: Where its location engine puts the device, where it has one.
        blur_ms: How much later than `observed_at_ms` it may have been: 999 of a
            source that writes whole seconds.
        nas: The access server that reports the association, where a source tells when
            one restarts.
    """

    kind: ObservationKind
    ap: str
    observed_at_ms: int
    session: str | None = None
    spot: Spot | None = None
    blur_ms: int = 0
    nas: str | None = None


class Restart(msgspec.Struct, frozen=True, gc=False):
    """An access server began or ceased to report: every association of its ended.

    Nobody is named: whom it had reported follows from `Observation.nas`.

    Attributes:
        nas: Spelled as in the observations.
        observed_at_ms: What was observed later has not ended.
    """

    nas: str
    observed_at_ms: int


class ReadingKind(IntEnum):
    """What a sensor channel measures; the value's meaning follows from it."""

    PRESENCE = 1
    """Level presence: 1 occupied, 0 vacant, -1 unknown."""
    MOTION = 2
    """Pulses since the last report: 0 is an explicit "no motion"."""
    COUNT = 3
    """People now: 0 or more, -1 unknown."""
    HEALTH = 4
    """1 online, 0 offline, -1 faulty: it lives, and what it measures is worth nothing.
    Speaks for every channel of the device."""
    FLOW_DELTA = 5
    """People who crossed a line since the last report: `value` in, `out` out."""
    FLOW_TOTAL = 6
    """The same since the counter began, which wraps after `bits` bits."""
    CONTACT = 7
    """A door: 1 open, 0 closed, -1 unknown."""
    ENV = 8
    """Of the air, or of the device: thousandths of the unit that `metric` names."""


class ReadingFlag(IntEnum):
    """Bits of `Reading.flags`."""

    RETAINED = 1
    """The broker replayed it: of unknown age, never evidence of motion."""
    CACHED = 2
    """The source repeats cached values: an equal value is liveness, not evidence."""
    BACKFILL = 4
    """What was measured before and could not be sent: history, never the state now."""
    CAPPED = 8
    """The sensor counts no further: a lower bound."""


class Metric(StrEnum):
    """What an ENV reading measures, with its unit."""

    CO2 = "co2_ppm"
    TEMPERATURE = "temperature_c"
    HUMIDITY = "humidity_pct"
    ILLUMINANCE = "illuminance_lx"
    BATTERY = "battery_pct"
    VOLTAGE = "battery_v"


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a sensor channel reports. No field of it can hold a person.

    Attributes:
        device: The sensor, in the source's spelling, lower case for radio addresses.
        kind: What `value` means.
        value: See `ReadingKind`.
        observed_at_ms: The source's clock, or the time of receipt where it has none.
        channel: Line, region or zone inside the device; "" is the whole device.
        flags: Bits of `ReadingFlag`.
        out: Of flows: people out.
        bits: Of flow totals: the width of the counter; 0 where it never wraps.
        metric: Of ENV.
    """

    device: str
    kind: ReadingKind
    value: int
    observed_at_ms: int
    channel: str = ""
    flags: int = 0
    out: int = 0
    bits: int = 0
    metric: Metric | None = None


class Sightings(NamedTuple):
    """Observations that consent let through: opaque from here on. Columns.

    Attributes:
        subject: Row of each subject in the consent view (a number without meaning).
        device: Row of the subject's device or login: tells two devices apart.
        observation: What was seen.
    """

    subject: list[int]
    device: list[int]
    observation: list[Observation]


class Placement(NamedTuple):
    """Where an access point puts those whom it sees, or coordinates somebody.

    Attributes:
        ap: Row of the access point in the tenant's table; -1 for one not in it, and for
            a place by coordinates.
        space: Index of the space in the tenant's plan.
        confidence: Percent, how likely the space is right.
        coarse: Whether coordinates were too poor to tell which space inside of it.
    """

    ap: int
    space: int
    confidence: int
    coarse: bool = False


class Fixes(NamedTuple):
    """Sightings placed. Columns.

    Attributes:
        subject, device: Rows, as in `Sightings`.
        place: Where.
        observation: What was seen: joined or left, when, in which session.
    """

    subject: list[int]
    device: list[int]
    place: list[Placement]
    observation: list[Observation]


class Outcome(StrEnum):
    """What became of an event; the closed set of the metric label `outcome`."""

    APPLIED = "applied"
    DISPOSED = "disposed"
    """About nobody who opted in; the record ended at its identity."""
    DUPLICATE = "duplicate"
    LATE = "late"
    """Older than what is known, or than anything that may be kept."""
    INVALID = "invalid"
    """Refused with an `InputError`; counted by its reason as well."""


class Moves(NamedTuple):
    """Last-known locations of subjects to write, or (`space` None) to clear. Columns.

    Attributes:
        subject: Opaque ids: random, new at each opt-in.
        observed_at_ms: Newest observation wins; the expiry runs from here.
        space: Ids of the spaces; None: the subject left.
        confidence: Percent.
        ap: The access points, "" of a place by coordinates. A stored location that
            another one saw is not cleared,
        seen_ms: unless it is not newer than this: when the association that ended was
            last seen; 0 where nothing was known of it.
    """

    subject: list[str]
    observed_at_ms: list[int]
    space: list[str | None]
    confidence: list[int]
    ap: list[str]
    seen_ms: list[int]


class Location(NamedTuple):
    """A subject's last-known location, as the store holds it.

    Attributes:
        space: Id of the space.
        observed_at_ms: When it was seen.
        confidence: Percent.
        ap: The access point that saw it, "" where it was placed by coordinates. One
            that is not in `space`: the subject may have returned to it, and `presence`
            was waiting for what else comes.
    """

    space: str
    observed_at_ms: int
    confidence: int
    ap: str = ""


class Verdict(IntEnum):
    """What is known of who sends a request."""

    WRONG = 0
    """Not who knows the secret."""
    STALE = 1
    """Signed at another time, or so it says."""
    OPEN = 2
    """The body decides."""
    RIGHT = 3


class Proof(NamedTuple):
    """What headers and body prove together.

    Attributes:
        verdict: Never OPEN.
        key: Names this post for good; None where an equal one may be another.
        until_ms: Until when the same bytes would be proof again.
    """

    verdict: Verdict
    key: bytes | None = None
    until_ms: int = 0


MAX_DEVICES = 10
"""Device addresses that one person may register."""


class Person(msgspec.Struct, frozen=True):
    """Someone who opted in, as the registry holds them; gone when they opt out.

    Attributes:
        subject: Opaque id: random, new at each opt-in, so that nothing written under
            an earlier consent can ever be read under a later one.
        login: The organisation's name for the person, in canonical spelling.
        name: What colleagues see.
        devices: Registered device addresses, 12 lower-case hexadecimal digits each.
        since_ms: When they opted in.
    """

    subject: str
    login: str
    name: str
    devices: tuple[str, ...]
    since_ms: int


class State(IntEnum):
    """What the engine says of a space; the numbers are those of the wire."""

    UNKNOWN = 0
    """No evidence, or all of it is stale."""
    FREE = 1
    OCCUPIED = 2
    LIKELY = 3
    """Probably still occupied: the evidence is decaying."""
    OFFLINE = 4
    """Every sensor of the space says that it is off."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The whole state of a level at one offset, one row a space in plan order.

    Attributes:
        level: Id of the level, `building/level`.
        plan: Version of the plan that the rows follow.
        epoch: Names one life of the offsets; a new one means "take a snapshot".
        offset: Counts the changes of the level, without gaps.
        at_ms: When it was true.
        state: uint8[n], `State`.
        count: int32[n], people, or -1 where only presence is known.
        confidence: uint8[n], percent.
        since_ms: int64[n], time of the newest evidence, 0 where there is none.
    """

    level: str
    plan: str
    epoch: str
    offset: int
    at_ms: int
    state: npt.NDArray[np.uint8]
    count: npt.NDArray[np.int32]
    confidence: npt.NDArray[np.uint8]
    since_ms: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """The spaces of a level that changed after offset `prev`, with their values now.

    A conflated delta spans several offsets, so there is never a gap. Columns are those
    of `Snapshot`; `index` (int32[m]) names their rows.
    """

    level: str
    epoch: str
    prev: int
    offset: int
    at_ms: int
    index: npt.NDArray[np.int32]
    state: npt.NDArray[np.uint8]
    count: npt.NDArray[np.int32]
    confidence: npt.NDArray[np.uint8]
    since_ms: npt.NDArray[np.int64]
