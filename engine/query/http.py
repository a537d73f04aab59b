"""The application: every route, the bounds on a request, and what leaves on a failure.

The nouns are handed in, so that a test builds the whole API from fakes in one call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from litestar import Litestar
from litestar.enums import ScopeType

from engine.query.answer import Answer
from engine.query.problem import note_left, problem_answer, problem_handlers
from engine.query.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Protocol

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import (
        ASGIApp,
        HTTPReceiveMessage,
        Receive,
        Scope,
        Send,
        WebSocketReceiveMessage,
    )

    class Routes(Protocol):
        """A noun of the API."""

        def routes(self) -> Sequence[HTTPRouteHandler]:
            """Return its handlers, new ones at each call."""
            ...


MAX_BODY_BYTES = 64 * 1024
"""Of every route but the webhooks; 200 ids are a quarter of it."""

MAX_PATH_CHARS = 512
MAX_QUERY_BYTES = 2048

_log = structlog.get_logger("engine.query")


def create_app(nouns: Iterable[Routes], *, version: str) -> Litestar:
    """Put the API together.

    Args:
        nouns: `Levels`, `LiveEvents`, `Spaces`, `Search`, `Me`, `Ingest`, `Page`,
            `ops.Operations` and, in the demo alone, `Demo`.
        version: Of the engine; names the description of the API.
    """
    described = list(nouns)

    def routes() -> Sequence[HTTPRouteHandler]:
        return [handler for noun in described for handler in noun.routes()]

    app = Litestar(
        [*routes(), *Schema(routes, version=version).routes()],
        exception_handlers=problem_handlers(),
        logging_config=None,  # Litestar's would write whole tracebacks
        openapi_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        response_class=Answer,
    )
    app.asgi_handler = _Bounds(app.asgi_handler)
    return app


class _Bounds:
    """What surrounds the framework: bounds on the address, and the last resort.

    Litestar keeps a table of the last thousand paths, so a path has a length; and an
    exception that gets here would be printed with its text by the server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        if (
            len(scope["path"]) > MAX_PATH_CHARS
            or len(scope["query_string"]) > MAX_QUERY_BYTES
        ):
            await problem_answer(scope, 404)(scope, receive, send)
            return

        async def noting() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            event = await receive()
            if event["type"] == "http.disconnect":
                note_left(scope)
            return event

        try:
            await self._app(scope, noting, send)
        except Exception as error:  # noqa: BLE001 - the last resort; the type is logged
            # An answer has begun: all that is left is to end the connection, which the
            # server does when the application returns without completing it.
            _log.error("answer broke off", error=type(error).__name__)
