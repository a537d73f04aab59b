"""The whole API over fakes: two tenants with equal ids, and a client to ask them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from litestar.testing import TestClient

from engine.codec import encode
from engine.errors import ConfigError, NotFound, StoreAway
from engine.ingest.verify import Terms, verifier
from engine.metrics import Metrics
from engine.model import Location, Person, Snapshot, State
from engine.ops import Operations
from engine.privacy.consent import Consent
from engine.query.access import Access, may_scrape
from engine.query.colleagues import Search
from engine.query.demo import Demo, DemoClock, DemoPerson, TokenOffice
from engine.query.directory import Directory
from engine.query.http import create_app
from engine.query.ingest import Ingest, Webhook
from engine.query.levels import Levels
from engine.query.live import LiveEvents
from engine.query.me import Me
from engine.query.page import Page
from engine.query.sources import SourceList, Sources
from engine.query.spaces import Spaces
from engine.query.view import Views
from tests.building import small_plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from litestar import Litestar
    from litestar.types import ASGIApp, Receive, Scope, Send

    from engine.space import Plan
    from tests.conftest import Clock

PLAN = small_plan()
NEAR = ("127.0.0.1", 50_000)
FAR = ("192.0.2.7", 50_000)
SECRETS = {"acme": b"secret-of-acme-wifi", "globex": b"secret-of-globex-wifi"}
WEBHOOKS = [
    Webhook(tenant, "wifi", verifier("secret", Terms(secret)), max_bytes=1 << 20)
    for tenant, secret in SECRETS.items()
]


class Row:
    """One space of a view."""

    def __init__(self, snapshot: Snapshot, row: int) -> None:
        self.state = int(snapshot.state[row])
        self.count = int(snapshot.count[row])
        self.confidence = int(snapshot.confidence[row])
        self.since_ms = int(snapshot.since_ms[row])


class FakeView:
    """A tenant's floor in which one state was set by hand."""

    def __init__(self, epoch: str) -> None:
        self.plan: Plan = PLAN
        self.epoch = epoch
        self.offset = 17
        self.state_by_space: dict[str, tuple[State, int, int]] = {}
        """State, count and age in seconds, by space."""

    def snapshot(self, level: str, now_ms: int) -> Snapshot:
        placed = self.plan.levels[level]
        return self._columns(level, placed.start, placed.stop, now_ms)

    def space(self, index: int, now_ms: int) -> Row:
        return Row(self._columns("", index, index + 1, now_ms), 0)

    def _columns(self, level: str, start: int, stop: int, now_ms: int) -> Snapshot:
        size = stop - start
        snapshot = Snapshot(
            level=level,
            plan=self.plan.version,
            epoch=self.epoch,
            offset=self.offset,
            at_ms=now_ms,
            state=np.zeros(size, np.uint8),
            count=np.full(size, -1, np.int32),
            confidence=np.zeros(size, np.uint8),
            since_ms=np.zeros(size, np.int64),
        )
        for space, (state, count, age_s) in self.state_by_space.items():
            row = self.plan.space_by_id[space] - start
            if 0 <= row < size:
                snapshot.state[row] = state
                snapshot.count[row] = count
                snapshot.confidence[row] = 90
                snapshot.since_ms[row] = now_ms - 1000 * age_s
        return snapshot


class FakeFinder:
    """Locations by tenant and subject; remembers what it was asked."""

    def __init__(self) -> None:
        self.location: dict[tuple[str, str], Location] = {}
        self.asked: list[tuple[str, str]] = []
        self.away = False

    async def find(self, tenant: str, subject: str) -> Location | None:
        self.asked.append((tenant, subject))
        if self.away:
            raise StoreAway("redis://10.0.0.1 does not answer")
        return self.location.get((tenant, subject))


class Roll:
    """Who shares in one tenant, and the directory of them."""

    def __init__(self) -> None:
        self.consent = Consent()
        self.directory = Directory(self.consent)

    def add(self, person: Person) -> None:
        self.directory.add(self.consent.grant(person))

    def remove(self, person: Person) -> None:
        subject = self.consent.subject_of(person.subject)
        if subject is not None:
            self.directory.remove(subject)
            self.consent.withdraw(person)


class FakeConsent:
    """Who shares, by tenant and login; keeps the directory in step."""

    def __init__(self, rolls: dict[str, Roll], clock: Clock) -> None:
        self._rolls = rolls
        self._clock = clock
        self.person: dict[tuple[str, str], Person] = {}
        self.away = False
        self._grants = 0

    async def opt_in(
        self, tenant: str, login: str, name: str, devices: tuple[str, ...] | None
    ) -> Person:
        if self.away:
            raise StoreAway("redis://10.0.0.1 does not answer")
        known = self.person.get((tenant, login))
        if devices is None:
            devices = () if known is None else known.devices
        self._grants += 1
        subject = f"s-{self._grants}" if known is None else known.subject
        person = Person(subject, login, name, devices, self._clock())
        self.person[tenant, login] = person
        if known is not None:
            self._rolls[tenant].remove(known)
        self._rolls[tenant].add(person)
        return person

    async def opt_out(self, tenant: str, login: str) -> None:
        if self.away:
            raise StoreAway("redis://10.0.0.1 does not answer")
        person = self.person.pop((tenant, login), None)
        if person is not None:
            self._rolls[tenant].remove(person)

    async def state(self, tenant: str, login: str) -> Person | None:
        if self.away:
            raise StoreAway("redis://10.0.0.1 does not answer")
        return self.person.get((tenant, login))


class FakeIntake:
    """Takes everything, unless it is told to raise."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, bytes, str]] = []
        self.counted: list[tuple[str, str, str]] = []
        self.error: Exception | None = None
        self.unsafe: Exception | None = None

    def take(self, source: str, tenant: str, body: bytes, topic: str) -> None:
        if self.error is not None:
            raise self.error
        self.taken.append((source, tenant, body, topic))

    async def safe(self) -> None:
        if self.unsafe is not None:
            raise self.unsafe

    def repeated(self, source: str, tenant: str) -> None:
        self.counted.append((source, tenant, "duplicate"))

    def unrouted(self) -> None:
        self.counted.append(("", "", "unrouted"))

    def refused(self, source: str, tenant: str, reason: str) -> None:
        self.counted.append((source, tenant, reason))


class FakeCast:
    """Two simulated people."""

    def people(self) -> Sequence[DemoPerson]:
        return [
            DemoPerson("p-0001", "Ada Lovelace", sharing=True),
            DemoPerson("p-0002", "Grace Hopper", sharing=False),
        ]

    def name(self, person: str) -> str | None:
        return {one.id: one.name for one in self.people()}.get(person)


@dataclass
class Api:
    """The application and everything it stands on."""

    clock: Clock
    views: dict[str, FakeView] = field(init=False)
    rolls: dict[str, Roll] = field(init=False)
    finder: FakeFinder = field(default_factory=FakeFinder)
    webhooks: list[Webhook] = field(default_factory=lambda: list(WEBHOOKS))
    intake: FakeIntake = field(default_factory=FakeIntake)
    missing: dict[str, int] = field(default_factory=dict)
    loaded: bool = True
    listed: SourceList = field(default_factory=lambda: SourceList([], []))
    operator_secret: bytes | None = None
    reloads: int = 0
    misfit: str = ""
    followed: list[tuple[str, str, str | None, float | None]] = field(
        default_factory=list
    )

    def __post_init__(self) -> None:
        self.views = {"acme": FakeView("aaaa"), "globex": FakeView("bbbb")}
        self.rolls = {"acme": Roll(), "globex": Roll()}
        self.consent = FakeConsent(self.rolls, self.clock)
        self.offices = {
            tenant: TokenOffice(tenant=tenant, now_ms=self.clock)
            for tenant in self.views
        }
        self.metrics = Metrics(version="1.2.3")

    def app(self, tenant: str = "acme", *, demo: bool = False) -> Litestar:
        """Return the API that takes a tenant's tokens; a demo also has its routes."""
        office = self.offices[tenant]
        access = Access(
            office.authenticator,
            open_tenant=tenant if demo else None,
            loaded=lambda: self.loaded,
        )
        views = Views(self.views)
        nouns: list[Any] = [
            Levels(access=access, views=views, encode=encode, clock_ms=self.clock),
            LiveEvents(access=access, stream=self.stream, clock_ms=self.clock),
            Spaces(access=access, views=views, clock_ms=self.clock),
            Search(
                access=access,
                views=views,
                people_by_tenant={
                    name: roll.directory for name, roll in self.rolls.items()
                },
                finder=self.finder,
                now_ms=self.clock,
            ),
            Me(access=access, consent=self.consent),
            Ingest(
                webhooks=self.webhooks,
                intake=self.intake,
                clock_ms=self.clock,
            ),
            Page(None),
        ]
        if demo:
            demo_clock = DemoClock("Tuesday", 34_860.0, 60.0)
            nouns.append(Demo(cast=FakeCast(), office=office, clock=lambda: demo_clock))
        nouns.append(
            Sources(
                listed=lambda: self.listed,
                reload=self.reload,
                may_see=partial(may_scrape, secret=self.operator_secret),
            )
        )
        nouns.append(
            Operations(
                missing=lambda: self.missing,
                metrics=Metrics(version="1.2.3"),
                version="1.2.3",
                clock_ms=self.clock,
            )
        )
        return create_app(nouns, version="1.2.3")

    def client(
        self,
        tenant: str = "acme",
        login: str | None = "ada",
        *,
        demo: bool = False,
        peer: tuple[str, int] = FAR,
    ) -> TestClient[ASGIApp]:
        """Return a client signed in as `login`, or not at all."""
        client: TestClient[ASGIApp] = TestClient(
            _From(peer, self.app(tenant, demo=demo)), base_url="http://127.0.0.1:8080"
        )
        if login is not None:
            token = self.offices[tenant].issue(login, f"{login.title()} Example").token
            client.headers["authorization"] = f"Bearer {token}"
        return client

    async def reload(self) -> None:
        """Read tables anew, or find what does not fit."""
        self.reloads += 1
        if self.misfit:
            raise ConfigError(self.misfit)

    def share(self, tenant: str, subject: str, name: str) -> None:
        """Let somebody share."""
        self.rolls[tenant].add(Person(subject, subject, name, (), self.clock()))

    def locate(
        self, tenant: str, subject: str, space: str, age_s: int = 60, percent: int = 80
    ) -> None:
        """Put somebody into a space."""
        observed_at_ms = self.clock() - 1000 * age_s
        self.finder.location[tenant, subject] = Location(space, observed_at_ms, percent)

    def stream(
        self,
        tenant: str,
        level: str,
        last_event_id: str | None = None,
        *,
        expires_in_s: float | None = None,
    ) -> AsyncIterator[bytes]:
        """A stream of two events, which ends by itself."""
        if level not in PLAN.levels:
            raise NotFound("there is nothing here that you may see")
        self.followed.append((tenant, level, last_event_id, expires_in_s))
        return _events()


class _From:
    """The application as a peer of this address meets it."""

    def __init__(self, peer: tuple[str, int], app: ASGIApp) -> None:
        self._peer = peer
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "client" in scope:
            scope["client"] = self._peer
        await self._app(scope, receive, send)


async def _events() -> AsyncIterator[bytes]:
    yield b"event: snapshot\nid: aaaa:17\ndata: {}\n\n"
    yield b"event: delta\nid: aaaa:18\ndata: {}\n\n"
