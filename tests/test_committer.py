"""On a real store: receipts come after the effect, and nothing is lost without it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import redis

from engine.errors import StoreAway
from engine.ingest.formats import FORMATS
from engine.model import Identity, Person, ReadingKind
from engine.source import Source
from engine.space import AccessPoint, Binding
from engine.tenant import Tenant
from tests.building import small_plan
from tests.moves import write
from tests.test_people import TENANT, Office

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.test_people import Server

pytestmark = pytest.mark.integration

ADA = Person("subject-ada", "ada", "Ada", (), 0)


class Receipt:
    def __init__(self) -> None:
        self.given_back = asyncio.Event()

    def done(self) -> None:
        self.given_back.set()


def with_a_desk(office: Office) -> Tenant:
    plan = small_plan()
    space = plan.space_by_id["hq-1-desk-1"]
    desk = Binding("own", "desk-1", "", space, ReadingKind.PRESENCE, 0, 0)
    hopper = AccessPoint(plan.space_by_id["hq-1-hopper"], 70)
    tenant = Tenant(TENANT, plan, access_points={"ap-1": hopper}, bindings=[desk])
    office.tenant = tenant
    office.source = Source(name="own", tenant=tenant, form=FORMATS["livefloor"])
    office.committer._tenants = [tenant]  # noqa: SLF001 - a tenant with a sensor
    return tenant


async def test_a_receipt_is_given_back_after_the_effect_is_in_redis(
    redis_locations: Server, redis_registry: Server, server_clock: Callable[[], int]
) -> None:
    office = Office(redis_locations.url, redis_registry.url, server_clock)
    tenant = with_a_desk(office)
    now = server_clock()
    tenant.consent.grant(ADA)
    office.sees(Identity(login="ada"), now)
    tenant.dirty.update(
        tenant.occupancy.apply([0], [1], [now], [0], now).changed.tolist()
    )
    task = asyncio.create_task(office.committer.run())
    receipt = Receipt()
    office.committer.add(receipt)
    await asyncio.wait_for(receipt.given_back.wait(), 5)
    (found,) = await office.locations.find(TENANT, ["subject-ada"], now)
    assert found is not None
    rows = await office.locations.load_channels(TENANT)
    assert list(rows) == [b"own/presence/desk-1"]
    assert not tenant.presence.waiting
    assert not tenant.dirty
    task.cancel()
    await office.close()


@pytest.mark.slow
async def test_without_redis_receipts_wait_and_the_newest_state_is_kept(
    new_redis: Callable[[str], Server],
    redis_registry: Server,
    server_clock: Callable[[], int],
) -> None:
    server = new_redis("locations")
    await server.start()
    office = Office(server.url, redis_registry.url, server_clock)
    office.tenant.consent.grant(ADA)
    await server.stop()
    task = asyncio.create_task(office.committer.run())
    receipts = [Receipt(), Receipt()]
    start = server_clock()
    for step, receipt in enumerate(receipts):
        office.sees(Identity(login="ada"), start + step)
        office.committer.add(receipt)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(receipts[0].given_back.wait(), 0.3)
    assert not receipts[1].given_back.is_set()
    assert office.committer.away_since_ms == start
    task.cancel()
    await office.close()
    assert office.tenant.presence.take(10).observed_at_ms == [start + 1]


async def test_a_stream_that_never_pauses_does_not_hold_back_receipts(
    redis_locations: Server, redis_registry: Server, server_clock: Callable[[], int]
) -> None:
    office = Office(redis_locations.url, redis_registry.url, server_clock)
    tenant = with_a_desk(office)
    await office.locations.seed(TENANT, [])
    task = asyncio.create_task(office.committer.run())

    async def flood() -> None:
        while True:
            tenant.dirty.add(0)
            await asyncio.sleep(0)

    flooding = asyncio.create_task(flood())
    receipt = Receipt()
    office.committer.add(receipt)
    await asyncio.wait_for(receipt.given_back.wait(), 5)
    flooding.cancel()
    task.cancel()
    await office.close()


async def test_a_server_that_came_back_empty_is_seeded_on_a_quiet_site(
    redis_locations: Server, redis_registry: Server, server_clock: Callable[[], int]
) -> None:
    office = Office(redis_locations.url, redis_registry.url, server_clock)
    await office.people.load(TENANT)
    person = await office.people.opt_in(TENANT, "ada", "Ada", None)
    task = asyncio.create_task(office.committer.run())
    with redis.Redis.from_url(redis_locations.url) as raw:
        raw.flushall()
    office.committer.visit()
    await office.committer.flush()
    written = await write(office.locations, TENANT, [office.move(person.subject)])
    assert written.written == 1
    task.cancel()
    await office.close()


@pytest.mark.slow
async def test_who_gives_up_waiting_leaves_nothing_behind(
    new_redis: Callable[[str], Server],
    redis_registry: Server,
    server_clock: Callable[[], int],
) -> None:
    server = new_redis("locations")
    await server.start()
    office = Office(server.url, redis_registry.url, server_clock)
    await server.stop()
    task = asyncio.create_task(office.committer.run())
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(office.committer.flush(), 0.1)
    assert not office.committer._waiters  # noqa: SLF001 - what must not grow
    task.cancel()
    await office.close()


async def test_what_is_no_longer_bound_is_forgotten_and_what_is_bound_anew_written(
    redis_locations: Server, redis_registry: Server, server_clock: Callable[[], int]
) -> None:
    office = Office(redis_locations.url, redis_registry.url, server_clock)
    tenant = with_a_desk(office)
    space = tenant.plan.space_by_id["hq-1-hopper"]
    task = asyncio.create_task(office.committer.run())
    tenant.dirty.update({0})
    await asyncio.wait_for(office.committer.flush(), 5)
    door = Binding("own", "door", "", space, ReadingKind.FLOW_DELTA, 0, 0)
    tenant.bind([door])
    await asyncio.wait_for(office.committer.flush(), 5)
    rows = await office.locations.load_channels(TENANT)
    assert set(rows) == {b"own/flow/door", b"own/counter/hq-1-hopper/in/door"}
    assert not tenant.unbound
    task.cancel()
    await office.close()


async def test_rows_that_an_earlier_process_left_of_other_channels_are_forgotten(
    redis_locations: Server, redis_registry: Server, server_clock: Callable[[], int]
) -> None:
    office = Office(redis_locations.url, redis_registry.url, server_clock)
    tenant = with_a_desk(office)
    keys = [b"own/presence/desk-1", b"own/presence/gone"]
    await office.locations.save_channels(TENANT, keys, bytes(80))
    assert tenant.restore(await office.locations.load_channels(TENANT)) == 1
    task = asyncio.create_task(office.committer.run())
    await asyncio.wait_for(office.committer.flush(), 5)
    assert list(await office.locations.load_channels(TENANT)) == keys[:1]
    task.cancel()
    await office.close()


async def test_numbers_of_channels_that_changed_during_a_write_are_not_given_back(
    redis_locations: Server, redis_registry: Server, server_clock: Callable[[], int]
) -> None:
    office = Office(redis_locations.url, redis_registry.url, server_clock)
    tenant = with_a_desk(office)
    tenant.dirty.update({0})

    async def fails(*_: object) -> None:
        tenant.bind([])
        raise StoreAway("away")

    commit, office.locations.commit = office.locations.commit, fails  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreAway):
        await office.committer._round()  # noqa: SLF001 - a round that fails
    assert tenant.dirty == set()
    office.locations.commit = commit  # type: ignore[method-assign]
    await office.committer._round()  # noqa: SLF001
    assert not tenant.unbound
    await office.close()
