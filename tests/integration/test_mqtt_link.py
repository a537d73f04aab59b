from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest
import uvloop

from engine.ingest.mqtt import LinkState, Reason, Retained, tls_context
from tests.authority import Authority, make_authority
from tests.ingest.mqtt_consumer import DEADLINE_S, Consumer, publish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.embedded import Broker
    from tests.conftest import Mosquitto
    from tests.ingest.mqtt_consumer import Protocol

pytestmark = [pytest.mark.integration, pytest.mark.slow]

both = pytest.mark.parametrize("protocol", ["5", "3.1.1"])
MANY = [str(number) for number in range(500)]


def numbers(payloads: Sequence[bytes]) -> list[str]:
    return [payload.decode() for payload in payloads]


@both
async def test_messages_arrive_in_order_and_are_acknowledged(
    mosquitto: Mosquitto, protocol: Protocol
) -> None:
    consumer = Consumer(mosquitto.port, client_id="c", topic="a/#", protocol=protocol)
    async with consumer.running():
        assert consumer.link.version == protocol
        assert await publish(mosquitto.port, "a/1", MANY) == 0
        await consumer.until(lambda: len(consumer.got) == len(MANY))
        assert numbers(consumer.got) == MANY
        assert consumer.link.meter.acknowledged == len(MANY)
        assert consumer.link.meter.acks_outstanding == 0
    assert consumer.link.state is LinkState.STOPPED


@both
async def test_what_a_killed_engine_had_not_acknowledged_comes_again(
    mosquitto: Mosquitto, protocol: Protocol
) -> None:
    doomed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.ingest.mqtt_consumer"),
        *(str(mosquitto.port), "c", "a/#", protocol),
        stdout=asyncio.subprocess.PIPE,
    )
    assert doomed.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        # The log of the link comes the same way: its first line says that it is ready.
        assert b"ready" in await doomed.stdout.readline()
        await publish(mosquitto.port, "a/1", MANY)
        seen = [(await doomed.stdout.readline()).decode().strip() for _ in MANY]
    assert seen == MANY
    doomed.kill()
    await doomed.communicate()
    await publish(mosquitto.port, "a/1", ["while away"])

    consumer = Consumer(mosquitto.port, client_id="c", topic="a/#", protocol=protocol)
    async with consumer.running():
        await consumer.until(lambda: len(consumer.got) > len(MANY))
    assert numbers(consumer.got) == [*MANY, "while away"]


@both
async def test_what_was_acknowledged_does_not_come_again_and_the_rest_does(
    mosquitto: Mosquitto, protocol: Protocol
) -> None:
    first = Consumer(
        mosquitto.port,
        client_id="c",
        topic="a/#",
        protocol=protocol,
        acknowledges=False,
    )
    async with first.running():
        for payload in ("1", "2", "3"):
            count = len(first.got)
            await publish(mosquitto.port, "a/1", [payload])
            await first.until(lambda: len(first.got) > count)  # noqa: B023 - awaited at once
        one, two, _ = first.receipts
        one.done()
        two.done()
    second = Consumer(mosquitto.port, client_id="c", topic="a/#", protocol=protocol)
    async with second.running():
        await publish(mosquitto.port, "a/1", ["4"])
        await second.until(lambda: b"4" in second.got)
    assert numbers(second.got) == ["3", "4"]


@both
async def test_a_receipt_of_an_earlier_connection_acknowledges_nothing_of_the_new_one(
    new_mosquitto: Callable[[Sequence[str]], Mosquitto], protocol: Protocol
) -> None:
    broker = new_mosquitto(())
    await broker.start()
    consumer = Consumer(
        broker.port,
        client_id="c",
        topic="a/#",
        protocol=protocol,
        acknowledges=False,
    )
    async with consumer.running():
        await publish(broker.port, "a/1", ["1"])
        await consumer.until(lambda: len(consumer.receipts) == 1)
        await broker.stop()
        await consumer.until(lambda: not consumer.link.ready)
        await broker.start()
        await consumer.until(lambda: consumer.link.ready)
        # A new broker counts packet ids from 1 again: this is another message's.
        await publish(broker.port, "a/1", ["2"])
        await consumer.until(lambda: len(consumer.receipts) == 2)
        consumer.receipts[0].done()
        assert consumer.link.meter.acks_outstanding == 1
    assert consumer.link.reconnects == 1
    again = Consumer(broker.port, client_id="c", topic="a/#", protocol=protocol)
    async with again.running():
        await again.until(lambda: again.got != [])
    assert numbers(again.got) == ["2"]


@both
async def test_the_reading_stops_at_the_bound_and_nothing_is_lost(
    mosquitto: Mosquitto, protocol: Protocol
) -> None:
    consumer = Consumer(
        mosquitto.port,
        client_id="c",
        topic="a/#",
        protocol=protocol,
        acknowledges=False,
        max_outstanding=50,
    )
    payloads = [f"{number} {'x' * 2_000}" for number in range(2_000)]
    async with consumer.running():
        await publish(mosquitto.port, "a/1", payloads)
        await consumer.until(lambda: consumer.link.meter.pauses > 0)
        # One chunk over the bound at most: 256 KiB of bytes, or 256 messages.
        assert consumer.link.meter.outstanding < 50 + 256
        consumer.acknowledges = True
        for receipt in consumer.receipts:
            receipt.done()
        await consumer.until(lambda: len(consumer.got) >= len(payloads))
    assert numbers(consumer.got) == payloads


async def test_a_link_whose_client_id_is_taken_says_so_and_waits(
    mosquitto: Mosquitto,
) -> None:
    first = Consumer(mosquitto.port, client_id="c", topic="a/#")
    second = Consumer(mosquitto.port, client_id="c", topic="a/#")
    async with first.running(), second.running():
        # Mosquitto 2.0 does not say so; the one that is ready had no error since.
        links = (first.link, second.link)
        await first.until(lambda: any("client id" in each.last_error for each in links))


@both
async def test_retained_messages_are_marked_and_left_out_where_not_wanted(
    mosquitto: Mosquitto, protocol: Protocol
) -> None:
    await publish(mosquitto.port, "a/1", ["kept"], "-r")
    wants = Consumer(mosquitto.port, client_id="c", topic="a/#", protocol=protocol)
    async with wants.running():
        await wants.until(lambda: wants.got == [b"kept"])
    never = Consumer(
        mosquitto.port,
        client_id="d",
        topic="a/#",
        protocol=protocol,
        retained=Retained.NEVER,
    )
    async with never.running():
        await publish(mosquitto.port, "a/2", ["live"])
        await never.until(lambda: never.got != [])
    assert never.got == [b"live"]


async def test_a_broker_of_5_is_spoken_to_in_5(iotcore: Broker) -> None:
    consumer = Consumer(iotcore.port, client_id="link-5", topic="link-5/#")
    async with consumer.running():
        assert consumer.link.version == "5"


async def test_a_broker_of_3_1_1_alone_is_found_out(iotcore: Broker) -> None:
    consumer = Consumer(iotcore.port_3_1_1, client_id="link-3", topic="link-3/#")
    async with consumer.running():
        assert consumer.link.version == "3.1.1"
        await publish(iotcore.port_3_1_1, "link-3/1", ["1"], "-i", "link-3-pub")
        await consumer.until(lambda: consumer.got == [b"1"])
        assert consumer.link.meter.acknowledged == 1


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


# paho leaves a socket whose TLS handshake failed to its deletion.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@both
async def test_a_link_speaks_tls_and_trusts_only_whom_it_is_told(
    new_mosquitto: Callable[[Sequence[str]], Mosquitto],
    authority: Authority,
    protocol: Protocol,
) -> None:
    broker = new_mosquitto(
        (
            f"certfile {authority.certificate}",
            f"keyfile {authority.key}",
        )
    )
    await broker.start()
    trusting = Consumer(
        broker.port,
        client_id="c",
        topic="a/#",
        protocol=protocol,
        tls=tls_context(ca=authority.certificate),
    )
    flags = ("--cafile", str(authority.certificate), "-h", "127.0.0.1")
    async with trusting.running():
        await publish(broker.port, "a/1", MANY, *flags)
        await trusting.until(lambda: len(trusting.got) == len(MANY))
    assert numbers(trusting.got) == MANY

    wary = Consumer(
        broker.port, client_id="d", topic="a/#", protocol=protocol, tls=tls_context()
    )
    task = asyncio.create_task(wary.link.run())
    await wary.until(lambda: wary.link.ended[Reason.UNREACHABLE] > 0)
    task.cancel()
    assert "self-signed certificate" in wary.link.last_error


@both
async def test_a_broker_that_accepts_and_says_nothing_is_given_up(
    protocol: Protocol,
) -> None:
    async def accept(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        consumer = Consumer(
            server.sockets[0].getsockname()[1],
            client_id="c",
            topic="a",
            protocol=protocol,
            handshake_s=0.1,
        )
        task = asyncio.create_task(consumer.link.run())
        await consumer.until(lambda: consumer.link.ended[Reason.TIMEOUT] >= 2)
        task.cancel()


@pytest.mark.parametrize("turns", range(12))
def test_a_link_that_is_told_to_end_while_it_connects_ends_in_peace(
    turns: int, iotcore: Broker
) -> None:
    async def cut_short() -> None:
        link = Consumer(iotcore.port, client_id=f"short-{turns}", topic="a").link
        running = asyncio.create_task(link.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(cut_short())
