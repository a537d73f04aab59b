from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Malformed, TooLarge, Unsupported
from engine.ingest.formats import REFUSALS, ha_discovery
from engine.ingest.formats.ha_discovery import Memory
from engine.ingest.formats.ha_discovery.announcement import MAX_COMPONENTS
from tests.ingest.formats.golden import NOW_MS

STATE = "hall/state"


def topic_of(name: str, component: str = "binary_sensor") -> str:
    return f"homeassistant/{component}/{name}/config"


def announce(
    memory: Memory,
    name: str = "hall",
    component: str = "binary_sensor",
    **more: Any,  # noqa: ANN401 - JSON
) -> None:
    body = json.dumps({"state_topic": STATE, "unique_id": name, **more}).encode()
    assert memory.read(body, topic_of(name, component), NOW_MS) == ()


def hear(memory: Memory, body: bytes, topic: str = STATE) -> list[tuple[str, str, int]]:
    found = memory.read(body, topic, NOW_MS)
    return [(r.device, r.kind.name, r.value) for r in found]


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ("{{ value }}", b"ON"),
        ("{{value}}", b"ON"),
        ("{{ value_json.a }}", b'{"a": "ON"}'),
        ("{{value_json.a.b}}", b'{"a": {"b": "ON"}}'),
        ("{{ value_json['a'].b }}", b'{"a": {"b": "ON"}}'),
        ('{{ value_json["a b"][1] }}', b'{"a b": ["OFF", "ON"]}'),
        ("{{ value_json.a | is_defined }}", b'{"a": "ON"}'),
        ("{{ value_json }}", b'"ON"'),
    ],
)
def test_a_template_that_is_a_place_is_read(
    memory: Memory, template: str, body: bytes
) -> None:
    announce(memory, device_class="occupancy", value_template=template)
    assert hear(memory, body) == [("hall", "PRESENCE", 1)]


@pytest.mark.parametrize(
    "template",
    [
        "{{ value_json.a | int }}",
        "{{ value_json.a | default('OFF') }}",
        "{% if value == 'x' %}ON{% endif %}",
        "{{ 'ON' if value_json.a > 3 else 'OFF' }}",
        "{{ value_json.a == 'x' }}",
        "{{ value_json.get('a') }}",
        "{{ value_json.a }}{{ value_json.b }}",
        "{{ value_json.a + 1 }}",
        "{{ value_jsona }}",
        "{{ values }}",
        "{{ states('person.ada') }}",
        "{{ }}",
        "{{}}",
        "{{",
        "value",
        "",
        "{{ value_json" + ".a" * 200 + " }}",
    ],
)
def test_a_template_that_computes_is_refused_and_its_entity_forgotten(
    memory: Memory, template: str
) -> None:
    announce(memory, device_class="occupancy")
    with pytest.raises(Unsupported):
        announce(memory, device_class="occupancy", value_template=template)
    assert hear(memory, b"ON") == []


@given(st.text(st.sampled_from("{} value_json.a['\"]|0-+%"), max_size=60))
def test_a_template_is_read_or_refused(template: str) -> None:
    memory = Memory()
    try:
        announce(memory, value_template=template)
        memory.read(b'{"a": ["ON"]}', STATE, NOW_MS)
    except REFUSALS:
        pass


@pytest.mark.parametrize(
    ("device_class", "found"),
    [
        ("occupancy", [("PRESENCE", 1)]),
        ("presence", [("PRESENCE", 1)]),
        ("motion", [("MOTION", 1)]),
        ("moving", [("MOTION", 1)]),
        ("door", [("CONTACT", 1)]),
        ("window", [("CONTACT", 1)]),
        ("connectivity", [("HEALTH", 1)]),
        (None, [("PRESENCE", 1), ("MOTION", 1), ("CONTACT", 1)]),
        ("smoke", []),
        ("battery", []),
    ],
)
def test_a_class_says_what_is_measured(
    memory: Memory, device_class: str | None, found: list[tuple[str, int]]
) -> None:
    announce(memory, device_class=device_class)
    assert hear(memory, b"ON") == [("hall", kind, value) for kind, value in found]


@pytest.mark.parametrize(
    ("device_class", "unit", "body", "found"),
    [
        ("carbon_dioxide", "ppm", b"812", [("ENV", 812_000)]),
        ("temperature", "°C", b"-3.25", [("ENV", -3_250)]),
        ("temperature", "°F", b"70", []),
        ("humidity", "%", b"41", [("ENV", 41_000)]),
        ("humidity", "%", b"None", []),
        ("battery", "%", b"97", []),
        ("distance", "cm", b"120", []),
        (None, "people", b"3", []),
        (None, None, b"3", [("PRESENCE", -1), ("COUNT", 3), ("MOTION", 3)]),
        (None, None, b"None", [("PRESENCE", -1), ("COUNT", -1), ("CONTACT", -1)]),
    ],
)
def test_a_sensor_is_read_in_the_unit_that_it_says(
    memory: Memory,
    device_class: str | None,
    unit: str | None,
    body: bytes,
    found: list[tuple[str, int]],
) -> None:
    announce(
        memory,
        component="sensor",
        device_class=device_class,
        unit_of_measurement=unit,
    )
    assert hear(memory, body) == [("hall", kind, value) for kind, value in found]


@pytest.mark.parametrize("body", [b"nan", b"1e9", b"1_0", b"inf", b"9" * 99, b"three"])
def test_a_sensor_that_says_no_number_is_refused(memory: Memory, body: bytes) -> None:
    announce(
        memory, component="sensor", device_class="temperature", unit_of_measurement="°C"
    )
    with pytest.raises(Malformed):
        hear(memory, body)


def test_of_entities_that_share_a_topic_each_knows_its_own_value(
    memory: Memory,
) -> None:
    announce(memory, "one", device_class="motion", payload_on="A1", payload_off="A0")
    announce(memory, "two", device_class="motion", payload_on="B1", payload_off="B0")
    assert hear(memory, b"A1") == [("one", "MOTION", 1)]
    assert hear(memory, b"B0") == [("two", "MOTION", 0)]
    with pytest.raises(Malformed):
        hear(memory, b"C1")


def test_a_number_of_many_digits_is_for_nobody(memory: Memory) -> None:
    announce(memory, device_class="occupancy", value_template="{{ value_json.a }}")
    for digits in (30, 400, 9_000):
        with pytest.raises((Malformed, msgspec.ValidationError)):
            hear(memory, b'{"a": ' + b"9" * digits + b"}")


def test_unknown_is_unknown_and_never_motion(memory: Memory) -> None:
    announce(memory, "one", device_class="occupancy")
    announce(memory, "two", device_class="motion")
    assert hear(memory, b"None") == [("one", "PRESENCE", -1)]


@pytest.mark.parametrize(
    "body", [b"", b'{"b": "ON"}', b'{"a": []}', b'{"a": ""}', b"[]"]
)
def test_a_value_that_is_not_there_says_nothing(memory: Memory, body: bytes) -> None:
    announce(memory, device_class="occupancy", value_template="{{ value_json.a }}")
    assert hear(memory, body) == []


@pytest.mark.parametrize(
    ("mode", "heard", "health"),
    [
        ("latest", ["a online"], [1]),
        ("latest", ["a offline", "b online"], [0, 1]),
        ("all", ["a online"], []),
        ("all", ["a offline"], [0]),
        ("all", ["a online", "b online", "a offline", "a online"], [1, 0, 1]),
        ("any", ["a offline"], []),
        ("any", ["a online", "b offline", "a offline"], [1, 1, 0]),
    ],
)
def test_availability_is_what_its_mode_makes_of_the_topics(
    memory: Memory, mode: str, heard: list[str], health: list[int]
) -> None:
    lines = [{"topic": "a"}, {"t": "b"}]
    announce(memory, availability=lines, availability_mode=mode)
    found = []
    for topic, _, body in (one.partition(" ") for one in heard):
        found += [value for _, _, value in hear(memory, body.encode(), topic)]
    assert found == health


@pytest.mark.parametrize(
    ("written", "whole"),
    [("~/state", "hall/state"), ("state/~", "state/hall"), ("state", "state")],
)
def test_a_base_stands_for_the_tilde_at_either_end(
    memory: Memory, written: str, whole: str
) -> None:
    more: dict[str, Any] = {
        "~": "hall",
        "availability": [{"t": written}],
        "device_class": "motion",
    }
    announce(memory, "one", state_topic=written, **more)
    assert hear(memory, b"online", whole) == [("one", "HEALTH", 1)]
    assert hear(memory, b"ON", whole) == [("one", "MOTION", 1)]


def test_an_availability_that_says_nothing_known_is_refused_or_nothing(
    memory: Memory,
) -> None:
    line = {"topic": "up", "value_template": "{{ value_json.state }}"}
    announce(memory, availability=line)
    assert hear(memory, b'{"other": 1}', "up") == []
    with pytest.raises(Malformed):
        hear(memory, b'{"state": "asleep"}', "up")


def test_an_object_with_an_endless_name_is_refused(memory: Memory) -> None:
    with pytest.raises(Malformed):
        memory.read(b'{"state_topic": "a"}', topic_of("a" * 256), NOW_MS)


def test_an_announcement_replaces_the_one_before(memory: Memory) -> None:
    announce(memory, device_class="occupancy", availability_topic="hall/up")
    announce(memory, device_class="motion", state_topic="other")
    assert hear(memory, b"ON") == []
    assert hear(memory, b"online", "hall/up") == []
    assert hear(memory, b"ON", "other") == [("hall", "MOTION", 1)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["x", "y", None]),
            st.sampled_from([[], ["u"], ["u", "v"], ["u", "u"]]),
        ),
        max_size=12,
    )
)
def test_what_was_announced_and_taken_back_leaves_nothing(
    steps: list[tuple[str, str | None, list[str]]],
) -> None:
    memory = Memory()
    for name, state, lines in steps:
        if state is None:
            memory.read(b"", topic_of(name), NOW_MS)
            continue
        availability = [{"topic": line} for line in lines]
        announce(
            memory,
            name,
            state_topic=state,
            availability=availability,
            availability_mode="all",
        )
        for line in lines:
            memory.read(b"online", line, NOW_MS)
    for name in "abc":
        memory.read(b"", topic_of(name), NOW_MS)
    assert not any(vars(memory).values())


@pytest.mark.parametrize(
    "topic",
    [
        "homeassistant/device_tracker/phone/config",
        "homeassistant/switch/lamp/config",
        "tasmota/discovery/A1B2C3/config",
        "config",
        "a/config",
    ],
)
def test_of_other_components_nothing_is_remembered(memory: Memory, topic: str) -> None:
    assert memory.read(b'{"state_topic": "hall/state"}', topic, NOW_MS) == ()
    assert not any(vars(memory).values())


@pytest.mark.parametrize(
    "topic",
    [
        "homeassistant/binary_sensor/hall/config",
        "homeassistant/binary_sensor/node/hall/config",
        "a/long/prefix/binary_sensor/node/hall/config",
    ],
)
def test_the_prefix_of_discovery_is_the_operators(memory: Memory, topic: str) -> None:
    body = b'{"stat_t": "hall/state", "dev_cla": "presence", "uniq_id": "H"}'
    memory.read(body, topic, NOW_MS)
    assert hear(memory, b"ON") == [("h", "PRESENCE", 1)]


@pytest.mark.parametrize(
    "more",
    [
        {"state_topic": ""},
        {"state_topic": "a" * 256},
        {"unique_id": "a" * 256},
        {"availability_topic": ""},
        {"availability": [{"topic": f"t{number}"} for number in range(9)]},
        {"availability_mode": "some"},
        {"payload_on": "a" * 256},
        {"availability": [{"topic": "t", "payload_available": "a" * 256}]},
    ],
)
def test_an_announcement_beyond_its_bounds_is_refused(
    memory: Memory, more: dict[str, Any]
) -> None:
    with pytest.raises((Malformed, msgspec.ValidationError)):
        announce(memory, **more)
    assert not any(vars(memory).values())


def test_an_announcement_on_an_endless_topic_is_refused(memory: Memory) -> None:
    with pytest.raises(Malformed):
        memory.read(b'{"stat_t": "a"}', "a/" * 256 + topic_of("hall"), NOW_MS)
    assert not any(vars(memory).values())


def test_a_device_has_no_more_components_than_it_may(memory: Memory) -> None:
    one = {"p": "binary_sensor", "stat_t": STATE}
    for number in (MAX_COMPONENTS, MAX_COMPONENTS + 1):
        body = json.dumps({"cmps": {str(n): one for n in range(number)}}).encode()
        if number > MAX_COMPONENTS:
            with pytest.raises(Malformed):
                memory.read(body, "homeassistant/device/d/config", NOW_MS)
        else:
            memory.read(body, "homeassistant/device/d/config", NOW_MS)
            assert len(hear(memory, b"ON")) == 3 * number


def test_no_more_entities_are_remembered_than_the_bound(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ha_discovery, "MAX_ENTITIES", 2)
    announce(memory, "one", device_class="motion")
    announce(memory, "two", device_class="motion")
    with pytest.raises(TooLarge):
        announce(memory, "three", device_class="motion")
    memory.read(b"", topic_of("one"), NOW_MS)
    announce(memory, "three", device_class="motion")
    assert [device for device, _, _ in hear(memory, b"ON")] == ["two", "three"]
