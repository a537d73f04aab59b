from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.model import State
from tests.query.api import PLAN, Api

if TYPE_CHECKING:
    import httpx


def test_the_list_has_the_numbers_of_each_level(api: Api) -> None:
    api.views["acme"].state_by_space = {
        "hq/1": (State.OCCUPIED, 5, 3),
        "hq-1-lovelace": (State.OCCUPIED, 4, 3),
        "hq-1-hopper": (State.FREE, 0, 3),
        "hq-1-north": (State.OCCUPIED, 1, 3),
        "hq-1-desk-1": (State.LIKELY, 1, 3),
        "hq-1-desk-2": (State.OFFLINE, -1, 3),
    }

    ground, first = api.client().get("/v1/levels").json()["levels"]

    assert first == {
        "id": "hq/1",
        "building": "hq",
        "building_name": "Headquarters",
        "name": "Level 1",
        "ordinal": 1,
        "plan": PLAN.version,
        "summary": {
            "headcount": 5,
            "capacity": PLAN.spaces[PLAN.space_by_id["hq/1"]].capacity,
            "free": 1,
            "occupied": 1,
            "likely": 1,
            "unknown": 1,
            "offline": 1,
        },
    }
    assert ground["id"] == "hq/0"
    assert ground["summary"]["headcount"] is None
    assert ground["summary"]["unknown"] == 5


def test_the_plan_is_drawn_with_rows_for_ids(api: Api) -> None:
    response = api.client().get("/v1/levels/hq/1/plan")

    assert response.headers["content-type"] == "application/geo+json"
    drawing = response.json()
    assert drawing["level"] == "hq/1"
    rows = {feature.get("id") for feature in drawing["features"]}
    assert {1, 2, 3, 4, 5, 6} <= rows


def test_the_occupancy_is_the_snapshot_of_the_live_channel(api: Api) -> None:
    api.views["acme"].state_by_space = {"hq-1-hopper": (State.OCCUPIED, 3, 12)}

    message = api.client().get("/v1/levels/hq/1/occupancy").json()

    row = PLAN.space_by_id["hq-1-hopper"] - PLAN.levels["hq/1"].start
    assert message["type"] == "snapshot"
    assert (message["level"], message["plan"]) == ("hq/1", PLAN.version)
    assert (message["epoch"], message["offset"]) == ("aaaa", 17)
    assert message["state"][row] == 2
    assert message["count"][row] == 3
    assert message["age_s"][row] == 12
    assert message["count"][row + 1] is None
    assert message["age_s"][row + 1] is None


def test_the_occupancy_comes_as_msgpack_where_that_is_asked_for(api: Api) -> None:
    path = "/v1/levels/hq/1/occupancy"
    packed = api.client().get(path, headers={"accept": "application/msgpack"})

    assert packed.headers["content-type"] == "application/vnd.msgpack"
    assert msgspec.msgpack.decode(packed.content) == api.client().get(path).json()


@pytest.mark.parametrize("what", ["plan", "occupancy"])
def test_what_the_caller_has_is_not_sent_again(api: Api, what: str) -> None:
    client = api.client()
    path = f"/v1/levels/hq/1/{what}"
    first = client.get(path)
    etag = first.headers["etag"]

    def ask(names: str) -> httpx.Response:
        return client.get(path, headers={"if-none-match": names})

    assert first.headers["cache-control"] == "private, no-cache"
    for names in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = ask(names)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert ask('"other"').status_code == 200


def test_a_change_has_another_etag(api: Api) -> None:
    client = api.client()
    path = "/v1/levels/hq/1/occupancy"
    etag = client.get(path).headers["etag"]
    assert etag == '"aaaa:17"'
    api.views["acme"].offset += 1

    again = client.get(path, headers={"if-none-match": etag})

    assert again.status_code == 200
    assert again.headers["etag"] == '"aaaa:18"'


def test_a_tenant_sees_its_own_floors_alone(api: Api) -> None:
    api.views["globex"].state_by_space = {"hq-1-hopper": (State.OCCUPIED, 3, 12)}
    path = "/v1/levels/hq/1/occupancy"

    assert api.client("acme").get(path).json()["epoch"] == "aaaa"
    assert set(api.client("acme").get(path).json()["state"]) == {0}
    assert api.client("globex").get(path).json()["epoch"] == "bbbb"


def test_a_space_has_its_state_in_words(api: Api) -> None:
    api.views["acme"].state_by_space = {"hq-1-hopper": (State.LIKELY, 3, 12)}

    assert api.client().get("/v1/spaces/hq-1-hopper").json() == {
        "id": "hq-1-hopper",
        "name": "Hopper",
        "kind": "room",
        "level": "hq/1",
        "building": "hq",
        "capacity": 4,
        "state": "likely",
        "count": 3,
        "confidence": 90,
        "age_s": 12,
    }


def test_a_space_without_evidence_is_unknown(api: Api) -> None:
    space = api.client().get("/v1/spaces/hq-1-desk-1").json()

    assert (space["state"], space["count"], space["age_s"]) == ("unknown", None, None)


@pytest.mark.parametrize(
    ("space", "kind", "level"), [("hq", "building", None), ("hq/1", "level", "hq/1")]
)
def test_a_building_and_a_level_are_spaces_too(
    api: Api, space: str, kind: str, level: str | None
) -> None:
    found = api.client().get(f"/v1/spaces/{space}").json()

    assert (found["id"], found["kind"], found["level"]) == (space, kind, level)
    assert found["building"] == "hq"
