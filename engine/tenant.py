"""A tenant: its gate, its people's places, its spaces, and what waits for the store."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from engine.locate.locator import Locator
from engine.occupancy import ROW, Occupancy
from engine.presence import Presence
from engine.privacy.consent import Consent
from engine.space import COUNTED, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from engine.locate.coordinates import Reach
    from engine.model import Location, Moves, Person, ReadingKind
    from engine.presence import Patience
    from engine.space import AccessPoint, Binding, Map, Plan


class Channels:
    """What the sensor channels of a tenant are called.

    The names are kept once, for look-ups and for the store; everything else about a
    channel is in the arrays of `Occupancy`.
    """

    def __init__(self, bindings: Sequence[Binding]) -> None:
        groups: dict[tuple[str, ReadingKind], int] = {}
        self._names = [name_of(b.device, b.channel) for b in bindings]
        self._group = array(
            "H", [groups.setdefault((b.source, b.kind), len(groups)) for b in bindings]
        )
        self._groups = list(groups)
        self._prefixes = [f"{s}/{kind.name.lower()}/" for s, kind in groups]

    def __len__(self) -> int:
        """Return how many there are; their numbers are below it."""
        return len(self._names)

    @property
    def sources(self) -> set[str]:
        """The sources that the channels name."""
        return {source for source, _ in self._groups}

    def keys(self, channels: Iterable[int]) -> list[str]:
        """Return their names in the store: `source/kind/device[#channel]`."""
        prefixes, group, names = self._prefixes, self._group, self._names
        return [prefixes[group[channel]] + names[channel] for channel in channels]

    def of(self, source: str) -> Iterator[tuple[ReadingKind, str, int]]:
        """Yield kind, name and number of every channel of a source."""
        for channel, name in enumerate(self._names):
            owner, kind = self._groups[self._group[channel]]
            if owner == source:
                yield kind, name, channel


def name_of(device: str, channel: str) -> str:
    """Return the name of a channel; "#" can be part of no topic and of no binding."""
    return f"{device}#{channel}" if channel else device


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

    Attributes:
        dirty: Channels whose stored row changed, at most one for each channel; what of
            people waits is in `presence`.
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
    ) -> None:
        self.id = tenant_id
        self.plan = plan
        self.channels = Channels(bindings)
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
            kind=np.array([b.kind for b in bindings], np.uint8),
            space=np.array([b.space for b in bindings], np.int32),
            hold_ms=np.array([b.hold_ms for b in bindings], np.int64),
            interval_ms=np.array([b.interval_ms for b in bindings], np.int64),
            stale_floor_ms=stale_floor_ms,
        )
        self.dirty: set[int] = set()

    def restore(self, rows: Mapping[bytes, bytes]) -> int:
        """Put back the stored state of sensors; return how many channels had one.

        Rows of channels that are no longer bound, or of another version, are passed by.
        """
        size = ROW.itemsize
        keys = self.channels.keys(range(len(self.channels)))
        found = [
            (channel, row)
            for channel, key in enumerate(keys)
            if len(row := rows.get(key.encode(), b"")) == size
        ]
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
