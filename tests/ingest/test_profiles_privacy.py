"""Shipped profiles read what they name, and nothing that could be about a person.

Each invariant from both sides: no path of a profile has such a key, and whatever stands
in a message beside the paths of its profile is never decoded.
"""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from engine.ingest.formats import find
from tests.ingest.formats.golden import GOLDEN, Sample, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

PRIVATE = frozenset(
    (
        "accountid",
        "adults",
        "age",
        "badge",
        "badgeid",
        "children",
        "coordinates",
        "dwell_time_data",
        "email",
        "face",
        "firstname",
        "gender",
        "group",
        "histograms",
        "identity",
        "image",
        "ip_address",
        "ipaddress",
        "ipv4address",
        "labels",
        "lastname",
        "latitude",
        "local",
        "location",
        "longitude",
        "password",
        "people_id",
        "person",
        "person_height",
        "person_id",
        "picture",
        "position",
        "positions",
        "secret",
        "security_token",
        "snapshot",
        "staff",
        "systemname",
        "targets",
        "token",
        "track_id",
        "tracked_objects",
        "trackid",
        "user",
        "user_id",
        "userid",
        "username",
        "userstring",
        "wlan_mac",
        "world",
    )
)
"""Keys of vendors' messages that hold a person, a place, a picture or a secret."""


def profiles(folder: Traversable) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from profiles(entry)
        elif entry.name.endswith(".toml"):
            yield entry.name, tomllib.loads(entry.read_text())


SHIPPED = dict(profiles(files("engine.ingest.profiles")))
PATHS = frozenset(
    {"path", "at", "value", "in", "out", "time", "time_offset", "channel"}
)
MORE_PATHS = frozenset({"device", "cached", "backfill", "capped"})


def keys_read(table: object, under: str = "") -> Iterator[str]:
    """Yield every key that a path or template of a profile names."""
    if isinstance(table, dict):
        for name, value in table.items():
            yield from keys_read(value, name)
    elif isinstance(table, list):
        for value in table:
            yield from keys_read(value, under)
    elif isinstance(table, str) and under in PATHS | MORE_PATHS:
        yield from re.findall(r"\w+", table.lower())


@pytest.mark.parametrize("name", SHIPPED)
def test_no_path_of_a_profile_leads_to_a_person(name: str) -> None:
    assert PRIVATE.isdisjoint(keys_read(SHIPPED[name]))


def samples() -> list[Sample]:
    shipped = {name.removesuffix(".toml") for name in SHIPPED}
    return [sample for sample in GOLDEN if sample.format.name in shipped]


OPAQUE = (b'"\xff"', b"1e400", b'{"a": [{"b": "\xff"}]}', b'["\xff"]')
"""What stops whoever decodes it: text that is not UTF-8, and a number too large."""
MARKER = "Zq7-canary-Zq7"


def surrounded(value: object) -> object:
    """Return a message with private things in each of its tables.

    Not in one of tables alone: its keys may be names, and everything in it is read.
    """
    if isinstance(value, list):
        return [surrounded(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: surrounded(item) for key, item in value.items()}
    if all(isinstance(item, dict) for item in value.values()):
        return inner
    return (
        dict.fromkeys(("coordinates", "track_id", "snapshot", "email"), MARKER) | inner
    )


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_what_a_profile_does_not_name_never_becomes_an_object(sample: Sample) -> None:
    form, _, payload, topic, now_ms, _ = sample
    body = json.dumps(surrounded(json.loads(payload))).encode()
    plain = meaning_of(form, payload, topic, now_ms)
    for opaque in OPAQUE:
        strange = body.replace(json.dumps(MARKER).encode(), opaque)
        assert meaning_of(form, strange, topic, now_ms) == plain


def test_a_password_in_a_body_is_in_nothing_that_is_read() -> None:
    form = find("terabee")
    assert form.verify == "body"
    sample = next(one for one in samples() if one.name == "terabee/totals")
    assert b"correct horse" in sample.payload
    strange = sample.payload.replace(b'"correct horse"', b'"\xff"')
    meaning = meaning_of(form, sample.payload, "", sample.now_ms)
    assert meaning_of(form, strange, "", sample.now_ms) == meaning
