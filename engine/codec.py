"""Snapshot and Delta to bytes: JSON and msgpack, once for everyone who gets them.

The wire of the live channel, version 1. Columns rather than objects: a level of 500
spaces is four lists. What numpy cannot say becomes null: a count of -1 (only presence
is known) and the age of evidence that there never was.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from engine.model import Delta, Snapshot

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Wire(StrEnum):
    """An encoding that a subscriber may choose."""

    JSON = "json"
    MSGPACK = "msgpack"


class SnapshotMessage(msgspec.Struct, tag="snapshot", gc=False):
    """A whole level, an entry a row; see `model.Snapshot`.

    Attributes:
        level: Id of the level.
        plan: Version of the plan that the rows follow.
        epoch: Names one life of the offsets.
        offset: Of this state.
        at: When it was true, UTC milliseconds.
        state: 0 unknown, 1 free, 2 occupied, 3 likely, 4 offline.
        count: People, or null.
        confidence: Percent.
        age_s: Age of the newest evidence at `at`, whole seconds, or null.
    """

    level: str
    plan: str
    epoch: str
    offset: int
    at: int
    state: list[int]
    count: list[int | None]
    confidence: list[int]
    age_s: list[int | None]


class DeltaMessage(msgspec.Struct, tag="delta", gc=False):
    """The rows of a level that changed after `prev`; see `SnapshotMessage`.

    Attributes:
        prev: The offset that this continues; a client at another asks for a snapshot.
        index: The rows; the other columns have an entry for each.
    """

    level: str
    epoch: str
    prev: int
    offset: int
    at: int
    index: list[int]
    state: list[int]
    count: list[int | None]
    confidence: list[int]
    age_s: list[int | None]


_encode_json = msgspec.json.Encoder().encode
_encode_msgpack = msgspec.msgpack.Encoder().encode


def encode(message: Snapshot | Delta, wire: Wire) -> bytes:
    """Return a message as bytes: JSON without line breaks, or msgpack."""
    if isinstance(message, Snapshot):
        body: SnapshotMessage | DeltaMessage = SnapshotMessage(
            message.level,
            message.plan,
            message.epoch,
            message.offset,
            message.at_ms,
            message.state.tolist(),
            _counts(message.count),
            message.confidence.tolist(),
            _ages_s(message.since_ms, message.at_ms),
        )
    else:
        body = DeltaMessage(
            message.level,
            message.epoch,
            message.prev,
            message.offset,
            message.at_ms,
            message.index.tolist(),
            message.state.tolist(),
            _counts(message.count),
            message.confidence.tolist(),
            _ages_s(message.since_ms, message.at_ms),
        )
    return _encode_json(body) if wire is Wire.JSON else _encode_msgpack(body)


def _counts(count: npt.NDArray[np.int32]) -> list[int | None]:
    """Return the column with null for what is not known."""
    return [n if n >= 0 else None for n in count.tolist()]


def _ages_s(since_ms: npt.NDArray[np.int64], at_ms: int) -> list[int | None]:
    """Return the column with null for no evidence, 0 for a source's clock ahead."""
    # Levels are small: up to a few hundred rows this beats numpy's fixed cost.
    return [
        (at_ms - since) // 1000 if 0 < since <= at_ms else (0 if since > 0 else None)
        for since in since_ms.tolist()
    ]
