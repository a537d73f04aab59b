"""The whole process with a source that it asks: a stream that breaks, a refusal."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
import redis

from engine.embedded import Broker
from tests.ingest.pull_server import HEAD, Request, Server
from tests.integration.rig import Engine, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Redis

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SECRET = "p" * 30
HOPPER = 3
FREE, OCCUPIED = 1, 2
MARKS = ("0a:1b:2c:3d:4e:5f", "eve@nowhere.example", "eve-17", "map-of-eve")
"""Of somebody who does not share."""
MORE = """
[[tenant.source]]
name = "spaces"
format = "cisco-spaces"
[tenant.source.pull]
url = "http://127.0.0.1:{port}/events"
header = "X-API-KEY"
secret_file = "spaces.secret"
"""


def counted(users: int, sent_ms: int) -> dict[str, object]:
    return {
        "recordTimestamp": sent_ms,
        "eventType": "DEVICE_COUNT",
        "deviceCounts": {"location": {"locationId": "hopper"}, "userCount": users},
    }


def bystander(sent_ms: int) -> dict[str, object]:
    return {
        "recordTimestamp": sent_ms,
        "eventType": "DEVICE_LOCATION_UPDATE",
        "deviceLocationUpdate": {
            "device": {"macAddress": MARKS[0], "email": MARKS[1]},
            "rawUserId": MARKS[2],
            "lastSeen": sent_ms,
            "mapId": MARKS[3],
            "xPos": 1.5,
            "yPos": 2.5,
        },
    }


async def test_a_stream_reaches_the_map_breaks_and_goes_on_from_what_is_safe(
    tmp_path: Path, redis_locations: Redis, redis_registry: Redis
) -> None:
    sent_ms = time.time_ns() // 1_000_000
    cut = asyncio.Event()

    async def first(request: Request) -> None:
        request.writer.write(HEAD)
        await request.say(bystander(sent_ms), b"{" + MARKS[2].encode())
        await request.say(counted(5, sent_ms))
        await cut.wait()
        request.writer.close()

    async def second(request: Request) -> None:
        request.writer.write(HEAD)
        await request.say(counted(0, sent_ms + 1_000))
        await request.gone()

    async with Broker() as broker, Server(first, second).running() as server:
        servers = {
            "locations": redis_locations,
            "registry": redis_registry,
            "broker": broker,
        }
        more = MORE.format(port=server.port)
        engine = Engine(tmp_path / "site", servers, more=more)
        (engine.site / "spaces.secret").write_text(SECRET)
        with (engine.site / "sensors.csv").open("a") as sensors:
            sensors.write("spaces,hopper,users,hq-1-hopper,count,,\n")
        await engine.start()
        try:
            async with engine.floor("hq/1") as floor:
                await floor.until(lambda f: f.state[HOPPER] == OCCUPIED, 10)
                assert floor.count[HOPPER] == 5
                cut.set()
                await floor.until(lambda f: f.state[HOPPER] == FREE, 10)
            reconnects = 'engine_link_reconnects_total{link="acme-spaces"}'
            assert await engine.metric(reconnects) == 1
            assert [one.headers["x-api-key"] for one in server.requests] == [SECRET] * 2
            assert server.requests[0].target == "/events"
            since_ms = sent_ms - 60_000
            assert server.requests[1].target == f"/events?fromTimestamp={since_ms}"
            disposed = (
                'engine_events_total{outcome="disposed",source="spaces",tenant="acme"}'
            )
            assert await engine.metric(disposed) == 1
            _, page = await engine.request("GET", "/metrics")
            with redis.Redis.from_url(redis_locations.url) as client:
                keys: list[bytes] = client.keys()
                kept = b"".join(client.dump(key) or b"" for key in keys)
            told = engine.log + page.decode() + repr([*keys, kept])
            assert [one for one in (SECRET, *MARKS) if one in told] == []
            assert MARKS[0].replace(":", "") not in told
        finally:
            await engine.stop()


async def test_a_source_that_refuses_us_is_told_by_readiness_and_log(
    tmp_path: Path, redis_locations: Redis, redis_registry: Redis
) -> None:
    async def refuse(request: Request) -> None:
        request.writer.write(b"HTTP/1.1 403 x\r\ncontent-length: 0\r\n\r\n")

    async with Broker() as broker, Server(refuse).running() as server:
        servers = {
            "locations": redis_locations,
            "registry": redis_registry,
            "broker": broker,
        }
        more = MORE.format(port=server.port)
        engine = Engine(tmp_path / "site", servers, more=more)
        (engine.site / "spaces.secret").write_text(SECRET)
        starting = asyncio.create_task(engine.start())
        try:

            async def told() -> bool:
                try:
                    status, answer = await engine.request("GET", "/readyz")
                except OSError:
                    return False  # it does not listen yet
                missing = json.loads(answer)["missing"] if answer else []
                return status == 503 and [one["name"] for one in missing] == [
                    "pull acme-spaces"
                ]

            await eventually(told)
            assert "127.0.0.1 answers 403: is the secret right?" in engine.log
            assert SECRET not in engine.log
            assert len(server.requests) == 1
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await engine.stop()
