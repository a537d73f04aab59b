"""Slow and hostile HTTP clients are cut; patient ones are not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect

from engine.publish.http import Gate, HttpLimits, Phase
from tests.publish.served import DEADLINE_S, Exchange, Rules, Served, served, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

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


def at(world: Served, phase: Phase, phase_bytes: int = 0) -> Callable[[], bool]:
    """Say whether the one connection has come so far."""
    return lambda: (
        [(one.phase, one.phase_bytes) for one in world.listener.requests]
        == [(phase, phase_bytes)]
    )


async def test_a_silent_connection_is_cut() -> None:
    async with served() as world, client(world) as silent:
        await until(at(world, Phase.FIRST_BYTE))
        world.late(1)
        assert not world.listener.gate.cut
        world.late(6)
        assert await silent.all() == b""
        assert world.listener.gate.cut == {"first_byte": 1}


async def test_dripping_line_breaks_are_no_first_byte() -> None:
    async with served() as world, client(world) as slow:
        slow.writer.write(b"\r\n\r\n")
        await until(at(world, Phase.FIRST_BYTE))
        world.late(6)
        assert await slow.all() == b""
        assert world.listener.gate.cut == {"first_byte": 1}


@pytest.mark.parametrize("rest", [b"a: b\r\n", b"X-Long: aaaaaaaa"])
async def test_dripping_headers_are_cut(rest: bytes) -> None:
    async with served() as world, client(world) as slow:
        slow.writer.write(b"GET / HTTP/1.1\r\n")
        await until(at(world, Phase.HEADERS, 16))
        world.late(5)
        assert not world.listener.gate.cut
        slow.writer.write(rest)
        await until(at(world, Phase.HEADERS, 16 + len(rest)))
        world.late(11)
        assert (await slow.all()).startswith(b"HTTP/1.1 408 ")
        assert world.listener.gate.cut == {"headers": 1}


async def test_a_body_that_stops_is_cut() -> None:
    async with served() as world, client(world) as slow:
        slow.writer.write(POST)
        await until(at(world, Phase.BODY))
        world.late(1)
        assert not world.listener.gate.cut
        world.late(6)
        assert (await slow.all()).startswith(b"HTTP/1.1 408 ")
        assert world.listener.gate.cut == {"body": 1}
        await until(lambda: world.listener.gate.open == 0)


async def test_a_quick_start_does_not_buy_time_for_a_dripping_end() -> None:
    async with served() as world, client(world) as slow:
        slow.writer.write(POST + b"x" * 900)
        await until(at(world, Phase.BODY, 900))
        world.late(6)
        assert not world.listener.gate.cut
        slow.writer.write(b"x" * 50)
        await until(at(world, Phase.BODY, 50))
        world.late(6)
        assert (await slow.all()).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_is_slow_but_fast_enough_arrives() -> None:
    async with served() as world, client(world) as patient:
        patient.writer.write(POST)
        await until(at(world, Phase.BODY))
        for _ in range(1):
            patient.writer.write(b"x" * 800)
            await until(at(world, Phase.BODY, 800))
            world.late(6)
        patient.writer.write(b"x" * 200)
        assert await patient.answer() == b"1000"


async def test_a_body_that_waits_for_us_is_not_late() -> None:
    async with served() as world, client(world) as polite:
        polite.writer.write(
            POST.replace(b"Host: here", b"Host: here\r\nExpect: 100-continue")
        )
        async with asyncio.timeout(DEADLINE_S):
            go = await polite.reader.readuntil(b"\r\n\r\n")
        assert go.startswith(b"HTTP/1.1 100 ")
        polite.writer.write(b"x" * 1_000)
        assert await polite.answer() == b"1000"


async def test_an_unread_body_is_our_own_delay() -> None:
    finish = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await finish.wait()
        await exchange.answer(str(await exchange.body_bytes()).encode())

    async with served(Rules(handler=slow)) as world, client(world) as waits:
        big = POST.replace(b"1000", b"900000")
        waits.writer.write(big + b"x" * 900_000)
        await until(
            lambda: any(one.flow.read_paused for one in world.listener.requests)
        )
        world.late(100_000)
        finish.set()
        assert await waits.answer() == b"900000"
        assert not world.listener.gate.cut


async def test_a_kept_connection_serves_again_and_ends_when_idle() -> None:
    async with served() as world, client(world) as kept:
        for _ in range(3):
            kept.writer.write(GET)
            assert await kept.answer() == b"0"
            world.late(60)
            assert not any(
                one.timeout_keep_alive_task for one in world.listener.requests
            )
        kept.writer.write(b"\r\n")  # no request
        world.late(76)
        assert await kept.all() == b""
        assert world.listener.gate.cut == {"idle": 1}
        await until(lambda: world.listener.gate.open == 0)


async def test_pipelined_requests_are_all_answered() -> None:
    async with served() as world, client(world) as eager:
        eager.writer.write(GET * 3 + POST + b"x" * 1_000)
        answers = [await eager.answer() for _ in range(4)]
        assert answers == [b"0", b"0", b"0", b"1000"]


async def test_a_handler_may_take_longer_than_any_client() -> None:
    finish = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await finish.wait()
        await exchange.answer(b"")

    async with served(Rules(handler=slow)) as world, client(world) as waits:
        waits.writer.write(GET)
        await until(at(world, Phase.ANSWER))
        world.late(100_000)
        finish.set()
        assert await waits.answer() == b""
        assert not world.listener.gate.cut


async def test_headers_beyond_their_bound_are_refused() -> None:
    async with served() as world, client(world) as big:
        big.writer.write(b"GET / HTTP/1.1\r\nX-Big: " + b"x" * 65_536)
        assert (await big.all()).startswith(b"HTTP/1.1 431 ")


async def test_bytes_that_are_not_http_are_refused() -> None:
    async with served() as world, client(world) as odd:
        odd.writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert (await odd.all()).startswith(b"HTTP/1.1 400 ")


async def test_an_answer_that_nobody_reads_is_cut() -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.start(None)
        for _ in range(400):
            await exchange.write(b"x" * 65_536, more=True)

    async with served(Rules(handler=endless)) as world, client(world) as stalled:
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        stalled.writer.write(GET)
        await until(
            lambda: any(one.flow.write_paused for one in world.listener.requests)
        )
        for seconds in (0, 20):
            world.late(seconds)
        assert not world.listener.gate.cut
        world.late(50)
        assert world.listener.gate.cut == {"answer": 1}
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


async def test_a_socket_is_not_swept_as_http() -> None:
    async with served() as world, connect(world.url) as live:
        world.late(1_000)
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
