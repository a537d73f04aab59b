from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiomqtt import Client, MqttError

from engine.embedded import free_port
from engine.errors import BrokerAway, ConfigError
from engine.simulate.player import Broker, Player
from engine.simulate.scenario import Scenario
from tests.simulate.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.conftest import Mosquitto

DEADLINE_S = 20.0


@asynccontextmanager
async def playing(player: Player) -> AsyncIterator[None]:
    """Play while the block runs."""
    task = asyncio.create_task(player.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.integration
@pytest.mark.slow
async def test_the_whole_state_is_there_at_once_and_the_day_goes_on(
    mosquitto: Mosquitto,
) -> None:
    scenario = Scenario(30)
    wanted = {sensor.device for sensor in scenario.building.sensors}
    async with (
        Receiver(b"HTTP/1.1 503 Busy\r\n\r\n").serving() as receiver,
        Client(mosquitto.host, mosquitto.port) as client,
    ):
        await client.subscribe("#", qos=1)
        player = Player(
            scenario,
            Broker(mosquitto.host, mosquitto.port),
            webhook_url=receiver.url,
            webhook_secret="s",  # noqa: S106 - of a server that asks for none
            speed=600,
            start_hour=10,
        )
        async with playing(player):
            async for message in client.messages:
                topic, payload = str(message.topic), message.payload
                assert isinstance(payload, bytes)
                if topic == "demo/sensors":
                    records = msgspec.json.decode(payload)
                    records = records if isinstance(records, list) else [records]
                    wanted -= {record["sensor"] for record in records}
                elif topic.startswith("demo/application/"):
                    wanted.discard(topic.split("/")[4])
                else:
                    wanted.discard(topic.removeprefix("demo/zigbee2mqtt/"))
                if not wanted and receiver.bodies and player.stats.at_s > 10.2 * 3600:
                    break
    assert player.stats.day == 1
    assert set(player.stats.sent) >= {"sensors", "chirpstack", "zigbee2mqtt"}
    assert player.stats.failed == 0


@pytest.mark.integration
@pytest.mark.slow
async def test_after_a_lost_broker_the_state_is_sent_again(
    new_mosquitto: Callable[[Sequence[str]], Mosquitto],
) -> None:
    broker = new_mosquitto(())
    await broker.start()
    scenario = Scenario(5)
    player = Player(scenario, Broker(broker.host, broker.port), start_hour=10)
    async with playing(player):
        for _ in range(2):
            async with Client(broker.host, broker.port) as client:
                await client.subscribe("demo/sensors", qos=1)
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    # one report of a sensor is short, that of all of them is not
                    if len(message.payload) > 2000:
                        break
            await broker.stop()
            await broker.start()


@pytest.mark.integration
@pytest.mark.slow
async def test_after_the_last_event_the_next_day_begins(mosquitto: Mosquitto) -> None:
    scenario = Scenario(5)
    broker = Broker(mosquitto.host, mosquitto.port)
    player = Player(scenario, broker, speed=3600, start_hour=20.3)
    async with Client(broker.host, broker.port) as client, playing(player):
        await client.subscribe("#", qos=1)
        async for _ in client.messages:
            if player.stats.day == 2:
                break
    assert player.face(0).weekday == "Wednesday"


async def test_a_goodbye_that_gets_lost_does_not_keep_it_playing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    player = Player(Scenario(5), Broker("127.0.0.1", 1))
    player.stats.connected = True
    begun = asyncio.Event()

    async def connected() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise MqttError("disconnecting timed out") from None

    monkeypatch.setattr(player, "_connected", connected)
    task = asyncio.create_task(player.run())
    await begun.wait()
    task.cancel()
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.integration
async def test_a_broker_that_is_not_there_is_said_at_once() -> None:
    player = Player(Scenario(5), Broker("127.0.0.1", free_port()))
    with pytest.raises(BrokerAway, match=r"no MQTT 3\.1\.1 broker answers at 127"):
        await player.run()


@pytest.mark.integration
async def test_a_broker_that_refuses_the_user_is_said_at_once(
    new_mosquitto: Callable[[Sequence[str]], Mosquitto],
) -> None:
    broker = new_mosquitto(["allow_anonymous false"])
    await broker.start()
    told = Broker(broker.host, broker.port, "ada", "s3cret")
    with pytest.raises(ConfigError, match="refuses the user: set --username") as error:
        await Player(Scenario(5), told).run()
    assert "s3cret" not in str(error.value)
