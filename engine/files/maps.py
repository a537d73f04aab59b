"""The maps of location engines, as TOML: how each floor of theirs lies on the plan.

A location engine (Meraki, Mist, Cisco, Aruba, …) puts a device at x and y of *its* map
of a floor, in a unit and from a corner that its messages seldom tell. One `[[map]]`
says what they mean: which level of the plan the floor is, and where three points of the
map, or three corners, are on earth. From them follows the affine transform (shift,
turn, scale, mirrored or not) from the map to the plan, by least squares.

What three points do not tell is whether they are right. So what else is known is held
against them: which way y grows, how long a unit is, that both axes have one scale and a
right angle between them, how far each further point lies off, and that the map covers
the level. What cannot be is an error; what is odd, a remark.
"""

from __future__ import annotations

import math
import tomllib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, NoReturn

import msgspec
import numpy as np
import shapely
from msgspec import Meta, field

from engine.errors import ConfigError
from engine.files.remark import Remark, Remarks
from engine.misfit import line_of, misfit
from engine.space import Map

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import numpy.typing as npt

    from engine.space import Ground, Plan

    Points = npt.NDArray[np.float64]

FOOT_M = 0.3048

DEFAULT_ACCURACY_M = 10.0
"""Where neither source nor file tells it: what is usually said of trilateration by
Wi-Fi, and enough for a zone and not for a room."""

SCALE_DOUBT, SCALE_MISFIT = 0.05, 0.25
"""How much, as a share, a unit may be longer or shorter than it should, or one axis
than the other. Feet for metres are 70 % off; a scanned plan, a few percent."""
SQUARE_DOUBT, SQUARE_MISFIT = 3.0, 15.0
"""Degrees by which the axes may miss a right angle."""
OFF_DOUBT_M, OFF_MISFIT_M = 2.0, 10.0
"""How far a point may lie off: people are put into the wrong room by as much."""
ALIKE = 4
"""So many points, for six unknowns, have errors of one size: none stands out."""
FAR_M = 5_000.0
"""No map is so far from its level; longitude and latitude in the wrong order are."""
COVERED = 0.9
"""Share of the level that its maps should cover."""
THIN = 0.02
"""Points in so flat a triangle (its height over its length) are as good as a line."""

_Number = Annotated[float, Meta(ge=-1e9, le=1e9)]
_Above0 = Annotated[float, Meta(gt=0, le=1e9)]
_Lon = Annotated[float, Meta(ge=-180, le=180)]
_Lat = Annotated[float, Meta(ge=-90, le=90)]
_Floor = Annotated[str, Meta(min_length=1, max_length=128)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class _Corners(_Table, frozen=True, kw_only=True):
    """Longitude and latitude of three corners, as Meraki's API gives them."""

    top_left: tuple[_Lon, _Lat]
    bottom_left: tuple[_Lon, _Lat]
    bottom_right: tuple[_Lon, _Lat]


class _Map(_Table, frozen=True, kw_only=True):
    """A `[[map]]` as it is on disk; `deploy/sources/maps.md` explains the keys."""

    source: str
    floor: _Floor | tuple[_Floor, ...]
    level: str
    unit: Literal["metres", "feet", "pixels"]
    origin: Literal["top-left", "bottom-left"]
    width: _Above0 | None = None
    height: _Above0 | None = None
    pixels_per_metre: _Above0 | None = None
    width_m: _Above0 | None = None
    points: tuple[tuple[_Number, _Number, _Lon, _Lat], ...] = ()
    corners: _Corners | None = None
    accuracy_m: _Above0 = DEFAULT_ACCURACY_M


class _File(_Table, frozen=True, kw_only=True):
    """The file."""

    maps: tuple[_Map, ...] = field(default=(), name="map")


class _Fit(NamedTuple):
    """The affine transform of a map, and how well it fits.

    Attributes:
        matrix: float64[3, 2]: (x, y, 1) times this is metres east and north.
        residual_m: The farthest that a point lies off.
        farthest: Which it is; of four points, all lie off alike.
    """

    matrix: Points
    residual_m: float
    farthest: str


def read(
    data: bytes, name: str, plan: Plan, sources: Collection[str]
) -> tuple[list[Map], list[Remark]]:
    """Return the maps, one for each source and floor, and what looks odd.

    Args:
        data: The file.
        name: Its name, for errors.
        plan: Has the levels.
        sources: Names of the tenant's sources.

    Raises:
        ConfigError: With the file, the line, and what to write instead.
    """
    reader = _Reader(data, name, plan, sources)
    return list(reader.maps()), reader.remarks.all()


class _Reader:
    """Turns the tables of one file into maps, or says what is wrong."""

    def __init__(
        self, data: bytes, name: str, plan: Plan, sources: Collection[str]
    ) -> None:
        self.remarks = Remarks(name)
        self._name = name
        self._plan = plan
        self._sources = sources
        self._at = 0  # which table is looked at
        try:
            self._text = data.decode()
            tables = tomllib.loads(self._text)
            self._maps = msgspec.convert(tables, _File).maps
        except UnicodeDecodeError:
            raise ConfigError(f"{name}: save the file as UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{name}: not TOML: {error}") from None
        except msgspec.ValidationError as error:
            raise ConfigError(f"{name}{misfit(error, self._text, _File)}") from None

    def maps(self) -> Iterator[Map]:
        """Yield the maps of every table."""
        first: dict[tuple[str, str], int] = {}
        covers: dict[str, list[Points]] = {}
        for at, one in enumerate(self._maps):
            self._at = at
            ground = self._ground(one)
            points, places = self._points(one, ground)
            key = "corners" if one.corners else "points"
            away_m = float(np.linalg.norm(places, axis=1).max())
            if away_m > FAR_M:
                self._refuse(
                    key,
                    f"the {key} lie {away_m / 1000:,.0f} km from level {one.level!r}: "
                    "write longitude before latitude, of the building in the plan",
                )
            fit = self._fit(key, points, places)
            unit_m = self._check(key, one, fit)
            frame = _frame(one, points) @ fit.matrix
            covers.setdefault(one.level, []).append(frame)
            width, height = one.width or math.inf, one.height or math.inf
            east, north = (tuple(axis.tolist()) for axis in fit.matrix.T)
            for floor in (one.floor,) if isinstance(one.floor, str) else one.floor:
                taken = first.setdefault((one.source, floor), self._at)
                if taken != self._at:
                    self._refuse(
                        "floor",
                        f"floor {floor!r} of source {one.source!r} has a [[map]] "
                        f"before, {_nth(taken)}: keep one of the two",
                    )
                yield Map(
                    *(one.source, floor, one.level, east, north, width, height),
                    *(one.accuracy_m, unit_m, fit.residual_m),
                )
        for level, frames in covers.items():
            self._look_at_cover(level, frames)

    def _ground(self, one: _Map) -> Ground:
        """Return where the map's level is; refuse what the tenant does not have."""
        for key, given, known in (
            ("source", one.source, self._sources),
            ("level", one.level, self._plan.levels),
        ):
            if given not in known:
                near = get_close_matches(given, known, 1) or sorted(known)
                owner = "tenant" if key == "source" else "plan"
                self._refuse(
                    key,
                    f"the {owner} has no {key} {given!r}: write {_or(near)}",
                )
        if self._plan.outlines(one.level)[0].is_empty:
            self._refuse("level", f"nothing is drawn on level {one.level!r}")
        return self._plan.ground(one.level)

    def _points(self, one: _Map, ground: Ground) -> tuple[Points, Points]:
        """Return points of the map, in its unit, and where they are, in metres."""
        if (one.corners is None) == (not one.points):
            self._refuse(
                "points" if one.points else "source",
                "write either `points`, three or more [x, y, lon, lat], or `corners`",
            )
        if one.corners is None:
            given = np.array(one.points)
            if len(given) < 3:  # noqa: PLR2004 - what an affine transform takes
                self._refuse("points", "needs three points or more: [x, y, lon, lat]")
            return given[:, :2], ground.metres(given[:, 2:])
        if one.width is None or one.height is None:
            self._refuse("corners", "`corners` needs `width` and `height` of the map")
        top, bottom = _top_and_bottom(one.origin, one.height)
        corners = one.corners
        places = [corners.top_left, corners.bottom_left, corners.bottom_right]
        points = [(0.0, top), (0.0, bottom), (one.width, bottom)]
        return np.array(points), ground.metres(np.array(places))

    def _fit(self, key: str, points: Points, places: Points) -> _Fit:
        """Return the transform that least squares find."""
        for what, given in (("on the map", points), ("on earth", places)):
            long, short = np.linalg.svd(given - given.mean(axis=0), compute_uv=False)
            if short <= THIN * long:
                self._refuse(
                    key,
                    f"the {key} lie on one line {what}: take three far from each "
                    "other, as of a triangle",
                )
        # In units of their own spread about their middle, so that pixels are solved as
        # exactly as metres.
        middle, spread = points.mean(axis=0), np.abs(points).max()
        scaled = np.column_stack([(points - middle) / spread, np.ones(len(points))])
        solved, *_ = np.linalg.lstsq(scaled, places)
        matrix = np.vstack([solved[:2], solved[2] - middle @ solved[:2] / spread])
        matrix[:2] /= spread
        off = np.linalg.norm(scaled @ solved - places, axis=1)
        farthest = (
            f"point {off.argmax() + 1}" if len(off) > ALIKE else "one of the points"
        )
        return _Fit(matrix, float(off.max()), farthest)

    def _check(self, key: str, one: _Map, fit: _Fit) -> float:
        """Refuse or remark what cannot be meant; return the metres of one unit."""
        x_m, y_m = np.linalg.norm(fit.matrix[:2], axis=1).tolist()
        turn = float(np.linalg.det(fit.matrix[:2]))
        if (turn < 0) != (one.origin == "top-left"):
            other = "bottom-left" if one.origin == "top-left" else "top-left"
            self._refuse(
                key,
                f"with origin {one.origin!r} the map is mirrored: write "
                f"origin = {other!r} if y grows the other way, or look at the {key}",
            )
        unit_m = math.sqrt(abs(turn))
        meant_m = _unit_m(one)
        if meant_m is not None:
            self._weigh(
                key,
                abs(unit_m / meant_m - 1) * 100,
                (100 * SCALE_DOUBT, 100 * SCALE_MISFIT),
                f"1 of unit {one.unit!r} is {unit_m:.4g} m by the {key}, and should be "
                f"{meant_m:.4g} m",
                "compare `unit`, sizes and coordinates with the source's own map",
            )
        self._weigh(
            key,
            abs(x_m / y_m - 1) * 100,
            (100 * SCALE_DOUBT, 100 * SCALE_MISFIT),
            f"x and y have scales of their own, {x_m:.4g} m and {y_m:.4g} m",
            "measure the points again, far from each other",
        )
        askew = math.degrees(math.asin(min(1.0, abs(turn) / (x_m * y_m))))
        self._weigh(
            key,
            90 - askew,
            (SQUARE_DOUBT, SQUARE_MISFIT),
            f"x and y are {askew:.0f} degrees apart instead of 90",
            "measure the points again, far from each other",
        )
        self._weigh(
            key,
            fit.residual_m,
            (OFF_DOUBT_M, OFF_MISFIT_M),
            f"{fit.farthest} lies {fit.residual_m:.1f} m from where the others put it",
            "measure it again",
        )
        return unit_m

    def _weigh(
        self,
        key: str,
        amount: float,
        limits: tuple[float, float],
        what: str,
        instead: str,
    ) -> None:
        """Refuse what is over the higher limit, remark what is over the lower."""
        doubt, wrong = limits
        if amount > wrong:
            self._refuse(key, f"{what}: {instead}")
        if amount > doubt:
            self.remarks.add(what, f"{_nth(self._at)} [[map]]", instead=instead)

    def _look_at_cover(self, level: str, frames: Sequence[Points]) -> None:
        """Remark a level that does not lie in its maps."""
        ground = self._plan.ground(level)
        outline = shapely.transform(self._plan.outlines(level)[0], ground.metres)
        hulls = [shapely.MultiPoint(frame).convex_hull for frame in frames]
        maps = shapely.union_all(hulls)
        share = outline.intersection(maps).area / outline.area
        if share < COVERED:
            self.remarks.add(
                f"{share:.0%} of level {level!r} lies in its maps",
                f"of {len(frames)}",
                instead="if all of it should, compare points, `width` and `height`",
            )

    def _refuse(self, key: str, problem: str) -> NoReturn:
        """Raise the error that names the line of a key."""
        line = line_of(self._text, ("map", self._at, key))
        raise ConfigError(f"{self._name}, line {line}: {problem}")


def _unit_m(one: _Map) -> float | None:
    """Return how long one unit is meant to be; None where the file does not say."""
    if one.unit != "pixels":
        return 1.0 if one.unit == "metres" else FOOT_M
    if one.pixels_per_metre is not None:
        return 1 / one.pixels_per_metre
    if one.width_m is not None and one.width is not None:
        return one.width_m / one.width
    return None


def _frame(one: _Map, points: Points) -> Points:
    """Return float64[4, 3]: the corners of a map, of its points if it has no size."""
    (left, low), (right, high) = points.min(axis=0), points.max(axis=0)
    if one.width is not None and one.height is not None:
        left, low, right, high = 0, 0, one.width, one.height
    corners = ((left, low), (right, low), (right, high), (left, high))
    return np.column_stack([np.array(corners, float), np.ones(4)])


def _top_and_bottom(origin: str, height: float) -> tuple[float, float]:
    """Return y of the upper and of the lower side."""
    return (0.0, height) if origin == "top-left" else (height, 0.0)


def _nth(index: int) -> str:
    """Return "the 2nd", as one counts the tables of a file."""
    number = index + 1
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"the {number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _or(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names)
