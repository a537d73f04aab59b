"""Recordings of what a source sent, as messages again.

Four shapes, told apart by what is in the file:

- a JSON file: one payload;
- NDJSON: a payload a line;
- text: a payload a line, as it is;
- lines of our own, which also say when a message came and on which topic::

    {"at_ms": 1767225600000, "topic": "z2m/desk-3", "payload": {"occupancy": true}}
    {"at_ms": 1767225601000, "topic": "z2m/desk-3/availability", "payload": "online"}
    {"at_ms": 1767225602000, "topic": "acme/wifi", "base64": "gqVsb2dpbqNhZGGi…"}

  `payload` is JSON as it is, or a text that is the payload; `base64` is for all other
  bytes; `retain` may say that the broker replayed it. A line is one of these where it
  has exactly one of the two, and no name but these five.

What is no text is one payload. Empty lines are passed by.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, NamedTuple

import msgspec

from engine.errors import ConfigError

_EARLIEST_MS = 946_684_800_000


class Message(NamedTuple):
    """What a source sent once.

    Attributes:
        payload: The bytes.
        topic: The MQTT topic; "" for a webhook.
        retain: Whether the broker replayed it.
        at_ms: When it came; None where the recording does not say.
    """

    payload: bytes
    topic: str = ""
    retain: bool = False
    at_ms: int | None = None


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of our own."""

    at_ms: Annotated[int, msgspec.Meta(ge=_EARLIEST_MS)] | None = None
    topic: str = ""
    retain: bool = False
    payload: msgspec.Raw = msgspec.Raw()
    base64: str | None = None


_line = msgspec.json.Decoder(_Line).decode
_json = msgspec.json.Decoder(msgspec.Raw).decode
_text = msgspec.json.Decoder(str).decode
_FAILURES = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def read(data: bytes, name: str) -> list[Message]:
    """Return the messages of a file, in its order.

    Args:
        data: The file.
        name: Its name, for errors.

    Raises:
        ConfigError: A line of our own whose `base64` is none.
    """
    if not data.strip():
        return []
    try:
        data.decode()
    except UnicodeDecodeError:
        return [Message(data)]
    if _is_one(data):
        return [_message(data.strip(), f"{name}, line 1")]
    lines = enumerate(data.splitlines(), 1)
    return [
        _message(line.strip(), f"{name}, line {number}")
        for number, line in lines
        if line.strip()
    ]


def _is_one(data: bytes) -> bool:
    """Return whether the whole file is one JSON text."""
    try:
        _json(data)
    except _FAILURES:
        return False
    return True


def _message(text: bytes, where: str) -> Message:
    try:
        line = _line(text)
    except _FAILURES:
        return Message(text)
    raw = bytes(line.payload)
    if bool(raw) == (line.base64 is not None):
        return Message(text)
    return Message(_payload(line, raw, where), line.topic, line.retain, line.at_ms)


def _payload(line: _Line, raw: bytes, where: str) -> bytes:
    if line.base64 is None:
        return _text(raw).encode() if raw[:1] == b'"' else raw
    try:
        return base64.b64decode(line.base64, validate=True)
    except binascii.Error:
        raise ConfigError(f"{where}: base64 cannot be read; write it with =") from None
