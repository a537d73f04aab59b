"""The MQTT link: keeps a session to one broker open and hands its messages over.

An acknowledgement is a promise that the *effect* of a message is safe, so it is given
only when the owner says so: the sink gets a receipt with the messages of each received
chunk, and `Receipt.done` acknowledges them. What was not acknowledged when a connection
or the engine ended is sent again by the broker.

`protocol = "auto"` speaks MQTT 5 and falls back to 3.1.1 where the broker says that it
does not, or hangs up without a word; what worked is kept until the link is built anew.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from enum import Enum
from typing import TYPE_CHECKING, Literal

import structlog

from engine.backoff import Backoff
from engine.errors import ConfigError
from engine.ingest import mqtt_v3, mqtt_v5
from engine.ingest.mqtt_receipts import Meter, Receipt
from engine.ingest.mqtt_session import (
    Credentials,
    Ended,
    Message,
    Reason,
    Retained,
    Serve,
    Sink,
    Subscription,
    Terms,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

__all__ = [
    "Credentials",
    "Ended",
    "Link",
    "LinkState",
    "Message",
    "Meter",
    "Reason",
    "Receipt",
    "Retained",
    "Sink",
    "Subscription",
    "Terms",
    "tls_context",
]

Version = Literal["5", "3.1.1"]

_SERVE: dict[Version, Serve] = {"5": mqtt_v5.serve, "3.1.1": mqtt_v3.serve}

_LASTED_S = 10.0
"""A session that was ready for so long starts the waits anew. A shorter one does not:
a broker that accepts and then throws out must not be knocked at without end."""

_FIRST_WAIT_S, _LAST_WAIT_S = 0.5, 5.0
"""A try is one connection, which a broker that came back refuses or takes at once; so
even after an outage of hours it is seldom more than seconds until we are back."""

_CALM_WAIT_S = 30.0
"""The longest wait where coming back soon would do harm; the shortest is half of it."""

_SUSPICIOUS = 3
"""After so many short sessions in a row that just broke off we wait longer. Mosquitto
2.0 closes a session that is taken over without saying why, in MQTT 3.1.1 nobody can."""

_log = structlog.get_logger()


class LinkState(Enum):
    """What a link is doing."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    READY = "ready"
    """Every subscription stands."""
    WAITING = "waiting"
    """Until it tries again."""


_NEXT: dict[LinkState, set[LinkState]] = {
    LinkState.STOPPED: {LinkState.CONNECTING},
    LinkState.CONNECTING: {LinkState.READY, LinkState.WAITING, LinkState.STOPPED},
    LinkState.READY: {LinkState.WAITING, LinkState.STOPPED},
    LinkState.WAITING: {LinkState.CONNECTING, LinkState.STOPPED},
}


class Link:
    """One source of messages, held open for as long as `run` runs.

    Args:
        name: What logs and metrics call it.
        terms: The broker and what to ask of it.
        sink: Gets the messages, see `Sink`.
        protocol: "5", "3.1.1", or "auto" to find out.
        backoff: Waits between tries; replaced in tests.
        sleep: Waits; replaced in tests.
        clock_s: Seconds that only grow; replaced in tests.

    Attributes:
        name: As given.
        meter: Numbers for the metrics.
        ended: How often sessions ended, by reason.
        version: The version of MQTT that is spoken, or tried next.
        last_error: Why the last session ended, "" while one is ready.
    """

    def __init__(  # noqa: PLR0913 - what it is, and what tests replace
        self,
        *,
        name: str,
        terms: Terms,
        sink: Sink,
        protocol: Literal["auto", "5", "3.1.1"] = "auto",
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.meter = Meter()
        self.ended: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.version: Version = "3.1.1" if protocol == "3.1.1" else "5"
        self.last_error = ""
        self._terms = terms
        self._sink = sink
        self._backoff = backoff or Backoff(
            _FIRST_WAIT_S,
            _LAST_WAIT_S,
            random.Random(),  # noqa: S311 - jitter
            calm_s=_CALM_WAIT_S,
        )
        self._sleep = sleep
        self._clock_s = clock_s
        self._state = LinkState.STOPPED
        self._ready_since = 0.0
        self._short_sessions = 0
        self._auto = protocol == "auto"
        # Whether a session was ready in `version`, or the broker said that it speaks
        # nothing newer.
        self._settled = False
        self._log = _log.bind(link=name)

    @property
    def state(self) -> LinkState:
        """What it is doing."""
        return self._state

    @property
    def ready(self) -> bool:
        """Whether every subscription stands: for the readiness page."""
        return self._state is LinkState.READY

    @property
    def reconnects(self) -> int:
        """Sessions after the first one."""
        return max(0, self.meter.connects - 1)

    async def run(self) -> None:
        """Connect, serve, wait, again, until cancelled; then end the session in order.

        Raises:
            Exception: What the sink raised: our own fault, so nothing is tried again.
        """
        self._enter(LinkState.CONNECTING)
        try:
            while True:
                wait_s = await self._session()
                self._enter(LinkState.WAITING)
                await self._sleep(wait_s)
                self._enter(LinkState.CONNECTING)
        finally:
            self._enter(LinkState.STOPPED)

    async def _session(self) -> float:
        """Serve one session to its end; return how many seconds to wait then."""
        version = self.version
        try:
            await _SERVE[version](self._terms, self._sink, self.meter, self._on_ready)
        except Ended as ended:
            # Kept without its traceback, which would keep this frame, and sockets.
            fault = ended.with_traceback(None)
        except ConfigError as error:
            # It was right at the start: a secret that is being exchanged, for instance.
            fault = Ended(Reason.REFUSED, str(error))
        else:
            msg = "a session ended without a reason"
            raise RuntimeError(msg)
        self.ended[fault.reason] += 1
        known, self.last_error = self.last_error, str(fault)
        wait_s = self._wait_s(fault.reason)
        log = self._log.bind(
            reason=fault.reason.value,
            error=self.last_error,
            protocol=version,
            retry_in_s=round(wait_s, 1),
        )
        # The same again is no news: a night's outage is some ten thousand tries.
        tell = log.debug if self.last_error == known else log.warning
        tell("broker session ended")
        return wait_s

    def _wait_s(self, reason: Reason) -> float:
        if self.ready and self._clock_s() - self._ready_since >= _LASTED_S:
            self._backoff.reset()
            self._short_sessions = 0
        elif self.ready and reason is Reason.LOST:
            self._short_sessions += 1
        if self._falls_back(reason):
            return 0.0
        # Two programs with one client id throw each other out, and a broker that is
        # busy bans those that keep knocking.
        calmly = reason in {Reason.TAKEN_OVER, Reason.BUSY}
        if self._short_sessions >= _SUSPICIOUS:
            calmly = True
            self.last_error += ", again and again: has another program our client id?"
        return self._backoff.next_s(calmly=calmly)

    def _on_ready(self, session_expiry_s: int) -> None:
        self._enter(LinkState.READY)
        self._ready_since = self._clock_s()
        self._settled = True
        self.last_error = ""
        self._log.info("broker session ready", protocol=self.version)
        if session_expiry_s < self._terms.session_expiry_s:
            self._log.warning(
                "the broker keeps messages for a shorter time than asked",
                asked_s=self._terms.session_expiry_s,
                granted_s=session_expiry_s,
            )

    def _falls_back(self, reason: Reason) -> bool:
        """Choose the version of the next try; return whether it need not wait."""
        if not self._auto:
            return False
        if self.version == "5":
            said_so = reason is Reason.UNSUPPORTED
            if said_so or (reason is Reason.HUNG_UP and not self._settled):
                self.version = "3.1.1"
                self._settled = said_so
                return True
        elif not self._settled:
            self.version = "5"
        return False

    def _enter(self, state: LinkState) -> None:
        if state not in _NEXT[self._state]:
            msg = f"a link that is {self._state.value} cannot become {state.value}"
            raise RuntimeError(msg)
        self._state = state


def tls_context(
    *, ca: Path | None = None, cert: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return what a link needs for TLS: the broker is verified, TLS 1.2 or newer.

    Args:
        ca: Certificates to trust, PEM; None trusts those of the system.
        cert: Our own certificate with its chain, PEM, where the broker wants one.
        key: Its key, PEM without a password; None if it is in `cert`.

    Raises:
        ConfigError: A file cannot be read or does not hold what it should.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError:  # ssl.SSLError is one
        raise ConfigError(f"cannot read PEM certificates from {ca}") from None
    if cert is None:
        if key is not None:
            raise ConfigError("a TLS key needs its certificate")
        return context
    try:
        # The empty password: ask nobody on the terminal if the key has one.
        context.load_cert_chain(cert, key, password="")
    except OSError:
        raise ConfigError(
            f"cannot read a PEM certificate and its key from {cert} and {key or cert}"
        ) from None
    return context
