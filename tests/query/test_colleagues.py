from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.model import Location, Person
from tests.conftest import Clock
from tests.query.api import Api

if TYPE_CHECKING:
    import httpx
    from litestar.testing import TestClient
    from litestar.types import ASGIApp

DAY_MS = 24 * 60 * 60 * 1000


def face(response: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return all that a caller can see of an answer."""
    return response.status_code, response.content, sorted(response.headers.items())


def test_a_colleague_who_shares_is_found(api: Api) -> None:
    api.share("acme", "s-1", "Ada Lovelace")
    api.locate("acme", "s-1", "hq-1-north", age_s=61, percent=70)

    response = api.client().get("/v1/colleagues/s-1/location")

    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "colleague": "s-1",
        "space": {"id": "hq-1-north", "name": "North", "kind": "zone"},
        "level": "hq/1",
        "building": "hq",
        "observed_at_ms": api.clock() - 61_000,
        "age_s": 61,
        "confidence": 70,
    }


def test_a_colleague_may_be_known_to_a_building_alone(api: Api) -> None:
    api.share("acme", "s-1", "Ada Lovelace")
    api.locate("acme", "s-1", "hq")

    located = api.client().get("/v1/colleagues/s-1/location").json()

    assert (located["level"], located["building"]) == (None, "hq")


def test_an_observation_ahead_of_our_clock_has_no_negative_age(api: Api) -> None:
    api.share("acme", "s-1", "Ada Lovelace")
    api.locate("acme", "s-1", "hq", age_s=-30)

    assert api.client().get("/v1/colleagues/s-1/location").json()["age_s"] == 0


def a_no_of_every_kind(api: Api) -> dict[str, str]:
    """Prepare every reason not to answer; return an id for each."""
    api.share("acme", "no-location", "Ada Lovelace")
    api.share("acme", "expired", "Ada Lovelace")
    api.share("acme", "space-gone", "Ada Lovelace")
    api.share("globex", "elsewhere", "Ada Lovelace")
    api.locate("acme", "expired", "hq-1-north", age_s=86_400)
    api.locate("acme", "space-gone", "torn-down")
    api.locate("acme", "not-sharing", "hq-1-north")
    api.locate("acme", "0", "hq-1-north")
    api.locate("globex", "elsewhere", "hq-1-north")
    kinds = {name: name for name in ("no-location", "expired", "space-gone")}
    kinds |= {name: name for name in ("elsewhere", "not-sharing", "unknown", "0")}
    kinds |= {
        "wildcard": "*",
        "dots": "..%2f..",
        "slash": "a/b",
        "encoded slash": "a%2Fb",
        "nul": "%00",
        "not UTF-8": "%ff",
        "accent": "%C3%A9",
        "long": "a" * 65,
        "longer than a path": "a" * 1000,
        "redis pattern": "s-[0-9]",
        "line feed": "s-1%0A",
        "locations": "locations",
    }
    return kinds


def test_every_no_has_one_face(api: Api) -> None:
    kinds = a_no_of_every_kind(api)
    client = api.client()

    faces = {
        name: face(client.get(f"/v1/colleagues/{one}/location"))
        for name, one in kinds.items()
    }

    assert len(kinds) >= 19
    assert len({str(seen) for seen in faces.values()}) == 1, faces
    assert faces["unknown"][0] == 404


def test_every_no_costs_one_look_up_under_a_name_nobody_has(api: Api) -> None:
    api.share("acme", "no-location", "Ada Lovelace")
    client = api.client()
    for one in ("no-location", "unknown", "*", "%00"):
        client.get(f"/v1/colleagues/{one}/location")

    assert api.finder.asked == [("acme", "no-location"), *[("acme", "0")] * 3]


def test_a_store_that_is_away_has_one_face_too(api: Api) -> None:
    kinds = a_no_of_every_kind(api)
    api.finder.away = True
    client = api.client()
    routed = set(kinds) - {"slash", "encoded slash", "dots", "longer than a path"}

    faces = [
        face(client.get(f"/v1/colleagues/{kinds[name]}/location")) for name in routed
    ]

    assert {seen[0] for seen in faces} == {503}
    assert len({str(seen) for seen in faces}) == 1


@pytest.fixture(scope="module")
def signed_in() -> TestClient[ASGIApp]:
    """A client for many requests; nobody shares."""
    return Api(Clock()).client()


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(min_size=1, max_size=70).filter(lambda text: text not in {".", ".."}))
def test_no_id_has_another_face(signed_in: TestClient[ASGIApp], text: str) -> None:
    one = quote(text.encode("utf-8", "surrogatepass"), safe="")

    seen = face(signed_in.get(f"/v1/colleagues/{one}/location"))

    assert seen == face(signed_in.get("/v1/colleagues/unknown/location"))


def test_who_opts_out_while_the_store_answers_is_not_shown(api: Api) -> None:
    api.share("acme", "s-1", "Ada Lovelace")
    found = Location("hq-1-north", api.clock(), 80)

    async def find(tenant: str, subject: str) -> Location:
        if subject == "s-1":
            api.rolls[tenant].remove(Person(subject, subject, "", (), 0))
        return found

    api.finder.find = find  # type: ignore[method-assign]
    client = api.client()

    assert face(client.get("/v1/colleagues/s-1/location")) == face(
        client.get("/v1/colleagues/s-2/location")
    )


@pytest.mark.parametrize(("age_ms", "status"), [(DAY_MS - 1, 200), (DAY_MS, 404)])
def test_a_location_is_shown_for_24_hours_whatever_the_store_has(
    api: Api, age_ms: int, status: int
) -> None:
    api.share("acme", "s-1", "Ada Lovelace")
    seen = Location("hq-1-north", api.clock() - age_ms, 80)
    api.finder.location["acme", "s-1"] = seen

    assert api.client().get("/v1/colleagues/s-1/location").status_code == status


def test_several_at_once_are_those_who_can_be_found(api: Api) -> None:
    kinds = a_no_of_every_kind(api)
    api.share("acme", "s-1", "Ada Lovelace")
    api.locate("acme", "s-1", "hq-1-north")
    ids = [*kinds.values(), "s-1", "s-1", "\U0001f600", ""]

    response = api.client().post("/v1/colleagues/locations", json={"ids": ids})

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert [one["colleague"] for one in response.json()["locations"]] == ["s-1"]


def test_nobody_asked_for_is_nobody_found(api: Api) -> None:
    answer = api.client().post("/v1/colleagues/locations", json={"ids": []})

    assert answer.json() == {"locations": []}
    assert api.finder.asked == []


def test_a_search_finds_who_shares_in_the_callers_tenant(api: Api) -> None:
    api.share("acme", "s-1", "Ada Lovelace")
    api.share("globex", "s-1", "Ada Byron")
    api.share("acme", "s-2", "Grace Hopper")

    def search(tenant: str, q: str) -> list[dict[str, Any]]:
        answer = api.client(tenant).get("/v1/colleagues", params={"q": q})
        assert answer.headers["cache-control"] == "no-store"
        return list(answer.json()["colleagues"])

    assert search("acme", "ada") == [{"id": "s-1", "name": "Ada Lovelace"}]
    assert search("globex", "ADA") == [{"id": "s-1", "name": "Ada Byron"}]
    assert search("acme", "byron") == []
    assert search("acme", "%%") == []
    assert search("acme", "  ") == []


def test_a_search_gives_twenty_names_at_most(api: Api) -> None:
    for number in range(50):
        api.share("acme", f"s-{number}", f"Ada {number}")

    answer = api.client().get("/v1/colleagues", params={"q": "ada"})

    assert len(answer.json()["colleagues"]) == 20


def test_two_tenants_with_equal_ids_never_see_each_other(api: Api) -> None:
    for tenant, space in (("acme", "hq-1-north"), ("globex", "hq-0-hopper")):
        api.share(tenant, "s-1", "Ada Lovelace")
        api.locate(tenant, "s-1", space)
    api.share("globex", "s-2", "Grace Hopper")
    api.locate("globex", "s-2", "hq-1-north")
    acme, globex = api.client("acme"), api.client("globex")
    path = "/v1/colleagues/{}/location"

    assert acme.get(path.format("s-1")).json()["space"]["id"] == "hq-1-north"
    assert globex.get(path.format("s-1")).json()["space"]["id"] == "hq-0-hopper"
    assert globex.get(path.format("s-2")).json()["space"]["id"] == "hq-1-north"
    assert face(acme.get(path.format("s-2"))) == face(acme.get(path.format("s-3")))


def test_a_token_of_another_tenant_is_none(api: Api) -> None:
    acme = api.client("acme")
    acme.headers["authorization"] = api.client("globex").headers["authorization"]

    assert acme.get("/v1/levels").status_code == 401
