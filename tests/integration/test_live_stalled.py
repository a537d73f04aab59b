"""Stalled readers: bounded memory, nobody else late, newest state when they wake."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import psutil
import pytest
from websockets.asyncio.client import connect

from tests.publish.floor import Replica
from tests.publish.served import DEADLINE_S, LEVEL, Rules, Served, served, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.integration

SUBSCRIBE = json.dumps({"subscribe": [LEVEL]}).encode()
FRAME = struct.pack("!BBI", 0x81, 0x80 | len(SUBSCRIBE), 0) + SUBSCRIBE


def open_raw(port: int) -> socket.socket:
    """Open a socket whose peer's window closes after a few kilobytes."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.settimeout(0)
    raw.connect_ex(("127.0.0.1", port))
    return raw


async def subscribe_raw(raw: socket.socket, port: int) -> None:
    """Shake hands and subscribe; read nothing but the handshake and the hello."""
    loop = asyncio.get_running_loop()
    key = base64.b64encode(os.urandom(16)).decode()
    ask = (
        f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}"
        "\r\n\r\n"
    )
    await loop.sock_sendall(raw, ask.encode())
    assert b" 101 " in await loop.sock_recv(raw, 1_024)
    await loop.sock_sendall(raw, FRAME)


@asynccontextmanager
async def stalled(world: Served, how_many: int) -> AsyncIterator[list[socket.socket]]:
    raws: list[socket.socket] = []
    try:
        for _ in range(how_many):
            raw = open_raw(world.port)
            raws.append(raw)
            await subscribe_raw(raw, world.port)
        await until(lambda: len(world.live.sockets) >= how_many)
        yield raws
    finally:
        for raw in raws:
            raw.close()


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Read whole unmasked frames."""
    at = 0
    while at + 2 <= len(data):
        size, head = data[at + 1], 2
        if size == 126:
            size, head = struct.unpack_from("!H", data, at + 2)[0], 4
        elif size == 127:
            size, head = struct.unpack_from("!Q", data, at + 2)[0], 10
        if at + head + size > len(data):
            return
        yield data[at] & 0x0F, data[at + head : at + head + size]
        at += head + size


@pytest.mark.slow
async def test_500_stalled_readers_cost_a_constant_and_delay_nobody() -> None:
    rows, readers, ticks = 2_000, 500, 200
    async with served(Rules(rows=rows)) as world, connect(world.url) as healthy:
        await healthy.recv()
        await healthy.send(SUBSCRIBE.decode())
        replica = Replica()
        replica.hear(json.loads(await healthy.recv()))
        async with stalled(world, readers):
            gc.collect()
            before = psutil.Process().memory_info().rss
            for tick in range(ticks):
                world.tick(*range(rows), state=tick % 5)
                async with asyncio.timeout(DEADLINE_S):
                    replica.hear(json.loads(await healthy.recv()))
            gc.collect()
            grown = psutil.Process().memory_info().rss - before
            assert replica.agrees(world.floor)
            assert replica.told.count("delta") == ticks
            assert world.hub.paused == readers
            assert grown <= readers * (64 * 1024 + rows // 8) * 1.05
            # Unbounded, they would hold two hundred frames each.
            assert world.hub.conflated > readers * (ticks - 10)
            assert world.hub.encodes < ticks + 100


async def read_all(raw: socket.socket, heard: bytearray, floor_offset: int) -> Replica:
    """Read on until the replica is at an offset."""
    loop = asyncio.get_running_loop()
    replica = Replica()
    while replica.offset < floor_offset:
        async with asyncio.timeout(DEADLINE_S):
            heard += await loop.sock_recv(raw, 65_536)
        replica = Replica()
        for _, payload in frames(bytes(heard)):
            message = json.loads(payload)
            if message["type"] != "hello":
                replica.hear(message)
    return replica


async def test_a_stalled_reader_that_wakes_holds_the_exact_state() -> None:
    async with served(Rules(rows=2_000)) as world, stalled(world, 3) as raws:
        await clogged(world)
        assert world.hub.paused == 3
        for raw in raws:
            replica = await read_all(raw, bytearray(), world.floor.offset)
            assert replica.agrees(world.floor)
            assert len(replica.told) < 20
        await until(lambda: world.hub.paused == 0)


async def test_readers_that_stall_now_and_then_never_see_a_gap() -> None:
    async with served(Rules(rows=1_000)) as world, stalled(world, 4) as raws:
        heard = [bytearray() for _ in raws]
        loop = asyncio.get_running_loop()
        for tick in range(150):
            world.tick(*range(tick % 900, 1_000), state=tick % 5)
            await asyncio.sleep(0)
            which = tick * 7 % 5
            if which < len(raws):
                async with asyncio.timeout(DEADLINE_S):
                    heard[which] += await loop.sock_recv(raws[which], 30_000)
        for raw, so_far in zip(raws, heard, strict=True):
            replica = await read_all(raw, so_far, world.floor.offset)
            assert replica.agrees(world.floor)


async def clogged(world: Served) -> None:
    """Publish until every stalled reader's pipe is full."""
    for tick in range(40):
        world.tick(*range(2_000), state=tick % 5)
        await asyncio.sleep(0)
    await until(lambda: world.hub.paused == world.hub.subscribers)


async def test_no_progress_for_too_long_closes_with_4001() -> None:
    async with served(Rules(rows=2_000)) as world, stalled(world, 1) as (raw,):
        await clogged(world)
        world.late(15)
        assert world.live.stalled == 0
        world.late(31)
        assert (world.live.stalled, world.hub.subscribers) == (1, 0)
        loop = asyncio.get_running_loop()
        heard = bytearray()
        opcode, payload = 0, b""
        while opcode != 8:
            async with asyncio.timeout(DEADLINE_S):
                heard += await loop.sock_recv(raw, 65_536)
            for frame in frames(bytes(heard)):
                opcode, payload = frame
        assert struct.unpack("!H", payload[:2])[0] == 4001


async def test_a_reader_that_stays_stalled_is_cut_after_the_close() -> None:
    async with served(Rules(rows=2_000)) as world, stalled(world, 1):
        await clogged(world)
        world.late(31)
        world.late(4)
        await until(lambda: not world.live.sockets)


class Dripping:
    """A transport whose unsent bytes are what the test says."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.unsent_bytes = transport.get_write_buffer_size()

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


async def test_a_slow_reader_is_closed_only_long_after_its_last_progress() -> None:
    async with served(Rules(rows=2_000)) as world, stalled(world, 1):
        await clogged(world)
        (one,) = world.live.sockets
        slow = Dripping(one.transport)
        one.transport = cast("asyncio.Transport", slow)
        for seconds in (20, 40):
            slow.unsent_bytes -= 1
            world.late(seconds)
        world.late(60)
        assert (world.live.stalled, world.hub.subscribers) == (0, 1)
        world.late(80)
        assert (world.live.stalled, world.hub.subscribers) == (1, 0)


async def test_a_stalled_reader_cannot_ask_for_more() -> None:
    async with served(Rules(rows=2_000)) as world, stalled(world, 1) as (raw,):
        await clogged(world)
        told = world.hub.frames
        ask = json.dumps({"unsubscribe": ["hq/9"]}).encode()
        raw.send((struct.pack("!BBI", 0x81, 0x80 | len(ask), 0) + ask) * 50)
        async with connect(world.url) as healthy:
            await (await healthy.ping())  # the loop has read all it would read
        assert world.hub.frames == told
