"""Slow and hostile HTTP clients are cut; patient ones are not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect

from engine.publish.http import Gate, HttpLimits
from tests.publish.served import DEADLINE_S, Exchange, Rules, Served, served, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUICK = HttpLimits(
    first_byte_s=0.1,
    idle_s=0.2,
    headers_s=0.15,
    body_window_s=0.1,
    body_bytes_per_s=100,
    stalled_s=0.1,
    header_bytes=1_000,
)
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n"


class Client:
    """A connection that is written to by hand."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer

    async def all(self) -> bytes:
        answer = b""
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(ConnectionResetError):
                while chunk := await self.reader.read(65_536):
                    answer += chunk
        return answer

    async def drip(self, chunk: bytes, every_s: float = 0.02) -> bytes:
        """Send the chunk again and again until the server ends it."""
        reading = asyncio.create_task(self.all())
        while not reading.done():
            self.writer.write(chunk)
            await asyncio.sleep(every_s)
        return await reading

    async def answer(self) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
            return await self.reader.readexactly(size)


@contextlib.asynccontextmanager
async def client(world: Served) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def test_a_silent_connection_is_cut() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as silent:
        assert await silent.all() == b""
        assert world.listener.gate.cut == {"first_byte": 1}


async def test_dripping_line_breaks_are_no_first_byte() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as slow:
        assert await slow.drip(b"\r\n") == b""
        assert world.listener.gate.cut == {"first_byte": 1}


async def test_dripping_headers_are_cut() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as slow:
        slow.writer.write(b"GET / HTTP/1.1\r\n")
        assert (await slow.drip(b"a: b\r\n")).startswith(b"HTTP/1.1 408 ")
        assert world.listener.gate.cut == {"headers": 1}


async def test_a_dripping_header_without_end_is_cut() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as slow:
        slow.writer.write(b"GET / HTTP/1.1\r\nX-Long: ")
        assert (await slow.drip(b"a")).startswith(b"HTTP/1.1 408 ")


async def test_a_dripping_body_is_cut() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as slow:
        slow.writer.write(POST)
        assert (await slow.drip(b"x")).startswith(b"HTTP/1.1 408 ")
        assert world.listener.gate.cut == {"body": 1}
        await until(lambda: world.listener.gate.open == 0)


@pytest.mark.slow
async def test_a_quick_start_does_not_buy_time_for_a_dripping_end() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as slow:
        slow.writer.write(POST + b"x" * 900)
        assert (await slow.drip(b"x")).startswith(b"HTTP/1.1 408 ")


@pytest.mark.slow
async def test_a_body_that_is_slow_but_fast_enough_arrives() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as patient:
        patient.writer.write(POST)
        for _ in range(20):
            patient.writer.write(b"x" * 50)
            await asyncio.sleep(0.02)
        assert await patient.answer() == b"1000"


async def test_a_kept_connection_serves_again_and_ends_when_idle() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as kept:
        for _ in range(3):
            kept.writer.write(GET)
            assert await kept.answer() == b"0"
        assert await kept.all() == b""
        await until(lambda: world.listener.gate.open == 0)


async def test_dripping_line_breaks_do_not_keep_an_idle_connection() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as kept:
        kept.writer.write(GET)
        await kept.answer()
        assert await kept.drip(b"\r\n") == b""
        assert world.listener.gate.cut == {"idle": 1}


async def test_pipelined_requests_are_all_answered() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as eager:
        eager.writer.write(GET * 3 + POST + b"x" * 1_000)
        answers = [await eager.answer() for _ in range(4)]
        assert answers == [b"0", b"0", b"0", b"1000"]


@pytest.mark.slow
async def test_a_handler_may_take_longer_than_any_client() -> None:
    finish = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await finish.wait()
        await exchange.answer(b"")

    rules = Rules(handler=slow, limits=QUICK)
    async with served(rules) as world, client(world) as waits:
        waits.writer.write(GET)
        await asyncio.sleep(0.5)  # longer than every limit
        finish.set()
        assert await waits.answer() == b""
        assert not world.listener.gate.cut


async def test_headers_beyond_their_bound_are_refused() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as big:
        big.writer.write(b"GET / HTTP/1.1\r\nX-Big: " + b"x" * 1_000)
        assert (await big.all()).startswith(b"HTTP/1.1 431 ")


async def test_bytes_that_are_not_http_are_refused() -> None:
    async with served(Rules(limits=QUICK)) as world, client(world) as odd:
        odd.writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert (await odd.all()).startswith(b"HTTP/1.1 400 ")


async def test_an_answer_that_nobody_reads_is_cut() -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.start(None)
        for _ in range(400):
            await exchange.write(b"x" * 65_536, more=True)

    rules = Rules(handler=endless, limits=QUICK)
    async with served(rules) as world, client(world) as stalled:
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        stalled.writer.write(GET)
        await until(lambda: world.listener.gate.cut["answer"] == 1)
        await until(lambda: world.listener.gate.open == 0)


@pytest.mark.parametrize(
    "limits", [HttpLimits(connections=1), HttpLimits(per_address=1)]
)
async def test_one_connection_too_many_is_turned_away(limits: HttpLimits) -> None:
    async with served(Rules(limits=limits)) as world, client(world) as first:
        first.writer.write(GET)
        await first.answer()
        async with client(world) as late:
            assert (await late.all()).startswith(b"HTTP/1.1 503 ")
        assert world.listener.gate.refused == 1
        first.writer.close()
        await until(lambda: world.listener.gate.open == 0)
        async with client(world) as again:
            again.writer.write(GET)
            assert await again.answer() == b"0"


async def test_a_socket_counts_as_a_connection_until_it_ends() -> None:
    async with served() as world:
        async with connect(world.url):
            assert world.listener.gate.open == 1
        await until(lambda: world.listener.gate.open == 0)


@pytest.mark.slow
async def test_a_socket_is_not_swept_as_http() -> None:
    async with served(Rules(limits=QUICK)) as world, connect(world.url) as live:
        await asyncio.sleep(0.4)  # longer than every limit
        async with asyncio.timeout(DEADLINE_S):
            await (await live.ping())
        assert not world.listener.gate.cut


async def test_a_failing_handler_is_logged_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def failing(_exchange: Exchange) -> None:
        message = "s3cr3t of a person"
        raise RuntimeError(message)

    caplog.set_level(logging.DEBUG)
    rules = Rules(handler=failing)
    async with served(rules) as world, client(world) as asks:
        asks.writer.write(GET)
        assert (await asks.all()).startswith(b"HTTP/1.1 500 ")
    assert "RuntimeError" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_gate_forgets_the_addresses_that_left() -> None:
    gate = Gate()
    for number in range(1_000):
        assert gate.enter(str(number))
    for number in range(1_000):
        gate.leave(str(number))
    assert gate.open == 0
    assert not gate._open_by_address  # noqa: SLF001 - the leak under test
