"""Sources that say once what a value means, by way of a real broker and process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from engine.ingest.formats.sparkplug import Payload
from tests.integration.rig import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.rig import MqttServer, Server

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DESK_1, DESK_2 = 4, 5
UNKNOWN, FREE, OCCUPIED = 0, 1, 2
SOURCES = """
[[tenant.source]]
name = "discovered"
format = "ha-discovery"
broker = "main"
topics = ["homeassistant/#", "meeting-301/#"]

[[tenant.source]]
name = "gateways"
format = "sparkplug"
broker = "main"
topics = ["spBv1.0/#"]
"""
SENSORS = """discovered,mmwave-1,,hq-1-desk-1,presence,,
gateways,hq/gateway/room,Occupied,hq-1-desk-2,presence,,
"""
ANNOUNCED = {
    "device_class": "occupancy",
    "state_topic": "meeting-301/binary_sensor/mmwave/state",
    "availability_topic": "meeting-301/status",
    "unique_id": "mmwave-1",
}


@pytest.fixture
async def mqtt(mosquitto: MqttServer) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        yield client


@pytest.fixture
async def engine(
    tmp_path: Path,
    redis_locations: Server,
    redis_registry: Server,
    mosquitto: MqttServer,
    mqtt: aiomqtt.Client,
) -> AsyncIterator[Engine]:
    """An engine that starts after the announcement: only the broker knows of it."""
    topic = "homeassistant/binary_sensor/mmwave/config"
    await mqtt.publish(topic, json.dumps(ANNOUNCED), qos=1, retain=True)
    servers = {
        "locations": redis_locations,
        "registry": redis_registry,
        "broker": mosquitto,
    }
    engine = Engine(tmp_path / "site", servers, more=SOURCES)
    with (engine.site / "sensors.csv").open("a") as table:
        table.write(SENSORS)
    await engine.start()
    yield engine
    await engine.stop()


def payload(seq: int, **metric: object) -> bytes:
    made = Payload(seq=seq)
    made.metrics.add(**metric)
    return bytes(made.SerializeToString())


async def test_what_the_broker_kept_says_what_a_bare_value_means_also_after_a_restart(
    engine: Engine, mqtt: aiomqtt.Client
) -> None:
    for state, meaning in (("ON", OCCUPIED), ("OFF", FREE)):
        async with engine.floor("hq/1") as floor:
            await mqtt.publish("meeting-301/binary_sensor/mmwave/state", state, qos=1)
            await floor.until(lambda f, m=meaning: f.state[DESK_1] == m)  # type: ignore[misc]
        await engine.stop()
        await engine.start()
    async with engine.floor("hq/1") as floor:
        await mqtt.publish("meeting-301/status", "offline", qos=1)
        await floor.until(lambda f: f.state[DESK_1] == UNKNOWN)


async def test_an_alias_means_what_the_birth_said_and_a_death_ends_it(
    engine: Engine, mqtt: aiomqtt.Client
) -> None:
    async with engine.floor("hq/1") as floor:
        born = payload(0, name="bdSeq", datatype=4, long_value=1)
        await mqtt.publish("spBv1.0/hq/NBIRTH/gateway", born)
        metric = {"name": "Occupied", "alias": 7, "datatype": 11}
        birth = payload(1, **metric, boolean_value=False)
        await mqtt.publish("spBv1.0/hq/DBIRTH/gateway/Room", birth)
        data = payload(2, alias=7, boolean_value=True)
        await mqtt.publish("spBv1.0/hq/DDATA/gateway/Room", data)
        await floor.until(lambda f: f.state[DESK_2] == OCCUPIED)
        await mqtt.publish("spBv1.0/hq/NDEATH/gateway", born)
        await floor.until(lambda f: f.state[DESK_2] == UNKNOWN)
        unborn = payload(3, alias=7, boolean_value=True)
        await mqtt.publish("spBv1.0/hq/DDATA/gateway/Room", unborn)
        data = payload(4, name="Occupied", boolean_value=True)
        await mqtt.publish("spBv1.0/hq/DDATA/gateway/Room", data)
        await floor.until(lambda f: f.state[DESK_2] == OCCUPIED)
    series = (
        'engine_invalid_events_total{{reason="{}",source="gateways",tenant="acme"}}'
    )
    assert await engine.metric(series.format("gap")) == 0
    assert await engine.metric(series.format("unknown_name")) >= 1
