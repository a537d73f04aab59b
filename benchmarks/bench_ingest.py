"""What it costs to read messages off the wire and to acknowledge them.

The question: how much does the session add to its codec? `codec` reads the packets of
the workload and nothing else; `reader` also keeps ends, sizes and contents in bounds;
`session` is a whole one with receipts that are given back at once. A round is 10,000
messages in chunks of 64 KiB.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import mqtt5
import pytest

from benchmarks.load_ingest import ACK_BYTES, Wire, welcome
from benchmarks.workload import chunks, packets
from engine.ingest.mqtt_receipts import Meter
from engine.ingest.mqtt_v5_session import Session
from engine.ingest.mqtt_wire import Reader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

    from benchmarks.workload import Workload
    from engine.ingest.mqtt import Message, Receipt
    from engine.ingest.mqtt_wire import Item


def read(cut: Sequence[bytes]) -> list[mqtt5.PublishPacket]:
    """Return the messages of a stream as a session hands them over."""
    reader = Reader(1 << 20)
    items: list[Item] = list(chain.from_iterable(reader.feed(c)[0] for c in cut))
    return [item for item in items if isinstance(item, mqtt5.PublishPacket)]


@pytest.mark.benchmark(group="wire")
def bench_codec(benchmark: BenchmarkFixture, day: Workload) -> None:
    view = memoryview(b"".join(packets(day.messages)))

    def run() -> int:
        at = number = 0
        while at < len(view):
            _, size = mqtt5.read(view[at:])
            at += size
            number += 1
        return number

    benchmark.extra_info["messages"] = len(day.messages)
    assert benchmark(run) == len(day.messages)


@pytest.mark.benchmark(group="wire")
def bench_reader(benchmark: BenchmarkFixture, day: Workload) -> None:
    cut = chunks(b"".join(packets(day.messages)))

    def run() -> int:
        reader = Reader(1 << 20)
        return sum(len(reader.feed(chunk)[0]) for chunk in cut)

    benchmark.extra_info["messages"] = len(day.messages)
    assert benchmark(run) == len(day.messages)


@pytest.mark.benchmark(group="wire")
def bench_session(benchmark: BenchmarkFixture, day: Workload, tmp_path: Path) -> None:
    terms = day.site(tmp_path).terms["main"]
    cut = chunks(b"".join(packets(day.messages)))

    def sink(_messages: Sequence[Message], receipt: Receipt) -> None:
        receipt.done()

    def run() -> int:
        wire = Wire()
        session = Session(terms, None, sink, Meter(), lambda: None)
        session.connection_made(wire)
        for packet in welcome(len(terms.subscriptions)):
            session.data_received(packet)
        wire.written = 0
        for chunk in cut:
            session.data_received(chunk)
        return wire.written

    benchmark.extra_info["messages"] = len(day.messages)
    assert benchmark(run) == ACK_BYTES * len(day.messages)
