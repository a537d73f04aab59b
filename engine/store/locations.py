"""The role `locations`: where each subject was seen last, for at most 24 hours.

Keys of a tenant, all in one hash slot (`lf:{tenant}:…`), so that a batch is one step on
any server:

====================  =====================================  ======================
key                   holds                                  gone
====================  =====================================  ======================
`…:seeded`            that the consent set is complete       with the server
`…:consent`           set of the subjects who consent        with the server
`…:place:<subject>`   time, confidence, space, access point  24 h after observation
`…:gone:<subject>`    that this subject never comes back     24 h after withdrawal
`…:channels`          hash of the state of sensor channels   26 h after a write
====================  =====================================  ======================

Rules, each kept inside of the server:

- absence means no: whoever is not in the consent set is not written, and a set that is
  not known to be complete (an empty server after a restart) makes the batch fail;
- the newest observation wins, among equals the last to arrive;
- the expiry runs from the observation; what is past it is never written at all;
- one who left keeps the bare time, so that an older observation that arrives late does
  not bring the place back.

Any call may be repeated after a `StoreAway`: it then does no more than it did before.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from engine.errors import ConfigError, StoreAway
from engine.model import Location
from engine.store.server import Requirement, Script, Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis.asyncio

    from engine.model import Moves

RETENTION_MS = 24 * 60 * 60 * 1000
"""The longest that a location may be kept, from its observation on."""

CHANNELS_LIFE_MS = 26 * 60 * 60 * 1000
"""How long the state of channels waits for an engine to come back."""

AHEAD_MS = 120_000
"""How far an observation may be ahead of the server's clock; one beyond would pin."""

REQUIREMENTS = (
    Requirement("save", "", "a location must never reach a disk"),
    Requirement("appendonly", "no", "a location must never reach a disk"),
    Requirement("maxmemory-policy", "noeviction", "an evicted consent loses events"),
)

_COMMIT = Script("commit.lua")
_SEED = Script("seed.lua")
_ADMIT = Script("admit.lua")
_FORGET = Script("forget.lua")


class Unseeded(StoreAway):
    """The server does not know who consents: it came back empty, or it is new.

    Call `check` (it may have come back with other settings), `save_channels` with all
    of them, then `seed`; and repeat what failed.
    """


class Written(NamedTuple):
    """What became of the moves of a batch.

    Attributes:
        written: Stored, or cleared.
        late: Older than what is stored or than the retention, or a subject left an
            access point that is not the one stored.
        refused: No consent, or ahead of the server's clock by more than `AHEAD_MS`.
    """

    written: int
    late: int
    refused: int


class Locations:
    """Last-known locations in a Redis that never writes to disk.

    Args:
        server: Address of the server, or a client of one's own.
        retention_ms: How long after its observation a location may be read, at most
            `RETENTION_MS`.
        timeout_s: A call that takes longer fails.

    Raises:
        ConfigError: The address cannot be read, or the retention is out of range.
    """

    def __init__(
        self,
        server: redis.asyncio.Redis | str,
        *,
        retention_ms: int = RETENTION_MS,
        timeout_s: float = 5.0,
    ) -> None:
        if not 0 < retention_ms <= RETENTION_MS:
            msg = "locations: the retention must be above 0 and at most 24 hours"
            raise ConfigError(msg)
        self.retention_ms = retention_ms
        self._server = Server(server, role="locations", timeout_s=timeout_s)
        # Of text alone: the server's msgpack knows no type for bytes.
        self._pack = msgspec.msgpack.Encoder().encode
        # Seeding, admitting and forgetting take effect in the order of the calls: on
        # two connections, a list made before a withdrawal could arrive after it.
        self._consent = asyncio.Lock()

    async def check(self) -> None:
        """Refuse a server that would keep a location longer than it may.

        Turns off the server's own logs that keep arguments of commands.

        Raises:
            ConfigError: A setting must be changed, or cannot be read.
            StoreAway: The server does not answer.
        """
        replication = await self._server.check(REQUIREMENTS)
        if replication.get("role") != "master":
            msg = "locations: the Redis server is a replica: name the primary"
            raise ConfigError(msg)
        if replication.get("connected_slaves") != "0":
            msg = (
                "locations: the Redis server has replicas, and what a replica keeps on "
                "disk cannot be seen from here: detach them (`replicaof no one` there)"
            )
            raise ConfigError(msg)

    async def ping(self) -> None:
        """Return if the server answers; raises `StoreAway` if not."""
        await self._server.ping()

    async def seed(self, tenant: str, subjects: Sequence[str]) -> int:
        """Make these, the registry's whole list, the subjects who consent.

        The places of all others go. One step for the server, about 1 µs a subject.

        Returns:
            How many consent.

        Raises:
            StoreAway: The server does not answer.
        """
        keys = _keys(tenant)
        async with self._consent:
            count: int = await self._server.run(
                _SEED,
                (keys.seeded, keys.consent),
                *(keys.place, keys.gone, self._pack(list(subjects))),
            )
        return count

    async def admit(self, tenant: str, subject: str) -> bool:
        """Add a subject who has just opted in.

        Returns:
            False if this very subject has withdrawn before.

        Raises:
            Unseeded: The server does not know the others: seed it instead.
            StoreAway: The server does not answer.
        """
        keys = _keys(tenant)
        async with self._consent:
            reply: int | None = await self._server.run(
                _ADMIT, (keys.seeded, keys.consent, keys.gone + subject), subject
            )
        return bool(_seeded(reply))

    async def forget(self, tenant: str, subjects: Sequence[str]) -> int:
        """Erase subjects: once this returns, no location of theirs is or gets written.

        A subject that is forgotten never comes back; who opts in again gets a new one.

        Returns:
            How many of them consented before.

        Raises:
            StoreAway: The server does not answer: repeat until it does.
        """
        keys = _keys(tenant)
        async with self._consent:
            count: int = await self._server.run(
                _FORGET,
                (keys.consent,),
                *(keys.place, keys.gone, RETENTION_MS, self._pack(list(subjects))),
            )
        return count

    async def commit(
        self,
        tenant: str,
        moves: Moves,
        channel_keys: Sequence[bytes | str] = (),
        channel_rows: bytes = b"",
    ) -> Written:
        """Write a batch, all of it or nothing, in one round trip.

        Keep batches small (500 moves hold the server for 2 ms).

        Args:
            tenant: Whose.
            moves: In order of arrival; a subject may be in it several times.
            channel_keys: Names of the sensor channels that changed; bytes are UTF-8.
            channel_rows: Their state, rows of equal length in the order of the keys.

        Raises:
            Unseeded: The server does not know who consents; nothing was written.
            StoreAway: The server does not answer or refuses to write.
        """
        keys = _keys(tenant)
        reply: list[int] | None = await self._server.run(
            _COMMIT,
            (keys.seeded, keys.consent, keys.channels),
            *(keys.place, self.retention_ms, AHEAD_MS, self._pack(_columns(moves))),
            *(self._pack([_name(key) for key in channel_keys]), channel_rows),
            *(_width(channel_keys, channel_rows), CHANNELS_LIFE_MS),
        )
        return Written(*_seeded(reply))

    async def find(
        self, tenant: str, subjects: Sequence[str], now_ms: int
    ) -> list[Location | None]:
        """Return the location of each subject, None where there is none.

        What is past its retention at `now_ms` is none, whatever the server says.

        Raises:
            StoreAway: The server does not answer.
        """
        if not subjects:
            return []
        prefix = _keys(tenant).place
        places: list[bytes | None] = await self._server.call(
            "MGET", *[prefix + subject for subject in subjects]
        )
        oldest_ms = now_ms - self.retention_ms
        return [_location(place, oldest_ms) if place else None for place in places]

    async def save_channels(
        self, tenant: str, channel_keys: Sequence[bytes | str], channel_rows: bytes
    ) -> None:
        """Save the state of channels alone; works on a server that is not seeded.

        Raises:
            StoreAway: The server does not answer or refuses to write.
        """
        width = _width(channel_keys, channel_rows)
        key = _keys(tenant).channels
        for start in range(0, len(channel_keys), _CHANNELS_A_CALL):
            stop = min(start + _CHANNELS_A_CALL, len(channel_keys))
            fields: list[bytes | str] = []
            for index in range(start, stop):
                row = channel_rows[index * width : (index + 1) * width]
                fields += (channel_keys[index], row)
            await self._server.call("HSET", key, *fields)
            await self._server.call("PEXPIRE", key, CHANNELS_LIFE_MS)

    async def drop_channels(self, tenant: str, channel_keys: Sequence[bytes]) -> None:
        """Forget the state of channels.

        Raises:
            StoreAway: The server does not answer or refuses to write.
        """
        await self._server.call("HDEL", _keys(tenant).channels, *channel_keys)

    async def load_channels(self, tenant: str) -> dict[bytes, bytes]:
        """Return the state of all channels by their key.

        Raises:
            StoreAway: The server does not answer.
        """
        return await self._server.scan(_keys(tenant).channels)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def clock_ms(self) -> int:
        """Return the server's clock, by which it judges what is late or ahead.

        Raises:
            StoreAway: The server does not answer.
        """
        return await self._server.clock_ms()


_CHANNELS_A_CALL = 5000

T = TypeVar("T")


class _Keys(NamedTuple):
    """The names of a tenant's keys; the last two are prefixes."""

    seeded: str
    consent: str
    channels: str
    place: str
    gone: str


@lru_cache(maxsize=4096)
def _keys(tenant: str) -> _Keys:
    names = ("seeded", "consent", "channels", "place:", "gone:")
    return _Keys(*(f"lf:{{{tenant}}}:{name}" for name in names))


def _columns(moves: Moves) -> tuple[object, ...]:
    """Return what the script takes: subjects, times, values, who left from where.

    Values are put together here, as Lua takes twice as long for it; columns rather than
    rows, as it makes a table of each.
    """
    subjects, times, spaces, confidences, aps, seen_ms = moves
    rows = zip(times, confidences, spaces, aps, strict=True)
    values = [f"{time}|{percent}|{space}|{ap}" for time, percent, space, ap in rows]
    lefts: dict[int, tuple[str, int]] = {}
    if None in spaces:
        for row, space in enumerate(spaces):
            if space is None:
                values[row] = str(times[row])
                lefts[row + 1] = aps[row], seen_ms[row]
    return subjects, times, values, lefts


def _location(place: bytes, oldest_ms: int) -> Location | None:
    parts = place.split(b"|", 3)
    observed_at_ms = int(parts[0])
    if observed_at_ms <= oldest_ms or len(parts) == 1:
        return None
    space, ap = parts[2].decode(), parts[3].decode()
    return Location(space, observed_at_ms, int(parts[1]), ap)


def _width(keys: Sequence[bytes | str], rows: bytes) -> int:
    """Return the bytes of a row."""
    width, rest = divmod(len(rows), len(keys)) if keys else (0, len(rows))
    if rest:
        msg = "channel rows must be of equal length, one for each key"
        raise ValueError(msg)
    return width


def _name(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.decode()


def _seeded(reply: T | None) -> T:
    if reply is None:
        msg = "locations: the Redis server came back empty and waits to be seeded"
        raise Unseeded(msg)
    return reply
