"""Whole processes on this machine: servers, the engine as its operator runs it, a load.

Debian's redis-server and mosquitto where they are installed, else the embedded ones;
all on Unix sockets and the loopback address, all gone with this process.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast
from urllib.error import URLError
from urllib.request import urlopen

import mqtt5
import msgspec
import psutil
import redis.asyncio
from joserfc import jwt
from joserfc.jwk import OctKey

from benchmarks.workload import SECRET, TENANT, Servers, Workload, packets
from engine.embedded import Broker, Child, Valkey, free_port
from engine.model import Person
from engine.store.registry import Registry
from tests.conftest import DebianRedis, Mosquitto

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

DEADLINE_S = 30.0
TOGETHER = 100
"""Opt-ins sent at a time, so that they share a sync of the disk."""
IN_FLIGHT = 2_000
"""Messages that a publisher sends ahead of the broker's acknowledgements."""
LAST = "last.one"
"""Login of an employee whose one message ends a load."""


class Engine(Child):
    """`livefloor run` on a site."""

    name: ClassVar[str] = "livefloor"

    def __init__(self, configuration: Path, port: int) -> None:
        super().__init__()
        self.configuration = configuration
        self.port = port

    def command(self, folder: Path) -> Sequence[str | Path]:
        """Return the command of this very Python."""
        del folder
        run = ("-m", "engine", "run", "--config", self.configuration)
        return (sys.executable, *run)

    async def answers(self) -> bool:
        """Whether it is ready: its broker and its stores answer."""
        return "ready" in await asyncio.to_thread(self.page, "/readyz")

    def page(self, path: str) -> str:
        """Return a page, "" where there is none; blocks."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return str(answer.read(), "utf-8")
        except URLError:
            return ""

    async def metric(self, series: str) -> float:
        """Return the value of one series."""
        page = await asyncio.to_thread(self.page, "/metrics")
        lines = page.splitlines()
        return next(float(x.split()[-1]) for x in lines if x.startswith(f"{series} "))

    @property
    def cpu_s(self) -> float:
        """CPU seconds that it has used, in steps of 10 ms."""
        return cpu_s(self)

    @property
    def rss(self) -> int:
        """Bytes of memory that it holds."""
        return psutil.Process(self.pid).memory_info().rss


def cpu_s(child: Child) -> float:
    """Return the CPU seconds that a child has used, in steps of 10 ms."""
    times = psutil.Process(child.pid).cpu_times()
    return times.user + times.system


class Rig:
    """Servers, and a site whose people have opted in; the engine is not started.

    Attributes:
        day: The messages.
        broker: Serves MQTT 5 on `.port`.
        port_3_1_1: Where it serves MQTT 3.1.1.
        locations: Redis for locations.
        folder: Where the site's files are.
        subject: Opaque id by login.
    """

    def __init__(
        self,
        day: Workload,
        broker: Broker | Mosquitto,
        locations: Valkey | DebianRedis,
        registry: Valkey | DebianRedis,
        folder: Path,
    ) -> None:
        self.day = day
        self.broker = broker
        self.port_3_1_1 = (
            broker.port_3_1_1 if isinstance(broker, Broker) else broker.port
        )
        self.locations = locations
        self.registry = registry
        self.folder = folder
        self.subject: dict[str, str] = {}

    def engine(self) -> Engine:
        """Return the engine, not started."""
        port = free_port()
        servers = Servers(
            port,
            self.locations.url,
            self.registry.url,
            f"{self.broker.host}:{self.broker.port}",
        )
        return Engine(self.day.files(self.folder, servers), port)

    async def opt_in(self) -> None:
        """Let those who share, and the last one, into the registry."""
        registry = Registry(self.registry.url)
        last = Person("", LAST, "Last One", (), self.day.now_ms)
        everybody = [*self.day.people, last]
        for start in range(0, len(everybody), TOGETHER):
            known = await asyncio.gather(
                *(
                    registry.opt_in(TENANT, p.login, p.name, p.devices, p.since_ms)
                    for p in everybody[start : start + TOGETHER]
                )
            )
            self.subject.update((person.login, person.subject) for person in known)
        await registry.close()

    def last_message(self, at_ms: int) -> tuple[str, bytes]:
        """Return the message that ends a load."""
        ap = self.day.scenario.building.access_points[0].name
        record = {"login": LAST, "ap": ap, "event": "joined", "at": at_ms}
        return f"{TENANT}/wifi", msgspec.json.encode(record)

    async def until_stored(self, key: str, at_ms: int) -> float:
        """Return the monotonic time when Redis holds what the last message says.

        It is asked and not the consumer, which must not spend time on being measured.
        """
        stamp = str(at_ms).encode()
        async with redis.asyncio.Redis.from_url(self.locations.url) as client:
            async with asyncio.timeout(DEADLINE_S):
                while stamp not in (await client.get(key) or b""):  # noqa: ASYNC110 - Redis tells nobody
                    await asyncio.sleep(0.002)
            return time.monotonic()

    @property
    def last_place(self) -> str:
        """Key of the last one's location as the engine stores it."""
        return f"lf:{{{TENANT}}}:place:{self.subject[LAST]}"


@asynccontextmanager
async def rig(day: Workload) -> AsyncIterator[Rig]:
    """Start the servers and let everybody opt in."""
    redis_server, mosquitto = program("redis-server"), program("mosquitto")
    locations: Valkey | DebianRedis = Valkey("locations")
    registry: Valkey | DebianRedis = Valkey("registry")
    if redis_server is not None:
        locations = DebianRedis(redis_server, "locations")
        registry = DebianRedis(redis_server, "registry")
    broker = Broker() if mosquitto is None else Mosquitto(mosquitto)
    with tempfile.TemporaryDirectory(prefix="livefloor-bench-") as folder:
        async with locations, registry, broker:
            made = Rig(day, broker, locations, registry, Path(folder))
            await made.opt_in()
            yield made


def program(name: str) -> str | None:
    """Return where a server is installed, None where it is not."""
    # Debian keeps servers where an ordinary user's PATH does not look.
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")


class Publisher(asyncio.Protocol):
    """Publishes pre-built packets at QoS 1, never too many ahead of the broker."""

    def __init__(self) -> None:
        self.connected = asyncio.get_running_loop().create_future()
        self.acknowledged = 0
        self.sent = 0
        self._moved = asyncio.Event()
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> Publisher:
        """Connect to a broker that speaks MQTT 5."""
        loop = asyncio.get_running_loop()
        _, publisher = await loop.create_connection(cls, host, port)
        await publisher.connected
        return publisher

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are."""
        self._transport = cast("asyncio.Transport", transport)
        connect = mqtt5.ConnectPacket("benchmark", clean_start=True, keep_alive=600)
        self._transport.write(connect.write())

    def data_received(self, data: bytes) -> None:
        """Count acknowledgements."""
        data = self._rest + data
        at = 0
        while at + 2 <= len(data) and at + 2 + data[at + 1] <= len(data):
            if data[at] >> 4 == 4:  # PUBACK
                self.acknowledged += 1
            elif not self.connected.done():
                self.connected.set_result(None)
            at += 2 + data[at + 1]
        self._rest = data[at:]
        self._moved.set()

    async def publish(self, stream: Sequence[bytes]) -> None:
        """Send packets as fast as the broker takes them."""
        for start in range(0, len(stream), 100):
            await self._acknowledged(self.sent - IN_FLIGHT)
            self.send(stream[start : start + 100])

    def send(self, stream: Sequence[bytes]) -> None:
        """Send packets at once."""
        assert self._transport is not None
        self.sent += len(stream)
        self._transport.write(b"".join(stream))

    async def close(self) -> None:
        """Wait until the broker has everything; go."""
        await self._acknowledged(self.sent)
        assert self._transport is not None
        self._transport.close()

    async def _acknowledged(self, least: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.acknowledged < least:
                self._moved.clear()
                await self._moved.wait()


def prebuilt(messages: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """Return the PUBLISH packets of messages."""
    return list(packets(messages))


def token() -> str:
    """Return a bearer token that the site accepts."""
    claims = {
        "sub": "benchmark",
        "name": "Benchmark",
        "tenant": TENANT,
        "exp": round(time.time()) + 3_600,
    }
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
