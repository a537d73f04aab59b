from __future__ import annotations

from typing import Any

import pytest

from engine.query.access import authorization, is_loopback


@pytest.mark.parametrize(
    ("client", "here"),
    [
        (("127.0.0.1", 1), True),
        (("127.8.9.10", 1), True),
        (("::1", 1), True),
        (("::ffff:127.0.0.1", 1), True),
        (("::ffff:192.0.2.1", 1), False),
        (("192.0.2.1", 1), False),
        (("0.0.0.0", 1), False),  # noqa: S104 - an address to be refused
        (("localhost", 1), False),
        (("", 1), False),
        (None, False),
    ],
)
def test_this_machine_is_known_by_the_address_of_its_peer(
    client: tuple[str, int] | None,
    here: bool,  # noqa: FBT001 - a column of the table
) -> None:
    scope: Any = {"client": client, "headers": [(b"x-forwarded-for", b"127.0.0.1")]}

    assert is_loopback(scope) is here


@pytest.mark.parametrize(
    ("sent", "found"), [([], None), ([b"Bearer a"], b"Bearer a"), ([b"a", b"a"], b"")]
)
def test_two_authorization_headers_are_none_that_counts(
    sent: list[bytes], found: bytes | None
) -> None:
    headers = [(b"host", b"localhost"), *((b"authorization", one) for one in sent)]
    scope: Any = {"headers": headers}

    assert authorization(scope) == found
