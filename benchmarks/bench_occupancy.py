"""What a tick costs, and a batch of readings, beside the numpy passes alone.

The questions: is a tick linear in the channels, even on the day when every sensor is
late; how far is it from the passes that no implementation can leave out; and what does
one reading cost, alone and in a burst.

A building of `n` channels has `n / 10` spaces: levels of 500, rooms, and desks in them;
the three kinds of sensor alike. `pytest benchmarks/bench_occupancy.py` measures,
`--benchmark-disable` only checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from engine.model import ReadingKind, State
from engine.occupancy import Occupancy

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from pytest_benchmark.fixture import BenchmarkFixture

NOW = 1_792_580_400_000
EVERY_MS = 600_000
HOLD_MS = 300_000
TICK_MS = 10
SIZES = pytest.mark.parametrize("channels", [1_000, 10_000, 100_000])


class Building(NamedTuple):
    """An occupancy and the columns that it was made of."""

    occupancy: Occupancy
    kind: npt.NDArray[np.uint8]
    space: npt.NDArray[np.int32]


def building(channels: int) -> Building:
    random = np.random.default_rng(3)
    spaces = channels // 10
    levels = max(spaces // 500, 1)
    rooms = np.arange(1 + levels, 1 + levels + (spaces - 1 - levels) // 4)
    desks = np.arange(rooms[-1] + 1, spaces)
    parent = np.full(spaces, -1, np.int32)
    parent[1 : 1 + levels] = 0
    parent[rooms] = random.integers(1, 1 + levels, len(rooms))
    parent[desks] = random.choice(rooms, len(desks))
    desk = np.arange(spaces) >= desks[0]
    kind = random.integers(1, 4, channels).astype(np.uint8)
    space = random.integers(rooms[0], spaces, channels).astype(np.int32)
    occupancy = Occupancy(
        parent=parent,
        desk=desk,
        counted=np.arange(spaces) >= rooms[0],
        kind=kind,
        space=space,
        hold_ms=np.full(channels, HOLD_MS, np.int64),
        interval_ms=np.full(channels, EVERY_MS, np.int64),
    )
    return Building(occupancy, kind, space)


def day(channels: int) -> Building:
    """Return a building of which every channel spoke, at most ten minutes ago."""
    made = building(channels)
    random = np.random.default_rng(4)
    values = random.integers(0, 3, channels).tolist()
    observed_ms = (NOW - random.integers(0, EVERY_MS, channels)).tolist()
    for start in range(0, channels, 5_000):
        rows = range(start, min(start + 5_000, channels))
        part = slice(start, rows.stop)
        flags = [0] * len(rows)
        made.occupancy.apply(rows, values[part], observed_ms[part], flags, NOW)
    return made


def ticking(occupancy: Occupancy, now_ms: int) -> Callable[[], None]:
    """Return a function that ticks, a little later each time."""
    now = now_ms

    def tick() -> None:
        nonlocal now
        now += TICK_MS
        occupancy.tick(now)

    return tick


@pytest.mark.benchmark(group="tick")
@SIZES
def bench_tick(benchmark: BenchmarkFixture, channels: int) -> None:
    occupancy, _, space = day(channels)
    occupancy.tick(NOW)
    benchmark(ticking(occupancy, NOW))
    benchmark.extra_info["channels"] = channels
    benchmark.extra_info["bytes_per_channel"] = occupancy.channel_bytes / channels
    known = np.isin(occupancy.state, (State.FREE, State.OCCUPIED, State.LIKELY))
    assert known[space].all()
    assert occupancy.known[0] == np.unique(space).size


@pytest.mark.benchmark(group="tick")
@SIZES
def bench_tick_when_all_are_late(benchmark: BenchmarkFixture, channels: int) -> None:
    occupancy, *_ = day(channels)
    late = NOW + 2 * EVERY_MS + 1
    occupancy.tick(late)
    benchmark(ticking(occupancy, late))
    benchmark.extra_info["channels"] = channels
    assert not (occupancy.state == State.OCCUPIED).any()
    assert (occupancy.state == State.LIKELY).any()


@pytest.mark.benchmark(group="tick")
@SIZES
def bench_numpy_alone(benchmark: BenchmarkFixture, channels: int) -> None:
    """The floor: one pass each for age, freshness, value and the two reductions."""
    _, kind, space = building(channels)
    order = np.lexsort((space, kind))
    run = np.diff(kind[order].astype(np.int64) << 32 | space[order], prepend=-1)
    first = np.flatnonzero(run)
    spaces = space[order][first]
    random = np.random.default_rng(4)
    heard_ms = NOW - random.integers(0, EVERY_MS, channels)
    value = random.integers(0, 3, channels).astype(np.int32)
    late_ms = np.full(channels, 2 * EVERY_MS, np.int32)
    age = np.empty(channels, np.int64)
    fresh = np.empty(channels, np.bool_)
    key = np.empty(channels, np.int32)
    best = np.zeros(channels // 10, np.int32)

    def passes() -> int:
        np.subtract(NOW, heard_ms, out=age)
        np.less_equal(age, late_ms, out=fresh)
        np.multiply(value, fresh, out=key)
        best[spaces] = np.maximum.reduceat(key, first)
        return int(np.maximum.reduceat(heard_ms, first).max())

    newest = benchmark(passes)
    benchmark.extra_info["channels"] = channels
    assert newest == heard_ms.max()
    assert best.max() == 2


@pytest.mark.benchmark(group="apply")
@pytest.mark.parametrize("readings", [1, 3, 100, 5_000])
def bench_apply(benchmark: BenchmarkFixture, readings: int) -> None:
    """Distinct channels in random order, each reading new."""
    occupancy, *_ = day(100_000)
    random = np.random.default_rng(5)
    channels = random.choice(100_000, readings, replace=False).tolist()
    values, flags = [1] * readings, [0] * readings
    times = iter(range(NOW + 1, NOW + 10_000_000))
    applied = 0

    def apply() -> None:
        nonlocal applied
        now = next(times)
        result = occupancy.apply(channels, values, [now] * readings, flags, now)
        applied = result.applied

    benchmark(apply)
    benchmark.extra_info["readings"] = readings
    assert applied == readings


@pytest.mark.benchmark(group="apply")
def bench_apply_with_repeats(benchmark: BenchmarkFixture) -> None:
    """A burst of 5,000 in which channels occur several times."""
    occupancy, kind, _ = day(10_000)
    random = np.random.default_rng(6)
    channels = random.integers(0, 1_000, 5_000).tolist()
    values, flags = random.integers(0, 2, 5_000).tolist(), [0] * 5_000
    last = dict(zip(channels, values, strict=True))
    times = iter(range(NOW + 1, NOW + 100_000_000, 10_000))
    now = NOW

    def apply() -> None:
        nonlocal now
        now = next(times) + 5_000
        observed_ms = list(range(now - 5_000, now))
        result = occupancy.apply(channels, values, observed_ms, flags, now)
        assert result.applied == 5_000

    benchmark(apply)
    benchmark.extra_info["readings"] = 5_000
    watched = next(c for c in last if kind[c] == ReadingKind.PRESENCE)
    row = occupancy.export(np.array([watched], np.int32))
    assert int.from_bytes(row[:4], "little", signed=True) == last[watched]
