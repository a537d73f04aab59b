"""The modes of a pull link: a stream of lines, answers at intervals, a socket.

See `pull_session.Serve`. Redirects are not followed: they would take the secret to
whoever is named.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Never
from urllib.parse import urlsplit

import aiohttp
import msgspec
from websockets.asyncio.client import connect
from yarl import URL

from engine.ingest.lines import Lines
from engine.ingest.mqtt_session import Ended, Reason
from engine.ingest.pull_session import ends, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.ingest.pull_session import Intake, Mode, Serve, Terms

_PING_S = 20.0
_CLOSE_S = 1.0

# Its debug lines hold headers and frames: secrets and people.
_SILENT = logging.getLogger("engine.ingest.pull_modes.websockets")
_SILENT.setLevel(logging.CRITICAL + 1)


async def stream(
    terms: Terms, intake: Intake, ready: Callable[[], None], since_ms: int | None
) -> Never:
    """Read lines without end."""
    url = URL(terms.url)
    sent_ms = _sent_ms(terms.resume)
    if terms.resume is not None and since_ms is not None:
        url = url.update_query({terms.resume[0]: str(since_ms)})
    lines = Lines(terms.max_bytes)
    async with _session(terms) as session, await _ask(terms, session, url) as answer:
        ready()
        while True:
            data = await _next(terms, answer)
            before = lines.refused
            found = lines.feed(data)
            intake.meter.refused += lines.refused - before
            if found:
                await intake.take(found, sent_ms(found[-1]))


async def poll(
    terms: Terms, intake: Intake, ready: Callable[[], None], since_ms: int | None
) -> Never:
    """Ask at intervals; each answer is one message."""
    del since_ms
    clock = asyncio.get_running_loop().time
    async with _session(terms) as session:
        while True:
            due = clock() + terms.every_s
            async with await _ask(terms, session, URL(terms.url)) as answer:
                body = await _whole(terms, answer)
            ready()
            if body is None:
                intake.meter.refused += 1
            else:
                await intake.take([body])
            await asyncio.sleep(max(0.0, due - clock()))


async def websocket(
    terms: Terms, intake: Intake, ready: Callable[[], None], since_ms: int | None
) -> Never:
    """Read the frames of a socket."""
    del since_ms
    with ends(terms):
        socket = await _Connect(
            terms.url,
            ssl=_tls(terms),
            additional_headers=terms.headers(),
            open_timeout=terms.answer_s,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            close_timeout=_CLOSE_S,
            max_size=terms.max_bytes,
            compression=None,
            proxy=terms.proxy,
            logger=_SILENT,
        )
    try:
        if terms.first is not None:
            with ends(terms):
                await socket.send(terms.first)
        ready()
        while True:
            with ends(terms):
                frame = await socket.recv(decode=False)
            await intake.take([frame])
    finally:
        await socket.close()


SERVE: dict[Mode, Serve] = {"stream": stream, "poll": poll, "websocket": websocket}


class _Connect(connect):
    """Follows no redirect."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


def _session(terms: Terms) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"Accept-Encoding": "identity", **terms.headers()},
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


async def _ask(
    terms: Terms, session: aiohttp.ClientSession, url: URL
) -> aiohttp.ClientResponse:
    """Return the answer once its head has come and says yes."""
    with ends(terms):
        async with asyncio.timeout(terms.answer_s):
            answer = await session.get(
                url, allow_redirects=False, ssl=terms.tls or True, proxy=terms.proxy
            )
    if answer.status != HTTPStatus.OK:
        answer.close()
        raise refused(terms, answer.status)
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        answer.close()
        raise Ended(Reason.MALFORMED, f"{terms.host} compresses its answers")
    return answer


async def _next(terms: Terms, answer: aiohttp.ClientResponse) -> bytes:
    """Return what comes next of a stream."""
    with ends(terms):
        try:
            async with asyncio.timeout(terms.silence_s):
                data = await answer.content.readany()
        except TimeoutError:
            silence = f"{terms.host} said nothing for {terms.silence_s:g} s"
            raise Ended(Reason.SILENT, silence) from None
    if not data:
        raise Ended(Reason.LOST, f"{terms.host} ended the stream")
    return data


async def _whole(terms: Terms, answer: aiohttp.ClientResponse) -> bytes | None:
    """Return a body, None if it is too long."""
    parts: list[bytes] = []
    size = 0
    with ends(terms):
        async with asyncio.timeout(terms.answer_s):
            async for part in answer.content.iter_any():
                size += len(part)
                if size > terms.max_bytes:
                    answer.close()
                    return None
                parts.append(part)
    return b"".join(parts)


def _tls(terms: Terms) -> ssl.SSLContext | None:
    """Return what a socket needs; None is for those without TLS."""
    if urlsplit(terms.url).scheme == "ws":
        return None
    return terms.tls or ssl.create_default_context()


def _sent_ms(resume: tuple[str, str] | None) -> Callable[[bytes], int | None]:
    """Return what reads the time of sending of a message, and nothing else of it."""
    if resume is None:
        return lambda _: None
    sent = msgspec.defstruct(
        "Sent", [("at_ms", int | None, None)], rename={"at_ms": resume[1]}
    )
    decode = msgspec.json.Decoder(sent).decode

    def time_of(message: bytes) -> int | None:
        try:
            at_ms: int | None = getattr(decode(message), "at_ms", None)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None  # the format counts it
        return at_ms

    return time_of
