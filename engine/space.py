"""The building: tenant → building → level → zone → space, and what is bound where.

Three files describe a site, each read and checked once, at start:

- the *plan*: one GeoJSON FeatureCollection shaped like IMDF (OGC 20-094): features of
  type building, level, section (our zone), unit (room or area) and fixture (desk);
- the *access points*: CSV `ap,space[,confidence]`;
- the *sensors*: CSV `source,device,channel,space,kind,hold_s,interval_s`.

Whatever does not fit is a `ConfigError` that names the file, the feature or line, and
what to write instead.

Every space has an index. The spaces of a level are contiguous, the level's own first,
so that a level is a slice of every array of the engine.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from engine.errors import ConfigError
from engine.model import ReadingKind
from engine.spelling import ID, canonical_ap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from shapely.geometry.base import BaseGeometry

ROOM_CATEGORIES = frozenset(
    {"conferenceroom", "huddleroom", "meetingroom", "office", "phoneroom"}
)
AREA_CATEGORIES = frozenset({"kitchen", "lobby", "lounge", "openworkspace"})
DESK_CATEGORIES = frozenset({"desk", "workspace"})

DEFAULT_CONFIDENCE = 70
"""Percent for a fix by access point alone: its cell is seldom just one zone."""


class Kind(StrEnum):
    """What a space is."""

    BUILDING = "building"
    LEVEL = "level"
    ZONE = "zone"
    ROOM = "room"
    AREA = "area"
    DESK = "desk"


@dataclass(frozen=True, slots=True)
class Space:
    """A place the engine counts in.

    Attributes:
        index: Its row in every array by space.
        id: Unique within the tenant; matches `ID`, except a level's, `building/name`.
        name: What people call it.
        kind: What it is.
        level: Id of its level; None for a building.
        parent: Index of the space that it is part of; -1 for a building.
        capacity: People it is meant for, or None where the plan does not say.
    """

    index: int
    id: str
    name: str
    kind: Kind
    level: str | None
    parent: int
    capacity: int | None


class Level(NamedTuple):
    """A storey: the spaces `start` to `stop` (exclusive), the level itself first."""

    id: str
    building: str
    name: str
    ordinal: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Building:
    """A building and the index of its own space."""

    id: str
    name: str
    index: int


class AccessPoint(NamedTuple):
    """Where an access point says that a device is, and how likely that is (percent)."""

    space: int
    confidence: int


class Binding(NamedTuple):
    """A sensor channel and the space that it watches.

    Attributes:
        source: The configured source that reports it.
        device: The sensor, as the source names it (lower case).
        channel: Line, region or zone inside the device; "" is the whole device.
        space: Index of the space.
        kind: What it measures.
        hold_ms: How long a motion pulse keeps the space occupied.
        interval_ms: The report interval it promises; 0 where none is declared.
    """

    source: str
    device: str
    channel: str
    space: int
    kind: ReadingKind
    hold_ms: int
    interval_ms: int


class Plan:
    """The spaces of a tenant, in index order, with their geometry.

    Attributes:
        version: Names the content of the plan file: 12 hexadecimal digits.
        spaces: Every space; `spaces[i].index == i`.
        levels: By id, in building and ordinal order.
        buildings: By id.
        space_by_id: Index by space id.
        parent: int32[n], index of the parent or -1.
        capacity: int32[n], people or -1.
    """

    def __init__(
        self,
        version: str,
        spaces: Sequence[Space],
        levels: Mapping[str, Level],
        buildings: Mapping[str, Building],
        drawings: Mapping[str, list[dict[str, Any]]],
    ) -> None:
        self.version = version
        self.spaces = tuple(spaces)
        self.levels = levels
        self.buildings = buildings
        self.space_by_id = {space.id: space.index for space in spaces}
        self.parent: npt.NDArray[np.int32] = np.array(
            [space.parent for space in spaces], np.int32
        )
        self.capacity: npt.NDArray[np.int32] = np.array(
            [-1 if s.capacity is None else s.capacity for s in spaces], np.int32
        )
        self._drawings = drawings

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read a plan file.

        Raises:
            ConfigError: It cannot be read, or a feature does not fit.
        """
        return cls.from_geojson(_read(path), path.name)

    @classmethod
    def from_geojson(cls, data: bytes, name: str) -> Plan:
        """Build the plan from the bytes of a FeatureCollection; `name` is for errors.

        Raises:
            ConfigError: A feature does not fit; the message says which and why.
        """
        return _Reader(data, name).plan()

    def geojson(self, level: str) -> bytes:
        """Return the drawing of a level as GeoJSON (features by row, see README).

        Raises:
            KeyError: No such level.
        """
        features = self._drawings[level]
        bounds = shapely.union_all([shape(f["geometry"]) for f in features]).bounds
        return msgspec.json.encode(
            {
                "type": "FeatureCollection",
                "level": level,
                "plan": self.version,
                "bbox": bounds,
                "features": features,
            }
        )


class _Draft(msgspec.Struct):
    """A space on its way into the plan, before it has an index."""

    id: str
    name: str
    kind: Kind
    level: str
    capacity: int | None
    geometry: BaseGeometry
    drawn: dict[str, Any]
    inside: str | None = None


class _Feature(msgspec.Struct):
    """A GeoJSON feature of a plan file, as it is on disk."""

    id: str
    feature_type: str
    properties: dict[str, Any]
    geometry: dict[str, Any] | None = None


class _Collection(msgspec.Struct):
    """The plan file."""

    features: list[_Feature]


class _Reader:
    """Turns the features of one plan file into a plan, or says what is wrong."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.version = hashlib.sha256(data).hexdigest()[:12]
        try:
            self.features = msgspec.json.decode(data, type=_Collection).features
        except (msgspec.DecodeError, RecursionError) as error:
            raise ConfigError(
                f"{name}: not a GeoJSON FeatureCollection of IMDF features: {error}"
            ) from None
        self.seen: set[str] = set()

    def plan(self) -> Plan:
        """Read buildings, levels and spaces, in this order."""
        buildings = self._of("building")
        levels = sorted(self._of("level"), key=self._ordinal)
        level_ids = [self._level_id(level) for level in levels]
        for level, name in zip(levels, level_ids, strict=True):
            if level_ids.count(name) > 1:
                raise self._error(level.id, f"is one of two levels called {name!r}")
        drafts, drawings = self._drafts(
            {f.id: name for f, name in zip(levels, level_ids, strict=True)}
        )
        spaces: list[Space] = []
        placed_buildings: dict[str, Building] = {}
        placed_levels: dict[str, Level] = {}
        known = {building.id for building in buildings}
        for level in levels:
            if self._building_of(level) not in known:
                raise self._error(level.id, '"building_ids" names no building')
        for building in buildings:
            self._claim(building.id)
            own = len(spaces)
            name = self._text(building, "name", building.id)
            placed_buildings[building.id] = Building(building.id, name, own)
            spaces.append(Space(own, building.id, name, Kind.BUILDING, None, -1, None))
            for level in levels:
                if self._building_of(level) == building.id:
                    placed = self._place(level, own, drafts, drawings, spaces)
                    placed_levels[placed.id] = placed
        if not placed_levels:
            raise ConfigError(
                f"{self.name}: no level belongs to a building; write at least one "
                'feature_type "building" and one "level" with its "building_ids"'
            )
        return Plan(self.version, spaces, placed_levels, placed_buildings, drawings)

    def _place(
        self,
        feature: _Feature,
        building: int,
        drafts: Mapping[str, list[_Draft]],
        drawings: dict[str, list[dict[str, Any]]],
        spaces: list[Space],
    ) -> Level:
        """Append the spaces of one level, the level first, parents by containment."""
        level_id = self._level_id(feature)
        start = len(spaces)
        own = drafts[level_id]
        parents = _parents(own)
        for draft, inside in zip(own, parents, strict=True):
            if draft.inside is not None and inside is None:
                raise self._error(draft.id, f"is inside {draft.inside!r}, not on it")
        name = self._text(feature, "name", level_id)
        capacity = _total_capacity(own, parents)
        spaces.append(
            Space(start, level_id, name, Kind.LEVEL, level_id, building, capacity)
        )
        for row, (draft, inside) in enumerate(zip(own, parents, strict=True), 1):
            parent = start if inside is None else start + 1 + inside
            parent_row = parent - start
            spaces.append(
                Space(
                    start + row,
                    draft.id,
                    draft.name,
                    draft.kind,
                    level_id,
                    parent,
                    draft.capacity,
                )
            )
            draft.drawn["id"] = row
            draft.drawn["properties"] |= {"row": row, "parent_row": parent_row}
            drawings[level_id].append(draft.drawn)
        if feature.geometry is not None:
            outline = {"kind": "outline", "name": name}
            drawings[level_id].insert(0, _drawn(feature.geometry, outline))
        return Level(
            level_id,
            self._building_of(feature),
            name,
            self._ordinal(feature),
            start,
            len(spaces),
        )

    def _drafts(
        self, level_by_feature: Mapping[str, str]
    ) -> tuple[dict[str, list[_Draft]], dict[str, list[dict[str, Any]]]]:
        """Sort what lies on a level into spaces and mere drawings, by level id."""
        drafts: dict[str, list[_Draft]] = {v: [] for v in level_by_feature.values()}
        drawings: dict[str, list[dict[str, Any]]] = {v: [] for v in drafts}
        for feature in self.features:
            if feature.feature_type not in _ON_A_LEVEL:
                continue
            level = level_by_feature.get(str(feature.properties.get("level_id", "")))
            if level is None:
                raise self._error(feature.id, '"level_id" names no level of this file')
            if feature.geometry is None:
                raise self._error(feature.id, "has no geometry; draw a polygon")
            self._geometry(feature.id, feature.geometry)
            kind = _kind_of(feature)
            if kind is None:
                category = feature.properties.get("category", feature.feature_type)
                drawn = _drawn(feature.geometry, {"kind": category})
                drawings[level].append(drawn)
            else:
                drafts[level].append(self._draft(feature, kind, level))
        order = [Kind.ZONE, Kind.AREA, Kind.ROOM, Kind.DESK]
        for of_level in drafts.values():
            of_level.sort(key=lambda draft: order.index(draft.kind))
        return drafts, drawings

    def _draft(self, feature: _Feature, kind: Kind, level: str) -> _Draft:
        """Check one space and prepare its drawing."""
        assert feature.geometry is not None  # noqa: S101 - the caller has checked
        self._claim(feature.id)
        capacity = feature.properties.get("capacity", 1 if kind is Kind.DESK else None)
        if capacity is not None and (not isinstance(capacity, int) or capacity < 0):
            raise self._error(feature.id, '"capacity" must be a whole number of people')
        name = self._text(feature, "name", feature.id)
        properties = feature.properties
        geometry = self._geometry(feature.id, feature.geometry)
        if not geometry.is_valid or geometry.is_empty:
            raise self._error(
                feature.id, "has a polygon that crosses itself or is empty"
            )
        drawn = {"id": feature.id, "name": name, "kind": kind, "capacity": capacity}
        if "display_point" in properties:
            drawn["display_point"] = properties["display_point"]
        if "category" in properties:
            drawn["category"] = properties["category"]
        return _Draft(
            feature.id,
            name,
            kind,
            level,
            capacity,
            geometry,
            _drawn(feature.geometry, drawn),
            self._inside(feature),
        )

    def _geometry(self, feature: str, geometry: dict[str, Any]) -> BaseGeometry:
        try:
            return shape(geometry)
        except (AttributeError, ShapelyError, KeyError, TypeError, ValueError):
            raise self._error(feature, "has a geometry that is not GeoJSON") from None

    def _of(self, feature_type: str) -> list[_Feature]:
        return [f for f in self.features if f.feature_type == feature_type]

    def _claim(self, feature: str) -> None:
        if not ID.fullmatch(feature):
            raise self._error(
                feature, "has an id that may only use A-Z a-z 0-9 _ - (1 to 64)"
            )
        if feature in self.seen:
            raise self._error(feature, "has an id that is used twice")
        self.seen.add(feature)

    def _inside(self, feature: _Feature) -> str | None:
        properties = feature.properties
        inside = properties.get("unit_id") or properties.get("section_id")
        if inside is not None and not isinstance(inside, str):
            raise self._error(feature.id, '"unit_id" must be the id of a feature')
        return inside

    def _building_of(self, level: _Feature) -> str:
        ids = level.properties.get("building_ids")
        if not isinstance(ids, list) or len(ids) != 1:
            raise self._error(level.id, '"building_ids" must name one building')
        return str(ids[0])

    def _level_id(self, level: _Feature) -> str:
        short = self._text(level, "short_name", str(self._ordinal(level)))
        if not ID.fullmatch(short):
            raise self._error(
                level.id, '"short_name" may only use A-Z a-z 0-9 _ - (1 to 64)'
            )
        return f"{self._building_of(level)}/{short}"

    def _ordinal(self, level: _Feature) -> int:
        ordinal = level.properties.get("ordinal")
        if not isinstance(ordinal, int):
            raise self._error(level.id, '"ordinal" must be a whole number (0: ground)')
        return ordinal

    def _text(self, feature: _Feature, key: str, default: str) -> str:
        """Return a name: IMDF's `{"en": "…"}` (its first language) or a plain text."""
        value = feature.properties.get(key)
        if isinstance(value, dict):
            value = next(iter(value.values()), None)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._error(feature.id, f'"{key}" must be a text or {{"en": "…"}}')
        return value

    def _error(self, feature: str, problem: str) -> ConfigError:
        return ConfigError(f"{self.name}: feature {feature!r} {problem}")


_ON_A_LEVEL = frozenset({"section", "unit", "fixture", "detail"})


def _kind_of(feature: _Feature) -> Kind | None:
    """Return what the feature is to us; None for what is only drawn."""
    category = feature.properties.get("category")
    match feature.feature_type:
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


def _parents(drafts: Sequence[_Draft]) -> list[int | None]:
    """Return, for each space, which other of the level it is part of.

    What the plan says (`unit_id`, `section_id`) comes first; else it is the smallest
    space that is larger than this one and holds its middle.
    """
    if not drafts:
        return []
    row_by_id = {draft.id: row for row, draft in enumerate(drafts)}
    outer = [row for row, draft in enumerate(drafts) if draft.kind is not Kind.DESK]
    tree = shapely.STRtree([drafts[row].geometry for row in outer])
    middles = [draft.geometry.representative_point() for draft in drafts]
    holders: list[list[int]] = [[] for _ in drafts]
    for inner, hit in zip(*tree.query(middles, predicate="within"), strict=True):
        holders[inner].append(outer[hit])
    return [
        row_by_id.get(draft.inside)
        if draft.inside is not None
        else min(
            (
                holder
                for holder in holders[row]
                if drafts[holder].geometry.area > draft.geometry.area
            ),
            key=lambda holder: drafts[holder].geometry.area,
            default=None,
        )
        for row, draft in enumerate(drafts)
    ]


def _total_capacity(
    drafts: Sequence[_Draft], parents: Sequence[int | None]
) -> int | None:
    """Return the sum over the outermost spaces that state a capacity."""
    total = sum(
        draft.capacity
        for draft, parent in zip(drafts, parents, strict=True)
        if draft.capacity is not None
        and (parent is None or drafts[parent].capacity is None)
    )
    return total or None


def load_access_points(path: Path, plan: Plan) -> dict[str, AccessPoint]:
    """Read `ap,space[,confidence]` into access point by canonical name.

    Raises:
        ConfigError: With file and line, where a row does not fit.
    """
    found: dict[str, AccessPoint] = {}
    for line, row in _rows(path, ["ap", "space"], ["confidence"]):
        where = f"{path.name}, line {line}"
        ap = canonical_ap(row["ap"])
        if not ap or ap in found:
            raise ConfigError(f"{where}: access point is empty or listed before")
        confidence = _whole(where, "confidence", row["confidence"], DEFAULT_CONFIDENCE)
        if confidence > 100:  # noqa: PLR2004 - percent
            raise ConfigError(f"{where}: confidence is a percentage, 0 to 100")
        found[ap] = AccessPoint(_space(where, row["space"], plan), confidence)
    return found


def load_bindings(
    path: Path,
    plan: Plan,
    *,
    room_hold_ms: int = 300_000,
    desk_hold_ms: int = 720_000,
) -> list[Binding]:
    """Read `source,device,channel,space,kind,hold_s,interval_s`.

    Motion without a hold of its own gets the usual one: five minutes in a room, twelve
    at a desk (a PIR is blind to someone who types).

    Raises:
        ConfigError: With file and line, where a row does not fit.
    """
    found: list[Binding] = []
    seen: dict[tuple[str, str, str, str], int] = {}
    needed = ["source", "device", "space", "kind"]
    for line, row in _rows(path, needed, ["channel", "hold_s", "interval_s"]):
        where = f"{path.name}, line {line}"
        key = (row["source"], row["device"].lower(), row["channel"], row["kind"])
        if not key[1] or "#" in key[1]:
            raise ConfigError(f"{where}: device is empty or holds a '#'")
        if key in seen:
            raise ConfigError(
                f"{where}: bound before in line {seen[key]}; give each channel and "
                "kind of a device one row"
            )
        seen[key] = line
        space = _space(where, row["space"], plan)
        is_desk = plan.spaces[space].kind is Kind.DESK
        hold_ms = desk_hold_ms if is_desk else room_hold_ms
        found.append(
            Binding(
                *key[:3],
                space,
                _reading_kind(where, row["kind"]),
                round(1000 * _seconds(where, "hold_s", row["hold_s"], hold_ms / 1000)),
                round(1000 * _seconds(where, "interval_s", row["interval_s"], 0)),
            )
        )
    return found


def _reading_kind(where: str, text: str) -> ReadingKind:
    kinds = {"presence": ReadingKind.PRESENCE, "motion": ReadingKind.MOTION}
    kinds["count"] = ReadingKind.COUNT
    if text not in kinds:
        raise ConfigError(f"{where}: kind must be presence, motion or count")
    return kinds[text]


def _space(where: str, name: str, plan: Plan) -> int:
    index = plan.space_by_id.get(name)
    if index is None:
        raise ConfigError(f"{where}: the plan has no space {name!r}")
    return index


def _whole(where: str, key: str, text: str, default: int) -> int:
    if not text:
        return default
    if not text.isdecimal():
        raise ConfigError(f"{where}: {key} must be a whole number")
    return int(text)


def _seconds(where: str, key: str, text: str, default: float) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1
    if not 0 <= value <= 30 * 86_400:  # also refuses NaN
        raise ConfigError(f"{where}: {key} must be seconds, 0 to 2592000")
    return value


def _rows(
    path: Path, needed: Sequence[str], optional: Iterable[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and stripped cells of a CSV file with a header."""
    try:
        text = _read(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name}: save the file as UTF-8") from None
    reader = csv.DictReader(text.splitlines(), restval="")
    missing = [name for name in needed if name not in (reader.fieldnames or [])]
    if missing:
        columns = ",".join([*needed, *optional])
        raise ConfigError(
            f"{path.name}, line 1: no column {missing[0]!r}; the header is {columns}"
        )
    for row in reader:
        cells = {key: (row.get(key) or "").strip() for key in (*needed, *optional)}
        yield reader.line_num, cells


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
