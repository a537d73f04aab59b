"""The whole process on Debian's mosquitto and redis-server, as an operator runs it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import aiomqtt
import pytest
import redis

from engine.embedded import Broker
from tests.conftest import program
from tests.integration.rig import Engine, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.integration.rig import MqttServer, Server

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROW = {"desk-1": 4, "desk-2": 5, "desk-3": 6, "hopper": 3, "lovelace": 2}
FREE, OCCUPIED = 1, 2


@pytest.fixture(params=["debian"])
def parts(request: pytest.FixtureRequest) -> str:
    """Debian's servers, or those that the demo embeds."""
    return str(request.param)


@pytest.fixture
def redis_kind(parts: str) -> str:
    return "redis-server" if parts == "debian" else "valkey"


@pytest.fixture
async def broker(
    parts: str, request: pytest.FixtureRequest
) -> AsyncIterator[MqttServer]:
    if parts == "debian":
        mosquitto = request.getfixturevalue("new_mosquitto")()
        await mosquitto.start()
        yield mosquitto
        return
    async with Broker() as embedded:
        yield embedded


@pytest.fixture
async def engine(
    tmp_path: Path,
    redis_locations: Server,
    redis_registry: Server,
    broker: MqttServer,
) -> AsyncIterator[Engine]:
    servers = {
        "locations": redis_locations,
        "registry": redis_registry,
        "broker": broker,
    }
    engine = Engine(tmp_path / "site", servers)
    await engine.start()
    yield engine
    await engine.stop()


on_both = pytest.mark.parametrize("parts", ["debian", "embedded"], indirect=True)


def publish(engine: Engine, topic: str, payload: object) -> None:
    """Publish with mosquitto's own client."""
    broker = engine.servers["broker"]
    text = payload if isinstance(payload, str) else json.dumps(payload)
    command = [
        program("mosquitto_pub"),
        "-V",
        "5",
        "-h",
        broker.host,
        "-p",
        str(broker.port),
        "-q",
        "1",
    ]
    subprocess.run([*command, "-t", topic, "-m", text], check=True, timeout=10)  # noqa: S603 - our own


def client(engine: Engine) -> aiomqtt.Client:
    broker = engine.servers["broker"]
    return aiomqtt.Client(
        broker.host,
        broker.port,
        protocol=aiomqtt.ProtocolVersion.V5,
        max_inflight_messages=100,
    )


def contents(folder: Path) -> list[bytes]:
    """Return the bytes of every file in a folder."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def publish_all(engine: Engine, messages: Sequence[tuple[str, bytes]]) -> None:
    """Publish at QoS 1, some at a time; returns when the broker has taken them all."""
    async with client(engine) as mqtt:
        mqtt.pending_calls_threshold = 200
        for start in range(0, len(messages), 100):
            await asyncio.gather(
                *(mqtt.publish(t, p, qos=1) for t, p in messages[start : start + 100])
            )


@on_both
async def test_readings_in_each_format_reach_the_live_map_within_a_second(
    engine: Engine,
) -> None:
    uplink = {
        "deviceInfo": {"devEui": "24e124535d000001"},
        "fPort": 85,
        "object": {"occupancy": "occupied"},
    }
    async with engine.floor("hq/1") as floor:
        await floor.until(lambda f: f.state[ROW["desk-1"]] == 0, within_s=5)
        for topic, payload, row in (
            ("acme/x", {"sensor": "desk-1", "occupied": True}, ROW["desk-1"]),
            ("application/1/device/24e124535d000001/event/up", uplink, ROW["desk-2"]),
            ("zigbee2mqtt/desk/3", {"occupancy": True}, ROW["desk-3"]),
        ):
            await asyncio.to_thread(publish, engine, topic, payload)
            await floor.until(lambda f, row=row: f.state[row] == OCCUPIED)  # type: ignore[misc]
        publish(engine, "acme/x", {"sensor": "room-1", "count": 5})
        await floor.until(lambda f: f.count[ROW["lovelace"]] == 5)
        await floor.until(lambda f: f.count[0] == 8)


@on_both
async def test_associations_in_each_format_reach_the_finder_within_a_second(
    engine: Engine,
) -> None:
    await engine.json("PUT", "/v1/me/consent", login="ada")
    ada = await engine.subject("ada")
    publish(engine, "acme/wifi", {"login": "ada", "ap": "ap-1"})

    async def is_in(space: str) -> bool:
        return await engine.location(ada) == space

    await eventually(lambda: is_in("hq-1-north"), within_s=1)
    start = {
        "Acct-Status-Type": "Start",
        "User-Name": "CORP\\ada",
        "Calling-Station-Id": "A4-83-E7-11-22-33",
        "Called-Station-Id": "04-BD-88-00-53-02:corp",
        "Acct-Session-Id": "1",
    }
    assert await engine.radius(start) == 204
    assert await engine.location(ada) == "hq-0-lovelace"
    assert await engine.radius({**start, "Acct-Status-Type": "Stop"}) == 204
    assert await engine.location(ada) is None


async def test_coordinates_reach_the_finder_and_outlast_a_restart_until_who_is_gone(
    engine: Engine,
) -> None:
    await engine.json("PUT", "/v1/me/consent", login="ada")
    ada = await engine.subject("ada")
    here = {"login": "ada", "floor": "first", "x": 3.3, "y": 1.1, "accuracy_m": 2}
    publish(engine, "acme/wifi", here)

    async def is_in(space: str | None) -> bool:
        return await engine.location(ada) == space

    await eventually(lambda: is_in("hq-1-hopper"), within_s=1)
    await engine.stop()
    await engine.start()
    assert await is_in("hq-1-hopper")
    publish(engine, "acme/wifi", {"login": "ada", "ap": "unlisted", "event": "left"})
    publish(engine, "acme/wifi", {"login": "ada", "ap": "ap-2", "event": "left"})
    publish(engine, "acme/wifi", [here | {"floor": "2nd"}, here | {"accuracy_m": 99}])
    publish(engine, "acme/x", {"sensor": "desk-1", "occupied": True})
    async with engine.floor("hq/1") as floor:
        await floor.until(lambda f: f.state[ROW["desk-1"]] == OCCUPIED, within_s=5)
    assert await is_in("hq-1-hopper")
    publish(engine, "acme/wifi", {"login": "ada", "event": "gone"})
    await eventually(lambda: is_in(None), within_s=1)


async def test_opting_out_while_events_pour_in_is_final(engine: Engine) -> None:
    await engine.json("PUT", "/v1/me/consent", login="ada")
    ada = await engine.subject("ada")
    stop = asyncio.Event()

    async def pour() -> None:
        number = 0
        async with client(engine) as mqtt:
            while not stop.is_set():
                number += 1
                event = {"login": "ada", "ap": f"ap-{1 + number % 2}"}
                await mqtt.publish("acme/wifi", json.dumps(event), qos=1)

    pouring = asyncio.create_task(pour())

    async def is_somewhere() -> bool:
        return await engine.location(ada) is not None

    await eventually(is_somewhere)
    status, _ = await engine.request("DELETE", "/v1/me/consent", login="ada")
    assert status == 204
    for _ in range(50):
        assert await engine.location(ada) is None
    found = await engine.json("GET", "/v1/colleagues?q=ada", login="bob")
    assert found == {"colleagues": []}
    stop.set()
    await pouring
    with redis.Redis.from_url(engine.servers["locations"].url) as store:
        assert list(store.scan_iter("*place*")) == []


async def test_no_byte_about_who_has_not_opted_in_is_anywhere(
    engine: Engine,
) -> None:
    markers = [f"{n:04x}{n * 7919 % 65536:04x}beef" for n in range(10_000)]
    messages = [
        (
            "acme/wifi",
            json.dumps(
                {
                    "login": f"login-{marker}",
                    "device": marker,
                    "ap": f"ap-{marker}" if n % 3 else "ap-1",
                    "session": f"session-{marker}",
                    "at": int(time.time() * 1000),
                }
            ).encode(),
        )
        for n, marker in enumerate(markers)
    ]
    # A person who shares is the positive control: the scan must find something.
    await engine.json(
        "PUT", "/v1/me/consent", {"devices": ["0badcafe0001"]}, login="ada"
    )
    async with engine.floor("hq/1") as floor:
        await publish_all(engine, messages)
        for marker in markers[:200]:
            await engine.radius(
                {
                    "Acct-Status-Type": "Start",
                    "User-Name": f"login-{marker}",
                    "Calling-Station-Id": marker,
                    "Called-Station-Id": f"{marker}:{marker}",
                    "Acct-Session-Id": marker,
                }
            )
        series = 'engine_events_total{outcome="disposed",source="own",tenant="acme"}'

        async def all_disposed() -> bool:
            return await engine.metric(series) == len(messages)

        await eventually(all_disposed, within_s=30)
        publish(engine, "acme/x", {"sensor": "desk-1", "occupied": True})
        await floor.until(lambda f: f.state[ROW["desk-1"]] == OCCUPIED)
        heap = [floor.heard.encode()]
    assert b"delta" in heap[0]
    heap += [engine.log.encode(), (await engine.request("GET", "/metrics"))[1]]
    for path in ("/readyz", "/v1/levels", "/v1/levels/hq/1/occupancy"):
        heap.append((await engine.request("GET", path, login="bob"))[1])
    for role in ("locations", "registry"):
        server = engine.servers[role]
        with redis.Redis.from_url(server.url) as store:
            for key in store.scan_iter("*"):
                heap += [key, store.dump(key)]
            heap.append(repr(store.slowlog_get(128)).encode())
        heap += [
            path.read_bytes() for path in server.folder.rglob("*") if path.is_file()
        ]
    heap += [p.read_bytes() for p in engine.folder.rglob("*") if p.is_file()]
    heap += [p.read_bytes() for p in engine.site.rglob("*") if p.is_file()]
    everything = b"\0".join(heap).lower()
    assert b"0badcafe0001" in everything
    found = [marker for marker in markers if marker.encode() in everything]
    assert found == []
    assert b"beef" not in everything


@on_both
async def test_after_kill_9_under_load_nothing_acknowledged_is_lost(
    engine: Engine,
) -> None:
    logins = [f"user{n:02}" for n in range(40)]
    for login in logins:
        await engine.json("PUT", "/v1/me/consent", login=login)
    subjects = {login: await engine.subject(login) for login in logins}
    start_ms = int(time.time() * 1000) - 60_000
    messages = []
    for step in range(100):
        for n, login in enumerate(logins):
            ap = "ap-1" if step == 99 or (n + step) % 3 else "ap-2"
            at = start_ms + 500 * step
            event: dict[str, object] = {"login": login, "ap": ap, "at": at}
            messages.append(("acme/wifi", json.dumps(event).encode()))
        reading = {"sensor": "room-1", "count": step % 9, "at": start_ms + 500 * step}
        messages.append(("acme/x", json.dumps(reading).encode()))
    publishing = asyncio.create_task(publish_all(engine, messages))
    for _ in range(3):
        await asyncio.sleep(0.3)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        await engine.wait()
        await engine.stop()
        await engine.start()
    await publishing

    async def all_placed() -> bool:
        body = {"ids": list(subjects.values())}
        found = await engine.json("POST", "/v1/colleagues/locations", body, login="bob")
        last = start_ms + 500 * 99
        return [x["observed_at_ms"] for x in found["locations"]] == [last] * len(logins)

    await eventually(all_placed, within_s=20)
    async with engine.floor("hq/1") as floor:
        await floor.until(lambda f: f.count[ROW["lovelace"]] == 99 % 9, within_s=5)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    await engine.wait()
    await engine.stop()
    await engine.start()
    async with engine.floor("hq/1") as floor:
        await floor.until(lambda f: f.count[ROW["lovelace"]] == 99 % 9, within_s=5)


async def test_a_location_ends_24_hours_after_it_was_observed(engine: Engine) -> None:
    day_ms = 24 * 3_600_000
    for login in ("ada", "eve"):
        await engine.json("PUT", "/v1/me/consent", login=login)
    ada, eve = await engine.subject("ada"), await engine.subject("eve")
    now_ms = int(time.time() * 1000)
    old = {"login": "eve", "ap": "ap-1", "at": now_ms - 25 * 3_600_000}
    publish(engine, "acme/wifi", old)
    almost = {"login": "ada", "ap": "ap-1", "at": now_ms - day_ms + 2_000}
    publish(engine, "acme/wifi", almost)

    async def is_placed() -> bool:
        return await engine.location(ada) is not None

    async def is_gone() -> bool:
        return not await is_placed()

    await eventually(is_placed, within_s=1.5)
    await eventually(is_gone, within_s=2.5)
    assert int(time.time() * 1000) >= now_ms + 2_000
    assert await engine.location(eve) is None
    late = 'engine_events_total{outcome="late",source="own",tenant="acme"}'
    assert await engine.metric(late) == 1


async def test_garbage_on_every_input_is_counted_and_changes_nothing(
    engine: Engine,
) -> None:
    garbage = [
        b"",
        b"\0\xff\xfe" * 9,
        b"[" * 100_000,
        b'{"login":' * 5_000,
        b'{"login":"marker-77","ap":NaN}',
        b'{"sensor":"marker-77","count":1e400}',
        b'{"sensor":{"a":"marker-77"}}',
        b"\xdd\xff\xff\xff\xff",
        b'"' + b"x" * 1_000_000 + b'"',
        b"9" * 100_000,
    ]
    topics = ["acme/x", "application/1/device/aa/event/up", "zigbee2mqtt/desk/3"]
    await publish_all(engine, [(t, g) for t in topics for g in garbage])
    bearer = {"Authorization": f"Bearer {'w' * 24}"}
    for body in garbage:
        status, answer = await engine.request(
            "POST", "/v1/ingest/radius", body, headers=bearer
        )
        assert status in (0, 204, 400, 413), status
        assert b"marker" not in answer
    for path in ("/v1/colleagues/locations", "/v1/me/consent"):
        for body in garbage:
            method = "PUT" if path.endswith("consent") else "POST"
            status, answer = await engine.request(method, path, body, login="bob")
            assert status < 500
            assert b"marker" not in answer
    await engine.request("DELETE", "/v1/me/consent", login="bob")
    assert "marker" not in engine.log
    async with engine.floor("hq/1") as floor:
        publish(engine, "acme/x", {"sensor": "desk-1", "occupied": True})
        await floor.until(lambda f: f.state[ROW["desk-1"]] == OCCUPIED, within_s=5)
    _, page = await engine.request("GET", "/metrics")
    refused = sum(
        float(line.split()[-1])
        for line in page.decode().splitlines()
        if line.startswith("engine_invalid_events_total")
    )
    assert refused >= 3 * len(garbage)


async def test_two_tenants_with_the_same_names_never_meet(engine: Engine) -> None:
    for tenant in ("acme", "globex"):
        await engine.request("PUT", "/v1/me/consent", login="ada", tenant=tenant)
    publish(engine, "globex/wifi", {"login": "ada", "ap": "ap-2"})
    found = {}
    for tenant in ("acme", "globex"):
        _, answer = await engine.request(
            "GET", "/v1/colleagues?q=ada", login="bob", tenant=tenant
        )
        (one,) = json.loads(answer)["colleagues"]
        found[tenant] = one["id"]

    async def status(subject: str, tenant: str) -> int:
        path = f"/v1/colleagues/{subject}/location"
        return (await engine.request("GET", path, login="bob", tenant=tenant))[0]

    async def is_placed() -> bool:
        return await status(found["globex"], "globex") == 200

    await eventually(is_placed)
    assert await status(found["acme"], "acme") == 404
    assert await status(found["globex"], "acme") == 404
    own = 'engine_events_total{outcome="applied",source="own",tenant='
    assert await engine.metric(f'{own}"acme"}}') == 0
    assert await engine.metric(f'{own}"globex"}}') == 1


async def test_a_wrong_webhook_secret_is_refused(engine: Engine) -> None:
    for headers in ({}, {"Authorization": "Bearer nope"}):
        status, _ = await engine.request(
            "POST", "/v1/ingest/radius", b"{}", headers=headers
        )
        assert status == 401


async def test_a_stopped_broker_makes_it_unready_and_the_map_stays(
    engine: Engine,
) -> None:
    publish(engine, "acme/x", {"sensor": "desk-1", "occupied": True})
    broker = engine.servers["broker"]
    async with engine.floor("hq/1") as floor:
        await floor.until(lambda f: f.state[ROW["desk-1"]] == OCCUPIED)
    await broker.stop()

    async def is_unready() -> bool:
        return (await engine.request("GET", "/readyz"))[0] == 503

    async def is_ready() -> bool:
        return (await engine.request("GET", "/readyz"))[0] == 200

    await eventually(is_unready)
    async with engine.floor("hq/1") as floor:
        await floor.until(lambda f: f.state[ROW["desk-1"]] == OCCUPIED)
    await broker.start()
    await eventually(is_ready, within_s=40)
