from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from engine.query.live import Events
from tests.query.api import NEAR, Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def test_a_level_is_followed_from_where_the_reader_left_off(api: Api) -> None:
    headers = {"last-event-id": "aaaa:16"}
    response = api.client().get("/v1/levels/hq/1/live", headers=headers)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-store"
    assert [line for line in response.text.split("\n") if line[:3] == "id:"] == [
        "id: aaaa:17",
        "id: aaaa:18",
    ]
    assert api.followed == [("acme", "hq/1", "aaaa:16", 3600.0)]


def test_a_stream_ends_with_its_token_and_an_anonymous_one_does_not(api: Api) -> None:
    client = api.client()
    api.clock.advance(3_599_000)
    client.get("/v1/levels/hq/1/live")
    api.client(login=None, demo=True, peer=NEAR).get("/v1/levels/hq/1/live")

    assert [expiry for *_, expiry in api.followed] == [1.0, None]


def test_who_asks_the_path_of_the_socket_by_plain_http_is_told_to_upgrade(
    api: Api,
) -> None:
    response = api.client(login=None).get("/v1/live")

    assert response.status_code == 426
    assert response.headers["upgrade"] == "websocket"
    assert response.headers["connection"] == "upgrade"
    assert response.json()["code"] == 2026
    assert set(response.json()) == {"code", "message", "retryable"}


class Reader:
    """The server's side of one response, to be played by hand."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.leaves = asyncio.Event()
        self.received = asyncio.Event()

    async def receive(self) -> Any:  # noqa: ANN401 - an ASGI message
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:  # noqa: ANN401 - an ASGI message
        self.sent.append(message)
        if len(self.sent) > 1:
            self.received.set()


async def run(reader: Reader, chunks: AsyncIterator[bytes]) -> None:
    scope: Any = {"type": "http", "method": "GET", "headers": []}
    response = Events(chunks).to_asgi_response(None, None)
    async with asyncio.timeout(5):  # a stream that does not end is a failure
        await response(scope, reader.receive, reader.send)


async def test_a_reader_who_leaves_ends_a_stream_that_says_nothing() -> None:
    reader, ended = Reader(), asyncio.Event()

    async def quiet() -> AsyncIterator[bytes]:
        try:
            yield b"event: snapshot\n\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    running = asyncio.create_task(run(reader, quiet()))
    await reader.received.wait()
    reader.leaves.set()
    await running

    assert ended.is_set()
    assert len(asyncio.all_tasks()) == 1


async def test_a_stream_that_fails_fails_its_response() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"event: snapshot\n\n"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await run(Reader(), broken())


async def test_a_server_that_ends_takes_the_stream_with_it() -> None:
    reader = Reader()

    async def quiet() -> AsyncIterator[bytes]:
        yield b"event: snapshot\n\n"
        await asyncio.Event().wait()

    running = asyncio.create_task(run(reader, quiet()))
    await reader.received.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert len(asyncio.all_tasks()) == 1
