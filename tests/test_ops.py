from __future__ import annotations

import ast
import asyncio
import gc
import io
import json
import logging
import resource
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from litestar.testing import TestClient

from engine.metrics import CONTENT_TYPE, Metrics
from engine.ops import (
    KEYS,
    Operations,
    configure_logging,
    install_hooks,
    loop_exception_handler,
)
from engine.query.http import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Litestar

    from tests.conftest import Clock

MARKER = "Zq7canary"


@pytest.fixture
def missing() -> dict[str, int]:
    return {}


@pytest.fixture
def client(clock: Clock, missing: dict[str, int]) -> TestClient[Litestar]:
    operations = Operations(
        missing=lambda: missing,
        metrics=Metrics(version="1.2.3"),
        version="1.2.3",
        clock_ms=clock,
    )
    return TestClient(create_app([operations], version="1.2.3"))


def test_the_engine_says_that_it_lives(
    client: TestClient[Litestar], clock: Clock, missing: dict[str, int]
) -> None:
    missing["registry"] = clock()
    clock.advance(61_500)

    assert client.get("/healthz").json() == {"version": "1.2.3", "uptime_s": 61}


def test_it_is_ready_when_nothing_is_missing(client: TestClient[Litestar]) -> None:
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"ready": True, "missing": [], "refused": []}
    assert "engine_ready 1.0" in client.get("/metrics").text


def test_it_is_not_ready_while_a_dependency_is_away_and_says_since_when(
    client: TestClient[Litestar], clock: Clock, missing: dict[str, int]
) -> None:
    missing["registry"] = clock() - 5_000
    missing["broker main"] = clock() + 1_000
    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "ready": False,
        "missing": [
            {"name": "broker main", "since_ms": clock() + 1_000, "for_s": 0},
            {"name": "registry", "since_ms": clock() - 5_000, "for_s": 5},
        ],
        "refused": [],
    }
    assert "engine_ready 0.0" in client.get("/metrics").text


def test_the_metrics_are_what_prometheus_takes(client: TestClient[Litestar]) -> None:
    response = client.get("/metrics")

    assert response.headers["content-type"] == CONTENT_TYPE
    assert response.headers["content-type"].count("charset=") == 1
    assert 'engine_build_info{version="1.2.3"} 1.0' in response.text


class Logs(io.StringIO):
    """What was written since the last look."""

    def text(self) -> str:
        said = self.getvalue()
        self.seek(0)
        self.truncate()
        return said

    def line(self) -> dict[str, Any]:
        (line,) = self.text().splitlines()
        return dict(json.loads(line))


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Log as in production, and put everything back."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, sys.unraisablehook
    thread = threading.excepthook
    written = Logs()
    configure_logging("json", "info", written)
    yield written
    structlog.reset_defaults()
    root.handlers[:], root.level, sys.excepthook, sys.unraisablehook = before
    threading.excepthook = thread


def fail() -> None:
    raise RuntimeError(MARKER)


def caught() -> RuntimeError:
    try:
        fail()
    except RuntimeError as error:
        return error
    raise AssertionError


def test_a_line_has_its_words_and_the_keys_that_are_allowed(logs: Logs) -> None:
    structlog.get_logger("engine").warning("store away", role="locations", number=3)

    line = logs.line()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "store away",
        "level": "warning",
        "role": "locations",
        "number": 3,
    }


def test_any_other_key_is_struck_out(logs: Logs) -> None:
    log = structlog.get_logger("engine").bind(device=MARKER)
    log.error("refused", login=MARKER, payload=MARKER.encode(), source="wifi")

    line = logs.line()
    assert MARKER not in str(line)
    assert line["struck_out"] == ["device", "login", "payload"]
    assert line["source"] == "wifi"


@pytest.mark.parametrize("value", [{"login": MARKER}, [MARKER], MARKER.encode()])
def test_a_value_that_could_hold_anything_is_told_by_its_type(
    logs: Logs, value: object
) -> None:
    structlog.get_logger("engine").error("refused", reason=value, error=value)

    line = logs.line()
    assert MARKER not in str(line)
    assert line["reason"] == type(value).__name__


def test_a_long_value_is_cut(logs: Logs) -> None:
    structlog.get_logger("engine").error("refused", reason="x" * 10_000)

    assert len(logs.line()["reason"]) == 200


def test_an_exception_is_told_by_type_and_place(logs: Logs) -> None:
    error = caught()
    log = structlog.get_logger("engine")
    log.error("failed", error=error)
    as_value = logs.line()
    log.error("failed", exc_info=error)
    as_object = logs.line()
    log.error("failed", exc_info=(type(error), error, error.__traceback__))
    as_tuple = logs.line()
    try:
        raise error
    except RuntimeError:
        log.exception("failed")
    in_flight = logs.line()

    told = (as_value, as_object, as_tuple, in_flight)
    assert {line["error"] for line in told} == {"RuntimeError"}
    assert as_object["where"].endswith(" fail")
    assert MARKER not in str(told)


def test_the_place_of_an_exception_is_in_our_own_code(logs: Logs) -> None:
    try:
        Metrics(version=MARKER + "\n")
    except ValueError:
        structlog.get_logger("engine").exception("failed")

    assert logs.line()["where"].startswith("metrics.py:")


def test_a_library_is_heard_from_warnings_up_without_its_arguments(
    logs: Logs,
) -> None:
    library = logging.getLogger("somelibrary")
    library.info("connected to %s", MARKER)
    assert logs.text() == ""
    library.warning("message on %s", MARKER)

    line = logs.line()
    assert line["event"] == "message on %s"
    assert line["logger"] == "somelibrary"
    assert line["level"] == "warning"
    assert MARKER not in str(line)


def test_a_library_that_logs_an_exception_tells_its_type(logs: Logs) -> None:
    try:
        fail()
    except RuntimeError:
        logging.getLogger("somelibrary").exception(ValueError(MARKER))

    line = logs.line()
    assert line["error"] == "RuntimeError"
    assert line["event"] == "message"
    assert MARKER not in str(line)


def test_the_access_log_is_off(logs: Logs) -> None:
    logging.getLogger("uvicorn.access").warning("GET /v1/colleagues?q=%s", MARKER)

    assert logs.text() == ""


def test_the_console_shows_the_same_and_no_more(logs: Logs) -> None:
    configure_logging("console", "info", logs)
    try:
        fail()
    except RuntimeError:
        structlog.get_logger("engine").exception("failed", login=MARKER)

    said = logs.text()
    assert "failed" in said
    assert "RuntimeError" in said
    assert MARKER not in said


async def test_a_task_that_nobody_awaited_is_told_by_its_type(logs: Logs) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(loop_exception_handler)

    async def broken() -> None:
        fail()

    task = loop.create_task(broken())
    while not task.done():  # noqa: ASYNC110 - one turn of the loop
        await asyncio.sleep(0)
    del task
    gc.collect()

    line = logs.line()
    assert line["event"] == "unhandled in the loop"
    assert line["error"] == "RuntimeError"
    assert line["where"].endswith(" fail")
    assert MARKER not in str(line)


async def test_a_callback_that_fails_does_not_show_its_arguments(logs: Logs) -> None:
    context = {"message": f"Exception in callback f({MARKER})", "handle": MARKER}
    loop_exception_handler(asyncio.get_running_loop(), context)

    assert MARKER not in logs.text()


def test_what_ends_the_process_is_told_by_its_type(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[object] = []
    monkeypatch.setattr("resource.setrlimit", lambda *given: limits.append(given))
    install_hooks()
    error = caught()
    sys.excepthook(RuntimeError, error, error.__traceback__)
    first = logs.line()
    sys.unraisablehook(_Unraisable(error))  # type: ignore[arg-type]  # a stand-in
    second = logs.line()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    sys.unraisablehook(_Unraisable(None))  # type: ignore[arg-type]  # a stand-in

    assert first["event"] == "the engine ended"
    assert first["error"] == second["error"] == "RuntimeError"
    assert MARKER not in str((first, second, logs.text()))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limits == [
        (resource.RLIMIT_CORE, (0, 0)),
        (resource.RLIMIT_NOFILE, (most, most)),
    ]


def test_a_thread_that_fails_is_told_by_its_type(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    install_hooks()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    line = logs.line()
    assert line["error"] == "RuntimeError"
    assert MARKER not in str(line)


class _Unraisable:
    def __init__(self, error: BaseException | None) -> None:
        self.exc_value = error
        self.object = MARKER
        self.err_msg = MARKER


def test_every_key_that_the_engine_logs_is_allowed() -> None:
    said: set[str] = set()
    for path in (Path(__file__).parent.parent / "engine").rglob("*.py"):
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _logs(node.func):
                said |= {word.arg for word in node.keywords if word.arg is not None}

    assert said
    assert said - {"exc_info"} <= KEYS


def _logs(function: ast.expr) -> bool:
    """Whether this is `log.info` and the like, or `log.bind`."""
    return (
        isinstance(function, ast.Attribute)
        and function.attr in {"debug", "info", "warning", "error", "exception", "bind"}
        and ast.unparse(function.value).rpartition(".")[2] in {"log", "_log"}
    )


def test_no_key_names_a_person_a_device_or_a_space() -> None:
    assert KEYS.isdisjoint(
        {"login", "name", "person", "subject", "user", "device", "address", "token"}
        | {"space", "room", "desk", "payload", "body", "topic", "path", "url", "query"}
    )
