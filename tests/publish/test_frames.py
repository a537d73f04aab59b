"""Golden bytes of the framing, and the client's messages."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from engine.codec import Wire
from engine.publish.frames import (
    Framing,
    Heartbeat,
    Hello,
    Refusal,
    Reset,
    Resumed,
    Unsubscribed,
    client_message,
    control,
    framed,
)

GOLDEN = [
    (
        Hello("livefloor/0.1.0", 100, 15),
        '{"type":"hello","server":"livefloor/0.1.0","tick_ms":100,"heartbeat_s":15}',
    ),
    (
        Resumed("hq/3", "e1", 17),
        '{"type":"resumed","level":"hq/3","epoch":"e1","offset":17}',
    ),
    (Reset("hq/3", "epoch"), '{"type":"reset","level":"hq/3","reason":"epoch"}'),
    (Unsubscribed("hq/3"), '{"type":"unsubscribed","level":"hq/3"}'),
    (Heartbeat(17), '{"type":"heartbeat","at":17}'),
    (
        Refusal(2004, "No.", retryable=False),
        '{"type":"error","code":2004,"message":"No.","retryable":false}',
    ),
]


@pytest.mark.parametrize(("message", "text"), GOLDEN)
def test_a_control_message_is_spelled_like_this(message: Hello, text: str) -> None:
    frame = control(message, Framing.TEXT)
    assert frame == bytes((0x81, len(text))) + text.encode()
    packed = msgspec.msgpack.decode(control(message, Framing.BINARY)[2:])
    assert packed == msgspec.json.decode(text)


def test_an_event_names_its_type_and_position() -> None:
    assert framed(b'{"a":1}', Framing.EVENT, "delta", "e1:7") == (
        b'event: delta\nid: e1:7\ndata: {"a":1}\n\n'
    )
    assert control(Reset("hq/3", "future"), Framing.EVENT) == (
        b'event: reset\ndata: {"type":"reset","level":"hq/3","reason":"future"}\n\n'
    )


def test_a_heartbeat_is_a_comment_and_a_typed_event() -> None:
    assert control(Heartbeat(17), Framing.EVENT) == (
        b': heartbeat\nevent: heartbeat\ndata: {"type":"heartbeat","at":17}\n\n'
    )


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
@pytest.mark.parametrize(
    ("framing", "opcode"),
    [(Framing.TEXT, Opcode.TEXT), (Framing.BINARY, Opcode.BINARY)],
)
def test_frames_are_those_of_an_independent_library(
    size: int, framing: Framing, opcode: Opcode
) -> None:
    payload = b"x" * size
    assert framed(payload, framing) == Frame(opcode, payload).serialize(mask=False)


@given(st.binary(max_size=200), st.sampled_from(Wire))
def test_no_bytes_raise_anything_unforeseen(payload: bytes, wire: Wire) -> None:
    with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        client_message(payload, wire)


@pytest.mark.parametrize("wire", Wire)
def test_a_message_may_ask_for_all_at_once(wire: Wire) -> None:
    said = {
        "token": "t",
        "subscribe": ["hq/3"],
        "unsubscribe": ["hq/4"],
        "resume": {"hq/3": {"epoch": "e1", "offset": 17}},
    }
    encode = msgspec.json.encode if wire is Wire.JSON else msgspec.msgpack.encode
    message = client_message(encode(said), wire)
    assert msgspec.to_builtins(message) == said
