"""The shipped `deploy/mosquitto.conf` on a real mosquitto, paths replaced."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.ingest.mqtt import Credentials, Reason
from tests.conftest import DEPLOY, Mosquitto, program
from tests.ingest.mqtt_consumer import Consumer, publish, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

pytestmark = pytest.mark.integration

AWAY = 5_000
USERS = ("sources-acme", "engine-acme", "sources-globex", "engine-globex")


class Shipped(Mosquitto):
    """Mosquitto with the files that the project ships."""

    def __init__(self, program: str) -> None:
        super().__init__(program)
        # Started as root, mosquitto becomes a user who must be able to read these, and
        # to write here if it were told to persist.
        self.files = Path(tempfile.mkdtemp(prefix="livefloor-test-"))
        self.files.chmod(0o777)

    def command(self, folder: Path) -> Sequence[str | Path]:
        program, _, configuration = super().command(folder)
        del configuration
        text = (DEPLOY / "mosquitto.conf").read_text()
        for shipped, here in (
            ("listener 1883 127.0.0.1", f"listener {self.port} {self.host}"),
            ("/etc/mosquitto/livefloor.passwd", f"{self.files}/passwd"),
            ("/etc/mosquitto/livefloor.acl", f"{self.files}/acl"),
        ):
            assert text.count(shipped) >= 1
            text = text.replace(shipped, here)
        # Where it would persist, so that a test can look there.
        text += f"persistence_location {self.files}/\n"
        (self.files / "mosquitto.conf").write_text(text)
        shutil.copy(DEPLOY / "mosquitto.acl", self.files / "acl")
        for file in self.files.iterdir():
            file.chmod(0o644)
        return (program, "-c", self.files / "mosquitto.conf")


@pytest.fixture
async def broker() -> AsyncIterator[Shipped]:
    shipped = Shipped(program("mosquitto"))
    for number, user in enumerate(USERS):
        flags = ("-b", "-c") if number == 0 else ("-b",)
        await run(
            program("mosquitto_passwd"),
            *flags,
            str(shipped.files / "passwd"),
            user,
            user,
        )
    await shipped.start()
    yield shipped
    await shipped.stop()
    shutil.rmtree(shipped.files)


def consumer(broker: Shipped, user: str, topic: str = "acme/#") -> Consumer:
    password = broker.files / f"{user}.secret"
    password.write_text(user)
    return Consumer(
        broker.port,
        client_id=user,
        topic=topic,
        credentials=Credentials(username=user, password_file=password),
    )


async def send(broker: Shipped, user: str, topic: str, payloads: Sequence[str]) -> int:
    return await publish(broker.port, topic, payloads, "-u", user, "-P", user)


@pytest.mark.slow
async def test_messages_published_while_the_engine_is_away_all_arrive_afterwards(
    broker: Shipped,
) -> None:
    async with consumer(broker, "engine-acme").running():
        pass
    sent = [f"reading {number}" for number in range(AWAY)]
    assert await send(broker, "sources-acme", "acme/desk/1", sent) == 0
    engine = consumer(broker, "engine-acme")
    async with engine.running():
        await engine.until(lambda: len(engine.got) >= AWAY)
    assert engine.got == [text.encode() for text in sent]


@pytest.mark.slow
async def test_who_has_no_password_does_not_come_in(broker: Shipped) -> None:
    assert await publish(broker.port, "a", ["x"]) != 0
    engine = consumer(broker, "engine-unknown")
    task = asyncio.create_task(engine.link.run())
    await engine.until(lambda: engine.link.ended[Reason.REFUSED] > 0)
    task.cancel()
    assert "not authorized" in engine.link.last_error


@pytest.mark.slow
async def test_tenants_neither_write_nor_read_what_is_not_theirs(
    broker: Shipped,
) -> None:
    acme = consumer(broker, "engine-acme")
    globex = consumer(broker, "engine-globex", topic="#")
    async with acme.running(), globex.running():
        await send(broker, "sources-globex", "acme/desk/1", ["forged"])
        await send(broker, "sources-acme", "acme/desk/1", ["real"])
        await send(broker, "sources-globex", "globex/desk/1", ["own"])
        await acme.until(lambda: b"real" in acme.got)
        await globex.until(lambda: b"own" in globex.got)
    assert acme.got == [b"real"]
    assert globex.got == [b"own"]


@pytest.mark.slow
async def test_a_payload_over_the_limit_reaches_nobody(broker: Shipped) -> None:
    engine = consumer(broker, "engine-acme")
    async with engine.running():
        await send(broker, "sources-acme", "acme/desk/1", ["x" * 1_000_001])
        await send(broker, "sources-acme", "acme/desk/1", ["small"])
        await engine.until(lambda: b"small" in engine.got)
    assert engine.got == [b"small"]


@pytest.mark.slow
async def test_nothing_of_a_waiting_message_is_on_the_disk(broker: Shipped) -> None:
    async with consumer(broker, "engine-acme").running():
        pass
    await send(broker, "sources-acme", "acme/desk/1", ["marker-5f0c"] * 10)
    await broker.stop()
    files = [file for file in broker.files.rglob("*") if file.is_file()]
    assert [file for file in files if b"marker-5f0c" in file.read_bytes()] == []
