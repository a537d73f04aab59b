"""Webhooks in: the bytes of a source, as they are, from who knows its secret.

The secret decides the tenant: two tenants may each have a source of one name. It comes
as a bearer token or as the password of HTTP Basic (what FreeRADIUS can send), never in
the address, which lands in logs. The answer is an empty 204, once the effect is safe:
FreeRADIUS parses the body of any other 2xx as attributes.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from litestar import Request, post
from litestar.params import FromPath  # noqa: TC002 - read at run time

from engine.errors import BadRequest, ConfigError, TooLarge, TooMuch, Unauthorized
from engine.query.access import authorization
from engine.query.problem import problem_responses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from litestar.handlers import HTTPRouteHandler

MAX_BODY_BYTES = 1 << 20
BODY_TIMEOUT_S = 15.0
"""A sender that drips its body slower than this is cut off."""

MAX_CREDENTIALS_BYTES = 4096
MIN_SECRET_BYTES = 16


class Webhook(NamedTuple):
    """A source that posts to us, and the secret that it proves itself with."""

    tenant: str
    source: str
    secret: bytes


class Intake(Protocol):
    """Where the bytes go; the pipeline in production."""

    async def accept(
        self, source: str, tenant: str, body: bytes, content_type: str
    ) -> None:
        """Take one request in; return when its effect is safe.

        Raises:
            InputError: Refused (and counted).
            StoreAway: Not safe; the sender should try again.
        """
        ...

    def refused(self, source: str, tenant: str, reason: str) -> None:
        """Count a request of a known source that was refused before `accept`."""
        ...


class Ingest:
    """The route `/v1/ingest/{source}`.

    Raises:
        ConfigError: A secret that is too short, or that names two tenants.
    """

    def __init__(self, *, webhooks: Iterable[Webhook], intake: Intake) -> None:
        self._intake = intake
        self._by_source: dict[str, list[tuple[str, bytes]]] = {}
        for webhook in webhooks:
            self._add(webhook)

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handler."""
        return [
            post(
                "/v1/ingest/{source:str}",
                status_code=204,
                request_max_body_size=None,  # `_read` has the limit, and counts
                security=[{"source": []}],
                responses=problem_responses(400, 401, 413, 503),
            )(self.accept)
        ]

    async def accept(
        self, request: Request[Any, Any, Any], source: FromPath[str]
    ) -> None:
        """Take the bytes of a webhook source in; 204 when their effect is safe."""
        tenant = self._tenant(source, _secret(authorization(request.scope)))
        headers = request.headers
        if headers.get("content-encoding", "identity") != "identity":
            self._intake.refused(source, tenant, TooLarge.reason)
            raise BadRequest("send the body without a content encoding")
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _read(request)
        except TooMuch:
            self._intake.refused(source, tenant, TooLarge.reason)
            raise
        except TimeoutError:
            raise BadRequest("the body came too slowly; send it at once") from None
        await self._intake.accept(source, tenant, body, headers.get("content-type", ""))

    def _add(self, webhook: Webhook) -> None:
        if len(webhook.secret) < MIN_SECRET_BYTES:
            raise ConfigError(
                f"source {webhook.source!r} of tenant {webhook.tenant!r}: its secret "
                f"needs {MIN_SECRET_BYTES} characters or more"
            )
        digest = _digest(webhook.secret)
        known = self._by_source.setdefault(webhook.source, [])
        for tenant, other in known:
            if other == digest:
                raise ConfigError(
                    f"source {webhook.source!r}: tenants {tenant!r} and "
                    f"{webhook.tenant!r} have one secret; give each its own"
                )
        known.append((webhook.tenant, digest))

    def _tenant(self, source: str, secret: bytes) -> str:
        """Return whose source it is.

        Every secret of the name is compared, in constant time and by digest, so that
        neither order nor length nor the existence of the name can be timed.

        Raises:
            Unauthorized: No such source, or none with this secret.
        """
        digest, found = _digest(secret), None
        for tenant, known in self._by_source.get(source, [("", _NOBODYS)]):
            if hmac.compare_digest(known, digest) and tenant:
                found = tenant
        if found is None:
            raise Unauthorized(
                "the source and its secret do not fit; send the secret as a bearer "
                "token or as the password of HTTP Basic"
            )
        return found


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


_NOBODYS = _digest(b"")


def _secret(credentials: bytes | None) -> bytes:
    """Return what was sent as the secret; b"" where nothing usable was."""
    if credentials is None or len(credentials) > MAX_CREDENTIALS_BYTES:
        return b""
    scheme, _, value = credentials.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return value.strip()
        case b"basic":
            try:
                return base64.b64decode(value, validate=True).partition(b":")[2]
            except binascii.Error:
                return b""
        case _:
            return b""


async def _read(request: Request[Any, Any, Any]) -> bytes:
    """Read the body.

    Raises:
        TooMuch: It is over `MAX_BODY_BYTES`.
    """
    declared = request.headers.get("content-length", "0")
    parts: list[bytes] = []
    size = 0
    if not declared.isdecimal() or int(declared[:20]) > MAX_BODY_BYTES:
        raise TooMuch(f"the body is over {MAX_BODY_BYTES} bytes")
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TooMuch(f"the body is over {MAX_BODY_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)
