"""Is it alive, is it ready, what does it measure; and logs that hold no payload.

A log line is made of words that we chose and of values whose keys stand in `KEYS`; all
else is struck out, so a forgotten `login=…` leaves its key and not its value. An
exception is told by its type and place, never by its text.
"""

from __future__ import annotations

import logging
import resource
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

import msgspec
import structlog
from litestar import Request, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Response

from engine.errors import Unauthorized
from engine.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Scope
    from structlog.typing import EventDict, WrappedLogger

    from engine.metrics import Metrics

KEYS = frozenset(
    {
        "asked_s",
        "code",
        "error",
        "event",
        "granted_s",
        "hint",
        "host",
        "level",
        "link",
        "logger",
        "number",
        "port",
        "protocol",
        "reason",
        "retry_in_s",
        "role",
        "seconds",
        "signal",
        "since_ms",
        "source",
        "stage",
        "state",
        "status",
        "tenant",
        "timestamp",
        "version",
        "where",
    }
)
"""All that a log line may say. None of them names a person, a device or a space."""

_MAX_CHARS = 200
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_ENGINE = Path(__file__).parent


class Alive(msgspec.Struct, frozen=True):
    """The loop turns."""

    version: str
    uptime_s: int


class Missing(msgspec.Struct, frozen=True):
    """A dependency that does not answer, or files that do not fit."""

    name: str
    since_ms: int
    for_s: int


class Ready(msgspec.Struct, frozen=True):
    """Whether everything that is needed answers, and what does not.

    Attributes:
        refused: Files that changed and do not fit. The engine runs on by what they
            said before, so it is ready; `/v1/sources` says what to change.
    """

    ready: bool
    missing: list[Missing]
    refused: list[Missing]


class Operations:
    """The routes for those who run the engine: `/healthz`, `/readyz`, `/metrics`.

    Args:
        missing: Returns what does not answer now, with the time since when.
        metrics: What is measured.
        version: Of the engine.
        clock_ms: The clock.
        may_scrape: Whether a request may see the metrics: they tell how many people
            share, and so when somebody starts or stops.
        refused: Returns which files are not in use for a mistake, and since when.
    """

    def __init__(  # noqa: PLR0913 - what is asked of the engine
        self,
        *,
        missing: Callable[[], Mapping[str, int]],
        metrics: Metrics,
        version: str,
        clock_ms: Callable[[], int],
        may_scrape: Callable[[Scope], bool] = lambda _: True,
        refused: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._refused = refused
        self._may_scrape = may_scrape
        self._missing = missing
        self._metrics = metrics
        self._version = version
        self._clock_ms = clock_ms
        self._started_ms = clock_ms()
        metrics.register("engine_ready", lambda: not missing())

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers."""
        not_ready = ResponseSpec(
            Ready, generate_examples=False, description="Something does not answer"
        )
        return [
            get("/healthz", security=[{}])(self.alive),
            get("/readyz", security=[{}], responses={503: not_ready})(self.ready),
            get("/metrics", include_in_schema=False)(self.page),
        ]

    async def alive(self) -> Alive:
        """Say that the engine lives; restart it when this does not answer."""
        uptime_s = (self._clock_ms() - self._started_ms) // 1000
        return Alive(self._version, max(0, uptime_s))

    async def ready(self) -> Response[Ready]:
        """Say whether everything answers (200), or what does not (503)."""
        missing = self._since(self._missing())
        answer = Ready(not missing, missing, self._since(self._refused()))
        headers = {"cache-control": "no-store"}
        return Response(answer, status_code=503 if missing else 200, headers=headers)

    def _since(self, parts: Mapping[str, int]) -> list[Missing]:
        now_ms = self._clock_ms()
        return [
            Missing(name, since_ms, max(0, now_ms - since_ms) // 1000)
            for name, since_ms in sorted(parts.items())
        ]

    async def page(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return the metrics as Prometheus scrapes them.

        Raises:
            Unauthorized: From another machine, without the secret.
        """
        if not self._may_scrape(request.scope):
            raise Unauthorized(
                "metrics are for this machine alone, or for the bearer of the secret "
                "in metrics_secret_file"
            )
        # As a header: to a media type of text Litestar would add the charset again.
        headers = {"cache-control": "no-store", "content-type": CONTENT_TYPE}
        return Response(self._metrics.page(), headers=headers)


def configure_logging(
    form: Literal["json", "console"],
    level: Literal["debug", "info", "warning", "error"],
    stream: TextIO | None = None,
) -> None:
    """Let the whole process log structured lines, ours and those of libraries.

    Lines of libraries are kept from warnings up, and without their arguments.

    Args:
        form: One JSON object a line, or for the eye.
        level: Of our own lines.
        stream: Where to; standard error by default.
    """
    stream = sys.stderr if stream is None else stream
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=_no_exception)
    )
    common: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        strike_out,
    ]
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Foreign([*common, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, _LEVELS[level]))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"


def strike_out(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep the keys of `KEYS`, and of exceptions the type; say what was struck out."""
    error = event.pop("exc_info", None)
    kept: EventDict = {
        key: _plain(value) for key, value in event.items() if key in KEYS
    }
    struck = sorted(key for key in event if key not in KEYS)
    if struck:
        kept["struck_out"] = struck
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        kept.update(told(error))
    return kept


def told(error: BaseException) -> dict[str, str]:
    """Return all that may be logged of an exception: its type, and where it was."""
    return {"error": type(error).__name__, "where": _where(error.__traceback__)}


def loop_exception_handler(
    _: asyncio.AbstractEventLoop, context: Mapping[str, Any]
) -> None:
    """Log what nobody awaited; asyncio's own words hold the arguments of callbacks."""
    error = context.get("exception")
    words = told(error) if isinstance(error, BaseException) else {}
    structlog.get_logger(__name__).error("unhandled in the loop", **words)


def install_hooks() -> None:
    """Tell of what ends the process or a thread, or fails in a destructor, by type.

    And leave no core file: it would hold everything that the memory held.
    """
    sys.excepthook = _ended
    sys.unraisablehook = lambda hook: _unraisable(hook.exc_value)
    threading.excepthook = lambda hook: _unraisable(hook.exc_value)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # As many descriptors as we may have: the usual soft limit of 1,024 is less than
    # the connections that are let in.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _ended(
    kind: type[BaseException], error: BaseException, _: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger(__name__).error("the engine ended", **told(error))


def _unraisable(error: BaseException | None) -> None:
    words = {} if error is None else told(error)
    structlog.get_logger(__name__).error("failed where nobody waits", **words)


class _Foreign(logging.Formatter):
    """Writes a library's line like ours: its template, never its arguments."""

    def __init__(self, processors: Sequence[structlog.typing.Processor]) -> None:
        super().__init__()
        self._processors = processors

    def format(self, record: logging.LogRecord) -> str:
        event: Any = {
            "event": record.msg if isinstance(record.msg, str) else "message",
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[1] is not None:
            event |= told(record.exc_info[1])
        for processor in self._processors:
            event = processor(None, record.levelname.lower(), event)
        return str(event)


def _plain(value: object) -> object:
    """Return a value that a line may hold: short, and no object with a repr."""
    if isinstance(value, BaseException):
        return type(value).__name__
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:_MAX_CHARS] if isinstance(value, str) else type(value).__name__


def _where(frames: TracebackType | None) -> str:
    """Return file, line and function of the innermost frame that is ours."""
    summary = traceback.extract_tb(frames)
    ours = [frame for frame in summary if Path(frame.filename).is_relative_to(_ENGINE)]
    if not summary:
        return ""
    frame = (ours or list(summary))[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"


def _no_exception(*_: object) -> None:
    """Print nothing of an exception: `strike_out` has said all of it."""
