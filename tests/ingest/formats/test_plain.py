"""A value that does not say what it measures: all that it can mean, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError, Malformed
from engine.ingest.formats import find
from engine.ingest.formats.wire import MAX_COUNT, MAX_ENV, plain, thousandths
from tests.ingest.formats.golden import one

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = """
about = "What a value can mean"
body = "any"
device = "hall"
[[rule]]
reading = [{{ kind = "plain", value = ""{more} }}]
"""


def read(folder: Path, body: bytes, more: str = "") -> list[tuple[str, int]]:
    path = folder / "own.toml"
    path.write_text(PROFILE.format(more=f", {more}" if more else ""))
    found = one(find(str(path)).read, body) or ()
    return [(reading.kind.name, reading.value) for reading in found]


ON = [("PRESENCE", 1), ("MOTION", 1), ("CONTACT", 1)]
OFF = [("PRESENCE", 0), ("MOTION", 0), ("CONTACT", 0)]
UNKNOWN = [("PRESENCE", -1), ("COUNT", -1), ("CONTACT", -1)]


@pytest.mark.parametrize(
    ("value", "meanings"),
    [
        (True, ON),
        (False, OFF),
        (None, UNKNOWN),
        (0, [("PRESENCE", 0), ("COUNT", 0), ("MOTION", 0)]),
        (1.0, [("PRESENCE", 1), ("COUNT", 1), ("MOTION", 1)]),
        (3, [("PRESENCE", -1), ("COUNT", 3), ("MOTION", 3)]),
        (2.5, []),
        (-1, [("PRESENCE", -1), ("COUNT", -1)]),
        (MAX_COUNT + 1, [("PRESENCE", -1), ("COUNT", -1)]),
        (float("nan"), [("PRESENCE", -1), ("COUNT", -1)]),
        (float("inf"), [("PRESENCE", -1), ("COUNT", -1)]),
        (10**400, [("PRESENCE", -1), ("COUNT", -1)]),
    ],
    ids=repr,
)
def test_a_value_means_what_its_type_allows(
    value: float | None, meanings: list[tuple[str, int]]
) -> None:
    assert [(kind.name, number) for kind, number in plain(value)] == meanings


@given(st.floats() | st.integers() | st.booleans() | st.none())
def test_no_kind_is_said_twice_and_motion_is_never_unknown(value: float | None) -> None:
    kinds = [kind for kind, _ in plain(value)]
    assert len(set(kinds)) == len(kinds)
    assert all(v >= 0 for kind, v in plain(value) if kind.name == "MOTION")


@pytest.mark.parametrize(
    ("value", "number"),
    [(21.5, 21_500), (-0.25, -250), (float("nan"), None), (1e300, None)],
)
def test_a_measured_value_is_in_thousandths(value: float, number: int | None) -> None:
    assert thousandths(value) == number
    assert thousandths(MAX_ENV / 1000) == MAX_ENV


@pytest.mark.parametrize(
    ("body", "more", "found"),
    [
        (b"true", "", ON),
        (b"FALSE", "", OFF),
        (b"ON", 'on = ["on"], off = ["off"]', ON),
        (b"OFF", 'on = ["on"], off = ["off"]', OFF),
        (b"1", "on = [1], off = [0]", ON),
        (b"n/a", 'unknown = ["n/a"]', UNKNOWN),
        (b"null", "", UNKNOWN),
        (b"3", "", [("PRESENCE", -1), ("COUNT", 3), ("MOTION", 3)]),
        (b"ON", "", []),
        (b"21.5", "", []),
        (b"[1]", "", []),
    ],
)
def test_a_profile_lists_what_on_and_off_are(
    tmp_path: Path, body: bytes, more: str, found: list[tuple[str, int]]
) -> None:
    assert read(tmp_path, body, more) == found


def test_a_plain_value_of_nobody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(PROFILE.format(more="").replace('"hall"', '"{name}"'))
    with pytest.raises(Malformed):
        one(find(str(path)).read, b"true")


def test_a_plain_value_of_a_part_without_a_name_is_no_reading(tmp_path: Path) -> None:
    assert read(tmp_path, b"true", 'channel = "{name}"') == []


@pytest.mark.parametrize("more", ["default = 1", 'occupied = ["ON"]'])
def test_what_a_plain_value_cannot_have_is_refused(tmp_path: Path, more: str) -> None:
    with pytest.raises(ConfigError, match="plain"):
        read(tmp_path, b"true", more)
