"""How names are spelt: what an id may be, and one spelling of logins and addresses."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Collection

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What an id may look like, at every boundary (no MQTT wildcard, no path, no space)."""

# \Z rather than $, which would let a line feed follow.
Id = Annotated[str, Meta(pattern=rf"^{ID.pattern}\Z")]
"""An id in what msgspec decodes."""

_SEPARATORS = str.maketrans("", "", ":-. ")
_BARE_ADDRESS = re.compile(r"[0-9a-f]{12}")
_SEPARATED_ADDRESS = re.compile(
    r"[0-9a-f]{1,2}(?:[:-][0-9a-f]{1,2}){5}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}"
)


def canonical_login(text: str, realms: Collection[str] = ()) -> str:
    r"""Return one spelling for a login.

    `DOMAIN\user` and `user@realm` become `user` where the realm is one of ours. A
    login of another realm stays whole: `ada@elsewhere` is a visitor, not our Ada. So
    does one with more than one realm: a canonical login is its own canonical login.

    Args:
        text: As a source or a token spells it.
        realms: Our realms and domains, in lower case.
    """
    login = text.strip().lower()
    if "\\" in login:
        domain, _, user = login.partition("\\")
    elif "@" in login:
        user, _, domain = login.rpartition("@")
    else:
        return login
    plain = user == user.strip() and "@" not in user and "\\" not in user
    return user if plain and domain in realms else login


def canonical_address(text: str) -> str | None:
    """Return a device address as 12 lower-case hexadecimal digits, None if it is none.

    Unpadded octets (`0:52:bf:74:b:0`) are padded: some controllers send them.
    """
    address = text.translate(_SEPARATORS).lower()
    if len(address) != 12:  # noqa: PLR2004 - digits of an address
        octets = re.split("[:-]", text.strip().lower())
        if len(octets) != 6:  # noqa: PLR2004 - octets of an address
            return None
        address = "".join(octet.zfill(2) for octet in octets)
    return address if _BARE_ADDRESS.fullmatch(address) else None


def device_address(text: str) -> int:
    """Return a device address as a number of 48 bits, -1 where it is none.

    Reads what `canonical_address` reads.
    """
    digits = text.replace(":", "")
    try:
        octets = bytes.fromhex(digits)
    except ValueError:
        octets = b""
    if len(octets) == 6 and len(digits) == 12:  # noqa: PLR2004 - octets, digits
        return int.from_bytes(octets)
    address = canonical_address(text)
    return -1 if address is None else int(address, 16)


@lru_cache(maxsize=8192)
def canonical_ap(text: str) -> str:
    """Return one spelling for an access point, however a source spells it.

    A radio address in any of its spellings (also RFC 3580's `address:SSID`) becomes 12
    lower-case hexadecimal digits; any other name is stripped and lower-cased.
    """
    name = text.strip().lower()
    if _BARE_ADDRESS.fullmatch(name[:12]) and (len(name) == 12 or name[12] == ":"):  # noqa: PLR2004 - digits of an address
        return name[:12]
    address = _SEPARATED_ADDRESS.match(name)
    if address is None or name[address.end() : address.end() + 1] not in ("", ":"):
        return name
    return "".join(octet.zfill(2) for octet in re.split("[:.-]", address[0]))
