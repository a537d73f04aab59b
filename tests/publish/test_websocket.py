"""The socket, driven by an independent client and by hostile bytes."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from engine.publish.live import Grant, LiveLimits
from tests.publish.floor import TENANT, Replica
from tests.publish.served import DEADLINE_S, LEVEL, Rules, Served, served, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MSGPACK = Subprotocol("livefloor.v1.msgpack")
JSON = Subprotocol("livefloor.v1.json")


async def hear(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        raw = await client.recv()
    if isinstance(raw, str):
        heard: dict[str, Any] = json.loads(raw)
        return heard
    unpacked: dict[str, Any] = msgspec.msgpack.decode(raw)
    return unpacked


async def say(client: ClientConnection, **message: object) -> None:
    await client.send(json.dumps(message))


async def closed(client: ClientConnection) -> tuple[int, str]:
    """Wait for the close; what comes before it does not matter."""
    async with asyncio.timeout(DEADLINE_S):
        await client.wait_closed()
    assert client.close_code is not None
    return client.close_code, client.close_reason or ""


@asynccontextmanager
async def subscribed(
    world: Served, headers: dict[str, str] | None = None
) -> AsyncIterator[tuple[ClientConnection, Replica]]:
    async with connect(world.url, additional_headers=headers) as client:
        assert (await hear(client))["type"] == "hello"
        await say(client, subscribe=[LEVEL])
        replica = Replica()
        replica.hear(await hear(client))
        yield client, replica


async def test_a_client_gets_hello_snapshot_and_deltas() -> None:
    async with served() as world, connect(world.url) as client:
        assert await hear(client) == {
            "type": "hello",
            "server": "livefloor",
            "tick_ms": 100,
            "heartbeat_s": 15.0,
        }
        await say(client, subscribe=[LEVEL])
        replica = Replica()
        replica.hear(await hear(client))
        world.tick(1, 2, state=2)
        replica.hear(await hear(client))
        assert replica.told == ["snapshot", "delta"]
        assert replica.agrees(world.floor)


@pytest.mark.parametrize(
    ("subprotocol", "rows"),
    [(JSON, 1), (JSON, 500), (JSON, 6_000), (MSGPACK, 1), (MSGPACK, 30_000)],
)
async def test_frames_of_every_length_arrive_whole(
    rows: int, subprotocol: Subprotocol
) -> None:
    async with (
        served(Rules(rows=rows)) as world,
        connect(world.url, subprotocols=[subprotocol]) as client,
    ):
        assert client.subprotocol == subprotocol
        await hear(client)
        await say(client, subscribe=[LEVEL])
        replica = Replica()
        replica.hear(await hear(client))
        world.tick(*range(rows), state=3)
        replica.hear(await hear(client))
        assert replica.agrees(world.floor)


async def test_the_first_known_subprotocol_wins_and_unknown_ones_are_refused() -> None:
    async with served() as world:
        async with connect(
            world.url, subprotocols=[Subprotocol("v9"), MSGPACK, JSON]
        ) as client:
            assert client.subprotocol == MSGPACK
        with pytest.raises(InvalidStatus) as refused:
            await connect(world.url, subprotocols=[Subprotocol("v9")])
        assert refused.value.response.status_code == 400
        assert b"v9" not in (refused.value.response.body or b"")


async def test_compression_is_declined() -> None:
    async with served() as world, connect(world.url, compression="deflate") as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers


async def test_a_reconnecting_client_resumes_with_one_merged_delta() -> None:
    async with served() as world:
        async with subscribed(world) as (_, replica):
            pass
        world.tick(1, state=1)
        world.tick(2, state=2)
        async with connect(world.url) as client:
            await hear(client)
            at = {"epoch": replica.epoch, "offset": replica.offset}
            await say(client, subscribe=[LEVEL], resume={LEVEL: at})
            assert await hear(client) == {"type": "resumed", "level": LEVEL, **at}
            replica.hear(await hear(client))
            assert replica.agrees(world.floor)


async def test_a_future_position_is_reset_and_never_echoed() -> None:
    async with served() as world, connect(world.url) as client:
        await hear(client)
        at = {"epoch": "e1", "offset": 2**53}
        await say(client, subscribe=[LEVEL], resume={LEVEL: at})
        reset = await hear(client)
        assert reset == {"type": "reset", "level": LEVEL, "reason": "future"}
        assert (await hear(client))["type"] == "snapshot"


async def test_unsubscribe_is_confirmed_and_ends_the_level() -> None:
    async with served() as world, subscribed(world) as (client, _):
        await say(client, unsubscribe=[LEVEL])
        assert await hear(client) == {"type": "unsubscribed", "level": LEVEL}
        world.tick(1)
        world.hub.beat()
        assert (await hear(client))["type"] == "heartbeat"


async def test_an_unknown_level_is_an_error_and_the_socket_lives() -> None:
    async with served() as world, connect(world.url) as client:
        await hear(client)
        await say(client, subscribe=["hq/99", LEVEL])
        assert await hear(client) == {
            "type": "error",
            "code": 2004,
            "message": "There is no such level.",
            "retryable": False,
            "level": "hq/99",
        }
        assert (await hear(client))["type"] == "snapshot"


BAD_MESSAGES = [
    "",
    "{",
    "[]",
    "null",
    "17",
    '{"subscribe":"hq/3"}',
    '{"subscribe":["hq/3/4"]}',
    '{"subscribe":["../3"]}',
    '{"subscribe":["hq/3\\n"]}',
    '{"subscribe":["' + "a" * 65 + '"]}',
    '{"subscribe":["%s"]}',
    '{"subscribe":' + json.dumps(["hq/3"] * 257) + "}",
    '{"subscribe":["hq/3"],"resume":{"hq/3":{"epoch":"' + "e" * 65 + '","offset":1}}}',
    '{"subscribe":["hq/3"],"resume":{"hq/3":{"epoch":"e1","offset":-1}}}',
    '{"subscribe":["hq/3"],"resume":{"hq/3":{"epoch":"e1","offset":1.5}}}',
    '{"subscribe":["hq/3"],"resume":{"hq/3":{"epoch":"e1","offset":1e400}}}',
    '{"subscribe":["hq/3"],"resume":{"hq/3":17}}',
    '{"token":"' + "t" * 8193 + '"}',
    '{"secret":"s3cr3t"}',
    '{"secret":' + "[" * 30_000,
    "[" * 60_000,
]


@pytest.mark.parametrize("text", BAD_MESSAGES)
async def test_a_bad_message_is_named_without_being_repeated_and_closes(
    text: str,
) -> None:
    async with served() as world, connect(world.url) as client:
        await hear(client)
        await client.send(text)
        error = await hear(client)
        assert error["code"] == 2002
        assert error["message"] == "Send subscribe, resume, unsubscribe or token."
        assert (await closed(client))[0] == 4502
        assert world.live.bad_messages == 1


async def test_binary_that_is_not_msgpack_closes() -> None:
    async with served() as world, connect(world.url) as client:
        await client.send(b"\xc1\xff\x00")
        assert (await closed(client))[0] == 4502


async def test_a_msgpack_message_is_understood() -> None:
    async with served() as world, connect(world.url, subprotocols=[MSGPACK]) as client:
        await hear(client)
        await client.send(msgspec.msgpack.encode({"subscribe": [LEVEL]}))
        assert (await hear(client))["type"] == "snapshot"


async def test_a_message_in_fragments_is_put_together() -> None:
    async with served() as world, connect(world.url) as client:
        await hear(client)
        await client.send(['{"subscr', "", 'ibe":["hq', '/3"]}'])
        assert (await hear(client))["type"] == "snapshot"


async def test_a_ping_is_answered() -> None:
    async with served() as world, connect(world.url) as client:
        async with asyncio.timeout(DEADLINE_S):
            await (await client.ping(b"hi"))


async def test_a_client_that_asks_without_end_is_closed() -> None:
    limits = LiveLimits(frames_per_s=20)
    async with (
        served(Rules(live_limits=limits)) as world,
        connect(world.url) as client,
    ):
        for _ in range(30):
            await say(client, subscribe=[LEVEL])
        assert await closed(client) == (4502, "too many messages")


async def test_where_a_token_is_needed_it_is_the_first_message() -> None:
    async with served() as world:
        world.grant = None
        world.tokens["good"] = Grant(TENANT, None)
        async with connect(world.url) as client:
            await hear(client)
            await say(client, token="good", subscribe=[LEVEL])  # noqa: S106
            assert (await hear(client))["type"] == "snapshot"
        assert world.asked[-1] == ("good", "127.0.0.1")


@pytest.mark.parametrize("message", [{"subscribe": [LEVEL]}, {"token": "bad"}, {}])
async def test_without_a_good_token_the_socket_is_closed(
    message: dict[str, Any],
) -> None:
    async with served() as world:
        world.grant = None
        async with connect(world.url) as client:
            await hear(client)
            await client.send(json.dumps(message))
            error = await hear(client)
            assert (error["code"], error["retryable"]) == (2001, False)
            assert await closed(client) == (4501, "not authorised")
        await until(lambda: not world.live.sockets)


async def test_a_client_that_sends_no_token_in_time_is_closed() -> None:
    async with served() as world:
        world.grant = None
        async with connect(world.url) as client:
            await hear(client)
            world.late(5)
            await (await client.ping())
            world.late(11)
            assert await closed(client) == (4501, "no token came")


async def test_a_token_in_the_header_is_enough_and_a_bad_one_is_401() -> None:
    async with served() as world:
        world.grant = None
        world.tokens["good"] = Grant(TENANT, None)
        good = {"Authorization": "Bearer good"}
        async with subscribed(world, good):
            pass
        with pytest.raises(InvalidStatus) as refused:
            await connect(
                world.url, additional_headers={"Authorization": "Bearer s3cr3t"}
            )
        assert refused.value.response.status_code == 401
        assert b"s3cr3t" not in (refused.value.response.body or b"")


async def test_a_socket_ends_with_its_token_unless_it_is_renewed() -> None:
    async with served() as world:
        world.grant = Grant(TENANT, world.now_ms + 1_000)
        world.tokens["longer"] = Grant(TENANT, world.now_ms + 9_000)
        world.tokens["rival"] = Grant("rival", None)
        async with subscribed(world) as (ends, _), subscribed(world) as (stays, _):
            await say(stays, token="longer")  # noqa: S106
            await (await stays.ping())
            world.now_ms += 1_000
            world.late(0)
            assert await closed(ends) == (4501, "the token expired")
            world.tick(1)
            assert (await hear(stays))["type"] == "delta"
            await say(stays, token="rival")  # noqa: S106
            assert (await closed(stays))[0] == 4501


async def test_a_grant_for_an_unknown_tenant_is_no_grant() -> None:
    async with served() as world:
        world.grant = Grant("nobody", None)
        async with connect(world.url) as client:
            assert (await closed(client))[0] == 4501


async def test_more_streams_than_the_hub_takes_come_back_later() -> None:
    async with (
        served(Rules(max_subscribers=1)) as world,
        subscribed(world),
        connect(world.url) as late,
    ):
        assert (await hear(late))["type"] == "hello"
        assert (await hear(late))["code"] == 2029
        assert (await closed(late))[0] == 1013


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://127.0.0.1:{port}", True),
        ("HTTP://127.0.0.1:{port}", True),
        ("https://map.example", True),
        ("https://map.example:443", True),
        ("https://map.example.evil.example", False),
        ("http://127.0.0.1", False),
        ("null", False),
    ],
)
async def test_only_pages_of_known_origins_open_a_socket(
    origin: str, *, allowed: bool
) -> None:
    async with served(Rules(origins=frozenset({"https://map.example"}))) as world:
        page = Origin(origin.format(port=world.port))
        if allowed:
            async with connect(world.url, origin=page):
                return
        with pytest.raises(InvalidStatus) as refused:
            await connect(world.url, origin=page)
        assert refused.value.response.status_code == 403
        assert world.live.refused == 1


async def test_a_page_whose_name_was_pointed_at_us_gets_no_socket() -> None:
    names = frozenset({"localhost"})
    async with served(Rules(hosts=names)) as world:
        with pytest.raises(InvalidStatus) as refused:
            await connect(world.url)
        assert refused.value.response.status_code == 403
        async with connect(world.url.replace("127.0.0.1", "localhost")):
            pass


async def test_another_path_has_no_socket() -> None:
    async with served() as world:
        with pytest.raises(InvalidStatus) as refused:
            await connect(world.url + "x")
        assert refused.value.response.status_code == 404
        body = json.loads(refused.value.response.body or b"")
        assert set(body) == {"code", "message", "retryable"}


def handshake(world: Served, *lines: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    head = [
        "GET /v1/live HTTP/1.1",
        f"Host: 127.0.0.1:{world.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode()


def frame(opcode: int, data: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    head = bytes([opcode | (0x80 if fin else 0)])
    size = len(data)
    flag = 0x80 if masked else 0
    if size < 126:
        head += bytes([size | flag])
    elif size < 65_536:
        head += bytes([126 | flag]) + struct.pack("!H", size)
    else:
        head += bytes([127 | flag]) + struct.pack("!Q", size)
    return head + (b"\0\0\0\0" + data if masked else data)


async def raw(world: Served, *chunks: bytes) -> bytes:
    """Shake hands, send bytes, and read until the server ends it."""
    bad_before = world.live.bad_messages
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    async with asyncio.timeout(DEADLINE_S):
        writer.write(handshake(world))
        await reader.readuntil(b"\r\n\r\n")
        for chunk in chunks:
            writer.write(chunk)
        await until(lambda: world.live.bad_messages > bad_before)
        world.late(4)  # we never answer the close
        answer = await reader.read()
    writer.close()
    return answer


def close_code(answer: bytes) -> int:
    """Return the code of the close frame at the end of what the server sent."""
    at = 0
    while answer[at] & 0x0F != 8:
        size = answer[at + 1]
        assert size < 126
        at += 2 + size
    code: int = struct.unpack("!H", answer[at + 2 : at + 4])[0]
    return code


HOSTILE = {
    "unmasked": (frame(1, b"{}", masked=False), 1002),
    "reserved bits": (b"\xf1\x80\0\0\0\0", 1002),
    "unknown opcode": (frame(3, b""), 1002),
    "long ping": (frame(9, b"x" * 126), 1002),
    "fragmented ping": (frame(9, b"x", fin=False), 1002),
    "lone continuation": (frame(0, b"x"), 1002),
    "message inside a message": (frame(1, b"{", fin=False) + frame(1, b"}"), 1002),
    "bad close code": (frame(8, struct.pack("!H", 1005)), 1002),
    "close of one byte": (frame(8, b"x"), 1002),
    "announced as huge": (b"\x81\xff" + struct.pack("!Q", 2**62) + b"\0" * 4, 1009),
    "too big": (frame(1, b" " * 65_537), 1009),
    "too big in fragments": (
        frame(1, b" " * 40_000, fin=False) + frame(0, b" " * 40_000),
        1009,
    ),
    "not utf-8": (frame(1, b'{"token":"\xff"}'), 1007),
    "ping flood": (frame(9, b"") * 3_000, 4502),
    "fragment flood": (
        frame(1, b"", fin=False) + frame(0, b"", fin=False) * 3_000,
        4502,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_frames_get_their_code_and_hurt_nobody_else(name: str) -> None:
    chunk, code = HOSTILE[name]
    async with (
        served() as world,
        subscribed(world) as (client, replica),
    ):
        assert close_code(await raw(world, chunk)) == code
        world.tick(1)
        replica.hear(await hear(client))
        assert replica.agrees(world.floor)
        await until(lambda: len(world.live.sockets) == 1)


async def test_a_client_that_vanishes_is_forgotten() -> None:
    async with served() as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(handshake(world))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(1, json.dumps({"subscribe": [LEVEL]}).encode()))
        await until(lambda: world.hub.topics == 1)
        writer.transport.abort()
        await until(lambda: world.hub.subscribers == 0)
        assert world.hub.topics == 0


async def test_two_origins_are_refused() -> None:
    async with served() as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        own = f"Origin: http://127.0.0.1:{world.port}"
        writer.write(handshake(world, own, own))
        assert (await reader.readline()).startswith(b"HTTP/1.1 403")
        writer.close()


async def test_a_client_that_never_answers_a_close_is_cut() -> None:
    async with served() as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(handshake(world) + b"")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(1, b"nonsense"))
        await until(lambda: world.live.bad_messages == 1)
        world.late(1)
        assert world.live.sockets
        world.late(4)
        await until(lambda: not world.live.sockets)
        writer.close()


async def test_of_a_flood_from_a_client_that_is_sent_away_no_more_is_read() -> None:
    async with served() as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(handshake(world))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(1, b"nonsense"))
        await until(lambda: world.live.bad_messages == 1)
        (sent_away,) = world.live.sockets
        assert sent_away.transport.is_reading()
        writer.write(frame(9, b"") * 10_000)
        await until(lambda: not sent_away.transport.is_reading())
        world.late(4)
        await until(lambda: not world.live.sockets)
        writer.close()


async def test_a_client_may_answer_a_close_after_what_it_had_sent_before() -> None:
    async with served() as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(handshake(world))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(1, b"nonsense"))
        await until(lambda: world.live.bad_messages == 1)
        writer.write(frame(1, b"{}") * 100 + frame(8, struct.pack("!H", 4502)))
        async with asyncio.timeout(DEADLINE_S):
            await reader.read()  # to its end: nothing is swept here
        writer.close()
        await until(lambda: not world.live.sockets)


@pytest.mark.slow
async def test_a_client_that_ignores_the_end_of_the_server_is_cut() -> None:
    async with asyncio.timeout(DEADLINE_S):
        async with served() as world:
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            writer.write(handshake(world))
            await reader.readuntil(b"\r\n\r\n")
        assert close_code(await reader.read()) == 4002
        assert not world.live.sockets
        writer.close()


async def test_the_server_goes_away_with_a_code_and_a_spread() -> None:
    async with connect_after_end() as ends:
        assert {code for code, _ in ends} == {4002}
        waits = {int(reason.removeprefix("retry_ms=")) for _, reason in ends}
        assert len(waits) > 1
        assert max(waits) <= 5_000


@asynccontextmanager
async def connect_after_end() -> AsyncIterator[list[tuple[int, str]]]:
    async with served() as world:
        clients = [await connect(world.url) for _ in range(8)]
        for client in clients:
            await say(client, subscribe=[LEVEL])
            await hear(client)
        ends = [asyncio.create_task(closed(client)) for client in clients]
        await asyncio.sleep(0)
    yield [await end for end in ends]


async def test_the_address_behind_a_trusted_proxy_is_the_clients() -> None:
    async with served() as world:
        headers = {"X-Forwarded-For": "198.51.100.9, 203.0.113.7"}
        async with connect(world.url, additional_headers=headers):
            assert world.asked[-1] == (None, "203.0.113.7")
