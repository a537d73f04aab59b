"""The listener: its port, its start, and its calm end."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import TYPE_CHECKING, cast

import pytest
from litestar import Litestar
from websockets.asyncio.client import connect

from engine.errors import ConfigError
from engine.publish.server import serve
from tests.publish.served import (
    DEADLINE_S,
    Exchange,
    Rules,
    app_of,
    count_body,
    served,
    until,
)

if TYPE_CHECKING:
    from uvicorn._types import ASGIApplication

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
APP = app_of(count_body)


async def test_a_free_port_is_found_and_named() -> None:
    async with served() as world:
        assert world.port > 0


async def test_a_taken_port_is_the_operators_fault() -> None:
    async with served() as world:
        with pytest.raises(ConfigError, match=f"port {world.port}"):
            async with serve(APP, live=world.live, port=world.port):
                pass


async def test_a_name_that_does_not_resolve_is_the_operators_fault() -> None:
    async with served() as world:
        with pytest.raises(ConfigError, match="Cannot listen"):
            async with serve(APP, live=world.live, host="no such host"):
                pass


async def test_both_families_can_be_listened_on() -> None:
    async with (
        served() as world,
        serve(APP, live=world.live, host="::1") as six,
        connect(f"ws://[::1]:{six.port}/v1/live"),
    ):
        assert world.asked[-1] == (None, "::1")


async def test_signals_stay_with_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with served():
        assert signal.getsignal(signal.SIGTERM) is before


async def test_the_application_starts_and_stops_with_the_server() -> None:
    seen: list[str] = []
    app = Litestar(
        [],
        on_startup=[lambda: seen.append("start")],
        on_shutdown=[lambda: seen.append("stop")],
        openapi_config=None,
    )
    async with served(Rules(app=cast("ASGIApplication", app))):
        assert seen == ["start"]
    assert seen == ["start", "stop"]


async def test_an_answer_under_way_is_finished_before_the_end() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        begun.set()
        await finish.wait()
        await exchange.answer(b"done")

    async with asyncio.timeout(DEADLINE_S):
        async with served(Rules(handler=slow)) as world:
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            writer.write(GET)
            await begun.wait()
            asyncio.get_running_loop().call_later(0.05, finish.set)
        assert (await reader.read()).endswith(b"done")
        writer.close()


@pytest.mark.slow
async def test_what_does_not_end_is_cut_when_the_drain_is_over() -> None:
    async def endless(_exchange: Exchange) -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(DEADLINE_S):
        async with served(Rules(handler=endless)) as world:
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            writer.write(GET)
            await until(lambda: world.listener.gate.open == 1)
            started = loop.time()
        assert loop.time() - started < 3  # the drain of these tests is one second
        writer.close()
        assert b"HTTP/1.1 200" not in await reader.read()


async def test_heartbeats_come_by_themselves() -> None:
    beating = Rules(heartbeat_s=0.03, sweep_s=0.01)
    async with served(beating) as world, connect(world.url) as client:
        async with asyncio.timeout(DEADLINE_S):
            await client.recv()
            assert '"heartbeat"' in str(await client.recv())


async def test_nothing_is_left_behind() -> None:
    tasks = len(asyncio.all_tasks())
    async with served() as world, connect(world.url):
        port = world.port
    await until(lambda: len(asyncio.all_tasks()) == tasks)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
