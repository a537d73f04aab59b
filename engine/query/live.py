"""The live stream of a level as server-sent events; the socket is `publish`'s own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from litestar import Request, get
from litestar.params import FromPath  # noqa: TC002 - read at run time
from litestar.response import Response

from engine.errors import NeedsUpgrade
from engine.query.access import ANY_TIME_MS
from engine.query.answer import NO_STORE, NOSNIFF, Sent
from engine.query.problem import problem_responses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Receive, Scope, Send

    from engine.query.access import Access

MEDIA_TYPE = "text/event-stream"
_HEADERS = [
    NOSNIFF,
    NO_STORE,
    (b"content-type", MEDIA_TYPE.encode()),
    (b"x-accel-buffering", b"no"),
]
"""Nobody on the way may keep or hold back what is live."""


class LiveStream(Protocol):
    """Follows one level; `publish.sse.stream` on the hub in production."""

    def __call__(
        self,
        tenant: str,
        level: str,
        last_event_id: str | None = None,
        *,
        expires_in_s: float | None = None,
    ) -> AsyncIterator[bytes]:
        """Return chunks of whole events.

        Raises:
            NotFound: No such level of this tenant.
            TooMany: Every stream is taken.
        """
        ...


class LiveEvents:
    """The route `/v1/levels/{building}/{level}/live`, and a sign at the socket's path.

    Args:
        access: Who asks.
        stream: Gives the events.
        clock_ms: The clock that tokens expire by.
    """

    def __init__(
        self, *, access: Access, stream: LiveStream, clock_ms: Callable[[], int]
    ) -> None:
        self._access = access
        self._stream = stream
        self._clock_ms = clock_ms

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers."""
        path = "/v1/levels/{building:str}/{level:str}/live"
        refusals = problem_responses(400, 401, 404, 429)
        return [
            get(path, media_type=MEDIA_TYPE, responses=refusals)(self.follow),
            get("/v1/live", include_in_schema=False)(self.socket),
        ]

    async def socket(self) -> None:
        """Say what this path wants; a request that upgrades never gets here.

        Raises:
            NeedsUpgrade: Always.
        """
        raise NeedsUpgrade(
            "open a WebSocket here, or follow one level at "
            "/v1/levels/{building}/{level}/live"
        )

    async def follow(
        self,
        request: Request[Any, Any, Any],
        building: FromPath[str],
        level: FromPath[str],
    ) -> Events:
        """Follow a level: events `snapshot`, `delta`, `heartbeat`, `reset`, `resumed`.

        The id of an event is `epoch:offset`; send it as `Last-Event-ID` to go on from
        there. The data are the JSON messages of the live channel.
        """
        caller = self._access.reader(request.scope)
        expires_in_s = None
        if caller.expires_at_ms != ANY_TIME_MS:
            expires_in_s = max(0, caller.expires_at_ms - self._clock_ms()) / 1000
        last_event_id = request.headers.get("last-event-id")
        return Events(
            self._stream(
                caller.tenant,
                f"{building}/{level}",
                last_event_id,
                expires_in_s=expires_in_s,
            )
        )


class Events(Response[str]):
    """Chunks sent as they come, until they or the reader end."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        super().__init__("")
        self._chunks = chunks

    def to_asgi_response(self, app: object, request: object, **_: object) -> Sent:
        """Return the response that pulls the chunks."""
        del app, request
        return _Sending(self._chunks)


class _Sending(Sent):
    __slots__ = ("chunks",)

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        super().__init__(200, _HEADERS, b"")
        self.chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await send(
            {"type": "http.response.start", "status": 200, "headers": self.lines}
        )
        # Two tasks, since only `receive` tells that the reader has left while nothing
        # changes on the level. Both end here.
        sending = asyncio.create_task(self._send(send), name="engine.query.live.send")
        leaving = asyncio.create_task(_left(receive), name="engine.query.live.left")
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
            ended = await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]

    async def _send(self, send: Send) -> None:
        async for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
