"""Draws a building as a plan file: GeoJSON shaped like IMDF."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.simulate.layout import LevelPlan

_ORIGIN: Final = (4.9, 52.37)
"""Longitude and latitude of the south-west corner; nothing like it is there."""
_M_PER_DEGREE: Final = (111_320 * math.cos(math.radians(_ORIGIN[1])), 111_200.0)


def drawn_plan(building: str, name: str, levels: Sequence[LevelPlan]) -> dict[str, Any]:
    """Return the FeatureCollection of a building."""
    outline = _polygon(levels[0].outline)
    features = [_feature(building, "building", outline, name={"en": name})]
    for level in levels:
        features += _level_features(building, level)
    return {"type": "FeatureCollection", "features": features}


def _level_features(building: str, level: LevelPlan) -> Iterator[dict[str, Any]]:
    """Yield a level and all that is on it, the large before the small."""
    level_id = f"{building}-{level.number}"
    yield _feature(
        level_id,
        "level",
        _polygon(level.outline),
        name={"en": level.name},
        short_name={"en": str(level.number)},
        ordinal=level.number - 1,
        building_ids=[building],
    )
    for zone in level.zones:
        yield _feature(
            zone.id,
            "section",
            _polygon(zone.box.corners),
            name={"en": zone.name},
            category="neighborhood",
            level_id=level_id,
        )
    for unit in level.units:
        capacity = {} if unit.capacity is None else {"capacity": unit.capacity}
        yield _feature(
            unit.id,
            "unit",
            _polygon(unit.box.corners),
            name={"en": unit.name},
            category=unit.category,
            level_id=level_id,
            **capacity,
        )
    for number, (category, box) in enumerate(level.furniture, 1):
        shape = _polygon(box.corners)
        name = f"{level_id}-{category}-{number}"
        yield _feature(name, "fixture", shape, category=category, level_id=level_id)
    for desk in level.desks:
        yield _feature(
            desk.id,
            "fixture",
            _polygon(desk.box.corners),
            name={"en": desk.name},
            category="desk",
            level_id=level_id,
            section_id=desk.zone,
        )


def _feature(
    feature_id: str,
    feature_type: str,
    geometry: dict[str, Any],
    **properties: object,
) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": feature_id,
        "feature_type": feature_type,
        "geometry": geometry,
        "properties": properties,
    }


def _polygon(corners: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return a GeoJSON polygon; eight decimals of a degree are a millimetre."""
    ring = [
        [
            round(_ORIGIN[0] + x / _M_PER_DEGREE[0], 8),
            round(_ORIGIN[1] + y / _M_PER_DEGREE[1], 8),
        ]
        for x, y in corners
    ]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
