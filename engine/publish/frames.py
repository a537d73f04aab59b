"""What travels on a live stream: messages of either side, and their framing.

A snapshot or delta is encoded once per wire (`engine.codec`) and framed once per
transport; the resulting bytes are shared by every subscriber that gets them. Nothing
that a client sent is ever put into a message, except ids of levels, which are
`LevelId` by then.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec

from engine.codec import Wire
from engine.spelling import ID

MAX_TOKEN_CHARS = 8192
"""Longer than any token an issuer makes; refused before it is decoded."""

_MAX = msgspec.Meta(max_length=256)
_ID_CHARS = 129
_EPOCH_CHARS = 64
_FIN = 0x80
_SHORT_BYTES = 125
_MEDIUM_BYTES = 0xFFFF

LevelId = Annotated[
    str,
    msgspec.Meta(pattern=rf"^{ID.pattern}(/{ID.pattern})?\Z", max_length=_ID_CHARS),
]
"""How the id of a level, `building/level`, may look; which there are, the hub knows."""


class Framing(Enum):
    """How bytes are wrapped for a transport."""

    TEXT = 1
    """A WebSocket text frame of JSON."""
    BINARY = 2
    """A WebSocket binary frame of msgpack."""
    EVENT = 3
    """A server-sent event of JSON."""

    @property
    def wire(self) -> Wire:
        """The encoding inside of the frame."""
        return Wire.MSGPACK if self is Framing.BINARY else Wire.JSON


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a client left off: text and a number from outside, never echoed."""

    epoch: Annotated[str, msgspec.Meta(max_length=_EPOCH_CHARS)]
    offset: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class ClientMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a client may say; unknown fields are refused, not recursed into."""

    subscribe: Annotated[list[LevelId], _MAX] = []
    unsubscribe: Annotated[list[LevelId], _MAX] = []
    resume: Annotated[dict[LevelId, Position], _MAX] = {}
    token: Annotated[str, msgspec.Meta(max_length=MAX_TOKEN_CHARS)] | None = None


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first message on a socket: what the client may rely on."""

    server: str
    tick_ms: int
    heartbeat_s: float


class Resumed(msgspec.Struct, frozen=True, tag="resumed"):
    """The client's position holds: a delta follows if anything changed since."""

    level: str
    epoch: str
    offset: int


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """The client's position is of no use (`epoch`, `future`): a snapshot follows."""

    level: str
    reason: str


class Unsubscribed(msgspec.Struct, frozen=True, tag="unsubscribed"):
    """Nothing of this level follows."""

    level: str


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat"):
    """The stream lives, though nothing changed."""

    at: int


class Refusal(msgspec.Struct, frozen=True, tag="error", omit_defaults=True):
    """What was wrong with the client's message, in the shape of every error."""

    code: int
    message: str
    retryable: bool
    level: str | None = None


Control = Hello | Resumed | Reset | Unsubscribed | Heartbeat | Refusal

_decode_json = msgspec.json.Decoder(ClientMessage)
_decode_msgpack = msgspec.msgpack.Decoder(ClientMessage)


def client_message(payload: bytes | bytearray, wire: Wire) -> ClientMessage:
    """Read what a client sent.

    Raises:
        msgspec.DecodeError: Not the shape of `ClientMessage`.
        UnicodeDecodeError: Text that is not UTF-8.
        RecursionError: Nested deeper than any message is.
    """
    decoder = _decode_json if wire is Wire.JSON else _decode_msgpack
    return decoder.decode(payload)


def control(message: Control, framing: Framing) -> bytes:
    """Encode and frame a message that is not a snapshot or delta."""
    if framing is Framing.BINARY:
        return framed(msgspec.msgpack.encode(message), framing)
    payload = msgspec.json.encode(message)
    if framing is Framing.TEXT:
        return framed(payload, framing)
    name = str(type(message).__struct_config__.tag).encode()
    if isinstance(message, Heartbeat):
        # The comment is for the proxies, the typed event for who measures the silence.
        return b": heartbeat\nevent: heartbeat\ndata: " + payload + b"\n\n"
    return b"event: " + name + b"\ndata: " + payload + b"\n\n"


def framed(
    payload: bytes, framing: Framing, name: str = "", position: str = ""
) -> bytes:
    """Wrap an encoded message; done once, shared by every subscriber.

    Args:
        payload: The encoded message; JSON has no line break in it.
        framing: The transport's way.
        name: Of a server-sent event: snapshot or delta.
        position: Id of a server-sent event, `epoch:offset`.

    Returns:
        Unmasked WebSocket frame (RFC 6455 §5.2), or an event with its blank line.
    """
    if framing is Framing.EVENT:
        head = f"event: {name}\nid: {position}\ndata: "
        return head.encode() + payload + b"\n\n"
    return _head(len(payload), _FIN | framing.value) + payload


def _head(size: int, first: int) -> bytes:
    """The header of an unmasked frame; `Framing.value` is the opcode."""
    if size <= _SHORT_BYTES:
        return bytes((first, size))
    if size <= _MEDIUM_BYTES:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")
