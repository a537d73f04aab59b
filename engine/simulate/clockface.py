"""The time of a simulation, kept in a file for another program to show."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from engine.simulate.messages import Clock

if TYPE_CHECKING:
    from pathlib import Path

    from engine.simulate.player import Player

EVERY_S: Final = 1.0
"""How often it is written; what is shown goes on by itself between."""

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


class Face(NamedTuple):
    """A time of the simulated week.

    Attributes:
        wall_ms: When it was so, on the real clock.
        day: Number of the day; 0 is a Monday, and there are no weekends.
        at_s: Seconds of that day.
        speed: Simulated seconds in a real one.
    """

    wall_ms: int
    day: int
    at_s: float
    speed: float

    @property
    def weekday(self) -> str:
        """The name of the day."""
        return _WEEKDAYS[self.day % len(_WEEKDAYS)]

    @property
    def text(self) -> str:
        """The time as people say it: `Tuesday 09:41`."""
        minutes = int(self.at_s // 60)
        return f"{self.weekday} {minutes // 60 % 24:02}:{minutes % 60:02}"

    def later(self, wall_ms: int) -> Face:
        """Return what it shows at another time, if the day has gone on."""
        at_s = Clock(self.wall_ms, self.at_s, self.speed).at_s(wall_ms)
        return self._replace(wall_ms=wall_ms, at_s=at_s)


async def keep(path: Path, player: Player) -> None:
    """Write the time of a player into a file while it plays, until cancelled."""
    while True:
        if player.stats.connected:
            _write(path, player.face(time.time_ns() // 1_000_000))
        await asyncio.sleep(EVERY_S)


def _write(path: Path, face: Face) -> None:
    # Renamed into place: whoever reads finds a whole one.
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(msgspec.json.encode(face))
    fresh.replace(path)


def look(path: Path) -> Face | None:
    """Return what a file shows, None where nothing was written yet."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Face)
    except FileNotFoundError:
        return None
