"""The store when its server fails, and an opt-out among writes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING, Literal

import pytest
import redis

from engine.errors import StoreAway
from engine.model import Location
from engine.store.locations import Locations, Unseeded
from tests.moves import Move, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.embedded import Child

pytestmark = pytest.mark.integration

Role = Literal["locations", "registry"]

SECRET = "subject-of-somebody"  # noqa: S105 - a canary, not a password


def move(observed_at_ms: int, space: str = "room-of-somebody") -> Move:
    return Move(SECRET, observed_at_ms, space, 80, "ap-of-somebody")


def silent(error: BaseException) -> bool:
    """Whether neither the error nor anything it carries tells an argument."""
    told = f"{error} {error!r} {error.args} {error.__cause__} {error.__context__}"
    return "somebody" not in told


def kill(server: Child, number: signal.Signals) -> None:
    assert server.pid is not None
    os.kill(server.pid, number)


@pytest.mark.slow
async def test_a_server_that_dies_is_away_then_empty_then_seeded_again(
    new_redis: Callable[[Role], Child],
) -> None:
    server = new_redis("locations")
    await server.start()
    locations = Locations(server.url)  # type: ignore[attr-defined]
    await locations.check()
    await locations.seed("acme", [SECRET])
    now = server_time(server)
    assert await write(locations, "acme", [move(now)]) == (1, 0, 0)

    kill(server, signal.SIGKILL)
    await server.wait()
    async with asyncio.timeout(2):
        for attempt in (
            write(locations, "acme", [move(now)]),
            locations.find("acme", [SECRET], now),
            locations.forget("acme", [SECRET]),
            locations.seed("acme", [SECRET]),
            locations.ping(),
        ):
            with pytest.raises(StoreAway, match="does not answer") as caught:
                await attempt
            assert silent(caught.value)

    await server.start()
    with pytest.raises(Unseeded):
        await write(locations, "acme", [move(now)])
    await locations.check()
    assert await locations.seed("acme", [SECRET]) == 1
    assert await write(locations, "acme", [move(now)]) == (1, 0, 0)
    await locations.close()


async def test_a_server_that_hangs_is_away_in_time_and_then_well_again(
    new_redis: Callable[[Role], Child],
) -> None:
    server = new_redis("locations")
    await server.start()
    locations = Locations(server.url, timeout_s=0.1)  # type: ignore[attr-defined]
    await locations.seed("acme", [SECRET])
    now = server_time(server)
    kill(server, signal.SIGSTOP)
    try:
        async with asyncio.timeout(2):
            with pytest.raises(StoreAway, match="does not answer") as caught:
                await write(locations, "acme", [move(now)])
        assert silent(caught.value)
    finally:
        kill(server, signal.SIGCONT)
    # Unknown whether it was written: it may be written again.
    assert await write(locations, "acme", [move(now)]) == (1, 0, 0)
    found = await locations.find("acme", [SECRET], now)
    assert found == [Location("room-of-somebody", now, 80, "ap-of-somebody")]
    await locations.close()


async def test_a_full_server_is_away_but_still_erases(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", [SECRET])
    await write(locations, "acme", [move(now - 1)])
    raw.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreAway, match="OOM") as caught:
            await write(locations, "acme", [move(now)])
        assert silent(caught.value)
        assert await locations.forget("acme", [SECRET]) == 1
        assert await locations.find("acme", [SECRET], now) == [None]
    finally:
        raw.config_set("maxmemory", "0")


async def test_a_full_server_learns_all_the_same_who_consents(
    locations: Locations, raw: redis.Redis
) -> None:
    raw.config_set("maxmemory", "1")
    try:
        assert await locations.seed("acme", [SECRET, "another"]) == 2
        await locations.forget("acme", [SECRET])
        assert not await locations.admit("acme", SECRET)
    finally:
        raw.config_set("maxmemory", "0")
    assert raw.smembers("lf:{acme}:consent") == {"another"}


async def test_a_server_that_became_a_replica_is_away(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", [SECRET])
    raw.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(StoreAway, match="READONLY") as caught:
            await write(locations, "acme", [move(server_ms())])
        assert silent(caught.value)
    finally:
        raw.replicaof("NO", "ONE")


async def test_an_error_of_any_other_kind_tells_nothing_of_the_command(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", [SECRET])
    raw.delete("lf:{acme}:consent")
    raw.set("lf:{acme}:consent", "not a set")
    with pytest.raises(StoreAway) as caught:
        await write(locations, "acme", [move(server_ms())])
    assert silent(caught.value)


async def test_a_server_that_lost_the_scripts_gets_them_again(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", [SECRET])
    assert await write(locations, "acme", [move(server_ms())]) == (1, 0, 0)
    raw.script_flush()
    assert await write(locations, "acme", [move(server_ms())]) == (1, 0, 0)


@pytest.mark.slow
async def test_forgetting_never_loses_to_a_write(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    """Five writers on connections of their own, and a withdrawal in their midst."""
    choice = random.Random(11)  # noqa: S311 - repeatable, not secret
    now = server_ms()
    await locations.seed("acme", [])
    for race in range(300):
        subject = f"subject-{race}"
        key = f"lf:{{acme}}:place:{subject}"
        assert await locations.admit("acme", subject)
        moves = [Move(subject, now + step, "room-1", 80, "a1") for step in range(4)]

        async def pour(moves: list[Move] = moves) -> None:
            for _ in range(choice.randrange(4)):
                await asyncio.sleep(0)
            for each in moves:
                await write(locations, "acme", [each])

        writers = [asyncio.create_task(pour()) for _ in range(5)]
        for _ in range(choice.randrange(30)):
            await asyncio.sleep(0)
        assert await locations.forget("acme", [subject]) == 1
        assert not raw.exists(key)
        await asyncio.gather(*writers)
        assert not raw.exists(key)
        assert await locations.find("acme", [subject], now) == [None]


def server_time(server: Child) -> int:
    with redis.Redis.from_url(server.url) as client:  # type: ignore[attr-defined]
        seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
