from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.errors import StoreAway
from engine.model import Location
from engine.store.lookups import Lookups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import Clock


class Finder:
    """Answers when it is let; knows `ada` alone."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...], int]] = []
        self.let = asyncio.Event()
        self.let.set()
        self.error: Exception | None = None

    async def find(
        self, tenant: str, subjects: Sequence[str], now_ms: int
    ) -> list[Location | None]:
        self.asked.append((tenant, tuple(sorted(subjects)), now_ms))
        await self.let.wait()
        if self.error:
            raise self.error
        return [HERE if subject == "ada" else None for subject in subjects]


HERE = Location("room-1", 1, 80)


async def test_look_ups_of_one_turn_share_one_question(clock: Clock) -> None:
    finder = Finder()
    lookups = Lookups(finder, clock)
    asked = [lookups.find("acme", who) for who in ("ada", "bob", "ada", "cleo")]
    assert await asyncio.gather(*asked) == [HERE, None, HERE, None]
    assert finder.asked == [("acme", ("ada", "bob", "cleo"), clock.now_ms)]
    assert lookups.waiting == 0


async def test_tenants_do_not_share_a_question(clock: Clock) -> None:
    finder = Finder()
    lookups = Lookups(finder, clock)
    await asyncio.gather(lookups.find("acme", "ada"), lookups.find("other", "ada"))
    assert [(tenant, who) for tenant, who, _ in finder.asked] == [
        ("acme", ("ada",)),
        ("other", ("ada",)),
    ]


async def test_a_look_up_does_not_wait_for_the_answer_of_an_earlier_turn(
    clock: Clock,
) -> None:
    finder = Finder()
    finder.let.clear()
    lookups = Lookups(finder, clock)
    first = asyncio.create_task(lookups.find("acme", "ada"))
    for _ in range(3):
        await asyncio.sleep(0)
    clock.advance(5)
    second = asyncio.create_task(lookups.find("acme", "ada"))
    for _ in range(3):
        await asyncio.sleep(0)
    finder.let.set()
    assert await first == await second == HERE
    assert [now for _, _, now in finder.asked] == [clock.now_ms - 5, clock.now_ms]


async def test_a_server_that_is_away_is_an_error_for_each(clock: Clock) -> None:
    finder = Finder()
    finder.error = StoreAway("locations: the Redis server does not answer")
    lookups = Lookups(finder, clock)
    outcomes = await asyncio.gather(
        *(lookups.find("acme", who) for who in ("ada", "bob", "ada")),
        return_exceptions=True,
    )
    assert all(isinstance(each, StoreAway) for each in outcomes)
    assert len({id(each) for each in outcomes}) == 3
    assert len(finder.asked) == 1
    assert lookups.waiting == 0


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_others_are_answered_when_the_one_who_asked_gives_up(
    clock: Clock, turns: int
) -> None:
    finder = Finder()
    finder.let.clear()
    lookups = Lookups(finder, clock)
    asking = [asyncio.create_task(lookups.find("acme", "ada")) for _ in range(4)]
    for _ in range(turns):
        await asyncio.sleep(0)
    asking[0].cancel()
    asking[2].cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    finder.let.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [outcomes[1], outcomes[3]] == [HERE, HERE]
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert isinstance(outcomes[2], asyncio.CancelledError)
    assert lookups.waiting == 0


async def test_look_ups_under_way_are_bounded(clock: Clock) -> None:
    finder = Finder()
    finder.let.clear()
    lookups = Lookups(finder, clock, max_waiting=2)
    asking = [asyncio.create_task(lookups.find("acme", "ada")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StoreAway, match="too many"):
        await lookups.find("acme", "ada")
    finder.let.set()
    assert await asyncio.gather(*asking) == [HERE, HERE]
    assert await lookups.find("acme", "ada") == HERE
