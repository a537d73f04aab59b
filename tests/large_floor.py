"""A building large enough to be located in: two levels of 111 m by 55 m.

Boxes are in millionths of a degree, at the equator 0.11 m each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.files import geojson
from tests.building import feature, plan_file

if TYPE_CHECKING:
    from engine.space import Plan

UNIT = 1e-6
SIZE = (1000, 500)
EAST_M, NORTH_M = 0.11131949, 0.11057427
"""Metres of a millionth of a degree, by the equator and by the meridian there."""

Box = tuple[float, float, float, float]
"""West, south, width, height."""

BOXES: dict[str, tuple[str, str, Box]] = {
    "lovelace": ("unit", "conferenceroom", (0, 0, 200, 200)),
    "hopper": ("unit", "meetingroom", (200, 0, 200, 200)),
    "lounge": ("unit", "lounge", (400, 0, 400, 240)),
    "booth": ("unit", "phoneroom", (410, 10, 30, 30)),
    "stairs": ("unit", "stairs", (900, 0, 100, 100)),
    "north": ("section", "neighborhood", (0, 250, 1000, 250)),
    "north-east": ("section", "neighborhood", (700, 250, 300, 250)),
    "desk": ("fixture", "desk", (20, 300, 15, 8)),
}


def large_features(ordinal: int, *, outline: bool = True) -> list[dict[str, Any]]:
    level = f"level-{ordinal}"
    return [
        feature(
            level,
            "level",
            (0, 0, *SIZE) if outline else None,
            name=f"Level {ordinal}",
            short_name=str(ordinal),
            ordinal=ordinal,
            building_ids=["hq"],
        ),
        *(
            feature(f"{ordinal}-{name}", kind, box, category=category, level_id=level)
            for name, (kind, category, box) in BOXES.items()
        ),
    ]


def large_plan(*, outline: bool = True) -> Plan:
    """Return the plan: `hq/0` with `0-lovelace` …, `hq/1` with `1-lovelace` …."""
    building = feature("hq", "building", None, name="Headquarters")
    features = [
        building,
        *large_features(0, outline=outline),
        *large_features(1, outline=outline),
    ]
    plan, _ = geojson.read(plan_file(features), "large.geojson")
    return plan
