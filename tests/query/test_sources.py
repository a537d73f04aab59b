from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.query.sources import FilesEntry, SourceEntry, SourceList
from tests.query.api import FAR, NEAR

if TYPE_CHECKING:
    from tests.query.api import Api

SECRET = b"m" * 32


def entry(tenant: str, name: str) -> SourceEntry:
    return SourceEntry(
        tenant, name, "livefloor", "mqtt", {"applied": 3}, {}, None, [], [], [], [], []
    )


@pytest.fixture
def listed(api: Api) -> SourceList:
    sources = [entry("acme", "wifi"), entry("acme", "desks"), entry("globex", "wifi")]
    files = [FilesEntry("acme", 1, None), FilesEntry("globex", 2, "globex.csv: no")]
    api.listed = SourceList(sources, files)
    return api.listed


def test_the_operator_sees_every_source(api: Api, listed: SourceList) -> None:
    answer = api.client(login=None, peer=NEAR).get("/v1/sources")
    assert answer.status_code == 200
    assert msgspec.json.decode(answer.content, type=SourceList) == listed
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("listed")
def test_one_source_is_that_of_every_tenant_that_has_one(api: Api) -> None:
    client = api.client(login=None, peer=NEAR)
    found = client.get("/v1/sources/desks").json()
    assert [one["name"] for one in found["sources"]] == ["desks"]
    assert [one["tenant"] for one in found["files"]] == ["acme"]
    found = client.get("/v1/sources/wifi").json()
    assert [one["tenant"] for one in found["sources"]] == ["acme", "globex"]
    assert client.get("/v1/sources/radius").status_code == 404


@pytest.mark.parametrize("path", ["/v1/sources", "/v1/sources/wifi"])
def test_nobody_else_sees_a_source_whatever_their_token(api: Api, path: str) -> None:
    for login in ("ada", None):
        assert api.client(login=login, peer=FAR).get(path).status_code == 401
    assert api.client(login="ada").post("/v1/sources/reload").status_code == 401
    assert api.reloads == 0


@pytest.mark.usefixtures("listed")
def test_where_there_is_a_secret_it_is_needed_from_everywhere(api: Api) -> None:
    api.operator_secret = SECRET
    client = api.client(login=None, peer=NEAR)
    assert client.get("/v1/sources").status_code == 401
    client = api.client(login=None, peer=FAR)
    client.headers["authorization"] = f"Bearer {SECRET.decode()}"
    assert client.get("/v1/sources").status_code == 200
    assert client.post("/v1/sources/reload").status_code == 200
    assert api.reloads == 1


def test_what_does_not_fit_is_said_to_who_asks_for_a_reload(api: Api) -> None:
    api.misfit = "sensors.csv, line 3: the plan has no space 'x'"
    answer = api.client(login=None, peer=NEAR).post("/v1/sources/reload")
    assert answer.status_code == 400
    assert answer.json()["message"] == api.misfit


def test_a_page_cannot_ask_for_a_reload_through_somebodys_browser(api: Api) -> None:
    client = api.client(login=None, peer=NEAR)
    origin = {"origin": "https://elsewhere.example"}
    assert client.post("/v1/sources/reload", headers=origin).status_code == 403
    assert api.reloads == 0
