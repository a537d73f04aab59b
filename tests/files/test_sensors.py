from __future__ import annotations

import pytest

from engine.errors import ConfigError
from engine.files import sensors
from engine.model import ReadingKind
from tests.building import small_plan

HEADER = "source,device,channel,space,kind,hold_s,interval_s\n"
NAME = "sensors.csv"


def test_bindings_get_the_usual_hold_of_their_space() -> None:
    table = HEADER + (
        "z,PIR-1,,hq-1-hopper,motion,,\n"
        "z,pir-2,,hq-1-desk-1,motion,,600\n"
        "z,pir-3,a,hq-1-desk-1,presence,0.5,\n"
    )
    (room, desk, own), remarks = sensors.read(table.encode(), NAME, small_plan())
    assert (room.device, room.kind, room.hold_ms) == (
        "pir-1",
        ReadingKind.MOTION,
        300_000,
    )
    assert (desk.hold_ms, desk.interval_ms) == (720_000, 600_000)
    assert (own.channel, own.kind, own.hold_ms) == ("a", ReadingKind.PRESENCE, 500)
    assert remarks == []


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("z,d,,nowhere,motion,,", "no space 'nowhere'"),
        ("z,d,,hq-1-hopper,smell,,", "presence, motion, count"),
        ("z,d,,hq-1-hopper,motion,-1,", "hold_s must be seconds"),
        ("z,d,,hq-1-hopper,motion,nan,", "hold_s must be seconds"),
        ("z,d,,hq-1-hopper,motion,,soon", "interval_s must be seconds"),
        ("z,,,hq-1-hopper,motion,,", "device is empty"),
        (
            "z,D,,hq-1-hopper,count,,\nz,d,,hq-1-hopper,count,,",
            "bound before in sensors.csv, line 2",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_named(rows: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        sensors.read(f"{HEADER}{rows}\n".encode(), NAME, small_plan())
    last = 2 + rows.count("\n")
    assert str(refused.value).startswith(f"sensors.csv, line {last}: ")


def test_a_column_that_is_not_read_is_remarked() -> None:
    table = b"source,device,space,kind,hold\nz,d,hq-1-hopper,motion,60\n"
    (binding,), (remark,) = sensors.read(table, NAME, small_plan())
    assert binding.hold_ms == 300_000
    assert str(remark) == (
        "sensors.csv: column 'hold' is not read (line 1); the header is "
        "source,device,space,kind,channel,hold_s,interval_s,direction"
    )
