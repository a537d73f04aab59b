"""The wait for the stores at the start, and what is said of them ever after."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from engine.backoff import Backoff
from engine.errors import ConfigError, StoreAway
from engine.store.locations import Locations
from engine.stores import APART_MS, LAST_WAIT_S, Stores

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from tests.conftest import Clock

    class HasUrl(Protocol):
        @property
        def url(self) -> str: ...


AWAY, WELL = StoreAway("does not answer"), None
WRONG = ConfigError("write `appendonly no`")


class Fake:
    """A store whose answers are written down; the last one stays."""

    def __init__(self, clock: Clock, *answers: Exception | None) -> None:
        self._clock = clock
        self._answers = list(answers or [WELL])
        self.ahead_ms = 0
        self.takes_ms = 0
        self.hangs = False

    async def check(self) -> None:
        await self.ping()

    async def ping(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        answer = self._answers.pop(0) if self._answers[1:] else self._answers[0]
        if answer is not None:
            raise answer

    async def clock_ms(self) -> int:
        await self.ping()
        theirs_ms = self._clock() + self.ahead_ms
        self._clock.advance(self.takes_ms)
        return theirs_ms


class Rig:
    """`Stores` on fakes; what waits moves the clock, and ends after some rounds."""

    def __init__(self, clock: Clock, registry: Fake, locations: Fake) -> None:
        self.clock = clock
        self.waits: list[float] = []
        self.missing_then: list[dict[str, int]] = []
        self.loads = 0
        self.rounds = 100
        self.stores = Stores(
            registry,
            locations,
            clock,
            backoff=Backoff(0.5, LAST_WAIT_S, random.Random(1)),  # noqa: S311 - seeded
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.missing_then.append(self.stores.missing)
        if len(self.waits) > self.rounds:
            raise asyncio.CancelledError
        self.clock.advance(1000)
        await asyncio.sleep(0)

    async def load(self) -> None:
        self.loads += 1

    async def watch(self, rounds: int) -> None:
        self.rounds = len(self.waits) + rounds
        with pytest.raises(asyncio.CancelledError):
            await self.stores.watch()


async def test_stores_that_answer_are_loaded_at_once(clock: Clock) -> None:
    rig = Rig(clock, Fake(clock), Fake(clock))
    before = rig.stores.loaded
    await rig.stores.load(rig.load)
    assert (before, rig.stores.loaded) == (False, True)
    assert (rig.loads, rig.waits, rig.stores.missing) == (1, [], {})


async def test_a_store_that_is_away_is_waited_for_and_nothing_is_loaded_before(
    clock: Clock,
) -> None:
    start = clock()
    rig = Rig(clock, Fake(clock, *[AWAY] * 30, WELL), Fake(clock))
    await rig.stores.load(rig.load)
    assert rig.missing_then == [{"people": start, "redis registry": start}] * 30
    assert rig.loads == 1
    assert len(set(rig.waits)) == 30
    assert max(rig.waits) <= LAST_WAIT_S
    assert rig.stores.missing == {}


async def test_what_goes_away_while_it_is_loaded_is_waited_for_too(
    clock: Clock,
) -> None:
    rig = Rig(clock, Fake(clock), Fake(clock))

    async def load() -> None:
        await rig.load()
        if rig.loads < 3:
            raise AWAY

    await rig.stores.load(load)
    assert rig.loads == 3
    assert [missing.keys() for missing in rig.missing_then] == [{"people"}] * 2


async def test_a_server_with_wrong_settings_is_refused_while_the_other_is_away(
    clock: Clock,
) -> None:
    hung = Fake(clock)
    hung.hangs = True
    for registry, locations in ((hung, Fake(clock, WRONG)), (Fake(clock, WRONG), hung)):
        rig = Rig(clock, registry, locations)
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(rig.stores.load(rig.load), 5)
        assert caught.value.exceptions == (WRONG,)
        assert rig.loads == 0


async def test_it_is_said_once_that_a_store_is_away_and_once_that_it_is_back(
    clock: Clock,
) -> None:
    rig = Rig(clock, Fake(clock, *[AWAY] * 5, WELL), Fake(clock))
    with capture_logs() as said:
        await rig.stores.load(rig.load)
    assert said == [
        {
            "event": "store away",
            "role": "registry",
            "error": "does not answer",
            "log_level": "warning",
        },
        {"event": "store back", "role": "registry", "log_level": "info"},
    ]


async def test_since_when_the_registry_is_away_is_told(clock: Clock) -> None:
    # Asked once to check it and once whether it has read its file.
    rig = Rig(clock, Fake(clock, WELL, WELL, WELL, AWAY, AWAY, WELL), Fake(clock))
    await rig.stores.load(rig.load)
    start = clock()
    await rig.watch(4)
    away = {"redis registry": start + 2000}
    assert rig.missing_then == [{}, {}, away, away, {}]


async def test_a_registry_that_hangs_does_not_hold_up_a_look_at_the_clock(
    clock: Clock,
) -> None:
    registry, locations = Fake(clock), Fake(clock)
    rig = Rig(clock, registry, locations)
    await rig.stores.load(rig.load)
    registry.hangs = True
    locations.ahead_ms = -APART_MS - 1
    watching = asyncio.create_task(rig.stores.watch())
    while not rig.stores.missing:  # noqa: ASYNC110 - some turns of the loop
        await asyncio.sleep(0)
    watching.cancel()


@pytest.mark.parametrize(
    ("ahead_ms", "words"),
    [
        (-121_000, "121 s behind ours"),
        (121_000, "121 s ahead of ours"),
        (APART_MS, None),
        (-APART_MS, None),
    ],
)
async def test_a_clock_far_from_ours_is_missing_by_how_much_and_since_when(
    clock: Clock, ahead_ms: int, words: str | None
) -> None:
    locations = Fake(clock)
    locations.ahead_ms = ahead_ms
    rig = Rig(clock, Fake(clock), locations)
    start = clock()
    with capture_logs() as said:
        await rig.stores.load(rig.load)
    told = [(line["event"], line["error"]) for line in said]
    assert told == ([] if words is None else [("clocks apart", words)])
    await rig.watch(2)
    expected = {} if words is None else {f"redis locations clock: {words}": start}
    assert rig.missing_then == [expected] * 3
    locations.ahead_ms = 0
    await rig.watch(1)
    assert rig.stores.missing == {}


async def test_a_slow_answer_is_no_difference_of_clocks(clock: Clock) -> None:
    locations = Fake(clock)
    locations.takes_ms = 10 * APART_MS
    rig = Rig(clock, Fake(clock), locations)
    await rig.stores.load(rig.load)
    await rig.watch(1)
    assert rig.stores.missing == {}


@pytest.mark.integration
async def test_the_clock_of_a_real_server_is_compared_with_ours(
    redis_locations: HasUrl, server_clock: Callable[[], int]
) -> None:
    locations = Locations(redis_locations.url)
    ours = server_clock() + 299_999
    stores = Stores(locations, locations, lambda: ours)

    async def load() -> None: ...

    await stores.load(load)
    ((name, since_ms),) = stores.missing.items()
    assert name.startswith(("redis locations clock: 29", "redis locations clock: 300"))
    assert name.endswith(" s behind ours")
    assert since_ms == ours
    await locations.close()
