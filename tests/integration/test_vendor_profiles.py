"""What vendors' sensors send, from their socket to the live map: the whole process."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from engine.embedded import Broker
from tests.integration.rig import WEBHOOK_SECRET, Engine, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.rig import Server

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LOVELACE, HOPPER, DESK_1, DESK_2, DESK_3 = range(2, 7)
FREE, OCCUPIED = 1, 2
V5 = aiomqtt.ProtocolVersion.V5

_SOURCES = "".join(
    f"""
[[tenant.source]]
name = "{name}"
format = "{name}"
secret_file = "radius.secret"
"""
    for name in ("butlr", "milesight-vs121p", "roomos", "vergesense", "xysense")
)
_AXIS = """
[[tenant.source]]
name = "axis"
format = "axis-object-analytics"
broker = "main"
topics = ["axis/+/event/CameraApplicationPlatform/ObjectAnalytics/+"]
"""
_SENSORS = """source,device,channel,space,kind
butlr,room_1,,hq-1-hopper,count
milesight-vs121p,6600b0000001,region_1,hq-1-desk-1,presence
roomos,foc0000aaaa,,hq-1-lovelace,count
vergesense,cr_1,,hq-1-lovelace,presence
xysense,xy-1,,hq-1-desk-2,presence
axis,b8a44f000002,Desk,hq-1-desk-3,count
"""


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
        engine = Engine(tmp_path / "site", servers, more=_SOURCES + _AXIS)
        (engine.site / "sensors.csv").write_text(_SENSORS)
        await engine.start()
        yield engine
        await engine.stop()


def now() -> str:
    return datetime.now(UTC).isoformat()


async def post(engine: Engine, source: str, body: object) -> int:
    status, answer = await engine.request(
        "POST",
        f"/v1/ingest/{source}",
        json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {WEBHOOK_SECRET}"},
    )
    assert status != 204 or answer == b""
    return status


def vergesense(state: str) -> dict[str, object]:
    return {
        "event_type": "space_availability",
        "space_ref_id": "CR_1",
        "state": state,
        "timestamp": now(),
    }


def butlr(count: int, at_ms: int) -> dict[str, object]:
    room = {"room_id": "room_1"}
    kind = "ROOM_OCCUPANCY"
    return {"type": kind, "timestamp": at_ms, "metadata": room, "data": count}


async def test_what_vendors_send_is_on_the_map_within_a_second(engine: Engine) -> None:
    async with engine.floor("hq/1") as floor:
        body: object = [vergesense("occupied")]
        assert await post(engine, "vergesense", body) == 204
        await floor.until(lambda f: f.state[LOVELACE] == OCCUPIED)
        assert await post(engine, "vergesense", vergesense("available")) == 204
        await floor.until(lambda f: f.state[LOVELACE] == FREE)
        body = [{"status": "currentlyOccupied", "headcount": 1, "space_id": "XY-1"}]
        assert await post(engine, "xysense", body) == 204
        await floor.until(lambda f: f.state[DESK_2] == OCCUPIED)
        body = [{"status": "recentlyOccupied", "headcount": 1, "space_id": "XY-1"}]
        assert await post(engine, "xysense", body) == 204
        await floor.until(lambda f: f.state[DESK_2] == FREE)
        analytics = {"PeopleCount": {"Current": {"Value": "5"}}}
        serial = {"SerialNumber": {"Value": "FOC0000AAAA"}}
        status = {"Identification": serial, "RoomAnalytics": analytics}
        assert await post(engine, "roomos", {"Status": status}) == 204
        await floor.until(lambda f: f.count[LOVELACE] == 5)


async def test_a_camera_counts_over_mqtt(engine: Engine) -> None:
    topic = "axis/B8A44F000002/event/CameraApplicationPlatform/ObjectAnalytics/"
    data = {"scenario": "Desk", "total": "3", "human": "1"}
    message = {"timestamp": int(time.time() * 1000), "message": {"data": data}}
    broker = engine.servers["broker"]
    async with engine.floor("hq/1") as floor:
        async with aiomqtt.Client(broker.host, broker.port, protocol=V5) as mqtt:
            await mqtt.publish(f"{topic}Device1Scenario1", json.dumps(message), qos=1)
        await floor.until(lambda f: f.state[DESK_3] == OCCUPIED)


async def test_a_minute_computed_anew_does_not_replace_a_newer_one(
    engine: Engine,
) -> None:
    at_ms = int(time.time() * 1000) - 60_000
    async with engine.floor("hq/1") as floor:
        assert await post(engine, "butlr", butlr(0, at_ms + 60_000)) == 204
        await floor.until(lambda f: f.state[HOPPER] == FREE)
        assert await post(engine, "butlr", butlr(4, at_ms)) == 204
        late = 'engine_events_total{outcome="late",source="butlr",tenant="acme"}'

        async def is_late() -> bool:
            return await engine.metric(late) == 1

        await eventually(is_late)
        assert floor.state[HOPPER] == FREE


async def test_nothing_but_the_reading_is_left_of_a_picture(engine: Engine) -> None:
    body = {
        "event": "Region People Counting",
        "device_info": {"device_sn": "6600B0000001", "ip_address": "marker-77"},
        "time_info": {"timezone": "UTC+8:00"},
        "numbering_regions": [1],
        "occupancy": [1],
        "snapshot": "marker-77" * 50_000,
    }
    async with engine.floor("hq/1") as floor:
        assert await post(engine, "milesight-vs121p", body) == 204
        await floor.until(lambda f: f.state[DESK_1] == OCCUPIED)
        assert "marker" not in floor.heard
    body["device_info"] = "marker-77"
    await post(engine, "milesight-vs121p", body)
    _, metrics = await engine.request("GET", "/metrics")
    assert b"marker" not in metrics
    assert "marker" not in engine.log
