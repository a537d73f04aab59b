"""What the caller decides about themselves: sharing on, sharing off, what is held."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec
from litestar import Request, delete, get, put
from litestar.params import JSONBody  # noqa: TC002 - read at run time

from engine.errors import BadRequest
from engine.model import MAX_DEVICES
from engine.query.problem import problem_responses
from engine.spelling import canonical_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.handlers import HTTPRouteHandler

    from engine.model import Person
    from engine.query.access import Access


class ConsentActions(Protocol):
    """What a person may do about their own consent; durable before it returns.

    Each raises `StoreAway` where the registry does not answer.
    """

    async def opt_in(
        self, tenant: str, login: str, name: str, devices: tuple[str, ...] | None
    ) -> Person:
        """Share from now on; `devices` None keeps those that are registered."""
        ...

    async def opt_out(self, tenant: str, login: str) -> None:
        """Share no more, and erase the location in the same step."""
        ...

    async def state(self, tenant: str, login: str) -> Person | None:
        """Return what is held about the person, None where they do not share."""
        ...


class Consent(msgspec.Struct, frozen=True):
    """Whether the caller shares, and what is held for it.

    Attributes:
        since_ms: When they opted in, or null.
        name: What colleagues see.
        devices: Registered device addresses, `a4:83:e7:00:00:01`.
    """

    sharing: bool
    since_ms: int | None
    name: str
    devices: list[str]


class Devices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Devices that stand for the caller; left out: those registered stay."""

    devices: (
        Annotated[
            list[Annotated[str, msgspec.Meta(max_length=32)]],
            msgspec.Meta(max_length=MAX_DEVICES),
        ]
        | None
    ) = None


class Me:
    """The routes under `/v1/me`."""

    def __init__(self, *, access: Access, consent: ConsentActions) -> None:
        self._access = access
        self._consent = consent

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers."""
        path = "/v1/me/consent"
        seen = problem_responses(401, 503)
        changed = problem_responses(400, 401, 413, 503)
        return [
            get(path, responses=seen)(self.state),
            put(path, responses=changed)(self.opt_in),
            delete(path, responses=seen)(self.opt_out),
        ]

    async def state(self, request: Request[Any, Any, Any]) -> Consent:
        """Return whether the caller shares, and what is held."""
        caller = self._access.caller(request.scope)
        person = await self._consent.state(caller.tenant, caller.login)
        return _consent(person, caller.name)

    async def opt_in(
        self, request: Request[Any, Any, Any], data: JSONBody[Devices | None] = None
    ) -> Consent:
        """Share from now on. The body may name devices; it may be left out."""
        caller = self._access.caller(request.scope)
        devices = None if data is None else data.devices
        person = await self._consent.opt_in(
            caller.tenant,
            caller.login,
            caller.name,
            None if devices is None else tuple(dict.fromkeys(map(_address, devices))),
        )
        return _consent(person, caller.name)

    async def opt_out(self, request: Request[Any, Any, Any]) -> None:
        """Share no more; the location is erased when this answers."""
        caller = self._access.caller(request.scope)
        await self._consent.opt_out(caller.tenant, caller.login)


def _consent(person: Person | None, name: str) -> Consent:
    if person is None:
        return Consent(sharing=False, since_ms=None, name=name, devices=[])
    devices = [":".join(re.findall("..", device)) for device in person.devices]
    return Consent(True, person.since_ms, person.name, devices)  # noqa: FBT003 - named by the type


def _address(text: str) -> str:
    address = canonical_address(text)
    if address is None:
        raise BadRequest(
            "devices: write each address as six pairs of hexadecimal digits"
        )
    return address
