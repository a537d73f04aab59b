"""The Redis configurations that the project ships, on the real redis-server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.errors import ConfigError
from engine.store.locations import Locations
from engine.store.registry import Registry

if TYPE_CHECKING:
    from typing import Protocol

    class HasUrl(Protocol):
        @property
        def url(self) -> str: ...


pytestmark = pytest.mark.integration


@pytest.fixture
def redis_kind() -> str:
    return "redis-server"


async def test_the_configuration_for_locations_is_accepted_as_it_is(
    redis_locations: HasUrl,
) -> None:
    locations, registry = Locations(redis_locations.url), Registry(redis_locations.url)
    await locations.check()
    with pytest.raises(ConfigError, match="write `appendonly yes`"):
        await registry.check()
    await locations.close()
    await registry.close()


async def test_the_configuration_for_the_registry_is_accepted_as_it_is(
    redis_registry: HasUrl,
) -> None:
    locations, registry = Locations(redis_registry.url), Registry(redis_registry.url)
    await registry.check()
    with pytest.raises(ConfigError, match="write `appendonly no`"):
        await locations.check()
    await locations.close()
    await registry.close()
