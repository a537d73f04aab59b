from __future__ import annotations

import pytest

from engine.errors import ConfigError
from engine.ingest.formats.profile.library import load_text
from engine.ingest.formats.profile.value import number, whole
from engine.ingest.formats.wire import MAX_COUNT
from tests.ingest.formats.profile.profiles import made, value

PRESENCE = 'kind = "presence", value = "v"'


@pytest.mark.parametrize(
    ("lists", "written", "found", "strange"),
    [
        ("", True, 1, 0),
        ("", False, 0, 0),
        ("", None, -1, 0),
        ("", 1, -1, 1),
        ("", 0, -1, 1),
        ("", "occupied", -1, 1),
        ("", "true", 1, 0),
        ('occupied = ["yes", 2], vacant = ["no", 0], unknown = [1]', "Yes ", 1, 0),
        ('occupied = ["yes", 2], vacant = ["no", 0], unknown = [1]', 2.0, 1, 0),
        ('occupied = ["yes", 2], vacant = ["no", 0], unknown = [1]', "2", 1, 0),
        ('occupied = ["yes", 2], vacant = ["no", 0], unknown = [1]', 1, -1, 0),
        ('occupied = ["yes", 2], vacant = ["no", 0], unknown = [1]', True, -1, 1),
        ('occupied = ["yes", 2], vacant = ["no", 0], unknown = [1]', 3, -1, 1),
        ("occupied = [1], vacant = [0]", False, -1, 1),
        ("occupied = [1], vacant = [0]", [1], -1, 1),
        ("occupied = [1], vacant = [0]", {"a": 1}, -1, 1),
        ("occupied = [255]", 0, -1, 1),
    ],
)
def test_a_value_means_what_a_list_says_and_nothing_is_guessed(
    lists: str, written: object, found: int, strange: int
) -> None:
    comma = ", " if lists else ""
    text = f'device = "d"\n[[rule]]\nreading = [{{ {PRESENCE}{comma}{lists} }}]'
    result = made(text, {"v": written})
    assert result.rows == [("", "PRESENCE", found)]
    assert result.strange == strange
    assert not result.refused


@pytest.mark.parametrize(
    ("rule", "written", "rows"),
    [
        ('kind = "count", value = "v"', 3, [("", "COUNT", 3)]),
        ('kind = "count", value = "v"', "3", [("", "COUNT", 3)]),
        ('kind = "count", value = "v"', 3.0, [("", "COUNT", 3)]),
        ('kind = "count", value = "v"', -1, [("", "COUNT", -1)]),
        ('kind = "count", value = "v"', 2.5, [("", "COUNT", -1)]),
        ('kind = "count", value = "v"', True, [("", "COUNT", -1)]),
        ('kind = "count", value = "v"', 10**9, [("", "COUNT", -1)]),
        ('kind = "count", value = "v", unknown = [255]', 255, [("", "COUNT", -1)]),
        ('kind = "motion", value = "v"', 6, [("", "MOTION", 6)]),
        ('kind = "motion", value = "v"', True, [("", "MOTION", 1)]),
        ('kind = "motion", value = "v"', 10**9, [("", "MOTION", MAX_COUNT)]),
        ('kind = "motion", value = "v"', -1, []),
        ('kind = "motion", value = "v"', None, []),
        ('kind = "motion", value = "v", motion = [-1]', -1, [("", "MOTION", 1)]),
        ('kind = "health", value = "v"', "online", [("", "HEALTH", 1)]),
        ('kind = "health", value = "v"', False, [("", "HEALTH", 0)]),
        ('kind = "health", value = "v", faulty = ["BAD"]', "bad", [("", "HEALTH", -1)]),
        ('kind = "health", value = "v"', "perhaps", []),
        ('kind = "health"', 0, [("", "HEALTH", 1)]),
        (
            'kind = "contact", value = "v", open = [false], closed = [true]',
            True,
            [("", "CONTACT", 0)],
        ),
        (
            'kind = "env", metric = "temperature", value = "v"',
            "27.745661",
            [("", "ENV", 27_746)],
        ),
        (
            'kind = "env", metric = "voltage", value = "v", scale = 0.001',
            3601,
            [("", "ENV", 3601)],
        ),
        ('kind = "env", metric = "co2", value = "v"', True, []),
        ('kind = "env", metric = "co2", value = "v"', 1e300, []),
        ('kind = "presence", value = 0', 0, [("", "PRESENCE", 0)]),
        ('kind = "count", value = "w", default = 0', 0, [("", "COUNT", 0)]),
        ('kind = "count", value = "w"', 0, []),
        ('kind = "count", value = ["w", "v"]', 5, [("", "COUNT", 5)]),
    ],
)
def test_each_kind_reads_what_it_can_hold(
    rule: str, written: object, rows: list[tuple[str, str, int]]
) -> None:
    assert value(rule, {"v": written}) == rows


@pytest.mark.parametrize(
    ("rule", "body", "flow"),
    [
        ('in = "i", out = "o"', {"i": 3, "o": 1}, (3, 1)),
        ('in = "i", out = "o"', {"i": 3}, None),
        ('in = "i", out = "o"', {"i": 3, "o": None}, None),
        ('in = "i", out = "o"', {"i": 3, "o": -1}, None),
        ('in = "i", out = "o", default = 0', {"i": 3}, (3, 0)),
        ('in = "i"', {"i": "12"}, (12, 0)),
        ('out = "o"', {"o": 12}, (0, 12)),
        ("in = 1, out = 0", {}, (1, 0)),
    ],
)
def test_a_flow_needs_both_sides_that_it_names(
    rule: str, body: object, flow: tuple[int, int] | None
) -> None:
    text = f'device = "d"\n[[rule]]\nreading = [{{ kind = "flow_delta", {rule} }}]'
    found = made(text, body).readings
    assert found is not None
    assert [(one.value, one.out) for one in found] == ([flow] if flow else [])


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ('kind = "contact", value = "v"', "open = "),
        ('kind = "contact", value = "v", open = [true]', "closed = "),
        ('kind = "count", value = "v", occupied = [1]', "it may have unknown"),
        ('kind = "flow_delta", value = "v"', "write in = and out ="),
        ('kind = "count", in = "v"', "write value ="),
        ('kind = "count"', "write value ="),
        ('kind = "env", value = "v"', "needs a metric: one of co2"),
        ('kind = "count", value = "v", metric = "co2"', "has no metric"),
        ('kind = "count", value = "v", scale = 2.0', "has no scale"),
        ('kind = "flow_delta", in = "v", bits = 16', "has no bits"),
        ('kind = "presence", value = 2', "2 can be no value"),
        ('kind = "count", value = -2', "-2 can be no value"),
        ('kind = "presence", value = "v", occupied = [1], vacant = ["1"]', "two words"),
        ('kind = "presence", value = "v..w"', "no path"),
        ('kind = "presence", value = "v", channel = "{"', "brace"),
        ('kind = "presents", value = "v"', "must be one of"),
        ('kind = "presence", valeu = "v"', "perhaps 'value'"),
    ],
)
def test_what_cannot_be_a_reading_is_told_with_its_line(
    rule: str, problem: str
) -> None:
    text = f'about = "a"\n\n[[rule]]\nreading = [\n  {{ {rule} }},\n]\n'
    with pytest.raises(ConfigError, match=problem) as refused:
        load_text(text, "acme.toml")
    assert str(refused.value).startswith("acme.toml, line 4: ")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (" 7 ", 7),
        ("-1.5", -1.5),
        ("1_0", None),
        ("nan", None),
        ("infinity", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 400, None),
        ("", None),
        (True, None),
        (float("inf"), None),
    ],
)
def test_a_number_in_text_is_digits_alone(written: object, found: float | None) -> None:
    assert number(written) == found
    assert whole(written) == (found if found == 7 else None)
