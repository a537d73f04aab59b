from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from engine.ingest.mqtt_receipts import Meter, Window

if TYPE_CHECKING:
    from collections.abc import Sequence


class Broker:
    """The other side of a window: what it was told, and whether it is read from."""

    def __init__(self, max_messages: int = 1_000, max_bytes: int = 1_000) -> None:
        self.writes: list[list[int]] = []
        self.reading = True
        self.meter = Meter()
        self.window = Window(
            meter=self.meter,
            acknowledge=self._acknowledge,
            pause=self._pause,
            resume=self._resume,
            max_messages=max_messages,
            max_bytes=max_bytes,
        )

    def _acknowledge(self, ids: Sequence[int]) -> None:
        self.writes.append(list(ids))

    def _pause(self) -> None:
        assert self.reading
        self.reading = False

    def _resume(self) -> None:
        assert not self.reading
        self.reading = True


def test_nothing_is_acknowledged_before_the_receipt_is_done() -> None:
    broker = Broker()
    receipt = broker.window.open([7, 8], 2, 100)
    assert broker.writes == []
    assert broker.meter.acks_outstanding == 2
    receipt.done()
    assert broker.writes == [[7, 8]]
    assert broker.meter.acks_outstanding == 0
    assert broker.meter.acknowledged == 2


def test_a_receipt_acknowledges_once() -> None:
    broker = Broker()
    receipt = broker.window.open([7], 1, 100)
    receipt.done()
    receipt.done()
    assert broker.writes == [[7]]
    assert broker.meter.outstanding == 0


def test_a_receipt_of_an_earlier_connection_writes_nothing() -> None:
    broker = Broker()
    receipt = broker.window.open([7], 1, 100)
    broker.window.close()
    receipt.done()
    assert broker.writes == []
    assert broker.meter.acknowledged == 0
    assert broker.meter.acks_outstanding == 0


def test_a_chunk_without_acknowledgements_counts_as_outstanding() -> None:
    broker = Broker()
    receipt = broker.window.open([], 3, 100)
    assert (broker.meter.outstanding, broker.meter.outstanding_bytes) == (3, 100)
    receipt.done()
    assert (broker.meter.outstanding, broker.meter.outstanding_bytes) == (0, 0)
    assert broker.writes == []


def test_the_reading_stops_at_the_limit_of_messages_and_starts_again_at_half() -> None:
    broker = Broker(max_messages=4)
    receipts = [broker.window.open([], 1, 0) for _ in range(4)]
    assert not broker.reading
    assert broker.meter.pauses == 1
    receipts[0].done()
    receipts[1].done()
    assert not broker.reading
    receipts[2].done()
    assert broker.reading


def test_the_reading_stops_at_the_limit_of_bytes() -> None:
    broker = Broker(max_bytes=500)
    receipt = broker.window.open([], 1, 500)
    assert not broker.reading
    receipt.done()
    assert broker.reading


def test_a_closed_window_neither_stops_nor_starts_the_reading() -> None:
    broker = Broker(max_messages=1)
    receipt = broker.window.open([], 1, 0)
    broker.window.close()
    receipt.done()
    assert not broker.reading


@given(
    st.lists(st.integers(0, 3), max_size=12),
    st.randoms(use_true_random=False),
)
def test_ids_are_acknowledged_in_the_order_of_arrival_whatever_is_done_first(
    sizes: list[int], random: object
) -> None:
    broker = Broker(max_messages=3)
    following = iter(range(1, 100))
    chunks = [[next(following) for _ in range(size)] for size in sizes]
    receipts = [broker.window.open(chunk, len(chunk), 10) for chunk in chunks]
    order = list(receipts)
    random.shuffle(order)  # type: ignore[attr-defined] # hypothesis has no type for it
    for receipt in order:
        receipt.done()
        written = [packet_id for write in broker.writes for packet_id in write]
        done_first = []
        for chunk, each in zip(chunks, receipts, strict=True):
            if not each.is_done:
                break
            done_first += chunk
        assert written == done_first
    assert broker.reading
    assert broker.meter.acks_outstanding == broker.meter.outstanding == 0
    assert broker.meter.outstanding_bytes == 0
