"""Bytes for each sensor channel, and for each person who opted in.

The question: what does one more of each cost for as long as the engine runs? They are
made by the engine's own constructors, 100,000 of them, and each has spoken: every
sensor has reported, every person has been seen with two devices (one registered, one
that came with the login). `tracemalloc` counts what Python and numpy then hold; what
the allocator rounds up is not in it (a few percent).

In it: gate, presence, directory, sign-in, the names of channels for look-up and store,
their arrays, and the topics that a link remembers. Not in it: what a constant number of
people or sensors costs, the plan, and what waits for Redis for some milliseconds.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec
import numpy as np
import uvloop

from benchmarks.results import Result
from engine.ingest.formats import find
from engine.ingest.routing import Routes
from engine.model import Outcome, Person, ReadingKind
from engine.people import People
from engine.pipeline import Pipeline
from engine.query.directory import Directory
from engine.source import Route, Source
from engine.space import AccessPoint, Binding, Kind, Plan, Space
from engine.tenant import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.store.locations import Locations
    from engine.store.lookups import Lookups
    from engine.store.registry import Registry

NUMBER = 100_000
TINY = 2_000
SPACES = 10_000
NOW_MS = 1_792_580_400_000
TENANT = "acme"
GIVEN = ("ada", "grace", "linnea", "katherine", "radia", "barbara", "frances", "hedy")
FAMILY = (
    *("lovelace", "hopper", "tran", "johnson"),
    *("perlman", "liskov", "allen", "lamarr"),
)
KINDS = (ReadingKind.PRESENCE, ReadingKind.MOTION, ReadingKind.COUNT)
SOURCES = {
    "sensors": ("livefloor", "demo/sensors"),
    "chirpstack": ("chirpstack4", "application/+/device/+/event/+"),
    "zigbee2mqtt": ("zigbee2mqtt", "zigbee2mqtt/#"),
}


class Scale:
    """Says how many bytes were added since it was last asked."""

    def __init__(self) -> None:
        gc.collect()
        tracemalloc.start(1)
        self._before = self._held()

    def added(self) -> int:
        """Return the bytes that are held beyond those of the last call."""
        now = self._held()
        self._before, added = now, now - self._before
        return added

    def end(self) -> None:
        """Count no more."""
        tracemalloc.stop()

    @staticmethod
    def _held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]


def plan(spaces: int = SPACES) -> Plan:
    """Return a building of desks without walls."""
    made = [Space(0, "hq", "Headquarters", Kind.BUILDING, None, -1, None)]
    made += [
        Space(n, f"desk-{n:05}", f"Desk {n}", Kind.DESK, "hq/1", 0, 1)
        for n in range(1, spaces)
    ]
    return Plan("p1", made, {}, {}, {})


def channels(number: int) -> dict[str, float]:
    """Return the bytes for each channel, by part."""
    building = plan()
    Tenant(TENANT, building).occupancy.tick(NOW_MS)  # numpy keeps some things for good
    scale = Scale()
    bare = Tenant(TENANT, building)
    bare_bytes = scale.added()
    tenant = Tenant(TENANT, building, bindings=list(_bindings(number)))
    floor_bytes = scale.added() - bare_bytes
    assert len(bare.channels) == 0
    streams = [
        Source(name=name, tenant=tenant, form=find(form))
        for name, (form, _) in SOURCES.items()
    ]
    stream_bytes = scale.added()
    routes: Routes[Route] = Routes()
    for stream, (_, topics) in zip(streams, SOURCES.values(), strict=True):
        routes.add(topics, Route(stream, topics))
    for topic in _topics(number):
        assert routes.find(topic) is not None
    route_bytes = scale.added()
    for start in range(0, number, 5_000):
        rows = range(start, min(start + 5_000, number))
        ones = [1] * len(rows)
        times = [NOW_MS] * len(rows)
        tenant.occupancy.apply(rows, ones, times, [0] * len(rows), NOW_MS)
    tenant.occupancy.tick(NOW_MS)
    spoken_bytes = scale.added()
    scale.end()
    assert len(tenant.occupancy.export(np.arange(number, dtype=np.int32))) > 0
    assert tenant.occupancy.state[0] == 2
    total = floor_bytes + stream_bytes + route_bytes + spoken_bytes
    return {
        "total": total / number,
        "floor": floor_bytes / number,
        "of_it_arrays": tenant.occupancy.channel_bytes / number,
        "streams": stream_bytes / number,
        "routes": route_bytes / number,
        "once_all_have_spoken": spoken_bytes / number,
    }


def _bindings(number: int) -> Iterator[Binding]:
    """Yield channels with names as long as real ones, a third from each source."""
    names = list(SOURCES)
    for n in range(number):
        source = names[n % 3]
        kind = KINDS[n // 3 % 3]
        yield Binding(source, _device(n), "", 1 + n % (SPACES - 1), kind, 60_000, 0)


def _device(n: int) -> str:
    """Return a name as such sensors have: a seat, a radio address, a friendly name."""
    return (f"seat-{n:08}", f"24e12434{n:08x}", f"motion-hq-{n:06}")[n % 3]


def _topics(number: int) -> Iterator[str]:
    for n in range(number):
        device = _device(n)
        yield (
            "demo/sensors",
            f"application/17c82e96-be03-4f38-aef3-f83d48582d97/device/{device}/event/up",
            f"zigbee2mqtt/{device}",
        )[n % 3]


class _Registry:
    """All that `People` asks of a registry at start."""

    def __init__(self, number: int) -> None:
        self._records = [msgspec.msgpack.encode(one) for one in _people(number)]

    async def people(self, _tenant: str) -> list[Person]:
        """Return everybody, decoded anew as from the server."""
        return [msgspec.msgpack.decode(r, type=Person) for r in self._records]


class _Locations:
    """All that `People` asks of the store at start."""

    def __init__(self) -> None:
        self.seeded = 0

    async def seed(self, _tenant: str, subjects: Sequence[str]) -> int:
        """Count."""
        self.seeded = len(subjects)
        return self.seeded


def _people(number: int) -> Iterator[Person]:
    for n in range(number):
        login = _login(n)
        name = login.replace(".", " ").title()
        yield Person(f"{n:022}", login, name, (f"a483e7{n:06x}",), NOW_MS)


def _login(n: int) -> str:
    return f"{GIVEN[n % 8]}.{FAMILY[n // 8 % 8]}{n}"


def people(number: int) -> dict[str, float]:
    """Return the bytes for each person, by part."""
    registry, store = _Registry(number), _Locations()
    scale = Scale()
    tenant = Tenant(TENANT, plan(10), access_points={"hq-1-ap-01": AccessPoint(2, 80)})
    directory = Directory(tenant.consent)
    everybody = People(
        tenants={TENANT: tenant},
        directories={TENANT: directory},
        registry=cast("Registry", registry),
        locations=cast("Locations", store),
        lookups=cast("Lookups", None),
        clock_ms=lambda: NOW_MS,
    )
    route = Route(Source(name="wifi", tenant=tenant, form=find("livefloor")))
    pipeline = Pipeline(lambda _stage, _seconds: None)
    scale.added()
    uvloop.run(everybody.load(TENANT))
    loaded = scale.added()
    assert store.seeded == len(tenant.consent) == number
    for start in range(0, number, 500):
        rows = range(start, min(start + 500, number))
        seen = [Seen(body) for n in rows for body in _associations(n)]
        pipeline.run({route: seen}, NOW_MS)
    assert tenant.presence.waiting == number
    while tenant.presence.waiting:
        tenant.presence.take(2_000)
    seen_bytes = scale.added()
    scale.end()
    assert route.source.tally.by_outcome[Outcome.APPLIED] == 2 * number
    return {
        "total": (loaded + seen_bytes) / number,
        "at_start": loaded / number,
        "once_seen_with_two_devices": seen_bytes / number,
        **_parts(number),
    }


class Seen(NamedTuple):
    """A message as a link hands it over."""

    payload: bytes
    topic: str = "acme/wifi"
    retain: bool = False


def _associations(n: int) -> Iterator[bytes]:
    """Yield that somebody joined with the device that is registered, and another."""
    for maker in ("a4:83:e7", "f2:00:00"):
        tail = f"{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}"
        yield msgspec.json.encode(
            {
                "login": _login(n),
                "device": f"{maker}:{tail}",
                "ap": "hq-1-ap-01",
                "at": NOW_MS,
                "session": f"{n:x}-{maker[0]}",
            }
        )


def _parts(number: int) -> dict[str, float]:
    """Return what each part costs alone at the start."""
    found = list(_people(number))
    consent = Tenant(TENANT, plan(10)).consent
    scale = Scale()
    consent.grant_all(found)
    parts = {"consent": scale.added()}
    directory = Directory(consent)
    directory.add_all(range(number))
    parts["directory"] = scale.added()
    scale.end()
    assert len(directory.search(_login(0).replace(".", " "))) == 1
    return {f"of_it_{name}": size / number for name, size in parts.items()}


def measure_channels(*, tiny: bool = False) -> Result:
    """Return `bytes_per_channel`."""
    return _result(channels(TINY if tiny else NUMBER))


def measure_people(*, tiny: bool = False) -> Result:
    """Return `bytes_per_person`."""
    return _result(people(TINY if tiny else NUMBER))


def _result(parts: dict[str, float]) -> Result:
    return Result(parts["total"], {name: round(size) for name, size in parts.items()})
