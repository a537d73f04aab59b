"""The one shape of every error, and how each refusal is turned into it.

Nothing of a request comes back in an error and nothing of it is logged: a message is
either ours or one of msgspec's two kinds that hold no value.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from engine.errors import (
    BadRequest,
    DependencyError,
    EngineError,
    Forbidden,
    InputError,
    NotAllowed,
    NotFound,
    RequestError,
    TooMany,
    TooMuch,
    Unauthorized,
)
from engine.query.answer import Answer, sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar import Request
    from litestar.types import ASGIApp, ExceptionHandlersMap, Scope

_log = structlog.get_logger("engine.query")

_LEFT = "engine.query.left"

_SAFE = ("Expected ", "Object missing required field")
"""How those messages of msgspec begin that name types and our own fields alone."""


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused.

    Attributes:
        code: Stable number, see the README.
        message: One sentence that says what to do.
        retryable: Whether the same request may succeed later.
    """

    code: int
    message: str
    retryable: bool


NOT_FOUND = "there is nothing here that you may see"
"""The one face of every "no": unknown, not sharing, no location, expired, no path."""

INTERNAL = Problem(5000, "the engine failed; its log has the kind of error", False)  # noqa: FBT003 - three fields, named above

_BY_STATUS: Mapping[int, tuple[type[RequestError], str]] = {
    400: (BadRequest, "the request does not fit; /schema says what does"),
    401: (Unauthorized, "sign in: a valid bearer token is needed"),
    403: (Forbidden, "this token may not do that"),
    404: (NotFound, NOT_FOUND),
    405: (NotAllowed, "this path knows other methods; see the header Allow"),
    413: (TooMuch, "the body is larger than this path takes"),
    415: (BadRequest, "send JSON, with Content-Type: application/json"),
    429: (TooMany, "too many requests; wait before the next one"),
}

_HEADERS: Mapping[int, dict[str, str]] = {
    401: {"www-authenticate": "Bearer"},
    426: {"upgrade": "websocket", "connection": "upgrade"},
}
"""What RFC 9110 wants beside these statuses."""


def problem_handlers() -> ExceptionHandlersMap:
    """Return the handlers that give every error of an application this shape."""
    return {
        RequestError: _refused,
        InputError: _bad_input,
        DependencyError: _away,
        HTTPException: _framework,
        RecursionError: _too_deep,
        Exception: _unexpected,
    }


def note_left(scope: Scope) -> None:
    """Note that the client of a request has left: see `_framework`."""
    scope[_LEFT] = True  # type: ignore[literal-required]  # a key of our own


def problem_answer(scope: Scope, status: int) -> ASGIApp:
    """Return the answer of a refusal that happens before any route."""
    kind, message = _BY_STATUS[status]
    return sent(scope, status, _problem(kind(message)))


def problem_responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the error answers of a route for its OpenAPI description."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            generate_examples=False,
            description=HTTPStatus(status).phrase,
        )
        for status in statuses
    }


def _problem(error: EngineError) -> Problem:
    return Problem(error.code, str(error), error.retryable)


def _refused(_: Request[Any, Any, Any], error: RequestError) -> Answer[Problem]:
    headers = dict(_HEADERS.get(error.status, {}))
    if isinstance(error, TooMany):
        headers["retry-after"] = str(error.after_s)
    return Answer(_problem(error), status_code=error.status, headers=headers)


def _bad_input(_: Request[Any, Any, Any], error: InputError) -> Answer[Problem]:
    return Answer(_problem(error), status_code=400)


def _away(_: Request[Any, Any, Any], error: DependencyError) -> Answer[Problem]:
    # Our own words: the error may say which server of ours is away.
    problem = Problem(error.code, "not available now; try again", error.retryable)
    return Answer(problem, status_code=error.status, headers={"retry-after": "1"})


def _framework(
    request: Request[Any, Any, Any], error: HTTPException
) -> Answer[Problem]:
    """Answer what Litestar itself refuses: no such path, wrong method, wrong field.

    It calls a body that its sender broke off a failure of the server; nobody is left to
    be answered, and nothing failed, so nothing is logged.
    """
    status = error.status_code
    if status >= 500 and _LEFT not in request.scope:  # noqa: PLR2004 - our own fault
        return _internal(error)
    kind, message = _BY_STATUS.get(status, _BY_STATUS[400])
    if kind is BadRequest:
        message = _field(error.extra) or message
    headers = {k: v for k, v in (error.headers or {}).items() if k.lower() == "allow"}
    return Answer(_problem(kind(message)), status_code=status, headers=headers)


def _field(extra: object) -> str | None:
    """Return which field does not fit, where saying so gives no value away."""
    first = extra[0] if isinstance(extra, list) and extra else None
    if not isinstance(first, dict):
        return None
    message, key = str(first.get("message", "")), first.get("key")
    if not message.startswith(_SAFE) or not isinstance(key, str):
        return None
    return f"{key}: {message}"


def _too_deep(_: Request[Any, Any, Any], __: RecursionError) -> Answer[Problem]:
    # The decoder's own error for a body nested deeper than the stack; nothing else of
    # ours recurses.
    return Answer(_problem(BadRequest(_BY_STATUS[400][1])), status_code=400)


def _unexpected(_: Request[Any, Any, Any], error: Exception) -> Answer[Problem]:
    return _internal(error)


def _internal(error: Exception) -> Answer[Problem]:
    _log.error("request failed", error=type(error).__name__)
    return Answer(INTERNAL, status_code=500)
