from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from engine.config import load
from engine.errors import ConfigError
from engine.model import State
from engine.ops import strike_out
from engine.reload import Reload
from engine.site import build
from tests.building import plan_file

if TYPE_CHECKING:
    from pathlib import Path

    from engine.tenant import Tenant

NOW = 1_800_000_000_000
CONFIG = """
[redis]
locations = "redis://127.0.0.1:1"
registry = "redis://127.0.0.1:2"

[[broker]]
name = "main"
url = "mqtt://127.0.0.1"

[[tenant]]
id = "acme"
plan = "plan.geojson"
access_points = "access-points.csv"
sensors = "sensors.csv"
policies = "policies.toml"

[[tenant.source]]
name = "own"
format = "livefloor"
broker = "main"
topics = ["acme/#"]
"""
SENSORS = """source,device,space,kind
own,seat,hq-1-desk-1,presence
own,door,hq-1-hopper,flow
"""


class Office:
    """A site of one tenant in a folder, kept in step by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("livefloor.toml", CONFIG)
        self.write("plan.geojson", plan_file().decode())
        self.write("access-points.csv", "ap,space\nap-1,hq-1-north\n")
        self.write("sensors.csv", SENSORS)
        self.write("policies.toml", "")
        config = load(folder / "livefloor.toml")
        self.site = build(config)
        self.now = NOW
        self.reload = Reload(config, self.site, lambda: self.now)

    @property
    def tenant(self) -> Tenant:
        return self.site.tenants["acme"]

    def write(self, name: str, text: str) -> None:
        """Write a file as an editor does, by a new one: its number tells the change."""
        new = self.folder / f"{name}.new"
        new.write_text(text)
        new.replace(self.folder / name)

    def say(self, device: str, value: int) -> None:
        source = self.site.sources["acme", "own"]
        (channel,) = source.channels_of(device)
        occupancy = self.tenant.occupancy
        occupancy.apply([channel], [value], [self.now], [0], self.now)

    def state(self, space: str) -> State:
        occupancy = self.tenant.occupancy
        occupancy.tick(self.now)
        return State(int(occupancy.state[self.tenant.plan.space_by_id[space]]))

    async def settle(self) -> None:
        for _ in range(2):
            await self.reload.look()


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def test_nothing_is_read_that_has_not_changed(office: Office) -> None:
    channels = office.tenant.channels
    await office.settle()
    assert office.tenant.channels is channels


async def test_a_file_is_read_once_it_has_been_left_alone(office: Office) -> None:
    channels = office.tenant.channels
    office.write("sensors.csv", SENSORS + "own,new,hq-1-desk-2,presence\n")
    await office.reload.look()
    assert office.tenant.channels is channels
    office.write("sensors.csv", SENSORS + "own,newer,hq-1-desk-2,presence\n")
    await office.reload.look()
    assert office.tenant.channels is channels
    await office.reload.look()
    assert office.site.sources["acme", "own"].channels_of("newer")


async def test_what_stays_keeps_its_state_and_what_went_is_dropped(
    office: Office,
) -> None:
    office.say("seat", 1)
    office.write("sensors.csv", SENSORS + "own,new,hq-1-desk-2,presence\n")
    await office.settle()
    assert office.state("hq-1-desk-1") is State.OCCUPIED
    assert office.state("hq-1-desk-2") is State.UNKNOWN
    office.say("new", 0)
    assert office.state("hq-1-desk-2") is State.FREE
    office.write("sensors.csv", SENSORS)
    await office.settle()
    assert office.state("hq-1-desk-2") is State.UNKNOWN
    assert office.tenant.unbound == {b"own/presence/new"}


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        (
            "sensors.csv",
            f"{SENSORS}own,x,nowhere,motion\n",
            "sensors.csv, line 4: the plan has no space 'nowhere'",
        ),
        (
            "sensors.csv",
            f"{SENSORS}other,x,hq-1-north,motion\n",
            "has no source named 'other'",
        ),
        ("access-points.csv", "ap\n", "access-points.csv, line 1: no column 'space'"),
        ("policies.toml", "[[policy]]", "policies.toml, line 1: this [[policy]] says"),
    ],
)
async def test_what_does_not_fit_changes_nothing_and_is_told(
    office: Office, file: str, text: str, problem: str
) -> None:
    office.say("seat", 1)
    channels, good = office.tenant.channels, (office.folder / file).read_text()
    office.write(file, text)
    office.now += 5
    with capture_logs() as lines:
        await office.settle()
        await office.settle()
    (line,) = lines
    assert problem in line["hint"]
    assert "hint" in strike_out(None, "", dict(line))
    assert problem in office.reload.files["acme"].problem
    assert office.reload.refused == {"files of acme": NOW + 5}
    assert office.tenant.channels is channels
    assert office.state("hq-1-desk-1") is State.OCCUPIED
    office.write(file, good)
    await office.settle()
    assert office.reload.refused == {}
    assert office.state("hq-1-desk-1") is State.OCCUPIED


async def test_a_file_that_is_gone_changes_nothing(office: Office) -> None:
    (office.folder / "sensors.csv").unlink()
    await office.settle()
    assert "cannot be read" in office.reload.files["acme"].problem
    assert len(office.tenant.channels) == 3


async def test_policies_and_access_points_are_taken_up(office: Office) -> None:
    office.write("policies.toml", "[[policy]]\ninterval_s = 60\n")
    office.write("access-points.csv", "ap,space\nap-2,hq-1-hopper\nap-1,hq-1-north\n")
    office.say("seat", 1)
    await office.settle()
    office.now += 11 * 60_000
    assert office.state("hq-1-desk-1") is State.UNKNOWN
    locator = office.tenant.locator
    assert locator.names == ["ap-1", "ap-2"]
    found = [locator.find(ap) for ap in ("ap-1", "ap-2")]
    assert [place.ap for place in found if place] == [0, 1]


async def test_who_asks_for_a_reload_hears_what_does_not_fit(office: Office) -> None:
    await office.reload.now()
    office.write("policies.toml", "nonsense")
    with pytest.raises(ConfigError, match=r"policies\.toml: not TOML"):
        await office.reload.now()


async def test_a_plan_that_changed_is_told_until_the_next_start(
    office: Office,
) -> None:
    office.write("plan.geojson", "{}")
    await office.settle()
    assert "restart livefloor" in office.reload.files["acme"].problem
    office.write("sensors.csv", SENSORS + "own,new,hq-1-desk-2,presence\n")
    await office.settle()
    assert "restart livefloor" in office.reload.files["acme"].problem
    assert office.site.sources["acme", "own"].channels_of("new")


async def test_numbers_that_a_write_holds_are_not_those_of_the_new_channels(
    office: Office,
) -> None:
    office.say("seat", 1)
    held = office.tenant.dirty
    await office.reload.now()
    held.update({0, 99})
    assert office.tenant.dirty == {0, 1, 2}
    rows = office.tenant.occupancy.export(np.arange(3, dtype=np.int32))
    assert len(rows) == 3 * 40
