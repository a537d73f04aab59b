from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ConfigError
from engine.files import geojson
from engine.files.draft import MOST_AROUND
from engine.tenant import Tenant
from tests.building import feature, plan_features, plan_file, small_plan


def test_the_plan_names_the_parent_where_it_says_so() -> None:
    features = plan_features()
    desk = next(f for f in features if f["id"] == "hq-1-desk-1")
    desk["properties"]["unit_id"] = "hq-1-hopper"
    plan, _ = geojson.read(plan_file(features), "plan")
    parent = int(plan.parent[plan.space_by_id["hq-1-desk-1"]])
    assert plan.spaces[parent].id == "hq-1-hopper"


def test_the_version_follows_the_content() -> None:
    features = plan_features()
    features[0]["properties"]["name"] = "Other"
    other, _ = geojson.read(plan_file(features), "plan")
    assert other.version != small_plan().version


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("hq-1-hopper", "id", "no good"), "may only use"),
        (("hq-1-hopper", "id", "hq-1-lovelace"), "used twice"),
        (("hq-1-hopper", "level_id", "attic"), "of this file; it has level-"),
        (("level-1", "id", "level-0"), "used twice"),
        (("hq-1-hopper", "capacity", "many"), "whole number"),
        (("hq-1-hopper", "unit_id", "garden"), "is inside 'garden'"),
        (("hq-1-hopper", "geometry", None), "has no geometry"),
        (("hq-1-hopper", "unit_id", 7), "must be the id"),
        (("hq-1-hopper", "unit_id", "hq-1-stairs"), "no counted space of its level"),
        (("hq-1-hopper", "unit_id", "hq-1-hopper"), "is inside itself"),
        (("hq-1-hopper", "category", ["desk"]), "must be a text"),
        (
            ("hq-1-hopper", "geometry", {"type": "Point", "coordinates": [0, 0]}),
            "has no polygon",
        ),
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
        geojson.read(plan_file(features), "plan.geojson")
    assert "plan.geojson: feature" in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"features":[{}]}', b"[" * 5000])
def test_what_is_not_a_plan_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"plan\.geojson"):
        geojson.read(data, "plan.geojson")


def test_a_level_may_be_empty() -> None:
    features = [f for f in plan_features() if "level_id" not in f["properties"]]
    plan, _ = geojson.read(plan_file(features), "plan.geojson")
    assert [level.stop - level.start for level in plan.levels.values()] == [1, 1]


def test_a_plan_without_a_level_is_refused() -> None:
    only = [feature("hq", "building", None)]
    with pytest.raises(ConfigError, match="no level belongs"):
        geojson.read(plan_file(only), "plan.geojson")


def test_spaces_that_are_in_each_other_are_refused() -> None:
    features = plan_features()
    by_id = {f["id"]: f for f in features}
    by_id["hq-1-hopper"]["properties"]["unit_id"] = "hq-1-lovelace"
    by_id["hq-1-lovelace"]["properties"]["unit_id"] = "hq-1-hopper"
    with pytest.raises(ConfigError, match="is inside itself"):
        geojson.read(plan_file(features), "plan.geojson")


@pytest.mark.parametrize("depth", [MOST_AROUND, MOST_AROUND + 1])
def test_no_space_has_more_around_it_than_the_engine_counts_through(depth: int) -> None:
    around = [
        feature(f"zone-{size}", "section", (0, 0, size, size), level_id="level-1")
        for size in range(1, depth + 1)
    ]
    desk = feature(
        "desk", "fixture", (0, 0, 0.5, 0.5), level_id="level-1", category="desk"
    )
    places = [f for f in plan_features() if "level_id" not in f["properties"]]
    data = plan_file([*places, *around, desk])
    if depth > MOST_AROUND:
        with pytest.raises(ConfigError, match=f"more than {MOST_AROUND} others"):
            geojson.read(data, "plan.geojson")
    else:
        plan, _ = geojson.read(data, "plan.geojson")
        Tenant("acme", plan)


def told(*changes: dict[str, Any]) -> list[str]:
    """Return what is remarked of the building with other features beside it."""
    _, remarks = geojson.read(plan_file([*plan_features(), *changes]), "plan.geojson")
    return [str(remark) for remark in remarks]


def unit(feature_id: str, category: str | None) -> dict[str, Any]:
    own = {} if category is None else {"category": category}
    return feature(feature_id, "unit", (60, 0, 5, 5), level_id="level-1", **own)


def test_a_plan_that_is_understood_leaves_no_remark() -> None:
    assert told() == []


def test_a_category_that_is_not_known_is_remarked_once_with_what_to_write() -> None:
    (remark,) = told(unit("a", "auditorium"), unit("b", "auditorium"))
    assert remark == (
        "plan.geojson: unit category 'auditorium' is drawn and not counted (2 times, "
        "first feature 'a'); to count it, write a room (conferenceroom, huddleroom, "
        "meetingroom, office, phoneroom) or an area (kitchen, lobby, lounge, "
        "openworkspace)"
    )


@pytest.mark.parametrize("category", ["stairs", "restroom.unisex", "walkway.island"])
def test_what_is_meant_to_be_drawn_only_is_not_remarked(category: str) -> None:
    assert told(unit("a", category)) == []


def test_a_category_is_remarked_where_it_does_not_belong() -> None:
    (remark,) = told(unit("a", "desk"))
    assert "unit category 'desk' is drawn and not counted (feature 'a')" in remark


def test_a_unit_or_fixture_without_a_category_is_remarked() -> None:
    (remark,) = told(unit("a", None))
    assert "unit without a category" in remark


def test_furniture_is_not_remarked_and_what_may_be_a_desk_is() -> None:
    def piece(name: str, category: str) -> dict[str, Any]:
        box = (60, 0, 5, 5)
        return feature(name, "fixture", box, level_id="level-1", category=category)

    (remark,) = told(piece("a", "table"), piece("b", "hotdesk"))
    assert "fixture category 'hotdesk'" in remark
    assert remark.endswith("write desk or workspace")


def test_a_type_that_is_not_known_is_remarked_and_the_rest_of_imdf_is_not() -> None:
    (remark,) = told(feature("a", "room", None), feature("b", "opening", None))
    assert "feature_type 'room' is left out (feature 'a')" in remark
    assert remark.endswith("building, level, section, unit, fixture, detail")


def test_a_building_without_a_level_is_remarked() -> None:
    (remark,) = told(feature("annex", "building", None))
    assert "building without a level (feature 'annex')" in remark
