"""What the fake engine holds of a level: its columns and its place in the stream."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.web.sample_plan import SampleLevel

UNKNOWN, FREE, OCCUPIED, LIKELY, OFFLINE = range(5)
STATE_NAMES = ("unknown", "free", "occupied", "likely", "offline")
PLAN = "sample-1"


class LevelState:
    """The columns of one level and its position in the stream."""

    def __init__(self, level: SampleLevel) -> None:
        self.level = level
        self.epoch = f"{secrets.randbits(48):012x}"
        self.offset = 1
        rows = len(level.spaces)
        self.state = [UNKNOWN] * rows
        self.count: list[int | None] = [None] * rows
        self.confidence = [0] * rows
        self.seen_at: list[float | None] = [None] * rows

    def columns(self, rows: Iterable[int]) -> dict[str, Any]:
        now = time.time()
        picked = list(rows)
        seen = [self.seen_at[row] for row in picked]
        return {
            "state": [self.state[row] for row in picked],
            "count": [self.count[row] for row in picked],
            "confidence": [self.confidence[row] for row in picked],
            "age_s": [None if at is None else round(now - at) for at in seen],
        }

    def snapshot(self) -> dict[str, Any]:
        return {
            "type": "snapshot",
            "level": self.level.id,
            "plan": PLAN,
            "epoch": self.epoch,
            "offset": self.offset,
            "at": round(time.time() * 1000),
            **self.columns(range(len(self.state))),
        }

    def delta(self, rows: list[int], prev: int) -> dict[str, Any]:
        return {
            "type": "delta",
            "level": self.level.id,
            "epoch": self.epoch,
            "prev": prev,
            "offset": self.offset,
            "at": round(time.time() * 1000),
            "index": rows,
            **self.columns(rows),
        }

    def summary(self) -> dict[str, Any]:
        kinds = ("room", "desk", "area")
        states = [self.state[s["row"]] for s in self.level.spaces if s["kind"] in kinds]
        named = {name: states.count(i) for i, name in enumerate(STATE_NAMES)}
        capacity = self.level.spaces[0]["capacity"]
        return {"headcount": self.count[0] or 0, "capacity": capacity, **named}
