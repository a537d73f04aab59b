from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.console import Console

from engine import overview
from engine.embedded import free_port
from engine.errors import ConfigError, DependencyError
from engine.query.problem import Problem
from engine.query.sources import SourceEntry, SourceList

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING = SourceList([], [])
REFUSAL = Problem(code=2001, message="with a secret", retryable=False)


@contextmanager
def engine(status: int, body: bytes) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """An HTTP server that gives one answer; yields its address and what was asked."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("authorization", "")))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_an_engine_is_asked_for_all_sources_or_for_one() -> None:
    with engine(200, msgspec.json.encode(NOTHING)) as (url, asked):
        assert overview.ask(url + "/", b"s3", None) == NOTHING
        assert overview.ask(url, None, "a/b") == NOTHING
    assert asked == [("/v1/sources", "Bearer s3"), ("/v1/sources/a%2Fb", "")]


@pytest.mark.parametrize(
    ("status", "body", "name", "problem"),
    [
        (
            401,
            msgspec.json.encode(REFUSAL),
            None,
            "secret",
        ),
        (404, b"", "wifi", "there is no source 'wifi'"),
        (502, b"<html>", None, r"no livefloor \(HTTP status 502\)"),
        (200, b"<html>", None, "what answers there is no livefloor"),
    ],
)
def test_what_an_engine_refuses_is_said(
    status: int, body: bytes, name: str | None, problem: str
) -> None:
    with engine(status, body) as (url, _), pytest.raises(ConfigError, match=problem):
        overview.ask(url, None, name)


def test_an_address_without_an_engine_is_said() -> None:
    with pytest.raises(DependencyError, match="no engine answers there"):
        overview.ask(f"http://127.0.0.1:{free_port()}", None, None)
    with pytest.raises(ConfigError, match="--url: write http"):
        overview.ask("file:///etc/passwd", None, None)


def test_it_is_drawn_anew_until_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses = iter((None, KeyboardInterrupt))

    def pause(_: float) -> None:
        one = next(pauses)
        if one is not None:
            raise one

    monkeypatch.setattr("engine.overview.time.sleep", pause)
    console = Console(width=100)
    with (
        engine(200, msgspec.json.encode(NOTHING)) as (url, asked),
        console.capture() as capture,
        pytest.raises(KeyboardInterrupt),
    ):
        overview.show(url, None, None, console, watch=True)
    assert len(asked) == 2
    assert "disposed" in capture.get()


def test_eighty_columns_hold_names_and_numbers_whole() -> None:
    outcomes = {"applied": 12_345, "disposed": 3_456_789, "duplicate": 12}
    busy = SourceEntry(
        tenant="acme",
        name="zigbee2mqtt",
        format="zigbee2mqtt",
        transport="webhook",
        outcomes=outcomes,
        refusals={},
        message_age_s=190,
        unbound=[],
        unknown_access_points=[],
        unknown_floors=[],
        dead_letters=[],
        contacts=[],
    )
    console = Console(width=80)
    with console.capture() as capture:
        console.print(overview.drawn(SourceList([busy], [])))
    for whole in ("zigbee2mqtt ", "12,345", "3,456,789", "duplicate", "refused"):
        assert whole in capture.get()
