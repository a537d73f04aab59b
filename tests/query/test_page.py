from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from litestar.testing import TestClient

from engine.query.http import create_app
from engine.query.page import Page

if TYPE_CHECKING:
    from pathlib import Path

    from litestar import Litestar

SCRIPT = b"console.log('map');" * 100


@pytest.fixture
def client(tmp_path: Path) -> TestClient[Litestar]:
    assets = tmp_path / "dist" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "secret.txt").write_bytes(b"not for you")
    (tmp_path / "dist" / "index.html").write_bytes(b"<!doctype html><title>map</title>")
    (tmp_path / "dist" / "favicon.svg").write_bytes(b"<svg/>")
    (assets / "index-B3xK9a_q.js").write_bytes(SCRIPT)
    (assets / "index-B3xK9a_q.js.map").write_bytes(b"{}")
    return TestClient(create_app([Page(tmp_path / "dist")], version="1"))


def test_the_page_is_asked_for_each_time_and_its_files_once(
    client: TestClient[Litestar],
) -> None:
    page, script = client.get("/"), client.get("/assets/index-B3xK9a_q.js")

    assert page.headers["content-type"] == "text/html"
    assert page.headers["cache-control"] == "no-cache"
    assert client.get("/favicon.svg").headers["cache-control"] == "no-cache"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"] == "application/javascript"


def test_a_file_is_compressed_where_that_is_taken(
    client: TestClient[Litestar],
) -> None:
    path = "/assets/index-B3xK9a_q.js"
    plain = client.get(path, headers={"accept-encoding": "identity"})
    packed = client.get(path, headers={"accept-encoding": "br, gzip"})

    assert plain.content == packed.content == SCRIPT
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(gzip.compress(SCRIPT, mtime=0))


def test_a_head_request_has_the_headers_alone(client: TestClient[Litestar]) -> None:
    head = client.head("/assets/index-B3xK9a_q.js", headers={"accept-encoding": ""})

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(SCRIPT))


def test_nothing_from_elsewhere_is_let_in(client: TestClient[Litestar]) -> None:
    headers = client.get("/").headers
    policy = headers["content-security-policy"]

    for rule in ("default-src 'none'", "frame-ancestors 'none'", "script-src 'self'"):
        assert rule in policy
    assert "http:" not in policy
    assert "https:" not in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/assets/index-B3xK9a_q.js.map",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%00",
        "/assets//etc/passwd",
        "/assets",
    ],
)
def test_no_request_names_a_path_on_disk(
    client: TestClient[Litestar], path: str
) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert response.json()["code"] == 2004


@pytest.mark.parametrize("folder", [None, "empty"])
def test_without_the_built_page_there_is_a_word_of_help(
    tmp_path: Path, folder: str | None
) -> None:
    page = Page(None if folder is None else tmp_path)
    response = TestClient(create_app([page], version="1")).get("/")

    assert response.status_code == 503
    assert "make demo" in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]
