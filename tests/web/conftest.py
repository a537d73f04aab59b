"""A browser, a fake engine, and the page on it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, sync_playwright

from engine.web import DIST
from tests.web.fake_engine import FakeEngine
from tests.web.floor_page import FloorPage
from tests.web.lively import liven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCREENSHOTS = Path(__file__).parent.parent / "screenshots"

#: Software drawing, and a browser that keeps to itself.
BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)


def _need(found: object, what: str) -> None:
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and nothing is skipped in CI")
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a file: Playwright's own loop must not outlive it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    _need(chromium, "Chromium is not installed")
    _need((DIST / "index.html").is_file(), "the map page is not built")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=list(BROWSER_ARGUMENTS)
        )
        yield browser
        browser.close()


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    """A demo with a building that has something to see, and stands still."""
    engine = FakeEngine()
    liven(engine)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def locked_engine() -> Iterator[FakeEngine]:
    """An engine that is no demo: nothing without a token."""
    engine = FakeEngine(demo=False)
    liven(engine)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., FloorPage]]:
    """Opens pages, each in a profile of its own; `options` are of the context."""
    contexts = []

    def make(**options: object) -> FloorPage:
        # Small and without motion: software draws every pixel of it.
        defaults = {
            "viewport": {"width": 1100, "height": 680},
            "reduced_motion": "reduce",
        }
        context = browser.new_context(**{**defaults, **options})  # type: ignore[arg-type] # passed on
        contexts.append(context)
        return FloorPage(context.new_page())

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def floor(new_page: Callable[..., FloorPage], engine: FakeEngine) -> FloorPage:
    """The page on a laptop, live."""
    page = new_page().open(engine.url)
    page.expect_live()
    return page
