"""The pages about sources that say once what a value means: what they show happens.

Checked of each: its settings fit into the shipped configuration, its rows of
`sensors.csv` bind what the messages say, and its table is what the format makes of the
messages, one after the other.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from engine import config
from engine.ingest.formats import find
from engine.ingest.formats.sparkplug import Payload
from engine.model import Reading, ReadingFlag, ReadingKind
from tests.ingest.formats.golden import NOW_MS, new, one
from tests.pages import blocks

DEPLOY = Path(__file__).parents[2] / "deploy"
TITLE = "## Messages, and what they become"
PAGES = {
    path.stem: text
    for path in sorted((DEPLOY / "sources").glob("*.md"))
    if TITLE in (text := path.read_text())
}
WORDS = {
    ReadingKind.PRESENCE: {1: "occupied", 0: "vacant", -1: "unknown"},
    ReadingKind.HEALTH: {1: "online", 0: "offline"},
    ReadingKind.CONTACT: {1: "open", 0: "closed", -1: "unknown"},
    ReadingKind.MOTION: {0: "0 pulses", 1: "1 pulse", 3: "3 pulses"},
    ReadingKind.COUNT: {0: "0 people", 3: "3 people"},
}
every_page = pytest.mark.parametrize("name", PAGES)


def protobuf(text: str) -> bytes:
    told = json.loads(text)
    made = Payload(timestamp=told["timestamp"], seq=told["seq"])
    for metric in told["metrics"]:
        made.metrics.add(**metric)
    return bytes(made.SerializeToString())


def readings(name: str) -> list[Reading]:
    """Return what the messages of a page become, in their order."""
    form = new(find(name))
    found: list[Reading] = []
    for block in blocks(PAGES[name].partition(TITLE)[2], "text"):
        topic, _, body = block.partition("\n")
        payload = protobuf(body) if name == "sparkplug" else body.strip().encode()
        read = one(form.read, payload, topic, NOW_MS)
        found += read or ()
    return found


def test_there_is_a_page_for_each_format_that_names_topics_of_others() -> None:
    assert set(PAGES) == {"ha-discovery", "sparkplug"}


@every_page
def test_the_settings_of_a_page_fit_into_the_shipped_configuration(name: str) -> None:
    shipped = (DEPLOY / "livefloor.toml").read_text()
    (block,) = blocks(PAGES[name], "toml")
    found = config.parse(f"{shipped}\n{block}".encode(), DEPLOY / "a.toml")
    assert found.tenants[-1].sources[-1].format == name


@every_page
def test_the_rows_of_a_page_bind_what_its_messages_say(name: str) -> None:
    (table,) = blocks(PAGES[name], "csv")
    rows = list(csv.DictReader(table.splitlines()))
    said = {(one.device, one.channel, one.kind.name.lower()) for one in readings(name)}
    assert rows
    assert {(row["device"], row["channel"], row["kind"]) for row in rows} <= said


@every_page
def test_the_table_of_a_page_is_what_its_messages_become(name: str) -> None:
    table = PAGES[name].partition(TITLE)[2].partition("\n| device |")[2]
    shown = re.findall(
        r"^\| `(.+?)` \| `?(.*?)`? \| (\w+) \| (.*) \|$", table, re.MULTILINE
    )
    assert shown == [
        (
            reading.device,
            reading.channel,
            reading.kind.name.lower(),
            WORDS[reading.kind][reading.value]
            + (", from a cache" if reading.flags & ReadingFlag.CACHED else ""),
        )
        for reading in readings(name)
    ]


def test_inputs_that_are_connected_the_other_way_round_are_turned_as_shown(
    tmp_path: Path,
) -> None:
    page = (DEPLOY / "sources" / "tasmota.md").read_text()
    own = tmp_path / "tasmota-inverted.toml"
    own.write_text(blocks(page, "toml")[1])
    form = find(str(own))
    for written, pulses in (("OFF", 1), ("ON", 0)):
        body = json.dumps({"Switch1": written}).encode()
        (reading,) = one(form.read, body, "tele/desk-17/SENSOR") or ()
        assert (reading.kind, reading.value) == (ReadingKind.MOTION, pulses)
