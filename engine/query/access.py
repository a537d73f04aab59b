"""Who may ask: the token of a request, or nobody's on the demo's own machine."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from engine.errors import Unauthorized
from engine.query.auth import Caller

if TYPE_CHECKING:
    from litestar.types import Scope

    from engine.query.auth import Authenticator

_BEARER = b"bearer "
ANY_TIME_MS = 1 << 53
"""When the access of an anonymous reader ends: never."""


class Access:
    """Answers for every route who the caller is.

    Args:
        authenticator: Checks tokens.
        open_tenant: The demo's tenant, whose anonymous occupancy anyone on the
            loopback address may read; None: nobody reads without a token.
    """

    def __init__(
        self, authenticator: Authenticator, *, open_tenant: str | None = None
    ) -> None:
        self._authenticate = authenticator.authenticate
        self._anyone = (
            None if open_tenant is None else Caller(open_tenant, "", "", ANY_TIME_MS)
        )

    def caller(self, scope: Scope) -> Caller:
        """Return the signed-in person who asks.

        Raises:
            Unauthorized: No token, or one that is not accepted.
        """
        credentials = authorization(scope)
        if credentials is None or credentials[:7].lower() != _BEARER:
            raise Unauthorized("sign in: a valid bearer token is needed")
        return self._authenticate(credentials[7:].decode("latin-1"))

    def reader(self, scope: Scope) -> Caller:
        """Return who reads anonymous occupancy: `caller`, or anyone where it is open.

        A token that is sent must be good, also where none is needed.

        Raises:
            Unauthorized: As `caller`.
        """
        if (
            self._anyone is not None
            and authorization(scope) is None
            and is_loopback(scope)
        ):
            return self._anyone
        return self.caller(scope)


def authorization(scope: Scope) -> bytes | None:
    """Return the Authorization header; None where there is none, or more than one."""
    found: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if found is not None:
                return b""  # two: which one would a proxy have looked at?
            found = value
    return found


def is_loopback(scope: Scope) -> bool:
    """Return whether the connection itself comes from this machine.

    The peer's address alone: a header that names another can be written by anyone.
    """
    client = scope.get("client")
    if not client:
        return False
    try:
        address = ip_address(client[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
