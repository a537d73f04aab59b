"""Levels: which there are, their plan, their occupancy now, and its live stream."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from litestar import Request, get
from litestar.params import FromPath  # noqa: TC002 - read at run time

from engine.codec import SnapshotMessage, Wire
from engine.errors import NotFound
from engine.model import State
from engine.query.answer import JSON, MSGPACK, Kept, Version, wants_msgpack
from engine.query.problem import NOT_FOUND, problem_responses
from engine.space import COUNTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.handlers import HTTPRouteHandler

    from engine.model import Snapshot
    from engine.query.access import Access
    from engine.query.view import View, Views
    from engine.space import Level, Plan

GEOJSON = "application/geo+json"


class Summary(msgspec.Struct, frozen=True):
    """A level in numbers; the states count its rooms, desks and areas.

    Attributes:
        headcount: People on the level, or null where nothing counts them.
        capacity: People the level is meant for, or null where the plan does not say.
    """

    headcount: int | None
    capacity: int | None
    free: int
    occupied: int
    likely: int
    unknown: int
    offline: int


class LevelEntry(msgspec.Struct, frozen=True):
    """A level in the list; `id` names it everywhere else."""

    id: str
    building: str
    building_name: str
    name: str
    ordinal: int
    plan: str
    summary: Summary


class LevelList(msgspec.Struct, frozen=True):
    """The levels of the caller's organisation, by building, from the lowest up."""

    levels: list[LevelEntry]


class LevelPlan(msgspec.Struct, frozen=True):
    """The drawing of a level as GeoJSON; a space's feature has its row as `id`."""

    type: Literal["FeatureCollection"]
    level: str
    plan: str
    bbox: list[float]
    features: list[dict[str, Any]]


class Levels:
    """The routes under `/v1/levels`.

    Args:
        access: Who asks.
        views: What may be seen.
        encode: `codec.encode`.
        clock_ms: The clock.
    """

    def __init__(
        self,
        *,
        access: Access,
        views: Views,
        encode: Callable[[Snapshot, Wire], bytes],
        clock_ms: Callable[[], int],
    ) -> None:
        self._access = access
        self._views = views
        self._encode = encode
        self._clock_ms = clock_ms
        self._drawings: dict[tuple[str, str], bytes] = {}

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers."""
        one = "/v1/levels/{building:str}/{level:str}"
        refusals = problem_responses(400, 401, 404)
        return [
            get("/v1/levels", responses=problem_responses(401))(self.all),
            get(f"{one}/plan", media_type=GEOJSON, responses=refusals)(self.plan),
            get(f"{one}/occupancy", responses=refusals)(self.occupancy),
        ]

    async def all(self, request: Request[Any, Any, Any]) -> LevelList:
        """List the levels with their numbers now."""
        view = self._views.of(self._access.reader(request.scope).tenant)
        now_ms = self._clock_ms()
        return LevelList(
            [_entry(view, one, now_ms) for one in view.plan.levels.values()]
        )

    async def plan(
        self,
        request: Request[Any, Any, Any],
        building: FromPath[str],
        level: FromPath[str],
    ) -> Kept[LevelPlan]:
        """Return the drawing of a level as GeoJSON; its ETag is the plan's version."""
        plan = self._view(request, building, level).plan
        drawing = partial(self._drawing, plan, f"{building}/{level}")
        return Kept(Version(plan.version, GEOJSON.encode(), drawing))

    async def occupancy(
        self,
        request: Request[Any, Any, Any],
        building: FromPath[str],
        level: FromPath[str],
    ) -> Kept[SnapshotMessage]:
        """Return the state of a level; its ETag is `epoch:offset`."""
        view = self._view(request, building, level)
        snapshot = view.snapshot(f"{building}/{level}", self._clock_ms())
        binary = wants_msgpack(request.scope)
        wire, kind = (Wire.MSGPACK, MSGPACK) if binary else (Wire.JSON, JSON)
        etag = f"{snapshot.epoch}:{snapshot.offset}"
        return Kept(Version(etag, kind, partial(self._encode, snapshot, wire)))

    def _view(self, request: Request[Any, Any, Any], building: str, level: str) -> View:
        """Return the caller's view if it has the level.

        Raises:
            Unauthorized: No token where one is needed.
            NotFound: No such level in the caller's organisation.
        """
        view = self._views.of(self._access.reader(request.scope).tenant)
        if f"{building}/{level}" not in view.plan.levels:
            raise NotFound(NOT_FOUND)
        return view

    def _drawing(self, plan: Plan, level: str) -> bytes:
        """Return the GeoJSON of a level, made once: as many as there are levels."""
        key = (plan.version, level)
        drawing = self._drawings.get(key)
        if drawing is None:
            drawing = self._drawings[key] = plan.geojson(level)
        return drawing


def _entry(view: View, level: Level, now_ms: int) -> LevelEntry:
    plan = view.plan
    return LevelEntry(
        level.id,
        level.building,
        plan.buildings[level.building].name,
        level.name,
        level.ordinal,
        plan.version,
        _summary(plan, level, view.snapshot(level.id, now_ms)),
    )


def _summary(plan: Plan, level: Level, snapshot: Snapshot) -> Summary:
    """Count the states of the rooms, desks and areas; row 0 is the level itself."""
    spaces = plan.spaces[level.start : level.stop]
    counted = np.array([space.kind in COUNTED for space in spaces], np.bool_)
    by_state = np.bincount(snapshot.state[counted], minlength=len(State))
    headcount = int(snapshot.count[0])
    return Summary(
        headcount=None if headcount < 0 else headcount,
        capacity=spaces[0].capacity,
        free=int(by_state[State.FREE]),
        occupied=int(by_state[State.OCCUPIED]),
        likely=int(by_state[State.LIKELY]),
        unknown=int(by_state[State.UNKNOWN]),
        offline=int(by_state[State.OFFLINE]),
    )
