"""The machine in the results, and the workload that several files share."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.machine import machine
from benchmarks.workload import Workload

MESSAGES = 10_000
"""Enough for every batch size, and made in a third of a second."""


def pytest_benchmark_update_machine_info(
    config: pytest.Config,  # noqa: ARG001 - the hook's
    machine_info: dict[str, Any],
) -> None:
    """Say what it was measured on."""
    machine_info.update(machine())


@pytest.fixture(scope="session")
def day() -> Workload:
    """The seeded workload."""
    return Workload(MESSAGES)
