"""A space: what it is, and what the engine says of it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, get
from litestar.params import FromPath  # noqa: TC002 - read at run time

from engine.errors import NotFound
from engine.model import State
from engine.query.problem import NOT_FOUND, problem_responses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.handlers import HTTPRouteHandler

    from engine.query.access import Access
    from engine.query.view import View, Views
    from engine.space import Space


class SpaceState(msgspec.Struct, frozen=True):
    """A space and its state.

    Attributes:
        level: Id of its level, or null for a building.
        state: unknown, free, occupied, likely or offline.
        count: People, or null where only presence is known.
        confidence: Percent.
        age_s: Age of the newest evidence, or null where there is none.
    """

    id: str
    name: str
    kind: str
    level: str | None
    building: str
    capacity: int | None
    state: str
    count: int | None
    confidence: int
    age_s: int | None


class Spaces:
    """The routes under `/v1/spaces`; the arguments are those of `Levels`."""

    def __init__(
        self, *, access: Access, views: Views, clock_ms: Callable[[], int]
    ) -> None:
        self._access = access
        self._views = views
        self._clock_ms = clock_ms

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers.

        A level's id has a slash in it, so it has a path of its own.
        """
        refusals = problem_responses(400, 401, 404)
        return [
            get("/v1/spaces/{space:str}", responses=refusals)(self.one),
            get("/v1/spaces/{building:str}/{level:str}", responses=refusals)(
                self.level
            ),
        ]

    async def one(
        self, request: Request[Any, Any, Any], space: FromPath[str]
    ) -> SpaceState:
        """Return a room, desk, area, zone or building and its state now."""
        return self._state(request, space)

    async def level(
        self,
        request: Request[Any, Any, Any],
        building: FromPath[str],
        level: FromPath[str],
    ) -> SpaceState:
        """Return a level as a space, and its state now."""
        return self._state(request, f"{building}/{level}")

    def _state(self, request: Request[Any, Any, Any], space_id: str) -> SpaceState:
        view = self._views.of(self._access.reader(request.scope).tenant)
        index = view.plan.space_by_id.get(space_id)
        if index is None:
            raise NotFound(NOT_FOUND)
        return _state(view, view.plan.spaces[index], self._clock_ms())


def _state(view: View, space: Space, now_ms: int) -> SpaceState:
    row = view.space(space.index, now_ms)
    age_s = max(0, now_ms - row.since_ms) // 1000 if row.since_ms > 0 else None
    return SpaceState(
        id=space.id,
        name=space.name,
        kind=space.kind.value,
        level=space.level,
        building=view.plan.building_of(space),
        capacity=space.capacity,
        state=State(row.state).name.lower(),
        count=None if row.count < 0 else int(row.count),
        confidence=int(row.confidence),
        age_s=age_s,
    )
