from __future__ import annotations

import pytest

from engine.ingest.routing import Routes, matches


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        ("a/b", "a/b"),
        ("a/+", "a/b"),
        ("a/#", "a"),
        ("a/#", "a/b/c"),
        ("#", "a/b"),
        ("+/b/+", "a/b/c"),
        ("a/+/", "a/b/"),
        ("$SYS/#", "$SYS/x"),
    ],
)
def test_a_filter_covers_its_topics(pattern: str, topic: str) -> None:
    assert matches(pattern, topic)


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        ("a/b", "a/b/c"),
        ("a/b/c", "a/b"),
        ("a/+", "a"),
        ("a/+", "a/b/c"),
        ("+", "a/b"),
        ("#", "$SYS/x"),
        ("+/x", "$SYS/x"),
        ("a/b", "a/B"),
    ],
)
def test_a_filter_covers_no_other_topic(pattern: str, topic: str) -> None:
    assert not matches(pattern, topic)


def test_an_exact_filter_comes_first_and_then_the_earlier_one() -> None:
    routes: Routes[str] = Routes()
    routes.add("z/#", "zigbee", about_people=False)
    routes.add("z/hall", "other", about_people=False)
    routes.add("+/x", "wild", about_people=False)
    routes.add("$share/engines/w/+", "shared", about_people=True)
    assert routes.find("z/x") == "zigbee"
    assert routes.find("z/hall") == "other"
    assert routes.find("a/x") == "wild"
    assert routes.find("w/x") == "wild"
    assert routes.find("w/y") == "shared"
    assert routes.find("nobody/asked") is None


def test_topics_about_people_are_never_remembered() -> None:
    routes: Routes[str] = Routes()
    routes.add("wifi/#", "people", about_people=True)
    routes.add("z/#", "sensors", about_people=False)
    assert routes.find("wifi/a4:83:e7:11:22:33") == "people"
    assert routes.find("z/desk-1") == "sensors"
    assert list(routes._kept) == ["z/desk-1"]  # noqa: SLF001 - what must not be there
