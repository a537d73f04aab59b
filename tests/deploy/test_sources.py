"""The pages about sources: what they show is what happens.

Checked of each page about sensors that shows a message and what it becomes: its
settings fit into the shipped configuration, its rows of `sensors.csv` bind what the
message says, and its table is what the format makes of the message. The page about what
has no profile yet shows one to begin with.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine import config
from engine.ingest.formats import find
from engine.model import Metric, ReadingFlag, ReadingKind
from tests.ingest.formats.golden import NOW_MS, one, split
from tests.pages import blocks

if TYPE_CHECKING:
    from engine.model import Reading

DEPLOY = Path(__file__).parents[2] / "deploy"
TITLE = "## A message, and what it becomes"
PAGES = {
    path.stem: text
    for path in sorted((DEPLOY / "sources").glob("*.md"))
    if TITLE in (text := path.read_text()) and find(path.stem).identify is None
}
FLOWS = (ReadingKind.FLOW_DELTA, ReadingKind.FLOW_TOTAL)
WORDS = {
    ReadingKind.PRESENCE: {1: "occupied", 0: "vacant", -1: "unknown"},
    ReadingKind.HEALTH: {1: "online", 0: "offline", -1: "faulty"},
    ReadingKind.CONTACT: {1: "open", 0: "closed", -1: "unknown"},
}
UNITS = {
    Metric.CO2: ("CO₂", "ppm"),
    Metric.TEMPERATURE: ("temperature", "°C"),
    Metric.HUMIDITY: ("humidity", "%"),
    Metric.ILLUMINANCE: ("illuminance", "lx"),
    Metric.BATTERY: ("battery", "%"),
    Metric.VOLTAGE: ("voltage", "V"),
}
every_page = pytest.mark.parametrize("name", PAGES)


def block(page: str, language: str) -> str:
    """Return the first block of code in a language."""
    return blocks(page, language)[0]


def readings(name: str) -> list[Reading]:
    """Return what the message of a page becomes, received on the topic it names."""
    page = PAGES[name].partition(TITLE)[2]
    topic = re.search(r"on the\s+topic\s+`([^`]+)`", page)
    form = find(name)
    return [
        reading
        for record in split(form, block(page, "json").encode())
        for reading in one(form.read, record, topic[1] if topic else "", NOW_MS) or ()
    ]


def kind_of(reading: Reading) -> str:
    return "flow" if reading.kind in FLOWS else reading.kind.name.lower()


def in_words(reading: Reading) -> str:
    """Return what a reading says, as the pages write it."""
    value = reading.value
    match reading.kind:
        case ReadingKind.FLOW_DELTA:
            text = f"{value} in, {reading.out} out since the last report"
        case ReadingKind.FLOW_TOTAL:
            text = f"{value} in, {reading.out} out since the counter began"
        case ReadingKind.MOTION:
            text = f"{value} pulse{'' if value == 1 else 's'}"
        case ReadingKind.COUNT:
            people = f"{value} {'person' if value == 1 else 'people'}"
            text = "unknown" if value < 0 else people
        case ReadingKind.ENV:
            assert reading.metric is not None
            what, unit = UNITS[reading.metric]
            text = f"{what} {value / 1000:g} {unit}"
        case _:
            text = WORDS[reading.kind][value]
    return text + (", from a cache" if reading.flags & ReadingFlag.CACHED else "")


@every_page
def test_the_settings_of_a_page_fit_into_the_shipped_configuration(name: str) -> None:
    shipped = (DEPLOY / "livefloor.toml").read_text()
    block_of_page = block(PAGES[name], "toml")
    found = config.parse(f"{shipped}\n{block_of_page}".encode(), DEPLOY / "a.toml")
    source = found.tenants[-1].sources[-1]
    assert source.format == name
    if source.webhook:
        assert f"/v1/ingest/{source.name}" in PAGES[name]


@every_page
def test_the_rows_of_a_page_bind_what_its_message_says(name: str) -> None:
    source = re.search(r'^name = "(.*)"$', block(PAGES[name], "toml"), re.MULTILINE)
    assert source is not None
    rows = list(csv.DictReader(block(PAGES[name], "csv").splitlines()))
    said = {(one.device, one.channel, kind_of(one)) for one in readings(name)}
    assert rows
    assert {row["source"] for row in rows} == {source[1]}
    devices = {device for device, _, _ in said}
    assert {row["device"] for row in rows} <= devices
    assert any((row["device"], row["channel"], row["kind"]) in said for row in rows)


@every_page
def test_the_table_of_a_page_is_what_its_message_becomes(name: str) -> None:
    table = PAGES[name].partition(TITLE)[2].partition("\n| device |")[2]
    shown = re.findall(
        r"^\| `(.+?)` \| `?(.*?)`? \| (\w+) \| (.*) \|$", table, re.MULTILINE
    )
    assert shown == [
        (reading.device, reading.channel, kind_of(reading), in_words(reading))
        for reading in readings(name)
    ]


BEGIN = "## A profile to begin with"


def test_the_profile_that_a_page_begins_with_is_one(tmp_path: Path) -> None:
    page = (DEPLOY / "sources" / "pointgrab.md").read_text().partition(BEGIN)[2]
    own = tmp_path / "pointgrab.toml"
    own.write_text(block(page, "toml"))
    form = find(str(own))
    area = {"areaId": "A-7", "devices": ["1"], "count": 3, "type": "COUNTING"}
    for message in (area, [area]):
        (reading,) = one(form.read, json.dumps(message).encode()) or ()
        assert (reading.device, in_words(reading)) == ("a-7", "3 people")
