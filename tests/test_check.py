from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from engine import config
from engine.check import doubts, show
from engine.site import premises
from tests.building import feature, plan_features, plan_file

if TYPE_CHECKING:
    from collections.abc import Sequence

SITE = """
[server]
port = 0
[redis]
locations = "redis://127.0.0.1:1"
registry = "redis://127.0.0.1:1"
[auth]
secret_env = "TOKEN_SECRET"
[[broker]]
name = "main"
url = "mqtt://127.0.0.1"
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
"""
ZIGBEE = """
[[tenant.source]]
name = "zigbee"
format = "zigbee2mqtt"
broker = "main"
topics = ["zigbee2mqtt/#"]
"""
MERAKI = """
[[tenant.source]]
name = "scans"
format = "livefloor"
verify = "meraki"
secret_env = "SCANS_SECRET"
"""
MAP = """
[[map]]
source = "own"
floor = "first [1]"
level = "hq/1"
unit = "metres"
origin = "bottom-left"
width = 11.13
height = 5.53
points = [[0, 0, 0, 0], [11.13, 0, 1e-4, 0], [0, 5.53, 0, 5e-5]]
"""
MAPPED = SITE.replace("[[tenant.source]]", 'maps = "maps.toml"\n[[tenant.source]]', 1)
ACCESS_POINTS = ("a,hq-0-north", "b,hq-1-hopper")
WATCHED = tuple(
    f"hq-{level}-{name}"
    for level in (0, 1)
    for name in ("lovelace", "hopper", "desk-1", "desk-2", "desk-3")
)


def write(  # noqa: PLR0913 - what a site is made of
    folder: Path,
    *,
    site: str = SITE,
    features: Sequence[dict[str, Any]] = (),
    access_points: Sequence[str] = ACCESS_POINTS,
    watched: Sequence[str] = WATCHED,
    header: str = "source,device,space,kind",
    maps: str = MAP,
) -> Path:
    """Write a site in which nothing is odd, but for what is given."""
    (folder / "plan.geojson").write_bytes(plan_file([*plan_features(), *features]))
    (folder / "access-points.csv").write_text("\n".join(["ap,space", *access_points]))
    rows = [f"own,{space},{space},presence" for space in watched]
    (folder / "sensors.csv").write_text("\n".join([header, *rows]))
    (folder / "maps.toml").write_text(maps)
    (folder / "livefloor.toml").write_text(site)
    return folder / "livefloor.toml"


def doubted(path: Path) -> list[str]:
    """Return the doubts about a site."""
    found = config.load(path)
    return list(doubts(found, {one.id: premises(found, one) for one in found.tenants}))


ROOT = Path(__file__).parents[1]
ENVIRONMENT = {"TOKEN_SECRET": "s" * 40}


def livefloor(command: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run the real command."""
    return subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "engine", command, "--config", path],
        env=ENVIRONMENT,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_site_in_which_nothing_is_odd_leaves_no_doubt(tmp_path: Path) -> None:
    assert doubted(write(tmp_path)) == []


@pytest.mark.parametrize(
    ("odd", "doubt"),
    [
        (
            {"site": SITE + MERAKI},
            "tenant acme: source scans has no validator; Meraki will not post to it",
        ),
        (
            {"access_points": []},
            "tenant acme: no access points, no maps; nobody who shares will be found",
        ),
        (
            {"access_points": ACCESS_POINTS[:1]},
            "tenant acme: no access point or map on hq/1; nobody will be found there",
        ),
        ({"watched": []}, "tenant acme: no sensors; every space stays unknown"),
        (
            {"watched": WATCHED[:5]},
            "tenant acme: no sensor on hq/1; all of it stays unknown",
        ),
        (
            {"watched": WATCHED[4:]},
            (
                "tenant acme: 4 rooms, areas and desks have no sensor and stay unknown:"
                " hq-0-lovelace, hq-0-hopper, hq-0-desk-1 and 1 more"
            ),
        ),
        (
            {
                "features": [
                    feature(
                        "lounge",
                        "unit",
                        (0, 25, 100, 25),
                        category="lounge",
                        level_id="level-1",
                    )
                ]
            },
            "tenant acme: 1 rooms and areas have no capacity: lounge",
        ),
        (
            {"site": SITE + ZIGBEE},
            "tenant acme: source zigbee sends readings, and no sensor is of it",
        ),
        (
            {"site": f'{SITE}\n[[broker]]\nname = "spare"\nurl = "mqtt://127.0.0.2"'},
            "broker spare: no source takes messages from it",
        ),
        (
            {"site": SITE.partition("[[tenant.source]]")[0], "watched": []},
            "tenant acme: no source; nothing will arrive",
        ),
    ],
)
def test_what_is_odd_is_one_sentence(
    tmp_path: Path, odd: dict[str, Any], doubt: str
) -> None:
    assert doubt in doubted(write(tmp_path, **odd))


def test_a_level_with_a_map_needs_no_access_point(tmp_path: Path) -> None:
    path = write(tmp_path, site=MAPPED, access_points=ACCESS_POINTS[:1])
    assert doubted(path) == []
    (doubt,) = doubted(write(tmp_path, site=MAPPED, access_points=[]))
    assert doubt.endswith("no access point or map on hq/0; nobody will be found there")


@pytest.mark.slow
def test_the_command_shows_each_map_and_what_is_odd_about_it(tmp_path: Path) -> None:
    found = livefloor("check", write(tmp_path, site=MAPPED))
    assert (found.returncode, found.stderr) == (0, "")
    lines = [line.split() for line in found.stdout.splitlines()]
    shown = ["acme/own", "first", "[1]", "hq/1", "1", "0.0", "m", "10", "m"]
    assert shown in lines
    assert "worth a look" not in found.stdout
    half = MAP.replace("11.13", "5.565").replace("1e-4", "5e-5")
    found = livefloor("check", write(tmp_path, site=MAPPED, maps=half))
    assert "maps.toml: 50% of level 'hq/1' lies in its maps" in found.stdout


@pytest.mark.slow
def test_the_command_refuses_a_map_with_its_line(tmp_path: Path) -> None:
    wrong = MAP.replace('"metres"', '"feet"')
    found = livefloor("check", write(tmp_path, site=MAPPED, maps=wrong))
    assert found.returncode == 2
    assert "maps.toml, line 10: 1 of unit 'feet' is 1 m by the points" in found.stderr


def test_an_area_is_watched_by_the_sensors_of_its_desks(tmp_path: Path) -> None:
    desks = [name for name in WATCHED if "desk" in name or name.startswith("hq-0")]
    (doubt,) = doubted(write(tmp_path, watched=desks))
    assert "hq-1-lovelace, hq-1-hopper" in doubt
    assert "north" not in doubt


@pytest.mark.slow
def test_the_command_ends_with_a_summary_and_is_quiet_where_all_is_well(
    tmp_path: Path,
) -> None:
    path = write(tmp_path)
    found = livefloor("check", path)
    assert (found.returncode, found.stderr) == (0, "")
    lines = [line.split() for line in found.stdout.splitlines() if line.strip()]
    assert ["acme", "2", "15", "2", "10", "10", "own"] in lines
    assert ["broker", "main", "serves", "1", "of", "1", "sources"] in lines
    assert "worth a look" not in found.stdout
    assert found.stdout.endswith(f"{path}: ready to run\n")


@pytest.mark.slow
def test_the_command_says_what_was_passed_by_and_the_site_may_run(
    tmp_path: Path,
) -> None:
    unit = (60, 0, 5, 5)
    path = write(
        tmp_path,
        features=[
            feature(name, "unit", unit, category="auditorium", level_id="level-1")
            for name in ("a", "b")
        ],
        header="source,device,space,kind,hold",
    )
    found = livefloor("check", path)
    assert found.returncode == 0
    told = found.stdout.partition("worth a look:\n")[2].splitlines()
    plan, table = told[:2]
    assert plan.startswith("- tenant acme: plan.geojson: unit category 'auditorium' is")
    assert "(2 times, first feature 'a'); to count it, write a room" in plan
    assert table.startswith("- tenant acme: sensors.csv: column 'hold' is not read")
    assert told[-1] == f"{path}: ready to run"


@pytest.mark.slow
def test_the_engine_logs_one_line_of_what_was_passed_by(tmp_path: Path) -> None:
    odd = feature("a", "room", None)
    # No Redis is at port 1: it waits for one until it is told to end.
    command = [sys.executable, "-m", "engine", "run", "--config"]
    with subprocess.Popen(  # noqa: S603 - our own
        [*command, write(tmp_path, features=[odd])],
        env=ENVIRONMENT,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as engine:
        assert engine.stderr is not None
        logged = json.loads(engine.stderr.readline())
        engine.terminate()
        engine.wait(20)
    assert (logged["level"], logged["number"]) == ("warning", 1)
    assert "livefloor check" in logged["event"]


PULLED = """
[[tenant.source]]
name = "spaces"
format = "cisco-spaces"
[tenant.source.pull]
url = "{url}"
header = "X-API-KEY"
secret_env = "SPACES_KEY"
"""


@pytest.mark.parametrize(
    ("url", "odd"),
    [
        ("https://spaces.example/events", False),
        ("http://127.0.0.1:8090/events", False),
        ("http://spaces.example/events", True),
    ],
)
def test_a_secret_that_goes_in_plain_text_is_worth_a_look(
    tmp_path: Path, url: str, *, odd: bool
) -> None:
    path = write(tmp_path, site=SITE + PULLED.format(url=url))
    said = "pull acme-spaces: its secret goes in plain text; use https or wss"
    assert [one for one in doubted(path) if one.startswith("pull")] == [said] * odd


def test_the_host_that_is_asked_is_shown_and_nothing_else_of_its_address(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, site=SITE + PULLED.format(url="https://h.example/?k=t0k3n"))
    out = StringIO()
    show(config.load(path), Console(file=out, width=200))
    assert "pull acme-spaces asks h.example\n" in out.getvalue()
    assert "t0k3n" not in out.getvalue()
