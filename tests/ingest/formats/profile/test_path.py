from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ingest.formats.profile.path import (
    MISSING,
    Flaw,
    Names,
    getter,
    template,
    topic,
)
from engine.ingest.formats.profile.shape import Shape
from tests.ingest.formats.profile.profiles import made

BODY: dict[str, Any] = {
    "a": {"b": 1, "x.y": 2, "n": None},
    "list": [{"name": "bw", "v": 5}, {"name": "fw", "v": 7}, 3, {"name": 4, "v": 9}],
    "@iot.id": 4,
    "deep": {"a": {"b": {"c": [[8]]}}},
}


def get(path: str, body: object = BODY) -> object:
    return getter(path, Names(Shape()))(body, [body])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", BODY),
        ("$", BODY),
        ("a.b", 1),
        ("$.a.b", 1),
        ("a['x.y']", 2),
        ("a.n", None),
        ("['@iot.id']", 4),
        ("list[0].v", 5),
        ("list[2]", 3),
        ("list[name=fw].v", 7),
        ("list[name=4].v", 9),
        ("deep.a.b.c[0][0]", 8),
    ],
)
def test_a_path_leads_to_its_value(path: str, found: object) -> None:
    assert get(path) == found


@pytest.mark.parametrize(
    "path",
    ["b", "a.c", "a.b.c", "a[0]", "list.v", "list[9]", "list[name=up].v", "list[2].v"],
)
def test_a_path_to_nothing_is_missing_and_no_error(path: str) -> None:
    assert get(path) is MISSING
    others: list[object] = [None, 1, "text", [], True, {"a": "text", "list": "text"}]
    for body in others:
        assert get(path, body) is MISSING


@pytest.mark.parametrize(
    "path",
    [
        *(".a", "a.", "a..b", "a b", "a[", "a[]", "a[x]", "a[-1]", "a{b}", "a['"),
        "a.b.c.d.e.f.g.h.i.j.k.l.m",
        "$nobody.a",
        "a[#nobody]",
        "a[*].b",
        "a[0]b",
    ],
)
def test_what_is_no_path_is_told_with_what_to_write(path: str) -> None:
    with pytest.raises(Flaw, match=r"write|known|stands"):
        get(path)


keys = st.sampled_from(["a", "b", "c"])
bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner),
)


@given(body=bodies, steps=st.lists(keys | st.integers(0, 3), min_size=1, max_size=4))
def test_a_path_is_its_steps_one_after_the_other(
    body: object, steps: list[str | int]
) -> None:
    path = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)
    found: Any = body
    for step in steps:
        kind = list if isinstance(step, int) else dict
        there: Any = found if isinstance(found, kind) else {}
        try:
            found = there[step]
        except (KeyError, IndexError):
            found = MISSING
    assert get(path.removeprefix("."), body) is found


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("plain", "plain"),
        ("{a.b}", "1"),
        ("r{a.b}-{list[2]}", "r1-3"),
        ("region_{a.b+1}", "region_2"),
        ("{a.n}", None),
        ("{a.c}", None),
        ("{list}", None),
        ("{list[0].name+1}", None),
    ],
)
def test_a_template_holds_values_or_is_none(text: str, given: str | None) -> None:
    assert template(text, Names(Shape()))(BODY, [BODY]) == given


@pytest.mark.parametrize(
    ("number", "text"),
    [(3.0, "3"), (3.5, "3.5"), (True, "true"), (2**70, None), (1e300, None)],
)
def test_a_number_in_a_template_is_written_as_people_do(
    number: float, text: str | None
) -> None:
    assert template("{a}", Names(Shape()))({"a": number}, []) == text


@pytest.mark.parametrize("text", ["{a", "a}", "{}", "{{a}}"])
def test_a_brace_alone_is_told(text: str) -> None:
    with pytest.raises(Flaw, match=r"write \{path\}"):
        template(text, Names(Shape()))


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("tele/{t}/LWT", "tele/hall/LWT", {"$t": "hall"}),
        ("tele/{t}/LWT", "site/7/tele/hall/LWT", {"$t": "hall"}),
        ("tele/{t}/LWT", "hall/LWT", None),
        ("tele/{t}/LWT", "tele/hall/STATE", None),
        ("tele/{t}/LWT", "", None),
        ("+/{n}", "x/hall", {"$n": "hall"}),
        ("status/zone:{n}", "status/zone:200", {"$n": "200"}),
        ("status/zone:{n}", "status/zone:", None),
        ("Device1{n}x", "Device1Scenario2x", {"$n": "Scenario2"}),
        ("z2m/{d/}", "z2m/level 3/hall", {"$d": "level 3/hall"}),
        ("z2m/{d/}", "z2m", None),
        ("z2m/{d/}/availability", "a/z2m/x/y/availability", {"$d": "x/y"}),
        ("{d/}/{last}", "a/b/c", {"$d": "a/b", "$last": "c"}),
        ("{d}", "x" * 200, None),
        ("up", "1/event/up", {}),
    ],
)
def test_a_topic_fits_from_its_end_and_gives_its_names(
    pattern: str, name: str, found: dict[str, str] | None
) -> None:
    names = Names(Shape())
    match = topic(pattern, names)
    known: list[Any] = [MISSING] * 8
    assert match(name, known) is (found is not None)
    for key, text in (found or {}).items():
        assert known[names.slot(key)] == text


@pytest.mark.parametrize("pattern", ["{a}{b}", "a/#", "{a/}/{b/}", "{A}", "{a}/{a}"])
def test_what_is_no_topic_pattern_is_told(pattern: str) -> None:
    with pytest.raises(Flaw, match=r"write|twice"):
        topic(pattern, Names(Shape()))


levels = st.lists(st.sampled_from(["a", "b", "x1"]), min_size=1, max_size=4)


@given(pattern=levels, name=levels, at=st.integers(0, 3))
def test_a_pattern_of_topics_is_the_regular_expression_it_stands_for(
    pattern: list[str], name: list[str], at: int
) -> None:
    wanted = [re.escape(level) for level in pattern]
    pattern, wanted = list(pattern), list(wanted)
    if at < len(pattern):
        pattern[at], wanted[at] = "{n}", "[^/]+"
    fits = re.fullmatch(f"(.*/)?{'/'.join(wanted)}", "/".join(name)) is not None
    match = topic("/".join(pattern), Names(Shape()))
    assert match("/".join(name), [MISSING] * 4) is fits


def test_an_item_its_number_and_its_parents_have_names() -> None:
    text = """
    device = "{dev}"
    [[rule]]
    at = "logics[*logic].records[*record]"
    reading = [{ kind = "count", value = "n", channel = "{$logic.name}/{#record+1}" }]
    """
    logics = [{"name": "Lobby", "records": [{"n": 1}, {"n": 2}]}, {"records": 3}]
    found = made(text, {"dev": "A1", "logics": logics})
    assert found.rows == [("Lobby/1", "COUNT", 1), ("Lobby/2", "COUNT", 2)]


def test_lists_side_by_side_are_read_by_number() -> None:
    text = """
    device = "{sn}"
    [[rule]]
    at = "regions[*r]"
    reading = [
      { kind = "presence", value = "$.used[#r]", channel = "r{$r}", occupied = [1] },
    ]
    """
    found = made(text, {"sn": 7, "regions": [1, 4, 5], "used": [0, 1]})
    assert found.rows == [("r1", "PRESENCE", -1), ("r4", "PRESENCE", 1)]


def test_the_values_of_a_table_are_items_and_its_keys_their_names() -> None:
    text = """
    [[rule]]
    at = "data[*space]"
    device = "{#space}"
    reading = [{ kind = "count", value = "occupancy" }]
    """
    found = made(text, {"data": {"spc_A": {"occupancy": 2}, "spc_B": {}}}).readings
    assert found is not None
    assert [(one.device, one.value) for one in found] == [("spc_a", 2)]
