"""The maps in deploy/sources/maps.md are read as they stand, each on its own level."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from engine import config
from engine.files import geojson, maps
from tests.building import feature, plan_file
from tests.pages import blocks, page

PAGE = page("maps")
BLOCKS = blocks(PAGE, "toml")


def corners_of(one: dict[str, Any]) -> list[list[float]]:
    if "points" in one:
        return [point[2:] for point in one["points"]]
    known = one["corners"]
    top, low, right = (
        known[key] for key in ("top_left", "bottom_left", "bottom_right")
    )
    far = [a + c - b for a, b, c in zip(top, low, right, strict=True)]
    return [top, low, right, far]


def level_around(one: dict[str, Any]) -> dict[str, Any]:
    """Return a level that lies inside of a map, a tenth from its edges."""
    corners = corners_of(one)
    middle = [sum(axis) / len(corners) for axis in zip(*corners, strict=True)]
    ring = [
        [m + 0.6 * (a - m) for a, m in zip(corner, middle, strict=True)]
        for corner in corners
    ]
    level = feature(
        "level",
        "level",
        None,
        short_name=one["level"].partition("/")[2],
        ordinal=1,
        building_ids=["hq"],
    )
    return level | {"geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}}


@pytest.mark.parametrize("block", BLOCKS)
def test_each_map_of_the_page_fits_without_a_doubt(block: str) -> None:
    (one,) = tomllib.loads(block)["map"]
    building = feature("hq", "building", None)
    plan, _ = geojson.read(plan_file([building, level_around(one)]), "plan.geojson")
    found, remarks = maps.read(block.encode(), "maps.toml", plan, [one["source"]])
    assert remarks == []
    assert {one.level for one in found} == set(plan.levels)
    assert all(one.residual_m < 0.1 for one in found)


def test_the_page_has_every_key_and_every_setting() -> None:
    keys = {key for block in BLOCKS for key in tomllib.loads(block)["map"][0]}
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert keys <= named
    assert {"pixels_per_metre", "width_m", "corners"} <= named
    for table in (config.Locate, config.Presence):
        assert set(table.__struct_fields__) - named <= {"settle_s", "stale_s"}


def test_the_page_says_what_check_shows_of_its_first_map() -> None:
    (one,) = tomllib.loads(BLOCKS[0])["map"]
    plan, _ = geojson.read(
        plan_file([feature("hq", "building", None), level_around(one)]), "plan"
    )
    (found,), _ = maps.read(BLOCKS[0].encode(), "maps.toml", plan, ["ruckus"])
    shown = next(line for line in PAGE.splitlines() if line.startswith("acme/ruckus"))
    assert shown.split() == [
        *("acme/ruckus", found.floor, found.level, f"{found.unit_m:.4g}"),
        *(f"{found.residual_m:.1f}", "m", f"{found.accuracy_m:g}", "m"),
    ]
