"""How a webhook proves who sends it: a row of pure functions for each scheme.

Two looks at a request, so that one which proves nothing costs nothing:

1. `head` sees its headers alone, before a byte of the body is read. WRONG ends it.
2. `body` sees the raw bytes, as they came: a signature is over these, not over what a
   decoder makes of them. A scheme without it is decided by the headers.

===================  ==================================================================
`secret`             the secret, as bearer token or as password of HTTP Basic
`basic`              HTTP Basic with the user name `user`, and the secret as password
`header`             the secret, as the value of the header that `header` names
`mist`               Juniper Mist: hex HMAC-SHA256 in `X-Mist-Signature-v2`; the older
                     SHA-1 in `X-Mist-Signature` proves nothing
`disruptive`         Disruptive Technologies: `X-Dt-Signature` is a JWT (HS256) with
                     the `checksum_sha256` of the body, `iat` and `exp`
`standard-webhooks`  standardwebhooks.com: `webhook-id`, `-timestamp`, `-signature`
`hmac-sha256`        any other HMAC-SHA256: `header` has it, in hex or base64
                     (`encoding`), behind `prefix`; `timestamp_header` has the time
                     that is signed too, as `signed` says ("{timestamp}.{body}")
`meraki`             Cisco Meraki: the secret stands in the body, as `secret`
`body`               the same of any field (`field`, "password"), and of `username`
                     where `user` is set: Terabee
===================  ==================================================================

Rules of all of them:

- Secrets and signatures are compared in constant time: secrets by their SHA-256, so
  that not even their length can be timed.
- A header that decides and comes twice is none: a proxy may have looked at the other.
- A signed time is good for `WINDOW_MS` either way (Standard Webhooks); that of a JWT
  until its `exp`.
- `Proof.key` names a post where that is safe: the same bytes again are then the same
  post, by a sender that got no answer or by somebody who listened. Where nothing signed
  tells the time ("4 people", and an hour later again), two posts may well be equal, and
  no key is given; what bounds a replay there is the order of observations in time.
- A secret in a body is looked for as text, anywhere in it: whoever wrote it there knows
  it. No decoder could be asked, as a body may be tens of megabytes, and Meraki's may
  have a bare NaN. It proves the sender, not the body.

Nothing here raises on what a sender does, and no text of a sender leaves a function.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import warnings
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, TypeAlias

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OctKey

from engine.errors import ConfigError
from engine.model import Proof, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

WINDOW_MS = 300_000
"""How far a signed time may be from ours, either way."""

REMEMBER_MS = 3_600_000
"""For how long a post is known again that its sender may sign anew: as long as a JWT
of Disruptive Technologies is good."""

MAX_HEADER_BYTES = 8192
"""Of a header that decides; more is no proof."""

MIN_SECRET_BYTES = 16

Headers: TypeAlias = "Iterable[tuple[bytes, bytes]]"
"""As ASGI has them: names in lower case."""


class Terms(NamedTuple):
    """What a source and its sender agreed on; the names are those of the configuration.

    Attributes:
        secret: What both know.
        user: User name of HTTP Basic, or in the body.
        header: Name of the header that has the secret or the signature.
        prefix: What stands in it before the signature.
        encoding: Of the signature.
        timestamp_header: Name of the header that has the signed time, in seconds or
            milliseconds since 1970.
        signed: What is signed: a text with `{timestamp}` and, at its end, `{body}`.
        field: Name of the field of the body that has the secret.
    """

    secret: bytes
    user: str | None = None
    header: str | None = None
    prefix: str | None = None
    encoding: Literal["hex", "base64"] | None = None
    timestamp_header: str | None = None
    signed: str | None = None
    field: str | None = None


class Scheme(NamedTuple):
    """One way to prove who sends.

    Attributes:
        name: As in `verify` of a source.
        head: Looks at the headers.
        body: Looks at the body; None: the headers decide.
        proves: Headers that are not WRONG prove the sender; the body must fit them.
        needs, takes: Which terms it has besides the secret.
    """

    name: str
    head: Callable[[Terms, Headers, int], Verdict]
    body: Callable[[Terms, Headers, bytes, int], Proof] | None = None
    proves: bool = False
    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()


class Verifier(NamedTuple):
    """A scheme on its terms: all that the route asks."""

    scheme: Scheme
    terms: Terms

    @property
    def proves(self) -> bool:
        """Whether headers that are not WRONG prove the sender."""
        return self.scheme.proves

    def head(self, headers: Headers, now_ms: int) -> Verdict:
        """Look at the headers, before the body is read."""
        return self.scheme.head(self.terms, headers, now_ms)

    def body(self, headers: Headers, body: bytes, now_ms: int) -> Proof:
        """Look at headers and body, where `head` left it OPEN or said RIGHT."""
        if self.scheme.body is None:
            return Proof(self.scheme.head(self.terms, headers, now_ms))
        return self.scheme.body(self.terms, headers, body, now_ms)


def verifier(name: str, terms: Terms) -> Verifier:
    """Return what checks the requests of a source.

    Raises:
        ConfigError: No such scheme, or terms that it does not have or cannot use; the
            sentence begins with the key, so put the place before it.
    """
    scheme = SCHEMES.get(name)
    if scheme is None:
        raise ConfigError(f"verify must be one of {', '.join(sorted(SCHEMES))}")
    secret = terms.secret
    if scheme.body is _standard_body:
        secret = _standard_secret(secret)
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(f"its secret needs {MIN_SECRET_BYTES} characters or more")
    given = {key for key in Terms._fields[1:] if getattr(terms, key) is not None}
    missing = sorted(scheme.needs - given)
    if missing:
        raise ConfigError(f'verify = "{name}" needs {missing[0]}')
    strange = sorted(given - scheme.needs - scheme.takes)
    if strange:
        fits = [other for other in _ROWS if strange[0] in other.needs | other.takes]
        names = " or ".join(f'"{other.name}"' for other in fits)
        raise ConfigError(
            f'{strange[0]} means nothing to verify = "{name}": leave it out, or write '
            f"verify = {names}"
        )
    for key in ("header", "timestamp_header"):
        _check_name(key, getattr(terms, key))
    _check_signed(terms)
    return Verifier(scheme, terms)


def _check_name(key: str, name: str | None) -> None:
    if name is not None and _HEADER_NAME.fullmatch(name) is None:
        raise ConfigError(f"{key} is the name of a header, such as X-Signature")


def _check_signed(terms: Terms) -> None:
    if terms.signed is None:
        return
    if terms.timestamp_header is None:
        raise ConfigError("signed needs timestamp_header: without it, the body is")
    if terms.signed.count("{timestamp}") != 1 or not terms.signed.endswith("{body}"):
        raise ConfigError(
            "signed has {timestamp} once and ends in {body}, as in "
            '"{timestamp}.{body}" or "v0:{timestamp}:{body}"'
        )


# ---------------------------------------------------------------- secrets in headers


def _secret_head(terms: Terms, headers: Headers, now_ms: int) -> Verdict:
    del now_ms
    kind, value = _credentials(headers)
    sent = value.partition(b":")[2] if kind == b"basic" else value
    return _right(_same(sent, terms.secret))


def _basic_head(terms: Terms, headers: Headers, now_ms: int) -> Verdict:
    del now_ms
    kind, value = _credentials(headers)
    wanted = f"{terms.user}:".encode() + terms.secret
    return _right(kind == b"basic" and _same(value, wanted))


def _header_head(terms: Terms, headers: Headers, now_ms: int) -> Verdict:
    del now_ms
    return _right(_same(_one(headers, terms.header), terms.secret))


def _credentials(headers: Headers) -> tuple[bytes, bytes]:
    """Return `bearer` and the token, `basic` and `user:password`, or twice b""."""
    kind, _, value = _one(headers, "authorization").partition(b" ")
    kind, value = kind.lower(), value.strip()
    if kind == b"bearer":
        return kind, value
    if kind == b"basic":
        try:
            return kind, base64.b64decode(value, validate=True)
        except binascii.Error:
            pass
    return b"", b""


# ---------------------------------------------------------------- signed bodies


def _mist_head(terms: Terms, headers: Headers, now_ms: int) -> Verdict:
    del terms, now_ms
    return _open(_HEX.fullmatch(_one(headers, "x-mist-signature-v2")))


def _mist_body(terms: Terms, headers: Headers, body: bytes, now_ms: int) -> Proof:
    sent = _one(headers, "x-mist-signature-v2").lower()
    right = hmac.compare_digest(_mac(terms.secret, body).hex().encode(), sent)
    # No time is signed, but every event of a body has its own: equal bytes are equal.
    return _proof(right, _digest(body), now_ms + REMEMBER_MS)


def _hmac_head(terms: Terms, headers: Headers, now_ms: int) -> Verdict:
    if _signature(terms, headers) is None:
        return Verdict.WRONG
    if terms.timestamp_header is None:
        return Verdict.OPEN
    return _timely(_time_ms(_one(headers, terms.timestamp_header)), now_ms)


def _hmac_body(terms: Terms, headers: Headers, body: bytes, now_ms: int) -> Proof:
    del now_ms
    sent = _signature(terms, headers) or b""
    before, written, at_ms = b"", b"", None
    if terms.timestamp_header is not None:
        written = _one(headers, terms.timestamp_header)
        at_ms = _time_ms(written)
        shape = (terms.signed or "{timestamp}.{body}").removesuffix("{body}").encode()
        before = shape.replace(b"{timestamp}", written)
    mac = _mac(terms.secret, before, body)
    right = hmac.compare_digest(_written(mac, terms), sent)
    if at_ms is None:
        return _proof(right)
    return _proof(right, _digest(before + _digest(body)), at_ms + WINDOW_MS)


def _signature(terms: Terms, headers: Headers) -> bytes | None:
    """Return the signature behind its prefix, None where there is no such thing."""
    value, prefix = _one(headers, terms.header), (terms.prefix or "").encode()
    if not value.startswith(prefix):
        return None
    sent = value[len(prefix) :]
    if terms.encoding == "base64":
        return sent if _BASE64.fullmatch(sent) else None
    return sent.lower() if _HEX.fullmatch(sent) else None


def _written(mac: bytes, terms: Terms) -> bytes:
    return base64.b64encode(mac) if terms.encoding == "base64" else mac.hex().encode()


def _standard_head(terms: Terms, headers: Headers, now_ms: int) -> Verdict:
    del terms
    if not (_one(headers, "webhook-id") and _one(headers, "webhook-signature")):
        return Verdict.WRONG
    return _timely(_time_ms(_one(headers, "webhook-timestamp")), now_ms)


def _standard_body(terms: Terms, headers: Headers, body: bytes, now_ms: int) -> Proof:
    post, written = _one(headers, "webhook-id"), _one(headers, "webhook-timestamp")
    secret = _standard_secret(terms.secret)
    mac = _mac(secret, post + b"." + written + b".", body)
    wanted = b"v1," + base64.b64encode(mac)
    # Several while a secret is changed; each is compared, however many fit.
    sent = _one(headers, "webhook-signature").split(b" ")[:MAX_SIGNATURES]
    right = sum(hmac.compare_digest(wanted, one) for one in sent) > 0
    # A post that is sent again keeps its id, and gets a time and signature of its own.
    key = _digest(post + b"." + _digest(body))
    return _proof(right, key, now_ms + REMEMBER_MS)


def _standard_secret(secret: bytes) -> bytes:
    """Return the key in a secret as it is shown: `whsec_` and base64.

    Raises:
        ConfigError: It is not base64.
    """
    text = secret.removeprefix(b"whsec_").rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ConfigError('its secret is not base64 behind "whsec_"') from None


class _Claims(msgspec.Struct):
    """What is read of the JWT of Disruptive Technologies."""

    checksum_sha256: Annotated[str, msgspec.Meta(min_length=64, max_length=64)]
    iat: Annotated[int, msgspec.Meta(ge=0, le=1 << 38)]
    exp: Annotated[int, msgspec.Meta(ge=0, le=1 << 38)]


def _disruptive_head(terms: Terms, headers: Headers, now_ms: int) -> Verdict:
    claims = _claims(terms, headers)
    if claims is None:
        return Verdict.WRONG
    timely = 1000 * claims.iat - WINDOW_MS <= now_ms < 1000 * claims.exp
    return Verdict.OPEN if timely else Verdict.STALE


def _disruptive_body(terms: Terms, headers: Headers, body: bytes, now_ms: int) -> Proof:
    claims = _claims(terms, headers)
    if claims is None:
        return Proof(Verdict.WRONG)
    digest = _digest(body)
    right = hmac.compare_digest(digest.hex().encode(), claims.checksum_sha256.encode())
    # Sent again it has a JWT of its own; every event has an id, so that equal bytes are
    # the same event.
    return _proof(right, digest, max(1000 * claims.exp, now_ms + REMEMBER_MS))


def _claims(terms: Terms, headers: Headers) -> _Claims | None:
    """Return what a JWT claims that is signed with the secret, whenever that was."""
    token = _one(headers, "x-dt-signature")
    with warnings.catch_warnings(action="ignore", category=SecurityWarning):
        key = OctKey.import_key(terms.secret)  # its length is ours to judge
    try:
        signed = jws.deserialize_compact(token, key, algorithms=["HS256"])
        return msgspec.json.decode(signed.payload, type=_Claims)
    except (ValueError, TypeError, JoseError, RecursionError):
        return None  # TypeError: joserfc's own, of a `crit` that is no list of names


# ---------------------------------------------------------------- secrets in bodies


def _anyone_head(terms: Terms, headers: Headers, now_ms: int) -> Verdict:
    del terms, headers, now_ms
    return Verdict.OPEN


def _meraki_body(terms: Terms, headers: Headers, body: bytes, now_ms: int) -> Proof:
    del headers, now_ms
    return _proof(_holds(body, "secret", terms.secret))


def _field_body(terms: Terms, headers: Headers, body: bytes, now_ms: int) -> Proof:
    del headers, now_ms
    known = _holds(body, terms.field or "password", terms.secret)
    if terms.user is not None:
        known &= _holds(body, "username", terms.user.encode())
    return _proof(known)


def _holds(body: bytes, field: str, wanted: bytes) -> bool:
    """Return whether a JSON text has a field with this value, wherever it stands.

    The whole body is searched for the name alone, which is quick whatever is in it: a
    value is looked at behind the first few only.
    """
    name = re.escape(msgspec.json.encode(field))
    found = islice(re.finditer(name + rb'\s{0,8}:\s{0,8}(?=")', body), MAX_FIELDS)
    values = [_text(body[one.end() : one.end() + MAX_TEXT_BYTES]) for one in found]
    return sum(_same(value, wanted) for value in values) > 0


def _text(start: bytes) -> bytes:
    """Return what the JSON string says that stands here, b"" where there is none."""
    literal = _STRING.match(start)
    try:
        return msgspec.json.decode(literal[0] if literal else b"", type=str).encode()
    except (msgspec.DecodeError, ValueError):
        return b""


# ---------------------------------------------------------------- what all share

MAX_SIGNATURES = 4
MAX_FIELDS = 4
MAX_TEXT_BYTES = 4096

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110, 5.6.2
_HEX = re.compile(rb"[0-9a-f]{64}|[0-9A-F]{64}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{43}=")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_DIGITS = re.compile(rb"[0-9]{9,14}")
_SECONDS_BELOW = 100_000_000_000
"""As in the time rules of formats: until the year 5138 a smaller number is seconds."""


def _one(headers: Headers, name: str | None) -> bytes:
    """Return the value of a header; b"" where it is absent, there twice, or long."""
    wanted = (name or "").lower().encode()
    found = [value for one, value in headers if one == wanted]
    return found[0] if len(found) == 1 and len(found[0]) <= MAX_HEADER_BYTES else b""


def _same(sent: bytes, wanted: bytes) -> bool:
    """Compare in a time that depends on neither, nor on the length of `wanted`."""
    return hmac.compare_digest(_digest(sent), _digest(wanted))


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _mac(secret: bytes, *parts: bytes) -> bytes:
    """Return the HMAC-SHA256 of the parts, without putting them together."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        mac.update(part)
    return mac.digest()


def _right(known: bool) -> Verdict:  # noqa: FBT001 - named by the function
    return Verdict.RIGHT if known else Verdict.WRONG


def _open(fits: object) -> Verdict:
    return Verdict.OPEN if fits else Verdict.WRONG


def _timely(at_ms: int | None, now_ms: int) -> Verdict:
    if at_ms is None:
        return Verdict.WRONG
    return Verdict.OPEN if abs(now_ms - at_ms) <= WINDOW_MS else Verdict.STALE


def _proof(right: bool, key: bytes | None = None, until_ms: int = 0) -> Proof:  # noqa: FBT001 - named by the function
    return Proof(Verdict.RIGHT, key, until_ms) if right else Proof(Verdict.WRONG)


def _time_ms(written: bytes) -> int | None:
    """Return a time in milliseconds from seconds or milliseconds in digits."""
    if _DIGITS.fullmatch(written) is None:
        return None
    number = int(written)
    return 1000 * number if number < _SECONDS_BELOW else number


_ROWS: Final = (
    Scheme("secret", _secret_head, proves=True),
    Scheme("basic", _basic_head, proves=True, needs=frozenset({"user"})),
    Scheme("header", _header_head, proves=True, needs=frozenset({"header"})),
    Scheme("mist", _mist_head, _mist_body),
    Scheme("disruptive", _disruptive_head, _disruptive_body, proves=True),
    Scheme("standard-webhooks", _standard_head, _standard_body),
    Scheme(
        "hmac-sha256",
        _hmac_head,
        _hmac_body,
        needs=frozenset({"header"}),
        takes=frozenset({"prefix", "encoding", "timestamp_header", "signed"}),
    ),
    Scheme("meraki", _anyone_head, _meraki_body),
    Scheme("body", _anyone_head, _field_body, takes=frozenset({"field", "user"})),
)

SCHEMES: Final[Mapping[str, Scheme]] = {row.name: row for row in _ROWS}
"""Every scheme by its name."""
