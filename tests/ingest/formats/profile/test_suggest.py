from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Malformed
from engine.ingest.formats.profile.library import load_text
from engine.ingest.formats.profile.suggest import suggest
from tests.ingest.formats.golden import GOLDEN, Sample
from tests.ingest.formats.profile.profiles import made

TOPIC = "acme/level3/7f21/state"


def read(body: object, topic: str = TOPIC) -> list[tuple[str, str, int]]:
    """Return what the draft for a message makes of that message."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = made(suggest(payload, topic), payload, topic)
    assert not found.refused
    return [
        (f"{one.device}#{one.channel}".rstrip("#"), one.kind.name, one.value)
        for one in found.readings or ()
    ]


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ({"id": "a", "occupied": True}, [("a", "PRESENCE", 1)]),
        ({"id": "a", "occupancy": "vacant"}, [("a", "PRESENCE", 0)]),
        ({"id": "a", "pir": "trigger"}, [("a", "MOTION", 1)]),
        ({"id": "a", "movementDetections": 7}, [("a", "MOTION", 7)]),
        ({"id": "a", "person_count": 4}, [("a", "COUNT", 4)]),
        ({"id": "a", "PeopleCount": {"Current": {"Value": "4"}}}, [("a", "COUNT", 4)]),
        ({"id": "a", "door": "close"}, [("a", "CONTACT", 0)]),
        ({"id": "a", "online": False}, [("a", "HEALTH", 0)]),
        ({"id": "a", "battery": 88}, [("a", "ENV", 88_000)]),
        ({"id": "a", "vdd": 3601}, [("a", "ENV", 3601)]),
        ({"id": "a", "in": 3, "out": 1}, [("a", "FLOW_DELTA", 3)]),
        ({"id": "a", "total_in": 3, "total_out": 1}, [("a", "FLOW_TOTAL", 3)]),
        ({"id": "a", "line_1_in": 3, "line_1_out": 1}, [("a", "FLOW_DELTA", 3)]),
        ({"occupied": True}, [("7f21", "PRESENCE", 1)]),
        ({"devEUI": "24:E1:24:60:0C:12:34:56"}, [("24e124600c123456", "HEALTH", 1)]),
        (
            {
                "sn": "x",
                "zones": [{"name": "A", "count": 1}, {"name": "B", "count": 2}],
            },
            [("x#A", "COUNT", 1), ("x#B", "COUNT", 2)],
        ),
        (
            [{"space_id": "p", "headcount": 0}, {"space_id": "q", "headcount": 2}],
            [("p", "COUNT", 0), ("q", "COUNT", 2)],
        ),
        (b"ON", [("7f21", "PRESENCE", 1)]),
        (
            {"meta": {"gw": "g"}, "node": {"eui": "70:B3:D5:67:70:0A:11:22"}, "rh": 41},
            [("70b3d567700a1122", "ENV", 41_000)],
        ),
        ({"id": "a", "power": {"vbat_mv": 2987}}, [("a", "ENV", 2987)]),
        ({"id": "a", "power": {"soc": 88}}, [("a", "ENV", 88_000)]),
    ],
)
def test_a_draft_reads_the_message_it_was_made_of(
    body: object, rows: list[tuple[str, str, int]]
) -> None:
    assert read(body) == rows


@pytest.mark.parametrize(
    ("topic", "body", "rows"),
    [
        ("acme/3/s-77/pir", b"1", [("s-77", "MOTION", 1)]),
        ("acme/3/s-77/pir", b"0", [("s-77", "MOTION", 0)]),
        ("acme/people/s-77", b"4", [("s-77", "COUNT", 4)]),
        ("acme/3/s-77/window", b"open", [("s-77", "CONTACT", 1)]),
        ("acme/3/s-77", b"1", [("s-77", "PRESENCE", 1)]),
    ],
)
def test_of_a_plain_text_the_topic_says_what_it_is_about(
    topic: str, body: bytes, rows: list[tuple[str, str, int]]
) -> None:
    assert read(body, topic) == rows


def test_when_a_list_was_generated_is_its_time() -> None:
    rooms = [{"roomId": "R-1", "headcount": 3}]
    body = {"generated": "2026-03-02T09:00:00Z", "rooms": rooms}
    draft = suggest(json.dumps(body).encode(), "")
    assert tomllib.loads(draft)["time"] == "generated"


def test_a_time_without_an_offset_asks_for_its_zone() -> None:
    draft = suggest(b'{"id": 1, "timestamp": "2026-03-02 09:00:00"}', "")
    assert '# time_as = "local"' in draft
    assert "time" not in tomllib.loads(draft)


def test_a_usable_time_is_taken() -> None:
    draft = suggest(b'{"id": 1, "ts": 1772441990, "to": 1}', "")
    assert tomllib.loads(draft)["time"] == "ts"


@pytest.mark.parametrize("payload", [b"", b"\xff", b'{"a":', b"[" * 99_999, b"a" * 999])
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        suggest(payload, "")


@pytest.mark.parametrize(
    "sample",
    [sample for sample in GOLDEN if sample.format.shape is not None],
    ids=lambda sample: sample.name,
)
def test_a_draft_of_a_real_shape_is_a_profile_that_accepts_it(sample: Sample) -> None:
    draft = suggest(sample.payload, sample.topic)
    assert not made(draft, sample.payload, sample.topic).refused


names = st.sampled_from(["id", "occ", "in", "out", "a'b", "x.y", "{", "", "#k", "\n"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner),
    max_leaves=12,
)


@given(body=st.dictionaries(names, values, max_size=5), topic=st.text(max_size=12))
def test_whatever_the_message_the_draft_is_a_profile(
    body: dict[str, object], topic: str
) -> None:
    load_text(suggest(json.dumps(body).encode(), topic), "draft.toml")
