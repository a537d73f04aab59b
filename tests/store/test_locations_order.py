"""Which observation wins, against an oracle."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.model import Location
from engine.store.locations import Locations, Written
from tests.moves import Move, columns, write

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


async def test_an_older_observation_never_overwrites_a_newer_one(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await write(locations, "acme", [joined("ada", now, "new")])
    assert await write(locations, "acme", [joined("ada", now - 1, "old")]) == (0, 1, 0)
    assert await place(locations, "ada", now) == "new"


async def test_of_equal_times_the_last_to_arrive_wins(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await write(locations, "acme", [joined("ada", now, "a"), joined("ada", now, "b")])
    assert await place(locations, "ada", now) == "b"
    await write(locations, "acme", [joined("ada", now, "c")])
    assert await place(locations, "ada", now) == "c"


async def test_leaving_clears_only_the_access_point_that_it_names(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await write(locations, "acme", [joined("ada", now, ap="lobby|5ghz")])
    assert await write(locations, "acme", [left("ada", now + 1, "lobby")]) == (0, 1, 0)
    assert await write(locations, "acme", [left("ada", now + 1, "5ghz")]) == (0, 1, 0)
    assert await place(locations, "ada", now) == "room-1"
    gone = left("ada", now + 1, "lobby|5ghz")
    assert await write(locations, "acme", [gone]) == (1, 0, 0)
    assert await place(locations, "ada", now) is None


async def test_leaving_earlier_than_the_stored_place_clears_nothing(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await write(locations, "acme", [joined("ada", now)])
    assert await write(locations, "acme", [left("ada", now - 1)]) == (0, 1, 0)
    assert await place(locations, "ada", now) == "room-1"


async def test_who_left_is_not_brought_back_by_what_was_seen_before(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada"])
    await write(locations, "acme", [joined("ada", now - 9), left("ada", now - 2)])
    assert raw.get("lf:{acme}:place:ada") == str(now - 2)  # the time, and no place
    assert await write(locations, "acme", [joined("ada", now - 5)]) == (0, 1, 0)
    assert await place(locations, "ada", now) is None
    assert await write(locations, "acme", [joined("ada", now - 1)]) == (1, 0, 0)
    assert await place(locations, "ada", now) == "room-1"


async def test_who_left_leaves_every_place_that_is_no_newer(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    """Joined here, then there, then left there: the middle was never written."""
    await locations.seed("acme", ["ada"])
    now = server_ms()
    await write(locations, "acme", [joined("ada", now - 9, ap="here")])
    gone = left("ada", now - 1, "there")._replace(seen_ms=now - 5)
    assert await write(locations, "acme", [gone]) == (1, 0, 0)
    assert await place(locations, "ada", now) is None


async def test_who_left_keeps_a_place_that_is_newer_than_what_they_left(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    await locations.seed("acme", ["ada"])
    now = server_ms()
    await write(locations, "acme", [joined("ada", now - 3, ap="here")])
    gone = left("ada", now - 1, "there")._replace(seen_ms=now - 5)
    assert await write(locations, "acme", [gone]) == (0, 1, 0)
    assert await place(locations, "ada", now) == "room-1"


async def test_a_place_by_coordinates_is_left_by_no_access_point_without_a_name(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    """Neither names one; who is gone from the site says when, and takes it along."""
    await locations.seed("acme", ["ada"])
    now = server_ms()
    await write(locations, "acme", [joined("ada", now - 3, ap="")])
    for ap in ("", "a1"):
        assert await write(locations, "acme", [left("ada", now - 2, ap)]) == (0, 1, 0)
    assert await place(locations, "ada", now) == "room-1"
    gone = left("ada", now - 1, "")._replace(seen_ms=now - 1)
    assert await write(locations, "acme", [gone]) == (1, 0, 0)
    assert await place(locations, "ada", now) is None


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
        newer = old is not None and old.at > move.seen_ms
        elsewhere = (
            move.space is None
            and (old is None or old.ap != move.ap or move.ap == "")
            and (move.seen_ms == 0 or newer)
        )
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
    st.sampled_from(["a1", "a2", ""]),
    st.sampled_from([0, 0, -3, -2, -1]),
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
            each._replace(
                observed_at_ms=now + each.observed_at_ms,
                seen_ms=each.seen_ms and now + each.seen_ms,
            )
            for each in batch
        ]
        outcome = await write(locations, tenant, moves)
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
        write(locations, tenant, arrivals[:cut]),
        write(locations, tenant, arrivals[cut:]),
    )
    assert await locations.find(tenant, ["ada"], now) == [
        Location("room-4", now - 1, 80, "a1")
    ]


async def test_a_batch_that_is_written_again_changes_nothing(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    await locations.seed("acme", ["ada", "bob"])
    batch = [joined("ada", now - 2), joined("bob", now - 1), left("ada", now)]
    await locations.commit("acme", columns(batch), ["c1"], b"row")
    keys = set(raw.keys())
    once = {key: raw.dump(key) for key in keys if ":place:" in key}
    await locations.commit("acme", columns(batch), ["c1"], b"row")
    assert set(raw.keys()) == keys
    assert {key: raw.dump(key) for key in keys if ":place:" in key} == once


async def test_every_location_key_ends_a_day_after_its_observation(
    locations: Locations, raw: redis.Redis, server_ms: Callable[[], int]
) -> None:
    now = server_ms()
    subjects = [f"s{number}" for number in range(50)]
    await locations.seed("acme", subjects)
    moves = [joined(each, now - HOUR * (row % 24)) for row, each in enumerate(subjects)]
    await write(locations, "acme", moves)
    await write(locations, "acme", [left(each, now) for each in subjects[::3]])
    keys = raw.keys("*:place:*")
    assert len(keys) == 50
    for key in keys:
        observed = int(str(raw.get(key)).split("|")[0])
        assert raw.pexpiretime(str(key)) == observed + 24 * HOUR
