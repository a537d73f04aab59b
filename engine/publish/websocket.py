"""The WebSocket transport: `/v1/live`, frames written straight to the transport.

uvicorn hands over the connection and the bytes of the handshake. `websockets` parses
and answers frames without touching a socket; snapshots and deltas bypass it, since the
hub has framed them already for everyone.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from engine.codec import Wire
from engine.errors import (
    BadRequest,
    EngineError,
    Forbidden,
    NotFound,
    TooMany,
    Unauthorized,
)
from engine.publish.frames import Framing, Hello, Refusal, client_message, control
from engine.publish.handshake import (
    FRAMING_BY_SUBPROTOCOL,
    bearer,
    objection,
    refusal,
    select_subprotocol,
)
from engine.publish.origin import peer_address
from engine.publish.topic import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from engine.publish.frames import ClientMessage
    from engine.publish.live import Grant, Live

STALLED = 4001
GOING_AWAY = 4002
UNAUTHORISED = 4501
BAD_MESSAGE = 4502
_INVALID_DATA = 1007
_TRY_AGAIN_LATER = 1013

_PARSED_BYTES = 16 * 1024
"""Parsed before the budget of frames is looked at; and of a client that was sent away,
parsed at all: its answer to the close comes after what it had sent before."""
_SWITCHING = 101
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})

_Asked = TypeVar("_Asked")

# `websockets` prints whole frames at DEBUG: tokens would end in a log.
_SILENT = logging.Logger("websocket")  # noqa: LOG001 - out of reach of any settings
_SILENT.disabled = True


class LiveSocket(asyncio.Protocol):
    """One client's socket, from its handshake to its end."""

    def __init__(
        self,
        config: Config,  # noqa: ARG002 - uvicorn names its arguments
        server_state: ServerState,
        app_state: dict[str, object],  # noqa: ARG002 - likewise
        *,
        live: Live,
        left: Callable[[str | None], None] = lambda _address: None,
    ) -> None:
        """Take over a connection.

        Args:
            config: Of uvicorn.
            server_state: Where uvicorn keeps the connections that it ends.
            app_state: Of the application.
            live: What every socket shares.
            left: Is told the peer's address when the connection is gone.
        """
        self._live = live
        self._left = left
        self._connections = cast("set[object]", server_state.connections)
        self._conn = ServerProtocol(
            select_subprotocol=select_subprotocol,
            max_size=live.limits.message_bytes,
            logger=_SILENT,
        )
        self.transport: asyncio.Transport
        self._peer: str | None = None
        self._subscriber: Subscriber | None = None
        self._framing = Framing.TEXT
        self._expires_at_ms: int | None = None
        self._message = bytearray()
        self._opcode = Opcode.TEXT
        self._budget = live.limits.frames_per_s
        self._paused = False
        self._unsent_bytes = 0
        self._since = 0.0  # since when unknown, clogged or closing
        self._closing = False
        self._last_bytes = 0  # that came while closing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound what a reader that stalls can hold."""
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._live.sockets.add(self)
        self._since = _loop_time()
        limits = self._live.limits
        self.transport.set_write_buffer_limits(high=limits.high_water_bytes, low=0)
        tcp = transport.get_extra_info("socket")
        peername = transport.get_extra_info("peername")
        self._peer = peername[0] if isinstance(peername, tuple) else None
        if tcp is not None and tcp.family != socket.AF_UNIX:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.kernel_bytes)
            _give_up_after(tcp, limits.stalled_s + limits.linger_s)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the API
        """Forget the client."""
        self._forget()
        self._closing = True
        self._connections.discard(self)
        self._live.sockets.discard(self)
        self._left(self._peer)

    def eof_received(self) -> bool | None:
        """Let the transport close itself."""
        return None

    def data_received(self, data: bytes) -> None:
        """Parse what the client sent, in pieces that cannot hold the loop for long."""
        for start in range(0, len(data), _PARSED_BYTES):
            piece = data[start : start + _PARSED_BYTES]
            if self._closing and not self._may_answer(piece):
                return
            self._conn.receive_data(piece)
            for event in self._conn.events_received():
                if isinstance(event, Request):
                    self._open(event)
                elif isinstance(event, Frame) and not self._closing:
                    self._take(event)
            if self._conn.parser_exc is not None and not self._closing:
                self._live.bad_messages += 1
            self._flush()

    def _may_answer(self, piece: bytes) -> bool:
        """Say whether a piece may hold the answer to our close; if not, read no more.

        Whoever floods us while we wait for that answer is not worth a look.
        """
        if self._conn.state is not State.CLOSING:
            return False  # it has answered, and its end is still to be read
        self._last_bytes += len(piece)
        if self._last_bytes <= _PARSED_BYTES:
            return True
        if not self.transport.is_closing():
            self.transport.pause_reading()
        return False

    def pause_writing(self) -> None:
        """Stop writing to a client that does not read, and stop reading from it.

        Whoever does not take answers may not ask for more of them.
        """
        self._paused = True
        self._since = _loop_time()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self.transport.pause_reading()
        if self._subscriber is not None:
            self._live.hub.pause(self._subscriber)

    def resume_writing(self) -> None:
        """Send what was missed; in a turn of its own, never inside of a write."""
        self._paused = False
        self.transport.resume_reading()
        asyncio.get_running_loop().call_soon(self._catch_up)

    def shutdown(self) -> None:
        """Send the client away; uvicorn calls it when the server stops."""
        retry_ms = random.randint(0, self._live.limits.retry_ms)  # noqa: S311 - a spread
        self.close(GOING_AWAY, f"retry_ms={retry_ms}")

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake; `sweep` cuts what does not end.

        Args:
            code: 4000 to 4499 come back, 4500 to 4999 do not.
            reason: One of ours, never anything from outside.
        """
        if self._closing:
            return
        self._forget()
        self._closing = True
        self._since = _loop_time()
        if self._conn.state is not State.OPEN:
            self.transport.close()
            return
        self._conn.send_close(code, reason)
        self._flush()
        if self._paused:
            self.transport.resume_reading()

    def sweep(self, now: float, now_ms: int) -> None:
        """Check the limits that need a clock.

        Args:
            now: The loop's clock, seconds.
            now_ms: The wall clock.
        """
        self._budget = self._live.limits.frames_per_s
        limits = self._live.limits
        age_s = now - self._since
        if self._closing:
            if age_s >= limits.linger_s:
                self.transport.abort()
        elif self._expires_at_ms is not None and now_ms >= self._expires_at_ms:
            self.close(UNAUTHORISED, "the token expired")
        elif self._subscriber is None:
            if age_s >= limits.token_s:
                self.close(UNAUTHORISED, "no token came")
        elif self._paused:
            self._check_progress(now, age_s)

    def _check_progress(self, now: float, age_s: float) -> None:
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes < self._unsent_bytes:
            self._since = now
        elif age_s >= self._live.limits.stalled_s:
            self._live.stalled += 1
            self.close(STALLED, "nothing was read for too long")
        self._unsent_bytes = unsent_bytes

    def _catch_up(self) -> None:
        if self._subscriber is not None and not self._paused:
            self._live.hub.resume(self._subscriber)

    def _forget(self) -> None:
        if self._subscriber is not None:
            self._live.hub.leave(self._subscriber)
            self._subscriber = None

    def _flush(self) -> None:
        """Write the answers of the protocol: handshake, pongs, close."""
        writes = self._conn.data_to_send()
        if not writes or self.transport.is_closing():
            return
        data = b"".join(writes)
        if data:
            self.transport.write(data)
        if SEND_EOF in writes:
            self._closing = True
            self._since = _loop_time()
            self._forget()
            self.transport.write_eof()

    def _open(self, request: Request) -> None:
        """Answer the handshake."""
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        error = objection(request, self._live)
        grant = None
        if error is None:
            token = bearer(headers)
            grant = self._authorise(token, headers)
            if token is not None and grant is None:
                error = Unauthorized("This token is not accepted.")
        response = self._conn.accept(request)
        if error is not None or response.status_code != _SWITCHING:
            self._live.refused += 1
            self._conn.send_response(refusal(error, response))
            return
        self._conn.send_response(response)
        self._flush()
        if self._conn.subprotocol is not None:
            self._framing = FRAMING_BY_SUBPROTOCOL[self._conn.subprotocol]
        live = self._live
        hello = Hello(live.server, live.tick_ms, live.heartbeat_s)
        self.transport.write(control(hello, self._framing))
        if grant is not None:
            self._attempt(self._admit, grant)

    def _authorise(self, token: str | None, headers: Mapping[str, str]) -> Grant | None:
        peer = peer_address(self._peer, headers, self._live.proxies)
        return self._live.authorise(token, peer, headers)

    def _admit(self, grant: Grant) -> None:
        """Let the client follow levels, or renew that."""
        known = self._subscriber
        if known is not None and known.tenant != grant.tenant:
            raise Forbidden("This socket belongs to another tenant.")
        self._expires_at_ms = grant.expires_at_ms
        if known is None:
            subscriber = Subscriber(
                grant.tenant, self._framing, self.transport.write, self.shutdown
            )
            self._live.hub.join(subscriber)
            subscriber.paused = self._paused
            self._subscriber = subscriber

    def _take(self, frame: Frame) -> None:
        """Put the fragments of a message together, within size and number."""
        self._spend(1)
        if self._closing or frame.opcode not in _DATA:
            return
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        self._message += frame.data
        if frame.fin:
            payload, self._message = self._message, bytearray()
            self._answer(payload)

    def _answer(self, payload: bytearray) -> None:
        """Do what a message asks for, or say why not."""
        wire = Wire.JSON if self._opcode is Opcode.TEXT else Wire.MSGPACK
        try:
            message = client_message(payload, wire)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self._refuse(payload)
        else:
            self._attempt(self._obey, message)

    def _attempt(self, act: Callable[[_Asked], None], asked: _Asked) -> None:
        try:
            act(asked)
        except (Unauthorized, Forbidden) as error:
            self._report(error)
            self.close(UNAUTHORISED, "not authorised")
        except TooMany as error:
            self._report(error)
            if self._subscriber is None:
                self.close(_TRY_AGAIN_LATER, "every stream is taken")

    def _obey(self, message: ClientMessage) -> None:
        if message.token is not None:
            grant = self._authorise(message.token, {})
            if grant is None:
                raise Unauthorized("This token is not accepted.")
            self._admit(grant)
        subscriber = self._subscriber
        if subscriber is None:
            raise Unauthorized("Send a token first.")
        self._spend(len(message.subscribe) + len(message.unsubscribe))
        if self._closing:
            return
        for level in message.unsubscribe:
            self._live.hub.unsubscribe(subscriber, level)
        for level in message.subscribe:
            try:
                self._live.hub.subscribe(subscriber, level, message.resume.get(level))
            except NotFound as error:
                self._report(error, level)

    def _spend(self, cost: int) -> None:
        self._budget -= cost
        if self._budget < 0 and not self._closing:
            self._live.bad_messages += 1
            self._report(TooMany("Too many messages."))
            self.close(BAD_MESSAGE, "too many messages")

    def _refuse(self, payload: bytearray) -> None:
        """Close because of a message that is none of ours, without repeating it."""
        self._live.bad_messages += 1
        try:
            if self._opcode is Opcode.TEXT:
                payload.decode()
        except UnicodeDecodeError:
            self.close(_INVALID_DATA, "text that is not UTF-8")
            return
        self._report(BadRequest("Send subscribe, resume, unsubscribe or token."))
        self.close(BAD_MESSAGE, "not a message of this protocol")

    def _report(self, error: EngineError, level: str | None = None) -> None:
        refusal = Refusal(error.code, str(error), error.retryable, level)
        self.transport.write(control(refusal, self._framing))


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _give_up_after(tcp: socket.socket, limit_s: float) -> None:
    """Have the kernel cut a peer that vanished without a word, where it can."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        tcp.setsockopt(socket.IPPROTO_TCP, option, int(limit_s * 1000))
