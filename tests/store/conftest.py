"""Every test of the store runs on both servers, and tells the time by theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from engine.store.locations import Locations
from engine.store.registry import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Protocol

    class HasUrl(Protocol):
        @property
        def url(self) -> str: ...


@pytest.fixture(params=["valkey", "redis-server"])
def redis_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def locations(redis_locations: HasUrl) -> AsyncIterator[Locations]:
    store = Locations(redis_locations.url)
    yield store
    await store.close()


@pytest.fixture
async def registry(redis_registry: HasUrl) -> AsyncIterator[Registry]:
    store = Registry(redis_registry.url)
    yield store
    await store.close()


@pytest.fixture
def raw(redis_locations: HasUrl) -> Iterator[redis.Redis]:
    """The same server, past the store."""
    with redis.Redis.from_url(redis_locations.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def server_ms(raw: redis.Redis) -> Callable[[], int]:
    """The server's clock."""

    def read() -> int:
        seconds, micros = raw.time()
        return int(seconds) * 1000 + int(micros) // 1000

    return read
