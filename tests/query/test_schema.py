from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.query.api import Api


@pytest.fixture
def described(api: Api) -> dict[str, Any]:
    response = api.client(login=None, demo=True).get("/schema")
    assert response.headers["content-type"] == "application/json"
    return dict(response.json())


def test_every_route_is_described(api: Api, described: dict[str, Any]) -> None:
    routes = {
        re.sub(r":str|:path", "", route.path)
        for route in api.app(demo=True).routes
        # OpenAPI has no words for a socket.
        if route.path not in ("/", "/metrics", "/v1/live")
        and not route.path.startswith("/schema")
    }

    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == routes


def test_every_operation_says_what_it_does_and_how_it_refuses(
    described: dict[str, Any],
) -> None:
    operations = [
        (method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) >= 15
    for method, path, operation in operations:
        assert operation["description"], path
        for status, response in operation["responses"].items():
            if int(status) >= 400 and path != "/readyz":
                (content,) = response["content"].values()
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, (
                    path,
                    status,
                )
        open_path = path.startswith(("/demo", "/healthz", "/readyz"))
        open_path |= (method, path) == ("get", "/v1/ingest/{source}")
        assert ("401" in operation["responses"]) is not open_path, path


def test_the_description_names_ways_to_sign_in(described: dict[str, Any]) -> None:
    assert described["security"] == [{"token": []}]
    assert set(described["components"]["securitySchemes"]) == {
        "token",
        "source",
        "operator",
    }


def test_every_reference_of_the_description_is_in_it(
    described: dict[str, Any],
) -> None:
    known = {
        f"#/components/schemas/{name}" for name in described["components"]["schemas"]
    }

    assert set(re.findall(r"#/components/schemas/[^'\"]+", str(described))) <= known


def test_it_loads_nothing_from_elsewhere(described: dict[str, Any]) -> None:
    assert "http://" not in str(described)
    assert "https://" not in str(described)


def test_it_is_not_sent_again_to_who_has_it(api: Api) -> None:
    client = api.client(login=None)
    first = client.get("/schema/openapi.json")
    again = client.get("/schema", headers={"if-none-match": first.headers["etag"]})

    assert again.status_code == 304
