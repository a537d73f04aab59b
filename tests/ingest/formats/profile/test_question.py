from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.formats.profile.profiles import made


def holds(test: str, body: object, topic: str = "") -> bool:
    text = f"""
    device = "d"
    otherwise = "pass"
    [[rule]]
    when = [{{ {test} }}]
    reading = [{{ kind = "health" }}]
    """
    return bool(made(text, body, topic).readings)


@pytest.mark.parametrize(
    ("test", "yes", "no"),
    [
        ('path = "v"', [0, False, "", []], [None]),
        ('path = "v", exists = true', [0], [None]),
        ('path = "v", exists = false', [None], [0, False]),
        ('path = "v", is = 3', [3, 3.0, "3"], [4, True, None, [3]]),
        ('path = "v", is = true', [True, "True"], [1, "1", False]),
        ('path = "v", is = ["a", "B"]', ["A", "b "], ["c", ["a"]]),
        ('path = "v", not = ["off", 0]', ["on", 1, None, False], ["off", 0, "0"]),
        ('path = "v", type = "text"', ["", "1"], [1, None]),
        ('path = "v", type = "number"', [1, 1.5], [True, "1"]),
        ('path = "v", type = "boolean"', [True, False], [1, "true"]),
        ('path = "v", type = "list"', [[], [1]], [{}, None]),
        ('path = "v", type = "table"', [{}, {"a": 1}], [[]]),
        ('path = "v", type = "null"', [None], [0]),
        ('path = "v", matches = "*LINE*"', ["X_line_IN", "LINE"], ["LIN", None, 1]),
        ('path = "v", matches = ["a*b*c", "*z"]', ["abc", "aXbYc", "xyz"], ["ab", "a"]),
        ('path = "v", matches = "1*"', [12, 1.0], [2, True]),
        ('path = "v", contains = "in"', [["IN", 1], ["x", "in"]], [[], "in", [["in"]]]),
        ('path = ["u", "v"], is = 1', [1], [2]),
        ('path = "v", exists = true, not = "OK"', ["BAD"], ["OK", None]),
    ],
)
def test_a_test_holds_where_all_its_questions_do(
    test: str, yes: list[object], no: list[object]
) -> None:
    assert [one for one in yes if not holds(test, {"v": one})] == []
    assert [one for one in no if holds(test, {"v": one})] == []


def test_a_value_that_is_absent_equals_nothing_and_differs_from_all() -> None:
    assert holds('path = "v", exists = false', {})
    assert holds('path = "v", not = 1', {})
    for test in ("is = 1", 'type = "null"', 'matches = "*"', "contains = 1"):
        assert not holds(f'path = "v", {test}', {})


def test_the_topic_can_be_asked() -> None:
    test = 'path = "$topic", matches = "*/join"'
    assert holds(test, {}, "v3/a/join")
    assert not holds(test, {}, "v3/a/up")


words = st.text("ab*", max_size=8)


@given(pattern=words, text=st.text("ab", max_size=8))
def test_a_star_is_any_text(pattern: str, text: str) -> None:
    wanted = fnmatchcase(text, pattern)
    assert holds(f'path = "v", matches = "{pattern}"', {"v": text}) is wanted
