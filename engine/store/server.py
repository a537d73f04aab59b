"""One Redis in one role: calls with a deadline, errors without arguments.

redis-py quotes the command in its messages, and a command of ours holds where somebody
is. So its exceptions end here: what goes on is a `StoreAway` that was raised after the
other was let go, and thus does not even carry it as its context.
"""

from __future__ import annotations

import asyncio
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from engine.errors import ConfigError, StoreAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Argument = bytes | str | int

MAX_CONNECTIONS = 16

# What a Redis may begin a refusal with; any other first word is not repeated.
_REFUSALS = frozenset(
    {
        *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "MOVED"),
        *("NOAUTH", "NOREPLICAS", "OOM", "READONLY", "UNKILLABLE", "WRONGTYPE"),
    }
)


class Script:
    """A Lua file beside this one, and the name that Redis knows it by."""

    def __init__(self, name: str) -> None:
        self.text = resources.files(__package__).joinpath(name).read_bytes()
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()


class Requirement(NamedTuple):
    """A setting that a role needs.

    Attributes:
        setting: Its name in redis.conf.
        value: The one value that is accepted.
        because: Ends the sentence "… must be …: ".
    """

    setting: str
    value: str
    because: str


# Logs that keep the arguments of commands, and what turns them off. A server that does
# not know a setting does not have the log.
_SILENCE = {
    "slowlog-max-len": "0",
    "commandlog-large-request-max-len": "0",
    "commandlog-large-reply-max-len": "0",
    "crash-log-enabled": "no",
}


class Server:
    """A Redis that is called by script.

    Args:
        server: Its address (`redis://`, `rediss://`, `unix://`), or a client of one's
            own, which must neither decode responses nor try again by itself.
        role: What messages call it.
        timeout_s: A call that takes longer fails; what became of it is then unknown.

    Raises:
        ConfigError: The address cannot be read.
    """

    def __init__(
        self, server: redis.asyncio.Redis | str, *, role: str, timeout_s: float = 5.0
    ) -> None:
        self.role = role
        self._timeout_s = timeout_s
        self._redis = (
            _connect(server, role, timeout_s) if isinstance(server, str) else server
        )
        self._execute: Callable[..., Awaitable[Any]] = self._redis.execute_command

    async def call(self, *command: Argument) -> Any:  # noqa: ANN401 - any reply
        """Send one command and return its reply.

        Raises:
            StoreAway: No answer in time, no connection, or a refusal.
        """
        return await self._answer(*command)

    async def run(
        self, script: Script, keys: Sequence[str], *arguments: Argument
    ) -> Any:  # noqa: ANN401 - any reply
        """Run a script and return its reply; sends its text if the server forgot it.

        Raises:
            StoreAway: No answer in time, no connection, or a refusal. In the first case
                the script may have run: every script here may be run again.
        """
        rest = (len(keys), *keys, *arguments)
        try:
            return await self._answer("EVALSHA", script.sha, *rest)
        except _Unknown:
            pass
        return await self._answer("EVAL", script.text, *rest)

    async def scan(self, key: str) -> dict[bytes, bytes]:
        """Return all fields of a hash, in parts that do not hold the server for long.

        A field that is there all the while is there; one that comes or goes meanwhile
        may be or not.

        Raises:
            StoreAway: The server does not answer.
        """
        fields: dict[bytes, bytes] = {}
        cursor: bytes | int = 0
        while True:
            reply = await self.call("HSCAN", key, cursor, "COUNT", 5000)
            # redis-py makes a mapping of the second part; a client may be told not to.
            cursor, part = reply
            fields.update(part if isinstance(part, dict) else dict(_pairs(part)))
            if int(cursor) == 0:
                return fields

    async def ping(self) -> None:
        """Return if the server answers.

        Raises:
            StoreAway: It does not.
        """
        await self.call("PING")

    async def clock_ms(self) -> int:
        """Return the server's clock: UTC, milliseconds since 1970.

        Raises:
            StoreAway: The server does not answer.
        """
        seconds, micros = await self.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def check(self, requirements: Sequence[Requirement]) -> Mapping[str, str]:
        """Check the server's settings and turn off the logs that keep arguments.

        Returns:
            The server's replication state (`INFO replication`).

        Raises:
            ConfigError: A setting is different, or the server does not show it.
            StoreAway: The server does not answer.
        """
        for setting, value, because in requirements:
            found = await self._setting(setting)
            if found != value:
                shown = f'"{found}"' if found != "" else "empty"
                wanted = f"{setting} {value or chr(34) * 2}"
                msg = (
                    f"{self.role}: the Redis server has {setting} = "
                    f"{shown if found is not None else 'unknown'}: write `{wanted}` "
                    f"in its configuration, as {because}"
                )
                raise ConfigError(msg)
        for setting, value in _SILENCE.items():
            found = await self._setting(setting)
            if found not in (None, value):
                await self._permitted("CONFIG", "SET", setting, value, need=setting)
        await self._permitted("SLOWLOG", "RESET", need="SLOWLOG RESET")
        return await self._replication()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _setting(self, name: str) -> str | None:
        reply = await self._permitted("CONFIG", "GET", name, need="CONFIG GET")
        # A list in RESP 2, a mapping in RESP 3 or through redis-py's own parsing.
        pairs = reply.items() if isinstance(reply, dict) else _pairs(reply)
        return next((_text(value) for key, value in pairs if _text(key) == name), None)

    async def _replication(self) -> Mapping[str, str]:
        reply = await self._permitted("INFO", "replication", need="INFO")
        if isinstance(reply, dict):
            return {str(key): str(value) for key, value in reply.items()}
        lines = (line.partition(":") for line in _text(reply).splitlines())
        return {key: value for key, _, value in lines}

    async def _permitted(self, *command: str, need: str) -> Any:  # noqa: ANN401 - any reply
        """Call a command that an operator may have forbidden."""
        try:
            return await self._answer(*command)
        except _LockedOut as away:
            msg = str(away)
        except _Denied:
            msg = (
                f"{self.role}: the Redis server refuses `{' '.join(command)}`: allow "
                f"{need} for this user, or the engine cannot vouch for what is kept"
            )
        raise ConfigError(msg)

    async def _answer(self, *command: Argument) -> Any:  # noqa: ANN401 - any reply
        """Return the reply; let redis-py's exception go before raising ours."""
        away: StoreAway
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._execute(*command)
        except (exceptions.RedisError, OSError, EOFError, RuntimeError) as error:
            away = self._away(error)
        raise away

    def _away(self, error: Exception) -> StoreAway:
        if isinstance(error, exceptions.NoScriptError):
            return _Unknown(f"{self.role}: the Redis server lost a script")
        # While connecting, redis-py makes a failed connection of a wrong password.
        for one in (error, error.__cause__):
            if isinstance(one, exceptions.AuthenticationError):
                return _LockedOut(f"{self.role}: the Redis server {_password(one)}")
            if isinstance(one, exceptions.NoPermissionError):
                return _Denied(f"{self.role}: the Redis server refuses this user")
        if "unknown command" in str(error):
            return _Denied(f"{self.role}: the Redis server does not know a command")
        if isinstance(error, exceptions.ResponseError):
            code = _refusal(error)
            return StoreAway(f"{self.role}: the Redis server answers {code}")
        return StoreAway(f"{self.role}: the Redis server does not answer")


class _Unknown(StoreAway):
    """The server does not know the script by its name."""


class _Denied(StoreAway):
    """The server does not let this user do that."""


class _LockedOut(StoreAway):
    """The server does not let us in: a password is missing, wrong, or not wanted."""


def _connect(address: str, role: str, timeout_s: float) -> redis.asyncio.Redis:
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            address,
            max_connections=MAX_CONNECTIONS,
            timeout=timeout_s,
            # One deadline, and only one: ours. Trying again is the owner's decision.
            socket_timeout=None,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            client_name=f"livefloor-{role}",
        )
    except ValueError:
        pool = None
    if pool is None:
        msg = (
            f"{role}: this is no address of a Redis: write redis://host:port/0, "
            "rediss://… or unix:///path/to/socket"
        )
        raise ConfigError(msg)
    return redis.asyncio.Redis.from_pool(pool)


def _password(error: exceptions.AuthenticationError) -> str:
    """Return what is wrong about the password, and what to do."""
    if "without any password" in str(error):
        return "has no password: leave `password_file` out of [redis]"
    if "Authentication required" in str(error):
        return "wants a password: set `password_file` in [redis]"
    return "wants another user or password: set `password_file` in [redis]"


def _refusal(error: Exception) -> str:
    """Return the first word of a refusal if it is one of Redis's own."""
    word = str(error).partition(" ")[0]
    if isinstance(error, exceptions.OutOfMemoryError):
        word = "OOM"
    if isinstance(error, exceptions.ReadOnlyError):
        word = "READONLY"
    if isinstance(error, exceptions.BusyLoadingError):
        word = "LOADING"
    return word if word in _REFUSALS else "with an error"


def _pairs(reply: Sequence[bytes]) -> zip[tuple[bytes, bytes]]:
    return zip(reply[::2], reply[1::2], strict=True)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
