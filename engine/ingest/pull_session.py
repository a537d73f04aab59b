"""What a pull link and its connections agree on: the terms, the intake, how one ends.

Each mode has a `serve` of one shape (`pull_modes.py`): it connects, calls `ready`,
hands messages to the intake, and ends only by raising: `Ended` when the other side or
the network is to blame, anything else is our own fault. None of its words holds what
the other side said, the secret, or more of the address than its host.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, NamedTuple, Never, Protocol, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    WebSocketException,
)
from websockets.frames import Close, CloseCode

from engine.errors import ConfigError
from engine.ingest.mqtt_receipts import Window
from engine.ingest.mqtt_session import Ended, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.ingest.mqtt_receipts import Meter
    from engine.ingest.mqtt_session import Sink

Mode: TypeAlias = Literal["stream", "poll", "websocket"]
"""`stream`: an answer without end, a message a line. `poll`: answers at intervals, each
one message. `websocket`: a message a frame."""

_SCHEMES: dict[Mode, tuple[str, str]] = {
    "stream": ("http", "https"),
    "poll": ("http", "https"),
    "websocket": ("ws", "wss"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """Where a source is, and what to ask of it.

    Attributes:
        url: Of a scheme that fits the mode.
        mode: See `Mode`.
        max_bytes: Of a message.
        header: Name of the header that holds the secret; None: no secret is sent.
        secret: Returns the whole value of that header as it is now; may raise
            `ConfigError`.
        every_s: Of a poll: from the start of a request to the start of the next.
        first: Of a socket: a text to send once it is open.
        resume: Of a stream: the parameter of the request that says from when on to
            replay, and the key of a message that says when it was sent.
        tls: None trusts the certificates of the system.
        proxy: Address of an HTTP proxy; those of the environment are not used.
        silence_s: A stream that says nothing for so long is given up.
        answer_s: Deadline from the first byte to the head of the answer; of a poll, to
            its end.
        max_outstanding: Messages that may wait for their effect to be safe before the
            reading stops.
        max_outstanding_bytes: The same in bytes.
    """

    url: str
    mode: Mode
    max_bytes: int
    header: str | None = None
    secret: Callable[[], bytes | None] = lambda: None
    every_s: float = 60.0
    first: str | None = None
    resume: tuple[str, str] | None = None
    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    silence_s: float = 20.0
    answer_s: float = 30.0
    max_outstanding: int = 16_384
    max_outstanding_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        if not _fits(self.url, _SCHEMES[self.mode]):
            known = " or ".join(f"{one}://host/…" for one in _SCHEMES[self.mode])
            raise ConfigError(
                f"pull: in mode {self.mode!r} write url as {known}, without a user or "
                "password: the secret belongs into a header"
            )
        if self.proxy is not None and not _fits(self.proxy, ("http", "https")):
            raise ConfigError("pull: write proxy as http://host:port")
        self.headers()

    @property
    def host(self) -> str:
        """The host alone: all that may be told of the address."""
        return urlsplit(self.url).hostname or ""

    def headers(self) -> dict[str, str]:
        """Return what to send, with the secret as it is now.

        Raises:
            ConfigError: The secret cannot be read, or is no value of a header.
        """
        if self.header is None:
            return {}
        secret = self.secret()
        if secret is None:
            raise ConfigError("pull: header needs secret_file or secret_env")
        if not secret.isascii() or not secret.decode("ascii").isprintable():
            raise ConfigError(
                "pull: the secret must be one line of printable ASCII: the whole value "
                "of its header"
            )
        return {self.header: secret.decode("ascii")}


def _fits(url: str, schemes: Sequence[str]) -> bool:
    """Return whether a url has a host, one of the schemes, and no credentials."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in schemes
        and host != b""
        and port != 0
        and parts.username is parts.password is None
        and url.isprintable()
        and not {" ", "#"} & {*url}
    )


class Received(NamedTuple):
    """One message, see `mqtt_session.Message`."""

    payload: bytes
    topic: str = ""
    retain: bool = False


class Intake:
    """Hands messages over, and makes the reading wait while too much is outstanding.

    Args:
        terms: The bounds.
        sink: Gets the messages of each chunk, and their receipt.
        meter: The link's numbers.
        safe: Called with the times of sending of chunks whose effect is safe now.
    """

    def __init__(
        self,
        terms: Terms,
        sink: Sink,
        meter: Meter,
        safe: Callable[[Sequence[int]], None],
    ) -> None:
        self.meter = meter
        self._sink = sink
        self._free = asyncio.Event()
        self._free.set()
        self._window = Window(
            meter=meter,
            acknowledge=safe,
            pause=self._free.clear,
            resume=self._free.set,
            # There is time between two polls: each waits for the one before.
            max_messages=1 if terms.mode == "poll" else terms.max_outstanding,
            max_bytes=terms.max_outstanding_bytes,
        )

    async def take(self, payloads: Sequence[bytes], sent_ms: int | None = None) -> None:
        """Hand messages over; return when more may come.

        Args:
            payloads: The messages of a chunk, in order.
            sent_ms: When the last of them was sent, where that is known.
        """
        size = sum(map(len, payloads))
        ids = () if sent_ms is None else (sent_ms,)
        receipt = self._window.open(ids, len(payloads), size)
        meter = self.meter
        meter.received += len(payloads)
        meter.received_bytes += size
        meter.chunks += 1
        self._sink([Received(payload) for payload in payloads], receipt)
        await self._free.wait()

    def close(self) -> None:
        """End with the connection: from now on no receipt has an effect here."""
        self._window.close()


class Serve(Protocol):
    """One connection from its start to its end.

    `ready` is called once the other side has agreed; `since_ms` is from when on to
    replay, None for what comes from now on.
    """

    async def __call__(  # noqa: D102 - see above
        self,
        terms: Terms,
        intake: Intake,
        ready: Callable[[], None],
        since_ms: int | None,
    ) -> Never: ...


@contextmanager
def ends(terms: Terms) -> Iterator[None]:
    """Turn what the network and the libraries raise into `Ended`, without its text."""
    try:
        yield
    except (TimeoutError, aiohttp.ClientError) as error:
        fault = _of_http(terms, error)
    except WebSocketException as error:
        fault = _of_socket(terms, error)
    except OSError as error:
        fault = _unreachable(terms, error)
    else:
        return
    # Not within an `except`: the cause would keep frames, and with them sockets.
    raise fault


def refused(terms: Terms, status: int) -> Ended:
    """Return the end of a connection whose answer is not yes."""
    said = f"{terms.host} answers {status}"
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Ended(Reason.REFUSED, f"{said}: is the secret right?")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Ended(Reason.BUSY, f"{said}: too many requests")
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Ended(Reason.SERVER, said)
        case _:
            return Ended(Reason.REFUSED, f"{said}: is the url right?")


def _of_http(terms: Terms, error: Exception) -> Ended:
    match error:
        case TimeoutError():
            return Ended(Reason.TIMEOUT, f"{terms.host} did not answer in time")
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorError():
            return _unreachable(terms, error)
        case aiohttp.ClientHttpProxyError():
            return Ended(
                Reason.UNREACHABLE, f"cannot reach {terms.host}: the proxy says no"
            )
        case aiohttp.ClientResponseError():
            return Ended(Reason.MALFORMED, f"{terms.host} does not answer in HTTP")
        case _:
            return _lost(terms)


def _of_socket(terms: Terms, error: WebSocketException) -> Ended:
    match error:
        case InvalidStatus():
            return refused(terms, error.response.status_code)
        case InvalidHandshake():
            return Ended(Reason.MALFORMED, f"{terms.host} does not open a socket")
        case ConnectionClosed(sent=Close(code=CloseCode.MESSAGE_TOO_BIG)):
            return Ended(Reason.OVERSIZE, f"{terms.host} sent a frame too long")
        case _:
            return _lost(terms)


def _lost(terms: Terms) -> Ended:
    return Ended(Reason.LOST, f"the connection to {terms.host} was lost")


def _unreachable(terms: Terms, error: Exception) -> Ended:
    """Return the end of a try that found nobody, or no trust in them.

    Args:
        terms: Where they should be.
        error: Of aiohttp, which wraps the one that matters, or that one itself.
    """
    cause = getattr(error, "certificate_error", getattr(error, "os_error", error))
    why = getattr(cause, "verify_message", "") or getattr(cause, "strerror", "")
    if isinstance(cause, ssl.SSLError) and not getattr(cause, "verify_message", ""):
        why = "no TLS"
    why = why or "no connection"
    return Ended(Reason.UNREACHABLE, f"cannot reach {terms.host}: {why}")
