"""Sources: what became of their events, and what to do about it; for the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath  # noqa: TC002 - read at run time

from engine.errors import BadRequest, ConfigError, Forbidden, NotFound, Unauthorized
from engine.query.problem import NOT_FOUND, problem_responses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Scope

_SECURITY: list[dict[str, list[str]]] = [{"operator": []}, {}]


class UnboundDevice(msgspec.Struct, frozen=True):
    """A channel of a sensor that spoke and is bound to no space.

    Attributes:
        kinds: What it reported.
        bound_as: Kinds that it is bound as and did not report: as a rule a mistake.
        count: In how many records.
        first_ms, last_ms: When, by our clock.
        lines: To be pasted into `sensors.csv`, with the space in place of `SPACE`: one
            for each kind that can be bound.
    """

    device: str
    channel: str
    kinds: list[str]
    bound_as: list[str]
    count: int
    first_ms: int
    last_ms: int
    lines: list[str]


class UnknownAccessPoint(msgspec.Struct, frozen=True):
    """An access point that is in no table; `hour_ms`: the hour of the last time."""

    ap: str
    count: int
    hour_ms: int


class DeadLetter(msgspec.Struct, frozen=True):
    """Why events were refused.

    Attributes:
        reason: As in the metrics.
        detail: Which field, or what was looked for; never what was found. "" where that
            is not told.
        count: How often.
        last_ms: When last, by our clock.
    """

    reason: str
    detail: str
    count: int
    last_ms: int


class Contact(msgspec.Struct, frozen=True):
    """A door or window that is bound to a space; it makes no state by itself.

    Attributes:
        open: Null where it is not known.
        since_ms: When it last said so, 0 never.
    """

    device: str
    channel: str
    open: bool | None
    since_ms: int


class SourceEntry(msgspec.Struct, frozen=True):
    """A configured source.

    Attributes:
        transport: How it comes: "mqtt", "webhook", ….
        outcomes: Events by what became of them.
        refusals: Refused events by reason.
        message_age_s: Since it was last heard of; null where it never was.
        unknown_floors: Keys of floors that no map is for.
    """

    tenant: str
    name: str
    format: str
    transport: str
    outcomes: dict[str, int]
    refusals: dict[str, int]
    message_age_s: int | None
    unbound: list[UnboundDevice]
    unknown_access_points: list[UnknownAccessPoint]
    unknown_floors: list[str]
    dead_letters: list[DeadLetter]
    contacts: list[Contact]


class FilesEntry(msgspec.Struct, frozen=True):
    """The tables of a tenant.

    Attributes:
        read_ms: When those in use were read.
        problem: Why newer ones are not in use, or null.
    """

    tenant: str
    read_ms: int
    problem: str | None


class SourceList(msgspec.Struct, frozen=True):
    """Every source, and how it stands with the tables of each tenant."""

    sources: list[SourceEntry]
    files: list[FilesEntry]


class Sources:
    """The routes under `/v1/sources`.

    Args:
        listed: Returns how it is now.
        reload: Reads all files anew; raises `ConfigError` for what does not fit.
        may_see: Whether a request is the operator's.
    """

    def __init__(
        self,
        *,
        listed: Callable[[], SourceList],
        reload: Callable[[], Awaitable[None]],
        may_see: Callable[[Scope], bool],
    ) -> None:
        self._listed = listed
        self._reload = reload
        self._may_see = may_see

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers."""
        return [
            get("/v1/sources", security=_SECURITY, responses=problem_responses(401))(
                self.all
            ),
            get(
                "/v1/sources/{name:str}",
                security=_SECURITY,
                responses=problem_responses(400, 401, 404),
            )(self.one),
            post(
                "/v1/sources/reload",
                status_code=200,
                security=_SECURITY,
                responses=problem_responses(400, 401, 403),
            )(self.reload),
        ]

    async def all(self, request: Request[Any, Any, Any]) -> SourceList:
        """List the sources: what came, what was refused and why, what is unbound."""
        self._check(request.scope)
        return self._listed()

    async def one(
        self, request: Request[Any, Any, Any], name: FromPath[str]
    ) -> SourceList:
        """List the source of a name, of every tenant that has one."""
        self._check(request.scope)
        found = self._listed()
        sources = [one for one in found.sources if one.name == name]
        if not sources:
            raise NotFound(NOT_FOUND)
        tenants = {one.tenant for one in sources}
        files = [one for one in found.files if one.tenant in tenants]
        return SourceList(sources, files)

    async def reload(self, request: Request[Any, Any, Any]) -> SourceList:
        """Read tables, maps, policies, profiles anew; 400 says what does not fit."""
        self._check(request.scope)
        if "origin" in request.headers:
            # Any page may let the browser of somebody on this machine post.
            raise Forbidden("this is for the operator's own programs, not for a page")
        try:
            await self._reload()
        except ConfigError as error:
            raise BadRequest(str(error)) from None
        return self._listed()

    def _check(self, scope: Scope) -> None:
        """Let the operator through.

        Raises:
            Unauthorized: From another machine, without the secret.
        """
        if not self._may_see(scope):
            raise Unauthorized(
                "sources are for this machine alone, or for the bearer of the secret "
                "in metrics_secret_file"
            )
