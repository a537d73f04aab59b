"""The HTTP protocol: uvicorn's, with the time limits that it lacks.

uvicorn lets a client take for ever to send its first byte, its headers or its body, and
to read the answer. Here one sweep a second looks at what each connection waits for and
since when; no timer is set for a byte.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n"
_EMPTY = b"connection: close\r\ncontent-length: 0\r\n\r\n"


class _TypesOnly(logging.Filter):
    """Keeps payloads out of the log: of an exception only its type is told."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0] is not None:
            record.msg = f"{str(record.msg).strip()} ({record.exc_info[0].__name__})"
            record.exc_info = None
            record.exc_text = None
        return True


_LOGGER = logging.getLogger("engine.publish.http")
_LOGGER.addFilter(_TypesOnly())
_LOGGER.setLevel(logging.INFO)


class Phase(Enum):
    """What a connection waits for; its name is the label of what was cut."""

    FIRST_BYTE = "first_byte"
    IDLE = "idle"
    HEADERS = "headers"
    BODY = "body"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one connection may take.

    Attributes:
        first_byte_s: From the connection to its first byte.
        idle_s: Between two requests.
        headers_s: From the first byte of a request to the last of its headers.
        header_bytes: Of request line and headers.
        body_window_s: A body must bring `body_bytes_per_s` over each such window.
        body_bytes_per_s: Slower than any modem, faster than an attack can afford.
        stalled_s: Without one byte of the answer taken by the kernel.
        connections: Open at once, sockets included; the next one gets a 503.
        per_address: Of those, from one address; None behind a proxy.
    """

    first_byte_s: float = 5.0
    idle_s: float = 75.0
    headers_s: float = 10.0
    header_bytes: int = 64 * 1024
    body_window_s: float = 5.0
    body_bytes_per_s: int = 100
    stalled_s: float = 30.0
    connections: int = 12_000
    per_address: int | None = None


@dataclass(slots=True)
class Gate:
    """How many connections are open, and what became of the bad ones.

    Attributes:
        limits: What one connection may take.
        open: Connections, sockets included.
        refused: Turned away because too many were open.
        cut: Connections cut for being slow, by what they were waited for.
    """

    limits: HttpLimits = field(default_factory=HttpLimits)
    open: int = 0
    refused: int = 0
    cut: Counter[str] = field(default_factory=Counter)
    _open_by_address: Counter[str | None] = field(default_factory=Counter)

    def enter(self, address: str | None) -> bool:
        """Count a connection in; False: it must be turned away."""
        per_address = self.limits.per_address
        full = self.open >= self.limits.connections or (
            per_address is not None and self._open_by_address[address] >= per_address
        )
        if full:
            self.refused += 1
            return False
        self.open += 1
        self._open_by_address[address] += 1
        return True

    def leave(self, address: str | None) -> None:
        """Count a connection out that `enter` let in."""
        self.open -= 1
        self._open_by_address[address] -= 1
        if self._open_by_address[address] <= 0:
            del self._open_by_address[address]


class HttpConnection(HttpToolsProtocol):
    """One HTTP connection, until it ends or becomes a socket.

    Attributes:
        phase: What it waits for.
        phase_bytes: What came of it: header bytes, or body bytes in this window.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        gate: Gate,
    ) -> None:
        """Take the arguments of uvicorn, and what all connections share."""
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _LOGGER
        self._gate = gate
        self._address: str | None = None
        self._admitted = False
        self.phase = Phase.FIRST_BYTE
        self._since = 0.0
        self.phase_bytes = 0
        self._unsent_bytes = 0
        self._unsent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the connection in, or turn it away."""
        peername = transport.get_extra_info("peername")
        self._address = peername[0] if isinstance(peername, tuple) else None
        self._admitted = self._gate.enter(self._address)
        self._since = self.loop.time()
        super().connection_made(transport)
        if not self._admitted:
            transport.write(_FULL + _EMPTY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        if self._admitted:
            self._gate.leave(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and bound what headers may hold."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.phase is Phase.HEADERS:
            self.phase_bytes += len(data)
            if self.phase_bytes > self._gate.limits.header_bytes:
                self._cut(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Start the clock of the headers."""
        super().on_message_begin()
        self._enter(Phase.HEADERS)

    def on_headers_complete(self) -> None:
        """Start the clock of the body."""
        self._enter(Phase.BODY)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count what came."""
        self.phase_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clocks: now we are the ones who are waited for."""
        super().on_message_complete()
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none yet: an upgrade
        answered = cycle is not None and cycle.response_complete
        self._enter(Phase.IDLE if answered else Phase.ANSWER)

    def on_response_complete(self) -> None:
        """Start the clock of the next request."""
        super().on_response_complete()
        self._unset_keepalive_if_required()  # a timer that any line break would stop
        if self.phase is Phase.ANSWER and self.cycle.response_complete:
            self._enter(Phase.IDLE)

    def handle_websocket_upgrade(self) -> None:
        """Give the connection to the socket; from here on it counts it out."""
        self._admitted = False
        super().handle_websocket_upgrade()
        # The parser and this object hold each other: do not wait for the collector.
        self.parser = cast("Any", None)

    def sweep(self, now: float) -> None:
        """Cut the connection if what it waits for takes too long.

        Args:
            now: The loop's clock, seconds.
        """
        if self._unread_for(now) >= self._gate.limits.stalled_s:
            self._gate.cut[Phase.ANSWER.value] += 1
            self.transport.abort()
        elif not self.transport.is_closing() and self._late(now):
            self._gate.cut[self.phase.value] += 1
            self._cut(_TIMEOUT)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._since = self.loop.time()
        self.phase_bytes = 0

    def _late(self, now: float) -> bool:
        """Say whether the client has used up the time of its phase."""
        limits = self._gate.limits
        age_s = now - self._since
        match self.phase:
            case Phase.FIRST_BYTE:
                return age_s >= limits.first_byte_s
            case Phase.IDLE:
                return age_s >= limits.idle_s
            case Phase.HEADERS:
                return age_s >= limits.headers_s
            case Phase.BODY:
                return self._body_late(age_s)
            case Phase.ANSWER:
                return False

    def _body_late(self, age_s: float) -> bool:
        limits = self._gate.limits
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._enter(Phase.BODY)  # it is we who do not read
            return False
        if age_s < limits.body_window_s:
            return False
        late = self.phase_bytes < limits.body_bytes_per_s * age_s
        self._enter(Phase.BODY)
        return late

    def _unread_for(self, now: float) -> float:
        """Return for how long the client has taken nothing of what waits for it."""
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes == 0 or not 0 < self._unsent_bytes <= unsent_bytes:
            self._unsent_since = now
        self._unsent_bytes = unsent_bytes
        return now - self._unsent_since

    def _cut(self, status: bytes) -> None:
        """Close, and say why if no answer is under way."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self.phase is Phase.HEADERS and (cycle is None or cycle.response_complete):
            self.transport.write(status + _EMPTY)
        elif self.phase is Phase.BODY and cycle and not cycle.response_started:
            self.transport.write(status + _EMPTY)
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()
