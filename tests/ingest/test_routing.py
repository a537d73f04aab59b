from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from engine.ingest.routing import Routes


def covers(pattern: str, topic: str) -> bool:
    routes: Routes[str] = Routes()
    routes.add(pattern, "there")
    return routes.find(topic) == "there"


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
    assert covers(pattern, topic)


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
    assert not covers(pattern, topic)


def test_an_exact_filter_comes_first_and_then_the_earlier_one() -> None:
    routes: Routes[str] = Routes()
    routes.add("z/#", "zigbee")
    routes.add("z/hall", "other")
    routes.add("+/x", "wild")
    routes.add("$share/engines/w/+", "shared")
    assert routes.find("z/x") == "zigbee"
    assert routes.find("z/hall") == "other"
    assert routes.find("a/x") == "wild"
    assert routes.find("w/x") == "wild"
    assert routes.find("w/y") == "shared"
    assert routes.find("nobody/asked") is None


FILTERS = ["a/#", "a/+", "+/b", "a/b/#", "#", "a/+/c", "$SYS/#"]
NAMES = st.lists(st.sampled_from(["a", "b", "c", "", "$SYS"]), min_size=1, max_size=4)


@given(st.sampled_from(FILTERS), NAMES.map("/".join))
def test_a_route_is_found_exactly_where_its_filter_covers_the_topic(
    pattern: str, topic: str
) -> None:
    assert covers(pattern, topic) == topic_matches_sub(pattern, topic)


class Message(NamedTuple):
    topic: str
    number: int


def test_messages_are_sorted_by_where_they_go_and_keep_their_order() -> None:
    routes: Routes[str] = Routes()
    routes.add("z/#", "zigbee")
    routes.add("wifi", "wifi")
    messages = [
        Message(topic, number)
        for number, topic in enumerate(["z/a", "wifi", "nobody", "z", "wifi", "$SYS/x"])
    ]
    routed = routes.sort(messages)
    assert {to: [m.number for m in some] for to, some in routed.items()} == {
        "zigbee": [0, 3],
        "wifi": [1, 4],
    }
    assert routes.unrouted == 2


def test_no_topic_is_remembered() -> None:
    routes: Routes[str] = Routes()
    routes.add("wifi/#", "people")
    before = repr(vars(routes))
    assert routes.find("wifi/a4:83:e7:11:22:33") == "people"
    assert repr(vars(routes)) == before
