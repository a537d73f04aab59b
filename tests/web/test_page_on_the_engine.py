"""The map page in Chromium on the real engine, with the embedded parts."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from engine.embedded import Broker, Valkey
from tests.integration.rig import Engine, token
from tests.web.conftest import SCREENSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.web.floor_page import FloorPage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_PUBLISH = """
import asyncio, sys, aiomqtt
async def publish(port, topic, payload):
    v5 = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client("127.0.0.1", int(port), protocol=v5) as client:
        await client.publish(topic, payload, qos=1)
asyncio.run(publish(*sys.argv[1:]))
"""


class Office:
    """A running engine, told things from outside."""

    def __init__(self, engine: Engine, broker_port: int) -> None:
        self._engine = engine
        self._broker_port = broker_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._engine.port}/"

    def publish(self, topic: str, event: object) -> None:
        # In a process of its own: Playwright's loop has this one.
        arguments = [str(self._broker_port), topic, json.dumps(event)]
        command = [sys.executable, "-c", _PUBLISH, *arguments]
        subprocess.run(command, check=True, timeout=20)  # noqa: S603 - our own


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """For the whole file, and named first by its test: before Playwright has a loop."""
    broker = Broker()
    servers = {
        "locations": Valkey("locations"),
        "registry": Valkey("registry"),
        "broker": broker,
    }
    for server in servers.values():
        asyncio.run(server.start())
    engine = Engine(tmp_path_factory.mktemp("site") / "site", servers)
    asyncio.run(engine.start())
    yield Office(engine, broker.port)
    asyncio.run(engine.stop())
    for server in servers.values():
        asyncio.run(server.stop())


def signed_in(new_page: Callable[..., FloorPage], url: str, login: str) -> FloorPage:
    floor = new_page()
    floor.page.goto(url)
    floor.page.get_by_label("Access token").fill(token(login))
    floor.page.get_by_role("button", name="Sign in", exact=True).last.click()
    expect(floor.page.locator(".map[data-level]")).to_be_visible()
    floor.expect_live()
    return floor


def test_a_person_uses_the_page_of_a_running_engine(
    office: Office, new_page: Callable[..., FloorPage]
) -> None:
    ada = signed_in(new_page, office.url, "ada")
    ada.share(on=True)
    office.publish("acme/wifi", {"login": "ada", "ap": "ap-2"})

    bob = signed_in(new_page, office.url, "bob")
    bob.go_to_level("hq/1")
    office.publish("acme/x", {"sensor": "room-1", "count": 0})
    bob.expect_state("hq-1-lovelace", "free")
    free = bob.colour_of("hq-1-lovelace")
    office.publish("acme/x", {"sensor": "room-1", "count": 3})
    bob.expect_state("hq-1-lovelace", "occupied")
    bob.expect_colour_change("hq-1-lovelace", free)

    bob.go_to_level("hq/0")
    expect(bob.space("hq-0-lovelace")).to_be_attached()
    bob.find("Ada")
    expect(bob.panel).to_contain_text("Hopper")
    expect(bob.page.locator(".map[data-level='hq/1']")).to_be_visible()
    bob.screenshot(SCREENSHOTS / "engine.png")

    ada.share(on=False)
    bob.finder.fill("")
    bob.search("Ada")
    expect(bob.found).to_have_count(0)
    # A browser reports each "no" of the engine (no demo, no location any more).
    assert {text.partition(":")[0] for text in bob.problems} <= {
        "Failed to load resource"
    }
