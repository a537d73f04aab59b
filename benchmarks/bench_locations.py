"""What it costs to commit a batch of moves and channel rows to a real Redis.

The question: what does a move cost here, where the engine has one thread, and what in
the round trip? Every batch is new to the server: one key a person, checked for consent
and for order there, with its expiry. `cpu_us` is of this process, by move.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.workload import all_moved
from engine.embedded import Valkey
from engine.occupancy import ROW
from engine.store.locations import Locations

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from engine.model import Moves
    from engine.store.locations import Written

TENANT = "acme"
ROUNDS = 30


@pytest.mark.benchmark(group="commit")
@pytest.mark.parametrize("moves", [1, 100, 2_000])
def bench_commit(benchmark: BenchmarkFixture, moves: int) -> None:
    subjects = [f"subject-{number:014}" for number in range(moves)]
    keys = [f"sensors/presence/seat-{number:06}" for number in range(moves)]
    rows = bytes(ROW.itemsize * moves)
    start_ms = time.time_ns() // 1_000_000 - 60_000
    stamps = iter(range(start_ms, start_ms + 60_000))

    def batch() -> tuple[tuple[Moves], dict[str, object]]:
        return (all_moved(subjects, next(stamps)),), {}

    with asyncio.Runner() as runner:
        server = Valkey("locations")
        runner.run(server.start())
        locations = Locations(server.url)
        runner.run(locations.seed(TENANT, subjects))
        spent: list[float] = []

        def commit(new: Moves) -> Written:
            start = time.process_time()
            written = runner.run(locations.commit(TENANT, new, keys, rows))
            spent.append(time.process_time() - start)
            return written

        rounds = 1 if benchmark.disabled else ROUNDS
        written = benchmark.pedantic(commit, setup=batch, rounds=rounds)  # type: ignore[no-untyped-call]
        runner.run(locations.close())
        runner.run(server.stop())
    benchmark.extra_info["moves"] = moves
    benchmark.extra_info["cpu_us"] = round(1e6 * sorted(spent)[rounds // 2] / moves, 2)
    assert written.written == moves
    assert written.late == written.refused == 0
