"""The pages of Cisco's sources: their configurations load, their samples mean that."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from engine import config
from engine.ingest.formats import FORMATS
from engine.site import build
from tests.building import plan_file
from tests.ingest.formats.golden import NOW_MS, meaning_of
from tests.pages import blocks, page

if TYPE_CHECKING:
    from pathlib import Path

SITE = """
[redis]
locations = "redis://a"
registry = "redis://b"

[[tenant]]
id = "acme"
plan = "plan.geojson"

"""

pages = pytest.mark.parametrize("name", ["meraki", "cisco-spaces", "cmx"])


def sources(name: str) -> list[str]:
    return [one for one in blocks(page(name), "toml") if "[[tenant.source]]" in one]


@pages
def test_every_configuration_of_a_page_describes_a_site(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "plan.geojson").write_bytes(plan_file())
    assert sources(name)
    for block in sources(name):
        for secret in re.findall(r'secret_file = "(.+?)"', block):
            (tmp_path / secret).write_text("s" * 32)
        # No authority of ours to read: the system's are as good for this.
        text = re.sub(r"^ca_file.*$", "", block, flags=re.MULTILINE)
        path = tmp_path / "livefloor.toml"
        path.write_text(SITE + text)
        site = build(config.load(path))
        ((_, source),) = site.sources.items()
        assert source.form is FORMATS[name]
        assert len(site.webhooks) + len(site.pulls) == 1
        # What a remark in the page says of readiness, log and metrics.
        assert site.pulls.keys() <= {f"acme-{source.name}"}


@pages
def test_every_sample_of_a_page_means_what_stands_below_it(name: str) -> None:
    sample, meaning = blocks(page(name), "json")
    found = meaning_of(FORMATS[name], sample.encode(), "", NOW_MS)
    assert found == json.loads(meaning)


@pages
def test_a_page_answers_what_every_operator_asks(name: str) -> None:
    text = page(name)
    for heading in ("## Here", "## What is kept, and what is not", "## When it does"):
        assert heading in text
    bounds = FORMATS[name].max_bytes >> 20
    assert name == "cisco-spaces" or f"{bounds} MB" in text
