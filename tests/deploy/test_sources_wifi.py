"""What the pages of Wi-Fi sources show is so: sources load, messages mean it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.config import parse
from engine.ingest.formats import FORMATS
from tests.ingest.formats.golden import NOW_MS, meaning_of
from tests.pages import blocks, page

NAMES = ["mist", "radius", "aruba-ale", "hostapd", "unifi"]
SITE = """
[redis]
locations = "redis://127.0.0.1:1"
registry = "redis://127.0.0.1:2"

[[broker]]
name = "main"
url = "mqtt://127.0.0.1"

[[tenant]]
id = "acme"
plan = "plan.geojson"
"""


@pytest.mark.parametrize(
    ("name", "block"),
    [(name, block) for name in NAMES for block in blocks(page(name), "toml")],
)
def test_every_source_that_a_page_shows_loads(name: str, block: str) -> None:
    sources = parse((SITE + block).encode(), Path("livefloor.toml")).tenants[0].sources
    assert {source.format for source in sources} == {name}


@pytest.mark.parametrize("name", NAMES)
def test_a_message_becomes_what_its_page_says(name: str) -> None:
    section = page(name).partition("## A message")[2].partition("## When")[0]
    [message] = blocks(section, "(?:json|text)")
    _, _, *table = re.findall(r"^\|.*\|$", section, re.MULTILINE)
    meaning = meaning_of(FORMATS[name], message.encode(), "", NOW_MS)
    people = [who for who in meaning["identities"] if any(who.values())]
    rows = [
        [
            code(who["login"]),
            code(who["device"]),
            seen["kind"].lower(),
            where(seen),
            clock(seen["observed_at_ms"]),
        ]
        for who, seen in zip(people, meaning["observations"], strict=True)
    ]
    rows += [
        ["", "", "restarted", code(one["nas"]), clock(one["observed_at_ms"])]
        for one in meaning.get("restarts", ())
    ]
    assert [[cell.strip() for cell in row[1:-1].split("|")] for row in table] == rows


def code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def where(seen: dict[str, Any]) -> str:
    spot = seen.get("spot")
    if spot is None:
        return code(seen["ap"])
    at = f"`{spot['floor']}` {spot['x']}, {spot['y']}"
    return f"{at} ± {spot['accuracy_m']:g} m"


def clock(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%H:%M:%S}.{at_ms % 1000:03}"


@pytest.mark.parametrize("name", NAMES)
def test_every_page_says_what_to_do_on_either_side(name: str) -> None:
    headings = re.findall(r"^## (.*)$", page(name), re.MULTILINE)
    assert headings == [
        "At the vendor",
        "In livefloor",
        "What is kept",
        "A message, and what it becomes",
        "When it does not work",
    ]
