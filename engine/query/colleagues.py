"""Colleagues: find one by name, and where one who shares is.

Every "no" has one face: unknown, not sharing, no location, expired and a malformed id
take the same steps (one look-up in the store, under a name nobody has) and give the
same answer, so that it can't be learned who shares. Ids are opaque and new at each
opt-in; a look-up is within the caller's tenant, whatever the id.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from engine.errors import NotFound
from engine.query.problem import NOT_FOUND, problem_responses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from litestar.handlers import HTTPRouteHandler

    from engine.model import Location
    from engine.query.access import Access
    from engine.query.view import Views
    from engine.space import Plan

RETENTION_MS = 24 * 60 * 60 * 1000
"""A location is readable for 24 hours from its observation, never longer."""

MAX_IDS = 200
MAX_FOUND = 20

_NOBODY = "0"
"""A subject that no registry gives: the look-up of a "no" costs what a "yes" costs."""


class People(Protocol):
    """Those of one tenant who opted in; `query.directory` in production."""

    def search(self, q: str, limit: int) -> Sequence[tuple[str, str]]:
        """Return opaque id and name of at most `limit` people; never everybody."""
        ...

    def __contains__(self, subject_id: object) -> bool:
        """Return whether somebody shares under an opaque id."""
        ...


class Finder(Protocol):
    """Where the last-known locations are; `store.locations` in production."""

    def find(self, tenant: str, subject: str) -> Awaitable[Location | None]:
        """Return the last-known location of a subject.

        Raises:
            StoreAway: The store does not answer.
        """
        ...


class Colleague(msgspec.Struct, frozen=True):
    """Someone who shares; `id` is opaque and new at each opt-in."""

    id: str
    name: str


class Colleagues(msgspec.Struct, frozen=True):
    """Who was found by name."""

    colleagues: list[Colleague]


class Place(msgspec.Struct, frozen=True):
    """The space where somebody was last seen."""

    id: str
    name: str
    kind: str


class Located(msgspec.Struct, frozen=True):
    """Where a colleague was last seen.

    Attributes:
        level: Null where no more than the building is known.
        observed_at_ms: When, UTC milliseconds.
        age_s: The same as an age.
        confidence: Percent, how likely the space is right.
    """

    colleague: str
    space: Place
    level: str | None
    building: str
    observed_at_ms: int
    age_s: int
    confidence: int


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to look for at once."""

    ids: Annotated[list[str], msgspec.Meta(max_length=MAX_IDS)]


class LocatedList(msgspec.Struct, frozen=True):
    """Those who were found; nothing is said of the others."""

    locations: list[Located]


class Search:
    """The routes under `/v1/colleagues`.

    Args:
        access: Who asks.
        views: Names of the spaces.
        people_by_tenant: Who shares.
        finder: Where they are.
        now_ms: The clock.
        retention_ms: An older location is not shown, whatever the store still has.
    """

    def __init__(  # noqa: PLR0913 - one service each, by name
        self,
        *,
        access: Access,
        views: Views,
        people_by_tenant: Mapping[str, People],
        finder: Finder,
        now_ms: Callable[[], int],
        retention_ms: int = RETENTION_MS,
    ) -> None:
        self._access = access
        self._views = views
        self._people_by_tenant = people_by_tenant
        self._finder = finder
        self._now_ms = now_ms
        self._retention_ms = min(retention_ms, RETENTION_MS)

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers."""
        bad = problem_responses(400, 401, 503)
        found = problem_responses(400, 401, 404, 503)
        several = problem_responses(400, 401, 413, 503)
        return [
            get("/v1/colleagues", responses=bad)(self.search),
            get("/v1/colleagues/{colleague:str}/location", responses=found)(self.one),
            post("/v1/colleagues/locations", status_code=200, responses=several)(
                self.several
            ),
        ]

    async def search(
        self,
        request: Request[Any, Any, Any],
        q: Annotated[str, QueryParameter(min_length=2, max_length=100)],
    ) -> Colleagues:
        """Find people who share by the beginnings of their names; at most twenty."""
        people = self._people_by_tenant.get(self._access.caller(request.scope).tenant)
        found = people.search(q, MAX_FOUND) if people is not None else []
        return Colleagues([Colleague(*one) for one in found[:MAX_FOUND]])

    async def one(
        self, request: Request[Any, Any, Any], colleague: FromPath[str]
    ) -> Located:
        """Return where a colleague was last seen, at most 24 hours ago."""
        located = await self._locate(
            self._access.caller(request.scope).tenant, colleague
        )
        if located is None:
            raise NotFound(NOT_FOUND)
        return located

    async def several(
        self, request: Request[Any, Any, Any], data: JSONBody[Wanted]
    ) -> LocatedList:
        """Return where several colleagues were last seen: those who can be found."""
        tenant = self._access.caller(request.scope).tenant
        wanted = dict.fromkeys(data.ids)
        located = await asyncio.gather(*(self._locate(tenant, one) for one in wanted))
        return LocatedList([one for one in located if one is not None])

    async def _locate(self, tenant: str, subject: str) -> Located | None:
        known = self._shares(tenant, subject)
        location = await self._finder.find(tenant, subject if known else _NOBODY)
        # Asked again: the person may have opted out while the store answered.
        if location is None or not known or not self._shares(tenant, subject):
            return None
        now_ms = self._now_ms()
        if now_ms - location.observed_at_ms >= self._retention_ms:
            return None
        return _located(self._views.of(tenant).plan, subject, location, now_ms)

    def _shares(self, tenant: str, subject: str) -> bool:
        people = self._people_by_tenant.get(tenant)
        return people is not None and subject in people


def _located(
    plan: Plan, subject: str, location: Location, now_ms: int
) -> Located | None:
    """Put a location into words of the plan; None where the plan lost the space."""
    index = plan.space_by_id.get(location.space)
    if index is None:
        return None
    space = plan.spaces[index]
    return Located(
        colleague=subject,
        space=Place(space.id, space.name, space.kind.value),
        level=space.level,
        building=plan.building_of(space),
        observed_at_ms=location.observed_at_ms,
        age_s=max(0, now_ms - location.observed_at_ms) // 1000,
        confidence=location.confidence,
    )
