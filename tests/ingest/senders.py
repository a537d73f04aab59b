"""Senders of webhooks as their documents describe them, one for each scheme.

Written from the vendors' side, without anything of `engine.ingest.verify`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = b"correct horse battery staple"
STANDARD = b"whsec_" + base64.b64encode(SECRET)
BODY = b'{"topic": "ping", "events": [{"n": 1, "name": "caf\xc3\xa9"}]}'

Headers = list[tuple[bytes, bytes]]


class Post(NamedTuple):
    """A request: its headers as ASGI has them, and its body."""

    headers: Headers
    body: bytes


class Sender(NamedTuple):
    """How a scheme is used.

    Attributes:
        scheme: Its name.
        settings: What a source is configured with, besides the secret.
        post: Makes a request from the secret, a body and the time.
        signs: The body is signed, so that no byte of it may be another.
        timed: The time is signed.
        named: An equal body, signed again, is the same post.
    """

    scheme: str
    settings: dict[str, Any]
    post: Callable[[bytes, bytes, int], Post]
    secret: bytes = SECRET
    signs: bool = False
    timed: bool = False
    named: bool = False


def _mac(secret: bytes, signed: bytes) -> bytes:
    return hmac.new(secret, signed, hashlib.sha256).digest()


def bearer(secret: bytes, body: bytes, _: int) -> Post:
    return Post([(b"authorization", b"Bearer " + secret)], body)


def basic(secret: bytes, body: bytes, _: int) -> Post:
    value = base64.b64encode(b"radius:" + secret)
    return Post([(b"authorization", b"Basic " + value)], body)


def header(secret: bytes, body: bytes, _: int) -> Post:
    return Post([(b"x-api-key", secret)], body)


def mist(secret: bytes, body: bytes, _: int) -> Post:
    old = hmac.new(secret, body, hashlib.sha1).hexdigest()
    new = _mac(secret, body).hex()
    return Post(
        [
            (b"user-agent", b"Mist-webhook"),
            (b"x-mist-signature", old.encode()),
            (b"x-mist-signature-v2", new.encode()),
        ],
        body,
    )


def _part(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def jwt(secret: bytes, claims: dict[str, Any], header: dict[str, Any]) -> bytes:
    parts = [_part(json.dumps(one).encode()) for one in (header, claims)]
    signed = b".".join(parts)
    return signed + b"." + _part(_mac(secret, signed))


def disruptive(secret: bytes, body: bytes, now_ms: int) -> Post:
    claims = {
        "checksum": hashlib.sha1(body).hexdigest(),  # noqa: S324 - the vendor's own
        "checksum_sha256": hashlib.sha256(body).hexdigest(),
        "exp": now_ms // 1000 + 3600,
        "iat": now_ms // 1000,
        "jti": "c82gg99hga35jc2afkeg",
    }
    token = jwt(secret, claims, {"alg": "HS256", "typ": "JWT"})
    return Post([(b"x-dt-signature", token)], body)


def standard(secret: bytes, body: bytes, now_ms: int) -> Post:
    key = base64.b64decode(secret.removeprefix(b"whsec_"))
    post, at_s = b"msg_1", b"%d" % (now_ms // 1000)
    mac = _mac(key, post + b"." + at_s + b"." + body)
    return Post(
        [
            (b"webhook-id", post),
            (b"webhook-timestamp", at_s),
            (b"webhook-signature", b"v1," + base64.b64encode(mac)),
        ],
        body,
    )


def github(secret: bytes, body: bytes, _: int) -> Post:
    value = "sha256=" + _mac(secret, body).hex()
    return Post([(b"x-hub-signature-256", value.encode())], body)


def shopify(secret: bytes, body: bytes, _: int) -> Post:
    value = base64.b64encode(_mac(secret, body))
    return Post([(b"x-shopify-hmac-sha256", value)], body)


def slack(secret: bytes, body: bytes, now_ms: int) -> Post:
    at_s = b"%d" % (now_ms // 1000)
    value = "v0=" + _mac(secret, b"v0:" + at_s + b":" + body).hex()
    return Post(
        [
            (b"x-slack-request-timestamp", at_s),
            (b"x-slack-signature", value.encode()),
        ],
        body,
    )


def meraki(secret: bytes, body: bytes, _: int) -> Post:
    data = body.decode(errors="replace")
    fields = {"version": "3.0", "secret": secret.decode("latin-1"), "data": data}
    return Post([], json.dumps(fields).encode())


def terabee(secret: bytes, body: bytes, _: int) -> Post:
    fields = {"username": "user", "password": secret.decode("latin-1")}
    return Post([], json.dumps(fields | {"x": body.hex()}).encode())


SENDERS = {
    "secret": Sender("secret", {}, bearer),
    "secret-basic": Sender("secret", {}, basic),
    "basic": Sender("basic", {"user": "radius"}, basic),
    "header": Sender("header", {"header": "X-Api-Key"}, header),
    "mist": Sender("mist", {}, mist, signs=True, named=True),
    "disruptive": Sender(
        "disruptive", {}, disruptive, signs=True, timed=True, named=True
    ),
    "standard-webhooks": Sender(
        "standard-webhooks",
        {},
        standard,
        STANDARD,
        signs=True,
        timed=True,
        named=True,
    ),
    "github": Sender(
        "hmac-sha256",
        {"header": "X-Hub-Signature-256", "prefix": "sha256="},
        github,
        signs=True,
    ),
    "shopify": Sender(
        "hmac-sha256",
        {"header": "X-Shopify-Hmac-Sha256", "encoding": "base64"},
        shopify,
        signs=True,
    ),
    "slack": Sender(
        "hmac-sha256",
        {
            "header": "X-Slack-Signature",
            "prefix": "v0=",
            "timestamp_header": "X-Slack-Request-Timestamp",
            "signed": "v0:{timestamp}:{body}",
        },
        slack,
        signs=True,
        timed=True,
    ),
    "meraki": Sender("meraki", {}, meraki),
    "terabee": Sender("body", {"user": "user"}, terabee),
}


def now_ms() -> int:
    """Return the time of a real sender."""
    return time.time_ns() // 1_000_000
