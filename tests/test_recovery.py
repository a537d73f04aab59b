"""On a real store: what a process that was killed had only claimed comes true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.recovery import Recovery
from engine.space import AccessPoint
from engine.tenant import Tenant
from tests.building import small_plan
from tests.moves import Move, write
from tests.test_people import TENANT, Office

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.test_people import Server

pytestmark = pytest.mark.integration


def restarted(office: Office) -> Recovery:
    """Return what a new process would take up, with two access points."""
    plan = small_plan()
    points = {
        "ap-1": AccessPoint(plan.space_by_id["hq-1-hopper"], 70),
        "ap-2": AccessPoint(plan.space_by_id["hq-1-north"], 60),
    }
    office.tenant = Tenant(TENANT, plan, access_points=points)
    office.people._tenants = {TENANT: office.tenant}  # noqa: SLF001 - of a new process
    office.people._directories[TENANT]._roll = office.tenant.consent  # noqa: SLF001
    return Recovery(
        {TENANT: office.tenant},
        people=office.people,
        locations=office.locations,
        settle_s=0,
        clock_ms=office.clock,
    )


async def space_of(office: Office, subject: str) -> str | None:
    found = await office.people.find(TENANT, subject)
    return None if found is None else found.space


async def test_a_return_that_was_only_claimed_is_believed_after_a_restart(
    redis_locations: Server, redis_registry: Server, server_clock: Callable[[], int]
) -> None:
    office = Office(redis_locations.url, redis_registry.url, server_clock)
    ada = (await office.people.opt_in(TENANT, "ada", "Ada", None)).subject
    bob = (await office.people.opt_in(TENANT, "bob", "Bob", None)).subject
    eve = (await office.people.opt_in(TENANT, "eve", "Eve", None)).subject
    dan = (await office.people.opt_in(TENANT, "dan", "Dan", None)).subject
    await office.locations.seed(TENANT, [ada, bob, eve, dan])
    now = server_clock()
    stored = [
        Move(ada, now, "hq-1-hopper", 70, "ap-2"),  # seen by the other one
        Move(bob, now, "hq-1-hopper", 70, "ap-1"),
        Move(eve, now, "hq-1-hopper", 70, "ap-9"),  # no longer in the table
        Move(dan, now, "hq-1-hopper", 85, ""),  # by coordinates
    ]
    await write(office.locations, TENANT, stored)
    recovery = restarted(office)
    await recovery.load()
    assert await space_of(office, ada) == "hq-1-hopper"
    await recovery.run()
    assert await space_of(office, ada) == "hq-1-north"
    assert await space_of(office, bob) == "hq-1-hopper"
    assert await space_of(office, eve) == "hq-1-hopper"
    assert await space_of(office, dan) == "hq-1-hopper"
    await office.close()


async def test_what_came_meanwhile_and_who_left_meanwhile_prevail(
    redis_locations: Server, redis_registry: Server, server_clock: Callable[[], int]
) -> None:
    office = Office(redis_locations.url, redis_registry.url, server_clock)
    ada = (await office.people.opt_in(TENANT, "ada", "Ada", None)).subject
    bob = (await office.people.opt_in(TENANT, "bob", "Bob", None)).subject
    await office.locations.seed(TENANT, [ada, bob])
    now = server_clock() - 10
    claimed = [Move(one, now, "hq-1-hopper", 70, "ap-2") for one in (ada, bob)]
    await write(office.locations, TENANT, claimed)
    recovery = restarted(office)
    await recovery.load()
    await write(office.locations, TENANT, [Move(ada, now + 1, "hq-2-north", 70, "x")])
    await office.people.opt_out(TENANT, "bob")
    await recovery.run()
    assert await space_of(office, ada) == "hq-2-north"
    assert await office.locations.find(TENANT, [bob], server_clock()) == [None]
    await office.close()
