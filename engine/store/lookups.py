"""Look-ups of single locations, gathered: those of one loop turn share one MGET.

A call through redis-py costs about 0.1 ms of the loop, however many keys it asks for.
So whoever asks first waits for the end of the turn and then asks for everybody.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from engine.errors import StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model import Location

MAX_WAITING = 10_000
"""Look-ups that may wait at a time; one more is answered with `StoreAway`."""


class Finder(Protocol):
    """What `Lookups` asks: `Locations`."""

    async def find(
        self, tenant: str, subjects: Sequence[str], now_ms: int
    ) -> list[Location | None]:
        """Return the location of each subject."""


class Lookups:
    """Gathers single look-ups.

    Args:
        locations: Whom to ask.
        clock_ms: Our clock, read when the question is sent.
        max_waiting: Bound on look-ups under way.
    """

    def __init__(
        self,
        locations: Finder,
        clock_ms: Callable[[], int],
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._locations = locations
        self._clock_ms = clock_ms
        self._max_waiting = max_waiting
        self._waiting = 0
        self._open: dict[str, _Batch] = {}

    @property
    def waiting(self) -> int:
        """How many look-ups are under way."""
        return self._waiting

    async def find(self, tenant: str, subject: str) -> Location | None:
        """Return the location of a subject, None if there is none.

        Raises:
            StoreAway: The server does not answer, or too many look-ups are waiting.
        """
        if self._waiting >= self._max_waiting:
            msg = "locations: too many look-ups are waiting"
            raise StoreAway(msg)
        self._waiting += 1
        try:
            while True:
                batch = self._open.get(tenant)
                if batch is None:
                    return await self._ask_for_all(tenant, subject)
                batch.subjects.add(subject)
                await batch.settled.wait()
                if batch.away:
                    msg = "locations: the Redis server does not answer"
                    raise StoreAway(msg)
                if batch.answer is not None:
                    return batch.answer[subject]
                # Whoever asked for all was cancelled: start over.
        finally:
            self._waiting -= 1

    async def _ask_for_all(self, tenant: str, subject: str) -> Location | None:
        batch = self._open[tenant] = _Batch(subject)
        try:
            try:
                await asyncio.sleep(0)  # until everybody of this turn has joined
            finally:
                del self._open[tenant]
            subjects = tuple(batch.subjects)
            places = await self._locations.find(tenant, subjects, self._clock_ms())
            batch.answer = dict(zip(subjects, places, strict=True))
            return batch.answer[subject]
        except StoreAway:
            batch.away = True
            raise
        finally:
            batch.settled.set()


class _Batch:
    """Look-ups that wait for one answer, which may not come."""

    def __init__(self, subject: str) -> None:
        self.subjects = {subject}
        self.settled = asyncio.Event()
        self.answer: dict[str, Location | None] | None = None
        self.away = False
