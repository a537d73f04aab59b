"""Which servers are refused at start, and in which words."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import pytest
import redis

from engine.embedded import free_port
from engine.errors import ConfigError, StoreAway
from engine.store.locations import Locations
from engine.store.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.embedded import Child
    from tests.store.conftest import HasUrl

pytestmark = pytest.mark.integration

Role = Literal["locations", "registry"]


@pytest.fixture
def registry_raw(redis_registry: HasUrl) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_registry.url, decode_responses=True) as client:
        yield client


@pytest.mark.parametrize(
    ("setting", "value", "wanted"),
    [
        ("save", "3600 1", 'write `save ""`'),
        ("appendonly", "yes", "write `appendonly no`"),
        ("maxmemory-policy", "allkeys-lru", "write `maxmemory-policy noeviction`"),
    ],
)
async def test_locations_refuse_a_server_that_keeps_or_evicts(
    locations: Locations, raw: redis.Redis, setting: str, value: str, wanted: str
) -> None:
    await locations.check()
    before = raw.config_get(setting)[setting]
    raw.config_set(setting, value)
    try:
        with pytest.raises(ConfigError, match=wanted) as caught:
            await locations.check()
        assert f'{setting} = "{value}"' in str(caught.value)
    finally:
        raw.config_set(setting, str(before))
    await locations.check()


@pytest.mark.parametrize(
    ("setting", "value", "wanted"),
    [
        ("appendonly", "no", "write `appendonly yes`"),
        ("appendfsync", "everysec", "write `appendfsync always`"),
        ("no-appendfsync-on-rewrite", "yes", "write `no-appendfsync-on-rewrite no`"),
        ("maxmemory-policy", "volatile-ttl", "write `maxmemory-policy noeviction`"),
    ],
)
async def test_a_registry_refuses_a_server_that_could_forget(
    registry: Registry,
    registry_raw: redis.Redis,
    setting: str,
    value: str,
    wanted: str,
) -> None:
    await registry.check()
    before = registry_raw.config_get(setting)[setting]
    registry_raw.config_set(setting, value)
    try:
        with pytest.raises(ConfigError, match=wanted):
            await registry.check()
    finally:
        registry_raw.config_set(setting, str(before))
    await registry.check()


async def test_a_log_that_keeps_arguments_is_turned_off_and_emptied(
    locations: Locations, raw: redis.Redis
) -> None:
    raw.config_set("slowlog-max-len", 128)
    raw.config_set("slowlog-log-slower-than", 0)
    raw.config_set("crash-log-enabled", "yes")
    try:
        raw.set("somebody", "somewhere")
        assert raw.slowlog_len()
        await locations.check()
        assert raw.slowlog_len() == 0
        assert raw.config_get("slowlog-max-len")["slowlog-max-len"] == "0"
        assert raw.config_get("crash-log-enabled")["crash-log-enabled"] == "no"
        raw.set("somebody", "somewhere")
        assert raw.slowlog_len() == 0
    finally:
        raw.config_set("slowlog-log-slower-than", 10_000)


@pytest.mark.parametrize("forbidden", ["config|get", "info", "slowlog|reset"])
async def test_a_user_who_may_not_look_is_told_what_to_allow(
    redis_locations: HasUrl, raw: redis.Redis, forbidden: str
) -> None:
    rules = ("on", ">pass", "~*", "&*", "+@all", f"-{forbidden}")
    acl(raw, *rules)
    url = redis_locations.url.replace("unix://", "unix://limited@") + "?password=pass"
    locations = Locations(url)
    try:
        with pytest.raises(ConfigError, match="for this user"):
            await locations.check()
    finally:
        await locations.close()
        raw.acl_deluser("limited")


SET = "set `password_file` in \\[redis\\]"
LEAVE_OUT = "leave `password_file` out of \\[redis\\]"


@pytest.mark.parametrize(
    ("wanted", "sent", "cure"),
    [
        ("canary", None, f"wants a password: {SET}"),
        ("canary", "sparrow", f"wants another user or password: {SET}"),
        ("", "sparrow", f"has no password: {LEAVE_OUT}"),
    ],
    ids=["none", "wrong", "needless"],
)
async def test_a_password_that_does_not_fit_is_told_with_its_cure(
    redis_locations: HasUrl, raw: redis.Redis, wanted: str, sent: str | None, cure: str
) -> None:
    query = "" if sent is None else f"?password={sent}"
    locations = Locations(redis_locations.url + query)
    raw.config_set("requirepass", wanted)
    try:
        with pytest.raises(StoreAway, match=cure) as away:
            await locations.ping()
        with pytest.raises(ConfigError, match=cure) as refused:
            await locations.check()
        for caught in (away, refused):
            assert "canary" not in str(caught.value)
            assert "sparrow" not in str(caught.value)
    finally:
        raw.config_set("requirepass", "")
        await locations.close()


async def test_a_password_that_fits_is_accepted(
    redis_locations: HasUrl, raw: redis.Redis
) -> None:
    locations = Locations(f"{redis_locations.url}?password=canary")
    raw.config_set("requirepass", "canary")
    try:
        await locations.check()
    finally:
        raw.config_set("requirepass", "")
        await locations.close()


async def test_a_replica_is_refused_in_both_roles(
    locations: Locations,
    registry: Registry,
    raw: redis.Redis,
    registry_raw: redis.Redis,
) -> None:
    for store, client in ((locations, raw), (registry, registry_raw)):
        client.replicaof("127.0.0.1", "1")
        try:
            with pytest.raises(ConfigError, match="name the primary"):
                await store.check()
        finally:
            client.replicaof("NO", "ONE")


@pytest.mark.slow
async def test_locations_refuse_a_server_with_a_replica(
    new_redis: Callable[[Role], Child],
) -> None:
    primary, replica = new_redis("locations"), new_redis("locations")
    await primary.start()
    await replica.start()
    url, other = primary.url, replica.url  # type: ignore[attr-defined]
    locations = Locations(url)
    with redis.Redis.from_url(url) as client, redis.Redis.from_url(other) as follower:
        client.config_set("port", free_port())
        follower.replicaof("127.0.0.1", client.config_get("port")["port"])
        async with asyncio.timeout(5):
            while not client.info("replication")["connected_slaves"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        with pytest.raises(ConfigError, match="has replicas"):
            await locations.check()
    await locations.close()


@pytest.mark.parametrize("address", ["", "localhost:6379", "http://localhost"])
async def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="no address of a Redis"):
        Locations(address)


async def test_a_server_that_is_not_there_is_away() -> None:
    for store in (Locations("unix:///nowhere"), Registry("redis://127.0.0.1:1")):
        with pytest.raises(StoreAway, match="does not answer"):
            await store.check()
        await store.close()


async def test_a_server_tells_its_clock(
    locations: Locations, server_ms: Callable[[], int]
) -> None:
    before = server_ms()
    assert before <= await locations.clock_ms() <= server_ms()


def acl(client: redis.Redis, *rules: str) -> None:
    client.execute_command("ACL", "SETUSER", "limited", *rules)  # type: ignore[no-untyped-call]
