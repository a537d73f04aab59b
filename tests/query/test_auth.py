"""No hostile token is accepted, and an honest one is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from engine.errors import ConfigError, Unauthorized
from engine.query.auth import MAX_REMEMBERED, Authenticator, Caller
from engine.query.keys import key_set, public_key, shared_secret
from tests.conftest import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = b"0123456789abcdef0123456789abcdef"
RSA = RSAKey.generate_key(2048, auto_kid=True)
OTHER_RSA = RSAKey.generate_key(2048, auto_kid=True)
EC = ECKey.generate_key("P-256", auto_kid=True)
ED = OKPKey.generate_key("Ed25519", auto_kid=True)
NOW_S = Clock().now_ms // 1000
CLAIMS: dict[str, Any] = {
    "sub": "ada",
    "name": "Ada Lovelace",
    "tenant": "acme",
    "iss": "https://login.example",
    "aud": "livefloor",
    "exp": NOW_S + 600,
}


def b64(data: bytes | str) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: str, payload: str, secret: bytes = SECRET) -> str:
    """Sign any text with HS256, whatever a library would say to it."""
    body = f"{b64(header)}.{b64(payload)}"
    return f"{body}.{b64(hmac.digest(secret, body.encode(), hashlib.sha256))}"


def token(
    header: dict[str, Any] | None = None, secret: bytes = SECRET, **claims: object
) -> str:
    """Return a token as an issuer with the shared secret makes it."""
    head = {"alg": "HS256", "typ": "JWT"} | (header or {})
    said = {k: v for k, v in {**CLAIMS, **claims}.items() if v is not ...}
    return signed(json.dumps(head), json.dumps(said), secret)


def with_key(key: RSAKey | ECKey | OKPKey, algorithm: str, **header: object) -> str:
    """Return a token signed with a private key."""
    registry = jws.JWSRegistry(algorithms=[algorithm])
    head: Any = {"alg": algorithm, "kid": key.kid} | header
    body = f"{b64(json.dumps(head))}.{b64(json.dumps(CLAIMS))}"
    mark = jws.JWSRegistry.algorithms[algorithm].sign(body.encode(), key)
    assert registry.allowed
    return f"{body}.{b64(mark)}"


def by_secret(clock: Clock) -> Authenticator:
    return Authenticator(
        [shared_secret(SECRET)],
        clock_ms=clock,
        tenants={"acme"},
        issuer="https://login.example",
        audience="livefloor",
    )


def by_key_set(clock: Clock) -> Authenticator:
    keys = [key.as_dict(private=False) for key in (RSA, EC, ED)]
    return Authenticator(
        key_set(json.dumps({"keys": keys}).encode(), "jwks.json"),
        clock_ms=clock,
        tenants={"acme"},
    )


ADA = Caller("acme", "ada", "Ada Lovelace", 1000 * (NOW_S + 660))


@pytest.mark.parametrize(
    "good",
    [
        token(),
        token({"typ": "at+jwt"}),
        token({"kid": "the only key"}),
        token({"x5t": "abc", "x5t#S256": "def"}),
        token(aud=["other", "livefloor"]),
        token(iat=NOW_S + 59, nbf=NOW_S + 59),
        token(more={"deep": [1, 2, {"er": None}]}),
    ],
)
def test_an_honest_token_is_accepted(clock: Clock, good: str) -> None:
    assert by_secret(clock).authenticate(good) == ADA


@pytest.mark.parametrize(
    "good",
    [
        with_key(RSA, "RS256"),
        with_key(EC, "ES256"),
        with_key(ED, "Ed25519"),
        with_key(ED, "EdDSA"),
    ],
)
def test_a_key_set_accepts_what_its_keys_signed(clock: Clock, good: str) -> None:
    assert by_key_set(clock).authenticate(good) == ADA


def test_one_public_key_needs_no_kid(clock: Clock) -> None:
    key = public_key(RSA.as_pem(private=False), "key.pem")
    sut = Authenticator([key], clock_ms=clock, tenants={"acme"})

    assert sut.authenticate(with_key(RSA, "RS256")) == ADA
    assert sut.authenticate(with_key(RSA, "RS256", kid=None)) == ADA


def raw(payload: str, header: str = '{"alg":"HS256"}') -> str:
    return signed(header, payload)


def _claims(**changed: object) -> str:
    return json.dumps({**CLAIMS, **changed})


GOOD = token()
HEAD, BODY, MARK = GOOD.split(".")
PEM = RSA.as_pem(private=False)


def unsigned(algorithm: str) -> str:
    return b64(json.dumps({"alg": algorithm}))


def marked(key: RSAKey | ECKey | OKPKey, algorithm: str, mark: bytes) -> str:
    """Return a token of an algorithm with a signature of one's own."""
    return ".".join([*with_key(key, algorithm).split(".")[:2], b64(mark)])


ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
NONES = ("none", "None", "NONE", "nOnE", "none ", "\u212fone")

HOSTILE_SECRET = {
    "empty": "",
    "dots": "..",
    "two parts": f"{HEAD}.{BODY}",
    "four parts": f"{GOOD}.{MARK}",
    "five parts, an encrypted one": f"{HEAD}..{BODY}.{MARK}.{MARK}",
    "no signature": f"{HEAD}.{BODY}.",
    "line feed": GOOD + "\n",
    "leading space": " " + GOOD,
    "padding": GOOD + "=",
    "standard base64": GOOD.replace("-", "+").replace("_", "/") + "/",
    "not ascii": GOOD + "é",
    "nul": GOOD + "\0",
    "8 KiB and one": token(more="x" * 8192),
    "1 MiB header": signed(json.dumps({"alg": "HS256", "x5t": "a" * 2**20}), _claims()),
    "header over its bound": token({"kid": "k" * 1100}),
    "signature of another secret": token(secret=b"f" * 32),
    "signature cut": GOOD[:-6],
    "signature changed": GOOD[:-4] + ("AAAA" if not GOOD.endswith("AAAA") else "BBBB"),
    "bits that no encoder sets": GOOD[:-1] + ALPHABET[ALPHABET.index(GOOD[-1]) + 1],
    "payload changed": f"{HEAD}.{b64(_claims(sub='eve'))}.{MARK}",
    **{
        f"algorithm {none!r}": f"{b64(json.dumps({'alg': none}))}.{BODY}."
        for none in NONES
    },
    **{f"algorithm {none!r} and a signature": token({"alg": none}) for none in NONES},
    "algorithm HS384": token({"alg": "HS384"}),
    "algorithm RS256 on a secret": token({"alg": "RS256"}),
    "algorithm as a list": token({"alg": ["HS256"]}),
    "no algorithm": raw(_claims(), '{"typ":"JWT"}'),
    "two algorithms": raw(_claims(), '{"alg":"none","alg":"HS256"}'),
    "header is a list": raw(_claims(), '["HS256"]'),
    "header is not JSON": raw(_claims(), "{alg:HS256}"),
    "header too deep": raw(_claims(), "[" * 700),
    "unknown crit": token({"crit": ["exp"]}),
    "empty crit": token({"crit": []}),
    "b64 false": token({"b64": False, "crit": ["b64"]}),
    "jku": token({"jku": "https://evil.example/jwks"}),
    "x5u": token({"x5u": "https://evil.example/cert"}),
    "x5c": token({"x5c": ["MIIB"]}),
    "embedded key": token({"jwk": OctKey.import_key(b"f" * 32).as_dict()}, b"f" * 32),
    "zip": token({"zip": "DEF"}),
    "enc": token({"enc": "A256GCM"}),
    "kid is a number": token({"kid": 1}),
    "wrong typ": token({"typ": "dpop+jwt"}),
    "logout token": token({"typ": "logout+jwt"}),
    "payload is a list": raw("[]"),
    "payload is not JSON": raw("{sub:ada}"),
    "payload too deep": raw('{"sub":' + "[" * 3000),
    "payload not UTF-8": raw(_claims())[: len(HEAD)] + ".__79.AAAA",
    "no expiry": token(exp=...),
    "expiry null": token(exp=None),
    "expiry a text": token(exp=str(NOW_S + 600)),
    "expiry true": token(exp=True),
    "expiry infinite": raw(_claims().replace(str(NOW_S + 600), "1e999")),
    "expiry Infinity": raw(_claims().replace(str(NOW_S + 600), "Infinity")),
    "expiry NaN": raw(_claims().replace(str(NOW_S + 600), "NaN")),
    "expiry negative": token(exp=-1),
    "expiry far": token(exp=2**53),
    "expired by 61 s": token(exp=NOW_S - 61),
    "expiry in milliseconds of the past": token(exp=0.5),
    "not before 61 s from now": token(nbf=NOW_S + 61),
    "issued 61 s from now": token(iat=NOW_S + 61),
    "no subject": token(sub=...),
    "empty subject": token(sub=""),
    "subject a number": token(sub=7),
    "subject of spaces": token(sub=" "),
    "subject with a control character": token(sub="ada\nadmin"),
    "subject too long": token(sub="a" * 257),
    "subject twice": raw(_claims()[:-1] + ',"sub":"eve"}'),
    "no tenant": token(tenant=...),
    "another tenant": token(tenant="globex"),
    "tenant with a wildcard": token(tenant="+"),
    "tenant with a slash": token(tenant="acme/x"),
    "tenant with a line feed": token(tenant="acme\n"),
    "tenant as a list": token(tenant=["acme"]),
    "name too long": token(name="a" * 201),
    "no issuer": token(iss=...),
    "another issuer": token(iss="https://evil.example"),
    "issuer with a slash more": token(iss="https://login.example/"),
    "issuer as a list": token(iss=["https://login.example"]),
    "no audience": token(aud=...),
    "another audience": token(aud="other"),
    "audience in other letters": token(aud="Livefloor"),
    "audience a number": token(aud=1),
}

HOSTILE_KEYS = {
    "secret is the public PEM": token({"kid": RSA.kid}, PEM),
    "HS256 without a kid": token(secret=PEM),
    "RS256 of another key": with_key(OTHER_RSA, "RS256", kid=RSA.kid),
    "unknown kid": with_key(OTHER_RSA, "RS256"),
    "no kid among several": with_key(RSA, "RS256", kid=None),
    "kid is a path": with_key(RSA, "RS256", kid="../../dev/null"),
    "kid is SQL": with_key(RSA, "RS256", kid="' OR 1=1 --"),
    "RS256 under the EC key's kid": with_key(RSA, "RS256", kid=EC.kid),
    "PS256 with the right key": with_key(RSA, "PS256"),
    "RS512 with the right key": with_key(RSA, "RS512"),
    "ES256 of zeros": marked(EC, "ES256", bytes(64)),
    "ES256 in DER": marked(EC, "ES256", b"\x30\x06\x02\x01\x00\x02\x01\x00"),
    "EdDSA of zeros": marked(ED, "EdDSA", bytes(64)),
    "RS256 of nothing": marked(RSA, "RS256", b"\0"),
}


@pytest.mark.parametrize("name", HOSTILE_SECRET)
def test_a_hostile_token_is_refused_by_a_secret(clock: Clock, name: str) -> None:
    refused(by_secret(clock).authenticate, HOSTILE_SECRET[name])


@pytest.mark.parametrize("name", HOSTILE_KEYS)
def test_a_hostile_token_is_refused_by_a_key_set(clock: Clock, name: str) -> None:
    refused(by_key_set(clock).authenticate, HOSTILE_KEYS[name])


def refused(authenticate: Callable[[str], Caller], hostile: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        authenticate(hostile)
    assert str(caught.value) == "sign in: a valid bearer token is needed"
    assert caught.value.__cause__ is None


def test_there_are_enough_hostile_tokens() -> None:
    assert len({*HOSTILE_SECRET.values(), *HOSTILE_KEYS.values()}) >= 90


@pytest.mark.slow
@given(st.binary(max_size=80), st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_token_is_refused(noise: bytes, at: int, byte: int) -> None:
    sut = by_secret(Clock())
    changed = GOOD[:at] + chr(byte) + GOOD[at + 1 :]
    for hostile in (noise.decode("latin-1"), changed):
        if hostile != GOOD:
            refused(sut.authenticate, hostile)


def test_a_token_ends_when_it_expires_although_it_is_remembered(clock: Clock) -> None:
    sut = by_secret(clock)
    sut.authenticate(GOOD)
    clock.advance(659_999)
    assert sut.authenticate(GOOD) == ADA
    clock.advance(1)
    refused(sut.authenticate, GOOD)
    refused(sut.authenticate, GOOD)


def test_a_refused_token_is_not_remembered_and_the_rest_is_bounded(
    clock: Clock,
) -> None:
    sut = by_secret(clock)
    refused(sut.authenticate, token(sub=""))
    for number in range(MAX_REMEMBERED + 10):
        sut.authenticate(token(sub=f"p-{number}"))

    assert len(sut._remembered) == MAX_REMEMBERED  # noqa: SLF001 - the bound itself


def test_the_tokens_themselves_are_not_kept(clock: Clock) -> None:
    sut = by_secret(clock)
    sut.authenticate(GOOD)

    assert GOOD not in repr(vars(sut))
    assert MARK not in repr(vars(sut))


def test_a_name_that_cannot_be_shown_is_the_login(clock: Clock) -> None:
    assert by_secret(clock).authenticate(token(name="A\u202eB")).name == "ada"
    assert by_secret(clock).authenticate(token(name="")).name == "ada"


def test_sign_in_without_a_key_is_refused_at_start(clock: Clock) -> None:
    with pytest.raises(ConfigError, match="needs a key"):
        Authenticator([], clock_ms=clock, tenants=set())
