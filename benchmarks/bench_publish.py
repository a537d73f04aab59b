"""What it costs to tell everyone, beside bare writes of the same bytes.

The question: how far is a tick, from the delta to the bytes in 1, 100 and 1,000 real
sockets, from a loop that only calls `transport.write` with bytes made in advance on the
very same sockets? Both sides take turns, and CPU time of this process is what counts;
the readers are another process.

`pytest benchmarks/bench_publish.py` measures and prints the ratio,
`--benchmark-disable` only checks that everyone got everything.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import selectors
import socket
import statistics
import struct
import time
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
import pytest
import uvloop

from engine.codec import Wire, encode
from engine.model import Delta, Snapshot
from engine.publish.frames import Framing, framed
from engine.publish.hub import Hub
from engine.publish.live import Grant, Live
from engine.publish.server import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pytest_benchmark.fixture import BenchmarkFixture
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable
    from uvicorn._types import Scope as AsgiScope

LEVEL = "hq/3"
TENANT = "acme"
ROWS = 500
CHANGED = 40
NOW_MS = 1_792_580_400_000
ROUNDS = 15
TICKS = 8


class Floor:
    """A level of 500 spaces of which 40 change a tick."""

    def __init__(self) -> None:
        self.offset = 0

    def levels(self) -> Sequence[str]:
        """Return the one level."""
        return (LEVEL,)

    def snapshot(self, level: str, now_ms: int) -> Snapshot:
        """Return all of it."""
        rows = np.arange(ROWS)
        return Snapshot(
            level=level,
            plan="p1",
            epoch="e1",
            offset=self.offset,
            at_ms=now_ms,
            state=np.ones(ROWS, np.uint8),
            count=np.full(ROWS, -1, np.int32),
            confidence=np.full(ROWS, 90, np.uint8),
            since_ms=now_ms - rows * 1_000,
        )

    def since(self, level: str, epoch: str, offset: int, now_ms: int) -> Delta:
        """Return the changes; the same spaces every time."""
        index = np.arange(CHANGED, dtype=np.int32) * 12
        return Delta(
            level=level,
            epoch=epoch,
            prev=offset,
            offset=self.offset,
            at_ms=now_ms,
            index=index,
            state=np.full(CHANGED, 2, np.uint8),
            count=np.full(CHANGED, -1, np.int32),
            confidence=np.full(CHANGED, 90, np.uint8),
            since_ms=np.full(CHANGED, now_ms - 2_000, np.int64),
        )

    def tick(self) -> Delta:
        """Change them."""
        self.offset += 1
        return self.since(LEVEL, "e1", self.offset - 1, NOW_MS)


def read_and_forget(port: int, how_many: int) -> None:
    """Subscribe with that many sockets and throw away what comes; the other process."""
    ready = selectors.DefaultSelector()
    subscribe = b'{"subscribe":["hq/3"]}'
    key = base64.b64encode(bytes(16)).decode()
    ask = (
        f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}"
        "\r\nSec-WebSocket-Protocol: livefloor.v1.json\r\n\r\n"
    )
    for _ in range(how_many):
        reader = socket.create_connection(("127.0.0.1", port))
        reader.sendall(ask.encode())
        reader.recv(4_096)
        head = struct.pack("!BBI", 0x81, 0x80 | len(subscribe), 0)
        reader.sendall(head + subscribe)
        ready.register(reader, selectors.EVENT_READ)
    while ready.get_map():
        for entry, _ in ready.select():
            assert isinstance(entry.fileobj, socket.socket)
            if not entry.fileobj.recv(1 << 20):
                ready.unregister(entry.fileobj)


async def no_http(
    _scope: AsgiScope, _receive: ASGIReceiveCallable, _send: ASGISendCallable
) -> None:
    """Answer nothing: nobody asks."""


class Audience:
    """A server whose sockets all follow one level."""

    def __init__(self, live: Live, floor: Floor) -> None:
        self.hub = live.hub
        self.floor = floor
        self.transports = [one.transport for one in live.sockets]
        payload = encode(floor.tick(), Wire.JSON)
        floor.offset -= 1
        self.frame = framed(payload, Framing.TEXT)

    def tell(self) -> None:
        """Publish a tick."""
        self.hub.publish(TENANT, [self.floor.tick()])

    def write(self) -> None:
        """Write as many bytes, and do nothing else."""
        frame = self.frame
        for transport in self.transports:
            transport.write(frame)

    async def drained(self) -> None:
        """Let the readers catch up, so that no round finds a full pipe."""
        while any(one.get_write_buffer_size() for one in self.transports):  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def audience(how_many: int) -> AsyncIterator[Audience]:
    floor = Floor()
    hub = Hub({TENANT: floor}, encode=encode, now_ms=lambda: NOW_MS)
    live = Live(
        hub=hub,
        authorise=lambda _token, _address, _headers: Grant(TENANT, None),
        heartbeat_s=3_600,
        now_ms=lambda: NOW_MS,
    )
    async with serve(no_http, live=live, drain_s=0.1) as listener:
        ports = (listener.port, how_many)
        readers = get_context("spawn").Process(target=read_and_forget, args=ports)
        readers.start()
        async with asyncio.timeout(20):
            while hub.frames < how_many:  # noqa: ASYNC110 - a snapshot each
                await asyncio.sleep(0.01)
        yield Audience(live, floor)
    await asyncio.to_thread(readers.join)


async def cpu_s(act: Callable[[], None], everyone: Audience) -> float:
    """CPU seconds of one tick, until its bytes have left or wait in the transport."""
    started = time.process_time()
    for _ in range(TICKS):
        act()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    spent = time.process_time() - started
    await everyone.drained()
    return spent / TICKS


async def take_turns(how_many: int) -> tuple[list[float], list[float]]:
    """Measure both sides, alternating, on the same sockets."""
    told, written = [], []
    async with audience(how_many) as everyone:
        for _ in range(ROUNDS):
            told.append(await cpu_s(everyone.tell, everyone))
            written.append(await cpu_s(everyone.write, everyone))
        assert everyone.hub.frames == how_many * (1 + ROUNDS * TICKS)
        assert everyone.hub.encodes == 1 + ROUNDS * TICKS
        assert everyone.hub.conflated == 0
    return told, written


@pytest.mark.parametrize("sockets", [1, 100, 1_000])
def bench_fan_out(benchmark: BenchmarkFixture, sockets: int) -> None:
    told, written = benchmark(lambda: uvloop.run(take_turns(sockets)))
    ratio = statistics.median(told) / statistics.median(written)
    per_frame_us = statistics.median(told) / sockets * 1e6
    benchmark.extra_info["ratio"] = round(ratio, 2)
    benchmark.extra_info["us_per_frame"] = round(per_frame_us, 2)
    print(  # noqa: T201 - the ratio is the answer
        f"\n{sockets} sockets: {per_frame_us:.2f} us a frame, {ratio:.2f} x bare writes"
    )
