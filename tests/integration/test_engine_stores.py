"""The whole process while a Redis is away, or hangs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
import redis

from tests.integration.rig import Engine, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from engine.embedded import Child
    from tests.conftest import Mosquitto, Role

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def redis_kind() -> str:
    return "redis-server"


@pytest.fixture
async def engine(
    tmp_path: Path,
    new_redis: Callable[[Role], Child],
    new_mosquitto: Callable[[], Mosquitto],
) -> AsyncIterator[Engine]:
    """An engine that is not started, with servers of its own that are."""
    servers = {
        "locations": new_redis("locations"),
        "registry": new_redis("registry"),
        "broker": new_mosquitto(),
    }
    for server in servers.values():
        await server.start()
    engine = Engine(tmp_path / "site", servers, more="[presence]\nsettle_s = 0.1\n")
    yield engine
    await engine.stop()


async def kill(server: Child) -> None:
    """End a server so that it can come again at the same address."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()


async def status(engine: Engine, method: str, path: str) -> int:
    """Return the status of a request, 0 while nobody listens."""
    try:
        return (await engine.request(method, path, login="ada"))[0]
    except OSError:
        return 0


async def missing(engine: Engine) -> list[str]:
    """Return what readiness says is missing."""
    _, answer = await engine.request("GET", "/readyz")
    return [one["name"] for one in json.loads(answer)["missing"]]


@pytest.mark.parametrize("role", ["locations", "registry"])
async def test_a_redis_that_is_away_at_the_start_is_waited_for(
    engine: Engine, role: str
) -> None:
    server = engine.servers[role]
    await kill(server)
    starting = asyncio.create_task(engine.start())

    async def is_waiting() -> bool:
        alive = await status(engine, "GET", "/healthz") == 200
        waits_for = ["broker main", "people", f"redis {role}"]
        return alive and await missing(engine) == waits_for

    await eventually(is_waiting)
    for method, path in (
        ("GET", "/v1/colleagues?q=ada"),
        ("GET", "/v1/me/consent"),
        ("PUT", "/v1/me/consent"),
        ("DELETE", "/v1/me/consent"),
    ):
        assert await status(engine, method, path) == 503
    assert await engine.radius({"Acct-Status-Type": "Start"}) == 503
    _, answer = await engine.request("GET", "/v1/levels/hq/1/occupancy", login="ada")
    assert set(json.loads(answer)["state"]) == {0}
    await server.start()
    await starting
    assert engine.log.count("store away") == engine.log.count("store back") == 1
    await engine.json("PUT", "/v1/me/consent", login="ada")


async def test_a_server_with_wrong_settings_is_refused_while_the_other_is_away(
    engine: Engine,
) -> None:
    await kill(engine.servers["registry"])
    with redis.Redis.from_url(engine.servers["locations"].url) as raw:
        raw.config_set("appendonly", "yes")
    with pytest.raises(engine.away, match="write `appendonly no`"):
        await engine.start()


async def test_a_registry_that_hangs_does_not_hold_up_who_goes_where(
    engine: Engine,
) -> None:
    await engine.start()
    await engine.json("PUT", "/v1/me/consent", login="ada")
    ada = await engine.subject("ada")
    registry = engine.servers["registry"]
    os.kill(registry.pid, signal.SIGSTOP)
    try:

        async def is_missing() -> bool:
            return await missing(engine) == ["redis registry"]

        await eventually(is_missing)
        record = {"Acct-Status-Type": "Interim-Update", "User-Name": "ada"}
        # To and fro: a new place is believed at once, a return by a timer alone.
        places = [("ap-1", "hq-1-north"), ("ap-2", "hq-1-hopper")] * 3
        for ap, space in places:
            assert await engine.radius({**record, "Called-Station-Id": ap}) == 204

            async def is_there(space: str = space) -> bool:
                return await engine.location(ada) == space

            await eventually(is_there, within_s=3)
    finally:
        os.kill(registry.pid, signal.SIGCONT)
