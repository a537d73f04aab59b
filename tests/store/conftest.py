"""Every test of the store runs on both servers."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["valkey", "redis-server"])
def redis_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
