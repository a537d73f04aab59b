from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from engine.errors import ConfigError
from engine.query.keys import key_set, public_key, shared_secret

RSA = RSAKey.generate_key(2048, auto_kid=True)
EC = ECKey.generate_key("P-256", auto_kid=True)
ED = OKPKey.generate_key("Ed25519", auto_kid=True)


SMALL_RSA = (
    rsa.generate_private_key(65_537, 1024)  # noqa: S505 - to be refused
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
)


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def public(key: RSAKey | ECKey | OKPKey, **more: object) -> dict[str, Any]:
    return {**key.as_dict(private=False), **more}


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [(RSA, {"RS256"}), (EC, {"ES256"}), (ED, {"EdDSA", "Ed25519"})],
)
def test_a_key_says_what_it_may_check(
    key: RSAKey | ECKey | OKPKey, algorithms: set[str]
) -> None:
    assert public_key(key.as_pem(private=False), "k.pem").algorithms == algorithms
    (found,) = key_set(jwks(public(key)), "jwks.json")
    assert found.algorithms == algorithms
    assert found.kid == key.kid


def test_keys_for_encryption_are_passed_over() -> None:
    found = key_set(jwks(public(RSA, use="enc"), public(EC, use="sig")), "j")

    assert [key.kid for key in found] == [EC.kid]


def test_a_declared_algorithm_narrows_what_a_key_may_check() -> None:
    (found,) = key_set(jwks(public(ED, alg="EdDSA")), "j")

    assert found.algorithms == {"EdDSA"}


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        (b"short", "has 5 bytes; write at least 32"),
        (RSA.as_pem(private=False), "is a PEM file"),
        (b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ", "looks like a public key"),
    ],
)
def test_a_secret_that_is_none_is_refused(secret: bytes, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        shared_secret(secret)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nnope\n-----END PUBLIC KEY-----\n",
        RSA.as_pem(private=True),
        SMALL_RSA,
        ECKey.generate_key("P-384").as_pem(private=False),
        ECKey.generate_key("secp256k1").as_pem(private=False),
        OKPKey.generate_key("Ed448").as_pem(private=False),
        OKPKey.generate_key("X25519").as_pem(private=False),
        b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 300_000,
    ],
)
def test_a_pem_file_that_does_not_fit_is_refused(pem: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^key\.pem: .*P-256 or Ed25519"):
        public_key(pem, "key.pem")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [' + b"[" * 5000,
        b"\xff",
        b" " * 300_000,
        jwks({}),
        jwks({"kty": "RSA"}),
        jwks({"kty": "what"}),
        jwks(OctKey.generate_key(256).as_dict(private=True)),
        jwks(RSA.as_dict(private=True)),
        jwks(public(RSA, kid=1)),
        jwks(public(RSA, alg="HS256")),
        jwks(public(RSA, alg="none")),
        jwks(public(EC, alg="RS256")),
        jwks(public(RSA, kid=None), public(EC)),
        jwks(public(RSA, kid="a"), public(EC, kid="a")),
        jwks(*(public(EC, kid=str(number)) for number in range(65))),
        jwks(ECKey.generate_key("P-521").as_dict(private=False)),
    ],
)
def test_a_key_set_that_does_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^jwks\.json"):
        key_set(data, "jwks.json")
