from __future__ import annotations

import asyncio
import os
import re
import signal
from typing import TYPE_CHECKING, Literal

import pytest
import redis

from engine.errors import StoreAway
from engine.model import MAX_DEVICES
from engine.store.registry import DevicesRefused, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.embedded import Child
    from tests.store.conftest import HasUrl

pytestmark = pytest.mark.integration

Role = Literal["locations", "registry"]

PHONE, LAPTOP, BADGE = "a483e7000001", "a483e7000002", "a483e7000003"


@pytest.fixture
def raw(redis_registry: HasUrl) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_registry.url, decode_responses=True) as client:
        yield client


async def test_who_opted_in_is_there_with_an_opaque_subject(registry: Registry) -> None:
    ada = await registry.opt_in("acme", "ada@acme", "Ada", [PHONE, LAPTOP, PHONE], 17)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", ada.subject)
    assert (ada.login, ada.name, ada.since_ms) == ("ada@acme", "Ada", 17)
    assert ada.devices == (PHONE, LAPTOP)
    assert await registry.people("acme") == [ada]
    assert await registry.person("acme", "ada@acme") == ada
    assert await registry.people("other") == []
    assert await registry.person("other", "ada@acme") is None


async def test_opting_out_leaves_nothing_behind(
    registry: Registry, raw: redis.Redis
) -> None:
    ada = await registry.opt_in("acme", "ada", "Ada", [PHONE], 1)
    assert await registry.opt_out("acme", "ada") == ada
    assert raw.dbsize() == 0
    assert await registry.opt_out("acme", "ada") is None


async def test_opting_out_leaves_the_others_alone(
    registry: Registry, raw: redis.Redis
) -> None:
    await registry.opt_in("acme", "ada", "Ada", [PHONE], 1)
    bob = await registry.opt_in("acme", "bob", "Bob", [LAPTOP], 1)
    await registry.opt_out("acme", "ada")
    assert await registry.people("acme") == [bob]
    assert raw.hgetall("lf:{acme}:devices") == {LAPTOP: "bob"}


async def test_each_opt_in_has_a_new_subject(registry: Registry) -> None:
    first = await registry.opt_in("acme", "ada", "Ada", [PHONE], 1)
    await registry.opt_out("acme", "ada")
    second = await registry.opt_in("acme", "ada", "Ada", [PHONE], 2)
    assert second.subject != first.subject
    assert second.since_ms == 2


async def test_opting_in_twice_changes_nothing(registry: Registry) -> None:
    first = await registry.opt_in("acme", "ada", "Ada", [PHONE], 1)
    assert await registry.opt_in("acme", "ada", "Countess", [BADGE], 2) == first
    assert await registry.people("acme") == [first]


async def test_one_login_is_one_person_however_many_ask_at_once(
    registry: Registry,
) -> None:
    people = await asyncio.gather(
        *(registry.opt_in("acme", "ada", "Ada", [PHONE], at) for at in range(20))
    )
    assert len({person.subject for person in people}) == 1
    assert await registry.people("acme") == [people[0]]


async def test_a_device_belongs_to_one_person_at_most(
    registry: Registry, raw: redis.Redis
) -> None:
    await registry.opt_in("acme", "ada", "Ada", [PHONE], 1)
    with pytest.raises(DevicesRefused) as caught:
        await registry.opt_in("acme", "bob", "Bob", [LAPTOP, PHONE], 1)
    assert PHONE not in str(caught.value)
    assert "ada" not in str(caught.value)
    assert await registry.person("acme", "bob") is None
    assert raw.hgetall("lf:{acme}:devices") == {PHONE: "ada"}
    await registry.opt_in("other", "bob", "Bob", [PHONE], 1)
    await registry.opt_out("acme", "ada")
    await registry.opt_in("acme", "bob", "Bob", [LAPTOP, PHONE], 1)


async def test_one_of_many_who_claim_a_device_at_once_gets_it(
    registry: Registry, raw: redis.Redis
) -> None:
    outcomes = await asyncio.gather(
        *(registry.opt_in("acme", f"p{who}", "P", [PHONE], 1) for who in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, DevicesRefused) for each in outcomes) == 9
    (person,) = await registry.people("acme")
    assert raw.hgetall("lf:{acme}:devices") == {PHONE: person.login}


async def test_devices_change_and_the_subject_stays(
    registry: Registry, raw: redis.Redis
) -> None:
    ada = await registry.opt_in("acme", "ada", "Ada", [PHONE, LAPTOP], 1)
    changed = await registry.change_devices("acme", "ada", [LAPTOP, BADGE])
    assert changed is not None
    assert changed.devices == (LAPTOP, BADGE)
    assert changed.subject == ada.subject
    assert await registry.person("acme", "ada") == changed
    assert raw.hgetall("lf:{acme}:devices") == {LAPTOP: "ada", BADGE: "ada"}
    assert await registry.change_devices("acme", "ada", []) is not None
    assert not raw.exists("lf:{acme}:devices")


async def test_changing_to_a_device_of_somebody_else_changes_nothing(
    registry: Registry, raw: redis.Redis
) -> None:
    ada = await registry.opt_in("acme", "ada", "Ada", [PHONE], 1)
    await registry.opt_in("acme", "bob", "Bob", [LAPTOP], 1)
    with pytest.raises(DevicesRefused):
        await registry.change_devices("acme", "ada", [BADGE, LAPTOP])
    assert await registry.person("acme", "ada") == ada
    assert raw.hgetall("lf:{acme}:devices") == {PHONE: "ada", LAPTOP: "bob"}


async def test_who_is_not_in_has_no_devices_to_change(registry: Registry) -> None:
    assert await registry.change_devices("acme", "ada", [PHONE]) is None
    assert await registry.people("acme") == []


async def test_changes_made_at_once_leave_one_of_them_whole(
    registry: Registry, raw: redis.Redis
) -> None:
    await registry.opt_in("acme", "ada", "Ada", [PHONE], 1)
    wanted = [[PHONE], [LAPTOP], [BADGE], [PHONE, BADGE], []]
    await asyncio.gather(
        *(registry.change_devices("acme", "ada", devices) for devices in wanted)
    )
    ada = await registry.person("acme", "ada")
    assert ada is not None
    assert list(ada.devices) in wanted
    assert raw.hgetall("lf:{acme}:devices") == dict.fromkeys(ada.devices, "ada")


async def test_the_devices_of_a_person_are_bounded(registry: Registry) -> None:
    many = [f"a483e70001{number:02x}" for number in range(MAX_DEVICES + 1)]
    with pytest.raises(DevicesRefused, match=f"at most {MAX_DEVICES}"):
        await registry.opt_in("acme", "ada", "Ada", many, 1)
    await registry.opt_in("acme", "ada", "Ada", many[:MAX_DEVICES], 1)
    with pytest.raises(DevicesRefused, match=f"at most {MAX_DEVICES}"):
        await registry.change_devices("acme", "ada", many)


@pytest.mark.slow
async def test_thousands_of_people_are_listed(
    registry: Registry, raw: redis.Redis
) -> None:
    ada = await registry.opt_in("acme", "ada", "Ada", [], 1)
    with redis.Redis.from_url(f"unix://{url_path(raw)}") as client:
        record = client.hget("lf:{acme}:people", "ada")
        assert isinstance(record, bytes)
        rows = {f"login-{number}": record for number in range(12_000)}
        client.hset("lf:{acme}:people", mapping=dict(rows))
    people = await registry.people("acme")
    assert len(people) == 12_001
    assert people[0] == ada


@pytest.mark.slow
async def test_an_answered_opt_out_outlasts_the_death_of_the_server(
    new_redis: Callable[[Role], Child],
) -> None:
    server = new_redis("registry")
    await server.start()
    registry = Registry(server.url)  # type: ignore[attr-defined]
    await registry.check()
    await registry.opt_in("acme", "ada", "Ada", [PHONE], 1)
    bob = await registry.opt_in("acme", "bob", "Bob", [LAPTOP], 1)
    await registry.opt_out("acme", "ada")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    with pytest.raises(StoreAway) as caught:
        await registry.opt_in("acme", "cleo", "Cleo", [BADGE], 1)
    assert "cleo" not in f"{caught.value!r} {caught.value.__context__!r}"
    await server.start()
    assert await registry.people("acme") == [bob]
    ada = await registry.opt_in("acme", "ada", "Ada", [PHONE], 2)
    assert ada.since_ms == 2
    await registry.close()


def url_path(client: redis.Redis) -> str:
    return str(client.get_connection_kwargs()["path"])
