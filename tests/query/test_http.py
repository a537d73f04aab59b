from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.query.api import NEAR, SECRETS, Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

TOKENLESS = {
    "/",
    "/demo/clock",
    "/demo/people",
    "/demo/token",
    "/healthz",
    "/metrics",
    "/readyz",
    "/schema",
    "/schema/openapi.json",
    "/v1/live",
}


def problem(response: httpx.Response) -> dict[str, Any]:
    """Return the error of a response, having checked its shape and headers."""
    body = response.json()
    assert set(body) == {"code", "message", "retryable"}
    assert isinstance(body["code"], int)
    assert isinstance(body["retryable"], bool)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    return dict(body)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, 2004),
        ("GET", "/v1", 404, 2004),
        ("GET", "/v1/levels/hq", 404, 2004),
        ("GET", "/v1/levels/hq/9/plan", 404, 2004),
        ("GET", "/v1/levels/hq/9/occupancy", 404, 2004),
        ("GET", "/v1/levels/hq/9/live", 404, 2004),
        ("GET", "/v1/spaces/none", 404, 2004),
        ("GET", "/v1/colleagues/nobody/location", 404, 2004),
        ("GET", "/demo/people", 404, 2004),
        ("GET", "/schema/swagger", 404, 2004),
        ("GET", "/" + "x" * 600, 404, 2004),
        ("GET", "/v1/levels?" + "x" * 3000, 404, 2004),
        ("POST", "/v1/levels", 405, 2005),
        ("DELETE", "/v1/colleagues", 405, 2005),
        ("GET", "/v1/colleagues", 400, 2002),
        ("GET", "/v1/colleagues?q=a", 400, 2002),
        ("GET", f"/v1/colleagues?q={'a' * 101}", 400, 2002),
        ("POST", "/v1/colleagues/locations", 400, 2002),
        ("PUT", "/v1/me/consent?x=1", 200, 0),
    ],
)
def test_a_refusal_has_one_shape(
    api: Api, method: str, path: str, status: int, code: int
) -> None:
    response = api.client().request(method, path)

    assert response.status_code == status
    if status != 200:
        assert problem(response)["code"] == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"ids": "s-1"}',
        b'{"ids": [1]}',
        b'{"ids": [], "more": 1}',
        b"\xff\xfe",
        b'{"ids": [' + b"[" * 5000 + b"]" * 5000 + b"]}",
        msgspec.json.encode({"ids": ["x"] * 201}),
    ],
)
def test_a_body_that_does_not_fit_is_refused_without_an_echo(
    api: Api, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    response = api.client().post(
        "/v1/colleagues/locations", content=body, headers=headers
    )

    assert response.status_code == 400
    assert problem(response)["code"] == 2002


def test_no_error_repeats_what_was_sent(api: Api) -> None:
    marker = "Zq7canary"
    client = api.client()
    responses = [
        client.get(f"/v1/{marker}"),
        client.get(f"/v1/spaces/{marker}"),
        client.get(f"/v1/levels/{marker}/1/plan"),
        client.get(f"/v1/colleagues/{marker}/location"),
        client.get("/v1/colleagues", params={"q": marker * 50}),
        client.post("/v1/colleagues/locations", json={marker: 1}),
        client.post("/v1/colleagues/locations", json={"ids": [{marker: marker}]}),
        client.put("/v1/me/consent", json={"devices": [marker]}),
        client.get("/v1/levels", headers={"authorization": f"Bearer {marker}"}),
        client.request("OPTIONS", f"/v1/spaces/{marker}"),
    ]

    for response in responses:
        assert response.status_code >= 204
        assert marker not in response.text
        assert marker not in str(response.headers)


def test_a_field_that_does_not_fit_is_named(api: Api) -> None:
    response = api.client().get("/v1/colleagues", params={"q": "a"})

    assert problem(response)["message"] == "q: Expected `str` of length >= 2"


def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    response = api.client().post("/v1/colleagues/locations", content=b"x" * 70_000)

    assert response.status_code == 413
    assert problem(response)["code"] == 2013


def test_a_failure_of_ours_tells_no_detail(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("login ada at a4:83:e7:00:00:01")

    monkeypatch.setattr(api.finder, "find", broken)
    client = api.client()
    response = client.get("/v1/colleagues/s-1/location")

    assert response.status_code == 500
    assert problem(response)["code"] == 5000
    said = capsys.readouterr()
    assert "RuntimeError" in said.out + said.err
    assert "ada" not in response.text + said.out + said.err


def test_a_store_that_is_away_is_worth_another_try(api: Api) -> None:
    api.finder.away = True
    response = api.client().get("/v1/colleagues/s-1/location")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    error = problem(response)
    assert error["retryable"]
    assert error["code"] == 3002
    assert "10.0.0.1" not in error["message"]


def test_errors_are_msgpack_where_that_is_asked_for(api: Api) -> None:
    headers = {"accept": "application/msgpack"}
    response = api.client().get("/nothing", headers=headers)

    assert response.headers["content-type"] == "application/vnd.msgpack"
    assert msgspec.msgpack.decode(response.content)["code"] == 2004


@pytest.mark.parametrize(
    ("accept", "msgpack"),
    [
        ("application/json", False),
        ("*/*", False),
        ("application/vnd.msgpack", True),
        ("application/x-msgpack, */*;q=0.1", True),
        ("application/msgpack, */*", True),
        ("application/json, application/msgpack;q=0.5", False),
        ("application/msgpack;q=nan", False),
        ("application/msgpack;q=x, application/json;q=0.1", False),
        ("application/msgpack;q=0", False),
        (";;,,/msgpack;q", False),
    ],
)
def test_the_caller_chooses_the_encoding(api: Api, accept: str, msgpack: bool) -> None:  # noqa: FBT001 - a column of the table
    response = api.client().get("/v1/levels", headers={"accept": accept})
    decode = msgspec.msgpack.decode if msgpack else msgspec.json.decode

    assert len(decode(response.content)["levels"]) == 2


async def test_a_sender_who_leaves_in_the_middle_of_a_body_is_no_failure(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = b"Bearer " + SECRETS["acme"]
    token = api.offices["acme"].issue("ada", "Ada").token.encode()
    for method, path, credentials in (
        ("POST", "/v1/ingest/wifi", secret),
        ("POST", "/v1/colleagues/locations", b"Bearer " + token),
        ("PUT", "/v1/me/consent", b"Bearer " + token),
    ):
        await broken_off(api, method, path, credentials)

    said = capsys.readouterr()
    assert said.out + said.err == ""
    assert api.intake.taken == []


async def broken_off(api: Api, method: str, path: str, credentials: bytes) -> None:
    """Begin a request and leave before its body is complete."""
    headers = [
        (b"authorization", credentials),
        (b"content-type", b"application/json"),
        (b"content-length", b"1000"),
    ]
    scope: Any = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": headers,
        "client": NEAR,
    }
    events: list[Any] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:  # noqa: ANN401 - an ASGI message
        return events.pop(0)

    async def send(_: Any) -> None:  # noqa: ANN401 - an ASGI message
        """Nobody is there to take it."""

    await api.app()(scope, receive, send)
    assert events == []


VALIDATOR = ("GET", "/v1/ingest/{source:str}")
"""No secret: Meraki asks for it before it knows anything else of us."""


def paths(api: Api) -> Iterator[tuple[str, str]]:
    for route in api.app(demo=True).routes:
        for method in sorted(route.methods - {"OPTIONS", "HEAD"}):
            yield method, route.path


def test_every_route_but_the_listed_ones_needs_a_token(api: Api) -> None:
    client = api.client(login=None, demo=True)
    asked = 0
    for method, path in paths(api):
        if path in TOKENLESS or (method, path) == VALIDATOR:
            continue
        concrete = path.replace("{building:str}", "hq").replace("{level:str}", "1")
        concrete = concrete.replace("{space:str}", "hq-1-hopper")
        concrete = concrete.replace("{colleague:str}", "s-1")
        concrete = concrete.replace("{source:str}", "wifi")
        body: dict[str, Any] = {"params": {"q": "ada"}}
        if concrete.endswith("/locations"):
            body["json"] = {"ids": []}
        response = client.request(method, concrete, **body)
        asked += 1
        assert response.status_code == 401, concrete
        assert problem(response)["code"] == 2001
        assert response.headers["www-authenticate"] == "Bearer"

    assert asked >= 12


def test_in_the_demo_this_machine_reads_floors_without_a_token_and_no_more(
    api: Api,
) -> None:
    near = api.client(login=None, demo=True, peer=NEAR)

    for path in ("levels", "levels/hq/1/plan", "levels/hq/1/occupancy", "spaces/hq"):
        assert near.get(f"/v1/{path}").status_code == 200
    assert near.get("/v1/levels/hq/1/live").status_code == 200
    assert near.get("/v1/colleagues", params={"q": "ada"}).status_code == 401
    assert near.get("/v1/me/consent").status_code == 401
    bad = {"authorization": "Bearer no"}
    assert near.get("/v1/levels", headers=bad).status_code == 401


def test_a_header_cannot_claim_to_be_this_machine(api: Api) -> None:
    far = api.client(login=None, demo=True)
    headers = {"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"}

    assert far.get("/v1/levels", headers=headers).status_code == 401


def test_outside_of_the_demo_this_machine_needs_a_token(api: Api) -> None:
    near = api.client(login=None, peer=NEAR)

    assert near.get("/v1/levels").status_code == 401


def test_a_path_over_its_bound_gets_no_further(api: Api) -> None:
    client = api.client()
    client.get(f"/v1/colleagues/{'a' * 400}/location")
    assert len(api.finder.asked) == 1
    client.get(f"/v1/colleagues/{'a' * 600}/location")
    client.get("/v1/colleagues/s-1/location", params={"x": "a" * 3000})

    assert len(api.finder.asked) == 1
