from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from engine.errors import ConfigError
from engine.model import Location
from engine.store.locations import AHEAD_MS, RETENTION_MS, Locations, Unseeded, Written
from tests.moves import Move, columns, write

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

pytestmark = pytest.mark.integration

SECOND = 1000
HOUR = 3_600_000

tenants = (f"tenant-{number}" for number in itertools.count())


def joined(subject: str, at: int, space: str = "room-1", ap: str = "a1") -> Move:
    return Move(subject, at, space, 80, ap)


def left(subject: str, at: int, ap: str = "a1") -> Move:
    return Move(subject, at, None, 80, ap)


async def place(locations: Locations, subject: str, now_ms: int) -> str | None:
    (found,) = await locations.find("acme", [subject], now_ms)
    return found.space if found else None


# Consent


async def test_a_server_that_does_not_know_who_consents_takes_no_batch(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    with pytest.raises(Unseeded):
        await locations.commit(
            "acme", columns([joined("ada", server_ms())]), ["c"], b"row"
        )
    with pytest.raises(Unseeded):
        await locations.admit("acme", "ada")
    assert raw.dbsize() == 0


async def test_a_subject_who_does_not_consent_leaves_no_key(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", ["ada"])
    before = set(raw.keys())
    assert await write(locations, "acme", [joined("bob", server_ms())]) == (0, 0, 1)
    assert set(raw.keys()) == before


async def test_a_subject_is_found_where_the_last_move_said(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada", "bob"])
    moves = [joined("ada", now - 2, "room-1"), joined("ada", now - 1, "room-2")]
    assert await write(locations, "acme", moves) == Written(2, 0, 0)
    found = await locations.find("acme", ["ada", "bob", "eve"], now)
    assert found == [Location("room-2", now - 1, 80, "a1"), None, None]


async def test_looking_for_nobody_asks_nobody(locations: Locations) -> None:
    await locations.close()
    assert await locations.find("acme", [], 0) == []


async def test_a_subject_admitted_later_is_written(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", [])
    assert await locations.admit("acme", "ada")
    assert await write(locations, "acme", [joined("ada", now)]) == (1, 0, 0)


async def test_a_forgotten_subject_has_no_location_and_gets_none(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada", "bob"])
    await write(locations, "acme", [joined("ada", now), joined("bob", now)])
    assert await locations.forget("acme", ["ada"]) == 1
    assert await locations.forget("acme", ["ada"]) == 0
    assert await write(locations, "acme", [joined("ada", now + 1)]) == (0, 0, 1)
    assert await place(locations, "ada", now) is None
    assert await place(locations, "bob", now) == "room-1"
    assert raw.keys("*:place:*") == ["lf:{acme}:place:bob"]


async def test_a_forgotten_subject_never_comes_back(
    locations: Locations, raw: redis.Redis
) -> None:
    await locations.seed("acme", ["ada", "bob"])
    await locations.forget("acme", ["ada"])
    assert not await locations.admit("acme", "ada")
    assert await locations.seed("acme", ["ada", "bob"]) == 1
    assert raw.smembers("lf:{acme}:consent") == {"bob"}
    # ... for as long as anything that was under way could still arrive.
    assert 0 < int(raw.pttl("lf:{acme}:gone:ada")) <= RETENTION_MS


async def test_seeding_again_forgets_who_is_no_longer_there(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada", "bob"])
    await write(locations, "acme", [joined("ada", now), joined("bob", now)])
    assert await locations.seed("acme", ["bob", "cleo"]) == 2
    assert raw.keys("*:place:*") == ["lf:{acme}:place:bob"]
    moves = [joined(subject, now) for subject in ("ada", "bob", "cleo")]
    assert await write(locations, "acme", moves) == (2, 0, 1)


async def test_thousands_are_seeded_written_and_forgotten_at_once(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    subjects = [f"subject-{number}" for number in range(2500)]
    moves = [joined(subject, now) for subject in subjects]
    assert await locations.seed("acme", subjects) == 2500
    assert await write(locations, "acme", moves) == (2500, 0, 0)
    assert all(await locations.find("acme", subjects, now))
    assert await locations.forget("acme", subjects) == 2500
    assert not any(await locations.find("acme", subjects, now))


async def test_tenants_do_not_exist_for_each_other(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    with pytest.raises(Unseeded):
        await write(locations, "other", [joined("ada", now)])
    await locations.seed("other", [])
    assert await write(locations, "other", [joined("ada", now)]) == (0, 0, 1)
    await write(locations, "acme", [joined("ada", now)])
    assert await locations.find("other", ["ada"], now) == [None]
    await locations.forget("other", ["ada"])
    assert await place(locations, "ada", now) == "room-1"


async def test_a_list_made_before_a_withdrawal_does_not_undo_it(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await asyncio.gather(
        locations.seed("acme", ["ada"]),
        locations.admit("acme", "ada"),
        locations.forget("acme", ["ada"]),
        write(locations, "acme", [joined("ada", now)]),
    )
    assert raw.smembers("lf:{acme}:consent") == set()
    assert raw.keys("*:place:*") == []


# Time


async def test_the_expiry_runs_from_the_observation(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    observed = server_ms() - 5 * HOUR
    await locations.seed("acme", ["ada"])
    await write(locations, "acme", [joined("ada", observed)])
    assert raw.pexpiretime("lf:{acme}:place:ada") == observed + 24 * HOUR
    await write(locations, "acme", [left("ada", observed + 1)])
    assert raw.pexpiretime("lf:{acme}:place:ada") == observed + 1 + 24 * HOUR


async def test_what_is_older_than_a_day_is_never_written_not_even_to_expire(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", ["ada"])
    before = set(raw.keys())
    raw.config_resetstat()
    now = server_ms()
    moves = [joined("ada", now - 25 * HOUR), joined("ada", now - 24 * HOUR)]
    assert await write(locations, "acme", moves) == (0, 2, 0)
    assert set(raw.keys()) == before
    assert "cmdstat_set" not in raw.info("commandstats")
    assert raw.info("stats")["expired_keys"] == 0


async def test_what_is_ahead_of_the_clock_is_refused_as_it_would_pin(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    far = joined("ada", now + AHEAD_MS + 10 * SECOND)
    assert await write(locations, "acme", [far]) == (0, 0, 1)
    near = joined("ada", now + AHEAD_MS - SECOND, "room-2")
    assert await write(locations, "acme", [near]) == (1, 0, 0)


async def test_a_location_is_not_read_at_the_end_of_its_time(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    observed = server_ms()
    await locations.seed("acme", ["ada"])
    await write(locations, "acme", [joined("ada", observed)])
    assert await place(locations, "ada", observed + 24 * HOUR - 1) == "room-1"
    assert await place(locations, "ada", observed + 24 * HOUR) is None


@pytest.mark.slow
async def test_a_location_seen_a_day_less_two_seconds_ago_is_gone_in_two_seconds(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    observed = server_ms() - 24 * HOUR + 2 * SECOND
    await locations.seed("acme", ["ada"])
    assert await write(locations, "acme", [joined("ada", observed)]) == (1, 0, 0)
    assert await place(locations, "ada", server_ms()) == "room-1"
    async with asyncio.timeout(4):
        while raw.exists("lf:{acme}:place:ada"):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.02)
    assert server_ms() >= observed + 24 * HOUR


@pytest.mark.parametrize("retention_ms", [0, -1, RETENTION_MS + 1])
async def test_the_retention_is_at_most_a_day(retention_ms: int) -> None:
    with pytest.raises(ConfigError, match="at most 24 hours"):
        Locations("redis://127.0.0.1", retention_ms=retention_ms)


async def test_a_shorter_retention_is_kept_by_both_locks(
    redis_locations: object, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    url: str = redis_locations.url  # type: ignore[attr-defined]
    store = Locations(url, retention_ms=HOUR)
    observed = server_ms()
    await store.seed("acme", ["ada"])
    assert await write(store, "acme", [joined("ada", observed - HOUR)]) == (0, 1, 0)
    assert await write(store, "acme", [joined("ada", observed)]) == (1, 0, 0)
    assert raw.pexpiretime("lf:{acme}:place:ada") == observed + HOUR
    assert await place(store, "ada", observed + HOUR) is None
    await store.close()


# Channels


async def test_channels_come_back_as_they_were_committed(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", ["ada"])
    now = server_ms()
    keys = [f"sensor-{number}" for number in range(2500)]
    rows = b"".join(number.to_bytes(4, "big") for number in range(2500))
    outcome = await locations.commit("acme", columns([joined("ada", now)]), keys, rows)
    assert outcome == (1, 0, 0)
    await locations.commit("acme", columns([]), [b"sensor-7"], b"\xff\x00\r\n")
    channels = await locations.load_channels("acme")
    assert len(channels) == 2500
    assert channels[b"sensor-2499"] == (2499).to_bytes(4, "big")
    assert channels[b"sensor-7"] == b"\xff\x00\r\n"
    assert 25 * HOUR < int(raw.pttl("lf:{acme}:channels")) <= 26 * HOUR
    assert await locations.load_channels("other") == {}


async def test_channels_alone_are_saved_before_the_server_is_seeded(
    locations: Locations, raw: redis.Redis
) -> None:
    keys = [f"sensor-{number}" for number in range(6000)]
    await locations.save_channels("acme", keys, b"ab" * 6000)
    assert await locations.load_channels("acme") == dict.fromkeys(
        (key.encode() for key in keys), b"ab"
    )
    assert 25 * HOUR < int(raw.pttl("lf:{acme}:channels")) <= 26 * HOUR


async def test_rows_that_do_not_fit_their_keys_are_our_own_fault(
    locations: Locations,
) -> None:
    with pytest.raises(ValueError, match="equal length"):
        await locations.commit("acme", columns([]), ["a", "b"], b"odd")
    with pytest.raises(ValueError, match="equal length"):
        await locations.save_channels("acme", [], b"row")
