"""How close "where is my colleague" comes to a route that does nothing.

The question: of the requests that the framework can answer at all, how many are left
when each one checks a token, asks Redis, looks at the consent twice and puts the answer
into words? Both are served by the same server in this process, over real sockets, and
take turns; the client is another process. The bare route is Litestar as it comes, with
a small typed answer.

`pytest benchmarks/bench_finder.py` measures and prints the ratio,
`--benchmark-disable` only checks that everybody was found.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
import uvloop
from litestar import Litestar, get

from benchmarks.workload import all_moved
from engine.embedded import Valkey
from engine.model import Person
from engine.privacy.consent import Consent
from engine.publish.hub import Hub
from engine.publish.live import Live
from engine.publish.server import serve
from engine.query.access import Access
from engine.query.colleagues import Search
from engine.query.demo import TokenOffice
from engine.query.directory import Directory
from engine.query.http import create_app
from engine.query.view import Views
from engine.store.locations import Locations
from engine.store.lookups import Lookups
from tests.building import small_plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from multiprocessing.connection import Connection

    from pytest_benchmark.fixture import BenchmarkFixture
    from uvicorn._types import ASGIApplication

    from engine.query.view import View

TENANT = "acme"
PEOPLE = 2_000
CONNECTIONS = 64
ROUNDS = 6
ROUND_S = 0.6
WARM_UP_S = 0.3


class Hello(msgspec.Struct):
    """What the bare route answers: as many fields as a location has."""

    colleague: str
    space: str
    level: str
    building: str
    observed_at_ms: int
    age_s: int
    confidence: int


@get("/bare/{colleague:str}/location")
async def bare() -> Hello:
    return Hello("s-0001", "hq-1-north", "hq/1", "hq", 1_792_580_400_000, 61, 80)


class Load(NamedTuple):
    """What the client asks: these requests over and over, each answer with a word."""

    port: int
    requests: Sequence[bytes]
    word: bytes
    seconds: float


class Caller(asyncio.Protocol):
    """One connection that asks for the next one as soon as it is answered."""

    def __init__(self, load: Load, first: int, until: float) -> None:
        self.answered = 0
        self.done = asyncio.get_running_loop().create_future()
        self._load = load
        self._next = first
        self._until = until
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take every whole answer."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            size = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
            if len(self._buffer) < end + 4 + size:
                return
            body = self._buffer[end + 4 : end + 4 + size]
            self._buffer = self._buffer[end + 4 + size :]
            self._take(head, body)

    def _ask(self) -> None:
        assert self._transport is not None
        self._transport.write(self._load.requests[self._next])
        self._next = (self._next + 1) % len(self._load.requests)

    def _take(self, head: bytes, body: bytes) -> None:
        # Fast and wrong is wrong: every single answer is looked at.
        assert head.startswith(b"http/1.1 200 "), head
        assert self._load.word in body, body
        self.answered += 1
        if time.perf_counter() < self._until:
            self._ask()
        elif not self.done.done():
            self.done.set_result(None)


async def put_load(load: Load) -> int:
    """Return how many requests were answered in the time."""
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + load.seconds
    callers = []
    for number in range(CONNECTIONS):
        first = number * len(load.requests) // CONNECTIONS
        _, caller = await loop.create_connection(
            lambda first=first: Caller(load, first, until),  # type: ignore[misc]
            "127.0.0.1",
            load.port,
        )
        callers.append(caller)
    await asyncio.gather(*(caller.done for caller in callers))
    return sum(caller.answered for caller in callers)


def client(orders: Connection) -> None:
    """Take loads and give back counts, until there are no more; the other process."""
    while (load := orders.recv()) is not None:
        orders.send(uvloop.run(put_load(load)))


def requests(path: str, token: str) -> list[bytes]:
    """Return a request for each person."""
    return [
        f"GET {path.format(subject(number))} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {token}\r\nAccept: application/json\r\n\r\n".encode()
        for number in range(PEOPLE)
    ]


def subject(number: int) -> str:
    return f"subject-{number:08}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def listening(app: Litestar) -> AsyncIterator[int]:
    """Serve an application as the engine does; yields the port."""
    hub = Hub({}, encode=lambda *_: b"", now_ms=now_ms)
    live = Live(hub=hub, authorise=lambda *_: None, now_ms=now_ms)
    served = cast("ASGIApplication", app)
    async with serve(served, live=live, drain_s=1) as listener:
        yield listener.port


@asynccontextmanager
async def finder() -> AsyncIterator[tuple[Litestar, str]]:
    """The finder over a Redis of its own, everybody located; yields a token too."""
    office = TokenOffice(tenant=TENANT, now_ms=now_ms)
    async with Valkey("locations") as server:
        locations = Locations(server.url)
        subjects = [subject(number) for number in range(PEOPLE)]
        await locations.seed(TENANT, subjects)
        observed_at_ms = now_ms() - 60_000
        for start in range(0, PEOPLE, 500):
            some = subjects[start : start + 500]
            await locations.commit(TENANT, all_moved(some, observed_at_ms))
        consent = Consent()
        directory = Directory(consent)
        directory.add_all(
            consent.grant_all(
                Person(one, f"login-{one}", f"Name {one}", (), 0) for one in subjects
            )
        )
        search = Search(
            access=Access(office.authenticator),
            views=Views({TENANT: cast("View", _Floor())}),
            people_by_tenant={TENANT: directory},
            finder=Lookups(locations, now_ms),
            now_ms=now_ms,
        )
        yield create_app([search], version="0"), office.issue("ada", "Ada").token
        await locations.close()


class _Floor:
    """All that the finder asks of a view."""

    plan = small_plan()


@dataclass
class Turns:
    """Requests a second, and CPU seconds of this process a request, by round."""

    rate: list[float]
    cpu_s: list[float]

    async def take(self, orders: Connection, load: Load) -> None:
        """Measure one round."""
        cpu_s, start = time.process_time(), time.perf_counter()
        loop = asyncio.get_running_loop()
        orders.send(load)
        answered: int = await loop.run_in_executor(None, orders.recv)
        self.rate.append(answered / (time.perf_counter() - start))
        self.cpu_s.append((time.process_time() - cpu_s) / answered)


async def take_turns(rounds: int = ROUNDS, round_s: float = ROUND_S) -> dict[str, Any]:
    """Measure both routes, alternating.

    Returns:
        The ratios, and the figures they come from.
    """
    orders, theirs = get_context("spawn").Pipe()
    other = get_context("spawn").Process(target=client, args=(theirs,), daemon=True)
    other.start()
    found, idle = Turns([], []), Turns([], [])
    plain = Litestar([bare], logging_config=None, openapi_config=None)
    async with (
        finder() as (app, token),
        listening(app) as port,
        listening(plain) as bare_port,
    ):
        path = "/v1/colleagues/{}/location"
        asked = Load(port, requests(path, token), b"hq-1-north", round_s)
        nothing = Load(bare_port, requests("/bare/{}/location", token), b"hq", round_s)
        for warm_up in (nothing, asked):
            await Turns([], []).take(orders, warm_up._replace(seconds=WARM_UP_S))
        for _ in range(rounds):
            await idle.take(orders, nothing)
            await found.take(orders, asked)
        orders.send(None)
    other.join()
    return {
        "finder_over_bare": ratio(found.rate, idle.rate),
        "cpu_ratio": ratio(idle.cpu_s, found.cpu_s),
        "finder_per_s": round(statistics.median(found.rate)),
        "bare_per_s": round(statistics.median(idle.rate)),
    }


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the median of the ratios round by round: neighbours in time are alike."""
    pairs = zip(one, other, strict=True)
    return round(statistics.median(a / b for a, b in pairs), 3)


def bench_finder(benchmark: BenchmarkFixture) -> None:
    rounds = 1 if benchmark.disabled else ROUNDS
    round_s = 0.1 if benchmark.disabled else ROUND_S
    figures = benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: uvloop.run(take_turns(rounds, round_s)), rounds=1
    )
    benchmark.extra_info.update(figures)
    print(  # noqa: T201 - the ratio is the answer
        f"\nfinder {figures['finder_per_s']:,}/s, bare {figures['bare_per_s']:,}/s: "
        f"{figures['finder_over_bare']:.2f} of it "
        f"({figures['cpu_ratio']:.2f} by CPU time)"
    )
