"""A plan as GeoJSON shaped like IMDF (OGC 20-094): one FeatureCollection.

It is read for features of type building, level, section (our zone), unit (room or area)
and fixture (desk). Units and fixtures of other categories, and details, are drawn and
not counted; IMDF's other types are passed over.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from shapely.errors import ShapelyError
from shapely.geometry import shape

from engine.errors import ConfigError
from engine.files.draft import LevelDraft, SpaceDraft, assemble, misfit
from engine.files.remark import Remark, Remarks
from engine.space import Kind
from engine.spelling import ID

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from shapely.geometry.base import BaseGeometry

    from engine.space import Plan

ROOM_CATEGORIES = frozenset(
    {"conferenceroom", "huddleroom", "meetingroom", "office", "phoneroom"}
)
AREA_CATEGORIES = frozenset({"kitchen", "lobby", "lounge", "openworkspace"})
DESK_CATEGORIES = frozenset({"desk", "workspace"})

DRAWN_CATEGORIES = {
    "unit": frozenset(
        {
            *("brick", "column", "concrete", "drywall", "glass", "structure", "wood"),
            *("elevator", "escalator", "movingwalkway", "ramp", "stairs", "steps"),
            *("footbridge", "platform", "road", "vestibule", "walkway"),
            *("opentobelow", "parking", "terrace", "unenclosedarea", "vegetation"),
            *("foodservice", "mailroom", "nonpublic", "serverroom", "storage"),
            *("firstaid", "mothersroom", "restroom", "shower", "smokingarea"),
        }
    ),
    "fixture": frozenset(
        {
            *("cabinet", "chair", "counter", "furniture", "seating", "shelf"),
            *("sofa", "table", "equipment", "kiosk", "screen", "stage"),
            *("obstruction", "plant", "planter", "vegetation", "wall", "water"),
        }
    ),
}
"""What is drawn and not counted, as is meant: a part of the building, furniture, or a
place where nobody wants to be counted. What follows a dot (`restroom.unisex`) is
detail."""

_PLACES = ("building", "level")
_ON_A_LEVEL = ("section", "unit", "fixture", "detail")
_PASSED_OVER = frozenset(
    {
        *("address", "amenity", "anchor", "footprint", "geofence"),
        *("kiosk", "occupant", "opening", "relationship", "venue"),
    }
)
"""IMDF's types that say nothing of occupancy."""

_INSTEAD = {
    "unit": f"to count it, write a room ({', '.join(sorted(ROOM_CATEGORIES))}) or "
    f"an area ({', '.join(sorted(AREA_CATEGORIES))})",
    "fixture": f"to count it, write {' or '.join(sorted(DESK_CATEGORIES))}",
}


def read(data: bytes, name: str) -> tuple[Plan, list[Remark]]:
    """Return the plan, and what was passed by; `name` is for errors.

    Raises:
        ConfigError: A feature does not fit; the message says which and why.
    """
    reader = _Reader(data, name)
    return reader.plan(), reader.remarks.all()


class _Feature(msgspec.Struct):
    """A feature as it is on disk."""

    id: str
    feature_type: str
    properties: dict[str, Any]
    geometry: dict[str, Any] | None = None


class _Collection(msgspec.Struct):
    """The file."""

    features: list[_Feature]


class _Reader:
    """Turns the features of one file into drafts, or says what is wrong."""

    def __init__(self, data: bytes, name: str) -> None:
        self.remarks = Remarks(name)
        self._name = name
        self._version = hashlib.sha256(data).hexdigest()[:12]
        try:
            self._features = msgspec.json.decode(data, type=_Collection).features
        except (msgspec.DecodeError, RecursionError) as error:
            raise ConfigError(
                f"{name}: not a GeoJSON FeatureCollection of IMDF features: {error}"
            ) from None
        self._seen: set[str] = set()

    def plan(self) -> Plan:
        """Read buildings, levels and spaces, in this order."""
        buildings: dict[str, str] = {}
        for feature in self._of("building"):
            self._claim(feature.id)
            buildings[feature.id] = self._text(feature, "name", feature.id)
        level_by_feature = self._levels()
        self._match(buildings, level_by_feature)
        for feature in self._features:
            if feature.feature_type in _ON_A_LEVEL:
                self._put(feature, level_by_feature)
            elif feature.feature_type not in {*_PLACES, *_PASSED_OVER}:
                self.remarks.add(
                    f"feature_type {feature.feature_type!r} is left out",
                    f"feature {feature.id!r}",
                    instead=f"write one of {', '.join((*_PLACES, *_ON_A_LEVEL))}",
                )
        return assemble(
            self._name, self._version, buildings, list(level_by_feature.values())
        )

    def _levels(self) -> dict[str, LevelDraft]:
        """Return the levels in order, by id of their feature."""
        found: dict[str, LevelDraft] = {}
        taken: set[str] = set()
        for feature in sorted(self._of("level"), key=self._ordinal):
            if feature.id in found:
                raise self._misfit(feature.id, "has an id that is used twice")
            level_id = self._level_id(feature)
            if level_id in taken:
                raise self._misfit(
                    feature.id, f"is one of two levels called {level_id!r}"
                )
            taken.add(level_id)
            level = LevelDraft(
                level_id,
                self._building_of(feature),
                self._text(feature, "name", level_id),
                self._ordinal(feature),
            )
            if feature.geometry is not None:
                self._geometry(feature.id, feature.geometry)
                outline = {"kind": "outline", "name": level.name}
                level.drawings.append(_drawn(feature.geometry, outline))
            found[feature.id] = level
        return found

    def _match(
        self, buildings: Collection[str], level_by_feature: Mapping[str, LevelDraft]
    ) -> None:
        """Refuse a level without a building; remark a building without a level."""
        for feature_id, level in level_by_feature.items():
            if level.building not in buildings:
                raise self._misfit(feature_id, '"building_ids" names no building')
        if not level_by_feature:
            raise ConfigError(
                f"{self._name}: no level belongs to a building; write at least one "
                'feature_type "building" and one "level" with its "building_ids"'
            )
        used = {level.building for level in level_by_feature.values()}
        for building in buildings:
            if building not in used:
                self.remarks.add(
                    "building without a level",
                    f"feature {building!r}",
                    instead='write a "level" with its "building_ids"',
                )

    def _put(
        self, feature: _Feature, level_by_feature: Mapping[str, LevelDraft]
    ) -> None:
        """Add what lies on a level to it, as a space or as a mere drawing."""
        level = level_by_feature.get(str(feature.properties.get("level_id", "")))
        if level is None:
            known = ", ".join(level_by_feature) or "none"
            raise self._misfit(
                feature.id, f'"level_id" names no level of this file; it has {known}'
            )
        if feature.geometry is None:
            raise self._misfit(feature.id, "has no geometry; draw a polygon")
        geometry = self._geometry(feature.id, feature.geometry)
        category = self._category(feature)
        kind = _kind_of(feature.feature_type, category)
        if kind is None:
            self._remark_drawn(feature, category)
            drawn = {"kind": category or feature.feature_type}
            level.drawings.append(_drawn(feature.geometry, drawn))
        else:
            level.spaces.append(self._space(feature, kind, geometry))

    def _space(
        self, feature: _Feature, kind: Kind, geometry: BaseGeometry
    ) -> SpaceDraft:
        """Check one space and prepare its drawing."""
        assert feature.geometry is not None  # noqa: S101 - the caller has checked
        self._claim(feature.id)
        properties = feature.properties
        capacity = properties.get("capacity", 1 if kind is Kind.DESK else None)
        if capacity is not None and (not isinstance(capacity, int) or capacity < 0):
            raise self._misfit(
                feature.id, '"capacity" must be a whole number of people'
            )
        if not geometry.is_valid or not geometry.area:
            raise self._misfit(
                feature.id, "has no polygon, or one that crosses itself or is empty"
            )
        name = self._text(feature, "name", feature.id)
        drawn = {"id": feature.id, "name": name, "kind": kind, "capacity": capacity}
        for key in ("display_point", "category"):
            if key in properties:
                drawn[key] = properties[key]
        return SpaceDraft(
            feature.id,
            name,
            kind,
            capacity,
            geometry,
            _drawn(feature.geometry, drawn),
            self._inside(feature),
        )

    def _geometry(self, feature: str, geometry: dict[str, Any]) -> BaseGeometry:
        try:
            return shape(geometry)
        except (AttributeError, ShapelyError, KeyError, TypeError, ValueError):
            raise self._misfit(feature, "has a geometry that is not GeoJSON") from None

    def _of(self, feature_type: str) -> list[_Feature]:
        return [f for f in self._features if f.feature_type == feature_type]

    def _claim(self, feature: str) -> None:
        if not ID.fullmatch(feature):
            raise self._misfit(
                feature, "has an id that may only use A-Z a-z 0-9 _ - (1 to 64)"
            )
        if feature in self._seen:
            raise self._misfit(feature, "has an id that is used twice")
        self._seen.add(feature)

    def _inside(self, feature: _Feature) -> str | None:
        properties = feature.properties
        inside = properties.get("unit_id") or properties.get("section_id")
        if inside is not None and not isinstance(inside, str):
            raise self._misfit(feature.id, '"unit_id" must be the id of a feature')
        return inside

    def _building_of(self, level: _Feature) -> str:
        ids = level.properties.get("building_ids")
        if not isinstance(ids, list) or len(ids) != 1:
            raise self._misfit(level.id, '"building_ids" must name one building')
        return str(ids[0])

    def _level_id(self, level: _Feature) -> str:
        short = self._text(level, "short_name", str(self._ordinal(level)))
        if not ID.fullmatch(short):
            raise self._misfit(
                level.id, '"short_name" may only use A-Z a-z 0-9 _ - (1 to 64)'
            )
        return f"{self._building_of(level)}/{short}"

    def _ordinal(self, level: _Feature) -> int:
        ordinal = level.properties.get("ordinal")
        if not isinstance(ordinal, int):
            raise self._misfit(level.id, '"ordinal" must be a whole number (0: ground)')
        return ordinal

    def _category(self, feature: _Feature) -> str | None:
        category = feature.properties.get("category")
        if category is not None and not isinstance(category, str):
            raise self._misfit(feature.id, '"category" must be a text')
        return category

    def _text(self, feature: _Feature, key: str, default: str) -> str:
        """Return a name: IMDF's `{"en": "…"}` (its first language) or a plain text."""
        value = feature.properties.get(key)
        if isinstance(value, dict):
            value = next(iter(value.values()), None)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._misfit(feature.id, f'"{key}" must be a text or {{"en": "…"}}')
        return value

    def _remark_drawn(self, feature: _Feature, category: str | None) -> None:
        """Remark a category that is not counted, unless it is known not to be."""
        known = DRAWN_CATEGORIES.get(feature.feature_type)
        if known is None or (category or "").partition(".")[0] in known:
            return
        named = "without a category" if category is None else f"category {category!r}"
        self.remarks.add(
            f"{feature.feature_type} {named} is drawn and not counted",
            f"feature {feature.id!r}",
            instead=_INSTEAD[feature.feature_type],
        )

    def _misfit(self, feature: str, problem: str) -> ConfigError:
        return misfit(self._name, feature, problem)


def _kind_of(feature_type: str, category: str | None) -> Kind | None:
    """Return what a feature is to us; None for what is only drawn."""
    match feature_type:
        case "section":
            return Kind.ZONE
        case "unit" if category in ROOM_CATEGORIES:
            return Kind.ROOM
        case "unit" if category in AREA_CATEGORIES:
            return Kind.AREA
        case "fixture" if category in DESK_CATEGORIES:
            return Kind.DESK
        case _:
            return None


def _drawn(geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}
