"""The opening handshake of a socket: what is refused, and how it is said."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.http11 import Response

from engine.errors import BadRequest, Forbidden, NotFound, RequestError
from engine.publish.frames import Framing
from engine.publish.origin import host_allowed, origin_allowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from websockets.http11 import Request
    from websockets.server import ServerProtocol
    from websockets.typing import Subprotocol

    from engine.publish.live import Live

FRAMING_BY_SUBPROTOCOL = {
    "livefloor.v1.msgpack": Framing.BINARY,
    "livefloor.v1.json": Framing.TEXT,
}


def objection(request: Request, live: Live) -> RequestError | None:
    """Return why a handshake is refused before its token is looked at, or None."""
    hosts = request.headers.get_all("Host")
    origins = request.headers.get_all("Origin")
    if request.path.partition("?")[0] != live.path:
        return NotFound("There is no socket here.")
    if not host_allowed(hosts, live.hosts):
        return Forbidden("This server is not called by that name.")
    if not origin_allowed(origins, hosts, live.origins):
        return Forbidden("Pages of this origin may not open a socket.")
    return None


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token of the `Authorization` header, or None."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def select_subprotocol(
    _conn: ServerProtocol, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """Take the first that both know; none offered means JSON.

    Raises:
        NegotiationError: Only unknown ones were offered.
    """
    for subprotocol in offered:
        if subprotocol in FRAMING_BY_SUBPROTOCOL:
            return subprotocol
    if offered:
        raise NegotiationError("no common sub-protocol")
    return None


def refusal(error: RequestError | None, response: Response) -> Response:
    """Return the answer to a refused handshake, in the shape of every error.

    Args:
        error: Why we refuse it, or None where `websockets` does.
        response: What `websockets` would say, which repeats what the client sent.
    """
    status = HTTPStatus(error.status if error else response.status_code)
    why = error or BadRequest("This is no handshake of a WebSocket that we speak.")
    body = msgspec.json.encode(
        {"code": why.code, "message": str(why), "retryable": why.retryable}
    )
    headers = Headers(
        {
            "Connection": "close",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
    )
    return Response(status.value, status.phrase, headers, body)
