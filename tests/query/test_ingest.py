from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ConfigError, Malformed, StoreAway
from engine.query import ingest
from engine.query.ingest import MAX_BODY_BYTES, Ingest, Webhook
from tests.query.api import SECRETS, Api, FakeIntake

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

PATH = "/v1/ingest/wifi"
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
    assert api.intake.taken == [("wifi", tenant, BODY, "application/x-odd")]


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


def test_a_body_that_comes_too_slowly_is_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: object) -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(ingest, "BODY_TIMEOUT_S", 0.0)
    monkeypatch.setattr(ingest, "_read", never)

    assert send(api, bearer(SECRETS["acme"])).status_code == 400


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


@pytest.mark.parametrize(
    ("webhooks", "problem"),
    [
        ([Webhook("acme", "wifi", b"short")], "needs 16 characters"),
        (
            [
                Webhook("acme", "wifi", b"the same long secret"),
                Webhook("globex", "wifi", b"the same long secret"),
            ],
            "'acme' and 'globex' have one secret",
        ),
    ],
)
def test_secrets_that_prove_nothing_are_refused_at_start(
    webhooks: list[Webhook], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        Ingest(webhooks=webhooks, intake=FakeIntake())
    assert "secret needs" in str(caught.value) or "long secret" not in str(caught.value)


def test_two_sources_of_a_tenant_may_share_a_secret() -> None:
    secret = b"the same long secret"
    sources = [Webhook("acme", name, secret) for name in ("wifi", "doors")]

    assert Ingest(webhooks=sources, intake=FakeIntake()).routes()
