from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.query.api import Api

PATH = "/v1/me/consent"


def test_nobody_shares_before_they_say_so(api: Api) -> None:
    response = api.client().get(PATH)

    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "sharing": False,
        "since_ms": None,
        "name": "Ada Example",
        "devices": [],
    }


def test_opting_in_takes_one_request_without_a_body(api: Api) -> None:
    client = api.client()
    answer = client.put(PATH)

    assert answer.status_code == 200
    assert answer.json() == client.get(PATH).json()
    assert answer.json()["sharing"]
    assert answer.json()["since_ms"] == api.clock()
    assert answer.headers["cache-control"] == "no-store"


def test_opting_out_takes_one_request_and_reaches_the_search_at_once(api: Api) -> None:
    client = api.client()
    client.put(PATH)
    found = client.get("/v1/colleagues", params={"q": "ada"}).json()["colleagues"]
    assert [one["name"] for one in found] == ["Ada Example"]

    answer = client.delete(PATH)

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get("/v1/colleagues", params={"q": "ada"}).json() == {
        "colleagues": []
    }
    assert client.delete(PATH).status_code == 204
    assert not client.get(PATH).json()["sharing"]


def test_devices_are_spelt_one_way_and_kept_until_named_again(api: Api) -> None:
    client = api.client()
    named = client.put(
        PATH, json={"devices": ["A4-83-E7-00-00-01", "a483.e700.0001", "a483e7000002"]}
    )
    expected = ["a4:83:e7:00:00:01", "a4:83:e7:00:00:02"]

    assert named.json()["devices"] == expected
    assert client.put(PATH).json()["devices"] == expected
    assert client.put(PATH, json={}).json()["devices"] == expected
    assert client.put(PATH, json={"devices": []}).json()["devices"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"devices": ["phone"]},
        {"devices": ["a4:83:e7:00:00"]},
        {"devices": ["a4:83:e7:00:00:0g"]},
        {"devices": [" "]},
        {"devices": "a4:83:e7:00:00:01"},
        {"devices": ["a4:83:e7:00:00:01"] * 17},
        {"devices": [1]},
        {"sharing": True},
        {"login": "eve"},
        [],
        "x",
    ],
)
def test_a_body_that_does_not_fit_opts_nobody_in(api: Api, body: Any) -> None:  # noqa: ANN401 - any JSON
    client = api.client()

    assert client.put(PATH, json=body).status_code == 400
    assert api.consent.person == {}


def test_each_decides_about_themselves_in_their_own_tenant(api: Api) -> None:
    api.client("acme", "ada").put(PATH)

    assert api.client("acme", "ada").get(PATH).json()["sharing"]
    assert not api.client("acme", "eve").get(PATH).json()["sharing"]
    assert not api.client("globex", "ada").get(PATH).json()["sharing"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_without_the_registry_the_answer_is_try_again(api: Api, method: str) -> None:
    api.consent.away = True
    response = api.client().request(method, PATH)

    assert response.status_code == 503
    assert response.json()["retryable"]
