from __future__ import annotations

from typing import NamedTuple

import pytest

from engine.ingest.formats import FORMATS, base_of
from engine.source import Route, Source
from engine.tenant import Tenant
from tests.building import small_plan


class Message(NamedTuple):
    topic: str
    payload: bytes = b""
    retain: bool = False


@pytest.mark.parametrize(
    ("topic_filter", "topic", "rest"),
    [
        ("zigbee2mqtt/#", "zigbee2mqtt/hall/pir", "hall/pir"),
        ("zigbee2mqtt/hall", "zigbee2mqtt/hall", "hall"),
        ("$share/engines/site/z2m/#", "site/z2m/hall", "hall"),
        ("$share/engines/site/z2m/hall", "site/z2m/hall", "hall"),
        (
            "application/+/device/+/event/up",
            "application/1/device/2/event/up",
            "1/device/2/event/up",
        ),
        ("wifi", "wifi", "wifi"),
        ("", "", ""),
    ],
)
def test_a_route_gives_the_topic_after_the_base_of_its_source(
    topic_filter: str, topic: str, rest: str
) -> None:
    tenant = Tenant("acme", small_plan())
    source = Source(name="s", tenant=tenant, form=FORMATS["livefloor"])
    assert Route(source, topic_filter).rests([Message(topic)] * 2) == [rest, rest]
    assert topic[len(base_of(topic_filter)) :] == rest


def test_a_route_takes_all_messages_of_a_link_of_its_own() -> None:
    tenant = Tenant("acme", small_plan())
    route = Route(Source(name="s", tenant=tenant, form=FORMATS["livefloor"]))
    messages = [Message(""), Message("")]
    assert route.all(messages) == {route: messages}
    assert route.rests(messages) == ["", ""]


def test_a_route_gives_the_whole_topic_to_a_format_that_asks_for_it() -> None:
    tenant = Tenant("acme", small_plan())
    source = Source(name="s", tenant=tenant, form=FORMATS["ha-discovery"])
    topics = ["homeassistant/binary_sensor/hall/config", "tele/hall/LWT"]
    for route in (Route(source, "homeassistant/#", "tele/#"), Route(source)):
        assert route.rests([Message(topic) for topic in topics]) == topics
