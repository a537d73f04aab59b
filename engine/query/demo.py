"""The demo's own routes: be one of the simulated people, see the time of their day.

Exists in `livefloor demo` alone; the people are inventions of the simulator.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
from joserfc import jwt
from joserfc.jwk import OctKey
from litestar import Request, get, post
from litestar.params import JSONBody  # noqa: TC002 - read at run time

from engine.errors import Forbidden, NotFound
from engine.query.access import is_rebound
from engine.query.auth import Authenticator
from engine.query.keys import shared_secret
from engine.query.problem import NOT_FOUND, problem_responses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.handlers import HTTPRouteHandler

LIFETIME_S = 60 * 60


class Issued(NamedTuple):
    """A token and when it ends."""

    token: str
    expires_at_ms: int


class TokenOffice:
    """Issues the demo's tokens, with a key that lives as long as the process.

    Args:
        tenant: The demo's tenant.
        now_ms: The clock.
    """

    def __init__(self, *, tenant: str, now_ms: Callable[[], int]) -> None:
        self._tenant = tenant
        self._now_ms = now_ms
        secret = secrets.token_bytes(32)
        self._key = OctKey.import_key(secret)
        self.authenticator = Authenticator(
            [shared_secret(secret)],
            clock_ms=now_ms,
            tenants=frozenset({tenant}),
            leeway_s=0,
        )

    def issue(self, login: str, name: str) -> Issued:
        """Return a token for a simulated person."""
        expires_s = self._now_ms() // 1000 + LIFETIME_S
        claims = {"sub": login, "name": name, "tenant": self._tenant, "exp": expires_s}
        token = jwt.encode({"alg": "HS256"}, claims, self._key, algorithms=["HS256"])
        return Issued(token, 1000 * expires_s)


class DemoPerson(msgspec.Struct, frozen=True):
    """A simulated person, and whether they share now."""

    id: str
    name: str
    sharing: bool


class DemoPeople(msgspec.Struct, frozen=True):
    """Whom one may be."""

    people: list[DemoPerson]


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom one wants to be."""

    person: str


class DemoToken(msgspec.Struct, frozen=True):
    """A token to send as `Authorization: Bearer …`."""

    token: str
    expires_at_ms: int
    name: str


class DemoClock(msgspec.Struct, frozen=True):
    """The time in the simulated building.

    Attributes:
        weekday: As a word.
        at_s: Seconds since its midnight.
        speed: Simulated seconds in a real one.
    """

    weekday: str
    at_s: float
    speed: float


class Cast(Protocol):
    """The simulated people; their id is their login."""

    def people(self) -> Sequence[DemoPerson]:
        """Return whom one may choose."""
        ...

    def name(self, person: str) -> str | None:
        """Return the name of a person, None where there is none."""
        ...


class Demo:
    """The routes under `/demo`: for whoever may reach it, but by its own name.

    Args:
        cast: Whom one may be.
        office: Issues tokens.
        clock: Tells the simulated time; None before it runs.
    """

    def __init__(
        self,
        *,
        cast: Cast,
        office: TokenOffice,
        clock: Callable[[], DemoClock | None],
    ) -> None:
        self._cast = cast
        self._office = office
        self._clock = clock

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers."""
        choose = post(
            "/demo/token",
            status_code=200,
            security=[{}],
            responses=problem_responses(400, 403, 404, 413),
        )
        look = get("/demo/people", security=[{}], responses=problem_responses(403))
        tell = get("/demo/clock", security=[{}], responses=problem_responses(403, 404))
        return [look(self.people), tell(self.clock), choose(self.token)]

    async def people(self, request: Request[Any, Any, Any]) -> DemoPeople:
        """List the simulated people that one may be."""
        _refuse_rebound(request)
        return DemoPeople(list(self._cast.people()))

    async def clock(self, request: Request[Any, Any, Any]) -> DemoClock:
        """Return the time in the simulated building."""
        _refuse_rebound(request)
        now = self._clock()
        if now is None:
            raise NotFound(NOT_FOUND)
        return now

    async def token(
        self, request: Request[Any, Any, Any], data: JSONBody[Choice]
    ) -> DemoToken:
        """Return a token for a simulated person."""
        _refuse_rebound(request)
        name = self._cast.name(data.person)
        if name is None:
            raise NotFound(NOT_FOUND)
        issued = self._office.issue(data.person, name)
        return DemoToken(issued.token, issued.expires_at_ms, name)


def _refuse_rebound(request: Request[Any, Any, Any]) -> None:
    """Send away a page from elsewhere whose name was made to point at this machine.

    Raises:
        Forbidden: It is one.
    """
    if is_rebound(request.scope):
        raise Forbidden("this demo is not called by that name")
