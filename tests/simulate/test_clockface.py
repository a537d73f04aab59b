from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.simulate import clockface
from engine.simulate.clockface import Face, keep, look
from engine.simulate.player import Broker, Player
from engine.simulate.scenario import Scenario

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NINE = 9 * 3600.0


def test_a_time_is_told_as_people_say_it() -> None:
    assert Face(0, 1, NINE + 41 * 60 + 59, 60).text == "Tuesday 09:41"
    assert Face(0, 5, 7 * 3600, 60).text == "Monday 07:00"


def test_a_face_goes_on_between_two_looks() -> None:
    face = Face(1_000, 1, NINE, 60)
    assert face.later(1_500) == Face(1_500, 1, NINE + 30, 60)


async def test_the_time_of_a_player_is_kept_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clockface, "EVERY_S", 0)
    file = tmp_path / "clock"
    player = Player(Scenario(5), Broker("127.0.0.1", 1), speed=90, start_hour=9)
    keeping = asyncio.create_task(keep(file, player))
    await asyncio.sleep(0)
    assert look(file) is None
    player.stats.connected = True
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first = look(file)
    player.stats.day, player.stats.at_s = 2, NINE + 60
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    keeping.cancel()
    second = look(file)
    assert first is not None
    assert second is not None
    assert (first.text, second.text) == ("Tuesday 09:00", "Wednesday 09:01")
    assert second.speed == 90
    assert names(tmp_path) == ["clock"]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
