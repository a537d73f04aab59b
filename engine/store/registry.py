"""The role `registry`: who opted in, on disk before it is answered.

Keys of a tenant: `lf:{tenant}:people`, a hash of records (msgpack of `Person`) by
login, and `lf:{tenant}:devices`, a hash of logins by device address, which keeps an
address with one person at most. Opting out removes the person's fields from both; from
the server's file they go when it is next rewritten.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from engine.errors import BadRequest, ConfigError, StoreAway
from engine.model import MAX_DEVICES, Person
from engine.store.server import Requirement, Script, Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis.asyncio

REQUIREMENTS = (
    Requirement("appendonly", "yes", "an opt-out must outlast a power cut"),
    Requirement("appendfsync", "always", "an opt-out must outlast a power cut"),
    Requirement("no-appendfsync-on-rewrite", "no", "a rewrite would suspend the sync"),
    Requirement("maxmemory-policy", "noeviction", "nobody's consent may be evicted"),
)

_OPT_IN = Script("opt_in.lua")
_OPT_OUT = Script("opt_out.lua")
_CHANGE = Script("change.lua")

_ATTEMPTS = 10
_TAKEN = -1

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Person).decode


class DevicesRefused(BadRequest):
    """These device addresses cannot be registered: too many, or one is taken."""


class Registry:
    """The people who opted in, in a Redis that answers after its disk.

    Args:
        server: Address of the server, or a client of one's own.
        timeout_s: A call that takes longer fails.

    Raises:
        ConfigError: The address cannot be read.
    """

    def __init__(
        self, server: redis.asyncio.Redis | str, *, timeout_s: float = 5.0
    ) -> None:
        self._server = Server(server, role="registry", timeout_s=timeout_s)

    async def check(self) -> None:
        """Refuse a server that could forget an opt-out that it has answered.

        Turns off the server's own logs that keep arguments of commands.

        Raises:
            ConfigError: A setting must be changed, or cannot be read.
            StoreAway: The server does not answer.
        """
        replication = await self._server.check(REQUIREMENTS)
        if replication.get("role") != "master":
            msg = "registry: the Redis server is a replica: name the primary"
            raise ConfigError(msg)

    async def ping(self) -> None:
        """Return if the server answers; raises `StoreAway` if not."""
        await self._server.ping()

    async def people(self, tenant: str) -> list[Person]:
        """Return everybody who opted in, in no order.

        Raises:
            StoreAway: The server does not answer.
        """
        records = await self._server.scan(_people(tenant))
        return [_decode(record) for record in records.values()]

    async def person(self, tenant: str, login: str) -> Person | None:
        """Return a person, None if they have not opted in.

        Raises:
            StoreAway: The server does not answer.
        """
        record = await self._server.call("HGET", _people(tenant), login)
        return None if record is None else _decode(record)

    async def opt_in(
        self, tenant: str, login: str, name: str, devices: Iterable[str], now_ms: int
    ) -> Person:
        """Add a person with a new random subject; on disk when this returns.

        Whoever is in already stays as they are, and is returned as they are.

        Raises:
            DevicesRefused: Too many device addresses, or one is somebody else's.
            StoreAway: The server does not answer; it may have been done.
        """
        wanted = _bounded(devices)
        # 128 random bits: never twice, and says nothing about whom it stands for.
        subject = secrets.token_urlsafe(16)
        person = Person(subject, login, name, wanted, now_ms)
        record: bytes | None = await self._server.run(
            _OPT_IN, _keys(tenant), login, _encode(person), *wanted
        )
        if record is None:
            raise _taken()
        return _decode(record)

    async def opt_out(self, tenant: str, login: str) -> Person | None:
        """Remove a person, for good on disk when this returns.

        Returns:
            Who that was, so that the subject can be forgotten; None if not there.

        Raises:
            StoreAway: The server does not answer: repeat until it does.
        """
        record: bytes | None = await self._server.run(_OPT_OUT, _keys(tenant), login)
        return None if record is None else _decode(record)

    async def change_devices(
        self, tenant: str, login: str, devices: Iterable[str]
    ) -> Person | None:
        """Replace the device addresses of a person.

        Returns:
            The person as they are now, None if they have not opted in.

        Raises:
            DevicesRefused: Too many device addresses, or one is somebody else's.
            StoreAway: The server does not answer; it may have been done.
        """
        wanted = _bounded(devices)
        for _ in range(_ATTEMPTS):
            seen: bytes | None = await self._server.call("HGET", _people(tenant), login)
            if seen is None:
                return None
            before = _decode(seen)
            after = msgspec.structs.replace(before, devices=wanted)
            done = await self._server.run(
                _CHANGE,
                _keys(tenant),
                login,
                seen,
                _encode(after),
                len(before.devices),
                *before.devices,
                *wanted,
            )
            if done == _TAKEN:
                raise _taken()
            if done:
                return after
        msg = "registry: this person is being changed from elsewhere"
        raise StoreAway(msg)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()


def _people(tenant: str) -> str:
    return f"lf:{{{tenant}}}:people"


def _keys(tenant: str) -> tuple[str, str]:
    return _people(tenant), f"lf:{{{tenant}}}:devices"


def _bounded(devices: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses without repetition, in their order."""
    wanted = tuple(dict.fromkeys(devices))
    if len(wanted) > MAX_DEVICES:
        msg = f"at most {MAX_DEVICES} device addresses can be registered"
        raise DevicesRefused(msg)
    return wanted


def _taken() -> DevicesRefused:
    # The same words whoever has it: the answer must not tell who takes part.
    return DevicesRefused("one of these device addresses cannot be registered")
