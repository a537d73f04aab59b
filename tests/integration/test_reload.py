"""Tables that change under the whole process, while it is at work."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
import redis

from engine.embedded import Broker
from tests.integration.rig import Engine, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.rig import Server

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LOVELACE, HOPPER = 2, 3
"""Rows on level hq/1."""


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
        engine = Engine(tmp_path / "site", servers)
        await engine.start()
        yield engine
        await engine.stop()


def write(engine: Engine, name: str, text: str) -> None:
    """Write a file as an editor does: beside it, then in its place."""
    new = engine.site / f"{name}.new"
    new.write_text(text)
    new.replace(engine.site / name)


def publisher(engine: Engine) -> aiomqtt.Client:
    broker = engine.servers["broker"]
    return aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5)


async def own(engine: Engine) -> Any:  # noqa: ANN401 - what the API says
    """Return what the engine says of the source `own` of acme."""
    found = await engine.json("GET", "/v1/sources/own")
    return next(one for one in found["sources"] if one["tenant"] == "acme")


def channels(engine: Engine) -> set[bytes]:
    with redis.Redis.from_url(engine.servers["locations"].url) as client:
        return set(client.hkeys("lf:{acme}:channels"))


async def test_tables_that_change_under_load_lose_nothing_that_stays(
    engine: Engine,
) -> None:
    table = (engine.site / "sensors.csv").read_text()
    more = f"{table}own,door,,hq-1-hopper,flow,,\n"
    total = 600

    async def pour(start_ms: int) -> None:
        async with publisher(engine) as mqtt:
            for n in range(1, total + 1):
                event = {"sensor": "room-1", "count": n, "at": start_ms + n}
                await mqtt.publish("acme/x", json.dumps(event), qos=1)

    async def change() -> None:
        for n in range(8):
            write(engine, "sensors.csv", more if n % 2 == 0 else table)
            write(engine, "access-points.csv", f"ap,space\nap-{n},hq-1-north\n")
            status, _ = await engine.request("POST", "/v1/sources/reload")
            assert status == 200

    async with engine.floor("hq/1") as floor:
        start_ms = time.time_ns() // 1_000_000 - total
        await asyncio.gather(pour(start_ms), change())
        await floor.until(lambda f: f.count[LOVELACE] == total, within_s=10)
        # One life of the offsets, whatever was bound to it meanwhile.
        assert floor.heard.count('"snapshot"') == 1
        assert '"reset"' not in floor.heard
    outcomes = (await own(engine))["outcomes"]
    assert outcomes["applied"] == total
    assert outcomes["invalid"] == outcomes["late"] == outcomes["duplicate"] == 0

    # The last change took the door away, so the store forgets it.
    async def forgotten() -> bool:
        return channels(engine) == {
            b"own/presence/desk-1",
            b"own/count/room-1",
            b"chirpstack/presence/24e124535d000001",
            b"zigbee/presence/desk/3",
        }

    await eventually(forgotten)


async def test_a_mistake_in_a_table_is_told_and_the_engine_runs_on(
    engine: Engine,
) -> None:
    table = (engine.site / "sensors.csv").read_text()
    write(engine, "sensors.csv", f"{table}own,x,,nowhere,count,,\n")

    async def refused() -> bool:
        status, answer = await engine.request("GET", "/readyz")
        assert status == 200
        return [one["name"] for one in json.loads(answer)["refused"]] == [
            "files of acme"
        ]

    await eventually(refused)  # by itself: nobody asked for it
    files = (await engine.json("GET", "/v1/sources"))["files"]
    (problem,) = [one["problem"] for one in files if one["tenant"] == "acme"]
    assert problem.startswith("sensors.csv, line 6: the plan has no space 'nowhere'")
    assert "sensors.csv, line 6" in engine.log
    async with publisher(engine) as mqtt:
        await mqtt.publish("acme/x", '{"sensor":"room-1","count":4}', qos=1)
    async with engine.floor("hq/1") as floor:
        await floor.until(lambda f: f.count[LOVELACE] == 4)
    write(engine, "sensors.csv", table)

    async def mended() -> bool:
        _, answer = await engine.request("GET", "/readyz")
        return not json.loads(answer)["refused"]

    await eventually(mended)


async def test_an_unbound_sensor_is_bound_by_pasting_the_line_that_is_shown(
    engine: Engine,
) -> None:
    async with publisher(engine) as mqtt:
        await mqtt.publish("acme/x", '{"sensor":"new-1","count":4}', qos=1)

        async def listed() -> bool:
            return len((await own(engine))["unbound"]) == 1

        await eventually(listed)
        shown = await sources(engine, "own")
        line = next(x for x in shown.splitlines() if x.startswith("own,new-1"))
        assert line.strip() == "own,new-1,,SPACE,count"
        row = line.strip().replace("SPACE", "hq-1-hopper")
        with (engine.site / "sensors.csv").open("a") as table:
            table.write(f"{row}\n")
        await engine.json("POST", "/v1/sources/reload")
        assert (await own(engine))["unbound"] == []
        await mqtt.publish("acme/x", '{"sensor":"new-1","count":3}', qos=1)
        async with engine.floor("hq/1") as floor:
            await floor.until(lambda f: f.count[HOPPER] == 3)


async def sources(engine: Engine, name: str) -> str:
    """Return what the command shows of a source."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", "sources", name),
        *("--url", f"http://127.0.0.1:{engine.port}"),
        stdout=asyncio.subprocess.PIPE,
    )
    shown, _ = await process.communicate()
    assert process.returncode == 0
    return shown.decode()
