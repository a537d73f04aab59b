from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.files import geojson, maps
from engine.space import Ground
from tests.building import feature, plan_file
from tests.large_floor import EAST_M, NORTH_M, SIZE, large_plan

if TYPE_CHECKING:
    from engine.files.remark import Remark
    from engine.space import Map, Plan

PLAN = large_plan()
WIDTH_M, HEIGHT_M = SIZE[0] * EAST_M, SIZE[1] * NORTH_M
EAST, NORTH = 1e-6 * SIZE[0], 1e-6 * SIZE[1]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "samples" / "wifi"

WHOLE = f"""\
[[map]]
source = "wifi"
floor = "3rd"
level = "hq/1"
unit = "metres"
origin = "bottom-left"
width = {WIDTH_M}
height = {HEIGHT_M}
points = [
    [0, 0, 0, 0],
    [{WIDTH_M}, 0, {EAST}, 0],
    [0, {HEIGHT_M}, 0, {NORTH}],
    [{WIDTH_M}, {HEIGHT_M}, {EAST}, {NORTH}],
]
"""
CORNERS = WHOLE.partition("points")[0] + (
    f"corners.top_left = [0, {NORTH}]\n"
    "corners.bottom_left = [0, 0]\n"
    f"corners.bottom_right = [{EAST}, 0]\n"
)


def read(text: str, sources: tuple[str, ...] = ("wifi",)) -> list[Map]:
    found, remarks = maps.read(text.encode(), "maps.toml", PLAN, sources)
    assert remarks == []
    return found


def metres(one: Map, x: float, y: float) -> tuple[float, float]:
    """Return where a point of a map is, from the middle of its level."""
    (a, b, c), (d, e, f) = one.east, one.north
    return a * x + b * y + c, d * x + e * y + f


@pytest.mark.parametrize("text", [WHOLE, CORNERS])
def test_points_and_corners_lay_a_map_on_its_level(text: str) -> None:
    (one,) = read(text)
    assert (one.source, one.floor, one.level) == ("wifi", "3rd", "hq/1")
    assert one.unit_m == pytest.approx(1, rel=1e-4)
    assert one.residual_m < 0.001
    assert one.accuracy_m == 10
    assert metres(one, 0, 0) == pytest.approx((-WIDTH_M / 2, -HEIGHT_M / 2), abs=0.01)
    assert metres(one, 10, 5) == pytest.approx(
        (10 - WIDTH_M / 2, 5 - HEIGHT_M / 2), abs=0.01
    )


def test_from_the_top_left_y_grows_downwards() -> None:
    (one,) = read(CORNERS.replace('"bottom-left"', '"top-left"'))
    assert metres(one, 0, 0) == pytest.approx((-WIDTH_M / 2, HEIGHT_M / 2), abs=0.01)
    assert metres(one, 0, 5) == pytest.approx(
        (-WIDTH_M / 2, HEIGHT_M / 2 - 5), abs=0.01
    )


@pytest.mark.parametrize(
    ("unit", "a_metre"),
    [
        ('"feet"', 1 / 0.3048),
        ('"pixels"\npixels_per_metre = 20', 20),
        (f'"pixels"\nwidth_m = {WIDTH_M}', 50),
        ('"pixels"', 7),
    ],
)
def test_a_unit_is_as_long_as_it_is(unit: str, a_metre: float) -> None:
    text = CORNERS.replace('"metres"', unit)
    text = text.replace(f"width = {WIDTH_M}", f"width = {WIDTH_M * a_metre}")
    text = text.replace(f"height = {HEIGHT_M}", f"height = {HEIGHT_M * a_metre}")
    (one,) = read(text)
    assert one.unit_m == pytest.approx(1 / a_metre, rel=1e-4)


def test_several_floors_of_a_source_may_share_a_map() -> None:
    found = read(WHOLE.replace('"3rd"', '["3rd", "third floor"]'))
    assert [one.floor for one in found] == ["3rd", "third floor"]
    assert found[0].east == found[1].east


def test_a_map_without_a_size_has_no_edge() -> None:
    text = WHOLE.replace(f"width = {WIDTH_M}\nheight = {HEIGHT_M}\n", "")
    (one,) = read(text)
    assert (one.width, one.height) == (math.inf, math.inf)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no collection of samples")
def test_merakis_own_floor_plan_fits_its_own_corners() -> None:
    """Its corners agree with its size: a metre is a metre, by 3 parts in 1,000."""
    given = json.loads((SHARED / "meraki-floorplan.json").read_text())
    corners = {
        key: [given[name]["lng"], given[name]["lat"]]
        for key, name in (
            ("top_left", "topLeftCorner"),
            ("bottom_left", "bottomLeftCorner"),
            ("bottom_right", "bottomRightCorner"),
        )
    }
    where = Ground.around(*corners["bottom_left"])
    text = CORNERS.partition("corners")[0]
    text = text.replace(f"width = {WIDTH_M}", f"width = {given['width']}")
    text = text.replace(f"height = {HEIGHT_M}", f"height = {given['height']}")
    text += "".join(f"corners.{key} = {at}\n" for key, at in corners.items())
    lon, lat = corners["bottom_left"]
    level = feature(
        "l", "level", None, short_name="1", ordinal=1, building_ids=["hq"]
    ) | {"geometry": _square(lon - 2e-4, lat, 3e-4)}
    building = feature("hq", "building", None)
    plan = maps_plan(building, level)
    (one,), _ = maps.read(text.encode(), "maps.toml", plan, ["wifi"])
    assert one.unit_m == pytest.approx(1, rel=4e-3)
    x_axis = math.hypot(one.east[0], one.north[0])
    assert x_axis == pytest.approx(1, rel=4e-3)
    far = where.metres(np.array(corners["bottom_right"]))
    here = np.array(metres(one, given["width"], 0)) - metres(one, 0, 0)
    assert here == pytest.approx(far, abs=0.3)


def maps_plan(*features: dict[str, Any]) -> Plan:
    plan, _ = geojson.read(plan_file(list(features)), "plan.geojson")
    return plan


def _square(west: float, south: float, side: float) -> dict[str, Any]:
    east, north = west + side, south + side
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        maps.read(text.encode(), "maps.toml", PLAN, ["wifi", "mist"])
    return str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[[map]]", "[map", "maps.toml: not TOML"),
        ("width", "widht", ", line 7: [[map]] has no key 'widht', perhaps 'width'"),
        ('level = "hq/1"\n', "", ", line 1: [[map]] needs the key 'level'"),
        (
            '"wifi"',
            '"wfi"',
            ", line 2: the tenant has no source 'wfi': write 'wifi'",
        ),
        ('"hq/1"', '"hq/9"', ", line 4: the plan has no level 'hq/9': write 'hq/1'"),
        ('"3rd"', "3", ", line 3: [[map]] floor must be text in quotes or a list"),
        ('"metres"', '"yards"', ', line 5: [[map]] unit must be one of "feet"'),
        (
            "[0, 0, 0, 0]",
            "[0, 0, 0]",
            ", line 9: each of [[map]] points must be a list",
        ),
        ("[0, 0, 0, 0]", "[0, 0, 0, 91]", ", line 9: each of [[map]] points"),
        (
            '"bottom-left"',
            '"top-left"',
            (
                ", line 9: with origin 'top-left' the map is mirrored: write "
                "origin = 'bottom-left' if y grows the other way"
            ),
        ),
        (
            '"metres"',
            '"feet"',
            ", line 9: 1 of unit 'feet' is 1 m by the points, and should be 0.3048 m",
        ),
        (
            f"[{WIDTH_M}, 0, {EAST}, 0]",
            f"[{WIDTH_M}, 0, {EAST * 1.3}, 0]",
            ", line 9: ",
        ),
        (
            f"[{WIDTH_M}, {HEIGHT_M}, {EAST}, {NORTH}]",
            f"[{WIDTH_M}, {HEIGHT_M}, {NORTH}, {EAST}]",
            ", line 9: ",
        ),
        (
            (
                f"    [0, {HEIGHT_M}, 0, {NORTH}],\n"
                f"    [{WIDTH_M}, {HEIGHT_M}, {EAST}, {NORTH}],\n"
            ),
            "",
            ", line 9: needs three points or more",
        ),
        (
            "[0, 0, 0, 0]",
            "[0, 0, 0, 50]",
            ", line 9: the points lie 5,529 km from level 'hq/1': write longitude",
        ),
        ("points = [", "points = [\n]\nothers = [", ", line 11: [[map]] has no key"),
        (
            "points = [",
            (
                "corners.top_left = [0, 1]\ncorners.bottom_left = [0, 0]\n"
                "corners.bottom_right = [1, 0]\npoints = ["
            ),
            ", line 12: write either `points`, three or more [x, y, lon, lat], or",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(
    old: str, new: str, sentence: str
) -> None:
    assert old in WHOLE
    assert refusal(WHOLE.replace(old, new, 1)).startswith(
        sentence if sentence.startswith("maps") else f"maps.toml{sentence}"
    )


def test_neither_points_nor_corners_is_told() -> None:
    assert "write either `points`" in refusal(WHOLE.partition("points")[0])


def test_corners_need_the_size_of_the_map() -> None:
    text = CORNERS.replace(f"height = {HEIGHT_M}\n", "")
    assert "`corners` needs `width` and `height`" in refusal(text)


def test_points_on_one_line_are_told() -> None:
    line = f"points = [[0, 0, 0, 0], [10, 0, {EAST / 10}, 0], [20, 0, {EAST / 5}, 0]]"
    assert "lie on one line on the map" in refusal(WHOLE.partition("points")[0] + line)
    line = "points = [[0, 0, 0, 0], [1, 0, 1e-5, 0], [1, 1, 2e-5, 0]]"
    assert "lie on one line on earth" in refusal(WHOLE.partition("points")[0] + line)


def test_a_floor_has_one_map() -> None:
    assert refusal(WHOLE + CORNERS) == (
        "maps.toml, line 17: floor '3rd' of source 'wifi' has a [[map]] before, "
        "the 1st: keep one of the two"
    )
    found, _ = maps.read(
        (WHOLE + CORNERS.replace('"wifi"', '"mist"')).encode(),
        "maps.toml",
        PLAN,
        ["wifi", "mist"],
    )
    assert [(one.source, one.floor) for one in found] == [
        ("wifi", "3rd"),
        ("mist", "3rd"),
    ]


def test_a_file_that_is_no_text_is_told() -> None:
    with pytest.raises(ConfigError, match="UTF-8"):
        maps.read(b"\xff", "maps.toml", PLAN, [])


def remarked(text: str) -> list[Remark]:
    _, remarks = maps.read(text.encode(), "maps.toml", PLAN, ["wifi"])
    return remarks


def test_a_point_that_is_measured_badly_is_named_where_it_stands_out() -> None:
    middle = f"[{WIDTH_M / 2}, {HEIGHT_M / 2 + 4}, {EAST / 2}, {NORTH / 2}]"
    (remark,) = remarked(WHOLE.replace("\n]", f"\n    {middle},\n]"))
    assert str(remark) == (
        "maps.toml: point 5 lies 3.2 m from where the others put it (the 1st [[map]]); "
        "measure it again"
    )
    *_, remark = remarked(WHOLE.replace(f"{EAST}, {NORTH}]", f"{EAST * 1.1}, {NORTH}]"))
    assert remark.what == "one of the points lies 2.8 m from where the others put it"


def test_a_unit_that_is_a_little_off_is_remarked() -> None:
    text = CORNERS.replace(f"width = {WIDTH_M}", f"width = {WIDTH_M / 1.08}")
    text = text.replace(f"height = {HEIGHT_M}", f"height = {HEIGHT_M / 1.08}")
    (remark,) = remarked(text)
    assert "1 of unit 'metres' is 1.08 m by the corners" in remark.what


def test_axes_of_two_scales_or_askew_are_remarked() -> None:
    (remark,) = remarked(
        CORNERS.replace(f"width = {WIDTH_M}", f"width = {WIDTH_M * 0.94}")
    )
    assert "scales of their own" in remark.what
    (remark,) = remarked(
        CORNERS.replace(
            f"top_left = [0, {NORTH}]", f"top_left = [{EAST / 20}, {NORTH}]"
        )
    )
    assert remark.what == "x and y are 84 degrees apart instead of 90"


def test_a_level_that_does_not_lie_in_its_maps_is_remarked() -> None:
    half = CORNERS.replace(f"width = {WIDTH_M}", f"width = {WIDTH_M / 2}")
    half = half.replace(f"[{EAST}, 0]", f"[{EAST / 2}, 0]")
    (remark,) = remarked(half)
    assert remark.what == "50% of level 'hq/1' lies in its maps"
    other = half.replace('"3rd"', '"3rd, east"')
    for was, shifted in (
        ("[0, ", f"[{EAST / 2}, "),
        (f"[{EAST / 2}, 0]", f"[{EAST}, 0]"),
    ):
        other = other.replace(was, shifted)
    other = other.replace(
        f"bottom_left = [{EAST}, 0]", f"bottom_left = [{EAST / 2}, 0]"
    )
    assert remarked(half + other) == []


def test_three_corners_without_a_size_lay_the_whole_picture() -> None:
    three = re.sub(r"^(width|height) = .*\n", "", WHOLE, flags=re.MULTILINE)
    three = three.replace(f"    [{WIDTH_M}, {HEIGHT_M}, {EAST}, {NORTH}],\n", "")
    assert three.count("    [") == 3
    assert remarked(three) == []


@given(
    turn=st.floats(-math.pi, math.pi),
    scale=st.floats(0.01, 100),
    shift=st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
    down=st.booleans(),
    spots=st.lists(
        st.tuples(st.floats(-50, 50), st.floats(-20, 20)), min_size=3, max_size=6
    ),
    here=st.tuples(st.floats(-50, 50), st.floats(-20, 20)),
)
def test_any_turned_scaled_shifted_mirrored_map_is_undone(  # noqa: PLR0913
    *,
    turn: float,
    scale: float,
    shift: tuple[float, float],
    down: bool,
    spots: list[tuple[float, float]],
    here: tuple[float, float],
) -> None:
    """Places in metres go onto a map and come back within a millimetre."""
    spread = np.linalg.svd(np.array(spots) - np.mean(spots, axis=0), compute_uv=False)
    assume(spread[1] > 0.05 * spread[0] > 0.05)
    axes = scale * np.array(
        [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]
    )
    if down:
        axes[:, 1] *= -1
    ground = PLAN.ground("hq/1")

    def on_map(east: float, north: float) -> tuple[float, float]:
        x, y = np.array([east, north]) @ axes + np.array(shift)
        return float(x), float(y)

    points = [
        [
            *on_map(east, north),
            ground.lon + east / ground.east_m,
            ground.lat + north / ground.north_m,
        ]
        for east, north in spots
    ]
    text = WHOLE.partition("width")[0].replace('"metres"', '"pixels"')
    if down:
        text = text.replace("bottom-left", "top-left")
    found, _ = maps.read(
        f"{text}points = {points}\n".encode(), "maps.toml", PLAN, ["wifi"]
    )
    assert found[0].unit_m == pytest.approx(1 / scale, rel=1e-6)
    assert found[0].residual_m < 0.001
    assert metres(found[0], *on_map(*here)) == pytest.approx(here, abs=0.01)
