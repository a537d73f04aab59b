"""The map page in Chromium, against an engine that keeps the contract."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.web.conftest import SCREENSHOTS
from tests.web.level_state import FREE, LIKELY, OCCUPIED, OFFLINE, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.fake_engine import FakeEngine
    from tests.web.floor_page import FloorPage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NUMBER = re.compile(r"^[\d,]+$")
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
LAPTOP = {"viewport": {"width": 1440, "height": 900}}


def test_it_asks_nobody_but_its_engine_and_keeps_the_policy(
    floor: FloorPage, engine: FakeEngine
) -> None:
    floor.go_to_level("hq/2")
    floor.become("Ada Lovelace")
    own = engine.url.removeprefix("http")
    strangers = [
        url
        for url in floor.requests
        if not url.startswith((f"http{own}", f"ws{own}", "data:"))
    ]
    assert strangers == []
    assert floor.problems == []


def test_a_room_changes_colour_when_its_sensor_reports(
    floor: FloorPage, engine: FakeEngine
) -> None:
    engine.set("ada-1", FREE, count=0)
    floor.expect_state("ada-1", "free")
    free = floor.colour_of("ada-1")
    engine.set("ada-1", OCCUPIED, count=3)
    floor.expect_state("ada-1", "occupied")
    expect(floor.space("ada-1")).to_have_text("Room Ada: In use, 3 of 8 people")
    occupied = floor.expect_colour_change("ada-1", free)
    # Blue-green to amber: the axis that every common colour blindness keeps.
    assert free[2] > free[0]
    assert occupied[0] > occupied[2]


def test_every_state_is_drawn_in_its_own_way(
    floor: FloorPage, engine: FakeEngine
) -> None:
    rooms = ["ada-1", "babbage-1", "curie-1"]
    drawn: set[tuple[int, int, int]] = set()
    for state in (FREE, OCCUPIED, OFFLINE):
        engine.set_many([(room, state, None) for room in rooms])
        for room in rooms:
            floor.expect_state(room, ("free", "occupied", "offline")[len(drawn)])
        before = next(iter(drawn), (0, 0, 0))
        drawn.add(floor.expect_colour_change("babbage-1", before))
    assert len(drawn) == 3


def test_the_level_switch_shows_the_other_level_and_its_spaces(
    floor: FloorPage,
) -> None:
    assert floor.level == "hq/1"
    expect(floor.space("ada-1")).to_be_attached()
    floor.go_to_level("hq/3")
    expect(floor.space("turing-3")).to_be_attached()
    expect(floor.space("ada-1")).not_to_be_attached()
    expect(floor.level_button("hq/3")).to_have_attribute("aria-checked", "true")
    assert floor.page.url.endswith("#hq/3")


def test_the_switch_counts_levels_that_are_not_shown(
    floor: FloorPage, engine: FakeEngine
) -> None:
    desks = [s["id"] for s in engine.levels["hq/2"].level.spaces]
    engine.set_many([(space, OCCUPIED, None) for space in desks])
    button = floor.level_button("hq/2")
    expect(button).to_have_attribute("aria-label", re.compile("0 spaces free, 100%"))
    engine.set("d2n01", FREE)
    expect(button).to_have_attribute("aria-label", re.compile("1 space free"))


def test_a_level_of_which_little_is_known_says_so_and_not_that_it_is_free(
    floor: FloorPage, engine: FakeEngine
) -> None:
    spaces = [s["id"] for s in engine.levels["hq/2"].level.spaces]
    engine.set_many([(space, UNKNOWN, None) for space in spaces])
    button = floor.level_button("hq/2")
    expect(button.locator(".level-free")).to_have_text("no data")
    engine.set("d2n01", FREE)
    expect(button.locator(".level-free")).to_have_text(re.compile(r"^1/\d+ known$"))
    expect(button).to_have_attribute("aria-label", re.compile(r"1 of \d+ spaces known"))


def test_rooms_that_are_unknown_are_not_said_to_be_taken(
    floor: FloorPage, engine: FakeEngine
) -> None:
    for live in engine.levels.values():
        rooms = [s["id"] for s in live.level.spaces if s["kind"] == "room"]
        engine.set_many([(room, UNKNOWN, None) for room in rooms])
    list_of_rooms = floor.page.locator(".free-rooms")
    expect(list_of_rooms).to_contain_text("The state of no room is known")
    expect(floor.page.locator("[data-total=rooms]")).to_contain_text("none known")
    engine.set("ada-1", OCCUPIED)
    expect(list_of_rooms).to_contain_text("Of 1 known room, none is free")
    engine.set("turing-3", FREE)
    expect(list_of_rooms).to_contain_text("None free here. Level 3 has 1")
    engine.set("ada-1", UNKNOWN)
    expect(list_of_rooms).to_contain_text("None known here. Level 3 has 1")
    expect(floor.total("rooms")).to_have_text("1")


def test_the_demo_shows_the_time_of_its_building(floor: FloorPage) -> None:
    clock = floor.page.locator(".clock")
    expect(clock).to_have_text(
        re.compile(r"^Tuesday (09:[3-5]|1)\d.* · 60\u00d7 speed$")
    )
    before = clock.inner_text()
    expect(clock).not_to_have_text(before)


def test_the_totals_follow_the_whole_building(
    floor: FloorPage, engine: FakeEngine
) -> None:
    expect(floor.total("desks")).to_have_text(NUMBER)
    before = int(floor.total("desks").inner_text())
    engine.set("d3s01", OCCUPIED)
    engine.set("d1n01", OCCUPIED)
    engine.set("d3s01", FREE)
    engine.set("d1n01", FREE)
    engine.set("d2n01", FREE)
    engine.set("d2n01", OFFLINE)
    free = sum(
        live.state[space["row"]] == FREE
        for live in engine.levels.values()
        for space in live.level.spaces
        if space["kind"] == "desk"
    )
    expect(floor.total("desks")).to_have_text(str(free))
    assert abs(free - before) <= 3
    engine.set("hq/1", OCCUPIED, count=1)
    engine.set("hq/2", OCCUPIED, count=20)
    engine.set("hq/3", OCCUPIED, count=300)
    expect(floor.total("people")).to_have_text("321")


def test_the_panel_of_a_room_says_what_its_state_means(
    floor: FloorPage, engine: FakeEngine
) -> None:
    engine.set("curie-1", UNKNOWN, confidence=10, age_s=12 * 60 + 5)
    floor.expect_state("curie-1", "unknown")
    floor.click_space("curie-1")
    expect(floor.panel.locator(".panel-title")).to_have_text("Curie")
    expect(floor.panel).to_contain_text("No sensor report for 12 min")
    engine.set("curie-1", OCCUPIED, count=4)
    expect(floor.panel.locator(".chip")).to_have_text("In use")
    expect(floor.panel).to_contain_text("4 people here, made for 12.")
    engine.set("curie-1", LIKELY, confidence=40, age_s=300)
    expect(floor.panel).to_contain_text("probably still in use")
    floor.page.keyboard.press("Escape")
    expect(floor.panel).to_have_count(0)


def test_the_age_of_an_open_panel_is_of_the_newest_report(
    floor: FloorPage, engine: FakeEngine
) -> None:
    engine.set("curie-1", FREE, count=0, age_s=600)
    floor.expect_state("curie-1", "free")
    # The sensor repeats itself: no delta tells of that, the space's own answer does.
    live, row = engine.levels["hq/1"], engine.levels["hq/1"].level.row_of("curie-1")
    assert live.seen_at[row] is not None
    live.seen_at[row] = (live.seen_at[row] or 0) + 600
    floor.click_space("curie-1")
    expect(floor.panel.locator(".fact", has_text="Last report")).to_contain_text(
        re.compile(r"just now|\d+ s ago")
    )


def test_a_colleague_is_found_and_shown_on_their_level(
    floor: FloorPage, engine: FakeEngine
) -> None:
    engine.person("Alan Turing").space = "turing-3"
    floor.become("Ada Lovelace")
    floor.find("Alan Turing")
    expect(floor.panel).to_contain_text("In Turing, seen")
    expect(floor.panel).to_contain_text("Level 3")
    expect(floor.panel).to_contain_text("82%")
    expect(floor.page.locator(".pin-text")).to_be_visible()
    expect(floor.page.locator(".map[data-level='hq/3']")).to_be_visible()
    expect(floor.panel.locator(".panel-title")).to_have_text("Alan Turing")


def test_the_finder_works_by_keyboard_alone(
    floor: FloorPage, engine: FakeEngine
) -> None:
    engine.person("Adele Goldberg").space = "ada-1"
    floor.become("Ada Lovelace")
    floor.page.keyboard.press("/")
    expect(floor.finder).to_be_focused()
    floor.page.keyboard.type("ad")
    expect(floor.found).to_have_count(3)
    floor.page.keyboard.press("ArrowDown")
    expect(floor.finder).to_have_attribute("aria-activedescendant", "found-1")
    floor.page.keyboard.press("Enter")
    expect(floor.panel.locator(".panel-title")).to_have_text("Adele Goldberg")


def test_the_finder_waits_for_a_second_letter_and_for_a_person(
    floor: FloorPage, engine: FakeEngine
) -> None:
    floor.search("ad")
    expect(floor.page.locator("#found")).to_contain_text("Say who you are")
    floor.become("Ada Lovelace")
    floor.finder.fill("a")
    expect(floor.page.locator("#found")).to_be_hidden()
    assert "GET /v1/colleagues" not in engine.requests


def test_every_kind_of_no_reads_the_same(floor: FloorPage, engine: FakeEngine) -> None:
    floor.become("Ada Lovelace")
    lines = []
    alan, emmy = engine.person("Alan Turing"), engine.person("Emmy Noether")
    alan.space = None
    for person in (alan, emmy):
        floor.search(person.name)
        expect(floor.found.first).to_contain_text(person.name)
        if person is emmy:
            emmy.sharing = False
        floor.finder.press("Enter")
        expect(floor.panel).to_have_attribute("data-answer", "none")
        lines.append(floor.panel.locator(".meaning").inner_text())
    assert lines[0] == lines[1]
    assert lines[0].startswith("Not available")
    expect(floor.page.locator(".pin-text")).to_be_hidden()


def test_opting_out_makes_a_person_disappear(
    new_page: Callable[..., FloorPage], engine: FakeEngine
) -> None:
    engine.person("Alan Turing").space = "ada-1"
    alan = new_page().open(engine.url)
    alan.become("Alan Turing")
    expect(alan.sharing_switch).to_have_attribute("aria-checked", "true")
    ada = new_page().open(engine.url)
    ada.become("Ada Lovelace")
    ada.search("Alan")
    expect(ada.found).to_have_count(1)
    alan.share(on=False)
    expect(alan.page.locator(".sharing")).to_contain_text("nobody can find you")
    ada.search("Alan")
    expect(ada.page.locator("#found")).to_contain_text("Nobody by that name")
    alan.share(on=True)
    ada.search("Alan")
    expect(ada.found).to_have_count(1)


def test_who_opts_out_stops_seeing_their_own_place_at_once(
    floor: FloorPage, engine: FakeEngine
) -> None:
    engine.person("Alan Turing").space = "ada-1"
    floor.become("Alan Turing")
    floor.find("Alan Turing")
    expect(floor.page.locator(".pin-text")).to_be_visible()
    floor.share(on=False)
    # Sooner than the panel asks by itself.
    expect(floor.panel).to_contain_text("Not available", timeout=5_000)
    expect(floor.page.locator(".pin-text")).to_be_hidden()


def test_a_lost_connection_resumes_and_catches_up(
    floor: FloorPage, engine: FakeEngine
) -> None:
    engine.set("ada-1", FREE, count=0)
    floor.expect_state("ada-1", "free")
    engine.messages.clear()
    engine.drop_sockets()
    engine.lose_a_delta("ada-1", OCCUPIED)
    floor.expect_state("ada-1", "occupied")
    floor.expect_live()
    [again] = [message for message in engine.messages if "subscribe" in message]
    assert set(again["resume"]) == {"hq/1", "hq/2", "hq/3"}
    assert again["resume"]["hq/1"]["epoch"] == engine.levels["hq/1"].epoch


def test_a_gap_is_healed_by_a_snapshot(floor: FloorPage, engine: FakeEngine) -> None:
    engine.set_many([("ada-1", FREE, 0), ("babbage-1", FREE, 0)])
    floor.expect_state("babbage-1", "free")
    engine.lose_a_delta("ada-1", OCCUPIED)
    engine.set("babbage-1", OCCUPIED, count=1)
    floor.expect_state("ada-1", "occupied")
    floor.expect_state("babbage-1", "occupied")


def test_a_restarted_engine_is_believed(floor: FloorPage, engine: FakeEngine) -> None:
    engine.set("ada-1", FREE, count=0)
    floor.expect_state("ada-1", "free")
    engine.new_life()
    live = engine.levels["hq/1"]
    live.state[live.level.row_of("ada-1")] = OFFLINE
    engine.drop_sockets()
    floor.expect_state("ada-1", "offline")


def test_the_map_is_a_list_for_the_keyboard(
    floor: FloorPage, engine: FakeEngine
) -> None:
    engine.set("ada-1", FREE, count=0)
    spaces = floor.page.get_by_role("listbox", name="Spaces on Level 1")
    spaces.focus()
    expect(floor.page.locator(".tip")).to_contain_text("Ada")
    floor.page.keyboard.press("ArrowDown")
    expect(floor.space("babbage-1")).to_have_attribute("aria-selected", "true")
    floor.page.keyboard.press("Enter")
    expect(floor.panel.locator(".panel-title")).to_have_text("Babbage")
    floor.page.keyboard.press("Escape")
    expect(spaces).to_be_focused()


def test_an_address_leads_to_a_space(
    new_page: Callable[..., FloorPage], engine: FakeEngine
) -> None:
    page = new_page().open(f"{engine.url}#hq/2/noether-2")
    expect(page.panel.locator(".panel-title")).to_have_text("Noether")
    assert page.level == "hq/2"


def test_without_a_demo_a_token_opens_the_page_and_is_not_kept(
    new_page: Callable[..., FloorPage], locked_engine: FakeEngine
) -> None:
    floor = new_page()
    floor.page.goto(locked_engine.url)
    field = floor.page.get_by_label("Access token")
    expect(field).to_be_visible()
    expect(floor.page.locator(".levels")).to_be_hidden()
    field.fill("wrong")
    floor.page.get_by_role("button", name="Sign in", exact=True).last.click()
    expect(floor.page.locator("dialog[open]")).to_contain_text("not accepted")
    field.fill(locked_engine.token)
    floor.page.get_by_role("button", name="Sign in", exact=True).last.click()
    expect(floor.page.locator(".map[data-level]")).to_be_visible()
    floor.expect_live()
    expect(floor.page.locator(".you-name")).to_have_text("Ada Lovelace")
    expect(floor.page.locator(".clock")).to_be_hidden()
    kept = floor.page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert locked_engine.token not in kept
    assert {"token": locked_engine.token} in locked_engine.messages


def test_the_theme_can_be_switched_and_is_remembered(
    floor: FloorPage, engine: FakeEngine
) -> None:
    root = floor.page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    floor.page.get_by_role("button", name="Use the dark theme").click()
    expect(root).to_have_attribute("data-theme", "dark")
    floor.open(engine.url)
    expect(root).to_have_attribute("data-theme", "dark")


def test_a_phone_has_the_side_as_a_sheet(
    new_page: Callable[..., FloorPage], engine: FakeEngine
) -> None:
    floor = new_page(**PHONE).open(engine.url)
    side = floor.page.locator(".side")
    expect(side).to_have_attribute("data-detent", "peek")
    engine.set("ada-1", OCCUPIED, count=2)
    x, y = floor.place_of("ada-1")
    floor.page.touchscreen.tap(x, y)
    expect(side).to_have_attribute("data-detent", "half")
    expect(floor.panel).to_contain_text("2 people here")
    floor.page.locator(".back:visible").click()
    expect(side).to_have_attribute("data-detent", "peek")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("device", "options"), [("laptop", LAPTOP), ("phone", PHONE)])
def test_a_picture_is_kept(
    device: str,
    options: dict[str, object],
    theme: str,
    new_page: Callable[..., FloorPage],
    engine: FakeEngine,
) -> None:
    floor = new_page(color_scheme=theme, **options).open(engine.url)
    floor.expect_live()
    expect(floor.total("desks")).to_have_text(NUMBER)
    floor.place_of("ada-1")
    floor.screenshot(SCREENSHOTS / f"{device}-{theme}.png")
