from __future__ import annotations

from base64 import b64decode

import pytest

from engine.simulate.webhook import Webhook
from tests.simulate.receiver import Receiver


async def test_posts_share_a_connection_and_bring_the_secret() -> None:
    async with Receiver().serving() as receiver:
        webhook = Webhook(receiver.url, "open sesame")
        assert await webhook.post("/v1/ingest/radius", b"{}") == 204
        assert await webhook.post("/v1/ingest/radius", b"[1]") == 204
        await webhook.close()
    assert receiver.connections == 1
    assert receiver.bodies == [b"{}", b"[1]"]
    head = receiver.heads[0]
    assert head.startswith("POST /v1/ingest/radius HTTP/1.1\r\n")
    token = head.split("Authorization: Basic ")[1].split("\r\n")[0]
    assert b64decode(token).decode().partition(":")[2] == "open sesame"


async def test_a_body_in_the_answer_is_read_and_passed_over() -> None:
    answer = b"HTTP/1.1 413 Too Much\r\ncontent-length: 5\r\n\r\nlarge"
    async with Receiver(answer).serving() as receiver:
        webhook = Webhook(receiver.url, None)
        assert await webhook.post("/a", b"x") == 413
        assert await webhook.post("/a", b"x") == 204
        await webhook.close()
    assert receiver.connections == 1
    assert "Authorization" not in receiver.heads[0]


@pytest.mark.parametrize(
    "answer",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"],
)
async def test_after_a_broken_answer_the_next_post_has_a_new_connection(
    answer: bytes,
) -> None:
    async with Receiver(answer).serving() as receiver:
        webhook = Webhook(receiver.url, None)
        with pytest.raises(ConnectionError) as caught:
            await webhook.post("/a", b"body of a bystander")
        assert "bystander" not in str(caught.value)
        assert await webhook.post("/a", b"x") == 204
        await webhook.close()
    assert receiver.connections == 2


async def test_a_server_that_closes_is_called_again() -> None:
    answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    async with Receiver(answer).serving() as receiver:
        webhook = Webhook(receiver.url, None)
        assert await webhook.post("/a", b"x") == 204
        assert await webhook.post("/a", b"x") == 204
        await webhook.close()
    assert receiver.connections == 2


async def test_nobody_there_is_an_error_of_the_connection() -> None:
    async with Receiver().serving() as receiver:
        pass
    with pytest.raises(ConnectionError):
        await Webhook(receiver.url, None).post("/a", b"x")
