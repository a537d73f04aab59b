"""Recordings through the real path, with embedded stores."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from engine import replay
from engine.config import parse
from engine.errors import ConfigError
from engine.model import Outcome, State
from tests.building import plan_file

if TYPE_CHECKING:
    from engine.config import Config
    from engine.replay import Summary

MANY = "login,device\n" + "".join(f"ada,a483e70000{n}\n" for n in range(10, 21))

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RECORDING = Path(__file__).parent / "recordings" / "morning.ndjson"
SITE = """
[redis]
locations = "unix:///nowhere/a"
registry = "unix:///nowhere/b"
[auth]
secret_file = "nowhere.secret"
[[broker]]
name = "main"
url = "mqtts://nowhere.example"
ca_file = "nowhere.pem"
[[tenant]]
id = "acme"
plan = "plan.geojson"
access_points = "access-points.csv"
sensors = "sensors.csv"
[[tenant.source]]
name = "own"
format = "livefloor"
broker = "main"
topics = ["acme/#"]
[[tenant.source]]
name = "zigbee"
format = "zigbee2mqtt"
broker = "main"
topics = ["z2m/#"]
[[tenant.source]]
name = "radius"
format = "radius"
secret_file = "nowhere.secret"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "plan.geojson").write_bytes(plan_file())
    (tmp_path / "access-points.csv").write_text(
        "ap,space\nap-1,hq-1-north\nap-2,hq-1-hopper\n"
    )
    (tmp_path / "sensors.csv").write_text(
        "source,device,channel,space,kind\n"
        "own,desk-1,,hq-1-desk-1,presence\n"
        "own,desk-2,,hq-1-desk-2,presence\n"
        "own,room-1,,hq-1-lovelace,count\n"
        "zigbee,desk,,hq-1-desk-3,presence\n"
    )
    (tmp_path / "livefloor.toml").write_text(SITE)
    return parse(SITE.encode(), tmp_path / "livefloor.toml")


def people(folder: Path, text: str = "login,device\nada,\n") -> Path:
    path = folder / "people.csv"
    path.write_text(text)
    return path


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def replayed(config: Config, *files: Path, **more: Any) -> tuple[Summary, str]:  # noqa: ANN401 - its settings
    out = Console(file=io.StringIO(), width=200)
    chosen = {"source": "own", "tenant": None, "speed": None, "people": None, **more}
    summary = await replay.run(
        config, files=files or (RECORDING,), clock_ms=now_ms, out=out, **chosen
    )
    assert isinstance(out.file, io.StringIO)
    return summary, out.file.getvalue()


async def test_a_recording_has_the_effect_that_it_had_then(
    config: Config, tmp_path: Path
) -> None:
    summary, said = await replayed(config, people=people(tmp_path))

    assert summary.messages == 10
    assert summary.by_outcome == {
        Outcome.APPLIED: 6,
        Outcome.DISPOSED: 1,
        Outcome.DUPLICATE: 0,
        Outcome.LATE: 1,
        Outcome.INVALID: 2,
    }
    assert summary.by_reason == {"malformed": 1, "unknown_name": 1}
    assert summary.spaces[State.OCCUPIED] == 1
    assert summary.spaces[State.FREE] == 2
    assert (summary.sharing, summary.located) == (1, 1)
    assert "people located: 1 of 1 who share" in said
    assert "10 of 10 messages" in said


async def test_where_nobody_is_named_nobody_shares(config: Config) -> None:
    summary, said = await replayed(config)

    assert summary.by_outcome[Outcome.DISPOSED] == 4
    assert (summary.sharing, summary.located) == (0, 0)
    assert "nobody shares" in said


async def test_nobody_is_named_in_what_it_says(
    config: Config, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, said = await replayed(config, people=people(tmp_path))
    captured = capfd.readouterr()
    for text in (said, captured.out, captured.err):
        assert "ada" not in text
        assert "eve" not in text


async def test_a_device_of_who_shares_is_theirs(config: Config, tmp_path: Path) -> None:
    table = people(tmp_path, "login,device\nada,A4:83:E7:00:00:01\nada,a483e7000002\n")
    recording = tmp_path / "devices.ndjson"
    recording.write_text('{"device": "a4:83:e7:00:00:02", "ap": "ap-1"}\n')
    summary, _ = await replayed(config, recording, people=table)

    assert summary.located == 1


async def test_its_own_pace_is_kept_faster(config: Config) -> None:
    start = time.monotonic()
    summary, _ = await replayed(config, speed=30)
    taken_s = time.monotonic() - start

    assert summary.seconds >= 9 / 30
    assert taken_s >= summary.seconds
    assert summary.spaces[State.OCCUPIED] == 1


async def test_bare_payloads_become_as_old_as_they_were(
    config: Config, tmp_path: Path
) -> None:
    at_ms = 1_600_000_000_000
    recording = tmp_path / "desks.ndjson"
    lines = [
        {"sensor": "desk-1", "occupied": True, "at": at_ms},
        {"sensor": "desk-2", "occupied": True, "at": at_ms - 3 * 86_400_000},
    ]
    recording.write_text("\n".join(map(json.dumps, lines)))
    summary, _ = await replayed(config, recording)

    assert summary.spaces[State.OCCUPIED] == 1  # what was said days before is stale


async def test_topics_are_those_of_the_source(config: Config, tmp_path: Path) -> None:
    recording = tmp_path / "zigbee.ndjson"
    line = {"topic": "z2m/desk", "payload": {"presence": True}}
    recording.write_text(json.dumps(line))
    summary, said = await replayed(config, recording, source="zigbee")

    assert summary.spaces[State.OCCUPIED] == 1
    assert summary.sharing is None
    assert "people" not in said


async def test_several_recordings_are_merged_by_their_times(
    config: Config, tmp_path: Path
) -> None:
    lines = RECORDING.read_text().splitlines()
    halves = [tmp_path / "odd.ndjson", tmp_path / "even.ndjson"]
    for number, path in enumerate(halves):
        path.write_text("\n".join(lines[number::2]))
    summary, _ = await replayed(config, *halves, people=people(tmp_path))
    whole, _ = await replayed(config, people=people(tmp_path))

    assert summary.by_outcome == whole.by_outcome
    assert summary.spaces == whole.spaces


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"source": "x"}, "tenant 'acme' has no 'x'; write one of own, zigbee, radius"),
        ({"tenant": "x"}, "--tenant: there is no 'x'; write one of acme"),
        ({"text": '{"at_ms": 1772442000000, "payload": 1}\n[]'}, "or on none"),
        ({"text": "[]", "speed": 2}, "--speed needs recordings that say when"),
        ({"people": "name\nAda\n"}, "no column 'login'; the header is login,device"),
        ({"people": "login\n \n,\n"}, "line 2: login is empty"),
        ({"people": "login,device\nada,tablet\n"}, "line 2: device is no address"),
        ({"people": MANY}, "line 12: a person has 10 devices at most"),
    ],
)
async def test_what_does_not_fit_is_told_with_what_to_write(
    config: Config, tmp_path: Path, more: dict[str, Any], problem: str
) -> None:
    files = []
    if "text" in more:
        files = [tmp_path / "a.ndjson"]
        files[0].write_text(more.pop("text"))
    if "people" in more:
        more["people"] = people(tmp_path, more["people"])
    with pytest.raises(ConfigError) as told:
        await replayed(config, *files, **more)
    assert problem in str(told.value)
    assert "tablet" not in str(told.value)


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "engine", "replay", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("config")
def test_the_command_says_what_became_of_it_and_ends_well(tmp_path: Path) -> None:
    site = ("--source", "own", "--config", tmp_path / "livefloor.toml")
    found = command(RECORDING, *site)
    assert found.returncode == 0, found.stderr
    assert "10 messages in" in found.stdout

    for wrong in (
        command(*site),
        command("missing.ndjson", *site),
        command(RECORDING, "--source", "x", *site[2:]),
    ):
        assert wrong.returncode == 2
        assert wrong.stderr.startswith("livefloor: ")
