"""What the pipeline left → Redis, one call at a time; then, and only then, receipts.

While one call is under way, further batches gather: the newest move of
each subject, the changed channels. So what waits is bounded by people and channels, not
by time, and the slower Redis is, the more each call carries.
"""

from __future__ import annotations

import asyncio
import random
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import numpy as np
import structlog

from engine.errors import StoreAway
from engine.store.locations import Unseeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engine.metrics import Metrics
    from engine.model import Moves
    from engine.store.locations import Locations
    from engine.tenant import Tenant

log = structlog.get_logger(__name__)

BATCH = 2_000
"""Moves in one call: a script holds the server for some milliseconds at most."""
CHANNELS = 5_000
"""Channel rows in one call."""
SPACING_S = 0.005
"""From the start of a call to the start of the next: what comes first goes at once, and
under load a call carries more, since each costs a fifth of a millisecond by itself."""
FIRST_WAIT_S, LAST_WAIT_S = 0.05, 2.0
"""Back-off while Redis is away, doubled each time, with jitter."""


class Receipt(Protocol):
    """What a link gives with a batch: to be called when its effect is durable."""

    def done(self) -> None:
        """Acknowledge."""


class Committer:
    """Commits what waits of all tenants. One task runs it.

    Attributes:
        away_since_ms: Since when Redis has not answered; None while it does.
        written: Moves that Redis took.
        refused: Moves that it did not take, for want of consent.
    """

    def __init__(
        self,
        tenants: Iterable[Tenant],
        locations: Locations,
        *,
        clock_ms: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._tenants = list(tenants)
        self._locations = locations
        self._clock_ms = clock_ms
        self._timed = metrics.timed
        self._batch_size = metrics.histogram("engine_redis_batch_size").observe
        role = "locations"
        self._call_s = metrics.histogram("engine_redis_call_seconds", role=role).observe
        self._receipts: list[Receipt] = []
        self._waiters: set[_Waiter] = set()
        self._wake = asyncio.Event()
        self._all = False
        self.away_since_ms: int | None = None
        self.written = 0
        self.refused = 0

    def add(self, receipt: Receipt) -> None:
        """Commit what the tenants hold now; then give the receipt back."""
        self._receipts.append(receipt)
        self._wake.set()

    def visit(self) -> None:
        """Call for every tenant, also where nothing waits: is the server still seeded?

        To be called every second or so: a server that came back empty on a quiet site
        would know nobody until somebody moves.
        """
        self._all = True
        self._wake.set()

    async def flush(self) -> None:
        """Return when what the tenants hold now is in Redis."""
        waiter = _Waiter()
        self._waiters.add(waiter)
        self._wake.set()
        try:
            await waiter.future
        finally:
            self._waiters.discard(waiter)

    async def run(self) -> None:
        """Commit for ever.

        When it is cancelled, open receipts stay unacknowledged: the broker sends those
        messages again.
        """
        wait_s = FIRST_WAIT_S
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            await self._wake.wait()
            await asyncio.sleep(max(0, due - clock()))
            due = clock() + SPACING_S
            self._wake.clear()
            receipts, self._receipts = self._receipts, []
            waiters = tuple(self._waiters)
            try:
                await self._round()
            except StoreAway:
                self._receipts = receipts + self._receipts
                if self.away_since_ms is None:
                    self.away_since_ms = self._clock_ms()
                    log.warning("store away", role="locations")
                await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
                wait_s = min(2 * wait_s, LAST_WAIT_S)
                self._wake.set()
                continue
            if self.away_since_ms is not None:
                self.away_since_ms = None
                wait_s = FIRST_WAIT_S
                log.info("store back", role="locations")
            for receipt in (*receipts, *waiters):
                receipt.done()

    async def _round(self) -> None:
        """Write what waits now, and make one call at least.

        So a batch about nobody who opted in takes as long, and fails as often, as any
        other: its sender must not learn from the answer whom it was about.
        """
        everything, self._all = self._all, False
        due = [
            tenant
            for tenant in self._tenants
            if everything or tenant.dirty or tenant.unbound or tenant.presence.waiting
        ]
        try:
            for tenant in due or self._tenants[:1]:
                await self._commit(tenant)
        except StoreAway:
            self._all |= everything
            raise

    async def _seed(self, tenant: Tenant) -> None:
        """Tell a server that came back empty who shares, and all that we know.

        Raises:
            ConfigError: It came back with settings that cannot be used.
            StoreAway: It went away again.
        """
        await self._locations.check()
        tenant.presence.tell_all()
        tenant.dirty.update(range(len(tenant.channels)))
        await self._locations.seed(tenant.id, list(tenant.consent))

    async def _commit(self, tenant: Tenant) -> None:
        """Write what the tenant holds now, in calls that do not hold Redis for long."""
        await self._drop(tenant)
        parts = max(
            -(-tenant.presence.waiting // BATCH), -(-len(tenant.dirty) // CHANNELS)
        )
        for _ in range(max(parts, 1)):
            moves = tenant.presence.take(BATCH)
            # This very set: the tenant has another one once its channels are others.
            dirty = tenant.dirty
            channels = list(islice(dirty, CHANNELS))
            dirty.difference_update(channels)
            try:
                await self._write(tenant, moves, channels)
            except StoreAway as away:
                dirty.update(channels)
                # Who withdrew meanwhile is gone.
                subjects = map(tenant.consent.subject_of, moves.subject)
                tenant.presence.give_back(s for s in subjects if s is not None)
                if not isinstance(away, Unseeded):
                    raise
                await self._seed(tenant)
                await self._commit(tenant)
                return

    async def _drop(self, tenant: Tenant) -> None:
        """Drop the rows of channels that are no longer bound.

        Here, where no other write is under way that might bring them back.
        """
        names = list(islice(tenant.unbound, CHANNELS))
        if names:
            await self._locations.drop_channels(tenant.id, names)
            # One may have been bound again meanwhile, and is written again then.
            tenant.unbound.difference_update(names)

    async def _write(
        self, tenant: Tenant, moves: Moves, channels: Sequence[int]
    ) -> None:
        start = perf_counter()
        rows = tenant.occupancy.export(np.array(channels, np.int32))
        keys = tenant.channels.keys(channels)
        written = await self._locations.commit(tenant.id, moves, keys, rows)
        seconds = perf_counter() - start
        self._timed("commit", seconds)
        self._call_s(seconds)
        self._batch_size(len(moves.subject) + len(channels))
        self.written += written.written
        self.refused += written.refused


class _Waiter:
    """A receipt that wakes a coroutine."""

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(self) -> None:
        """Wake it, unless it has given up."""
        if not self.future.done():
            self.future.set_result(None)
