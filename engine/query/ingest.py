"""Webhooks in: the bytes of a source, as they are, from who proves to be its sender.

What a request meets, the cheap before the dear:

1. Its headers. Every source of the name is asked, whosever it is: the proof decides
   the tenant, as two may each have a source of one name. Where no header can be right,
   not a byte of the body is read.
2. The rate of the source, where the headers prove the sender; else once the body does.
3. Its body: as long as the format may have it, in the time that takes, within the room
   that all bodies share. Senders who have proved nothing yet share less of it, and none
   of the others'.
4. The proof of headers and body together; a post that is known has no second effect.
5. The pipeline, and the store.

The answer has no body (FreeRADIUS would parse it as attributes) and the status that the
sender expects, once the effect is safe. `GET` answers the validator by which Meraki
knows its receiver, and nothing else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from litestar import MediaType, Request, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath  # noqa: TC002 - read at run time

from engine.errors import (
    BadRequest,
    ConfigError,
    InputError,
    NotFound,
    Replayed,
    RequestError,
    TooMany,
    TooMuch,
    TooSlow,
    Unauthorized,
)
from engine.model import Verdict
from engine.query.allowance import Rate, Room
from engine.query.answer import Answer, Text
from engine.query.once import Once
from engine.query.problem import NOT_FOUND, problem_responses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from litestar.handlers import HTTPRouteHandler

    from engine.model import Proof

    Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

BODY_TIMEOUT_S = 15.0
"""A sender that drips its body slower than this is cut off …"""
BODY_BYTES_PER_S = 1 << 20
"""… with a second more for each of these that its format may have."""

PROVED_BYTES = 128 << 20
"""Bodies under way at once, of senders whose headers prove them."""
UNPROVED_BYTES = 64 << 20
"""The same of all others: of anybody, so."""

MAX_EVENT_CHARS = 64


class Verifier(Protocol):
    """How the sender of a source proves itself; see `ingest.verify`."""

    @property
    def proves(self) -> bool:
        """Whether headers that are not WRONG prove the sender."""

    def head(self, headers: Headers, now_ms: int) -> Verdict:
        """Look at the headers, before the body is read."""

    def body(self, headers: Headers, body: bytes, now_ms: int) -> Proof:
        """Look at headers and body."""


class Webhook(NamedTuple):
    """A source that posts to us.

    Attributes:
        tenant, source: Its names.
        verifier: How its sender proves itself.
        max_bytes: Of a body.
        answer: The status of success.
        rate_per_s: Requests a second.
        validator: What `GET` answers; None: nothing.
    """

    tenant: str
    source: str
    verifier: Verifier
    max_bytes: int
    answer: int = 204
    rate_per_s: float = 200.0
    validator: str | None = None


class Intake(Protocol):
    """Where the bytes go; the pipeline in production."""

    def take(self, source: str, tenant: str, body: bytes, topic: str) -> None:
        """Let the pipeline take one body in, in this turn of the loop.

        Raises:
            InputError: Refused (and counted); what of it could be used was.
            StoreAway: Nothing can be taken in as yet.
        """
        ...

    async def safe(self) -> None:
        """Return when the effect of all that was taken in is safe.

        Raises:
            StoreAway: It is not; the sender should try again.
        """
        ...

    def repeated(self, source: str, tenant: str) -> None:
        """Count a body of a known source that had its effect already."""
        ...

    def unrouted(self) -> None:
        """Count a request of a source that there is not."""
        ...

    def refused(self, source: str, tenant: str, reason: str) -> None:
        """Count a request of a known source that was refused before `take`."""
        ...


class _Door:
    """A webhook, and what its sender has used and sent."""

    def __init__(self, webhook: Webhook) -> None:
        self.webhook = webhook
        self.rate = Rate(webhook.rate_per_s)
        self.once = Once()


class Ingest:
    """The route `/v1/ingest/{source}`.

    Attributes:
        proved: Memory for the bodies of senders whose headers prove them.
        unproved: The same for all others.

    Raises:
        ConfigError: Two validators under one address.
    """

    def __init__(
        self,
        *,
        webhooks: Iterable[Webhook],
        intake: Intake,
        clock_ms: Callable[[], int],
    ) -> None:
        self._intake = intake
        self._clock_ms = clock_ms
        self._doors: dict[str, list[_Door]] = {}
        self._validators: dict[str, str] = {}
        self.proved = Room(PROVED_BYTES)
        self.unproved = Room(UNPROVED_BYTES)
        for webhook in webhooks:
            self._doors.setdefault(webhook.source, []).append(_Door(webhook))
            self._add_validator(webhook)

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers."""
        path = "/v1/ingest/{source:str}"
        taken = ResponseSpec(None, description="Taken in, where its sender expects 200")
        return [
            post(
                path,
                status_code=204,
                request_max_body_size=None,  # `_read` has the limit, and counts
                security=[{"source": []}],
                responses={
                    200: taken,
                    **problem_responses(400, 401, 408, 413, 429, 503),
                },
            )(self.accept),
            get(
                path,
                media_type=MediaType.TEXT,
                security=[{}],
                responses=problem_responses(400, 404),
            )(self.validator),
        ]

    async def accept(
        self, request: Request[Any, Any, Any], source: FromPath[str]
    ) -> Answer[None]:
        """Take the bytes of a webhook source in; 204 or 200 when their effect is safe.

        `?event=` names the kind of event where the sender says it in the address.
        """
        headers: Headers = request.scope["headers"]
        doors = self._open(source, headers)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise self._refuse(doors, BadRequest)
        proved = [door for door in doors if door.webhook.verifier.proves]
        for door in proved:
            self._spend(door)
        body = _Body(self.proved if proved else self.unproved)
        try:
            whole = await self._read(request, doors, body)
            door, proof = await self._prove(doors, headers, whole)
            if door not in proved:
                self._spend(door)
            topic = request.query_params.get("event", "")[:MAX_EVENT_CHARS]
            self._take(door, proof, whole, topic)
            del whole
        finally:
            body.drop()
        await self._intake.safe()
        return Answer(None, status_code=door.webhook.answer)

    async def validator(self, source: FromPath[str]) -> Text:
        """Return the text by which Cisco Meraki knows that it may send here."""
        if source not in self._validators:
            raise NotFound(NOT_FOUND)
        return Text(self._validators[source])

    def _add_validator(self, webhook: Webhook) -> None:
        text, source = webhook.validator, webhook.source
        if text is not None and self._validators.setdefault(source, text) != text:
            raise ConfigError(
                f"source {source!r} of tenant {webhook.tenant!r}: another tenant has a "
                "source of this name with another validator; Meraki asks by the name "
                "alone, so give one of them another name"
            )

    def _open(self, source: str, headers: Headers) -> list[_Door]:
        """Return the sources of a name that the headers may open.

        Every one is asked, so that neither order nor a match can be timed.

        Raises:
            Unauthorized: None, or there is no such source.
            Replayed: None, as they were signed at another time.
        """
        doors, now_ms = self._doors.get(source, []), self._clock_ms()
        if not doors:
            self._intake.unrouted()
        verdicts = [door.webhook.verifier.head(headers, now_ms) for door in doors]
        opened = [
            door
            for door, verdict in zip(doors, verdicts, strict=True)
            if verdict > Verdict.STALE
        ]
        if opened:
            return opened
        if Verdict.STALE in verdicts:
            raise self._refuse(doors, Replayed)
        raise self._refuse(doors, Unauthorized)

    def _spend(self, door: _Door) -> None:
        """Take one request off the rate of a source.

        Raises:
            TooMany: There is none left.
        """
        after_s = door.rate.take(self._clock_ms())
        if after_s:
            self._refuse([door], TooMany)
            raise TooMany(_WORDS[TooMany], after_s)

    async def _read(
        self, request: Request[Any, Any, Any], doors: list[_Door], body: _Body
    ) -> bytes:
        """Read the body.

        Raises:
            TooMany: There is no room for it now.
            TooMuch: It is over what the format allows.
            TooSlow: It took too long.
        """
        most = max(door.webhook.max_bytes for door in doors)
        declared = request.headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared[:20]) > most:
            raise self._refuse(doors, TooMuch)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S + most / BODY_BYTES_PER_S):
                async for part in request.stream():
                    if body.size + len(part) > most:
                        raise self._refuse(doors, TooMuch)
                    if not body.add(part):
                        raise self._refuse(doors, TooMany)
        except TimeoutError:
            raise self._refuse(doors, TooSlow) from None
        return body.whole()

    async def _prove(
        self, doors: list[_Door], headers: Headers, body: bytes
    ) -> tuple[_Door, Proof]:
        """Return whose the body is.

        Every source is asked, so that a match cannot be timed; with a turn of the loop
        between two of them: to look through tens of megabytes takes a tenth of a
        second, and a hundred tenants may have a source of one name.

        Raises:
            Unauthorized: Nobody's.
        """
        now_ms = self._clock_ms()
        proofs: list[Proof] = []
        for door in doors:
            if proofs:
                await asyncio.sleep(0)
            proofs.append(door.webhook.verifier.body(headers, body, now_ms))
        for door, proof in zip(doors, proofs, strict=True):
            if proof.verdict is Verdict.RIGHT:
                return door, proof
        raise self._refuse(doors, Unauthorized)

    def _take(self, door: _Door, proof: Proof, body: bytes, topic: str) -> None:
        """Let a body have its effect, once."""
        source, tenant = door.webhook.source, door.webhook.tenant
        key, now_ms = proof.key, self._clock_ms()
        if key is not None and door.once.knows(key, now_ms):
            self._intake.repeated(source, tenant)
            return
        refusal: InputError | None = None
        try:
            self._intake.take(source, tenant, body, topic)
        except InputError as error:  # what else is in the body had its effect
            refusal = error
        if key is not None:
            door.once.add(key, proof.until_ms, now_ms)
        if refusal is not None:
            raise refusal

    def _refuse(self, doors: Iterable[_Door], kind: type[RequestError]) -> RequestError:
        """Count a refusal for each source that was meant, and return it."""
        for door in doors:
            webhook = door.webhook
            self._intake.refused(webhook.source, webhook.tenant, kind.reason)
        return kind(_WORDS[kind])


class _Body:
    """A body as it comes, and the room that it takes.

    Attributes:
        size: Bytes that came.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        # No list of parts: one of a byte would cost fifty.
        self._bytes = bytearray()
        self.size = 0

    def add(self, part: bytes) -> bool:
        """Keep a part; False: there is no room for it."""
        if not self._room.take(len(part)):
            return False
        self.size += len(part)
        self._bytes += part
        return True

    def whole(self) -> bytes:
        """Return the bytes, as they came, and keep them no longer."""
        whole, self._bytes = bytes(self._bytes), bytearray()
        return whole

    def drop(self) -> None:
        """Give the room back."""
        self._room.give(self.size)
        self._bytes, self.size = bytearray(), 0


_WORDS: dict[type[RequestError], str] = {
    Unauthorized: "the source and its proof do not fit; see verify of the source",
    Replayed: "signed at another time than now; set the clock, and sign it again",
    BadRequest: "send the body without a content encoding",
    TooSlow: "the body came too slowly; send it at once",
    TooMuch: "the body is larger than the format of this source allows",
    TooMany: "too much at once; send it again later",
}
"""In our own words: nothing of a request comes back."""
