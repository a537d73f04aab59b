"""A server on the loopback address with one tenant, one level and a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.codec import encode
from engine.publish.hub import Hub
from engine.publish.live import Grant, Live, LiveLimits
from engine.publish.server import Listener, serve
from tests.publish.floor import NOW_MS, TENANT, Building, Floor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from uvicorn._types import (
        ASGIApplication,
        ASGIReceiveCallable,
        ASGISendCallable,
        Scope,
    )

    from engine.publish.http import HttpLimits

LEVEL = "hq/3"
DEADLINE_S = 10.0


class Served:
    """What a test can reach of a running server."""

    def __init__(self, rules: Rules) -> None:
        self.floor = Floor(LEVEL, rules.rows)
        self.now_ms = NOW_MS
        self.grant: Grant | None = Grant(TENANT, None)
        self.tokens: dict[str, Grant] = {}
        self.asked: list[tuple[str | None, str | None]] = []
        self.hub = Hub(
            {TENANT: Building(self.floor)},
            encode=encode,
            now_ms=lambda: self.now_ms,
            max_subscribers=rules.max_subscribers,
        )
        self.live: Live
        self.listener: Listener

    def authorise(
        self, token: str | None, address: str | None, _headers: Mapping[str, str]
    ) -> Grant | None:
        self.asked.append((token, address))
        return self.grant if token is None else self.tokens.get(token)

    @property
    def port(self) -> int:
        return self.listener.port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/live"

    def late(self, seconds: float) -> None:
        """Look at the time limits as if so many seconds had gone by."""
        self.listener.sweep(asyncio.get_running_loop().time() + seconds)

    def tick(self, *rows: int, state: int = 1) -> None:
        self.hub.publish(TENANT, [self.floor.change(rows, state)])


class Exchange:
    """One HTTP request and its answer, for a handler of a test."""

    def __init__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._receive = receive
        self._send = send

    async def body_bytes(self) -> int:
        size, more = 0, True
        while more:
            event = await self._receive()
            assert event["type"] == "http.request"
            size += len(event["body"])
            more = event["more_body"]
        return size

    async def start(self, size: int | None) -> None:
        head = [] if size is None else [(b"content-length", str(size).encode())]
        await self._send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": head,
                "trailers": False,
            }
        )

    async def write(self, body: bytes, *, more: bool = False) -> None:
        await self._send(
            {"type": "http.response.body", "body": body, "more_body": more}
        )

    async def answer(self, body: bytes) -> None:
        await self.start(len(body))
        await self.write(body)


Handler = Callable[[Exchange], Awaitable[None]]


def app_of(handler: Handler) -> ASGIApplication:
    """Return an application that answers every request with one handler."""

    async def app(
        scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if scope["type"] == "http":
            await handler(Exchange(receive, send))

    return app


async def count_body(exchange: Exchange) -> None:
    """Answer with the size of the request's body."""
    await exchange.answer(str(await exchange.body_bytes()).encode())


@dataclass(kw_only=True)
class Rules:
    """What differs from one test to the next."""

    rows: int = 8
    handler: Handler = count_body
    app: ASGIApplication | None = None
    limits: HttpLimits | None = None
    live_limits: LiveLimits = field(default_factory=LiveLimits)
    max_subscribers: int = 10_000
    sweep_s: float = 3_600.0  # by hand: `Served.late`
    heartbeat_s: float = 15.0
    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] | None = None


@asynccontextmanager
async def served(rules: Rules | None = None) -> AsyncIterator[Served]:
    rules = rules or Rules()
    world = Served(rules)
    world.live = Live(
        hub=world.hub,
        authorise=world.authorise,
        now_ms=lambda: world.now_ms,
        limits=rules.live_limits,
        heartbeat_s=rules.heartbeat_s,
        origins=rules.origins,
        hosts=rules.hosts,
    )
    async with serve(
        rules.app or app_of(rules.handler),
        live=world.live,
        limits=rules.limits,
        sweep_s=rules.sweep_s,
        drain_s=1,
    ) as world.listener:
        yield world


async def until(true: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Wait for something that the loop will bring about."""
    async with asyncio.timeout(deadline_s):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
