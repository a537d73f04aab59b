"""The API over fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.query.api import Api

if TYPE_CHECKING:
    from tests.conftest import Clock


@pytest.fixture
def api(clock: Clock) -> Api:
    return Api(clock)
