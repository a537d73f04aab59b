"""What the sockets of a server share: who may open one, and what one may cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from engine.publish.hub import Hub
    from engine.publish.websocket import LiveSocket


class Grant(NamedTuple):
    """What a token, or an address that needs none, allows.

    Attributes:
        tenant: Whose levels may be seen.
        expires_at_ms: When the socket is closed, or None: never.
    """

    tenant: str
    expires_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimits:
    """What one socket may cost, and for how long.

    Attributes:
        message_bytes: Of one message of the client, over all of its fragments.
        frames_per_s: Frames, and levels named in them, that a client may send.
        high_water_bytes: Unsent bytes at which a socket counts as clogged.
        kernel_bytes: The kernel's send buffer (it doubles the number for its own use);
            unset, Linux would let it grow to megabytes for each stalled reader.
        stalled_s: Without one byte taken by the kernel; then the socket is closed.
        token_s: For the first message where a token is needed.
        linger_s: For the closing handshake; then the connection is cut.
        retry_ms: A server that goes away spreads the return of its clients over it.
    """

    message_bytes: int = 64 * 1024
    frames_per_s: int = 512
    high_water_bytes: int = 32 * 1024
    kernel_bytes: int = 32 * 1024
    stalled_s: float = 30.0
    token_s: float = 10.0
    linger_s: float = 3.0
    retry_ms: int = 5_000


@dataclass(slots=True, kw_only=True)
class Live:
    """What every socket shares: the hub, the rules, the counters.

    Attributes:
        hub: Where sockets subscribe.
        authorise: Takes a token or None, the client's address or None, and the headers
            of the handshake (names in lower case; none of them when a token comes in a
            message); returns what they allow, or None. Never blocks.
        now_ms: The clock that grants expire by.
        server: Name and version for the hello.
        tick_ms: How often changes are published at most.
        heartbeat_s: How often a stream without changes shows that it lives.
        origins: Web pages besides the server's own that may open a socket.
        hosts: Names that the server is called by, or None: any.
        proxies: Addresses whose `X-Forwarded-For` is believed.
        path: Of the socket.
        limits: What one socket may cost.
        sockets: Those open or closing.
        refused: Handshakes that were refused.
        bad_messages: Sockets closed because of what their client sent.
        stalled: Sockets closed because nothing was taken from them.
    """

    hub: Hub
    authorise: Callable[[str | None, str | None, Mapping[str, str]], Grant | None]
    now_ms: Callable[[], int]
    server: str = "livefloor"
    tick_ms: int = 100
    heartbeat_s: float = 15.0
    origins: Collection[str] = frozenset()
    hosts: Collection[str] | None = None
    proxies: Collection[str] = frozenset({"127.0.0.1", "::1"})
    path: str = "/v1/live"
    limits: LiveLimits = LiveLimits()
    sockets: set[LiveSocket] = field(default_factory=set)
    refused: int = 0
    bad_messages: int = 0
    stalled: int = 0

    def sweep(self, now: float) -> None:
        """Close what is stalled, expired or does not end; once a second or so.

        Args:
            now: The loop's clock, seconds.
        """
        now_ms = self.now_ms()
        for live_socket in tuple(self.sockets):
            live_socket.sweep(now, now_ms)
