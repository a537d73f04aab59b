"""The keys that sign-in tokens are checked with, each tied to its algorithms.

A key comes first and says which algorithms it may be used with; the header of a token
never chooses. So a public key can't be taken for a shared secret, whatever a token
says (RFC 8725, 3.1).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey, import_key

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

MIN_SECRET_BYTES = 32
"""As long as the digest of HS256, as RFC 7518, 3.2 requires."""

MIN_RSA_BITS = 2048
MAX_KEYS = 64
MAX_KEY_FILE_BYTES = 256 * 1024

_WHAT_FITS = "write an RSA (2048 bits or more), EC P-256 or Ed25519 key"


class VerificationKey(NamedTuple):
    """A key, and all that it may be used for.

    Attributes:
        key: The key.
        algorithms: Names of the `alg` header that it may check.
        kid: Its name in a key set, or None where there is just this key.
    """

    key: Key
    algorithms: frozenset[str]
    kid: str | None = None


def shared_secret(secret: bytes) -> VerificationKey:
    """Return the HS256 key of a secret that the issuer holds too.

    Raises:
        ConfigError: It is shorter than `MIN_SECRET_BYTES`, or is a public key.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"the shared secret for tokens has {len(secret)} bytes; write at least "
            f"{MIN_SECRET_BYTES}, for example the output of `openssl rand -hex 32`"
        )
    if b"-----BEGIN" in secret:
        raise ConfigError(
            "the shared secret for tokens is a PEM file; name it as the public key"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", SecurityWarning)
        try:
            key = OctKey.import_key(secret)
        except (ValueError, SecurityWarning):
            raise ConfigError(
                "the shared secret for tokens looks like a public key, which everybody "
                "may know; name it as the public key"
            ) from None
    return VerificationKey(key, frozenset({"HS256"}))


def public_key(pem: bytes, name: str) -> VerificationKey:
    """Return the key of a PEM file; `name` is for errors.

    Raises:
        ConfigError: It is no public key of a kind that is accepted.
    """
    if len(pem) > MAX_KEY_FILE_BYTES or b"PRIVATE" in pem or b"BEGIN PUBLIC" not in pem:
        raise ConfigError(
            f"{name}: does not begin with -----BEGIN PUBLIC KEY-----; {_WHAT_FITS}"
        )
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            with warnings.catch_warnings(action="ignore"):  # `_algorithms` judges it
                key: Key = kind.import_key(pem)
            break
        except (JoseError, ValueError, TypeError):
            continue
    else:
        raise ConfigError(f"{name}: cannot be read as a PEM public key; {_WHAT_FITS}")
    return VerificationKey(key, _algorithms(key, name))


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def key_set(data: bytes, name: str) -> list[VerificationKey]:
    """Return the signing keys of a JWKS file; `name` is for errors.

    Keys for encryption are passed over; anything else that does not fit is an error
    rather than a surprise at the first sign-in.

    Raises:
        ConfigError: Not a key set, a private or symmetric key, two keys of one name.
    """
    if len(data) > MAX_KEY_FILE_BYTES:
        raise ConfigError(f"{name}: is over {MAX_KEY_FILE_BYTES} bytes, not a key set")
    try:
        entries = msgspec.json.decode(data, type=_KeySet).keys
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ConfigError(
            f'{name}: is not a JWKS file; it has the form {{"keys": [...]}}'
        ) from None
    signing = [entry for entry in entries if entry.get("use", "sig") == "sig"]
    if not 0 < len(signing) <= MAX_KEYS:
        raise ConfigError(f"{name}: holds {len(signing)} signing keys, not 1 to 64")
    found = [_entry(entry, f"{name}, key {i}") for i, entry in enumerate(signing)]
    _check_names(found, name)
    return found


def _entry(entry: dict[str, Any], where: str) -> VerificationKey:
    if entry.get("kty") == "oct" or "d" in entry or "k" in entry:
        raise ConfigError(
            f"{where}: is private or symmetric; a key set holds public keys alone"
        )
    kid = entry.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise ConfigError(f'{where}: "kid" must be a text')
    try:
        with warnings.catch_warnings(action="ignore"):  # `_algorithms` judges it
            key = import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        raise ConfigError(f"{where}: cannot be read; {_WHAT_FITS}") from None
    algorithms = _algorithms(key, where)
    declared = entry.get("alg")
    if declared is not None:
        if declared not in algorithms:
            raise ConfigError(
                f'{where}: "alg" must be one of {", ".join(sorted(algorithms))}'
            )
        algorithms = frozenset({str(declared)})
    return VerificationKey(key, algorithms, kid)


def _check_names(keys: Iterable[VerificationKey], name: str) -> None:
    kids = [key.kid for key in keys]
    if len(kids) > 1 and None in kids:
        raise ConfigError(f'{name}: has several keys, so each needs a "kid"')
    if len(set(kids)) != len(kids):
        raise ConfigError(f'{name}: has two keys of the same "kid"')


def _algorithms(key: Key, where: str) -> frozenset[str]:
    """Return what a public key may check.

    Raises:
        ConfigError: A kind, curve or size that is not accepted.
    """
    match key:
        case RSAKey() if key.public_key.key_size >= MIN_RSA_BITS:
            return frozenset({"RS256"})
        case ECKey() if key.curve_name == "P-256":
            return frozenset({"ES256"})
        case OKPKey() if key.curve_name == "Ed25519":
            # One algorithm under two names: RFC 8037, and RFC 9864 after it.
            return frozenset({"EdDSA", "Ed25519"})
        case _:
            raise ConfigError(f"{where}: is of a kind that is not used; {_WHAT_FITS}")
