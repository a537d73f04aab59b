"""Attacks on webhooks, over real sockets, at the whole process."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from engine.embedded import Broker
from tests.ingest.senders import SENDERS, Post, now_ms
from tests.integration.rig import Engine, eventually

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.rig import Server

pytestmark = [pytest.mark.integration, pytest.mark.slow]

MIB = 1 << 20
SOURCES = {name: sender for name, sender in SENDERS.items() if name != "secret-basic"}


def configured() -> str:
    """Return a source for every sender."""
    found = ""
    for name, sender in SOURCES.items():
        terms = {"verify": sender.scheme, **sender.settings}
        lines = [f"{key} = {json.dumps(value)}" for key, value in terms.items()]
        found += "\n".join(
            [
                "[[tenant.source]]",
                f'name = "{name}"',
                'format = "livefloor"',
                f'secret_file = "{name}.secret"',
                "rate_per_s = 10000",
                *lines,
                "",
            ]
        )
    return found


@pytest.fixture
async def engine(
    tmp_path: Path, redis_locations: Server, redis_registry: Server
) -> AsyncIterator[Engine]:
    async with Broker() as broker:
        servers = {
            "locations": redis_locations,
            "registry": redis_registry,
            "broker": broker,
        }
        engine = Engine(tmp_path / "site", servers, more=configured())
        rows = [f"{name},desk,,hq-1-desk-1,presence,," for name in SOURCES]
        table = engine.site / "sensors.csv"
        table.write_text("\n".join([table.read_text().strip(), *rows, ""]))
        for name, sender in SOURCES.items():
            (engine.site / f"{name}.secret").write_bytes(sender.secret)
        await engine.start()
        yield engine
        await engine.stop()


class Wire:
    """One connection that stays open."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def head(self, source: str, headers: list[tuple[bytes, bytes]], size: int) -> None:
        lines = [b"POST /v1/ingest/%s HTTP/1.1" % source.encode(), b"host: x"]
        lines += [name + b": " + value for name, value in headers]
        lines += [b"content-length: %d" % size, b"", b""]
        self.writer.write(b"\r\n".join(lines))

    async def status(self) -> int:
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 20)
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await self._reader.readexactly(int(length or b"0"))
        return int(head.split(b" ", 2)[1])

    async def post(self, source: str, post: Post) -> int:
        self.head(source, post.headers, len(post.body))
        self.writer.write(post.body)
        return await self.status()


@asynccontextmanager
async def wire(engine: Engine) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", engine.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def event(at_ms: int, *, occupied: bool = True) -> bytes:
    fields: dict[str, Any] = {"sensor": "desk", "occupied": occupied, "at": at_ms}
    return json.dumps(fields).encode()


async def events(engine: Engine, source: str, outcome: str) -> float:
    labels = f'outcome="{outcome}",source="{source}",tenant="acme"'
    return await engine.metric(f"engine_events_total{{{labels}}}")


def wrapped(name: str, body: bytes, at_ms: int) -> Post:
    """Let a sender send an event; where the secret is in the body, the event is too."""
    sender = SOURCES[name]
    post = sender.post(sender.secret, body, at_ms)
    if name in ("meraki", "terabee"):
        merged = {**json.loads(post.body), **json.loads(body)}
        return Post(post.headers, json.dumps(merged).encode())
    return post


async def test_every_sender_has_its_effect_once_however_often_it_sends(
    engine: Engine,
) -> None:
    async with wire(engine) as one:
        for name, sender in SOURCES.items():
            at_ms = now_ms()
            post = wrapped(name, event(at_ms), at_ms)
            again = 300 if sender.signs else 3
            statuses = {await one.post(name, post) for _ in range(again)}
            assert statuses == {204}, name
            assert await events(engine, name, "applied") == 1
            assert await events(engine, name, "duplicate") == again - 1
            assert await events(engine, name, "invalid") == 0


async def test_posts_that_come_at_once_count_once(engine: Engine) -> None:
    at_ms = now_ms()
    post = wrapped("mist", event(at_ms), at_ms)

    async def one() -> int:
        async with wire(engine) as own:
            return await own.post("mist", post)

    assert set(await asyncio.gather(*(one() for _ in range(50)))) == {204}
    assert await events(engine, "mist", "applied") == 1
    assert await events(engine, "mist", "duplicate") == 49


async def test_what_was_recorded_changes_nothing_after_a_crash(engine: Engine) -> None:
    at_ms = now_ms()
    old = wrapped("mist", event(at_ms - 5000), at_ms)
    new = wrapped("mist", event(at_ms, occupied=False), at_ms)
    async with wire(engine) as one:
        assert await one.post("mist", old) == 204
        assert await one.post("mist", new) == 204
    assert engine.pid is not None
    psutil.Process(engine.pid).send_signal(signal.SIGKILL)
    await engine.wait()
    await engine.start()
    async with wire(engine) as one:
        assert await one.post("mist", old) == 204
        assert await one.post("mist", new) == 204
    assert await events(engine, "mist", "applied") == 0
    assert await events(engine, "mist", "late") == 1
    assert await events(engine, "mist", "duplicate") == 1


async def test_of_thousands_of_forged_posts_none_is_accepted(engine: Engine) -> None:
    at_ms, sent = now_ms(), 0
    async with wire(engine) as one:
        for name, sender in SOURCES.items():
            right = wrapped(name, event(at_ms), at_ms)
            for at in range(len(right.body) if sender.signs else 0):
                for bit in (1, 4, 16, 64):
                    body = bytearray(right.body)
                    body[at] ^= bit
                    assert await one.post(name, Post(right.headers, bytes(body))) == 401
                assert await one.post(name, Post(right.headers, right.body[:at])) == 401
                sent += 5
            for other, stranger in SOURCES.items():
                if stranger.scheme not in (sender.scheme, "basic"):
                    post = wrapped(other, event(at_ms), at_ms)
                    assert await one.post(name, post) == 401, (name, other)
                    sent += 1
            assert await events(engine, name, "applied") == 0
    assert sent > 1_500
    assert "correct horse" not in engine.log
    _, page = await engine.request("GET", "/metrics")
    assert b"correct horse" not in page


async def test_wrong_headers_are_refused_before_the_body_is_sent(
    engine: Engine,
) -> None:
    for name in ("secret", "header", "disruptive", "mist", "standard-webhooks"):
        async with wire(engine) as one:
            one.head(name, [(b"authorization", b"Bearer no")], MIB)
            assert await one.status() == 401, name


async def test_slow_large_bodies_cost_bounded_memory_and_keep_nobody_out(
    engine: Engine,
) -> None:
    assert engine.pid is not None
    process = psutil.Process(engine.pid)
    before = process.memory_info().rss
    async with _crowd(engine, 400) as crowd:
        part = b"x" * (MIB // 4)
        for one in crowd:
            one.head("meraki", [], MIB)
            one.writer.write(part)

        async def full() -> bool:
            labels = 'reason="rate",source="meraki",tenant="acme"'
            series = f"engine_invalid_events_total{{{labels}}}"
            return await engine.metric(series) > 0

        await eventually(full)
        grown = process.memory_info().rss - before
        assert grown < 160 * MIB, grown // MIB
        at_ms = now_ms()
        async with wire(engine) as own:
            for name in ("secret", "disruptive"):
                assert await own.post(name, wrapped(name, event(at_ms), at_ms)) == 204
    at_ms = now_ms()

    async def is_there_room() -> bool:
        async with wire(engine) as own:
            return (
                await own.post("meraki", wrapped("meraki", event(at_ms), at_ms)) == 204
            )

    await eventually(is_there_room)


@asynccontextmanager
async def _crowd(engine: Engine, size: int) -> AsyncIterator[list[Wire]]:
    pairs = [
        await asyncio.open_connection("127.0.0.1", engine.port) for _ in range(size)
    ]
    try:
        yield [Wire(reader, writer) for reader, writer in pairs]
    finally:
        for _, writer in pairs:
            writer.transport.abort()
