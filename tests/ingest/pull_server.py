"""An HTTP server whose every answer a test writes itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Request:
    """One connection of the link, as the server sees it."""

    def __init__(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line, *fields = head.decode().rstrip("\r\n").split("\r\n")
        self.target = line.split(" ")[1]
        self.headers = {
            name.lower(): value
            for name, _, value in (field.partition(": ") for field in fields)
        }
        self.reader = reader
        self.writer = writer

    async def say(self, *lines: bytes | object) -> None:
        """Send lines, as chunks of HTTP, in one write."""
        for line in lines:
            data = line if isinstance(line, bytes) else json.dumps(line).encode()
            data += b"\n"
            self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the link has closed its side."""
        await self.reader.read()


class Server:
    """Gives the first answer to the first request, and so on; the last one for ever."""

    def __init__(self, *answers: Callable[[Request], Awaitable[None]]) -> None:
        self.requests: list[Request] = []
        self.port = 0
        self._answers = list(answers)
        self._open: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._open.append(task)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(Request(head, reader, writer))
                number = min(len(self.requests), len(self._answers)) - 1
                await self._answers[number](self.requests[-1])
                if writer.is_closing():
                    break


def said(*lines: bytes | object) -> Callable[[Request], Awaitable[None]]:
    """Say lines, then nothing until the link goes."""

    async def answer(request: Request) -> None:
        request.writer.write(HEAD)
        await request.say(*lines)
        await request.gone()

    return answer


def cut_off(*lines: bytes | object) -> Callable[[Request], Awaitable[None]]:
    """Say lines and half of another, then break off."""

    async def answer(request: Request) -> None:
        request.writer.write(HEAD)
        await request.say(*lines)
        request.writer.write(b'8\r\n{"half":\r\n')
        await request.writer.drain()
        request.writer.close()

    return answer


def status(
    code: int, *fields: str, body: bytes = b""
) -> Callable[[Request], Awaitable[None]]:
    """Answer a status, and keep the connection."""

    async def answer(request: Request) -> None:
        lines = [f"HTTP/1.1 {code} x", f"content-length: {len(body)}", *fields]
        request.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await request.writer.drain()

    return answer
