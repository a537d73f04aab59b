"""What an earlier process left in the stores, taken up again at the start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from engine.errors import StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.model import Moves
    from engine.people import People
    from engine.store.locations import Locations
    from engine.tenant import Tenant

log = structlog.get_logger(__name__)

RETRY_S = 1.0
PLACES = 1_000
"""Places asked for in one call."""


class Recovery:
    """Takes up who shares, what sensors said last, and who was about to have returned.

    Args:
        tenants: Where it goes.
        people: Who shares.
        locations: The store.
        settle_s: How long a return is only claimed: see `presence`.
        clock_ms: The clock.
    """

    def __init__(
        self,
        tenants: Mapping[str, Tenant],
        *,
        people: People,
        locations: Locations,
        settle_s: float,
        clock_ms: Callable[[], int],
    ) -> None:
        self._tenants = tenants
        self._people = people
        self._locations = locations
        self._settle_s = settle_s
        self._clock_ms = clock_ms
        self._claimed: dict[str, Moves] = {}

    async def load(self) -> None:
        """Take up everything, before any message; may be repeated.

        Raises:
            StoreAway: A store does not answer.
        """
        for name, tenant in self._tenants.items():
            if len(tenant.consent):  # an earlier try got as far as here
                await self._locations.seed(name, list(tenant.consent))
            else:
                await self._people.load(name)
            stored = await self._locations.load_channels(name)
            rows = tenant.restore(stored)
            self._claimed[name] = await self._claims(name, tenant)
            log.info("tenant loaded", tenant=name, number=rows)

    async def run(self) -> None:
        """Believe the returns in their time, unless something newer came; then end."""
        await asyncio.sleep(self._settle_s)
        while self._claimed:
            name, moves = next(iter(self._claimed.items()))
            try:
                await self._locations.commit(name, moves)
            except StoreAway:
                await asyncio.sleep(RETRY_S)
            else:
                del self._claimed[name]

    async def _claims(self, name: str, tenant: Tenant) -> Moves:
        subjects = list(tenant.consent)
        places = {}
        for start in range(0, len(subjects), PLACES):
            some = subjects[start : start + PLACES]
            found = await self._locations.find(name, some, self._clock_ms())
            pairs = zip(some, found, strict=True)
            places.update({one: place for one, place in pairs if place is not None})
        return tenant.claimed(places)
