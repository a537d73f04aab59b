"""What the README says exists does, and what exists it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine import ops
from engine.ingest.formats import names
from engine.metrics import METRICS, Metrics
from engine.query.auth import Authenticator
from engine.query.colleagues import Search
from engine.query.directory import Directory
from engine.query.ingest import Ingest
from engine.query.keys import shared_secret
from engine.query.levels import Levels
from engine.query.live import LiveEvents
from engine.query.me import Me
from engine.query.schema import Schema
from engine.query.sources import Sources
from engine.query.spaces import Spaces

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_every_metric_is_in_the_readme_with_its_help() -> None:
    rows = re.findall(r"^\| `(engine_\w+)` \| (.*?) \| (.*) \|$", README, re.MULTILINE)
    assert rows == [
        (metric.name, ", ".join(metric.labels) or "-", metric.help)
        for metric in METRICS
    ]


def test_every_format_is_in_the_readme() -> None:
    table = README.partition("### Formats")[2].partition("A *profile*")[0]
    rows = re.findall(r"^\| [\w ,-]+ \| (.*) \|$", table, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(set(named) - {"format"}) == sorted(names())


def test_every_path_is_in_the_readme() -> None:
    table = README.partition("## Use it")[2].partition("Logins are")[0]
    named = set(re.findall(r"`([A-Z]+) (/[^`]*)`", table))
    assert named == described() | {("GET", "/metrics")}


def described() -> set[tuple[str, str]]:
    """Return method and path of every route that the API describes."""
    nothing: Any = object()
    more: dict[str, Any] = {"access": nothing, "views": nothing}
    clock: dict[str, Any] = {"clock_ms": lambda: 0}
    nouns: list[Any] = [
        Levels(encode=nothing, **more, **clock),
        LiveEvents(access=nothing, stream=nothing, **clock),
        Spaces(**more, **clock),
        Search(
            people_by_tenant={"t": Directory(nothing)},
            finder=nothing,
            now_ms=lambda: 0,
            **more,
        ),
        Me(access=nothing, consent=nothing),
        Ingest(webhooks=[], intake=nothing, **clock),
        Sources(listed=nothing, reload=nothing, may_see=nothing),
        ops.Operations(
            missing=dict, metrics=Metrics(version="0"), version="0", **clock
        ),
    ]
    schema = Schema(
        lambda: [one for noun in nouns for one in noun.routes()], version="0"
    )
    paths = json.loads(schema.described)["paths"]
    return {
        (method.upper(), path) for path, methods in paths.items() for method in methods
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["demo", "run", "check", "replay", "simulate", "sources"]
)
def test_every_command_has_a_help_with_an_example(command: str) -> None:
    assert f"livefloor {command}" in README or f"make {command}" in README
    found = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "engine", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"Example: livefloor {command}" in " ".join(found.stdout.split())


def test_the_token_that_the_readme_makes_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "token.secret").write_text("s" * 40)
    code = README.partition("$ python -c '")[2].partition("'\n```")[0]
    made = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    authenticator = Authenticator(
        [shared_secret(b"s" * 40)],
        clock_ms=lambda: time.time_ns() // 1_000_000,
        tenants={"acme"},
    )
    assert authenticator.authenticate(made.stdout.strip()).login == "ada"


def test_every_test_that_the_readme_names_is_there() -> None:
    table = README.partition("## What is kept")[2].partition("The engine refuses")[0]
    named = re.findall(r"`((?:store|integration)/test_\w+\.py)(?: -k ([^`]+))?`", table)
    assert len(named) == 6
    for file, words in named:
        text = (Path(__file__).parent / file).read_text()
        for word in re.split(r'"| or ', words):
            assert word in text


def test_every_file_that_the_readme_links_to_is_there() -> None:
    root = Path(__file__).parents[1]
    links = re.findall(r"\]\(([^)]+)\)", README)
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (root / link).exists()] == []
