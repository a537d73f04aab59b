"""Which pages may open a socket: 40 bad origins, none let in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.publish.origin import host_allowed, origin_allowed, peer_address

HOST = "map.example:8080"
ALLOWED = {"https://front.example"}
PROXIES = {"127.0.0.1", "::1"}

BAD = [
    "",
    " ",
    "null",
    "NULL",
    "file://",
    "about:blank",
    "http://",
    "map.example:8080",
    "//map.example:8080",
    "http://map.example",
    "http://map.example:80",
    "http://map.example:8081",
    "http://map.example:080808080",
    "http://map.example:8080/",
    "http://map.example:8080/x",
    "http://map.example:8080?x",
    "http://map.example:8080#x",
    "http://map.example:8080.",
    "http://map.example.:8080",
    "http://map.example:8080 ",
    " http://map.example:8080",
    "http://map.example:8080\n",
    "http://map.example:8080\0",
    "http://map.example:8080, http://map.example:8080",
    "http://user@map.example:8080",
    "http://evil.example@map.example:8080",
    "http://map.example:8080@evil.example",
    "http://evilmap.example:8080",
    "http://evil.map.example:8080",
    "http://map.example.evil.example:8080",
    "http://map.example:8080.evil.example",
    "http://mapXexample:8080",
    "http://map。example:8080",
    "http://máp.example:8080",
    "http://\uff4dap.example:8080",
    "http://xn--mp-mia.example:8080",
    "ws://map.example:8080",
    "ftp://map.example:8080",
    "javascript://map.example:8080",
    "https://front.example.evil.example",
    "https://front.example:444",
    "http://front.example",
    "https://FRONT.example.",
]


@pytest.mark.parametrize("origin", BAD)
def test_a_bad_origin_is_refused(origin: str) -> None:
    assert not origin_allowed([origin], [HOST], ALLOWED)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://map.example:8080", HOST),
        ("HTTP://MAP.example:8080", HOST),
        ("http://map.example:8080", "MAP.EXAMPLE:8080"),
        ("https://front.example", HOST),
        ("https://front.example:443", HOST),
        ("https://FRONT.example", HOST),
        ("https://map.example", "map.example"),
        ("https://map.example", "map.example:443"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_a_page_of_ours_is_let_in(origin: str, host: str) -> None:
    assert origin_allowed([origin], [host], ALLOWED)


def test_no_origin_is_no_browser() -> None:
    assert origin_allowed([], [HOST], ALLOWED)


def test_two_headers_are_refused() -> None:
    good = "http://map.example:8080"
    assert not origin_allowed([good, good], [HOST], ALLOWED)
    assert not origin_allowed([good], [HOST, HOST], ALLOWED)
    assert not origin_allowed([good], [], ALLOWED)


@given(st.text(max_size=40))
def test_no_other_text_is_an_origin_of_ours(text: str) -> None:
    good = {"http://map.example:8080", "https://front.example"}
    if text.lower() not in good | {"https://front.example:443"}:
        assert not origin_allowed([text], [HOST], ALLOWED)
        assert not origin_allowed([f"http://{text}map.example:80"], [HOST], ALLOWED)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("evil.example", False),
        ("localhost.evil.example:8080", False),
        ("localhost:8080:1", False),
        ("", False),
    ],
)
def test_a_rebound_name_is_not_ours(host: str, *, allowed: bool) -> None:
    ours = {"localhost", "127.0.0.1", "[::1]"}
    assert host_allowed([host], ours) is allowed
    assert host_allowed([host], None)


def test_two_hosts_or_none_are_not_ours() -> None:
    assert not host_allowed([], {"localhost"})
    assert not host_allowed(["localhost", "localhost"], {"localhost"})


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", "127.0.0.1", "203.0.113.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.7, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "127.0.0.1, ::1", "127.0.0.1"),
        ("127.0.0.1", "unknown", "unknown"),
        (None, "127.0.0.1", None),
    ],
)
def test_only_a_trusted_proxy_names_its_client(
    peer: str | None, forwarded: str, address: str | None
) -> None:
    headers = {"x-forwarded-for": forwarded}
    assert peer_address(peer, headers, PROXIES) == address
