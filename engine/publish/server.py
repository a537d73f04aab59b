"""One port and one loop for HTTP, server-sent events and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from engine.errors import ConfigError
from engine.publish.http import Gate, HttpConnection, HttpLimits
from engine.publish.websocket import LiveSocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from uvicorn._types import ASGIApplication

    from engine.publish.live import Live

_BACKLOG = 2048
_SWEEP_S = 1.0
_DRAIN_S = 5.0
_DRAIN_STEP_S = 0.01


class Listener:
    """A server that listens.

    Attributes:
        port: The port it is bound to.
        gate: Counts its connections.
        live: Counts its sockets.
    """

    def __init__(
        self, port: int, gate: Gate, live: Live, server: uvicorn.Server
    ) -> None:
        self.port = port
        self.gate = gate
        self.live = live
        self._connections = cast("set[object]", server.server_state.connections)

    @property
    def requests(self) -> list[HttpConnection]:
        """Connections that are HTTP, busy or idle."""
        return [one for one in self._connections if isinstance(one, HttpConnection)]

    def sweep(self, now: float) -> None:
        """Cut what takes too long; `serve` calls it every second or so.

        Args:
            now: The loop's clock, seconds.
        """
        for connection in self.requests:
            connection.sweep(now)
        self.live.sweep(now)


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: `app` owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def serve(  # noqa: PLR0913 - keyword-only settings of one server
    app: ASGIApplication,
    *,
    live: Live,
    host: str = "127.0.0.1",
    port: int = 0,
    limits: HttpLimits | None = None,
    sweep_s: float = _SWEEP_S,
    drain_s: float = _DRAIN_S,
) -> AsyncIterator[Listener]:
    """Serve while the context is open, then send everyone away.

    Args:
        app: Answers HTTP.
        live: What the sockets share, with their hub.
        host: Address or name to listen on.
        port: 0 for any that is free.
        limits: What one HTTP connection may take.
        sweep_s: How often time limits are looked at.
        drain_s: How long answers under way may take at the end.

    Yields:
        The listener, with its port.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    gate = Gate(limits or HttpLimits())
    listening = _bind(host, port)
    server = _Server(_config(app, gate, live))
    try:
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listening])
    except BaseException:
        listening.close()
        raise
    listener = Listener(listening.getsockname()[1], gate, live, server)
    sweeper = asyncio.create_task(_sweep(server, listener, sweep_s))
    try:
        yield listener
    finally:
        sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeper
        await _stop(server, live, listening, drain_s)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, proto)
    except OSError as error:
        raise ConfigError(f"Cannot listen on {host}: {error.strerror}.") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.setblocking(False)  # noqa: FBT003 - the API
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"Cannot listen on {host}, port {port}: {error.strerror}. "
            "Choose another port, or end the program that uses it."
        ) from error
    return listening


def _config(app: ASGIApplication, gate: Gate, live: Live) -> uvicorn.Config:
    """Return uvicorn's settings; partials stand where it expects classes."""
    return uvicorn.Config(
        app,
        http=cast("Any", partial(HttpConnection, gate=gate)),
        ws=cast("Any", partial(LiveSocket, live=live, left=gate.leave)),
        interface="asgi3",
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=sorted(live.proxies),
        backlog=_BACKLOG,
    )


async def _sweep(server: uvicorn.Server, listener: Listener, every_s: float) -> None:
    """Keep the date of the answers, the time limits and the heartbeats."""
    loop = asyncio.get_running_loop()
    live = listener.live
    beat_at = loop.time() + live.heartbeat_s
    while True:
        await server.on_tick(0)
        now = loop.time()
        listener.sweep(now)
        if now >= beat_at:
            live.hub.beat()
            beat_at = now + live.heartbeat_s
        await asyncio.sleep(every_s)


async def _stop(
    server: uvicorn.Server, live: Live, listening: socket.socket, drain_s: float
) -> None:
    """Send everyone away, wait for answers under way, cut the rest.

    uvicorn's own shutdown waits without end for a client that does not read.
    """
    state = server.server_state
    loop = asyncio.get_running_loop()
    for listener in server.servers:
        listener.close()
    listening.close()
    live.hub.end()
    for connection in tuple(state.connections):
        connection.shutdown()
    until = loop.time() + drain_s
    while (state.connections or state.tasks) and loop.time() < until:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(_DRAIN_STEP_S)
    for task in tuple(state.tasks):
        task.cancel("the server stopped")
    for connection in tuple(state.connections):
        connection.transport.abort()
    await asyncio.sleep(_DRAIN_STEP_S)  # the loop's turns that close what was cut
    await server.lifespan.shutdown()
