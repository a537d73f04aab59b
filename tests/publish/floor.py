"""A floor to publish: a small view, and a client that believes what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.model import Delta, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

NOW_MS = 1_800_000_000_000
TENANT = "acme"


class Floor:
    """One level whose rows change; remembers what changed for `memory` offsets."""

    def __init__(self, level: str, rows: int, memory: int = 1_000_000) -> None:
        self.level = level
        self.epoch = "e1"
        self.offset = 0
        self.memory = memory
        self.state = np.zeros(rows, np.uint8)
        self.count = np.full(rows, -1, np.int32)
        self.confidence = np.zeros(rows, np.uint8)
        self.since_ms = np.zeros(rows, np.int64)
        self.changed_at = np.zeros(rows, np.int64)

    def change(self, rows: Iterable[int], state: int, now_ms: int = NOW_MS) -> Delta:
        index = np.array(sorted(set(rows)), np.int32)
        prev, self.offset = self.offset, self.offset + 1
        self.state[index] = state
        self.count[index] = state * 3 - 1
        self.confidence[index] = 90
        self.since_ms[index] = now_ms - 2_000
        self.changed_at[index] = self.offset
        return self._delta(prev, index, now_ms)

    def renew(self, epoch: str) -> None:
        self.epoch = epoch
        self.offset = 0
        self.changed_at[:] = 0

    def snapshot(self, now_ms: int) -> Snapshot:
        return Snapshot(
            level=self.level,
            plan="p1",
            epoch=self.epoch,
            offset=self.offset,
            at_ms=now_ms,
            state=self.state.copy(),
            count=self.count.copy(),
            confidence=self.confidence.copy(),
            since_ms=self.since_ms.copy(),
        )

    def since(self, epoch: str, offset: int, now_ms: int) -> Delta | None:
        oldest = max(0, self.offset - self.memory)
        if epoch != self.epoch or not oldest <= offset <= self.offset:
            return None
        index = np.flatnonzero(self.changed_at > offset).astype(np.int32)
        return self._delta(offset, index, now_ms)

    def _delta(self, prev: int, index: npt.NDArray[np.int32], now_ms: int) -> Delta:
        return Delta(
            level=self.level,
            epoch=self.epoch,
            prev=prev,
            offset=self.offset,
            at_ms=now_ms,
            index=index,
            state=self.state[index],
            count=self.count[index],
            confidence=self.confidence[index],
            since_ms=self.since_ms[index],
        )


class Building:
    """Floors as the hub's view of one tenant."""

    def __init__(self, *floors: Floor) -> None:
        self.floors = {floor.level: floor for floor in floors}

    def levels(self) -> Sequence[str]:
        return tuple(self.floors)

    def snapshot(self, level: str, now_ms: int) -> Snapshot:
        return self.floors[level].snapshot(now_ms)

    def since(self, level: str, epoch: str, offset: int, now_ms: int) -> Delta | None:
        return self.floors[level].since(epoch, offset, now_ms)


@dataclass
class Replica:
    """What a client knows of one level, from messages alone; complains about gaps."""

    epoch: str = ""
    offset: int = -1
    state: list[int] = field(default_factory=list)
    count: list[int | None] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def hear(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        self.told.append(kind)
        if kind == "snapshot":
            self.epoch, self.offset = message["epoch"], message["offset"]
            self.state, self.count = message["state"], message["count"]
        elif kind == "delta":
            assert message["epoch"] == self.epoch
            assert message["prev"] == self.offset
            self.offset = message["offset"]
            for at, row in enumerate(message["index"]):
                self.state[row] = message["state"][at]
                self.count[row] = message["count"][at]

    def agrees(self, floor: Floor) -> bool:
        return (
            self.epoch == floor.epoch
            and self.offset == floor.offset
            and self.state == floor.state.tolist()
            and self.count == [None if n < 0 else n for n in floor.count.tolist()]
        )


def payload(frame: bytes) -> bytes:
    """Take one unmasked WebSocket frame off its header."""
    size = frame[1]
    head = {126: 4, 127: 10}.get(size, 2)
    return frame[head:]


def message(frame: bytes) -> dict[str, Any]:
    """Read one frame, text or binary."""
    decode = msgspec.json.decode if frame[0] & 1 else msgspec.msgpack.decode
    read: dict[str, Any] = decode(payload(frame))
    return read
