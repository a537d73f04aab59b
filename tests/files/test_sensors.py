from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.files import policies, sensors
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


def test_a_door_can_be_mounted_the_other_way_round() -> None:
    table = (
        "source,device,channel,space,kind,direction\n"
        "x,cam,a,hq-1-hopper,flow,\n"
        "x,cam,b,hq-1-hopper,flow,in\n"
        "x,cam,c,hq-1-hopper,flow,out\n"
        "x,cam,d,hq-1-hopper,contact,\n"
    )
    bindings, remarks = sensors.read(table.encode(), NAME, small_plan())
    assert [binding.flip for binding in bindings] == [False, False, True, False]
    assert bindings[0].kind is ReadingKind.FLOW_DELTA
    assert bindings[0].reset_at == 240
    assert remarks == []


@pytest.mark.parametrize(
    ("direction", "kind"), [("out", "count"), ("in", "motion"), ("left", "flow")]
)
def test_a_direction_is_of_a_flow_alone(direction: str, kind: str) -> None:
    table = "source,device,space,kind,direction\n"
    table += f"x,cam,hq-1-hopper,{kind},{direction}\n"
    with pytest.raises(ConfigError, match=r"line 2: direction is of a flow alone"):
        sensors.read(table.encode(), NAME, small_plan())


def test_a_row_speaks_before_the_policies_and_these_before_what_is_usual() -> None:
    rules = policies.read(
        b"""
        [[policy]]
        kind = "motion"
        hold_s = 60
        interval_s = 30
        [[policy]]
        device = "PIR-*"
        hold_s = 90
        [[policy]]
        space = "desk"
        max_on_s = 3600
        [[policy]]
        source = "other"
        hold_s = 1
        """,
        "policies.toml",
    )
    table = (
        "source,device,space,kind,hold_s,max_on_s\n"
        "z,pir-1,hq-1-hopper,motion,,\n"
        "z,eye,hq-1-hopper,motion,,\n"
        "z,pir-2,hq-1-hopper,motion,7,\n"
        "z,seat,hq-1-desk-1,presence,,\n"
        "z,seat,hq-1-desk-1,count,,60\n"
    )
    bindings, _ = sensors.read(table.encode(), NAME, small_plan(), rules)
    assert [b.hold_ms for b in bindings[:3]] == [90_000, 60_000, 7_000]
    assert [b.interval_ms for b in bindings] == [30_000] * 3 + [0, 0]
    hours = [b.max_on_ms / 3_600_000 for b in bindings]
    assert hours == [16, 16, 16, 1, 1 / 60]


def test_the_lines_of_a_space_begin_anew_at_one_time() -> None:
    rules = policies.read(
        b'[[policy]]\ndevice = "b"\nreset_at = "03:30"', "policies.toml"
    )
    table = "source,device,space,kind\nx,a,hq-1-hopper,flow\nx,b,hq-1-lovelace,flow\n"
    (_, b), _ = sensors.read(table.encode(), NAME, small_plan(), rules)
    assert b.reset_at == 210
    table = table.replace("lovelace", "hopper")
    with pytest.raises(ConfigError, match="another reset_at than"):
        sensors.read(table.encode(), NAME, small_plan(), rules)


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


@given(st.text("\"a,\n\0'", max_size=60))
def test_whatever_is_in_the_table_it_is_read_or_refused(text: str) -> None:
    for table in (text, HEADER + text):
        with suppress(ConfigError):
            sensors.read(table.encode(), NAME, small_plan())


def test_a_cell_without_an_end_is_refused() -> None:
    table = f'{HEADER}z,"{"d" * 200_000},,hq-1-hopper,motion,,\n'
    with pytest.raises(ConfigError, match=r"line 2: not CSV: is a quote not closed"):
        sensors.read(table.encode(), NAME, small_plan())


def test_a_column_that_is_not_read_is_remarked() -> None:
    table = b"source,device,space,kind,hold\nz,d,hq-1-hopper,motion,60\n"
    (binding,), (remark,) = sensors.read(table, NAME, small_plan())
    assert binding.hold_ms == 300_000
    assert str(remark) == (
        "sensors.csv: column 'hold' is not read (line 1); the header is "
        "source,device,space,kind,channel,hold_s,interval_s,max_on_s,direction"
    )
