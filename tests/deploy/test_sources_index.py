"""The index of the pages about sources is complete."""

from __future__ import annotations

import re
from pathlib import Path

from engine.ingest.formats import livefloor, names

SOURCES = Path(__file__).parents[2] / "deploy/sources"
INDEX = (SOURCES / "README.md").read_text()


def test_every_format_has_one_row_that_links_to_its_page() -> None:
    rows = [row for row in INDEX.splitlines() if row.startswith("| ")]
    for name in names():
        (row,) = (one for one in rows if f"| `{name}` |" in one)
        assert f"]({name}.md)" in row
        assert f'format = "{name}"' in (SOURCES / f"{name}.md").read_text()


def test_it_names_no_format_that_there_is_not() -> None:
    named = set(re.findall(r"\| `([\w-]+)` \|", INDEX))
    assert named - {"format"} == set(names())


def test_every_page_is_linked_and_every_link_leads_to_a_page() -> None:
    pages = {path.name for path in SOURCES.glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", INDEX)) == pages


def test_the_page_of_our_own_events_names_every_key() -> None:
    page = (SOURCES / "livefloor.md").read_text()
    keys = re.findall(r"^(`\w+`(?:, `\w+`)?) ", livefloor.__doc__ or "", re.MULTILINE)
    assert len(keys) == 16
    assert [key for key in keys if f"| {key} |" not in page] == []
