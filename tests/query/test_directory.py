from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.query.directory import MAX_FOUND, Directory, Found

if TYPE_CHECKING:
    from collections.abc import Iterable


class Roll:
    """Who opted in: names by opaque id, in rows."""

    def __init__(self, people: Iterable[tuple[str, str]] = ()) -> None:
        self.people = list(people)
        self.directory = Directory(self)
        self.directory.add_all(range(len(self.people)))

    def subject_id(self, subject: int, /) -> str:
        return self.people[subject][0]

    def name(self, subject: int, /) -> str:
        return self.people[subject][1]

    def __contains__(self, subject_id: object) -> bool:
        return any(one[0] == subject_id for one in self.people)


def names(directory: Directory, q: str) -> list[str]:
    return [found.name for found in directory.search(q)]


DIRECTORY = Roll(
    [
        ("1", "Ada Lovelace"),
        ("2", "Grace Hopper"),
        ("3", "Zoë van den Berg"),
        ("4", "Adam Ada"),
    ]
).directory


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("ada", ["Ada Lovelace", "Adam Ada"]),
        ("LOVE", ["Ada Lovelace"]),
        ("ada l", ["Ada Lovelace"]),
        ("l ada", ["Ada Lovelace"]),
        ("zoe", ["Zoë van den Berg"]),
        ("ZOË be", ["Zoë van den Berg"]),
        ("velace", []),
        ("a", []),
        ("a a", []),
        ("", []),
        ("   ", []),
        ("a*", []),
        (".*", []),
        ("ada grace", []),
    ],
)
def test_a_search_goes_by_beginnings_of_words(q: str, found: list[str]) -> None:
    assert sorted(names(DIRECTORY, q)) == sorted(found)


def test_who_left_is_not_found() -> None:
    directory = Roll([("1", "Ada Lovelace"), ("2", "Ada Lovelace")]).directory
    directory.remove(0)
    assert directory.search("ada") == [Found("2", "Ada Lovelace")]


def test_who_shares_is_asked_of_the_roll_alone() -> None:
    assert "1" in DIRECTORY
    assert "9" not in DIRECTORY


def test_a_search_looks_at_so_many_and_no_more() -> None:
    directory = Roll((f"{n:05}", f"Ada Number{n:05}") for n in range(20_000)).directory
    assert len(directory.search("ada", 1000)) == MAX_FOUND
    assert names(directory, "ada number19999") == ["Ada Number19999"]
    assert directory.search("ada x") == []


NAMES = st.lists(
    st.tuples(st.sampled_from("abc"), st.text("abé ", max_size=8)), max_size=12
)


@pytest.mark.slow
@given(NAMES, NAMES, st.text("abe ", max_size=4))
def test_a_directory_is_what_was_added_less_what_was_removed(
    added: list[tuple[str, str]], removed: list[tuple[str, str]], q: str
) -> None:
    people = [(str(n), name) for n, name in enumerate(dict(added).values())]
    roll = Roll(people)
    gone = {n for n, _ in enumerate(removed) if n < len(people)}
    for subject in gone:
        roll.directory.remove(subject)
    for subject in list(gone)[::2]:
        roll.directory.add(subject)
        gone.discard(subject)
    fresh = Roll(one for n, one in enumerate(people) if n not in gone)
    assert roll.directory.search(q) == fresh.directory.search(q)
