"""Bytes of the engine's memory for each subscriber that has stopped reading.

The question: what does a phone in a lift cost? 500 raw sockets subscribe to every level
of the building and read nothing, while all sensors of one kind change sides again and
again, until the engine has noticed each of them, and for a while after. What counts is
by how much the engine's process has grown, from before the first of them came; a reader
that reads has seen everything by then, so that what the engine keeps for its own work
is not in it. What the kernel keeps is its own, and bounded by `tcp_wmem`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
import time
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import uvloop
from websockets.asyncio.client import connect

from benchmarks.process import DEADLINE_S, Publisher, prebuilt, rig, token
from benchmarks.results import Result
from benchmarks.workload import TENANT, Workload
from engine.files import geojson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.process import Engine, Rig

READERS, TINY_READERS = 500, 20
AFTER_S, TINY_AFTER_S = 5.0, 0.5
"""How long the load goes on when all of them are noticed."""
WARM_UP_S = 3.0
FLIP_S = 0.1
PAUSED = "engine_subscribers_paused"


class Sizes(NamedTuple):
    """How many readers, and for how long."""

    readers: int
    warm_up_s: float
    after_s: float


async def stalled(port: int, levels: Sequence[str]) -> socket.socket:
    """Return a socket that has subscribed and will read nothing more."""
    loop = asyncio.get_running_loop()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.setblocking(False)  # noqa: FBT003 - socket's own
    await loop.sock_connect(raw, ("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    ask = (
        f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}"
        f"\r\nAuthorization: Bearer {token()}\r\n\r\n"
    )
    await loop.sock_sendall(raw, ask.encode())
    assert b" 101 " in await loop.sock_recv(raw, 1_024)
    wanted = json.dumps({"subscribe": levels}).encode()
    head = struct.pack("!BBHI", 0x81, 0x80 | 126, len(wanted), 0)
    await loop.sock_sendall(raw, head + wanted)
    return raw


class Flips:
    """All of livefloor's own presence sensors, occupied and free in turn."""

    def __init__(self, made: Rig, publisher: Publisher) -> None:
        self._publisher = publisher
        self._devices = [
            sensor.device
            for sensor in made.day.scenario.building.sensors
            if sensor.source == "sensors" and sensor.kind == "presence"
        ]
        self._occupied = False

    async def go_on(self) -> None:
        """Change sides for ever."""
        while True:
            self._occupied = not self._occupied
            batch = [
                {"sensor": device, "occupied": self._occupied}
                for device in self._devices
            ]
            message = (f"{TENANT}/sensors", msgspec.json.encode(batch))
            self._publisher.send(prebuilt([message]))
            await asyncio.sleep(FLIP_S)


async def healthy(port: int, levels: Sequence[str], heard: list[float]) -> None:
    """Follow every level and note when each delta came."""
    async with connect(
        f"ws://127.0.0.1:{port}/v1/live",
        additional_headers={"Authorization": f"Bearer {token()}"},
        max_size=None,
    ) as client:
        await client.send(json.dumps({"subscribe": levels}))
        while True:
            if '"delta"' in str(await client.recv())[:40]:
                heard.append(time.monotonic())


async def run(sizes: Sizes) -> Result:
    """Measure; every part stops with it."""
    async with rig(Workload(100)) as made:
        engine = made.engine()
        async with engine:
            drawn = made.day.scenario.building.plan_file()
            plan, _ = geojson.read(drawn, "plan.geojson")
            levels = sorted(plan.levels)
            spaces = sum(one.stop - one.start for one in plan.levels.values())
            grown, heard = await _measured(made, engine, levels, sizes)
    waits = [later - earlier for earlier, later in pairwise(heard)]
    return Result(
        grown / sizes.readers,
        {
            "readers": sizes.readers,
            "levels": len(levels),
            "spaces": spaces,
            "bound": 64 * 1024 + spaces / 8,
            "deltas_of_the_healthy_reader": len(heard),
            "its_longest_wait_ms": round(1000 * max(waits)),
        },
    )


async def _measured(
    made: Rig, engine: Engine, levels: Sequence[str], sizes: Sizes
) -> tuple[int, list[float]]:
    """Return by how many bytes the engine grew, and when the healthy reader heard."""
    heard: list[float] = []
    publisher = await Publisher.open(made.broker.host, made.broker.port)
    tasks = [
        asyncio.ensure_future(Flips(made, publisher).go_on()),
        asyncio.ensure_future(healthy(engine.port, levels, heard)),
    ]
    with ExitStack() as stack:
        for task in tasks:
            stack.callback(task.cancel)
        await asyncio.sleep(sizes.warm_up_s)
        before = engine.rss
        for _ in range(sizes.readers):
            stack.enter_context(await stalled(engine.port, levels))
        async with asyncio.timeout(2 * DEADLINE_S):
            while await engine.metric(PAUSED) < sizes.readers:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.5)
        await asyncio.sleep(sizes.after_s)
        assert await engine.metric(PAUSED) == sizes.readers
        assert not any(task.done() for task in tasks)
        grown = engine.rss - before
    return grown, heard


def measure(*, tiny: bool = False) -> Result:
    """Return `bytes_per_stalled_reader`."""
    sizes = Sizes(READERS, WARM_UP_S, AFTER_S)
    if tiny:
        sizes = Sizes(TINY_READERS, 0.5, TINY_AFTER_S)
    return uvloop.run(run(sizes))
