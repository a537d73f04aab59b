"""Which web pages may open a socket here, and who is at its other end.

A browser sends its cookies, and a socket from the loopback address may need no token,
so any page in the world could read the map through its visitor's browser. The `Origin`
header, which a page cannot forge, is compared whole: no prefix, no suffix, no pattern.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_ORIGIN = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)
_DEFAULT_PORT = {"http": "80", "https": "443"}
_ONE_HEADER = 1


def origin_allowed(
    origins: Sequence[str], hosts: Sequence[str], allowed: Collection[str]
) -> bool:
    """Decide whether the page that opens a socket may.

    Args:
        origins: Every `Origin` header of the request.
        hosts: Every `Host` header of the request.
        allowed: Origins besides the server's own, `https://map.example`.

    Returns:
        True without an `Origin` (no browser), for an allowed origin, and for a page
        that came from the very host and port that it now calls.
    """
    if not origins:
        return True
    if len(origins) != _ONE_HEADER or len(hosts) != _ONE_HEADER:
        return False
    origin = _canonical(origins[0])
    if origin is None:
        return False
    if origin in {_canonical(one) for one in allowed}:
        return True
    scheme = origin.partition("://")[0]
    # The host is the one the browser called, so it shares the scheme of the page;
    # whether a proxy took the TLS off before us does not matter.
    return origin == _canonical(f"{scheme}://{hosts[0]}")


def host_allowed(hosts: Sequence[str], allowed: Collection[str] | None) -> bool:
    """Decide whether the request is for a name of ours.

    A page whose name its owner points at 127.0.0.1 ("DNS rebinding") has the same host
    and origin. Where an address grants rights, the names must be known.

    Args:
        hosts: Every `Host` header of the request.
        allowed: Lower-case names without port, or None: any.
    """
    if allowed is None:
        return True
    if len(hosts) != _ONE_HEADER:
        return False
    match = _ORIGIN.fullmatch(f"http://{hosts[0]}")
    return match is not None and match[2].lower() in allowed


def peer_address(
    peer: str | None, headers: Mapping[str, str], proxies: Collection[str]
) -> str | None:
    """Return the address of the client behind the proxies that we trust.

    Args:
        peer: Address of the connection's other end.
        headers: Of the request, names in lower case.
        proxies: Addresses whose `X-Forwarded-For` is believed.
    """
    if peer not in proxies:
        return peer
    chain = [one.strip() for one in headers.get("x-forwarded-for", "").split(",")]
    for address in reversed(chain):
        if address and address not in proxies:
            return address
    return peer


def _canonical(origin: str) -> str | None:
    """Return `scheme://host:port` in lower case, or None where it is no origin."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return None
    scheme, host, port = match[1].lower(), match[2].lower(), match[3]
    return f"{scheme}://{host}:{port or _DEFAULT_PORT[scheme]}"
