from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.model import Location, Move
from engine.store.locations import AHEAD_MS, RETENTION_MS, Locations, Unseeded, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        await locations.commit("acme", [joined("ada", server_ms())], ["c"], b"row")
    with pytest.raises(Unseeded):
        await locations.admit("acme", "ada")
    assert raw.dbsize() == 0


async def test_a_subject_who_does_not_consent_leaves_no_key(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", ["ada"])
    before = set(raw.keys())
    assert await locations.write("acme", [joined("bob", server_ms())]) == (0, 0, 1)
    assert set(raw.keys()) == before


async def test_a_subject_is_found_where_the_last_move_said(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada", "bob"])
    moves = [joined("ada", now - 2, "room-1"), joined("ada", now - 1, "room-2")]
    assert await locations.write("acme", moves) == Written(2, 0, 0)
    found = await locations.find("acme", ["ada", "bob", "eve"], now)
    assert found == [Location("room-2", now - 1, 80), None, None]


async def test_looking_for_nobody_asks_nobody(locations: Locations) -> None:
    await locations.close()
    assert await locations.find("acme", [], 0) == []


async def test_a_subject_admitted_later_is_written(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", [])
    assert await locations.admit("acme", "ada")
    assert await locations.write("acme", [joined("ada", now)]) == (1, 0, 0)


async def test_a_forgotten_subject_has_no_location_and_gets_none(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada", "bob"])
    await locations.write("acme", [joined("ada", now), joined("bob", now)])
    assert await locations.forget("acme", ["ada"]) == 1
    assert await locations.forget("acme", ["ada"]) == 0
    assert await locations.write("acme", [joined("ada", now + 1)]) == (0, 0, 1)
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
    await locations.write("acme", [joined("ada", now), joined("bob", now)])
    assert await locations.seed("acme", ["bob", "cleo"]) == 2
    assert raw.keys("*:place:*") == ["lf:{acme}:place:bob"]
    moves = [joined(subject, now) for subject in ("ada", "bob", "cleo")]
    assert await locations.write("acme", moves) == (2, 0, 1)


async def test_thousands_are_seeded_written_and_forgotten_at_once(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    subjects = [f"subject-{number}" for number in range(2500)]
    moves = [joined(subject, now) for subject in subjects]
    assert await locations.seed("acme", subjects) == 2500
    assert await locations.write("acme", moves) == (2500, 0, 0)
    assert all(await locations.find("acme", subjects, now))
    assert await locations.forget("acme", subjects) == 2500
    assert not any(await locations.find("acme", subjects, now))


async def test_tenants_do_not_exist_for_each_other(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    with pytest.raises(Unseeded):
        await locations.write("other", [joined("ada", now)])
    await locations.seed("other", [])
    assert await locations.write("other", [joined("ada", now)]) == (0, 0, 1)
    await locations.write("acme", [joined("ada", now)])
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
        locations.write("acme", [joined("ada", now)]),
    )
    assert raw.smembers("lf:{acme}:consent") == set()
    assert raw.keys("*:place:*") == []


# Time


async def test_the_expiry_runs_from_the_observation(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    observed = server_ms() - 5 * HOUR
    await locations.seed("acme", ["ada"])
    await locations.write("acme", [joined("ada", observed)])
    assert raw.pexpiretime("lf:{acme}:place:ada") == observed + 24 * HOUR
    await locations.write("acme", [left("ada", observed + 1)])
    assert raw.pexpiretime("lf:{acme}:place:ada") == observed + 1 + 24 * HOUR


async def test_what_is_older_than_a_day_is_never_written_not_even_to_expire(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", ["ada"])
    before = set(raw.keys())
    raw.config_resetstat()
    now = server_ms()
    moves = [joined("ada", now - 25 * HOUR), joined("ada", now - 24 * HOUR)]
    assert await locations.write("acme", moves) == (0, 2, 0)
    assert set(raw.keys()) == before
    assert "cmdstat_set" not in raw.info("commandstats")
    assert raw.info("stats")["expired_keys"] == 0


async def test_what_is_ahead_of_the_clock_is_refused_as_it_would_pin(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    far = joined("ada", now + AHEAD_MS + 10 * SECOND)
    assert await locations.write("acme", [far]) == (0, 0, 1)
    near = joined("ada", now + AHEAD_MS - SECOND, "room-2")
    assert await locations.write("acme", [near]) == (1, 0, 0)


async def test_a_location_is_not_read_at_the_end_of_its_time(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    observed = server_ms()
    await locations.seed("acme", ["ada"])
    await locations.write("acme", [joined("ada", observed)])
    assert await place(locations, "ada", observed + 24 * HOUR - 1) == "room-1"
    assert await place(locations, "ada", observed + 24 * HOUR) is None


@pytest.mark.slow
async def test_a_location_seen_a_day_less_two_seconds_ago_is_gone_in_two_seconds(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    observed = server_ms() - 24 * HOUR + 2 * SECOND
    await locations.seed("acme", ["ada"])
    assert await locations.write("acme", [joined("ada", observed)]) == (1, 0, 0)
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
    assert await store.write("acme", [joined("ada", observed - HOUR)]) == (0, 1, 0)
    assert await store.write("acme", [joined("ada", observed)]) == (1, 0, 0)
    assert raw.pexpiretime("lf:{acme}:place:ada") == observed + HOUR
    assert await place(store, "ada", observed + HOUR) is None
    await store.close()


# Order


async def test_an_older_observation_never_overwrites_a_newer_one(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await locations.write("acme", [joined("ada", now, "new")])
    assert await locations.write("acme", [joined("ada", now - 1, "old")]) == (0, 1, 0)
    assert await place(locations, "ada", now) == "new"


async def test_of_equal_times_the_last_to_arrive_wins(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await locations.write("acme", [joined("ada", now, "a"), joined("ada", now, "b")])
    assert await place(locations, "ada", now) == "b"
    await locations.write("acme", [joined("ada", now, "c")])
    assert await place(locations, "ada", now) == "c"


async def test_leaving_clears_only_the_access_point_that_it_names(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await locations.write("acme", [joined("ada", now, ap="lobby|5ghz")])
    assert await locations.write("acme", [left("ada", now + 1, "lobby")]) == (0, 1, 0)
    assert await locations.write("acme", [left("ada", now + 1, "5ghz")]) == (0, 1, 0)
    assert await place(locations, "ada", now) == "room-1"
    gone = left("ada", now + 1, "lobby|5ghz")
    assert await locations.write("acme", [gone]) == (1, 0, 0)
    assert await place(locations, "ada", now) is None


async def test_leaving_earlier_than_the_stored_place_clears_nothing(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await locations.write("acme", [joined("ada", now)])
    assert await locations.write("acme", [left("ada", now - 1)]) == (0, 1, 0)
    assert await place(locations, "ada", now) == "room-1"


async def test_who_left_is_not_brought_back_by_what_was_seen_before(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await locations.write("acme", [joined("ada", now - 9), left("ada", now - 2)])
    assert raw.get("lf:{acme}:place:ada") == str(now - 2)  # the time, and no place
    assert await locations.write("acme", [joined("ada", now - 5)]) == (0, 1, 0)
    assert await place(locations, "ada", now) is None
    assert await locations.write("acme", [joined("ada", now - 1)]) == (1, 0, 0)
    assert await place(locations, "ada", now) == "room-1"


class Stored(NamedTuple):
    at: int
    space: str | None
    ap: str | None


class Oracle:
    """What the store must hold, told in the plainest way."""

    def __init__(self, consenting: Sequence[str], now: int) -> None:
        self._now = now
        self._stored: dict[str, Stored | None] = dict.fromkeys(consenting)
        self.written = Written(0, 0, 0)

    def write(self, move: Move) -> None:
        if move.subject not in self._stored or move.observed_at_ms > self._now + HOUR:
            self._count(refused=1)
            return
        old = self._stored[move.subject]
        too_old = move.observed_at_ms <= self._now - 24 * HOUR
        older = old is not None and move.observed_at_ms < old.at
        elsewhere = move.space is None and (old is None or old.ap != move.ap)
        if too_old or older or elsewhere:
            self._count(late=1)
            return
        ap = None if move.space is None else move.ap
        self._stored[move.subject] = Stored(move.observed_at_ms, move.space, ap)
        self._count(written=1)

    def find(self, subject: str) -> tuple[str, int] | None:
        stored = self._stored.get(subject)
        return (stored.space, stored.at) if stored and stored.space else None

    def _count(self, *, written: int = 0, late: int = 0, refused: int = 0) -> None:
        one = (written, late, refused)
        self.written = Written(*map(sum, zip(self.written, one, strict=True)))


SUBJECTS = ("ada", "bob", "eve")

# Times relative to now: close ones that meet, and one in each forbidden zone, far
# enough from its edge that the server's clock may run on during the test.
a_move = st.builds(
    Move,
    st.sampled_from(SUBJECTS),
    st.sampled_from([-25 * HOUR, -3, -3, -2, -2, -1, 2 * HOUR]),
    st.sampled_from(["room-1", "room-2", None]),
    st.integers(0, 100),
    st.sampled_from(["a1", "a2"]),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(batches=st.lists(st.lists(a_move, max_size=6), max_size=4))
@pytest.mark.slow
async def test_any_batches_end_as_the_oracle_says(
    locations: Locations,
    server_ms: Callable[[], int],
    batches: list[list[Move]],
) -> None:
    tenant, now = next(tenants), server_ms()
    oracle = Oracle(("ada", "bob"), now)
    await locations.seed(tenant, ("ada", "bob"))
    counted = Written(0, 0, 0)
    for batch in batches:
        moves = [
            each._replace(observed_at_ms=now + each.observed_at_ms) for each in batch
        ]
        outcome = await locations.write(tenant, moves)
        counted = Written(*map(sum, zip(counted, outcome, strict=True)))
        for move in moves:
            oracle.write(move)
    assert counted == oracle.written
    found = await locations.find(tenant, SUBJECTS, now)
    assert [(each.space, each.observed_at_ms) if each else None for each in found] == [
        oracle.find(subject) for subject in SUBJECTS
    ]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=st.permutations(list(range(5))),
    again=st.lists(st.integers(0, 4), max_size=4),
    data=st.data(),
)
@pytest.mark.slow
async def test_any_order_with_repetitions_ends_with_the_newest(
    locations: Locations,
    server_ms: Callable[[], int],
    order: list[int],
    again: list[int],
    data: st.DataObject,
) -> None:
    tenant, now = next(tenants), server_ms()
    moves = [joined("ada", now - 5 + age, f"room-{age}") for age in range(5)]
    arrivals = [moves[index] for index in (*order, *again)]
    cut = data.draw(st.integers(0, len(arrivals)))
    await locations.seed(tenant, ["ada"])
    await asyncio.gather(
        locations.write(tenant, arrivals[:cut]), locations.write(tenant, arrivals[cut:])
    )
    assert await locations.find(tenant, ["ada"], now) == [
        Location("room-4", now - 1, 80)
    ]


async def test_a_batch_that_is_written_again_changes_nothing(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada", "bob"])
    batch = [joined("ada", now - 2), joined("bob", now - 1), left("ada", now)]
    await locations.commit("acme", batch, ["c1"], b"row")
    keys = set(raw.keys())
    once = {key: raw.dump(key) for key in keys if ":place:" in key}
    await locations.commit("acme", batch, ["c1"], b"row")
    assert set(raw.keys()) == keys
    assert {key: raw.dump(key) for key in keys if ":place:" in key} == once


async def test_every_location_key_ends_a_day_after_its_observation(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    subjects = [f"s{number}" for number in range(50)]
    await locations.seed("acme", subjects)
    moves = [joined(each, now - HOUR * (row % 24)) for row, each in enumerate(subjects)]
    await locations.write("acme", moves)
    await locations.write("acme", [left(each, now) for each in subjects[::3]])
    keys = raw.keys("*:place:*")
    assert len(keys) == 50
    for key in keys:
        observed = int(str(raw.get(key)).split("|")[0])
        assert raw.pexpiretime(str(key)) == observed + 24 * HOUR


# Channels


async def test_channels_come_back_as_they_were_committed(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", ["ada"])
    now = server_ms()
    keys = [f"sensor-{number}" for number in range(2500)]
    rows = b"".join(number.to_bytes(4, "big") for number in range(2500))
    outcome = await locations.commit("acme", [joined("ada", now)], keys, rows)
    assert outcome == (1, 0, 0)
    await locations.commit("acme", [], [b"sensor-7"], b"\xff\x00\r\n")
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
        await locations.commit("acme", [], ["a", "b"], b"odd")
    with pytest.raises(ValueError, match="equal length"):
        await locations.save_channels("acme", [], b"row")
