from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.query.access import authorization, is_from_here, may_scrape

if TYPE_CHECKING:
    from tests.query.api import Api


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to be refused
        ("localhost", False),
        ("", False),
        (None, False),
    ],
)
def test_this_machine_is_known_by_the_address_of_its_peer(
    address: str | None,
    here: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert is_from_here(address, "localhost:8080") is here


@pytest.mark.parametrize(
    ("host", "meant"),
    [
        ("127.0.0.1:8080", True),
        ("LOCALHOST", True),
        ("[::1]:8080", True),
        ("rebound.example", False),
        ("127.0.0.1.rebound.example", False),
        ("localhost:8080@rebound.example", False),
        ("", False),
    ],
)
def test_a_name_that_was_made_to_point_here_does_not_count(
    host: str,
    meant: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert is_from_here("127.0.0.1", host) is meant


@pytest.mark.parametrize(
    ("sent", "found"), [([], None), ([b"Bearer a"], b"Bearer a"), ([b"a", b"a"], b"")]
)
def test_two_authorization_headers_are_none_that_counts(
    sent: list[bytes], found: bytes | None
) -> None:
    headers = [(b"host", b"localhost"), *((b"authorization", one) for one in sent)]
    scope: Any = {"headers": headers}

    assert authorization(scope) == found


@pytest.mark.parametrize(
    ("address", "sent", "allowed"),
    [
        ("127.0.0.1", None, False),
        ("192.0.2.1", None, False),
        ("127.0.0.1", b"Bearer s3cret", True),
        ("192.0.2.1", b"Bearer s3cret", True),
        ("192.0.2.1", b"Bearer other", False),
        ("192.0.2.1", b"Basic s3cret", False),
        ("127.0.0.1", b"Bearer other", False),
    ],
)
def test_a_secret_for_the_metrics_is_always_needed(
    address: str,
    sent: bytes | None,
    allowed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    headers = [(b"host", b"localhost:8080")]
    if sent is not None:
        headers.append((b"authorization", sent))
    scope: Any = {"client": (address, 1), "headers": headers}
    assert may_scrape(scope, b"s3cret") is allowed
    assert may_scrape(scope, None) is (address == "127.0.0.1")


def test_nothing_is_said_of_people_before_it_is_known_who_shares(api: Api) -> None:
    api.loaded = False
    with api.client() as client:
        asked = (
            client.get("/v1/colleagues?q=ada"),
            client.get("/v1/colleagues/somebody/location"),
            client.post("/v1/colleagues/locations", json={"ids": []}),
            client.get("/v1/me/consent"),
            client.put("/v1/me/consent"),
            client.delete("/v1/me/consent"),
        )
        assert [answer.status_code for answer in asked] == [503] * 6
        assert {answer.json()["code"] for answer in asked} == {3002}
        for path in ("/v1/levels", "/v1/spaces/room", "/healthz", "/readyz"):
            assert client.get(path).status_code != 503
        api.loaded = True
        assert client.get("/v1/me/consent").status_code == 200
    with api.client(login=None) as stranger:
        api.loaded = False
        assert stranger.get("/v1/me/consent").status_code == 401
