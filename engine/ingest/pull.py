"""The pull link: keeps a connection that we open ourselves, and hands messages over.

Nothing can be acknowledged here. What was read of a stream when a connection ended, or
before, and is not safe yet, is asked for again where the source can replay: from the
time of sending of the last message whose effect is safe, less `OVERLAP_MS`, since
messages are not sent in the order of their times. The position is kept in memory alone:
an engine that starts anew begins with what comes from then on.

A source that refuses us (4xx) is asked again after minutes only; readiness and the log
say so.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import structlog

from engine.backoff import Backoff
from engine.errors import ConfigError
from engine.ingest.mqtt_receipts import Meter
from engine.ingest.mqtt_session import Ended, Reason
from engine.ingest.pull_modes import SERVE
from engine.ingest.pull_session import Intake, Mode, Terms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from engine.ingest.mqtt_session import Sink

__all__ = ["Mode", "Pull", "Terms"]

OVERLAP_MS = 60_000
"""In a recording of Cisco Spaces neighbours are up to 20 s out of order."""

_LASTED_S = 10.0
"""A connection that was ready for so long starts the waits anew."""

_FIRST_WAIT_S, _LAST_WAIT_S = 0.5, 30.0
_CALM_WAIT_S = 300.0
"""The longest wait where we are not wanted; the shortest is half of it."""

_CALM = frozenset({Reason.REFUSED, Reason.BUSY})

_log = structlog.get_logger()


class Pull:
    """One source of messages, kept open for as long as `run` runs.

    Args:
        name: What logs and metrics call it.
        terms: Where it is, and what to ask of it.
        sink: Gets the messages, see `mqtt_session.Sink`.
        clock_ms: Our clock: no position is ahead of it.
        backoff: Waits between tries; replaced in tests.
        sleep: Waits; replaced in tests.
        clock_s: Seconds that only grow; replaced in tests.

    Attributes:
        name: As given.
        meter: Numbers for the metrics.
        ended: How often connections ended, by reason.
        ready: Whether the other side agreed, and has not failed since.
        last_error: Why the last connection ended, "" while one is ready.
        safe_ms: Time of sending of the newest message whose effect is safe.
    """

    def __init__(  # noqa: PLR0913 - what it is, and what tests replace
        self,
        *,
        name: str,
        terms: Terms,
        sink: Sink,
        clock_ms: Callable[[], int],
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.meter = Meter()
        self.ended: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.ready = False
        self.last_error = ""
        self.safe_ms: int | None = None
        self._terms = terms
        self._sink = sink
        self._clock_ms = clock_ms
        self._backoff = backoff or Backoff(
            _FIRST_WAIT_S,
            _LAST_WAIT_S,
            random.Random(),  # noqa: S311 - jitter
            calm_s=_CALM_WAIT_S,
        )
        self._sleep = sleep
        self._clock_s = clock_s
        self._ready_since = 0.0
        self._log = _log.bind(link=name)

    @property
    def reconnects(self) -> int:
        """Connections after the first one."""
        return max(0, self.meter.connects - 1)

    async def run(self) -> None:
        """Connect, serve, wait, again, until cancelled.

        Raises:
            Exception: What the sink raised: our own fault, so nothing is tried again.
        """
        while True:
            fault = await self._serve()
            lasted = self.ready and self._clock_s() - self._ready_since >= _LASTED_S
            self.ready = False
            if lasted:
                self._backoff.reset()
            wait_s = self._backoff.next_s(calmly=fault.reason in _CALM)
            self._tell(fault, wait_s)
            await self._sleep(wait_s)

    async def _serve(self) -> Ended:
        """Serve one connection; return why it ended."""
        terms = self._terms
        intake = Intake(terms, self._sink, self.meter, self._on_safe)
        try:
            await SERVE[terms.mode](terms, intake, self._on_ready, self._since_ms())
        except Ended as ended:
            # Kept without its traceback, which would keep frames, and sockets.
            return ended.with_traceback(None)
        except ConfigError as error:
            # It was right at the start: a secret that is being exchanged, for instance.
            return Ended(Reason.REFUSED, str(error))
        finally:
            intake.close()

    def _tell(self, fault: Ended, wait_s: float) -> None:
        self.ended[fault.reason] += 1
        known, self.last_error = self.last_error, str(fault)
        # The same again is no news.
        tell = self._log.debug if self.last_error == known else self._log.warning
        tell(
            "pull ended",
            reason=fault.reason.value,
            error=self.last_error,
            retry_in_s=round(wait_s, 1),
        )

    def _on_ready(self) -> None:
        if self.ready:
            return
        self.ready = True
        self.last_error = ""
        self.meter.connects += 1
        self._ready_since = self._clock_s()
        self._log.info("pull ready")

    def _on_safe(self, sent_ms: Sequence[int]) -> None:
        newest_ms = max(sent_ms)
        if self.safe_ms is None or newest_ms > self.safe_ms:
            self.safe_ms = newest_ms

    def _since_ms(self) -> int | None:
        """Return from when on to replay; None: nothing of it was safe yet."""
        if self.safe_ms is None:
            return None
        # A time in the future would ask for what has not been sent yet.
        return max(0, min(self.safe_ms, self._clock_ms()) - OVERLAP_MS)
