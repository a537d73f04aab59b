"""What deploy/sources/webhooks.md shows is so: its sources load, its commands work."""

from __future__ import annotations

import asyncio
import re
import tomllib
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING, Any

import pytest

from engine import config
from engine.embedded import Broker
from engine.ingest.verify import SCHEMES
from engine.site import build
from tests.building import plan_file
from tests.integration.rig import Engine
from tests.pages import blocks, page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.rig import Server

PAGE = page("webhooks")
BLOCKS = blocks(PAGE, "toml")
SESSIONS = blocks(PAGE, "console")
ADDRESS = "http://127.0.0.1:8080"

SOURCES = {
    source["name"]: source
    for block in BLOCKS
    for source in tomllib.loads(block)["tenant"]["source"]
}
BASE = """
[redis]
locations = "unix:///a"
registry = "unix:///b"
[[tenant]]
id = "acme"
plan = "plan.geojson"
"""


def toml(source: dict[str, Any]) -> str:
    lines = [f'{key} = "{value}"' for key, value in source.items()]
    return "\n".join(["[[tenant.source]]", *lines, ""])


def write_secrets(folder: Path) -> None:
    for name in SOURCES:
        prefix = "whsec_" if name == "relay" else ""
        (folder / f"{name}.secret").write_text(f"{prefix}{name * 8:A<32.32}\n")


def test_every_source_of_the_page_loads(tmp_path: Path) -> None:
    (tmp_path / "plan.geojson").write_bytes(plan_file())
    write_secrets(tmp_path)
    text = BASE + "".join(map(toml, SOURCES.values()))
    site = build(config.parse(text.encode(), tmp_path / "livefloor.toml"))

    assert {hook.source for hook in site.webhooks} == set(SOURCES)


def test_every_scheme_has_a_row_and_a_source() -> None:
    table = PAGE.partition("## Schemes")[2].partition("*Counts once:*")[0]
    _, *rows = re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(SCHEMES)
    assert {one.get("verify", "secret") for one in SOURCES.values()} == set(SCHEMES)


@pytest.fixture
async def engine(
    tmp_path: Path, redis_locations: Server, redis_registry: Server
) -> AsyncIterator[Engine]:
    async with Broker() as broker:
        servers = {
            "locations": redis_locations,
            "registry": redis_registry,
            "broker": broker,
        }
        more = "".join(map(toml, SOURCES.values()))
        engine = Engine(tmp_path / "site", servers, more=more)
        table = engine.site / "sensors.csv"
        rows = [f"{name},desk-1,,hq-1-desk-1,presence,," for name in SOURCES]
        table.write_text("\n".join([table.read_text().strip(), *rows, ""]))
        write_secrets(engine.site)
        await engine.start()
        yield engine
        await engine.stop()


@pytest.mark.integration
@pytest.mark.slow
async def test_every_command_of_the_page_is_answered_as_it_says(
    engine: Engine,
) -> None:
    assert len(SESSIONS) >= 11
    prompt = re.compile(r"^\$ ", re.MULTILINE)
    for session in SESSIONS:
        expected = [x for x in session.splitlines() if x.startswith("HTTP/1.1 ")]
        command = prompt.sub("", session.partition("\nHTTP/1.1")[0])
        command = command.replace(ADDRESS, f"http://127.0.0.1:{engine.port}")
        shell = await asyncio.create_subprocess_exec(
            *("/bin/bash", "-ec", command), cwd=engine.site, stdout=PIPE
        )
        said, _ = await asyncio.wait_for(shell.communicate(), 30)
        assert said.decode().splitlines()[:1] == expected, command
    _, page = await engine.request("GET", "/metrics")
    series = r'engine_events_total\{outcome="applied",source="([\w-]+)",tenant="acme"\}'
    applied = re.findall(f"^{series} [1-9]", page.decode(), re.MULTILINE)
    posted = set(re.findall(r"/ingest/([\w-]+)", "".join(SESSIONS)))
    assert set(applied) == posted - {"meraki"}
