"""Server-sent events: the same stream, at most one chunk pending."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, cast

import pytest
from litestar import Litestar, get
from litestar.response import Stream

from engine.errors import Forbidden, NotFound, TooMany
from engine.publish import sse
from tests.publish.floor import TENANT, Replica
from tests.publish.served import DEADLINE_S, LEVEL, Rules, Served, served, until
from tests.publish.test_hub import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from uvicorn._types import ASGIApplication


def events(chunk: bytes) -> list[dict[str, str]]:
    """Read whole events the way a browser does; comments are dropped."""
    assert chunk.endswith(b"\n\n")
    read = []
    for block in chunk.decode().strip("\n").split("\n\n"):
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        read.append(dict(line.split(": ", 1) for line in lines))
    return read


class Reader:
    """A browser's end: reads chunks, believes events."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.chunks = chunks
        self.replica = Replica()
        self.last_id: str | None = None
        self.retry: str | None = None

    async def read(self) -> list[str]:
        async with asyncio.timeout(DEADLINE_S):
            told = events(await anext(self.chunks))
        for event in told:
            self.last_id = event.get("id", self.last_id)
            self.retry = event.get("retry", self.retry)
            if "data" in event:
                message = json.loads(event["data"])
                assert message["type"] == event["event"]
                self.replica.hear(message)
        return [event["event"] for event in told if "event" in event]

    async def close(self) -> None:
        await self.chunks.aclose()  # type: ignore[attr-defined]


async def opened(world: World, last_event_id: str | None = None) -> Reader:
    return Reader(sse.stream(world.hub, TENANT, LEVEL, last_event_id))


async def test_a_reader_gets_a_snapshot_then_deltas_with_their_positions() -> None:
    world = World()
    reader = await opened(world)
    assert await reader.read() == []  # the retry time
    assert reader.retry == "2000"
    assert await reader.read() == ["snapshot"]
    assert reader.last_id == "e1:0"
    world.tick(1)
    assert await reader.read() == ["delta"]
    assert reader.last_id == "e1:1"
    assert reader.replica.agrees(world.floor)
    await reader.close()
    assert world.hub.subscribers == 0


async def test_a_busy_reader_has_one_chunk_pending_and_then_the_newest() -> None:
    world = World()
    reader = await opened(world)
    await reader.read()
    await reader.read()
    for row in range(8):
        world.tick(row, state=2)
    assert await reader.read() == ["delta"]
    assert reader.last_id == "e1:8"
    assert reader.replica.agrees(world.floor)
    await reader.close()


async def test_a_waiting_reader_shares_the_bytes_of_all() -> None:
    world = World()
    readers = [await opened(world) for _ in range(5)]
    for reader in readers:
        await reader.read()
        await reader.read()
    waiting = [asyncio.create_task(reader.read()) for reader in readers]
    await asyncio.sleep(0)
    before = world.hub.encodes
    world.tick(1)
    assert [await one for one in waiting] == [["delta"]] * 5
    assert world.hub.encodes == before + 1
    for reader in readers:
        await reader.close()


@pytest.mark.parametrize(
    ("last_event_id", "told"),
    [
        ("e1:3", ["resumed"]),
        ("e1:1", ["resumed", "delta"]),
        ("e1:4", ["reset", "snapshot"]),
        ("e0:1", ["reset", "snapshot"]),
        ("", ["reset", "snapshot"]),
        ("e1", ["reset", "snapshot"]),
        ("e1:", ["reset", "snapshot"]),
        ("e1:-1", ["reset", "snapshot"]),
        ("e1:1:1", ["reset", "snapshot"]),
        ("e1:\uff11", ["reset", "snapshot"]),
        ("e1:" + "9" * 5_000, ["reset", "snapshot"]),
        ("%s\n\ndata: x:1", ["reset", "snapshot"]),
    ],
)
async def test_a_last_event_id_resumes_or_is_reset(
    last_event_id: str, told: list[str]
) -> None:
    world = World()
    for row in range(3):
        world.floor.change([row], 1)
    reader = await opened(world, last_event_id)
    reader.replica = Replica("e1", 1, [0] * 8, [None] * 8)
    heard = await reader.read()
    while len(heard) < len(told):
        heard += await reader.read()
    assert heard == told
    await reader.close()


async def test_a_heartbeat_reaches_a_waiting_reader() -> None:
    world = World()
    reader = await opened(world)
    await reader.read()
    await reader.read()
    waiting = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    world.hub.beat()
    assert await waiting == ["heartbeat"]
    await reader.close()


async def test_the_end_of_the_server_ends_the_stream_with_a_time_to_return() -> None:
    world = World()
    reader = await opened(world)
    await reader.read()
    await reader.read()
    waiting = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    world.hub.end()
    assert await waiting == []
    assert 2_000 <= int(reader.retry or 0) <= 7_000
    with pytest.raises(StopAsyncIteration):
        await anext(reader.chunks)
    assert world.hub.subscribers == 0


async def test_a_stream_ends_with_its_token() -> None:
    world = World()
    chunks = sse.stream(world.hub, TENANT, LEVEL, expires_in_s=0.05)
    async with asyncio.timeout(DEADLINE_S):
        async for _ in chunks:
            pass
    assert world.hub.subscribers == 0


async def test_what_is_refused_is_refused_before_the_response_begins() -> None:
    world = World(max_subscribers=0)
    with pytest.raises(NotFound):
        sse.stream(world.hub, TENANT, "hq/9")
    with pytest.raises(Forbidden):
        sse.stream(world.hub, "nobody", LEVEL)
    with pytest.raises(TooMany):
        sse.stream(world.hub, TENANT, LEVEL)


@contextlib.asynccontextmanager
async def litestar() -> AsyncIterator[
    tuple[Served, asyncio.StreamReader, asyncio.StreamWriter]
]:
    @get("/live", sync_to_thread=False)
    def live() -> Stream:
        chunks = sse.stream(world.hub, TENANT, LEVEL)
        return Stream(chunks, media_type="text/event-stream")

    app = Litestar([live], openapi_config=None)
    async with served(Rules(app=cast("ASGIApplication", app))) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"GET /live HTTP/1.1\r\nHost: here\r\n\r\n")
        async with asyncio.timeout(DEADLINE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"text/event-stream" in head
            await reader.readuntil(b"event: snapshot")
        yield world, reader, writer
    writer.transport.abort()


async def test_a_reader_that_leaves_is_forgotten_at_once() -> None:
    async with litestar() as (world, _, writer):
        assert world.hub.subscribers == 1
        writer.transport.abort()
        await until(lambda: world.hub.subscribers == 0)


async def test_a_server_that_stops_ends_its_streams() -> None:
    async with litestar() as (_, reader, _):
        reading = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
    assert (await reading).endswith(b"\r\n0\r\n\r\n")
