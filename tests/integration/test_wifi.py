"""Wi-Fi on the whole process: a real broker, real sockets, and what the store knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiomqtt
import pytest

from tests.integration.rig import Engine, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.conftest import Mosquitto
    from tests.integration.rig import Server

pytestmark = [pytest.mark.integration, pytest.mark.slow]

HOSTAPD = """
[[tenant.source]]
name = "hostapd"
format = "hostapd"
broker = "main"
topics = ["wifi-presence/#"]
"""
PHONE = "8C:7A:3D:00:53:01"
STATE = f"wifi-presence/station/ap-1/{PHONE}/state"
STATUS = "wifi-presence/ap-1/status"
REPLAYED = (
    'engine_invalid_events_total{reason="bad_time",source="hostapd",tenant="acme"}'
)


@pytest.fixture
async def engine(
    tmp_path: Path,
    redis_locations: Server,
    redis_registry: Server,
    new_mosquitto: Callable[[], Mosquitto],
) -> AsyncIterator[Engine]:
    broker = new_mosquitto()
    await broker.start()
    servers = {
        "locations": redis_locations,
        "registry": redis_registry,
        "broker": broker,
    }
    engine = Engine(tmp_path / "site", servers, more=HOSTAPD)
    await publish(engine, STATE, "connected")  # from before the engine was there
    await engine.start()
    yield engine
    await engine.stop()


async def publish(engine: Engine, topic: str, payload: str) -> None:
    """Publish as wifi-presence does: everything is retained."""
    broker = engine.servers["broker"]
    async with aiomqtt.Client(broker.host, broker.port) as mqtt:
        await mqtt.publish(topic, payload, qos=1, retain=True)


async def test_a_replayed_state_shows_nobody_and_a_lost_access_point_keeps_nobody(
    engine: Engine,
) -> None:
    async def is_replayed() -> bool:
        return await engine.metric(REPLAYED) == 1

    await eventually(is_replayed)
    await engine.json("PUT", "/v1/me/consent", {"devices": [PHONE]}, login="ada")
    ada = await engine.subject("ada")
    assert await engine.location(ada) is None

    async def is_in(space: str | None) -> bool:
        return await engine.location(ada) == space

    await publish(engine, STATE, "connected")
    await eventually(lambda: is_in("hq-1-north"), within_s=1)
    await publish(engine, STATUS, "offline")
    await eventually(lambda: is_in(None), within_s=1)
    assert PHONE.lower() not in engine.log.lower()


async def test_what_a_restarted_access_server_reported_leaves_the_store(
    engine: Engine,
) -> None:
    await engine.json("PUT", "/v1/me/consent", login="ada")
    ada = await engine.subject("ada")
    start = {
        "Acct-Status-Type": "Start",
        "User-Name": "ada",
        "Calling-Station-Id": PHONE,
        "Called-Station-Id": "04-BD-88-00-53-02:corp",
        "NAS-Identifier": "wlc-1",
    }
    off = {"Acct-Status-Type": "Accounting-Off", "NAS-Identifier": "wlc-2"}
    assert await engine.radius(start) == 204
    assert await engine.radius(off) == 204
    assert await engine.location(ada) == "hq-0-lovelace"
    assert await engine.radius({**off, "NAS-Identifier": "wlc-1"}) == 204
    assert await engine.location(ada) is None
