"""On a real registry and a real store of locations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
import redis

from engine.committer import Committer
from engine.errors import BadRequest, StoreAway
from engine.ingest.formats import FORMATS
from engine.metrics import Metrics
from engine.model import Identity, Outcome, Person
from engine.people import People
from engine.pipeline import Pipeline
from engine.query.directory import Directory
from engine.source import Route, Source
from engine.space import AccessPoint
from engine.store.locations import Locations
from engine.store.lookups import Lookups
from engine.store.registry import Registry
from engine.tenant import Tenant
from tests.building import small_plan
from tests.moves import Move, singly, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Protocol

    class Server(Protocol):
        @property
        def url(self) -> str: ...

        async def start(self) -> None: ...

        async def stop(self) -> None: ...


pytestmark = pytest.mark.integration

TENANT = "acme"


class Posted(NamedTuple):
    payload: bytes
    topic: str = ""
    retain: bool = False


class Office:
    """The parts that consent goes through, on two servers."""

    def __init__(self, locations: str, registry: str, clock: Callable[[], int]) -> None:
        self.clock = clock
        plan = small_plan()
        self.tenant = Tenant(
            TENANT,
            plan,
            access_points={"ap-1": AccessPoint(plan.space_by_id["hq-1-hopper"], 70)},
            realms={"corp", "corp.tld", "guest"},
        )
        self.directory = Directory(self.tenant.consent)
        self.locations = Locations(locations, timeout_s=2)
        self.registry = Registry(registry, timeout_s=2)
        self.people = People(
            tenants={TENANT: self.tenant},
            directories={TENANT: self.directory},
            registry=self.registry,
            locations=self.locations,
            lookups=Lookups(self.locations, clock),
            clock_ms=clock,
        )
        self.committer = Committer(
            [self.tenant], self.locations, clock_ms=clock, metrics=Metrics(version="0")
        )
        self.source = Source(name="s", tenant=self.tenant, form=FORMATS["livefloor"])

    def admits(self, login: str) -> bool:
        return self.knows(Identity(login=login))

    def knows(self, identity: Identity) -> bool:
        (row,) = self.tenant.consent.admit([identity])
        return row >= 0

    def sees(self, identity: Identity, at_ms: int) -> None:
        """Let somebody join at ap-1, along the whole path."""
        event = {**msgspec.to_builtins(identity), "ap": "ap-1", "at": at_ms}
        message = Posted(msgspec.json.encode(event))
        Pipeline(lambda *_: None).run({Route(self.source): [message]}, at_ms)
        assert self.source.tally.by_outcome[Outcome.APPLIED]

    def move(self, subject: str) -> Move:
        return Move(subject, self.clock(), "hq-1-hopper", 70, "ap-1")

    async def close(self) -> None:
        await self.locations.close()
        await self.registry.close()


@pytest.fixture
async def office(
    redis_locations: Server, redis_registry: Server, server_clock: Callable[[], int]
) -> AsyncIterator[Office]:
    office = Office(redis_locations.url, redis_registry.url, server_clock)
    await office.people.load(TENANT)
    yield office
    await office.close()


async def test_opting_in_reaches_gate_directory_and_store_at_once(
    office: Office,
) -> None:
    person = await office.people.opt_in(TENANT, "CORP\\Ada", "Ada", None)
    assert person.login == "ada"
    assert office.admits("ada")
    assert [p.name for p in office.directory.search("ada")] == ["Ada"]
    await write(office.locations, TENANT, [office.move(person.subject)])
    found = await office.people.find(TENANT, person.subject)
    assert found is not None
    assert found.space == "hq-1-hopper"


async def test_opting_out_erases_and_no_later_write_brings_it_back(
    office: Office,
) -> None:
    person = await office.people.opt_in(TENANT, "ada", "Ada", None)
    await write(office.locations, TENANT, [office.move(person.subject)])
    await office.people.opt_out(TENANT, "Ada")
    assert not office.admits("ada")
    assert office.directory.search("ada") == []
    written = await write(office.locations, TENANT, [office.move(person.subject)])
    assert (written.written, written.refused) == (0, 1)
    found = await office.locations.find(TENANT, [person.subject], office.clock())
    assert found == [None]
    assert await office.registry.people(TENANT) == []


async def test_who_opts_in_again_is_somebody_new(office: Office) -> None:
    first = await office.people.opt_in(TENANT, "ada", "Ada", None)
    await office.people.opt_out(TENANT, "ada")
    second = await office.people.opt_in(TENANT, "ada", "Ada", None)
    assert first.subject != second.subject
    await write(office.locations, TENANT, [office.move(second.subject)])
    assert await office.people.find(TENANT, second.subject) is not None
    assert await office.people.find(TENANT, first.subject) is None


async def test_opting_in_twice_changes_devices_and_keeps_the_subject(
    office: Office,
) -> None:
    first = await office.people.opt_in(TENANT, "ada", "Ada", ("a483e7112233",))
    second = await office.people.opt_in(TENANT, "ada", "Ada", ("a483e7445566",))
    kept = await office.people.opt_in(TENANT, "ada", "Ada", None)
    assert first.subject == second.subject
    assert kept == second
    assert office.knows(Identity(device="a483e7445566"))
    assert not office.knows(Identity(device="a483e7112233"))


async def test_a_change_of_devices_drops_no_move_that_waits(office: Office) -> None:
    person = await office.people.opt_in(TENANT, "ada", "Ada", None)
    office.sees(Identity(login="ada"), office.clock())
    await office.people.opt_in(TENANT, "ada", "Ada", ("a483e7445566",))
    (move,) = singly(office.tenant.presence.take(10))
    assert move == office.move(person.subject)


async def test_a_device_that_is_no_longer_mine_takes_its_place_with_it(
    office: Office,
) -> None:
    lent = "a483e7112233"
    person = await office.people.opt_in(TENANT, "ada", "Ada", (lent,))
    await write(office.locations, TENANT, [office.move(person.subject)])
    office.sees(Identity(device=lent), office.clock())
    await office.people.opt_in(TENANT, "ada", "Ada", ())
    await office.locations.commit(TENANT, office.tenant.presence.take(10))
    assert await office.people.find(TENANT, person.subject) is None


async def test_whom_the_registry_lost_is_somebody_new_without_the_old_place(
    office: Office, redis_registry: Server
) -> None:
    first = await office.people.opt_in(TENANT, "ada", "Ada", None)
    await write(office.locations, TENANT, [office.move(first.subject)])
    with redis.Redis.from_url(redis_registry.url) as raw:
        raw.flushall()
    second = await office.people.opt_in(TENANT, "ada", "Ada", ("a483e7112233",))
    assert second.subject != first.subject
    found = await office.locations.find(TENANT, [first.subject], office.clock())
    assert found == [None]
    assert office.admits("ada")


async def test_a_device_of_somebody_else_is_refused_and_nothing_changes(
    office: Office,
) -> None:
    await office.people.opt_in(TENANT, "ada", "Ada", ("a483e7112233",))
    with pytest.raises(BadRequest):
        await office.people.opt_in(TENANT, "eve", "Eve", ("a483e7112233",))
    assert not office.admits("eve")
    assert office.people.count(TENANT) == 1


async def test_a_restart_finds_who_shares_and_forgets_who_does_not(
    office: Office, redis_locations: Server, redis_registry: Server
) -> None:
    stays = await office.people.opt_in(TENANT, "ada", "Ada", None)
    leaves = await office.people.opt_in(TENANT, "bob", "Bob", None)
    moves = [office.move(p.subject) for p in (stays, leaves)]
    await write(office.locations, TENANT, moves)
    # The registry has taken the withdrawal; the process dies before the erasure.
    await office.registry.opt_out(TENANT, "bob")
    again = Office(redis_locations.url, redis_registry.url, office.clock)
    await again.people.load(TENANT)
    subjects = [stays.subject, leaves.subject]
    found = await again.locations.find(TENANT, subjects, office.clock())
    assert found[0] is not None
    assert found[1] is None
    assert again.admits("ada")
    assert not again.admits("bob")
    await again.close()


@pytest.mark.slow
async def test_without_a_store_an_opt_out_is_effective_and_settled_later(
    new_redis: Callable[[str], Server],
    redis_registry: Server,
    server_clock: Callable[[], int],
) -> None:
    server = new_redis("locations")
    await server.start()
    office = Office(server.url, redis_registry.url, server_clock)
    await office.people.load(TENANT)
    person = await office.people.opt_in(TENANT, "ada", "Ada", None)
    await server.stop()
    with pytest.raises(StoreAway):
        await office.people.opt_out(TENANT, "ada")
    assert not office.admits("ada")
    assert await office.registry.people(TENANT) == []
    assert office.people.unsettled == 1
    again = await office.people.opt_in(TENANT, "ada", "Ada", None)
    assert again.subject != person.subject
    assert person.subject not in office.tenant.consent
    assert office.people.unsettled == 2
    assert office.people.unsettled_since_ms == server_clock()
    await office.close()


class LostAnswer(Registry):
    """A registry that writes, and whose answer never comes."""

    async def opt_in(self, *arguments: Any) -> Person:  # noqa: ANN401 - passed on
        await super().opt_in(*arguments)
        raise StoreAway("no answer")


async def test_an_opt_in_whose_answer_was_lost_can_be_withdrawn(
    office: Office, redis_registry: Server
) -> None:
    office.people._registry = LostAnswer(redis_registry.url)  # noqa: SLF001 - a fault
    with pytest.raises(StoreAway):
        await office.people.opt_in(TENANT, "ada", "Ada", None)
    assert len(await office.registry.people(TENANT)) == 1
    assert office.people.unsettled == 1
    await office.people.opt_out(TENANT, "ada")
    assert await office.registry.people(TENANT) == []
    assert office.people.unsettled == 0
    await office.people._registry.close()  # noqa: SLF001


async def test_who_has_no_name_cannot_opt_in(office: Office) -> None:
    for login in ("", "@corp.tld", "GUEST\\"):
        with pytest.raises(BadRequest):
            await office.people.opt_in(TENANT, login, "Nobody", None)


@pytest.mark.slow
async def test_racing_opt_outs_and_writes_never_leave_a_location(
    office: Office,
) -> None:
    for _ in range(100):
        person = await office.people.opt_in(TENANT, "ada", "Ada", None)
        writes = [
            asyncio.create_task(
                write(office.locations, TENANT, [office.move(person.subject)])
            )
            for _ in range(4)
        ]
        await office.people.opt_out(TENANT, "ada")
        await asyncio.gather(*writes)
        found = await office.locations.find(TENANT, [person.subject], office.clock())
        assert found == [None]
