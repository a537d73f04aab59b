from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
import shapely
from shapely.affinity import scale
from shapely.geometry import shape

from engine.files import access_points, geojson, sensors
from engine.model import ReadingKind
from engine.simulate.building import Building
from engine.simulate.places import Use
from engine.space import Kind

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from engine.space import Plan

SIZES = (
    1,
    300,
    pytest.param(2000, marks=pytest.mark.slow),
    pytest.param(100_000, marks=pytest.mark.slow),
)


@pytest.fixture(scope="module")
def building() -> Building:
    return Building(100)


@pytest.fixture(scope="module")
def features(building: Building) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = building.plan()["features"]
    return found


@pytest.fixture(scope="module")
def plan(building: Building) -> Plan:
    plan, _ = geojson.read(building.plan_file(), "hq.geojson")
    return plan


def of_type(features: list[dict[str, Any]], feature_type: str) -> list[dict[str, Any]]:
    return [f for f in features if f["feature_type"] == feature_type]


def in_metres(feature: dict[str, Any]) -> BaseGeometry:
    """Return the polygon with about a metre a unit."""
    return scale(shape(feature["geometry"]), 68_000, 111_200, origin=(4.9, 52.37))


@pytest.mark.parametrize("people", SIZES)
def test_every_size_makes_a_plan_that_the_engine_reads(people: int) -> None:
    building = Building(people)
    plan, remarks = geojson.read(building.plan_file(), "hq.geojson")
    assert remarks == []
    assert 3 <= len(plan.levels) <= 6
    assert "hq/3" in plan.levels
    desks = [s for s in plan.spaces if s.kind is Kind.DESK]
    assert len(desks) == building.desks
    assert building.desks >= min(0.62 * people, 1500)


def test_the_same_number_of_people_gives_the_same_building() -> None:
    assert Building(300).plan_file() == Building(300).plan_file()
    assert Building(300).sensors_csv() == Building(300).sensors_csv()


def test_no_two_rooms_areas_or_stairs_overlap(features: list[dict[str, Any]]) -> None:
    for level in {f["properties"]["level_id"] for f in of_type(features, "unit")}:
        units = [
            in_metres(f)
            for f in of_type(features, "unit")
            if f["properties"]["level_id"] == level
        ]
        together = shapely.union_all(units).area
        assert together == pytest.approx(sum(u.area for u in units), rel=1e-6)


def test_no_two_desks_overlap_and_each_is_in_its_zone(
    features: list[dict[str, Any]],
) -> None:
    zones = {f["id"]: in_metres(f) for f in of_type(features, "section")}
    desks = [
        f for f in of_type(features, "fixture") if f["properties"]["category"] == "desk"
    ]
    by_zone: dict[str, list[BaseGeometry]] = {zone: [] for zone in zones}
    for desk in desks:
        zone = desk["properties"]["section_id"]
        assert zones[zone].contains(in_metres(desk)), desk["id"]
        by_zone[zone].append(in_metres(desk))
    for shapes in by_zone.values():
        together = shapely.union_all(shapes).area
        assert together == pytest.approx(sum(s.area for s in shapes), rel=1e-6)


def test_zones_and_units_share_no_floor(features: list[dict[str, Any]]) -> None:
    for level in {f["properties"]["level_id"] for f in of_type(features, "section")}:
        units, zones = (
            shapely.union_all(
                [
                    in_metres(f)
                    for f in of_type(features, feature_type)
                    if f["properties"]["level_id"] == level
                ]
            )
            for feature_type in ("unit", "section")
        )
        assert units.intersection(zones).area < 0.01


def test_everything_on_a_level_is_inside_its_outline(
    features: list[dict[str, Any]],
) -> None:
    outlines = {f["id"]: in_metres(f).buffer(0.01) for f in of_type(features, "level")}
    for feature in features:
        if level := feature["properties"].get("level_id"):
            assert outlines[level].contains(in_metres(feature)), feature["id"]


def test_desks_have_the_size_of_desks(features: list[dict[str, Any]]) -> None:
    for desk in of_type(features, "fixture"):
        if desk["properties"]["category"] == "desk":
            west, south, east, north = in_metres(desk).bounds
            assert 0.7 < east - west < 0.81
            assert 1.5 < north - south < 1.61


def test_desks_belong_to_zones_and_rooms_to_levels(plan: Plan) -> None:
    for space in plan.spaces:
        if space.kind is Kind.DESK:
            assert plan.spaces[space.parent].kind is Kind.ZONE
        elif space.kind is Kind.ROOM:
            assert plan.spaces[space.parent].kind is Kind.LEVEL


def test_access_points_are_where_the_plan_has_spaces(
    building: Building, plan: Plan
) -> None:
    table = building.access_points_csv().encode()
    placed, _ = access_points.read(table, "access-points.csv", plan)
    assert len(placed) == len(building.access_points)
    kinds = {plan.spaces[ap.space].kind for ap in placed.values()}
    assert kinds >= {Kind.ZONE, Kind.ROOM, Kind.AREA, Kind.LEVEL}


def test_every_desk_room_and_area_has_one_sensor(
    building: Building, plan: Plan
) -> None:
    bindings, _ = sensors.read(building.sensors_csv().encode(), "sensors.csv", plan)
    watched = [plan.spaces[b.space].id for b in bindings]
    wanted = {Kind.DESK, Kind.ROOM, Kind.AREA}
    assert sorted(watched) == sorted(s.id for s in plan.spaces if s.kind in wanted)
    assert {b.kind for b in bindings} == {
        ReadingKind.PRESENCE,
        ReadingKind.MOTION,
        ReadingKind.COUNT,
    }
    assert {b.source for b in bindings} == {"chirpstack", "sensors", "zigbee2mqtt"}


def test_holds_and_intervals_shrink_with_the_speed(building: Building) -> None:
    slow, fast = (
        list(csv.DictReader(io.StringIO(building.sensors_csv(speed))))
        for speed in (1.0, 60.0)
    )
    assert any(row["hold_s"] for row in slow)
    for before, after in zip(slow, fast, strict=True):
        assert float(after["interval_s"]) == float(before["interval_s"]) / 60
        if before["hold_s"]:
            assert float(after["hold_s"]) == pytest.approx(float(before["hold_s"]) / 60)


def test_every_level_has_a_kitchen_a_lounge_and_restrooms(building: Building) -> None:
    for level in building.levels:
        uses = {p.use for p in building.places if p.level == level.number}
        assert uses >= {Use.KITCHEN, Use.LOUNGE, Use.RESTROOM, Use.MEETING, Use.DESK}
