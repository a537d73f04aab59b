from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import Person
from engine.query.directory import MAX_FOUND, Directory


def person(subject: str, name: str) -> Person:
    return Person(subject, subject, name, (), 0)


def names(directory: Directory, q: str) -> list[str]:
    return [found.name for found in directory.search(q)]


DIRECTORY = Directory(
    [
        person("1", "Ada Lovelace"),
        person("2", "Grace Hopper"),
        person("3", "Zoë van den Berg"),
        person("4", "Adam Ada"),
    ]
)


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
    directory = Directory([person("1", "Ada Lovelace"), person("2", "Ada Lovelace")])
    directory.remove("1")
    directory.remove("1")

    assert [found.subject for found in directory.search("ada")] == ["2"]
    assert directory.person("1") is None
    assert len(directory) == 1


def test_a_new_name_takes_the_place_of_the_old() -> None:
    directory = Directory([person("1", "Ada Byron")])
    directory.add(person("1", "Ada Lovelace"))

    assert names(directory, "ada") == ["Ada Lovelace"]
    assert names(directory, "byron") == []


def test_a_search_looks_at_so_many_and_no_more() -> None:
    people = [person(f"{n:05}", f"Ada Number{n:05}") for n in range(20_000)]
    directory = Directory(people)

    assert len(directory.search("ada", 1000)) == MAX_FOUND
    assert directory.search("ada number19999") == [people[-1]]
    assert directory.search("ada x") == []


NAMES = st.lists(
    st.tuples(st.sampled_from("abc"), st.text("abé ", max_size=8)), max_size=12
)


@pytest.mark.slow
@given(NAMES, NAMES, st.text("abe ", max_size=4))
def test_a_directory_is_what_was_added_less_what_was_removed(
    added: list[tuple[str, str]], removed: list[tuple[str, str]], q: str
) -> None:
    directory = Directory()
    expected: dict[str, str] = {}
    for subject, name in added:
        directory.add(person(subject, name))
        expected[subject] = name
    for subject, _ in removed:
        directory.remove(subject)
        expected.pop(subject, None)

    fresh = Directory(person(*one) for one in expected.items())
    assert [p.subject for p in directory.search(q)] == [
        p.subject for p in fresh.search(q)
    ]
    assert len(directory) == len(expected)
