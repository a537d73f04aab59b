"""A building of three levels in the shape of `/plan`, for the tests of the map page.

Drawn in metres (x along the long side, y across), then laid on Earth turned by a few
degrees, so that a page that assumes north-up walls would show it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

BUILDING = "hq"
LENGTH_M, DEPTH_M = 60.0, 30.0
TURN_DEG = 14.0
LONGITUDE, LATITUDE = 4.895, 52.37
METRES_PER_DEGREE = 111_320.0

Ring = list[tuple[float, float]]
Json = dict[str, Any]

ROOM_NAMES = {
    "1": ["Ada", "Babbage", "Curie", "Darwin", "Euler", "Faraday", "Gauss"],
    "2": ["Hopper", "Hypatia", "Kepler", "Lovelace", "Meitner", "Noether", "Newton"],
    "3": ["Pascal", "Planck", "Raman", "Rubin", "Sagan", "Turing", "Volta"],
}


@dataclass
class SampleLevel:
    """One level: its spaces in row order, and everything that is only drawn."""

    short: str
    ordinal: int
    spaces: list[Json] = field(default_factory=list)
    decor: list[Json] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{BUILDING}/{self.short}"

    @property
    def name(self) -> str:
        return f"Level {self.short}"

    def row_of(self, space: str) -> int:
        return next(i for i, s in enumerate(self.spaces) if s["id"] == space)

    def add(  # noqa: PLR0913 - the properties of a space, by name
        self,
        kind: str,
        ident: str,
        name: str,
        ring: Ring | None,
        *,
        capacity: int | None = None,
        parent: int | None = 0,
    ) -> int:
        row = len(self.spaces)
        self.spaces.append(
            {
                "row": row,
                "id": ident,
                "name": name,
                "kind": kind,
                "capacity": capacity,
                "parent_row": parent,
                "ring": ring,
            }
        )
        return row

    def draw(self, kind: str, ring: Ring, name: str = "") -> None:
        self.decor.append({"kind": kind, "name": name, "ring": ring})

    def geojson(self, version: str) -> Json:
        """The answer of `GET /v1/levels/{building}/{level}/plan`."""
        features = [_drawn(item) for item in self.decor if item["kind"] == "outline"]
        features += [_space(space) for space in self.spaces if space["ring"]]
        features += [_drawn(item) for item in self.decor if item["kind"] != "outline"]
        corners = [_earth(x, y) for x in (0.0, LENGTH_M) for y in (0.0, DEPTH_M)]
        west, east = min(p[0] for p in corners), max(p[0] for p in corners)
        south, north = min(p[1] for p in corners), max(p[1] for p in corners)
        return {
            "type": "FeatureCollection",
            "level": self.id,
            "plan": version,
            "bbox": [west, south, east, north],
            "features": features,
        }


def sample_levels() -> list[SampleLevel]:
    """The three levels of the sample building."""
    return [_level("1", 0), _level("2", 1), _level("3", 2)]


def _level(short: str, ordinal: int) -> SampleLevel:
    level = SampleLevel(short, ordinal)
    level.add("level", level.id, level.name, None, capacity=180, parent=None)
    names = iter(ROOM_NAMES[short])
    if short == "1":
        level.draw("outline", _box(0, 0, 60, 30))
    else:
        level.draw("outline", [(0, 0), (60, 0), (60, 22), (54, 30), (0, 30)])
    north = level.add("zone", f"z{short}n", "North wing", _box(0.6, 20.6, 35.4, 29.4))
    south = level.add("zone", f"z{short}s", "South wing", _box(22.6, 0.6, 59.4, 9.4))
    for x, width, seats in [(0.6, 7, 8), (7.6, 7, 8), (14.6, 7.4, 12)]:
        _room(level, next(names), _box(x, 0.6, x + width, 8.4), seats)
    last = 53.4 if short != "1" else 59.4
    _room(level, next(names), _box(36.6, 21.6, 45, 29.4), 14)
    _room(level, next(names), _box(45, 21.6, last, 29.4), 10)
    _room(level, next(names), _box(42, 11.8, 48, 18.2), 6)
    _room(level, next(names), _box(48, 11.8, 54, 18.2), 6)
    for i in range(4):
        x = 2.0 + i * 2.6
        _room(level, f"Booth {i + 1}", _box(x, 11.8, x + 2.6, 14.8), 1)
    _core(level)
    _desks(level, north, [(2.4 + i * 5.6, 22.2) for i in range(6)], "N")
    _desks(level, south, [(24.6 + i * 5.8, 1.6) for i in range(6)], "S")
    return level


def _room(level: SampleLevel, name: str, ring: Ring, seats: int) -> None:
    ident = f"{name.lower().replace(' ', '-')}-{level.short}"
    level.add("room", ident, name, ring, capacity=seats)
    level.draw("wall", [*ring, ring[0]])


def _core(level: SampleLevel) -> None:
    short = level.short
    if short == "1":
        level.add("area", "lobby", "Lobby", _box(55, 10.6, 59.4, 20), capacity=20)
    level.add(
        "area", f"kitchen-{short}", "Kitchen", _box(14, 11.8, 21, 18.2), capacity=16
    )
    level.draw("stairs", _box(23, 12, 27, 18))
    level.draw("elevator", _box(27, 15, 29.6, 18))
    level.draw("elevator", _box(27, 12, 29.6, 15))
    level.draw("restroom", _box(30.4, 12, 34, 18))
    level.draw("restroom", _box(34, 12, 37.6, 18))
    level.draw("storage", _box(38, 12, 41, 18), "Print")


def _desks(
    level: SampleLevel, zone: int, corners: list[tuple[float, float]], wing: str
) -> None:
    for cluster, (x, y) in enumerate(corners):
        for place in range(6):
            left = x + (place % 2) * 1.7
            low = y + (place // 2) * 2.1
            number = cluster * 6 + place + 1
            ident = f"d{level.short}{wing.lower()}{number:02d}"
            ring = _box(left, low, left + 1.5, low + 0.85)
            level.add("desk", ident, f"{wing}{number}", ring, capacity=1, parent=zone)


def _box(x0: float, y0: float, x1: float, y1: float) -> Ring:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _earth(x: float, y: float) -> list[float]:
    turn = math.radians(TURN_DEG)
    east = x * math.cos(turn) - y * math.sin(turn)
    north = x * math.sin(turn) + y * math.cos(turn)
    stretch = math.cos(math.radians(LATITUDE))
    longitude = LONGITUDE + east / (METRES_PER_DEGREE * stretch)
    return [round(longitude, 9), round(LATITUDE + north / METRES_PER_DEGREE, 9)]


def _polygon(ring: Ring) -> Json:
    points = [_earth(x, y) for x, y in ring]
    return {"type": "Polygon", "coordinates": [[*points, points[0]]]}


def _space(space: Json) -> Json:
    properties = {key: value for key, value in space.items() if key != "ring"}
    return {
        "type": "Feature",
        "id": space["row"],
        "properties": properties,
        "geometry": _polygon(space["ring"]),
    }


def _drawn(item: Json) -> Json:
    if item["kind"] == "wall":
        points = [_earth(x, y) for x, y in item["ring"]]
        geometry: Json = {"type": "LineString", "coordinates": points}
    else:
        geometry = _polygon(item["ring"])
    properties = {"kind": item["kind"], "name": item["name"]}
    return {"type": "Feature", "properties": properties, "geometry": geometry}
