"""One small building for the tests: two levels, rooms, a zone with desks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine.files import geojson

if TYPE_CHECKING:
    from engine.space import Plan


def _square(x: float, y: float, width: float, height: float) -> dict[str, Any]:
    """Return a rectangle in degrees; one unit is a millionth of a degree."""
    corners = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
    ring = [[1e-6 * (x + dx * width), 1e-6 * (y + dy * height)] for dx, dy in corners]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(
    feature_id: str,
    feature_type: str,
    box: tuple[float, float, float, float] | None,
    **properties: object,
) -> dict[str, Any]:
    """Return one feature of a plan file."""
    return {
        "type": "Feature",
        "id": feature_id,
        "feature_type": feature_type,
        "geometry": None if box is None else _square(*box),
        "properties": properties,
    }


def level_features(ordinal: int) -> list[dict[str, Any]]:
    """Return a level with two rooms and a zone of three desks."""
    level = f"level-{ordinal}"
    own = f"hq-{ordinal}"
    return [
        feature(
            level,
            "level",
            (0, 0, 100, 50),
            name={"en": f"Level {ordinal}"},
            short_name={"en": str(ordinal)},
            ordinal=ordinal,
            building_ids=["hq"],
        ),
        feature(
            f"{own}-lovelace",
            "unit",
            (0, 0, 20, 20),
            name={"en": "Lovelace"},
            category="conferenceroom",
            level_id=level,
            capacity=8,
        ),
        feature(
            f"{own}-hopper",
            "unit",
            (20, 0, 20, 20),
            name="Hopper",
            category="meetingroom",
            level_id=level,
            capacity=4,
        ),
        feature(
            f"{own}-stairs", "unit", (40, 0, 5, 5), category="stairs", level_id=level
        ),
        feature(
            f"{own}-north",
            "section",
            (0, 25, 100, 25),
            name={"en": "North"},
            level_id=level,
        ),
        *(
            feature(
                f"{own}-desk-{number}",
                "fixture",
                (10 * number, 30, 4, 2),
                category="desk",
                level_id=level,
            )
            for number in (1, 2, 3)
        ),
    ]


def plan_features() -> list[dict[str, Any]]:
    """Return every feature of the building."""
    building = feature("hq", "building", None, name={"en": "Headquarters"})
    return [building, *level_features(1), *level_features(0)]


def plan_file(features: list[dict[str, Any]] | None = None) -> bytes:
    """Return the bytes of a plan file."""
    return msgspec.json.encode(
        {
            "type": "FeatureCollection",
            "features": plan_features() if features is None else features,
        }
    )


def small_plan() -> Plan:
    """Return the plan of the building."""
    plan, _ = geojson.read(plan_file(), "small.geojson")
    return plan
