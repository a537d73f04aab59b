"""A small HTTP client: posts over a few connections that stay open."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

TIMEOUT_S: Final = 10.0


class Webhook:
    """One connection to a server; not for use by two tasks at a time.

    Args:
        url: `http://host:port` or `https://…`; a path in it is passed over.
        secret: Password of HTTP Basic; None sends none.
    """

    def __init__(self, url: str, secret: str | None) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if self._tls else 80)
        head = f"Host: {parts.netloc}\r\nContent-Type: application/json\r\n"
        if secret is not None:
            token = b64encode(f"freeradius:{secret}".encode()).decode()
            head += f"Authorization: Basic {token}\r\n"
        self._head = head
        self._streams: tuple[StreamReader, StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> int:
        """Post and return the status.

        Raises:
            OSError: No connection, or it broke; the next call opens a new one.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(
                        self._host, self._port, ssl=self._tls or None
                    )
                return await self._exchange(*self._streams, path, body)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            await self.close()
            raise ConnectionError("the webhook did not answer") from error

    async def _exchange(
        self, reader: StreamReader, writer: StreamWriter, path: str, body: bytes
    ) -> int:
        line = f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}"
        writer.write(line.encode() + b"\r\n\r\n" + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("\r\ncontent-length:")[2].partition("\r\n")[0].strip()
        if length not in ("", "0"):
            await reader.readexactly(int(length))
        status = int(head.partition(" ")[2][:3])
        if "\r\nconnection: close" in head:
            await self.close()
        return status

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
