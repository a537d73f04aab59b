"""The shipped profiles of one vendor's own messages, beside the contract of formats.

- What a profile does not name of a message is never decoded: no picture, coordinate,
  password or id of a track; and no profile names any of these.
- It refuses what another vendor's sensor sends, so that a source of the wrong format
  shows it, and is not silent.
- Nothing that a documentation says is counted as strange.
"""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import UnknownValue
from tests.ingest.formats.golden import EVERY, GOLDEN, NOW_MS, Sample, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

NAMES = (
    "axis-3d",
    "axis-live-sum",
    "axis-object-analytics",
    "butlr",
    "density",
    "disruptive",
    "enlighted",
    "irisys",
    "microsoft-graph",
    "milesight-vs121p",
    "milesight-vs125",
    "roomos",
    "steinel-hpd2",
    "terabee",
    "vergesense",
    "webex-workspace",
    "xovis",
    "xysense",
    "yanzi",
)
"""Without LoRaWAN and smart homes: their envelopes and topics can have anything in."""
OURS = [sample for sample in GOLDEN if sample.format.name in NAMES]
every_sample = pytest.mark.parametrize("sample", OURS, ids=lambda sample: sample.name)

PRIVATE = re.compile(
    "adults|children|gender|staff|person(_id|_height)?|people_id|track_id"
    "|tracked_objects|dwell_time_data|histograms|badge(id)?"
    "|coordinates|distances|latitude|longitude|position|world"
    "|image|picture|snapshot|face"
    "|user(_?name|_?id|string)?|email|systemname|password|secret|(security_)?token"
    "|ip_?v?4?_?address|wlan_mac"
)
"""Keys of vendors' messages: a person, where one is, a picture, a secret."""


def profiles(folder: Traversable) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from profiles(entry)
        elif entry.name.endswith(".toml"):
            yield entry.name, tomllib.loads(entry.read_text())


SHIPPED = dict(profiles(files("engine.ingest.profiles")))
PATHS = frozenset(
    (
        *("path", "at", "value", "in", "out", "time", "time_offset"),
        *("device", "channel", "cached", "backfill", "capped"),
    )
)


def keys_read(table: object, under: str = "") -> Iterator[str]:
    """Yield every key that a path or template of a profile names."""
    if isinstance(table, dict):
        for name, value in table.items():
            yield from keys_read(value, name)
    elif isinstance(table, list):
        for value in table:
            yield from keys_read(value, under)
    elif isinstance(table, str) and under in PATHS:
        yield from re.findall(r"\w+", table.lower())


@pytest.mark.parametrize("name", SHIPPED)
def test_no_path_of_a_profile_leads_to_a_person(name: str) -> None:
    assert not [key for key in keys_read(SHIPPED[name]) if PRIVATE.fullmatch(key)]


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
    keys = ("coordinates", "track_id", "snapshot", "email")
    return dict.fromkeys(keys, MARKER) | inner


@every_sample
def test_what_a_profile_does_not_name_never_becomes_an_object(sample: Sample) -> None:
    form, _, payload, topic, now_ms, _, meaning = sample
    body = json.dumps(surrounded(json.loads(payload))).encode()
    for opaque in OPAQUE:
        strange = body.replace(json.dumps(MARKER).encode(), opaque)
        assert meaning_of(form, strange, topic, now_ms) == meaning


def test_a_password_in_a_body_is_in_nothing_that_is_read() -> None:
    form = EVERY["terabee"]
    assert form.verify == "body"
    (sample,) = (one for one in OURS if one.name == "terabee/totals")
    strange = sample.payload.replace(b'"correct horse"', b'"\xff"')
    assert strange != sample.payload
    assert meaning_of(form, strange, "", sample.now_ms) == sample.meaning


@pytest.mark.parametrize("name", NAMES)
def test_a_message_of_one_vendor_is_no_other_vendors(name: str) -> None:
    form = EVERY[name]
    assert form.read is not None
    for owner, samples in groupby(GOLDEN, key=lambda sample: sample.format.name):
        for sample in samples if owner != name else ():
            refused: list[Exception] = []
            (found,) = form.read([sample.payload], [""], NOW_MS, refused.append)
            assert not found, sample.name
            assert refused, sample.name


STRANGE = {
    "disruptive/desk-of-a-state-not-known",
    "enlighted/desks",
    "xysense/floor",
}
"""Samples with a value that no documentation has."""


@every_sample
def test_what_a_documentation_says_is_no_strange_value(sample: Sample) -> None:
    refused: list[Exception] = []
    assert sample.format.read is not None
    sample.format.read([sample.payload], [sample.topic], sample.now_ms, refused.append)
    strange = [error for error in refused if isinstance(error, UnknownValue)]
    assert bool(strange) == (sample.name in STRANGE)
