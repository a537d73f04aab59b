from __future__ import annotations

import pytest

from tests.query.api import FAR, NEAR, Api


def test_whom_one_may_be_is_listed(api: Api) -> None:
    people = api.client(login=None, demo=True).get("/demo/people").json()["people"]

    assert people[0] == {"id": "p-0001", "name": "Ada Lovelace", "sharing": True}


def test_a_chosen_person_is_signed_in(api: Api) -> None:
    client = api.client(login=None, demo=True)
    issued = client.post("/demo/token", json={"person": "p-0002"}).json()

    assert issued["name"] == "Grace Hopper"
    assert issued["expires_at_ms"] == api.clock() // 1000 * 1000 + 3_600_000
    client.headers["authorization"] = f"Bearer {issued['token']}"
    assert client.get("/v1/me/consent").json()["name"] == "Grace Hopper"


def test_a_token_ends(api: Api) -> None:
    client = api.client(login=None, demo=True)
    issued = client.post("/demo/token", json={"person": "p-0002"}).json()
    client.headers["authorization"] = f"Bearer {issued['token']}"
    api.clock.advance(3_600_000)

    assert client.get("/v1/me/consent").status_code == 401


def test_the_simulated_time_is_told(api: Api) -> None:
    told = api.client(login=None, demo=True).get("/demo/clock").json()

    assert told == {"weekday": "Tuesday", "at_s": 34_860.0, "speed": 60.0}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"person": "p-9999"}, 404),
        ({"person": ""}, 404),
        ({"person": 1}, 400),
        ({"person": "p-0001", "tenant": "globex"}, 400),
        ({}, 400),
    ],
)
def test_nobody_else_may_be_chosen(
    api: Api, body: dict[str, object], status: int
) -> None:
    answer = api.client(login=None, demo=True).post("/demo/token", json=body)

    assert answer.status_code == status


def test_outside_of_the_demo_there_is_no_such_sign_in(api: Api) -> None:
    client = api.client()

    assert client.get("/demo/people").status_code == 404
    assert client.post("/demo/token", json={"person": "p-0001"}).status_code == 404


def test_a_token_of_another_process_is_none(api: Api) -> None:
    other = Api(api.clock)
    client = api.client(login=None, demo=True)
    token = other.offices["acme"].issue("ada", "Ada").token

    answer = client.get("/v1/levels", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("peer", "host", "status"),
    [
        (NEAR, "127.0.0.1:8080", 200),
        (NEAR, "localhost:8080", 200),
        (NEAR, "rebound.example", 403),
        (NEAR, "rebound.example:8080", 403),
        (FAR, "floor.example:8080", 200),
    ],
)
def test_a_page_whose_name_was_made_to_point_here_may_be_nobody(
    api: Api, peer: tuple[str, int], host: str, status: int
) -> None:
    client = api.client(login=None, demo=True, peer=peer)
    client.headers["host"] = host

    people = client.get("/demo/people")
    token = client.post("/demo/token", json={"person": "p-0002"})
    clock = client.get("/demo/clock")

    found = {answer.status_code for answer in (people, token, clock)}
    assert found == {status}
    assert ("Grace Hopper" in people.text + token.text) is (status == 200)
