"""The whole path without broker and store, by size of the batch.

The question: what does a message cost from the packet to the state, alone and in a
burst, and where do the stages spend it? A round takes the 10,000 messages of the
workload in batches, on a state that has seen none of them; divide it by `messages`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.bench_ingest import read
from benchmarks.workload import TENANT, chunks, packets
from engine.model import Outcome
from engine.pipeline import Pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

    from benchmarks.workload import Workload
    from engine.site import Site

ROUNDS = 15


@pytest.mark.benchmark(group="path")
@pytest.mark.parametrize("batch", [1, 100, 1_000])
def bench_path(
    benchmark: BenchmarkFixture, day: Workload, tmp_path: Path, batch: int
) -> None:
    messages = read(chunks(b"".join(packets(day.messages))))
    batches = [messages[i : i + batch] for i in range(0, len(messages), batch)]
    seconds: Counter[str] = Counter()
    sites: list[Site] = []

    def fresh() -> None:
        sites[:] = [day.site(tmp_path)]
        seconds.clear()

    def run() -> None:
        sort = sites[0].routes["main"].sort
        pipeline = Pipeline(lambda stage, s: seconds.update({stage: s}))
        for some in batches:
            pipeline.run(sort(some), day.now_ms)

    rounds = 1 if benchmark.disabled else ROUNDS
    benchmark.pedantic(run, setup=fresh, rounds=rounds)  # type: ignore[no-untyped-call]
    benchmark.extra_info["messages"] = len(messages)
    for stage, spent in seconds.items():
        benchmark.extra_info[f"{stage}_us"] = round(1e6 * spent / len(messages), 2)
    outcomes: Counter[Outcome] = Counter()
    for source in sites[0].sources.values():
        outcomes.update(source.tally.by_outcome)
    assert outcomes.total() == len(messages)
    assert outcomes[Outcome.DISPOSED] == day.expected().disposed
    assert sites[0].tenants[TENANT].presence.waiting == day.expected().people
