"""The shipped `deploy/mosquitto.conf` on a real mosquitto, paths replaced."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.ingest.mqtt import Credentials, Link, Reason, Subscription, Terms
from tests.conftest import DEPLOY, Mosquitto

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from engine.ingest.mqtt import Message, Receipt

pytestmark = pytest.mark.integration

AWAY = 5_000
USERS = ("sources-acme", "engine-acme", "signs-acme", "sources-globex", "engine-globex")


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
async def broker(
    new_mosquitto: Callable[[Sequence[str]], Mosquitto],
) -> AsyncIterator[Shipped]:
    del new_mosquitto  # Asked for, so that a missing mosquitto is told in one way.
    program = shutil.which("mosquitto", path="/usr/local/sbin:/usr/sbin:/usr/bin")
    assert program is not None
    shipped = Shipped(program)
    for number, user in enumerate(USERS):
        flags = ("-b", "-c") if number == 0 else ("-b",)
        await run("mosquitto_passwd", *flags, str(shipped.files / "passwd"), user, user)
    await shipped.start()
    yield shipped
    await shipped.stop()
    shutil.rmtree(shipped.files)


async def run(*command: str, stdin: bytes = b"") -> int:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode


async def publish(
    broker: Mosquitto, user: str, topic: str, lines: Sequence[str]
) -> int:
    """Publish each line at QoS 1; return mosquitto_pub's exit status."""
    return await run(
        *("mosquitto_pub", "-p", str(broker.port), "-u", user, "-P", user),
        *("-q", "1", "-t", topic, "-l"),
        stdin="".join(f"{line}\n" for line in lines).encode(),
    )


class Engine:
    """A link of a tenant's engine, and what it got."""

    def __init__(
        self, broker: Mosquitto, files: Path, *, user: str, topic: str = "acme/#"
    ) -> None:
        password = files / f"{user}.secret"
        password.write_text(user)
        self.got: list[bytes] = []
        self.arrived = asyncio.Event()
        self.link = Link(
            name="test",
            terms=Terms(
                host=broker.host,
                port=broker.port,
                client_id=user,
                subscriptions=(Subscription(filter=topic),),
                credentials=Credentials(username=user, password_file=password),
            ),
            sink=self.sink,
        )

    def sink(self, messages: Sequence[Message], receipt: Receipt) -> None:
        self.got += [message.payload for message in messages]
        receipt.done()
        self.arrived.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Run until the condition holds, then stop in order."""
        running = asyncio.create_task(self.link.run())
        try:
            async with asyncio.timeout(20):
                while not reached():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await self.arrived.wait()
                    self.arrived.clear()
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


@pytest.mark.slow
async def test_messages_published_while_the_engine_is_away_all_arrive_afterwards(
    broker: Shipped, tmp_path: Path
) -> None:
    first = Engine(broker, tmp_path, user="engine-acme")
    await first.until(lambda: first.link.ready)
    sent = [f"reading {number}" for number in range(AWAY)]
    assert await publish(broker, "sources-acme", "acme/desk/1", sent) == 0
    second = Engine(broker, tmp_path, user="engine-acme")
    await second.until(lambda: len(second.got) >= AWAY)
    assert second.got == [text.encode() for text in sent]


@pytest.mark.slow
async def test_who_has_no_password_does_not_come_in(
    broker: Shipped, tmp_path: Path
) -> None:
    assert await run("mosquitto_pub", "-p", str(broker.port), "-t", "a", "-m", "x") != 0
    engine = Engine(broker, tmp_path, user="engine-unknown")
    await engine.until(lambda: engine.link.ended[Reason.REFUSED] > 0)
    assert "not authorized" in engine.link.last_error


@pytest.mark.slow
async def test_tenants_neither_write_nor_read_what_is_not_theirs(
    broker: Shipped, tmp_path: Path
) -> None:
    acme = Engine(broker, tmp_path, user="engine-acme")
    globex = Engine(broker, tmp_path, user="engine-globex", topic="#")
    for engine in (acme, globex):
        await engine.until(lambda: engine.link.ready)  # noqa: B023 - awaited at once
    await publish(broker, "sources-globex", "acme/desk/1", ["forged"])
    await publish(broker, "sources-acme", "acme/desk/1", ["real"])
    await publish(broker, "sources-globex", "globex/desk/1", ["own"])
    await acme.until(lambda: b"real" in acme.got)
    await globex.until(lambda: b"own" in globex.got)
    assert acme.got == [b"real"]
    assert globex.got == [b"own"]


@pytest.mark.slow
async def test_a_payload_over_the_limit_reaches_nobody(
    broker: Shipped, tmp_path: Path
) -> None:
    engine = Engine(broker, tmp_path, user="engine-acme")
    await engine.until(lambda: engine.link.ready)
    await publish(broker, "sources-acme", "acme/desk/1", ["x" * 1_000_001])
    await publish(broker, "sources-acme", "acme/desk/1", ["small"])
    await engine.until(lambda: b"small" in engine.got)
    assert engine.got == [b"small"]


@pytest.mark.slow
async def test_nothing_of_a_waiting_message_is_on_the_disk(
    broker: Shipped, tmp_path: Path
) -> None:
    engine = Engine(broker, tmp_path, user="engine-acme")
    await engine.until(lambda: engine.link.ready)
    await publish(broker, "sources-acme", "acme/desk/1", ["marker-5f0c"] * 10)
    folders = (broker.files, broker.folder)
    await broker.stop()
    left = [
        file
        for folder in folders
        if folder.exists()
        for file in folder.rglob("*")
        if file.is_file() and b"marker-5f0c" in file.read_bytes()
    ]
    assert left == []
