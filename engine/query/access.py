"""Who may ask: the token of a request, or nobody's on the demo's own machine."""

from __future__ import annotations

import hmac
import re
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from engine.errors import StoreAway, Unauthorized
from engine.query.auth import Caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import Scope

    from engine.query.auth import Authenticator

_BEARER = b"bearer "
_LOCAL_HOST = re.compile(
    r"(localhost|127\.[0-9]+\.[0-9]+\.[0-9]+|\[::1\])(:[0-9]+)?", re.IGNORECASE
)
ANY_TIME_MS = 1 << 53
"""When the access of an anonymous reader ends: never."""


class Access:
    """Answers for every route who the caller is.

    Args:
        authenticator: Checks tokens.
        open_tenant: The demo's tenant, whose anonymous occupancy anyone on the
            loopback address may read; None: nobody reads without a token.
        loaded: Whether it is known who shares. Until then nothing is answered about
            people: "nobody" would be a guess.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        open_tenant: str | None = None,
        loaded: Callable[[], bool] = lambda: True,
    ) -> None:
        self._authenticate = authenticator.authenticate
        self._loaded = loaded
        self._anyone = (
            None if open_tenant is None else Caller(open_tenant, "", "", ANY_TIME_MS)
        )

    def caller(self, scope: Scope) -> Caller:
        """Return the signed-in person who asks about people, themselves included.

        Raises:
            Unauthorized: No token, or one that is not accepted.
            StoreAway: It is not known yet who shares.
        """
        caller = self._signed_in(scope)
        if not self._loaded():
            raise StoreAway("the engine still waits for a store; try again")
        return caller

    def reader(self, scope: Scope) -> Caller:
        """Return who reads anonymous occupancy: one with a token, or anyone if open.

        A token that is sent must be good, also where none is needed.

        Raises:
            Unauthorized: No token, or one that is not accepted.
        """
        if (
            self._anyone is not None
            and authorization(scope) is None
            and is_from_here(*_peer_and_host(scope))
        ):
            return self._anyone
        return self._signed_in(scope)

    def _signed_in(self, scope: Scope) -> Caller:
        credentials = authorization(scope)
        if credentials is None or credentials[:7].lower() != _BEARER:
            raise Unauthorized("sign in: a valid bearer token is needed")
        return self._authenticate(credentials[7:].decode("latin-1"))


def authorization(scope: Scope) -> bytes | None:
    """Return the Authorization header; None where there is none, or more than one."""
    found: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if found is not None:
                return b""  # two: which one would a proxy have looked at?
            found = value
    return found


def is_from_here(address: str | None, host: str) -> bool:
    """Return whether a request comes from this machine, and was meant for it.

    Args:
        address: The peer's own; a header that names another can be written by anyone.
        host: The `Host` header. A page from elsewhere whose name was made to point at
            this machine sends that name (DNS rebinding).
    """
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_loopback and _LOCAL_HOST.fullmatch(host) is not None


def is_rebound(scope: Scope) -> bool:
    """Return whether a request comes from this machine, by a name that is not its own.

    So a page from elsewhere would ask, through the browser of somebody who works here.
    """
    address, host = _peer_and_host(scope)
    return is_from_here(address, "localhost") and not is_from_here(address, host)


def may_scrape(scope: Scope, secret: bytes | None) -> bool:
    """Return whether a request has the secret, or, without one, comes from here.

    Where there is a secret it is always needed: a proxy on this machine would else lend
    its address to everybody.
    """
    if secret is None:
        return is_from_here(*_peer_and_host(scope))
    sent = authorization(scope) or b""
    return sent[:7].lower() == _BEARER and hmac.compare_digest(sent[7:].strip(), secret)


def _peer_and_host(scope: Scope) -> tuple[str | None, str]:
    client = scope.get("client")
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    host = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
    return (client[0] if client else None), host
