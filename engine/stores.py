"""Whether the two stores can be used: waited for at the start, asked ever after."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog

from engine.backoff import Backoff
from engine.errors import StoreAway
from engine.store.locations import AHEAD_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger(__name__)

ASK_S = 2.0
"""How often they are asked."""
FIRST_WAIT_S, LAST_WAIT_S = 0.5, 5.0
"""Between two tries at the start."""
APART_MS = AHEAD_MS // 4
"""How far the clock of `locations` may be from ours. Clocks that somebody sets agree
within a second. A server that is behind keeps each location for that much longer than
promised, and at `AHEAD_MS` refuses every move; so it is told long before."""

LOCATIONS, REGISTRY = "redis locations", "redis registry"
CLOCK = "redis locations clock"
PEOPLE = "people"
"""What may be missing, as readiness calls it; `PEOPLE`: who shares."""

_STORE = "store away", "store back"
_CLOCKS = "clocks apart", "clocks agree"
"""What is logged when something is the matter, and when nothing is any more."""


class Store(Protocol):
    """A Redis in one of the two roles."""

    async def check(self) -> None:
        """Refuse a server whose settings do not fit: `ConfigError`, or `StoreAway`."""

    async def ping(self) -> None:
        """Return if it answers; raises `StoreAway` if not."""


class ClockedStore(Store, Protocol):
    """One whose clock matters."""

    async def clock_ms(self) -> int:
        """Return the server's clock; raises `StoreAway`."""


class _Fault(NamedTuple):
    """What is the matter with a part, and since when; no words: not told yet."""

    since_ms: int
    words: str


class Stores:
    """The registry and the store of locations, as far as others depend on them.

    Args:
        registry, locations: The two.
        clock_ms: Our clock.
        backoff: Waits between tries at the start; replaced in tests.
        sleep: Waits; replaced in tests.
    """

    def __init__(
        self,
        registry: Store,
        locations: ClockedStore,
        clock_ms: Callable[[], int],
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._registry = registry
        self._locations = locations
        self._clock_ms = clock_ms
        self._backoff = backoff or Backoff(FIRST_WAIT_S, LAST_WAIT_S, random.Random())  # noqa: S311 - jitter
        self._sleep = sleep
        untold = _Fault(clock_ms(), "")
        self._faults = dict.fromkeys((LOCATIONS, REGISTRY, PEOPLE), untold)

    @property
    def loaded(self) -> bool:
        """Whether it is known who shares."""
        return PEOPLE not in self._faults

    @property
    def missing(self) -> dict[str, int]:
        """What does not answer or fit, and since when; of a clock, by how much.

        Once loaded, the committer knows better whether `locations` answers.
        """
        return {
            f"{name}: {fault.words}" if name == CLOCK else name: fault.since_ms
            for name, fault in self._faults.items()
        }

    async def load(self, load: Callable[[], Awaitable[None]]) -> None:
        """Wait until both can be used, then load what they hold.

        Args:
            load: Does it; called again after a `StoreAway`.

        Raises:
            ConfigError: In a group: a server must be set up differently. Told at once,
                even while the other one is away.
        """
        while True:
            if await self._fit():
                await self._compare_clocks()
                if await self._answers(PEOPLE, load):
                    return
            await self._sleep(self._backoff.next_s())

    async def watch(self) -> None:
        """Ask both, for ever: a task of its own, as one that hangs takes its time."""
        while True:
            await self._sleep(ASK_S)
            await asyncio.gather(
                self._answers(REGISTRY, self._registry.ping), self._compare_clocks()
            )

    async def _fit(self) -> bool:
        """Return whether both answer, with the settings that they need."""
        async with asyncio.TaskGroup() as tasks:
            registry, locations = (
                tasks.create_task(self._answers(name, partial(_try, store)))
                for name, store in (
                    (REGISTRY, self._registry),
                    (LOCATIONS, self._locations),
                )
            )
        return registry.result() and locations.result()

    async def _answers(self, name: str, ask: Callable[[], Awaitable[None]]) -> bool:
        """Ask, and note whether there was an answer."""
        try:
            await ask()
        except StoreAway as away:
            self._note(name, str(away))
            return False
        self._note(name, "")
        return True

    async def _compare_clocks(self) -> None:
        asked_ms = self._clock_ms()
        try:
            theirs_ms = await self._locations.clock_ms()
        except StoreAway:
            return  # noted elsewhere
        # It was read at some time in between: a slow answer is no difference.
        apart_ms = theirs_ms - min(max(theirs_ms, asked_ms), self._clock_ms())
        way = "ahead of" if apart_ms > 0 else "behind"
        words = f"{round(abs(apart_ms) / 1000)} s {way} ours"
        self._note(CLOCK, words if abs(apart_ms) > APART_MS else "")

    def _note(self, name: str, words: str) -> None:
        """Note what is the matter with a part, "" for nothing; log what is news."""
        known = self._faults.pop(name, None)
        role = name.removeprefix("redis ")
        away, back = _CLOCKS if name == CLOCK else _STORE
        if words:
            since_ms = self._clock_ms() if known is None else known.since_ms
            self._faults[name] = _Fault(since_ms, words)
            if known is None or not known.words:
                log.warning(away, role=role, error=words)
        elif known is not None and known.words:
            log.info(back, role=role)


async def _try(store: Store) -> None:
    """Check a store, and that it is done reading what it keeps on disk."""
    await store.check()
    await store.ping()
