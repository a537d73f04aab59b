from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.errors import ConfigError
from engine.model import ReadingKind
from engine.space import (
    AccessPoint,
    Kind,
    Plan,
    load_access_points,
    load_bindings,
)
from tests.building import feature, plan_features, plan_file, small_plan

if TYPE_CHECKING:
    from pathlib import Path


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


def test_the_plan_names_the_parent_where_it_says_so() -> None:
    features = plan_features()
    desk = next(f for f in features if f["id"] == "hq-1-desk-1")
    desk["properties"]["unit_id"] = "hq-1-hopper"
    plan = Plan.from_geojson(plan_file(features), "plan")
    parent = int(plan.parent[plan.space_by_id["hq-1-desk-1"]])
    assert plan.spaces[parent].id == "hq-1-hopper"


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


def test_the_version_follows_the_content() -> None:
    features = plan_features()
    features[0]["properties"]["name"] = "Other"
    other = Plan.from_geojson(plan_file(features), "plan")
    assert other.version != small_plan().version


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("hq-1-hopper", "id", "no good"), "may only use"),
        (("hq-1-hopper", "id", "hq-1-lovelace"), "used twice"),
        (("hq-1-hopper", "level_id", "attic"), "names no level"),
        (("hq-1-hopper", "capacity", "many"), "whole number"),
        (("hq-1-hopper", "unit_id", "garden"), "is inside 'garden'"),
        (("hq-1-hopper", "geometry", None), "has no geometry"),
        (("hq-1-hopper", "unit_id", 7), "must be the id"),
        (("hq-1-hopper", "level_id", ["level-1"]), "names no level"),
        (("hq-1-stairs", "geometry", {"type": "Polygon"}), "not GeoJSON"),
        (("level-1", "building_ids", ["annex"]), "names no building"),
        (("level-1", "short_name", "0"), "two levels called 'hq/0'"),
        (("hq-1-hopper", "geometry", {"type": "Blob"}), "not GeoJSON"),
        (("hq-1-hopper", "name", 7), "must be a text"),
        (("level-1", "ordinal", "one"), "whole number"),
        (("level-1", "building_ids", []), "must name one building"),
        (("level-1", "short_name", {"en": "a/b"}), "short_name"),
    ],
)
def test_a_feature_that_does_not_fit_is_named(
    change: tuple[str, str, Any], problem: str
) -> None:
    name, key, value = change
    features = plan_features()
    target = next(f for f in features if f["id"] == name)
    (target if key in target else target["properties"])[key] = value
    with pytest.raises(ConfigError, match=problem) as refused:
        Plan.from_geojson(plan_file(features), "plan.geojson")
    assert "plan.geojson: feature" in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"features":[{}]}', b"[" * 5000])
def test_what_is_not_a_plan_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"plan\.geojson"):
        Plan.from_geojson(data, "plan.geojson")


def test_a_level_may_be_empty() -> None:
    features = [f for f in plan_features() if "level_id" not in f["properties"]]
    plan = Plan.from_geojson(plan_file(features), "plan.geojson")
    assert [level.stop - level.start for level in plan.levels.values()] == [1, 1]


def test_a_plan_without_a_level_is_refused() -> None:
    only = [feature("hq", "building", None)]
    with pytest.raises(ConfigError, match="no level belongs"):
        Plan.from_geojson(plan_file(only), "plan.geojson")


def test_access_points_point_at_spaces(tmp_path: Path) -> None:
    table = tmp_path / "aps.csv"
    table.write_text("ap,space,confidence\nAP-1,hq-1-north,\n0-1-2-3-4-5,hq/1,40\n")
    plan = small_plan()
    assert load_access_points(table, plan) == {
        "ap-1": AccessPoint(plan.space_by_id["hq-1-north"], 70),
        "000102030405": AccessPoint(plan.space_by_id["hq/1"], 40),
    }


def test_bindings_get_the_usual_hold_of_their_space(tmp_path: Path) -> None:
    table = tmp_path / "sensors.csv"
    table.write_text(
        "source,device,channel,space,kind,hold_s,interval_s\n"
        "z,PIR-1,,hq-1-hopper,motion,,\n"
        "z,pir-2,,hq-1-desk-1,motion,,600\n"
        "z,pir-3,a,hq-1-desk-1,presence,0.5,\n"
    )
    room, desk, own = load_bindings(table, small_plan())
    assert (room.device, room.kind, room.hold_ms) == (
        "pir-1",
        ReadingKind.MOTION,
        300_000,
    )
    assert (desk.hold_ms, desk.interval_ms) == (720_000, 600_000)
    assert (own.channel, own.kind, own.hold_ms) == ("a", ReadingKind.PRESENCE, 500)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("z,d,,nowhere,motion,,", "no space 'nowhere'"),
        ("z,d,,hq-1-hopper,smell,,", "presence, motion or count"),
        ("z,d,,hq-1-hopper,motion,-1,", "hold_s must be seconds"),
        ("z,d,,hq-1-hopper,motion,nan,", "hold_s must be seconds"),
        ("z,,,hq-1-hopper,motion,,", "device is empty"),
        ("z,D,,hq-1-hopper,count,,\nz,d,,hq-1-hopper,count,,", "bound before"),
    ],
)
def test_a_row_that_does_not_fit_is_named(
    tmp_path: Path, row: str, problem: str
) -> None:
    table = tmp_path / "sensors.csv"
    table.write_text(f"source,device,channel,space,kind,hold_s,interval_s\n{row}\n")
    with pytest.raises(ConfigError, match=problem) as refused:
        load_bindings(table, small_plan())
    assert f"sensors.csv, line {2 + row.count(chr(10))}" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,space\n", "no column 'ap'"),
        ("ap,space\na,hq\na,hq\n", "listed before"),
        ("ap,space,confidence\na,hq,101\n", "percentage"),
        ("ap,space,confidence\na,hq,most\n", "whole number"),
    ],
)
def test_an_access_point_table_that_does_not_fit_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    table = tmp_path / "aps.csv"
    table.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load_access_points(table, small_plan())


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Plan.load(tmp_path / "none.geojson")
    table = tmp_path / "aps.csv"
    table.write_bytes(b"ap,space\n\xff,x\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_access_points(table, small_plan())
