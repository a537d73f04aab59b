"""What encoding costs, by rows and wire, beside msgspec on lists that are ready.

The question: how much of a frame's encoding is the way from numpy columns to nulls and
ages, which happens once per level and tick, not once per subscriber.
`pytest benchmarks/bench_codec.py` measures, `--benchmark-disable` only checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np
import pytest

from engine.codec import DeltaMessage, SnapshotMessage, Wire, encode
from engine.model import Delta, Snapshot

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

M = TypeVar("M")
NOW = 1_792_580_400_000
WIRES = pytest.mark.parametrize("wire", Wire)
ROWS = pytest.mark.parametrize("rows", [1, 100, 1_000])


def snapshot(rows: int) -> Snapshot:
    random = np.random.default_rng(7)
    return Snapshot(
        level="hq/3",
        plan="0123456789ab",
        epoch="9f3c9f3c9f3c9f3c",
        offset=17,
        at_ms=NOW,
        state=random.integers(0, 5, rows).astype(np.uint8),
        count=random.integers(-1, 9, rows).astype(np.int32),
        confidence=random.integers(0, 101, rows).astype(np.uint8),
        since_ms=NOW - random.integers(0, 3_600_000, rows),
    )


def delta(rows: int) -> Delta:
    now = snapshot(rows)
    return Delta(
        level=now.level,
        epoch=now.epoch,
        prev=16,
        offset=17,
        at_ms=NOW,
        index=np.arange(rows, dtype=np.int32),
        state=now.state,
        count=now.count,
        confidence=now.confidence,
        since_ms=now.since_ms,
    )


@pytest.mark.benchmark(group="encode snapshot")
@WIRES
@ROWS
def bench_snapshot(benchmark: BenchmarkFixture, wire: Wire, rows: int) -> None:
    message = snapshot(rows)
    payload = benchmark(encode, message, wire)
    benchmark.extra_info["bytes"] = len(payload)
    read = _decode(payload, wire, SnapshotMessage)
    assert read.state == message.state.tolist()


@pytest.mark.benchmark(group="encode delta")
@WIRES
@ROWS
def bench_delta(benchmark: BenchmarkFixture, wire: Wire, rows: int) -> None:
    message = delta(rows)
    payload = benchmark(encode, message, wire)
    benchmark.extra_info["bytes"] = len(payload)
    assert _decode(payload, wire, DeltaMessage).index == message.index.tolist()


@pytest.mark.benchmark(group="encode snapshot")
@WIRES
@ROWS
def bench_msgspec_alone(benchmark: BenchmarkFixture, wire: Wire, rows: int) -> None:
    """The floor: the same message with its lists already made."""
    message = _decode(encode(snapshot(rows), wire), wire, SnapshotMessage)
    floor = msgspec.json.encode if wire is Wire.JSON else msgspec.msgpack.encode
    payload = benchmark(floor, message)
    assert payload == encode(snapshot(rows), wire)


def _decode(payload: bytes, wire: Wire, kind: type[M]) -> M:
    decode = msgspec.json.decode if wire is Wire.JSON else msgspec.msgpack.decode
    return decode(payload, type=kind)
