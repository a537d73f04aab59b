from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest
from litestar import Request

from engine.errors import ConfigError, Malformed, StoreAway
from engine.ingest.verify import REMEMBER_MS, WINDOW_MS, Terms, verifier
from engine.model import Proof, Verdict
from engine.query import ingest
from engine.query.ingest import Ingest, Webhook
from tests.ingest.senders import SENDERS, Post
from tests.query.api import SECRETS, Api, FakeIntake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx
    from litestar.testing import TestClient
    from litestar.types import ASGIApp

PATH = "/v1/ingest/wifi"
MAX_BODY_BYTES = 1 << 20
BODY = b'\x00{"User-Name": "ada"}\xff\n'


def basic(password: bytes, user: bytes = b"radius") -> str:
    return "Basic " + base64.b64encode(user + b":" + password).decode()


def bearer(secret: bytes) -> str:
    return "Bearer " + secret.decode()


def send(
    api: Api,
    credentials: str | None,
    body: bytes = BODY,
    more: dict[str, str] | None = None,
) -> httpx.Response:
    client = api.client(login=None)
    headers = {} if more is None else more
    if credentials is not None:
        headers["authorization"] = credentials
    return client.post(PATH, content=body, headers=headers)


@pytest.mark.parametrize("tenant", ["acme", "globex"])
@pytest.mark.parametrize("scheme", [basic, bearer])
def test_the_secret_decides_the_tenant(api: Api, tenant: str, scheme: Any) -> None:  # noqa: ANN401 - a function of the table
    response = send(
        api, scheme(SECRETS[tenant]), BODY, {"content-type": "application/x-odd"}
    )

    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert api.intake.taken == [("wifi", tenant, BODY, "")]


def test_an_empty_body_is_the_formats_to_judge(api: Api) -> None:
    assert send(api, bearer(SECRETS["acme"]), b"").status_code == 204
    assert api.intake.taken == [("wifi", "acme", b"", "")]


@pytest.mark.parametrize(
    "credentials",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer secret-of-acme",
        "Bearer secret-of-acme-wifi!",
        "bearer: secret-of-acme-wifi",
        "Digest secret-of-acme-wifi",
        "secret-of-acme-wifi",
        basic(b""),
        basic(b"secret-of-acme"),
        basic(b"", b"secret-of-acme-wifi"),
        "Basic not base64",
        "Basic é",
        "Basic " + base64.b64encode(b"secret-of-acme-wifi").decode(),
        "Bearer " + "x" * 5000,
    ],
)
def test_who_does_not_know_the_secret_is_refused(
    api: Api, credentials: str | None
) -> None:
    encoded = None if credentials is None else credentials.encode()
    headers = {} if encoded is None else {"authorization": encoded}
    client = api.client(login=None)
    response = client.post(PATH, content=BODY, headers=headers)  # type: ignore[arg-type]  # httpx takes bytes too

    assert response.status_code == 401
    assert response.json()["code"] == 2001
    assert api.intake.taken == []


def test_an_unknown_source_looks_like_a_wrong_secret(api: Api) -> None:
    client = api.client(login=None)
    headers = {"authorization": bearer(SECRETS["acme"])}
    unknown = client.post("/v1/ingest/nothing", content=BODY, headers=headers)
    wrong = client.post(PATH, content=BODY, headers={"authorization": "Bearer no"})
    nobody = client.post(
        "/v1/ingest/nothing", content=BODY, headers={"authorization": "Bearer "}
    )

    assert unknown.status_code == wrong.status_code == nobody.status_code == 401
    assert unknown.content == wrong.content == nobody.content
    assert [reason for *_, reason in api.intake.counted] == [
        "unrouted",
        *("unauthenticated", "unauthenticated"),
        "unrouted",
    ]


def test_a_persons_token_opens_no_source(api: Api) -> None:
    assert api.client().post(PATH, content=BODY).status_code == 401


def test_a_body_of_the_limit_is_taken_and_one_more_byte_is_not(api: Api) -> None:
    fits, over = b"x" * MAX_BODY_BYTES, b"x" * (MAX_BODY_BYTES + 1)

    assert send(api, bearer(SECRETS["acme"]), fits).status_code == 204
    refused = send(api, bearer(SECRETS["acme"]), over)
    assert refused.status_code == 413
    assert refused.json()["code"] == 2013
    assert len(api.intake.taken) == 1
    assert api.intake.counted == [("wifi", "acme", "too_large")]


def test_a_body_that_hides_its_size_is_cut_at_the_limit(api: Api) -> None:
    sent = 0

    def drip() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(40):
            sent += 64 * 1024
            yield b"x" * (64 * 1024)

    headers = {"authorization": bearer(SECRETS["acme"])}
    response = api.client(login=None).post(PATH, content=drip(), headers=headers)

    assert response.status_code == 413
    assert api.intake.taken == []


def test_a_compressed_body_is_refused(api: Api) -> None:
    encoding = {"content-encoding": "gzip"}
    response = send(api, bearer(SECRETS["acme"]), BODY, encoding)

    assert response.status_code == 400
    assert api.intake.taken == []
    assert api.intake.counted == [("wifi", "acme", "malformed")]


def test_a_body_that_comes_too_slowly_is_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: object) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    monkeypatch.setattr(ingest, "BODY_TIMEOUT_S", 0.0)
    monkeypatch.setattr(ingest, "BODY_BYTES_PER_S", 1e12)
    monkeypatch.setattr(Request, "stream", never)

    response = send(api, bearer(SECRETS["acme"]))
    assert response.status_code == 408
    assert response.json()["retryable"]
    assert api.intake.counted == [("wifi", "acme", "slow")]


def test_what_the_format_refuses_is_answered_without_its_text(api: Api) -> None:
    api.intake.error = Malformed("the body does not fit the format of this source")
    response = send(api, bearer(SECRETS["acme"]))

    assert response.status_code == 400
    assert response.json() == {
        "code": 1001,
        "message": "the body does not fit the format of this source",
        "retryable": False,
    }


def test_what_is_not_safe_is_not_taken(api: Api) -> None:
    api.intake.error = StoreAway("redis://10.0.0.1")
    response = send(api, bearer(SECRETS["acme"]))

    assert response.status_code == 503
    assert response.json()["retryable"]


def test_a_refusal_after_the_proof_is_not_the_answer_of_another_tenant(
    api: Api,
) -> None:
    api.intake.unsafe = StoreAway("redis://10.0.0.1")
    response = send(api, bearer(SECRETS["acme"]))

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert "redis" not in response.text


# ------------------------------------------------------------ every scheme on the route


def door(name: str, tenant: str = "acme", **more: Any) -> Webhook:  # noqa: ANN401 - of its fields
    """Return a source that its sender of `tests.ingest.senders` posts to."""
    sender = SENDERS[name]
    proof = verifier(sender.scheme, Terms(sender.secret, **sender.settings))
    return Webhook(tenant, "wifi", proof, **{"max_bytes": 4096, **more})


def made(api: Api, name: str, body: bytes = b"{}") -> Post:
    return SENDERS[name].post(SENDERS[name].secret, body, api.clock())


def sent(client: TestClient[ASGIApp], post: Post, path: str = PATH) -> httpx.Response:
    return client.post(path, content=post.body, headers=post.headers)


def deliver(api: Api, post: Post, path: str = PATH) -> httpx.Response:
    return sent(api.client(login=None), post, path)


@pytest.mark.parametrize("answer", [200, 204])
@pytest.mark.parametrize("name", SENDERS)
def test_a_sender_of_every_scheme_is_taken_and_answered_as_it_expects(
    api: Api, name: str, answer: int
) -> None:
    api.webhooks = [door(name, answer=answer)]
    post = made(api, name)
    response = deliver(api, post)

    assert (response.status_code, response.content) == (answer, b"")
    assert "content-type" not in response.headers
    assert api.intake.taken == [("wifi", "acme", post.body, "")]


@pytest.mark.parametrize("name", [n for n, one in SENDERS.items() if one.signs])
def test_a_body_that_was_changed_on_its_way_is_refused_and_counted(
    api: Api, name: str
) -> None:
    api.webhooks = [door(name)]
    post = made(api, name)
    response = deliver(api, Post(post.headers, post.body + b" "))

    assert response.status_code == 401
    assert response.json()["code"] == 2001
    assert api.intake.taken == []
    assert api.intake.counted == [("wifi", "acme", "unauthenticated")]


def test_the_proof_decides_between_tenants_whatever_their_schemes(api: Api) -> None:
    api.webhooks = [door("mist", "acme"), door("meraki", "globex")]

    assert deliver(api, made(api, "meraki")).status_code == 204
    assert deliver(api, made(api, "mist")).status_code == 204
    assert [tenant for _, tenant, *_ in api.intake.taken] == ["globex", "acme"]


def test_a_wrong_proof_is_counted_for_every_source_of_the_name(api: Api) -> None:
    assert send(api, "Bearer no").status_code == 401
    assert api.intake.counted == [
        ("wifi", "acme", "unauthenticated"),
        ("wifi", "globex", "unauthenticated"),
    ]


class Peeping:
    """A verifier that fails the test where it is shown a body."""

    proves = False

    def head(self, headers: object, now_ms: int) -> Verdict:
        del headers, now_ms
        return Verdict.WRONG

    def body(self, headers: object, body: bytes, now_ms: int) -> Proof:
        raise AssertionError((headers, body, now_ms))


def test_no_byte_of_a_body_is_read_where_the_headers_prove_nothing(api: Api) -> None:
    api.webhooks = [Webhook("acme", "wifi", Peeping(), 1 << 20)]

    assert deliver(api, Post([], b"x" * 1024)).status_code == 401


class Patient:
    """A verifier that notes which turn of the loop it has, and knows nobody."""

    proves = False

    def __init__(self, turns: list[str]) -> None:
        self._turns = turns

    def head(self, headers: object, now_ms: int) -> Verdict:
        del headers, now_ms
        return Verdict.OPEN

    def body(self, headers: object, body: bytes, now_ms: int) -> Proof:
        del headers, body, now_ms
        self._turns.append("proof")
        asyncio.get_running_loop().call_soon(self._turns.append, "others")
        return Proof(Verdict.WRONG)


def test_the_proofs_of_many_tenants_do_not_hold_the_loop_together(api: Api) -> None:
    turns: list[str] = []
    api.webhooks = [Webhook(f"t{n}", "wifi", Patient(turns), 1 << 20) for n in range(3)]

    assert deliver(api, Post([], b"x")).status_code == 401
    assert turns == ["proof", "others"] * 3


def test_the_event_of_the_address_is_the_topic(api: Api) -> None:
    api.webhooks = [door("secret")]
    deliver(api, made(api, "secret"), f"{PATH}?event=up")
    deliver(api, made(api, "secret"), f"{PATH}?event={'x' * 100}&other=1")

    assert [topic for *_, topic in api.intake.taken] == ["up", "x" * 64]


# ------------------------------------------------------------ once


@pytest.mark.parametrize("name", ["mist", "disruptive", "standard-webhooks", "slack"])
def test_the_same_signed_post_counts_once_and_succeeds_twice(
    api: Api, name: str
) -> None:
    api.webhooks = [door(name, answer=200)]
    post = made(api, name)
    client = api.client(login=None)
    found = [sent(client, post) for _ in range(3)]

    assert [one.status_code for one in found] == [200, 200, 200]
    assert len(api.intake.taken) == 1
    assert api.intake.counted == [("wifi", "acme", "duplicate")] * 2


def test_a_post_that_is_signed_anew_counts_once_too(api: Api) -> None:
    api.webhooks = [door("disruptive"), door("standard-webhooks", "globex")]
    client = api.client(login=None)
    for _ in range(3):
        for name in ("disruptive", "standard-webhooks"):
            post = made(api, name)
            sent(client, post)
        api.clock.advance(1000)

    assert len(api.intake.taken) == 2
    assert len(api.intake.counted) == 4


def test_equal_posts_of_a_scheme_without_a_signed_time_both_count(api: Api) -> None:
    api.webhooks = [door("github")]
    client = api.client(login=None)
    post = made(api, "github", b'{"people": 4}')
    for _ in range(2):
        sent(client, post)

    assert len(api.intake.taken) == 2


@pytest.mark.parametrize("name", ["disruptive", "standard-webhooks", "slack"])
def test_a_post_that_was_signed_at_another_time_is_refused_and_counted(
    api: Api, name: str
) -> None:
    api.webhooks = [door(name)]
    post = made(api, name)
    api.clock.advance(max(REMEMBER_MS, WINDOW_MS) + 1)
    response = deliver(api, post)

    assert response.status_code == 401
    assert response.json()["code"] == 2006
    assert api.intake.taken == []
    assert api.intake.counted == [("wifi", "acme", "replayed")]


def test_a_post_whose_effect_is_not_safe_is_answered_so_until_it_is(api: Api) -> None:
    api.webhooks = [door("mist")]
    client = api.client(login=None)
    post = made(api, "mist")

    api.intake.unsafe = StoreAway("away")
    assert [sent(client, post).status_code for _ in range(2)] == [503, 503]
    api.intake.unsafe = None
    assert sent(client, post).status_code == 204
    assert len(api.intake.taken) == 1


def test_a_post_that_could_not_be_taken_in_counts_when_it_can(api: Api) -> None:
    api.webhooks = [door("mist")]
    client = api.client(login=None)
    post = made(api, "mist")
    api.intake.error = StoreAway("not loaded")
    first = sent(client, post)
    api.intake.error = None
    second = sent(client, post)

    assert (first.status_code, second.status_code) == (503, 204)
    assert len(api.intake.taken) == 1


def test_what_of_a_refused_post_had_an_effect_has_it_once(api: Api) -> None:
    api.webhooks = [door("mist")]
    client = api.client(login=None)
    post = made(api, "mist")
    api.intake.error = Malformed("one record of many")
    first = sent(client, post)
    api.intake.error = None
    second = sent(client, post)

    assert (first.status_code, second.status_code) == (400, 204)
    assert api.intake.taken == []


# ------------------------------------------------------------ how much, how often


def test_more_than_the_rate_of_a_source_is_told_when_to_come_again(api: Api) -> None:
    api.webhooks = [door("secret", rate_per_s=0.2)]
    client = api.client(login=None)
    post = made(api, "secret")

    statuses = [sent(client, post).status_code for _ in range(3)]
    assert statuses == [204, 204, 429]
    refused = sent(client, post)
    assert refused.json()["code"] == 2029
    assert refused.json()["retryable"]
    assert refused.headers["retry-after"] == "5"
    assert api.intake.counted == [("wifi", "acme", "rate")] * 2
    api.clock.advance(5000)
    assert sent(client, post).status_code == 204


def test_who_proves_nothing_uses_up_nothing_of_the_rate(api: Api) -> None:
    api.webhooks = [door("meraki", rate_per_s=0.2)]
    client = api.client(login=None)
    for _ in range(20):
        assert client.post(PATH, content=b'{"secret": "no"}').status_code == 401

    post = made(api, "meraki")
    assert client.post(PATH, content=post.body).status_code == 204


def test_one_sources_rate_is_not_anothers(api: Api) -> None:
    api.webhooks = [door("meraki", rate_per_s=0.1), door("mist", "globex")]
    client = api.client(login=None)
    body = made(api, "meraki").body
    assert [client.post(PATH, content=body).status_code for _ in range(2)] == [204, 429]

    post = made(api, "mist")
    assert sent(client, post).status_code == 204


@pytest.mark.parametrize("name", ["secret", "meraki"])
def test_bodies_have_a_room_and_give_it_back(
    api: Api, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "PROVED_BYTES", 1000)
    monkeypatch.setattr(ingest, "UNPROVED_BYTES", 1000)
    api.webhooks = [door(name)]
    client = api.client(login=None)
    small, large = (made(api, name, b"x" * size) for size in (500, 1500))

    posts = (small, large, small, small)
    statuses = [sent(client, post).status_code for post in posts]
    assert statuses == [204, 429, 204, 204]
    assert api.intake.counted == [("wifi", "acme", "rate")]


# ------------------------------------------------------------ Meraki's question


def test_the_validator_is_answered_as_plain_text_and_nothing_else(api: Api) -> None:
    api.webhooks = [door("meraki", validator="0123abcd")]
    client = api.client(login=None)
    for accept in ("*/*", "application/json", "application/vnd.msgpack"):
        found = client.get(PATH, headers={"accept": accept})
        assert (found.status_code, found.content) == (200, b"0123abcd")
        assert found.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_source_without_a_validator_is_not_there_for_who_asks(api: Api) -> None:
    client = api.client(login=None)
    known, unknown = client.get(PATH), client.get("/v1/ingest/nothing")

    assert known.status_code == unknown.status_code == 404
    assert known.content == unknown.content
    assert known.json()["code"] == 2004


def test_two_validators_under_one_address_are_refused_at_start() -> None:
    hooks = [
        door("meraki", tenant, validator=text)
        for tenant, text in (("acme", "one"), ("globex", "two"))
    ]
    with pytest.raises(ConfigError, match="give one of them another name"):
        Ingest(webhooks=hooks, intake=FakeIntake(), clock_ms=lambda: 0)
