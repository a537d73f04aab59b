"""The composition root: builds every part once, owns start, stop and the one loop."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, cast

import structlog

from engine import codec, gauges, inventory, web
from engine.committer import Committer
from engine.config import secret
from engine.errors import InputError, StoreAway, Unauthorized
from engine.hints import Hints
from engine.ingest.mqtt import Link
from engine.ingest.pull import Pull
from engine.metrics import Metrics
from engine.model import Outcome
from engine.ops import Operations
from engine.people import People
from engine.pipeline import Pipeline
from engine.privacy.disclosure import Disclosure
from engine.publish import sse
from engine.publish.http import HttpLimits
from engine.publish.hub import Hub
from engine.publish.live import Grant, Live, LiveLimits
from engine.publish.server import serve
from engine.query.access import Access, is_from_here, may_scrape
from engine.query.colleagues import Search
from engine.query.directory import Directory
from engine.query.http import create_app
from engine.query.ingest import Ingest
from engine.query.levels import Levels
from engine.query.live import LiveEvents
from engine.query.me import Me
from engine.query.page import Page
from engine.query.sources import Sources
from engine.query.spaces import Spaces
from engine.query.view import Views
from engine.recovery import Recovery
from engine.reload import Reload
from engine.site import authenticator, build, redis_address
from engine.source import Route
from engine.store.locations import Locations
from engine.store.lookups import Lookups
from engine.store.registry import Registry
from engine.stores import Stores

if TYPE_CHECKING:
    from collections.abc import (
        Awaitable,
        Callable,
        Coroutine,
        Iterator,
        Mapping,
        Sequence,
    )

    from uvicorn._types import ASGIApplication

    from engine.config import Config
    from engine.ingest.mqtt import Message, Receipt
    from engine.query.auth import Authenticator
    from engine.query.http import Routes
    from engine.source import Routed

log = structlog.get_logger(__name__)

VERSION = version("livefloor")
GC_YOUNG = 10_000
"""Objects of a batch or two: the collector's usual 700 is less than one chunk makes."""
KEEP_S = 1.0
"""How often presence is looked after."""
EXPIRE_BEATS = 60
"""Of these, every how many also end what is too old, and tell what was refused."""
COMMIT_S = 5.0
"""How long a webhook waits for its effect to be safe."""


def now_ms() -> int:
    """Return our clock: UTC, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoParts:
    """What `livefloor demo` adds.

    Attributes:
        tenant: Whose anonymous occupancy anyone on this machine may see.
        authenticator: Checks the tokens that the demo issues itself.
        routes: Makes the routes of its sign-in.
    """

    tenant: str
    authenticator: Authenticator
    routes: Callable[[People], Routes]


class _Posted(NamedTuple):
    """The body of a webhook, as the pipeline takes messages."""

    payload: bytes
    topic: str = ""
    retain: bool = False


class Engine:
    """Every part of one process.

    Attributes:
        people: Who shares, and what they may change.
        site: What the configuration describes.
        port: Where it listens, once it runs.
    """

    def __init__(self, config: Config, demo: DemoParts | None = None) -> None:
        """Build the parts; opens no socket.

        Raises:
            ConfigError: A file that the configuration names does not fit.
        """
        self.port = 0
        self._config = config
        self._metrics_secret = secret(config.server.metrics_secret_file, None)
        self._demo = demo
        self.site = site = build(config)
        self._reload = Reload(config, site, now_ms)
        self._metrics = Metrics(version=VERSION)
        self._pipeline = Pipeline(self._metrics.timed)
        self._retention_ms = round(3_600_000 * config.privacy.retention_h)
        redis = config.redis
        self._locations = Locations(
            redis_address(redis.locations, redis), retention_ms=self._retention_ms
        )
        self._registry = Registry(redis_address(redis.registry, redis))
        self._stores = Stores(self._registry, self._locations, now_ms)
        self._committer = Committer(
            site.tenants.values(),
            self._locations,
            clock_ms=now_ms,
            metrics=self._metrics,
        )
        self._directories = {
            name: Directory(tenant.consent) for name, tenant in site.tenants.items()
        }
        self.people = People(
            tenants=site.tenants,
            directories=self._directories,
            registry=self._registry,
            locations=self._locations,
            lookups=Lookups(self._locations, now_ms),
            clock_ms=now_ms,
        )
        self._recovery = Recovery(
            site.tenants,
            people=self.people,
            locations=self._locations,
            settle_s=config.presence.settle_s,
            clock_ms=now_ms,
        )
        self._views = {
            name: Disclosure(tenant.plan, tenant.occupancy)
            for name, tenant in site.tenants.items()
        }
        self._hub = Hub(
            self._views,
            encode=codec.encode,
            now_ms=now_ms,
            max_subscribers=config.publish.subscribers,
        )
        self._authenticator = (
            demo.authenticator if demo else authenticator(config, now_ms)
        )
        protocol = {broker.name: broker.protocol for broker in config.brokers}
        self._links = [
            Link(
                name=name,
                terms=terms,
                sink=partial(self._sink, site.routes[name].sort),
                protocol=protocol[name],
            )
            for name, terms in site.terms.items()
        ]
        self._pulls = [
            Pull(
                name=name,
                terms=terms,
                sink=partial(self._sink, route.all),
                clock_ms=now_ms,
            )
            for name, (terms, route) in site.pulls.items()
        ]
        self._link_by_name: dict[str, Link | Pull] = {
            **{f"broker {link.name}": link for link in self._links},
            **{f"pull {pull.name}": pull for pull in self._pulls},
        }
        sources = site.sources.items()
        self._unrouted = 0
        self._hints = Hints({name: source.tally for name, source in sources})
        self._unready_ms = dict.fromkeys(self._link_by_name, now_ms())
        self._live = Live(
            hub=self._hub,
            authorise=self._authorise,
            now_ms=now_ms,
            server=f"livefloor/{VERSION}",
            tick_ms=config.publish.tick_ms,
            heartbeat_s=config.publish.heartbeat_s,
            origins=frozenset(config.server.origins),
            limits=LiveLimits(stalled_s=config.publish.stall_s),
        )
        self._app = create_app(self._nouns(), version=VERSION)
        self._tick_s = self._metrics.histogram("engine_tick_seconds").observe
        gauges.register_intake(self._metrics, site, self._links, self._pulls)
        self._metrics.register("engine_unrouted_posts_total", lambda: self._unrouted)
        gauges.register_stores(self._metrics, self._committer, self.people)
        gauges.register_publish(self._metrics, self._hub, self._live)

    async def run(self, on_ready: Callable[[], Awaitable[None]]) -> None:
        """Run until cancelled.

        HTTP answers from the start; until both stores do, every space is unknown and
        nothing is answered about people. No link runs, and no webhook is taken, before
        the gate knows who shares: what they bring about people would end there.

        Args:
            on_ready: Awaited once everything is loaded.

        Raises:
            ConfigError: A store or an address cannot be used as it is.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._locations.close)
            stack.push_async_callback(self._registry.close)
            self._remark()
            server = self._config.server
            listener = await stack.enter_async_context(
                serve(
                    cast("ASGIApplication", self._app),
                    live=self._live,
                    host=server.host,
                    port=server.port,
                    limits=HttpLimits(connections=server.connections),
                )
            )
            self.port = listener.port
            gauges.register_listener(self._metrics, listener)
            await self._stores.load(self._recovery.load)
            self._tick()
            # What is here now stays for good: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(GC_YOUNG, 20, 20)
            async with asyncio.TaskGroup() as tasks:
                for name, task in self._tasks():
                    tasks.create_task(task, name=f"engine.{name}")
                await on_ready()

    def _tasks(self) -> Iterator[tuple[str, Coroutine[None, None, None]]]:
        yield "committer", self._committer.run()
        yield "people", self.people.run()
        yield "ticker", self._ticker()
        yield "keeper", self._keeper()
        yield "stores", self._stores.watch()
        yield "recovery", self._recovery.run()
        yield "reload", self._reload.run()
        for link in self._link_by_name.values():
            yield f"link.{link.name}", link.run()

    def _remark(self) -> None:
        if self.site.remarks:
            number = len(self.site.remarks)
            log.warning("plans or tables in doubt: see livefloor check", number=number)

    def _sink(
        self,
        sort: Callable[[Sequence[Message]], Routed],
        messages: Sequence[Message],
        receipt: Receipt,
    ) -> None:
        self._pipeline.run(sort(messages), now_ms())
        self._committer.add(receipt)

    def take(self, source: str, tenant: str, body: bytes, topic: str) -> None:
        """Let the pipeline take in what a webhook source posted.

        Raises:
            InputError: Refused, and counted.
            StoreAway: It is not known yet who shares.
        """
        if not self._stores.loaded:
            raise StoreAway("the engine still waits for a store; send it again")
        route = Route(self.site.sources[tenant, source])
        reason = self._pipeline.run({route: [_Posted(body, topic)]}, now_ms())
        if reason is not None:
            refusal = next(r for r in InputError.__subclasses__() if r.reason == reason)
            raise refusal("the body does not fit the format of this source")

    async def safe(self) -> None:
        """Return when the effect of all that was taken in is safe.

        Raises:
            StoreAway: Redis is away; the sender should try again.
        """
        try:
            async with asyncio.timeout(COMMIT_S):
                await self._committer.flush()
        except TimeoutError:
            raise StoreAway("the store does not answer; send it again") from None

    def repeated(self, source: str, tenant: str) -> None:
        """Count what a webhook source posted again."""
        self.site.sources[tenant, source].tally.add(Outcome.DUPLICATE)

    def unrouted(self) -> None:
        """Count what was posted for a source that there is not."""
        self._unrouted += 1

    def refused(self, source: str, tenant: str, reason: str) -> None:
        """Count a request of a webhook source that the pipeline has not seen."""
        tally = self.site.sources[tenant, source].tally
        tally.by_outcome[Outcome.INVALID] += 1
        tally.by_reason[reason] = tally.by_reason.get(reason, 0) + 1

    async def _ticker(self) -> None:
        """Publish what changed, at a steady pace; a tick that is missed is skipped."""
        loop = asyncio.get_running_loop()
        period_s = self._config.publish.tick_ms / 1000
        due = loop.time()
        while True:
            due = max(due + period_s, loop.time())
            await asyncio.sleep(due - loop.time())
            self._tick()

    def _tick(self) -> None:
        start = perf_counter()
        at_ms = now_ms()
        for name, tenant in self.site.tenants.items():
            changed = tenant.occupancy.tick(at_ms)
            deltas = self._views[name].publish(changed, at_ms)
            published = perf_counter()
            self._hub.publish(name, deltas)
            self._metrics.timed("publish", perf_counter() - published)
        self._tick_s(perf_counter() - start)

    async def _keeper(self) -> None:
        """Confirm returns, reset balances each second; each minute expire, and hint."""
        beat = 0
        while True:
            await asyncio.sleep(KEEP_S)
            beat += 1
            for tenant in self.site.tenants.values():
                tenant.confirm(now_ms())
                if beat % EXPIRE_BEATS == 0:
                    tenant.expire(now_ms())
            if beat % EXPIRE_BEATS == 0:
                self._hints.look(time.monotonic())
            self._committer.visit()
            self._watch()

    def _watch(self) -> None:
        """Note since when each link has not been ready."""
        for name, link in self._link_by_name.items():
            if link.ready:
                self._unready_ms.pop(name, None)
            else:
                self._unready_ms.setdefault(name, now_ms())

    def _missing(self) -> dict[str, int]:
        """Return what does not answer, and since when."""
        self._watch()
        missing = self._unready_ms | self._stores.missing
        if self._committer.away_since_ms is not None:
            missing["redis locations"] = self._committer.away_since_ms
        if self.people.unsettled_since_ms is not None:
            missing["consent changes"] = self.people.unsettled_since_ms
        return missing

    def _authorise(
        self, token: str | None, address: str | None, headers: Mapping[str, str]
    ) -> Grant | None:
        """Return what a live socket may see: by its token, or as the demo's guest."""
        if token is None:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                if self._demo is None:
                    return None
                here = is_from_here(address, headers.get("host", ""))
                return Grant(self._demo.tenant, None) if here else None
        try:
            caller = self._authenticator.authenticate(token)
        except Unauthorized:
            return None
        return Grant(caller.tenant, caller.expires_at_ms)

    def _nouns(self) -> list[Routes]:
        """Return every part of the HTTP API."""
        views = Views(self._views)
        access = Access(
            self._authenticator,
            open_tenant=self._demo.tenant if self._demo else None,
            loaded=lambda: self._stores.loaded,
        )
        nouns: list[Routes] = [
            Levels(access=access, views=views, encode=codec.encode, clock_ms=now_ms),
            LiveEvents(
                access=access, stream=partial(sse.stream, self._hub), clock_ms=now_ms
            ),
            Spaces(access=access, views=views, clock_ms=now_ms),
            Search(
                access=access,
                views=views,
                people_by_tenant=self._directories,
                finder=self.people,
                now_ms=now_ms,
                retention_ms=self._retention_ms,
            ),
            Me(access=access, consent=self.people),
            Ingest(webhooks=self.site.webhooks, intake=self, clock_ms=now_ms),
            Sources(
                listed=lambda: inventory.listed(
                    self.site, self._reload.files, now_ms()
                ),
                reload=self._reload.now,
                may_see=partial(may_scrape, secret=self._metrics_secret),
            ),
            Operations(
                missing=self._missing,
                refused=lambda: self._reload.refused,
                metrics=self._metrics,
                version=VERSION,
                clock_ms=now_ms,
                may_scrape=partial(may_scrape, secret=self._metrics_secret),
            ),
            Page(web.DIST if web.DIST.is_dir() else None),
        ]
        if self._demo is not None:
            nouns.append(self._demo.routes(self.people))
        return nouns
