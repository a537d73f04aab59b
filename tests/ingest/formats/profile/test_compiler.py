from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError, Malformed, TooLarge
from engine.ingest.formats.profile.compiler import MAX_SCALAR_BYTES
from engine.ingest.formats.profile.library import load_text
from engine.ingest.formats.profile.scope import MAX_ITEMS
from engine.model import ReadingFlag, ReadingKind
from tests.ingest.formats.golden import NOW_MS
from tests.ingest.formats.profile.profiles import made

if TYPE_CHECKING:
    from collections.abc import Mapping

DESK = """
device = "{dev}"
[[rule]]
reading = [{ kind = "presence", value = "v" }]
"""


def test_a_message_that_names_no_device_is_refused() -> None:
    for body in ({"v": True}, {"v": True, "dev": " "}, {"v": True, "dev": [1]}):
        found = made(DESK, body)
        assert found.readings is None
        assert isinstance(found.refused[0], Malformed)


def test_the_first_name_that_is_there_is_the_device() -> None:
    text = DESK.replace('"{dev}"', '["{dev}", "{id}", "device"]')
    for body, name in (
        ({"dev": "A", "id": "B"}, "a"),
        ({"id": "B"}, "b"),
        ({}, "device"),
    ):
        found = made(text, {"v": True, **body}).readings
        assert found
        assert found[0].device == name


@pytest.mark.parametrize(
    ("spelling", "written", "name"),
    [
        ("lower", "24:E1:Aa", "24:e1:aa"),
        ("hex", "24:E1-24.60 0C", "24e124600c"),
        ("hex", "Desk-17", "desk-17"),
        ("last", "projects/P/devices/D ", "d"),
        ("last", "D", "d"),
    ],
)
def test_a_device_is_spelt_in_one_way(spelling: str, written: str, name: str) -> None:
    text = DESK.replace("[[rule]]", f'device_as = "{spelling}"\n[[rule]]')
    found = made(text, {"v": True, "dev": written}).readings
    assert found
    assert found[0].device == name


def test_a_message_that_no_rule_is_about_is_refused_or_passed_over() -> None:
    rule = '[[rule]]\nat = "a"\nreading = [{ kind = "health" }]'
    assert isinstance(made(rule, {"b": 1}).refused[0], Malformed)
    found = made(f'otherwise = "pass"\n{rule}', {"b": 1})
    assert found == ([], [], 0)


def test_a_message_is_passed_over_or_refused_by_a_test_before_any_rule() -> None:
    text = 'pass = [{ path = "join" }]\nrefuse = [{ path = "sim", is = true }]\n'
    assert made(text + DESK, {"dev": "a", "v": True, "sim": False}).rows
    assert made(text + DESK, {"dev": "a", "v": True, "join": {}}) == ([], [], 0)
    assert made(text + DESK, {"dev": "a", "v": True, "sim": True}).readings is None


ALIVE = """
device = "d"
[[rule]]
alive = true
reading = [
  { kind = "presence", value = "v" },
  { kind = "env", metric = "battery", value = "b" },
]
[[rule]]
at = "history[*]"
time = "t"
flags.backfill = true
reading = [{ kind = "presence", value = "v" }]
"""


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ({}, ["HEALTH"]),
        ({"v": True}, ["PRESENCE"]),
        ({"b": 90}, ["ENV"]),
        ({"history": [{"v": True, "t": NOW_MS - 9000}]}, ["PRESENCE", "HEALTH"]),
        ({"v": False, "history": [{"v": True}]}, ["PRESENCE", "PRESENCE"]),
    ],
)
def test_who_gives_no_news_of_now_is_alive(body: object, kinds: list[str]) -> None:
    assert [kind for _, kind, _ in made(ALIVE, body).rows] == kinds


def test_of_many_devices_each_is_alive_by_itself() -> None:
    text = """
    [[rule]]
    at = "[*]"
    device = "{id}"
    alive = true
    reading = [{ kind = "count", value = "n" }]
    """
    found = made(text, [{"id": "a", "n": 1}, {"id": "b"}]).readings
    assert found is not None
    assert [(one.device, one.kind.name) for one in found] == [
        ("a", "COUNT"),
        ("b", "HEALTH"),
    ]


def test_flags_are_set_always_or_by_a_field() -> None:
    text = """
    device = "d"
    flags.cached = true
    [[rule]]
    flags.capped = "is_capped"
    reading = [{ kind = "count", value = "n" }]
    """
    for body, flags in (
        ({"n": 3}, ReadingFlag.CACHED),
        ({"n": 3, "is_capped": False}, ReadingFlag.CACHED),
        ({"n": 3, "is_capped": True}, ReadingFlag.CACHED | ReadingFlag.CAPPED),
        ({"n": 3, "is_capped": "true"}, ReadingFlag.CACHED | ReadingFlag.CAPPED),
    ):
        found = made(text, body).readings
        assert found
        assert found[0].flags == flags


@pytest.mark.parametrize(
    ("kind", "body", "topic", "rows"),
    [
        ("any", b"ON", "a/hall/state", [("", "PRESENCE", 1)]),
        ("any", b" off\n", "a/hall/state", [("", "PRESENCE", 0)]),
        ("any", b'"ON"', "a/hall/state", [("", "PRESENCE", 1)]),
        ("any", b"1", "a/hall/state", [("", "PRESENCE", 1)]),
        ("any", b"true", "a/hall/state", [("", "PRESENCE", 1)]),
        ("any", b"", "a/hall/state", []),
        ("any", b'{"x"', "a/hall/state", [("", "PRESENCE", -1)]),
        ("text", b"1", "a/hall/state", [("", "PRESENCE", 1)]),
        ("text", b"", "a/hall/state", []),
    ],
)
def test_a_plain_body_is_the_value(
    kind: str, body: bytes, topic: str, rows: list[tuple[str, str, int]]
) -> None:
    text = f"""
    body = "{kind}"
    topic = "{{device}}/state"
    device = "{{$device}}"
    [[rule]]
    reading = [{{ kind = "presence", value = "", occupied = ["ON", 1, true],
                vacant = ["OFF", 0, false] }}]
    """.replace("true],\n                vacant", "true], vacant")
    assert made(text, body, topic).rows == rows


@pytest.mark.parametrize("body", [b"\xff", b"a" * (MAX_SCALAR_BYTES + 1)])
@pytest.mark.parametrize("kind", ["any", "text"])
def test_a_plain_body_is_short_and_text(kind: str, body: bytes) -> None:
    text = f'body = "{kind}"\n[[rule]]\nreading = [{{ kind = "health" }}]'
    assert made(text, body).readings is None


def test_a_list_beyond_the_bound_is_refused() -> None:
    text = """
    device = "d"
    [[rule]]
    at = "a[*]"
    reading = [{ kind = "count", value = "" }]
    """
    assert len(made(text, {"a": [1] * MAX_ITEMS}).rows) == MAX_ITEMS
    found = made(text, {"a": [1] * (MAX_ITEMS + 1)})
    assert isinstance(found.refused[0], TooLarge)
    nested = text.replace("a[*]", "a[*].b[*]")
    found = made(nested, {"a": [{"b": [1] * 100}] * 50})
    assert isinstance(found.refused[0], TooLarge)


def test_what_no_path_names_never_becomes_an_object() -> None:
    """Text that is not UTF-8 and a number too large stop whoever decodes them."""
    text = """
    device = "{dev.id}"
    [[rule]]
    at = "list[*]"
    reading = [{ kind = "count", value = "n", channel = "{name}" }]
    [[rule]]
    at = "[*]"
    device = "{dev.id}"
    reading = [{ kind = "count", value = "n" }]
    """
    body = {
        "image": "@",
        "dev": {"id": "a", "user": "@"},
        "list": [{"n": 1, "name": "x", "xy": [["@"]]}],
    }
    for opaque in (b'"\xff"', b"1e400", b'{"a": [{"b": "\xff"}]}'):
        found = made(text, json.dumps(body).encode().replace(b'"@"', opaque))
        assert found.rows == [("x", "COUNT", 1)]
        both = json.dumps([{**body, "n": 2}]).encode().replace(b'"@"', opaque)
        assert made(text, both).rows == [("", "COUNT", 2)]


def test_a_rule_is_repeated_for_numbers_and_words() -> None:
    text = """
    device = "d"
    [[rule]]
    for.n = "1..2"
    for.side = ["in", "out"]
    reading = [{ kind = "count", value = "l{$n}_{$side}", channel = "{$n}{$side}" }]
    """
    body = {"l1_in": 1, "l2_out": 2, "l3_in": 3}
    assert made(text, body).rows == [("1in", "COUNT", 1), ("2out", "COUNT", 2)]


def test_rules_of_another_profile_are_applied_at_a_place() -> None:
    text = """
    device = "{e}"
    [[include]]
    profile = "shared/lorawan"
    at = "payload"
    """
    found = made(text, {"e": "A", "payload": {"occupancy": "occupied"}})
    assert found.rows == [("", "PRESENCE", 1)]


NAMES = ["a", "b", "c", "d"]
rules = st.lists(
    st.tuples(
        st.sampled_from(["", "x", "list[*]"]),
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
        st.sampled_from(["count", "motion"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)
items = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3), max_size=4)


def written(index: int, rule: tuple[str, list[str], str, bool]) -> str:
    at, paths, kind, default = rule
    more = ", default = 9" if default else ""
    return (
        f"[[rule]]\nat = {json.dumps(at)}\nreading = [{{ "
        f'kind = "{kind}", value = {json.dumps(paths)}, channel = "{index}"{more} }}]\n'
    )


@given(
    rules=rules,
    body=st.builds(
        lambda own, x, many: {**own, "x": x, "list": many},
        items,
        items,
        st.lists(items, max_size=3),
    ),
)
def test_rules_together_say_what_each_says_alone(
    rules: list[tuple[str, list[str], str, bool]], body: Mapping[str, object]
) -> None:
    """Sharing a place and going by keys loses nothing and says nothing twice."""
    texts = [written(index, rule) for index, rule in enumerate(rules)]
    alone = [row for text in texts for row in made('device = "d"\n' + text, body).rows]
    together = made('device = "d"\n' + "".join(texts), body).rows
    assert sorted(together) == sorted(alone)


def test_readings_come_in_the_order_of_the_profile() -> None:
    text = """
    device = "d"
    [[rule]]
    reading = [
      { kind = "count", value = "a" },
      { kind = "motion", value = "b" },
      { kind = "count", value = "c" },
    ]
    """
    kinds = [kind for _, kind, _ in made(text, {"c": 1, "b": 1, "a": 1}).rows]
    assert kinds == ["COUNT", "MOTION", "COUNT"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[rule]]\nfor.n = "1-4"', 'line 2: .*"1..16"'),
        ('[[rule]]\nat = "a["', "line 2: .*no path"),
        ('[[rule]]\nat = "$topic"', "needs a place in the message"),
        ('[[rule]]\nat = "a[*x].b[*x]"', "named twice"),
        ('[[rule]]\nwhen = [{ path = "a[*]" }]', "stands in `at` alone"),
        ('[[rule]]\ntopic = "a/#"', "no topic pattern"),
        ('[[rule]]\ndevice = "{$nobody}"', r"known here: \$, \$topic"),
        ('device = "{a"', "brace"),
        (
            '[[rule]]\nfor.n = "1..999"\nfor.m = "1..999"\nalive = true',
            "line 2: more than 4096 readings",
        ),
        ('[[include]]\nprofile = "shared/lorawn"', "'shared/lorawan' meant"),
        ('[[include]]\nprofile = "../../x"', "is shipped"),
        ('otherwise = "drop"', 'must be one of "pass", "refuse"'),
        ("body = 1", "line 2: body must be"),
        ("devise = 1", "no table 'devise', perhaps 'device'"),
        ("device = 1", "must be text in quotes or a list"),
        ("[rule]", r"double brackets: \[\[rule\]\]"),
        ("max_bytes = 0", "max_bytes must be"),
        ("x = ", "not TOML"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_write(
    text: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        load_text(f'about = "a"\n{text}', "acme.toml")
    assert str(refused.value).startswith("acme.toml")


def test_no_kind_of_reading_can_hold_a_person() -> None:
    text = 'device = "d"\n[[rule]]\nreading = [{ kind = "identity", value = "v" }]'
    with pytest.raises(ConfigError):
        load_text(f'about = "a"\n{text}', "p.toml")
    assert "identity" not in {kind.name.lower() for kind in ReadingKind}
