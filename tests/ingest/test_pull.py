"""The pull link against real servers of our own, on a real loop.

Checklist of a transport: limits, loss, reordering, restart, silence, refusal, secrets,
TLS, back-pressure, cancellation: done. Time limits are short settings, not sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import structlog
import uvloop
from websockets.asyncio.server import serve as serve_sockets

from engine.backoff import Backoff
from engine.errors import ConfigError
from engine.ingest.mqtt import tls_context
from engine.ingest.mqtt_session import Reason
from engine.ingest.pull import OVERLAP_MS, Pull, Terms
from tests.authority import Authority, make_authority
from tests.ingest.pull_server import HEAD, Request, Server, cut_off, said, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from websockets.asyncio.server import ServerConnection

    from engine.ingest.mqtt_receipts import Receipt
    from engine.ingest.mqtt_session import Message

DEADLINE_S = 20.0
SECRET = "s3cret-K3y"  # noqa: S105 - made up
NOW_MS = 1_772_442_000_000


class Waits(Backoff):
    """Waits hardly at all, and remembers which waits were calm."""

    def __init__(self) -> None:
        super().__init__(0.001, 0.002, random.Random(1))  # noqa: S311 - seeded jitter
        self.calm: list[bool] = []
        self.resets = 0

    def reset(self) -> None:
        super().reset()
        self.resets += 1

    def next_s(self, *, calmly: bool = False) -> float:
        self.calm.append(calmly)
        return super().next_s()


class Consumer:
    """A pull link with a sink that keeps everything, and gives receipts if told to."""

    def __init__(
        self,
        port: int,
        *,
        gives: bool = True,
        scheme: str = "http",
        path: str = "/events?a=1",
        clock_s: Callable[[], float] = lambda: 0.0,
        **terms: Any,  # noqa: ANN401 - whatever Terms takes
    ) -> None:
        self.got: list[bytes] = []
        self.receipts: list[Receipt] = []
        self.gives = gives
        self.waits = Waits()
        self.changed = asyncio.Event()
        terms = {
            "mode": "stream",
            "max_bytes": 1_000,
            "header": "X-API-KEY",
            "secret": SECRET.encode,
            "resume": ("fromTimestamp", "recordTimestamp"),
            **terms,
        }
        self.link = Pull(
            name="test",
            terms=Terms(url=f"{scheme}://127.0.0.1:{port}{path}", **terms),
            sink=self.sink,
            clock_ms=lambda: NOW_MS,
            clock_s=clock_s,
            backoff=self.waits,
            sleep=self.sleep,
        )

    def sink(self, messages: Sequence[Message], receipt: Receipt) -> None:
        assert not any(message.retain or message.topic for message in messages)
        self.got += [message.payload for message in messages]
        self.receipts.append(receipt)
        if self.gives:
            receipt.done()
        self.changed.set()

    async def sleep(self, seconds: float) -> None:
        self.changed.set()
        await asyncio.sleep(seconds)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.link.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not met():
                self.changed.clear()
                await self.changed.wait()


def sent(number: int) -> dict[str, int]:
    return {"recordTimestamp": NOW_MS - 1_000_000 + number, "number": number}


async def test_lines_arrive_in_order_and_the_secret_goes_into_its_header() -> None:
    events = [sent(number) for number in range(100)]
    async with Server(said(*events)).running() as server:
        consumer = Consumer(server.port)
        async with consumer.running():
            await consumer.until(lambda: len(consumer.got) == 100)
            assert consumer.link.ready
            assert consumer.link.meter.received == 100
            assert consumer.link.meter.outstanding == 0
    assert [json.loads(one) for one in consumer.got] == events
    (request,) = server.requests
    assert request.target == "/events?a=1"
    assert request.headers["x-api-key"] == SECRET
    assert request.headers["accept-encoding"] == "identity"


async def test_a_stream_that_broke_off_goes_on_from_what_is_safe() -> None:
    first, again = [sent(1), sent(3), sent(2)], [sent(3), sent(4)]
    async with Server(cut_off(*first), said(*again)).running() as server:
        consumer = Consumer(server.port)
        async with consumer.running():
            await consumer.until(lambda: len(consumer.got) == 5)
            assert consumer.link.reconnects == 1
    numbers = [json.loads(one)["number"] for one in consumer.got]
    assert numbers == [1, 3, 2, 3, 4]
    since_ms = consumer_since(server.requests[1])
    # The last line of a chunk tells, and the overlap covers what is out of order.
    assert NOW_MS - 1_000_000 + 1 <= since_ms + OVERLAP_MS <= NOW_MS - 1_000_000 + 3


def consumer_since(request: Request) -> int:
    path, _, query = request.target.partition("?")
    values = dict(pair.split("=") for pair in query.split("&"))
    assert (path, values["a"]) == ("/events", "1")
    return int(values["fromTimestamp"])


async def test_what_is_not_safe_is_asked_for_again() -> None:
    async with Server(cut_off(sent(1)), said(sent(2))).running() as server:
        consumer = Consumer(server.port, gives=False)
        async with consumer.running():
            await consumer.until(lambda: len(consumer.receipts) == 2)
            first, second = consumer.receipts
            # It belongs to a connection that has ended: its lines come again.
            positions = []
            for receipt in (first, second):
                receipt.done()
                positions.append(consumer.link.safe_ms)
            assert positions == [None, sent(2)["recordTimestamp"]]
    assert "fromTimestamp" not in server.requests[1].target


async def test_a_receipt_counts_only_after_all_before_it() -> None:
    async def one_by_one(request: Request) -> None:
        request.writer.write(HEAD)
        for number in (1, 2, 3):
            await request.say(sent(number))
            async with asyncio.timeout(DEADLINE_S):
                await consumer.until(lambda n=number: len(consumer.receipts) == n)  # type: ignore[misc]
        one, two, three = consumer.receipts
        three.done()
        one.done()
        assert consumer.link.safe_ms == sent(1)["recordTimestamp"]
        two.done()
        assert consumer.link.safe_ms == sent(3)["recordTimestamp"]
        checked.set()
        await request.gone()

    checked = asyncio.Event()
    async with Server(one_by_one).running() as server:
        consumer = Consumer(server.port, gives=False)
        async with consumer.running(), asyncio.timeout(DEADLINE_S):
            await checked.wait()


async def test_the_position_never_goes_back() -> None:
    async def newest_first(request: Request) -> None:
        request.writer.write(HEAD)
        for number in (3, 1, 2):
            count = len(consumer.got) + 1
            await request.say(sent(number))
            await consumer.until(lambda n=count: len(consumer.got) == n)  # type: ignore[misc]
            assert consumer.link.safe_ms == sent(3)["recordTimestamp"]
        checked.set()
        await request.gone()

    checked = asyncio.Event()
    async with Server(newest_first).running() as server:
        consumer = Consumer(server.port)
        async with consumer.running(), asyncio.timeout(DEADLINE_S):
            await checked.wait()


@pytest.mark.parametrize(("lasted_s", "resets"), [(9.0, 0), (10.0, 1)])
async def test_only_a_connection_that_lasted_starts_the_waits_anew(
    lasted_s: float, resets: int
) -> None:
    now_s = 0.0

    async def later(request: Request) -> None:
        nonlocal now_s
        request.writer.write(HEAD)
        await request.say(sent(1))
        await consumer.until(lambda: consumer.got != [])
        now_s = lasted_s
        request.writer.close()

    async with Server(later, said()).running() as server:
        consumer = Consumer(server.port, clock_s=lambda: now_s)
        async with consumer.running():
            await consumer.until(lambda: len(consumer.waits.calm) == 1)
    assert consumer.waits.resets == resets


@pytest.mark.parametrize("strange", [10**15, -5, "later", None, 1.5, [1], 10**30])
async def test_a_strange_time_of_sending_never_asks_for_the_future(
    strange: object,
) -> None:
    server = Server(cut_off(sent(1), {"recordTimestamp": strange}), said(sent(2)))
    async with server.running():
        consumer = Consumer(server.port)
        async with consumer.running():
            await consumer.until(lambda: len(consumer.got) == 3)
    target = server.requests[1].target
    if "fromTimestamp" in target:
        assert 0 <= consumer_since(server.requests[1]) <= NOW_MS - OVERLAP_MS


async def test_a_source_without_a_position_is_asked_as_before() -> None:
    async with Server(cut_off(sent(1)), said(sent(2))).running() as server:
        consumer = Consumer(server.port, resume=None, header=None)
        async with consumer.running():
            await consumer.until(lambda: len(consumer.got) == 2)
    assert [one.target for one in server.requests] == ["/events?a=1"] * 2
    assert "x-api-key" not in server.requests[0].headers


async def test_a_stream_that_ends_in_order_is_opened_anew() -> None:
    async def ends(request: Request) -> None:
        request.writer.write(HEAD)
        await request.say(sent(1))
        request.writer.write(b"0\r\n\r\n")
        await request.gone()

    async with Server(ends, said(sent(2))).running() as server:
        consumer = Consumer(server.port)
        async with consumer.running():
            await consumer.until(lambda: len(consumer.got) == 2)
    assert consumer.link.ended[Reason.LOST] == 1


async def test_a_silent_stream_is_opened_anew() -> None:
    async with Server(said(sent(1))).running() as server:
        consumer = Consumer(server.port, silence_s=0.05)
        async with consumer.running():
            await consumer.until(lambda: consumer.link.ended[Reason.SILENT] >= 2)
    assert "said nothing for 0.05 s" in consumer.link.last_error
    assert len(consumer.got) >= 2


async def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    async def nothing(request: Request) -> None:
        await request.gone()

    async with Server(nothing).running() as server:
        consumer = Consumer(server.port, answer_s=0.05)
        async with consumer.running():
            await consumer.until(lambda: consumer.link.ended[Reason.TIMEOUT] >= 2)
            assert not consumer.link.ready


@pytest.mark.parametrize(
    ("code", "reason", "calm", "words"),
    [
        (401, Reason.REFUSED, True, "is the secret right?"),
        (403, Reason.REFUSED, True, "is the secret right?"),
        (404, Reason.REFUSED, True, "is the url right?"),
        (204, Reason.REFUSED, True, "is the url right?"),
        (429, Reason.BUSY, True, "too many requests"),
        (500, Reason.SERVER, False, "answers 500"),
        (503, Reason.SERVER, False, "answers 503"),
    ],
)
async def test_a_refusal_is_told_without_the_secret_and_not_tried_again_soon(
    code: int, reason: Reason, words: str, *, calm: bool
) -> None:
    async with Server(status(code)).running() as server:
        consumer = Consumer(server.port, path="/events?token=t0k3n")
        with structlog.testing.capture_logs() as logs:
            async with consumer.running():
                await consumer.until(lambda: consumer.link.ended[reason] > 0)
                assert not consumer.link.ready
                assert words in consumer.link.last_error
    assert consumer.waits.calm[0] == calm
    assert SECRET not in str(logs)
    assert "t0k3n" not in str(logs)
    assert {"link", "reason", "error", "retry_in_s"} <= logs[0].keys()


async def test_a_redirect_is_not_followed_and_takes_the_secret_nowhere() -> None:
    async with Server(said(sent(1))).running() as other:
        where = f"location: http://127.0.0.1:{other.port}/"
        for code in (301, 302, 307, 308):
            async with Server(status(code, where)).running() as server:
                consumer = Consumer(server.port)
                async with consumer.running():
                    await consumer.until(
                        lambda c=consumer: c.link.ended[Reason.REFUSED] > 0  # type: ignore[misc]
                    )
    assert not other.requests


async def test_garbage_passes_and_a_line_too_long_is_left_out() -> None:
    lines = [b"\xff\xfe", b"{", b"x" * 1_001, b"[" * 900, b"", b" \r", b'{"ok":1}']
    async with Server(said(*lines)).running() as server:
        consumer = Consumer(server.port)
        async with consumer.running():
            await consumer.until(lambda: b'{"ok":1}' in consumer.got)
            assert consumer.link.meter.refused == 1
            assert consumer.link.ended == dict.fromkeys(Reason, 0)
    assert consumer.got == [b"\xff\xfe", b"{", b"[" * 900, b'{"ok":1}']


async def test_an_answer_that_is_no_http_or_compressed_is_refused() -> None:
    async def mumbles(request: Request) -> None:
        request.writer.write(b"SMTP ready\r\n\r\n")
        await request.writer.drain()
        request.writer.close()

    for answer in (mumbles, status(200, "content-encoding: gzip", body=b"x")):
        async with Server(answer).running() as server:
            consumer = Consumer(server.port)
            async with consumer.running():
                await consumer.until(
                    lambda c=consumer: c.link.ended[Reason.MALFORMED] > 0  # type: ignore[misc]
                )


async def test_the_reading_stops_at_the_bound_and_nothing_is_lost() -> None:
    lines = [b'{"n":%d,"x":"%s"}' % (n, b"x" * 900) for n in range(3_000)]
    async with Server(said(*lines)).running() as server:
        consumer = Consumer(server.port, gives=False, max_outstanding=50)
        async with consumer.running():
            await consumer.until(lambda: consumer.link.meter.pauses > 0)
            # One chunk over the bound at most, which is what a read brings.
            stopped_at = consumer.link.meter.outstanding
            assert stopped_at < 50 + 256
            for _ in range(2_000):  # turns of the loop, in which more could come
                await asyncio.sleep(0)
            assert len(consumer.got) == stopped_at
            consumer.gives = True
            for receipt in consumer.receipts:
                receipt.done()
            await consumer.until(lambda: len(consumer.got) == len(lines))
    assert consumer.got == lines


async def test_nobody_at_the_other_end_is_told_and_tried_again() -> None:
    async with Server(said()).running() as server:
        pass
    consumer = Consumer(server.port)
    async with consumer.running():
        await consumer.until(lambda: consumer.link.ended[Reason.UNREACHABLE] >= 2)
    assert "cannot reach 127.0.0.1: " in consumer.link.last_error
    assert not any(consumer.waits.calm)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


async def test_a_link_speaks_tls_and_trusts_only_whom_it_is_told(
    authority: Authority,
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate, authority.key)
    async with Server(said(sent(1))).running(context) as server:
        trusting = Consumer(
            server.port, scheme="https", tls=tls_context(ca=authority.certificate)
        )
        async with trusting.running():
            await trusting.until(lambda: len(trusting.got) == 1)
        wary = Consumer(server.port, scheme="https")
        async with wary.running():
            await wary.until(lambda: wary.link.ended[Reason.UNREACHABLE] > 0)
    assert "self-signed certificate" in wary.link.last_error
    assert len(server.requests) == 1


async def test_a_port_that_speaks_no_tls_is_told() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for scheme, mode in (("https", "stream"), ("wss", "websocket")):
            consumer = Consumer(port, scheme=scheme, mode=mode)
            async with consumer.running():
                await consumer.until(
                    lambda c=consumer: c.link.ended[Reason.UNREACHABLE] > 0  # type: ignore[misc]
                )
            assert consumer.link.last_error == "cannot reach 127.0.0.1: no TLS"


async def test_a_proxy_is_asked_and_may_refuse() -> None:
    for scheme, answer, reason in (
        ("http", said(sent(1)), None),
        ("https", status(403), Reason.UNREACHABLE),
    ):
        async with Server(answer).running() as server:
            proxy = f"http://127.0.0.1:{server.port}"
            consumer = Consumer(1, scheme=scheme, proxy=proxy)
            async with consumer.running():
                await consumer.until(
                    lambda c=consumer, r=reason: (  # type: ignore[misc]
                        c.link.ended[r] > 0 if r else c.got != []
                    )
                )
        asked = "http://127.0.0.1:1/events?a=1" if reason is None else "127.0.0.1:1"
        assert server.requests[0].target == asked


async def test_half_a_line_waits_for_its_end() -> None:
    async def halves(request: Request) -> None:
        request.writer.write(HEAD + b'5\r\n{"a":\r\n')
        await request.writer.drain()
        await arrived.wait()
        request.writer.write(b"3\r\n1}\n\r\n")
        await request.gone()

    arrived = asyncio.Event()
    async with Server(halves).running() as server:
        consumer = Consumer(server.port)
        async with consumer.running():
            async with asyncio.timeout(DEADLINE_S):
                while not consumer.link.ready:  # noqa: ASYNC110 - no event for it
                    await asyncio.sleep(0)
            arrived.set()
            await consumer.until(lambda: consumer.got == [b'{"a":1}'])


async def test_a_sink_that_raises_ends_the_link() -> None:
    async with Server(said(sent(1))).running() as server:
        consumer = Consumer(server.port)

        def broken(messages: Sequence[Message], receipt: Receipt) -> None:
            raise OSError(len(messages), receipt)

        consumer.link._sink = broken  # noqa: SLF001 - in place of the real one
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(OSError, match="1"):
                await consumer.link.run()


async def test_a_link_that_is_told_to_end_hangs_up() -> None:
    hung_up = asyncio.Event()

    async def answer(request: Request) -> None:
        request.writer.write(HEAD)
        await request.say(sent(1))
        await request.gone()
        hung_up.set()

    async with Server(answer).running() as server:
        consumer = Consumer(server.port)
        async with consumer.running():
            await consumer.until(lambda: consumer.got != [])
        async with asyncio.timeout(DEADLINE_S):
            await hung_up.wait()


async def test_a_secret_that_goes_missing_is_no_reason_to_stop() -> None:
    secrets: list[bytes] = [SECRET.encode()]

    def secret() -> bytes:
        if not secrets:
            raise ConfigError("key: the secret cannot be read")
        return secrets[0]

    async with Server(said(sent(1))).running() as server:
        consumer = Consumer(server.port, secret=secret)
        secrets.clear()
        async with consumer.running():
            await consumer.until(lambda: consumer.link.ended[Reason.REFUSED] > 0)
            assert consumer.link.last_error == "key: the secret cannot be read"
            secrets.append(b"another")
            await consumer.until(lambda: consumer.got != [])
    assert server.requests[0].headers["x-api-key"] == "another"


async def test_each_answer_to_a_poll_is_one_message() -> None:
    server = Server(
        status(200, body=b"[1,\n2]"), status(200, body=b"x" * 1_001), status(200)
    )
    async with server.running():
        consumer = Consumer(server.port, mode="poll", every_s=0.01)
        async with consumer.running():
            await consumer.until(lambda: len(consumer.got) >= 2)
            assert consumer.link.ready
    assert consumer.got[:2] == [b"[1,\n2]", b""]
    assert consumer.link.meter.refused == 1
    assert consumer.link.meter.connects == 1


async def test_a_poll_waits_until_the_one_before_is_safe() -> None:
    async with Server(status(200, body=b"[]")).running() as server:
        consumer = Consumer(server.port, mode="poll", every_s=0.001, gives=False)
        async with consumer.running():
            await consumer.until(lambda: len(consumer.receipts) == 1)
            assert consumer.link.meter.pauses == 1
            consumer.receipts[0].done()
            await consumer.until(lambda: len(consumer.receipts) == 2)
            assert len(server.requests) == 2


async def test_a_poll_that_fails_is_not_ready_until_one_succeeds() -> None:
    server = Server(
        status(200, body=b"1"), status(500), status(500), status(200, body=b"2")
    )
    async with server.running():
        consumer = Consumer(server.port, mode="poll", every_s=0.001)
        async with consumer.running():
            await consumer.until(lambda: consumer.link.ended[Reason.SERVER] == 1)
            assert not consumer.link.ready
            await consumer.until(
                lambda: consumer.link.ready and consumer.got[-1:] == [b"2"]
            )
            assert consumer.link.reconnects == 1


@contextlib.asynccontextmanager
async def sockets(
    handle: Callable[[ServerConnection], Awaitable[None]],
) -> AsyncIterator[int]:
    async with serve_sockets(handle, "127.0.0.1", 0) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def test_frames_of_a_socket_are_messages_and_the_first_text_is_said() -> None:
    heard: list[object] = []

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        heard.append(connection.request.headers["X-API-KEY"])
        heard.append(await connection.recv())
        await connection.send("text")
        await connection.send(b"bytes")
        await connection.wait_closed()

    async with sockets(handle) as port:
        consumer = Consumer(port, scheme="ws", mode="websocket", first='{"a":1}')
        async with consumer.running():
            await consumer.until(lambda: len(consumer.got) == 2)
            assert consumer.link.ready
    assert heard == [SECRET, '{"a":1}']
    assert consumer.got == [b"text", b"bytes"]


async def test_a_socket_that_closes_or_says_too_much_is_opened_anew() -> None:
    frames = iter([b"", b"x" * 1_001])

    async def handle(connection: ServerConnection) -> None:
        frame = next(frames, b"ok")
        if frame:
            await connection.send(frame)
            await connection.wait_closed()

    async with sockets(handle) as port:
        consumer = Consumer(port, scheme="ws", mode="websocket")
        async with consumer.running():
            await consumer.until(lambda: consumer.got == [b"ok"])
    assert consumer.link.ended[Reason.LOST] == 1
    assert consumer.link.ended[Reason.OVERSIZE] == 1


async def test_a_socket_speaks_tls_and_nobody_there_is_told(
    authority: Authority,
) -> None:
    async def handle(connection: ServerConnection) -> None:
        await connection.send("frame")
        await connection.wait_closed()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate, authority.key)
    async with serve_sockets(handle, "127.0.0.1", 0, ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        tls = tls_context(ca=authority.certificate)
        trusting = Consumer(port, scheme="wss", mode="websocket", tls=tls)
        async with trusting.running():
            await trusting.until(lambda: trusting.got == [b"frame"])
    nobody = Consumer(port, scheme="ws", mode="websocket")
    async with nobody.running():
        await nobody.until(lambda: nobody.link.ended[Reason.UNREACHABLE] > 0)
    assert "cannot reach 127.0.0.1: " in nobody.link.last_error


async def test_a_server_that_speaks_no_http_opens_no_socket() -> None:
    async def mumbles(request: Request) -> None:
        request.writer.write(b"SMTP ready\r\n\r\n")
        await request.writer.drain()
        request.writer.close()

    async with Server(mumbles).running() as server:
        consumer = Consumer(server.port, scheme="ws", mode="websocket")
        async with consumer.running():
            await consumer.until(lambda: consumer.link.ended[Reason.MALFORMED] > 0)


async def test_a_server_that_opens_no_socket_refuses_us() -> None:
    elsewhere = status(302, "location: ws://127.0.0.1:1/")
    for answer in (status(401), elsewhere, status(200)):
        async with Server(answer).running() as server:
            consumer = Consumer(server.port, scheme="ws", mode="websocket")
            async with consumer.running():
                await consumer.until(
                    lambda c=consumer: c.link.ended[Reason.REFUSED] > 0  # type: ignore[misc]
                )
        assert consumer.waits.calm[0]


@pytest.mark.parametrize(
    "terms",
    [
        {"url": "ftp://h/"},
        {"url": "http:///"},
        {"url": "http://h:0/"},
        {"url": "http://h:99999/"},
        {"url": "http://[::1/"},
        {"url": "http://.../"},
        {"url": "http://a b/"},
        {"url": "http://h\0/"},
        {"url": "http://h/#part"},
        {"url": f"http://{'a' * 70}/"},
        {"url": "http://h/", "proxy": "socks5://h:1080"},
        {"url": "http://h/", "proxy": "h:3128"},
        {"url": "ws://h/"},
        {"url": "http://h/", "mode": "websocket"},
        {"url": "https://user:pass@h/"},
        {"url": "http://h/", "header": "X-API-KEY", "secret": lambda: None},
        {"url": "http://h/", "header": "X-API-KEY", "secret": lambda: b"a\nb"},
        {"url": "http://h/", "header": "X-API-KEY", "secret": lambda: b"\xc3\xa4"},
    ],
)
def test_terms_that_cannot_be_are_told_in_a_sentence(terms: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^pull: ") as refused:
        Terms(**{"mode": "stream", "max_bytes": 1, **terms})
    assert "pass" not in str(refused.value).replace("password", "")


def test_a_link_runs_on_uvloop_too() -> None:
    async def run() -> None:
        async with Server(cut_off(sent(1)), said(sent(2))).running() as server:
            consumer = Consumer(server.port)
            async with consumer.running():
                await consumer.until(lambda: len(consumer.got) == 2)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
