"""Who a bearer token stands for: signed, in time, for us, and small enough to look at.

The rules come before the library: a token is measured, split and its header read by a
closed list of names before any key is touched, and the key says which algorithm checks
it. What is refused is answered one way, and nothing of it is kept or logged.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from engine.errors import ConfigError, Unauthorized
from engine.spelling import Id  # noqa: TC001 - read at run time by msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from engine.query.keys import VerificationKey

MAX_TOKEN_BYTES = 8 * 1024
MAX_HEADER_CHARS = 1024
MAX_REMEMBERED = 4096
"""Tokens whose signature was checked already: some 300 bytes each."""

_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TYPES = frozenset({None, "JWT", "at+jwt"})
_MAX_TIME_S = 1 << 38
"""Some 8,700 years: beyond it a time is a mistake, and multiplication stays exact."""


class Caller(NamedTuple):
    """Who asks, as a token says.

    Attributes:
        tenant: The organisation; every name in a request is looked up in it alone.
        login: The organisation's name for the person; "" for an anonymous reader.
        name: What colleagues see.
        expires_at_ms: When the token is no longer accepted (leeway included).
    """

    tenant: str
    login: str
    name: str
    expires_at_ms: int


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """All that a header may say: no `crit`, `jku`, `jwk`, `x5u`, `b64`, `zip`."""

    alg: str
    typ: str | None = None
    kid: str | None = None
    x5t: str | None = None
    x5t_s256: str | None = msgspec.field(default=None, name="x5t#S256")


class _Claims(msgspec.Struct):
    """What is read of a payload; an issuer may say more, it is passed over."""

    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    tenant: Id
    exp: float
    nbf: float = 0
    iat: float = 0
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    iss: str | None = None
    aud: str | list[str] = []


class Authenticator:
    """Tells who a token stands for; used by HTTP and by the WebSocket alike.

    A token that passed is remembered by its digest until it expires, so that the
    signature of a polling client is checked once. At most `MAX_REMEMBERED`.

    Args:
        keys: With what tokens are checked; several need a `kid` each.
        clock_ms: The clock.
        tenants: Which tenants this engine serves.
        issuer: What `iss` must be, or None: not looked at.
        audience: What `aud` must name, or None: not looked at.
        leeway_s: How far the issuer's clock may be off.

    Raises:
        ConfigError: There is no key.
    """

    def __init__(  # noqa: PLR0913 - one rule each, by name
        self,
        keys: Sequence[VerificationKey],
        *,
        clock_ms: Callable[[], int],
        tenants: Container[str],
        issuer: str | None = None,
        audience: str | None = None,
        leeway_s: int = 60,
    ) -> None:
        if not keys:
            raise ConfigError("sign-in needs a key: a secret, a public key or a JWKS")
        self._keys = {key.kid: key for key in keys}
        self._only = keys[0] if len(keys) == 1 else None
        self._clock_ms = clock_ms
        self._tenants = tenants
        self._issuer = issuer
        self._audience = audience
        self._leeway_ms = 1000 * leeway_s
        self._remembered: dict[bytes, Caller] = {}

    def authenticate(self, token: str) -> Caller:
        """Return who the token stands for.

        Raises:
            Unauthorized: Not accepted; the message is the same for every reason.
        """
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise _refusal()
        now_ms = self._clock_ms()
        # The digest, so that no token lies in memory after its request.
        digest = hashlib.blake2b(token.encode(), digest_size=16).digest()
        caller = self._remembered.get(digest)
        if caller is None:
            caller = self._verify(token, now_ms)
            if len(self._remembered) >= MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[digest] = caller
        elif now_ms >= caller.expires_at_ms:
            del self._remembered[digest]
            raise _refusal()
        return caller

    def _verify(self, token: str, now_ms: int) -> Caller:
        parts = _TOKEN.fullmatch(token)
        if parts is None or len(parts[1]) > MAX_HEADER_CHARS:
            raise _refusal()
        try:
            header = msgspec.json.decode(_bytes(parts[1]), type=_Header)
            _unique(_bytes(parts[1]))
            signed = f"{parts[1]}.{parts[2]}".encode()
            self._check_signature(header, signed, _bytes(parts[3]))
            claims = msgspec.convert(_unique(_bytes(parts[2])), _Claims)
        except (ValueError, JoseError, RecursionError):
            # `from None`: the error's own text may hold a piece of the token.
            raise _refusal() from None
        return self._caller(claims, now_ms)

    def _check_signature(self, header: _Header, signed: bytes, mark: bytes) -> None:
        key = self._keys.get(header.kid)
        if key is None and self._only and None in (header.kid, self._only.kid):
            key = self._only  # the one key, where either side does not name it
        if key is None or header.alg not in key.algorithms or header.typ not in _TYPES:
            raise _refusal()
        algorithm = JWSRegistry.algorithms[header.alg]
        algorithm.check_key(key.key)
        if not algorithm.verify(signed, mark, key.key):
            raise _refusal()

    def _caller(self, claims: _Claims, now_ms: int) -> Caller:
        now_s, leeway_s = now_ms / 1000, self._leeway_ms / 1000
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        accepted = (
            all(map(_is_time, (claims.exp, claims.nbf, claims.iat)))
            and now_s < claims.exp + leeway_s
            and now_s >= max(claims.nbf, claims.iat) - leeway_s
            and self._issuer in (None, claims.iss)
            and (self._audience is None or self._audience in audiences)
            and claims.tenant in self._tenants
            and claims.sub.isprintable()
            and claims.sub.strip() == claims.sub
        )
        if not accepted:
            raise _refusal()
        name = claims.name if claims.name.isprintable() else ""
        expires_at_ms = int(claims.exp * 1000) + self._leeway_ms
        return Caller(claims.tenant, claims.sub, name or claims.sub, expires_at_ms)


def _refusal() -> Unauthorized:
    return Unauthorized("sign in: a valid bearer token is needed")


def _is_time(seconds: float) -> bool:
    return math.isfinite(seconds) and 0 <= seconds < _MAX_TIME_S


def _bytes(part: str) -> bytes:
    """Decode base64url, in its one canonical spelling.

    Raises:
        ValueError: Not base64url, or bits that no encoder sets.
    """
    data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part.encode():
        raise ValueError
    return data


def _unique(data: bytes) -> dict[str, Any]:
    """Decode a JSON object whose members, at any depth, have one name each.

    Parsers differ in which of two equal names wins; no honest issuer sends both.

    Raises:
        ValueError: Not JSON, not an object, NaN, or a name twice.
        RecursionError: Too deep.
    """

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError
        return found

    def constant(_: str) -> float:
        raise ValueError

    value = json.loads(data, object_pairs_hook=members, parse_constant=constant)
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - wrong input, not a wrong call
    return value
