"""What all readers of plans draw: levels and spaces that have no index yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import shapely

from engine.errors import ConfigError
from engine.space import Building, Kind, Level, Plan, Space

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shapely.geometry.base import BaseGeometry

MOST_AROUND = 12
"""Spaces around another on its level; a plan has two or three, and a cycle no end."""

_LARGE_FIRST = (Kind.ZONE, Kind.AREA, Kind.ROOM, Kind.DESK)


@dataclass(slots=True)
class SpaceDraft:
    """A space, before it has an index.

    Attributes:
        id: Unique within the plan.
        name: What people call it.
        kind: Zone, area, room or desk.
        capacity: People it is meant for, None where the file does not say.
        geometry: Its outline, valid and not empty.
        drawing: A GeoJSON feature; gets its row and that of its parent.
        inside: The space that it is part of, where the file names one.
    """

    id: str
    name: str
    kind: Kind
    capacity: int | None
    geometry: BaseGeometry
    drawing: dict[str, Any]
    inside: str | None = None


@dataclass(slots=True)
class LevelDraft:
    """A level, before it has an index.

    Attributes:
        id: `building/name`, unique within the plan.
        building: Id of its building.
        name: What people call it.
        ordinal: 0 is the ground.
        spaces: What is counted on it.
        drawings: GeoJSON features of what is only drawn, its outline first.
    """

    id: str
    building: str
    name: str
    ordinal: int
    spaces: list[SpaceDraft] = field(default_factory=list)
    drawings: list[dict[str, Any]] = field(default_factory=list)


def assemble(
    file: str,
    version: str,
    name_by_building: Mapping[str, str],
    levels: Sequence[LevelDraft],
) -> Plan:
    """Return the plan: buildings in order, each with its levels in theirs.

    Raises:
        ConfigError: A space is part of one that is not on its level, or of itself.
    """
    spaces: list[Space] = []
    buildings: dict[str, Building] = {}
    placed: dict[str, Level] = {}
    drawings: dict[str, list[dict[str, Any]]] = {}
    for building, name in name_by_building.items():
        own = len(spaces)
        buildings[building] = Building(building, name, own)
        spaces.append(Space(own, building, name, Kind.BUILDING, None, -1, None))
        for level in levels:
            if level.building == building:
                start = len(spaces)
                spaces += _placed(file, level, own, start)
                drawn = [draft.drawing for draft in level.spaces]
                drawings[level.id] = level.drawings + drawn
                placed[level.id] = Level(
                    level.id, building, level.name, level.ordinal, start, len(spaces)
                )
    return Plan(version, spaces, placed, buildings, drawings)


def misfit(file: str, feature: str, problem: str) -> ConfigError:
    """Return the error that names a feature of a plan."""
    return ConfigError(f"{file}: feature {feature!r} {problem}")


def _placed(file: str, level: LevelDraft, building: int, start: int) -> list[Space]:
    """Return the spaces of a level, itself first, with parents; fill its drawings."""
    drafts = level.spaces
    drafts.sort(key=lambda draft: _LARGE_FIRST.index(draft.kind))
    parents = _parents(drafts)
    _refuse_misplaced(file, drafts, parents)
    capacity = _total_capacity(drafts, parents)
    spaces = [
        Space(start, level.id, level.name, Kind.LEVEL, level.id, building, capacity)
    ]
    for row, (draft, inside) in enumerate(zip(drafts, parents, strict=True), 1):
        parent_row = 0 if inside is None else 1 + inside
        spaces.append(
            Space(
                start + row,
                draft.id,
                draft.name,
                draft.kind,
                level.id,
                start + parent_row,
                draft.capacity,
            )
        )
        draft.drawing["id"] = row
        draft.drawing["properties"] |= {"row": row, "parent_row": parent_row}
    return spaces


def _parents(drafts: Sequence[SpaceDraft]) -> list[int | None]:
    """Return, for each space, which other of the level it is part of.

    What the file says comes first; else it is the smallest space that is larger than
    this one and holds its middle.
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


def _refuse_misplaced(
    file: str, drafts: Sequence[SpaceDraft], parents: Sequence[int | None]
) -> None:
    for draft, parent in zip(drafts, parents, strict=True):
        if draft.inside is not None and parent is None:
            raise misfit(
                file,
                draft.id,
                f"is inside {draft.inside!r}, which is no counted space of its level",
            )
        around, above = 0, parent
        while above is not None:
            around += 1
            if around > MOST_AROUND:
                raise misfit(
                    file,
                    draft.id,
                    f"is inside itself, or of more than {MOST_AROUND} others",
                )
            above = parents[above]


def _total_capacity(
    drafts: Sequence[SpaceDraft], parents: Sequence[int | None]
) -> int | None:
    """Return the sum over the outermost spaces that state a capacity."""
    total = sum(
        draft.capacity
        for draft, parent in zip(drafts, parents, strict=True)
        if draft.capacity is not None
        and (parent is None or drafts[parent].capacity is None)
    )
    return total or None
