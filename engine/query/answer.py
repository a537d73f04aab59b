"""An answer: JSON, or msgpack where the caller accepts it, never kept by a cache.

Litestar's own response builds a header list for each request; this one sends the two
messages of ASGI with what is known beforehand, since the finder is asked often.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from litestar.response import Response
from litestar.response.base import ASGIResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from litestar import Request
    from litestar.types import Receive, Scope, Send

T = TypeVar("T")

JSON = b"application/json"
MSGPACK = b"application/vnd.msgpack"
_MSGPACK_NAMES = frozenset({MSGPACK, b"application/msgpack", b"application/x-msgpack"})
_JSON_NAMES = frozenset({JSON, b"application/*", b"*/*"})
_MAX_ACCEPT_BYTES = 1024
_WITHOUT_BODY = frozenset({204, 304})
_NONE: Mapping[str, str] = MappingProxyType({})

_encode_json = msgspec.json.Encoder().encode
_encode_msgpack = msgspec.msgpack.Encoder().encode

NOSNIFF = (b"x-content-type-options", b"nosniff")
NO_STORE = (b"cache-control", b"no-store")
REVALIDATE = [
    NOSNIFF,
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"accept, authorization"),
]


def wants_msgpack(scope: Scope) -> bool:
    """Return whether the caller prefers msgpack to JSON (which is the default)."""
    for name, value in scope["headers"]:
        if name == b"accept":
            return b"msgpack" in value and _prefers_msgpack(value[:_MAX_ACCEPT_BYTES])
    return False


def _prefers_msgpack(accept: bytes) -> bool:
    json = msgpack = 0.0
    for item in accept.lower().split(b","):
        kind, *parameters = (part.strip() for part in item.split(b";"))
        weight = _weight(parameters)
        if kind in _MSGPACK_NAMES:
            msgpack = max(msgpack, weight)
        elif kind == JSON or (kind in _JSON_NAMES and not json):
            # "anything else too" is no wish for JSON, so it weighs a little less.
            json = max(json, weight if kind == JSON else weight * 0.99)
    return msgpack > json


def _weight(parameters: list[bytes]) -> float:
    for parameter in parameters:
        if parameter.startswith(b"q="):
            try:
                weight = float(parameter[2:])
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0  # also refuses NaN
    return 1.0


class Sent(ASGIResponse):
    """A finished answer: status, headers and body, as one ASGI application.

    It takes the place of Litestar's class, and uses nothing of it.
    """

    __slots__ = ("lines", "payload", "status")

    def __init__(
        self, status: int, lines: list[tuple[bytes, bytes]], payload: bytes
    ) -> None:
        self.status = status
        self.lines = lines
        self.payload = payload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; a HEAD request gets the headers alone."""
        del receive
        lines, payload = self.lines, self.payload
        if self.status not in _WITHOUT_BODY:
            lines = [*lines, (b"content-length", b"%d" % len(payload))]
        if scope["method"] == "HEAD":  # type: ignore[typeddict-item]  # HTTP alone
            payload = b""
        await send(
            {"type": "http.response.start", "status": self.status, "headers": lines}
        )
        await send({"type": "http.response.body", "body": payload, "more_body": False})


def sent(
    scope: Scope, status: int, content: object, headers: Mapping[str, str] = _NONE
) -> Sent:
    """Encode content as the caller wants it, for no cache to keep; None is no body."""
    lines = [NOSNIFF, NO_STORE]
    if headers:
        lines += [(k.encode(), v.encode()) for k, v in headers.items()]
    if content is None:
        return Sent(status, lines, b"")
    if wants_msgpack(scope):
        lines.append((b"content-type", MSGPACK))
        return Sent(status, lines, _encode_msgpack(content))
    lines.append((b"content-type", JSON))
    return Sent(status, lines, _encode_json(content))


class Answer(Response[T]):
    """What a route returns, encoded as the caller wants it."""

    def to_asgi_response(
        self,
        app: object,
        request: Request[Any, Any, Any],
        *,
        status_code: int | None = None,
        **_: object,
    ) -> ASGIResponse:
        """Encode the content and put the headers together."""
        del app
        status = self.status_code or status_code or 200
        return sent(request.scope, status, self.content, self.headers)


class Text(Answer[str]):
    """Plain text and nothing else, whatever the caller accepts."""

    def to_asgi_response(
        self, app: object, request: Request[Any, Any, Any], **_: object
    ) -> ASGIResponse:
        """Send it as it is."""
        del app, request
        lines = [NOSNIFF, NO_STORE, (b"content-type", b"text/plain; charset=utf-8")]
        return Sent(200, lines, self.content.encode())


class Version(NamedTuple):
    """One version of something that a caller may keep, and how to encode it.

    Attributes:
        etag: Names the version; no quotes in it.
        kind: Content type.
        encode: Called only where the caller does not have this version.
    """

    etag: str
    kind: bytes
    encode: Callable[[], bytes]


class Kept(Answer[T]):
    """An answer that a caller may keep, and ask about by its ETag; `T` documents it."""

    def __init__(self, version: Version) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # encoded where it is wanted
        self._version = version

    def to_asgi_response(
        self, app: object, request: Request[Any, Any, Any], **_: object
    ) -> ASGIResponse:
        """Answer 304 where the caller names this version, else encode it."""
        del app
        etag = f'"{self._version.etag}"'.encode()
        headers = [*REVALIDATE, (b"etag", etag)]
        if _has(request.scope, etag):
            return Sent(304, headers, b"")
        body = self._version.encode()
        return Sent(200, [*headers, (b"content-type", self._version.kind)], body)


def _has(scope: Scope, etag: bytes) -> bool:
    """Return whether If-None-Match names the version (weakly compared, RFC 9110)."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            names = [item.strip() for item in value.split(b",")]
            return b"*" in names or etag in (item.removeprefix(b"W/") for item in names)
    return False
