"""A tenant: its gate, its people's places, its spaces, and what waits for the store."""

from __future__ import annotations

from array import array
from datetime import UTC
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.locate.locator import Locator
from engine.model import ReadingKind
from engine.occupancy import ROW, Occupancy
from engine.presence import Presence
from engine.privacy.consent import Consent
from engine.space import COUNTED, WORD_OF, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from engine.locate.coordinates import Reach
    from engine.model import Location, Moves, Person
    from engine.presence import Patience
    from engine.space import AccessPoint, Binding, Map, Plan


class Channels:
    """What the sensor channels of a tenant are called.

    The names are kept once, for look-ups and for the store; everything else about a
    channel is in the arrays of `Occupancy`. As there, numbers beyond the channels are
    the counters of lines; a counter is named with what it counts for, so that what is
    stored of a door that now leads elsewhere is not taken for its own.
    """

    def __init__(self, bindings: Sequence[Binding], plan: Plan) -> None:
        groups: dict[tuple[str, ReadingKind], int] = {}
        self._names = [name_of(b.device, b.channel) for b in bindings]
        self._group = array(
            "H", [groups.setdefault((b.source, b.kind), len(groups)) for b in bindings]
        )
        self._groups = list(groups)
        self._prefixes = [f"{s}/{WORD_OF[kind]}/" for s, kind in groups]
        self._counters = [
            f"{b.source}/counter/{plan.spaces[b.space].id}/"
            f"{'out' if b.flip else 'in'}/{name}"
            for b, name in zip(bindings, self._names, strict=True)
            if b.kind is ReadingKind.FLOW_DELTA
        ]

    def __len__(self) -> int:
        """Return how many there are, with the counters; their numbers are below it."""
        return len(self._names) + len(self._counters)

    def keys(self, channels: Iterable[int]) -> list[str]:
        """Return their names in the store: `source/kind/device[#channel]`."""
        prefixes, group, names = self._prefixes, self._group, self._names
        counters, n = self._counters, len(self._names)
        return [
            prefixes[group[channel]] + names[channel]
            if channel < n
            else counters[channel - n]
            for channel in channels
        ]

    def of(self, source: str) -> Iterator[tuple[ReadingKind, str, int]]:
        """Yield kind, name and number of every channel of a source."""
        for channel, name in enumerate(self._names):
            owner, kind = self._groups[self._group[channel]]
            if owner == source:
                yield kind, name, channel


def name_of(device: str, channel: str) -> str:
    """Return the name of a channel; "#" can be part of no topic and of no binding."""
    return f"{device}#{channel}" if channel else device


def split_name(name: str) -> tuple[str, str]:
    """Return device and channel: see `name_of`."""
    device, _, channel = name.partition("#")
    return device, channel


class Tenant:
    """The state of one tenant, and what of it waits to be stored.

    Args:
        tenant_id: As every key, topic and metric names it.
        plan: Its spaces.
        access_points: Where each access point is, by canonical name.
        bindings: The sensor channels, in the order of their numbers.
        maps: What the coordinates of its sources mean.
        reach: How accurate they must be.
        patience, retention_ms: See `Presence`.
        stale_floor_ms: See `Occupancy`.
        realms: Realms and domains that are the tenant's own, in lower case.
        zone: Where the building is.

    Attributes:
        dirty: Channels whose stored row changed, at most one for each channel; what of
            people waits is in `presence`. Another set after each `bind`: whoever holds
            the one before has numbers that mean nothing any more.
        unbound: Names of stored rows of channels that there are no longer.
    """

    def __init__(  # noqa: PLR0913 - one tenant's whole description
        self,
        tenant_id: str,
        plan: Plan,
        *,
        access_points: Mapping[str, AccessPoint] | None = None,
        bindings: Sequence[Binding] = (),
        maps: Iterable[Map] = (),
        reach: Reach | None = None,
        patience: Patience | None = None,
        retention_ms: int = 86_400_000,
        stale_floor_ms: int = 600_000,
        realms: Collection[str] = (),
        zone: tzinfo = UTC,
    ) -> None:
        self.id = tenant_id
        self.plan = plan
        self.channels = Channels(bindings, plan)
        self.realms = realms
        self.consent = Consent(realms)
        self.locator = Locator(plan, access_points or {}, maps, reach)
        self.presence = Presence(
            self.consent,
            [space.id for space in plan.spaces],
            self.locator.names,
            parents=plan.parent.tolist(),
            patience=patience,
            retention_ms=retention_ms,
        )
        self.occupancy = Occupancy(
            parent=plan.parent,
            desk=np.array([space.kind is Kind.DESK for space in plan.spaces]),
            counted=np.array([space.kind in COUNTED for space in plan.spaces]),
            capacity=plan.capacity,
            zone=zone,
            stale_floor_ms=stale_floor_ms,
            **_columns(bindings),
        )
        self.dirty: set[int] = set()
        self.unbound: set[bytes] = set()

    def bind(self, bindings: Sequence[Binding]) -> None:
        """Watch the spaces by other channels.

        Those that stay keep what they said; new ones are unknown; what is stored of the
        others goes.
        """
        numbers = np.arange(len(self.channels), dtype=np.int32)
        rows = self.occupancy.export(numbers)
        cut = range(0, len(rows), ROW.itemsize)
        names = self.channels.keys(numbers.tolist())
        known = {
            name.encode(): rows[at : at + ROW.itemsize]
            for name, at in zip(names, cut, strict=True)
        }
        self.channels = Channels(bindings, self.plan)
        self.occupancy.bind(**_columns(bindings))
        self.restore(known)
        self.dirty = set(range(len(self.channels)))

    def place(
        self, access_points: Mapping[str, AccessPoint], maps: Sequence[Map]
    ) -> None:
        """Know other access points and maps; places change when people are seen."""
        self.locator.replace(access_points, maps)
        self.presence.know(self.locator.names)

    def restore(self, rows: Mapping[bytes, bytes]) -> int:
        """Put back the stored state of sensors; return how many channels had one.

        Rows of another version are passed by; those of channels that are no longer
        bound are to go from the store.
        """
        size = ROW.itemsize
        keys = [key.encode() for key in self.channels.keys(range(len(self.channels)))]
        found = [
            (channel, row)
            for channel, key in enumerate(keys)
            if len(row := rows.get(key, b"")) == size
        ]
        self.unbound = (self.unbound | rows.keys()).difference(keys)
        channels = np.array([channel for channel, _ in found], np.int32)
        self.occupancy.restore(channels, b"".join(row for _, row in found))
        return len(found)

    def claimed(self, locations: Mapping[str, Location]) -> Moves:
        """Return what an earlier process was about to believe: see `Presence`."""

        def space_by_ap(ap: str) -> tuple[str, int] | None:
            place = self.locator.find(ap)
            if place is None:
                return None
            return self.plan.spaces[place.space].id, place.confidence

        return self.presence.claimed(locations, space_by_ap)

    def confirm(self, now_ms: int) -> None:
        """Believe returns, and look after sensors, in their time; once a second."""
        self.presence.confirm(now_ms)
        self.dirty.update(self.occupancy.keep(now_ms))

    def expire(self, now_ms: int) -> None:
        """Clear what is older than it may get; about once a minute."""
        self.consent.expire(now_ms)
        rows = self.presence.expire(now_ms)
        self.consent.release([row for row in rows if row < self.consent.rows])

    def change(self, person: Person, now_ms: int) -> None:
        """Take over the devices that a person has now; what others saw of them ends."""
        subject = self.consent.subject_of(person.subject)
        if subject is not None:
            self.presence.end(subject, self.consent.change(person), now_ms)

    def forget(self, person: Person) -> None:
        """Erase a person along the whole path: gate, presence, what waits."""
        subject = self.consent.subject_of(person.subject)
        if subject is not None:
            self.presence.forget(subject, self.consent.withdraw(person))


def _columns(bindings: Sequence[Binding]) -> dict[str, Any]:
    """Return the columns of `Occupancy` by channel."""
    return {
        "kind": np.array([b.kind for b in bindings], np.uint8),
        "space": np.array([b.space for b in bindings], np.int32),
        "hold_ms": np.array([b.hold_ms for b in bindings], np.int64),
        "interval_ms": np.array([b.interval_ms for b in bindings], np.int64),
        "max_on_ms": np.array([b.max_on_ms for b in bindings], np.int64),
        "flip": np.array([b.flip for b in bindings], np.bool_),
        "reset_at": np.array([b.reset_at for b in bindings], np.int32),
    }
