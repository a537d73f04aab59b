"""Ingest, wire to state: the engine's path beside the codec and the identity alone.

The question: of the messages a second of CPU can take off the wire at all, how many are
left when each one also passes the gate, moves people and rooms, is committed to a real
Redis, and is acknowledged?

The engine's side is its own parts: the MQTT 5 session, the pipeline, the committer, the
store; a fake transport takes the place of the broker and keeps to the receive maximum:
it feeds no more than that many messages ahead of their acknowledgements. The floor
reads the same bytes with the same codec and decodes the identity of each payload, and
nothing else. Both take turns; CPU time of this process is what counts. Redis is another
process, and its CPU time is not in it.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import mqtt5
import msgspec
import redis.asyncio
import uvloop

from benchmarks import by_hand
from benchmarks.results import Result
from benchmarks.workload import TENANT, Workload, chunks, packets
from engine.committer import Committer
from engine.embedded import Valkey
from engine.ingest.formats import livefloor, zigbee2mqtt
from engine.ingest.mqtt_receipts import Meter
from engine.ingest.mqtt_v5_session import Session, State
from engine.metrics import Metrics
from engine.model import Identity, Outcome
from engine.pipeline import Pipeline
from engine.store.locations import Locations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.ingest.mqtt import Message, Receipt
    from engine.site import Site
    from engine.tenant import Tenant

MESSAGES = 60_000
ROUNDS = 7
TINY_MESSAGES = 2_000
RECEIVE_MAXIMUM = 4_096
"""As configured by default: what a broker sends ahead of our acknowledgements."""
ACK_BYTES = 4
WIFI = f"{TENANT}/wifi"
FLOOR_PASSES = 4
"""So that both sides are measured for about as long: the floor is short."""


class Wire(asyncio.Transport):
    """A broker's end that never waits: counts what is written, notes a pause."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.paused = False
        self.acknowledged = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Count."""
        self.written += len(data)
        self.acknowledged.set()

    def is_closing(self) -> bool:
        """Never, while it is measured."""
        return False

    def pause_reading(self) -> None:
        """Note it."""
        self.paused = True

    def resume_reading(self) -> None:
        """Note it."""
        self.paused = False

    def close(self) -> None:
        """Do nothing."""


class Intake:
    """The engine from the socket's bytes to the acknowledgements, as `app` wires it."""

    def __init__(self, site: Site, locations: Locations, now_ms: int) -> None:
        metrics = Metrics(version="0")
        self.tenant: Tenant = site.tenants[TENANT]
        self.site = site
        self._now_ms = now_ms
        self._sort = site.routes["main"].sort
        self._pipeline = Pipeline(metrics.timed)
        self.committer = Committer(
            site.tenants.values(), locations, clock_ms=lambda: now_ms, metrics=metrics
        )
        self.meter = Meter()
        self.wire = Wire()
        self.session = Session(
            site.terms["main"], None, self._sink, self.meter, lambda: None
        )
        self.session.connection_made(self.wire)
        for packet in welcome(len(site.terms["main"].subscriptions)):
            self.session.data_received(packet)
        assert self.session.state is State.SERVING
        self.wire.written = 0

    def _sink(self, messages: Sequence[Message], receipt: Receipt) -> None:
        self._pipeline.run(self._sort(messages), self._now_ms)
        self.committer.add(receipt)

    async def take(self, stream: Sequence[bytes], messages: int) -> None:
        """Take every chunk; return when the last message is acknowledged."""
        receive = self.session.data_received
        meter = self.meter
        for chunk in stream:
            while meter.acks_outstanding > RECEIVE_MAXIMUM or self.wire.paused:
                await self._acknowledgement()
            receive(chunk)
            await asyncio.sleep(0)  # each read is a turn of the loop
        while self.wire.written < ACK_BYTES * messages:
            await self._acknowledgement()

    async def _acknowledgement(self) -> None:
        """Wait without work for the next one: waiting must not count as CPU time."""
        self.wire.acknowledged.clear()
        await self.wire.acknowledged.wait()


def welcome(subscriptions: int) -> list[bytes]:
    """Return what a broker says until the session serves."""
    granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]
    return [
        mqtt5.ConnAckPacket().write(),
        *(
            mqtt5.SubAckPacket(number, granted).write()
            for number in range(1, subscriptions + 1)
        ),
    ]


def floor_pass(stream: bytes) -> int:
    """Read every packet and decode its identity; return how many name somebody."""
    view = memoryview(stream)
    read = mqtt5.read
    identify = msgspec.json.Decoder(Identity).decode
    at, end, named = 0, len(view), 0
    while at < end:
        packet, size = read(view[at:])
        at += size
        who = identify(cast("mqtt5.PublishPacket", packet).payload)
        if who.login or who.device:
            named += 1
    return named


def decoding_pass(stream: bytes, sharing: frozenset[str]) -> int:
    """Read and decode what the engine has to, with its own decoders, and no more.

    No route, no gate but a set, no rule, no state, no Redis, no acknowledgement: what
    the floor divided by this leaves for all of them.
    """
    association = livefloor._decode_plain  # noqa: SLF001 - the engine's very own
    reading, _ = livefloor._readings  # noqa: SLF001
    uplink, state = by_hand._decode, zigbee2mqtt._decode_state  # noqa: SLF001
    view = memoryview(stream)
    read = mqtt5.read
    at, end, decoded = 0, len(view), 0
    while at < end:
        packet, size = read(view[at:])
        at += size
        message = cast("mqtt5.PublishPacket", packet)
        topic, payload = message.topic, message.payload
        if topic == WIFI:
            who = livefloor.quick(payload)
            if who.login is None or who.login in sharing:
                association(payload)
        elif topic.startswith("application/"):
            uplink(payload)
        elif topic.startswith("zigbee2mqtt/"):
            state(payload)
        else:
            reading(payload)
        decoded += 1
    return decoded


class Turn(NamedTuple):
    """CPU seconds of a pass of each side, of decoding alone, and the engine's wall."""

    floor_s: float
    decoding_s: float
    engine_s: float
    wall_s: float


class Measured(NamedTuple):
    """One workload, cut, and what is known of it."""

    day: Workload
    stream: bytes
    cut: list[bytes]


def prepared(messages: int) -> Measured:
    day = Workload(messages)
    stream = b"".join(packets(day.messages))
    work = Measured(day, stream, chunks(stream))
    gc.collect()
    gc.freeze()  # the collector must not walk what only the measurement holds
    return work


async def take_turns(work: Measured, rounds: int) -> list[Turn]:
    """Measure both sides, alternating, each on a state of its own."""
    async with Valkey("locations") as server:
        await one_turn(work, server.url)  # warms up: scripts, caches, the connection
        return [await one_turn(work, server.url) for _ in range(rounds)]


def floor_s(work: Measured) -> float:
    """Return the CPU seconds of a pass of the floor, the mean of some."""
    gc.collect()
    start = time.process_time()
    named = [floor_pass(work.stream) for _ in range(FLOOR_PASSES)]
    spent = time.process_time() - start
    assert set(named) == {sum(topic == WIFI for topic, _ in work.day.messages)}
    return spent / FLOOR_PASSES


def decoding_s(work: Measured) -> float:
    """Return the CPU seconds of decoding alone."""
    sharing = frozenset(person.login for person in work.day.people)
    gc.collect()
    start = time.process_time()
    decoded = decoding_pass(work.stream, sharing)
    spent = time.process_time() - start
    assert decoded == len(work.day.messages)
    return spent


async def one_turn(work: Measured, url: str) -> Turn:
    """Measure the engine, with the floor before and after it."""
    before_s = floor_s(work)
    alone_s = decoding_s(work)
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.flushall()
    locations = Locations(url)
    with tempfile.TemporaryDirectory() as folder:
        site = work.day.site(Path(folder))
    await locations.check()
    await locations.seed(TENANT, [person.subject for person in work.day.people])
    intake = Intake(site, locations, work.day.now_ms)
    async with asyncio.TaskGroup() as tasks:
        committer = tasks.create_task(intake.committer.run())
        await intake.committer.flush()
        gc.collect()
        wall, start = time.perf_counter(), time.process_time()
        await intake.take(work.cut, len(work.day.messages))
        engine_s = time.process_time() - start
        wall_s = time.perf_counter() - wall
        committer.cancel()
    await check(work.day, intake, url)
    await locations.close()
    return Turn((before_s + floor_s(work)) / 2, alone_s, engine_s, wall_s)


async def check(day: Workload, intake: Intake, url: str) -> None:
    """Fast and wrong is wrong: every message is accounted for, and Redis agrees."""
    expected = day.expected()
    outcomes = dict.fromkeys(Outcome, 0)
    for source in intake.site.sources.values():
        for outcome, number in source.tally.by_outcome.items():
            outcomes[outcome] += number
    assert sum(outcomes.values()) == len(day.messages), outcomes
    assert outcomes[Outcome.DISPOSED] == expected.disposed, outcomes
    assert outcomes[Outcome.INVALID] == outcomes[Outcome.LATE] == 0, outcomes
    assert intake.wire.written == ACK_BYTES * len(day.messages)
    assert intake.meter.outstanding == 0
    assert not intake.tenant.presence.waiting
    assert not intake.tenant.dirty
    async with redis.asyncio.Redis.from_url(url) as client:
        places = [key async for key in client.scan_iter("lf:*:place:*", 1_000)]
    assert len(places) == expected.people, (len(places), expected)


def measure(*, tiny: bool = False) -> Result:
    """Return `ingest_over_floor`."""
    messages, rounds = (TINY_MESSAGES, 1) if tiny else (MESSAGES, ROUNDS)
    turns = uvloop.run(take_turns(prepared(messages), rounds))
    engine = statistics.median(turn.engine_s for turn in turns) / messages
    floor = statistics.median(turn.floor_s for turn in turns) / messages
    wall = statistics.median(turn.wall_s for turn in turns) / messages
    decoding = statistics.median(turn.decoding_s for turn in turns) / messages
    ratios = [turn.floor_s / turn.engine_s for turn in turns]
    return Result(
        statistics.median(ratios),
        {
            "ratios": [round(ratio, 3) for ratio in ratios],
            "engine_us_per_message": round(1e6 * engine, 2),
            "floor_us_per_message": round(1e6 * floor, 2),
            "decoding_us_per_message": round(1e6 * decoding, 2),
            "engine_messages_per_cpu_s": round(1 / engine),
            "engine_messages_per_s": round(1 / wall),
        },
    )
