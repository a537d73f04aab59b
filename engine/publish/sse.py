"""The live stream of one level as server-sent events.

The reader pulls: while it is busy with one chunk it counts as clogged, and the hub only
notes what it has seen. So at most one pending chunk waits for it.
"""

from __future__ import annotations

import asyncio
import random
import re
from typing import TYPE_CHECKING

from engine.publish.frames import Framing, Position
from engine.publish.topic import Subscriber
from engine.spelling import ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.publish.hub import Hub

_EVENT_ID = re.compile(rf"({ID.pattern}):([0-9]{{1,15}})")
_NO_POSITION = Position("", 0)
_RETRY_MS = 2_000
_AWAY_MS = 5_000


def stream(
    hub: Hub,
    tenant: str,
    level: str,
    last_event_id: str | None = None,
    *,
    expires_in_s: float | None = None,
) -> AsyncIterator[bytes]:
    """Follow one level; snapshot first, or from the event that the reader names.

    Args:
        hub: Where the stream subscribes.
        tenant: Whose level.
        level: `building/level`.
        last_event_id: The `Last-Event-ID` header as it came; whatever is not a
            position of this level's epoch is answered by `reset` and a snapshot.
        expires_in_s: When the reader's token ends, and the stream with it.

    Returns:
        Chunks of whole events, until the reader or the server goes away.

    Raises:
        Forbidden: A tenant without a view.
        NotFound: No such level of this tenant.
        TooMany: Every stream is taken.
    """
    hub.check(tenant, level)
    position = None if last_event_id is None else _position(last_event_id)
    return _Reader(hub, tenant).chunks(level, position, expires_in_s)


def _position(event_id: str) -> Position:
    match = _EVENT_ID.fullmatch(event_id)
    return Position(match[1], int(match[2])) if match else _NO_POSITION


class _Reader:
    """The end of a stream that its response pulls from."""

    def __init__(self, hub: Hub, tenant: str) -> None:
        self._hub = hub
        self._subscriber = Subscriber(tenant, Framing.EVENT, self._offer, self._end)
        self._pending: list[bytes] = []
        self._woken = asyncio.Event()
        self._ended = False
        self._last_word = b""

    async def chunks(
        self, level: str, position: Position | None, expires_in_s: float | None
    ) -> AsyncIterator[bytes]:
        """Yield what is pending, newest state last; leave the hub in the end."""
        hub, subscriber = self._hub, self._subscriber
        expiry = None
        if expires_in_s is not None:
            loop = asyncio.get_running_loop()
            expiry = loop.call_later(expires_in_s, self._expire)
        try:
            hub.join(subscriber)
            self._offer(b"retry: %d\n\n" % _RETRY_MS)
            hub.subscribe(subscriber, level, position)
            while not self._ended:
                if self._pending:
                    chunk = b"".join(self._pending)
                    self._pending.clear()
                    yield chunk
                    hub.resume(subscriber)
                else:
                    self._woken.clear()
                    await self._woken.wait()
            yield self._last_word
        finally:
            hub.leave(subscriber)
            if expiry is not None:
                expiry.cancel()

    def _offer(self, frame: bytes) -> None:
        self._pending.append(frame)
        self._hub.pause(self._subscriber)
        self._woken.set()

    def _expire(self) -> None:
        self._ended = True
        self._woken.set()

    def _end(self) -> None:
        """Send the reader away, and spread the return of all readers."""
        away_ms = random.randint(_RETRY_MS, _RETRY_MS + _AWAY_MS)  # noqa: S311 - a spread
        self._last_word = b"retry: %d\n\n" % away_ms
        self._expire()
