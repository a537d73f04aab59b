"""From a sensor's message to a subscriber's delta, while the engine is half loaded.

The question: how late is the map? Broker, Redis, engine, publisher and subscriber are
processes of their own. First the same engine takes a burst, which gives the rate at
which this machine is full; then messages come at half of it, and between them a hundred
probes: sensors that nothing else reports, each told "occupied" and "free" in turn. What
counts is the time from the moment a probe is written to the publisher's socket until
the delta with its space arrives, read from one monotonic clock of the machine.

Half a tick is waited for on average before any work is done.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict, deque
from multiprocessing import get_context
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import uvloop
from websockets.asyncio.client import connect

from benchmarks.process import Publisher, prebuilt, rig, token
from benchmarks.results import Result
from benchmarks.workload import TENANT, Workload
from engine.files import geojson
from engine.model import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from benchmarks.process import Engine, Rig

MESSAGES = 240_000
BURST = 60_000
SECONDS = 15.0
TINY_MESSAGES, TINY_BURST, TINY_SECONDS = 3_000, 1_000, 1.0
PROBES = 100
PER_SECOND = 150
"""Probes a second: each of a hundred speaks again long after its delta."""
STEP_S = 0.002
TICK_MS = 100
SETTLED_S = 1.5
"""After the load: every delta is out by then, or lost."""


class Probe(NamedTuple):
    """A sensor that only the measurement speaks for, and where its space shows."""

    device: str
    level: str
    row: int


class Seen(NamedTuple):
    """A space in a delta, and when that arrived."""

    level: str
    row: int
    state: int
    at_s: float


class _Message(msgspec.Struct):
    type: str
    level: str = ""
    index: list[int] = []
    state: list[int] = []


async def follow(
    port: int, key: str, levels: Sequence[str], orders: Connection
) -> None:
    """Follow levels until told to stop; give back all that was seen."""
    decode = msgspec.json.Decoder(_Message).decode
    seen: list[Seen] = []
    stop = asyncio.get_running_loop().run_in_executor(None, orders.recv)
    async with connect(
        f"ws://127.0.0.1:{port}/v1/live",
        additional_headers={"Authorization": f"Bearer {key}"},
        subprotocols=["livefloor.v1.json"],  # type: ignore[list-item]
        compression=None,
        max_size=None,
    ) as client:
        await client.send(msgspec.json.encode({"subscribe": list(levels)}).decode())

        async def read() -> None:
            snapshots = 0
            while True:
                data = await client.recv()
                at_s = time.monotonic()
                message = decode(data)
                if message.type == "snapshot":
                    snapshots += 1
                    if snapshots == len(levels):
                        orders.send(None)
                elif message.type == "delta":
                    pairs = zip(message.index, message.state, strict=True)
                    seen.extend(Seen(message.level, i, s, at_s) for i, s in pairs)

        reading = asyncio.ensure_future(read())
        await stop
        reading.cancel()
    orders.send(seen)


def follower(port: int, key: str, levels: Sequence[str], orders: Connection) -> None:
    """Follow, as a process."""
    uvloop.run(follow(port, key, levels, orders))


def probes(made: Rig) -> list[Probe]:
    """Return sensors whose space no other sensor watches."""
    building = made.day.scenario.building
    plan, _ = geojson.read(building.plan_file(), "plan.geojson")
    found = []
    for sensor in building.sensors:
        if sensor.source == "sensors" and sensor.kind == "presence":
            index = plan.space_by_id[building.places[sensor.place].space]
            level = plan.spaces[index].level or ""
            row = index - plan.levels[level].start
            found.append(Probe(sensor.device, level, row))
    random.Random(1).shuffle(found)  # noqa: S311 - the same every time
    return found[:PROBES]


class Told(NamedTuple):
    """What was sent: which probe said what, and when."""

    probe: Probe
    state: State
    at_s: float


async def load(
    publisher: Publisher,
    stream: Sequence[bytes],
    rate: float,
    chosen: Sequence[Probe],
    seconds: float,
) -> list[Told]:
    """Publish at a steady rate, probes in between at times of their own."""
    told: list[Told] = []
    chance = random.Random(2)  # noqa: S311 - the same every time
    start = time.monotonic()
    sent, due = 0, 0.0
    while (now := time.monotonic() - start) < seconds:
        wanted = min(int(now * rate), len(stream))
        if wanted > sent:
            publisher.send(stream[sent:wanted])
            sent = wanted
        while due <= now:
            due += chance.expovariate(PER_SECOND)
            probe = chosen[len(told) % len(chosen)]
            state = State.OCCUPIED if len(told) // len(chosen) % 2 else State.FREE
            told.append(_tell(publisher, probe, state))
        await asyncio.sleep(STEP_S)
    return told


def _tell(publisher: Publisher, probe: Probe, state: State) -> Told:
    occupied = state == State.OCCUPIED
    record = {"sensor": probe.device, "occupied": occupied}
    message = (f"{TENANT}/sensors", msgspec.json.encode(record))
    (packet,) = prebuilt([message])
    publisher.send([packet])
    return Told(probe, state, time.monotonic())


def delays_ms(told: Sequence[Told], seen: Sequence[Seen]) -> list[float]:
    """Return how late each probe's word arrived.

    Raises:
        AssertionError: One never did.
    """
    changes: dict[tuple[str, int], deque[Seen]] = defaultdict(deque)
    for one in seen:
        known = changes[one.level, one.row]
        if not known or known[-1].state != one.state:
            known.append(one)
    found = []
    for probe, state, at_s in told:
        known = changes[probe.level, probe.row]
        while known and (known[0].state != state or known[0].at_s < at_s):
            known.popleft()
        assert known, "a probe's word never arrived"
        found.append(1000 * (known.popleft().at_s - at_s))
    return found


def _clean(made: Rig, chosen: Sequence[Probe]) -> list[tuple[str, bytes]]:
    """Return the messages without those of the probes."""
    names = {probe.device.encode() for probe in chosen}
    own = f"{TENANT}/sensors"
    return [
        (topic, payload)
        for topic, payload in made.day.messages
        if topic != own or payload.split(b'"', 4)[3] not in names
    ]


async def saturation(made: Rig, publisher: Publisher, stream: Sequence[bytes]) -> float:
    """Return the messages a second that this machine can do, all parts together."""
    at_ms = time.time_ns() // 1_000_000
    last = prebuilt([made.last_message(at_ms)])
    start = time.monotonic()
    await publisher.publish([*stream, *last])
    return len(stream) / (await made.until_stored(made.last_place, at_ms) - start)


class Sizes(NamedTuple):
    """How much of it: all messages, those of the burst among them, and how long."""

    messages: int
    burst: int
    seconds: float


async def run(sizes: Sizes) -> Result:
    """Measure; every part stops with it."""
    async with rig(Workload(sizes.messages)) as made:
        engine = made.engine()
        async with engine:
            return await _measured(made, engine, sizes)


async def _measured(made: Rig, engine: Engine, sizes: Sizes) -> Result:
    chosen = probes(made)
    levels = sorted({probe.level for probe in chosen})
    stream = prebuilt(_clean(made, chosen))
    burst, rest = stream[: sizes.burst], stream[sizes.burst :]
    publisher = await Publisher.open(made.broker.host, made.broker.port)
    full = await saturation(made, publisher, burst)
    ours, theirs = get_context("spawn").Pipe()
    other = get_context("spawn").Process(
        target=follower, args=(engine.port, token(), levels, theirs), daemon=True
    )
    other.start()
    theirs.close()  # so that its end is noticed here
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, ours.recv)
    cpu = engine.cpu_s
    seconds = max(1.0, min(sizes.seconds, len(rest) / (full / 2)))
    told = await load(publisher, rest, full / 2, chosen, seconds)
    busy = (engine.cpu_s - cpu) / seconds
    await asyncio.sleep(SETTLED_S)
    ours.send(None)
    seen = await loop.run_in_executor(None, ours.recv)
    await loop.run_in_executor(None, other.join)
    await publisher.close()
    late = delays_ms(told, seen)
    p50, p99, p999 = (float(x) for x in np.percentile(late, (50, 99, 99.9)))
    return Result(
        p99 / TICK_MS,
        {
            "p50_ms": round(p50, 1),
            "p99_ms": round(p99, 1),
            "p99_9_ms": round(p999, 1),
            "max_ms": round(max(late), 1),
            "probes": len(late),
            "seconds": round(seconds, 1),
            "saturation_messages_per_s": round(full),
            "load_messages_per_s": round(full / 2),
            "engine_cpu": round(busy, 2),
        },
    )


def measure(*, tiny: bool = False) -> Result:
    """Return `latency_p99_ticks`."""
    sizes = Sizes(MESSAGES, BURST, SECONDS)
    if tiny:
        sizes = Sizes(TINY_MESSAGES, TINY_BURST, TINY_SECONDS)
    return uvloop.run(run(sizes))
