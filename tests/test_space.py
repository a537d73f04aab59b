from __future__ import annotations

import msgspec
import pytest

from engine.space import Kind
from tests.building import small_plan


def test_levels_come_in_ordinal_order_and_are_contiguous() -> None:
    plan = small_plan()
    assert list(plan.levels) == ["hq/0", "hq/1"]
    ground, first = plan.levels.values()
    assert (ground.start, ground.stop, first.start) == (1, 8, 8)
    assert [s.index for s in plan.spaces] == list(range(len(plan.spaces)))
    assert {s.level for s in plan.spaces[ground.start : ground.stop]} == {"hq/0"}


def test_a_desk_is_part_of_the_zone_that_holds_it() -> None:
    plan = small_plan()
    desk = plan.spaces[plan.space_by_id["hq-1-desk-2"]]
    zone = plan.spaces[desk.parent]
    level = plan.spaces[zone.parent]
    building = plan.spaces[level.parent]
    assert [s.kind for s in (desk, zone, level, building)] == [
        Kind.DESK,
        Kind.ZONE,
        Kind.LEVEL,
        Kind.BUILDING,
    ]
    assert building.parent == -1
    assert plan.parent[desk.index] == zone.index


def test_a_desk_without_a_capacity_is_for_one_and_a_level_is_the_sum() -> None:
    plan = small_plan()
    assert plan.capacity[plan.space_by_id["hq-1-desk-1"]] == 1
    assert plan.capacity[plan.space_by_id["hq/1"]] == 8 + 4 + 3
    assert plan.capacity[plan.space_by_id["hq"]] == -1


def test_the_drawing_of_a_level_carries_rows_and_what_is_only_drawn() -> None:
    plan = small_plan()
    drawing = msgspec.json.decode(plan.geojson("hq/1"))
    assert (drawing["level"], drawing["plan"]) == ("hq/1", plan.version)
    assert drawing["bbox"] == pytest.approx([0, 0, 1e-4, 5e-5])
    level = plan.levels["hq/1"]
    for drawn in drawing["features"]:
        properties = drawn["properties"]
        if properties["kind"] in ("outline", "stairs"):
            assert "row" not in properties
            continue
        space = plan.spaces[level.start + properties["row"]]
        assert (drawn["id"], properties["id"]) == (properties["row"], space.id)
        assert level.start + properties["parent_row"] == space.parent
