"""The map page as a test sees it: one method for each thing a person does or reads.

Nothing here knows which engine answers, so the same object drives the page against the
fake one and the real one.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

#: A browser that draws in software on two busy cores is slow; this is a deadline.
WAIT_MS = 30_000

expect.set_options(timeout=WAIT_MS)


class FloorPage:
    """Drives one browser page.

    Attributes:
        page: Playwright's page.
        problems: Errors of the console and of scripts, policy violations among them.
        requests: Addresses of all requests, WebSockets among them.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda link: self.requests.append(link.url))
        page.on(
            "console",
            lambda line: (
                self.problems.append(line.text)
                if line.type in ("error", "warning")
                else None
            ),
        )

    def open(self, url: str) -> FloorPage:
        """Goes there and waits until a level is drawn."""
        self.page.goto(url)
        expect(self.page.locator(".map[data-level]")).to_be_visible()
        return self

    # --- the level

    @property
    def level(self) -> str | None:
        return self.page.locator(".map").get_attribute("data-level")

    def level_button(self, level: str) -> Locator:
        return self.page.locator(f".levels [data-level='{level}']")

    def go_to_level(self, level: str) -> None:
        self.level_button(level).click()
        expect(self.page.locator(f".map[data-level='{level}']")).to_be_visible()

    def total(self, name: str) -> Locator:
        """The number of "people", "desks" or "rooms" in the header."""
        return self.page.locator(f"[data-total={name}] .tile-value")

    # --- spaces

    def space(self, ident: str) -> Locator:
        """The space in the list that screen readers see."""
        return self.page.locator(f"#spaces [data-space='{ident}']")

    def expect_state(self, ident: str, state: str) -> None:
        expect(self.space(ident)).to_have_attribute("data-state", state)

    def place_of(self, ident: str) -> tuple[float, float]:
        """The middle of a space on the screen, once the map has come to rest."""
        before = None
        while True:
            at = self.page.evaluate("space => window.livefloor.at(space)", ident)
            assert at is not None, f"{ident} is not on this level"
            if at == before:
                return at["x"], at["y"]
            before = at
            self._next_frame()

    def colour_of(self, ident: str, *, below_px: float = 34) -> tuple[int, int, int]:
        """The colour drawn in a space, a little below its label."""
        x, y = self.place_of(ident)
        clip = {"x": round(x), "y": round(y + below_px), "width": 1, "height": 1}
        return _only_pixel(self.page.screenshot(clip=clip))  # type: ignore[arg-type] # a typed dict

    def expect_colour_change(
        self, ident: str, before: tuple[int, int, int]
    ) -> tuple[int, int, int]:
        """Waits until a space is drawn in another colour, and then until it stays."""
        settled = self.colour_of(ident)
        for _ in range(200):
            now = self.colour_of(ident)
            if now != before and now == settled:
                return now
            settled = now
            self._next_frame()
        raise AssertionError(f"{ident} keeps the colour {before}")

    def click_space(self, ident: str) -> None:
        """Clicks on the map, where the space is drawn."""
        self.page.mouse.click(*self.place_of(ident))

    @property
    def panel(self) -> Locator:
        """The panel that is open, of a space or of a colleague."""
        return self.page.locator(".panel:not([hidden])")

    # --- people

    def become(self, name: str) -> None:
        """Chooses a person of the demo."""
        if self.page.locator(".you-chip").is_visible():
            self.page.locator(".you-chip").click()
        else:
            self.page.locator(".you").click()
        dialog = self.page.locator("dialog[open]")
        dialog.get_by_label("Filter by name").fill(name)
        dialog.locator(".person", has_text=name).first.click()
        expect(self.page.locator(".you-name")).to_have_text(name)
        expect(self.sharing_switch).to_be_enabled()

    @property
    def sharing_switch(self) -> Locator:
        return self.page.get_by_role("switch", name="Share my location")

    def share(self, *, on: bool) -> None:
        wanted = str(on).lower()
        if self.sharing_switch.get_attribute("aria-checked") != wanted:
            self.sharing_switch.click()
        expect(self.sharing_switch).to_have_attribute("aria-checked", wanted)
        expect(self.sharing_switch).to_be_enabled()

    @property
    def finder(self) -> Locator:
        return self.page.get_by_role("combobox", name="Find a colleague")

    @property
    def found(self) -> Locator:
        return self.page.locator("#found [role=option]")

    def search(self, text: str) -> None:
        self.finder.fill("")
        self.finder.press_sequentially(text)
        expect(self.page.locator("#found")).to_be_visible()

    def find(self, name: str) -> None:
        """Searches a colleague and opens their panel, by keyboard."""
        self.search(name)
        expect(self.found.first).to_contain_text(name)
        self.finder.press("Enter")
        expect(self.panel.locator(".panel-title")).to_have_text(name)

    # --- the connection, and pictures

    @property
    def connection(self) -> Locator:
        return self.page.locator(".pill")

    def expect_live(self) -> None:
        expect(self.connection).to_have_attribute("data-phase", "live")

    def screenshot(self, path: Path) -> None:
        """Keeps a picture, once all animations that end have ended."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.evaluate("document.fonts.ready.then(() => undefined)")
        self._next_frame()
        self.page.screenshot(path=path)

    def _next_frame(self) -> None:
        self.page.evaluate(
            "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )


def _only_pixel(png: bytes) -> tuple[int, int, int]:
    """Reads a picture of one pixel. Every filter leaves the first pixel as it is."""
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    _, red, green, blue, *_ = zlib.decompress(data)
    return red, green, blue
