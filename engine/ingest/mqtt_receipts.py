"""Receipts: what a session still owes the broker, acknowledged in order, once done.

Rules of this file:

- a receipt belongs to the window that opened it, and a window to one connection. Packet
  ids start anew with each connection, so a receipt that comes back after its connection
  has ended writes nothing: the broker sends those messages again;
- packet ids are acknowledged in the order in which their messages came (MQTT 4.6), so
  one slow receipt holds back the later ones and nothing else;
- nothing is unbounded: with too much outstanding the window stops the reading, at QoS 0
  too, and starts it again when half of it is done.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Meter:
    """What a link has done and what it still owes, as plain numbers to be read.

    Attributes:
        received: Messages handed to the sink, repeated ones counted again.
        received_bytes: Bytes of packets received, headers included.
        chunks: Calls of the sink.
        acknowledged: Messages acknowledged to the broker (QoS 1).
        refused: Messages refused because of what they hold: acknowledged, not handed
            over, so that a poisonous one is gone after one delivery.
        pauses: Times that the reading was stopped because too much was outstanding.
        connects: Sessions that reached their subscriptions.
        acks_outstanding: Messages that wait for their acknowledgement now.
        outstanding: Messages, of QoS 0 too, whose receipts are not done now.
        outstanding_bytes: Bytes of the chunks whose receipts are not done now.
        peak_outstanding: The most that `outstanding` has been.
    """

    __slots__ = (
        "acknowledged",
        "acks_outstanding",
        "chunks",
        "connects",
        "outstanding",
        "outstanding_bytes",
        "pauses",
        "peak_outstanding",
        "received",
        "received_bytes",
        "refused",
    )

    def __init__(self) -> None:
        self.received = 0
        self.received_bytes = 0
        self.chunks = 0
        self.acknowledged = 0
        self.refused = 0
        self.pauses = 0
        self.connects = 0
        self.acks_outstanding = 0
        self.outstanding = 0
        self.outstanding_bytes = 0
        self.peak_outstanding = 0


class Receipt:
    """One received chunk, to be given back when its effect is durable.

    Attributes:
        messages: How many messages the chunk brought.
        size: Bytes of the chunk.
    """

    __slots__ = ("_done", "_ids", "_window", "messages", "size")

    def __init__(
        self, window: Window, ids: Sequence[int], messages: int, size: int
    ) -> None:
        self._window = window
        self._ids = ids
        self._done = False
        self.messages = messages
        self.size = size

    def done(self) -> None:
        """Acknowledge every message of the chunk; the effect of all of them is durable.

        Writes at once if nothing earlier is still open, else right after it. Does
        nothing the second time, and nothing when the connection is another one by now.
        Must be called in the thread of the event loop.
        """
        self._done = True
        self._window.settle()

    @property
    def ids(self) -> Sequence[int]:
        """Packet ids to acknowledge; empty at QoS 0."""
        return self._ids

    @property
    def is_done(self) -> bool:
        """Whether `done` was called."""
        return self._done


class Window:
    """The receipts of one connection, oldest first.

    Args:
        meter: Where the link's numbers are kept.
        acknowledge: Writes the acknowledgements of these packet ids at once.
        pause: Stops the reading from the connection.
        resume: Starts it again.
        max_messages: With this many messages outstanding the reading stops.
        max_bytes: With this many bytes outstanding the reading stops. The most there
            ever is are these limits and one chunk.
    """

    def __init__(  # noqa: PLR0913 - two limits and what to do at each side of them
        self,
        *,
        meter: Meter,
        acknowledge: Callable[[Sequence[int]], None],
        pause: Callable[[], None],
        resume: Callable[[], None],
        max_messages: int,
        max_bytes: int,
    ) -> None:
        self.paused = False
        self._meter = meter
        self._acknowledge = acknowledge
        self._pause = pause
        self._resume = resume
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._receipts: deque[Receipt] = deque()
        self._closed = False

    def open(self, ids: Sequence[int], messages: int, size: int) -> Receipt:
        """Return the receipt of a chunk, and stop the reading if it was the last drop.

        Args:
            ids: Packet ids of the chunk's QoS 1 messages, in the order of arrival.
            messages: All messages of the chunk.
            size: Its bytes.
        """
        receipt = Receipt(self, ids, messages, size)
        self._receipts.append(receipt)
        meter = self._meter
        meter.acks_outstanding += len(ids)
        meter.outstanding += messages
        meter.outstanding_bytes += size
        meter.peak_outstanding = max(meter.peak_outstanding, meter.outstanding)
        if not self.paused and not self._within(1):
            self.paused = True
            meter.pauses += 1
            self._pause()
        return receipt

    def settle(self) -> None:
        """Acknowledge the oldest receipts as far as they are done."""
        if self._closed:
            return
        receipts = self._receipts
        while receipts and receipts[0].is_done:
            receipt = receipts.popleft()
            self._leave(receipt)
            if receipt.ids:
                self._meter.acknowledged += len(receipt.ids)
                self._acknowledge(receipt.ids)
        if self.paused and self._within(2):
            self.paused = False
            self._resume()

    def close(self) -> None:
        """End with the connection: from now on no receipt writes anything."""
        self._closed = True
        while self._receipts:
            self._leave(self._receipts.popleft())

    def _leave(self, receipt: Receipt) -> None:
        self._meter.acks_outstanding -= len(receipt.ids)
        self._meter.outstanding -= receipt.messages
        self._meter.outstanding_bytes -= receipt.size

    def _within(self, share: int) -> bool:
        """Whether less than one `share`-th of both limits is outstanding."""
        return (
            self._meter.outstanding * share < self._max_messages
            and self._meter.outstanding_bytes * share < self._max_bytes
        )
