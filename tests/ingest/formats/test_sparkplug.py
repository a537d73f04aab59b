from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ingest.formats import FORMATS, reason_of, sparkplug
from engine.ingest.formats.sparkplug import MAX_METRICS, Memory, Payload
from engine.model import ReadingFlag, ReadingKind
from tests.ingest.formats.golden import NOW_MS, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model import Reading

NODE = "spBv1.0/hq/{}/gateway"
DEVICE = "spBv1.0/hq/{}/gateway/room"
BOOLEAN, INT8, INT32, UINT32, DOUBLE, STRING = 11, 1, 3, 7, 10, 12


def payload(*metrics: dict[str, Any], **fields: int) -> bytes:
    made = Payload(**fields)
    for metric in metrics:
        made.metrics.add(**metric)
    return bytes(made.SerializeToString())


class Listener:
    """A memory, and the reasons of what it refused."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.refused: list[str] = []

    def hear(self, topic: str, *metrics: dict[str, Any], **fields: int) -> list[Any]:
        return self.hear_bytes(topic, payload(*metrics, **fields))

    def hear_bytes(self, topic: str, body: bytes) -> list[Any]:
        (found,) = self.memory.read([body], [topic], NOW_MS, self._refuse)
        return [(r.device, r.kind.name, r.value) for r in found or ()]

    def _refuse(self, error: Exception) -> None:
        self.refused.append(reason_of(error))

    def of(self, kind: str, found: Sequence[Any]) -> list[Any]:
        return [one for one in found if one[1] == kind]


@pytest.fixture
def listener() -> Listener:
    return Listener()


def birth(listener: Listener, *, seq: int = 0) -> None:
    listener.hear(NODE.format("NBIRTH"), bd_seq(1), seq=seq)
    metric = {"name": "Occupied", "alias": 1, "datatype": BOOLEAN}
    listener.hear(DEVICE.format("DBIRTH"), metric, seq=seq + 1)


def bd_seq(number: int) -> dict[str, Any]:
    return {"name": "bdSeq", "datatype": 4, "long_value": number}


OCCUPIED = {"alias": 1, "boolean_value": True}


def test_a_rebirth_of_the_node_ends_every_alias_of_its_devices(
    listener: Listener,
) -> None:
    birth(listener)
    assert listener.hear(DEVICE.format("DDATA"), OCCUPIED, seq=2)
    listener.hear(NODE.format("NBIRTH"), bd_seq(2), seq=0)
    assert not listener.hear(DEVICE.format("DDATA"), OCCUPIED, seq=1)
    assert listener.refused == ["unknown_name"]


def test_an_alias_means_what_the_last_birth_said(listener: Listener) -> None:
    birth(listener)
    door = {"name": "Door", "alias": 1, "datatype": BOOLEAN}
    listener.hear(DEVICE.format("DBIRTH"), door, seq=2)
    body = payload(OCCUPIED, seq=3)
    (found,) = listener.memory.read([body], [DEVICE.format("DDATA")], NOW_MS, print)
    assert {reading.channel for reading in found or ()} == {"Door"}


def test_an_alias_is_of_its_device_alone(listener: Listener) -> None:
    birth(listener)
    other = "spBv1.0/hq/DDATA/gateway/other"
    assert not listener.hear(other, OCCUPIED, seq=2)
    assert listener.refused == ["unknown_name"]


def test_a_count_of_messages_wraps_without_a_gap(listener: Listener) -> None:
    birth(listener, seq=0)
    for seq in [*range(2, 256), 0, 1]:
        listener.hear(DEVICE.format("DDATA"), OCCUPIED, seq=seq)
    assert not listener.refused


def test_a_missing_message_is_counted_once_and_the_next_one_is_read(
    listener: Listener,
) -> None:
    birth(listener)
    assert listener.hear(DEVICE.format("DDATA"), OCCUPIED, seq=4)
    assert listener.hear(DEVICE.format("DDATA"), OCCUPIED, seq=5)
    assert listener.refused == ["gap"]


def test_who_is_heard_first_in_the_middle_has_no_gap(listener: Listener) -> None:
    listener.hear(DEVICE.format("DDATA"), {"name": "a", **OCCUPIED}, seq=77)
    listener.hear(DEVICE.format("DDATA"), {"name": "a", **OCCUPIED}, seq=78)
    assert not listener.refused


def test_the_death_of_a_node_takes_its_devices_along_even_those_born_before_us(
    listener: Listener,
) -> None:
    listener.hear(DEVICE.format("DDATA"), {"name": "a", "boolean_value": True}, seq=7)
    found = listener.hear(NODE.format("NDEATH"), bd_seq(4))
    assert found == [("hq/gateway", "HEALTH", 0), ("hq/gateway/room", "HEALTH", 0)]


def test_an_old_will_ends_nothing(listener: Listener) -> None:
    birth(listener)
    assert not listener.hear(NODE.format("NDEATH"), bd_seq(0))
    assert listener.hear(DEVICE.format("DDATA"), OCCUPIED, seq=2)
    assert listener.hear(NODE.format("NDEATH"), bd_seq(1))


@pytest.mark.parametrize(
    ("metric", "count"),
    [
        ({"datatype": UINT32, "int_value": 3}, [3]),
        ({"datatype": UINT32, "int_value": 2**32 - 1}, [-1]),
        ({"datatype": INT32, "int_value": 2**32 - 1}, [-1]),
        ({"datatype": INT8, "int_value": 255}, [-1]),
        ({"datatype": INT8, "int_value": 127}, [127]),
        ({"datatype": DOUBLE, "double_value": 2.0}, [2]),
        ({"datatype": DOUBLE, "double_value": 2.5}, []),
        ({"datatype": DOUBLE, "double_value": float("nan")}, [-1]),
        ({"datatype": DOUBLE, "double_value": float("inf")}, [-1]),
        ({"datatype": UINT32, "is_null": True}, [-1]),
        ({"datatype": STRING, "int_value": 3}, []),
        ({"datatype": UINT32}, []),
    ],
)
def test_a_number_is_people_where_it_can_be(
    listener: Listener, metric: dict[str, Any], count: list[int]
) -> None:
    found = listener.hear(DEVICE.format("DDATA"), {"name": "People", **metric})
    assert [value for _, _, value in listener.of("COUNT", found)] == count


def test_what_a_birth_repeats_is_cached_and_what_is_historical_is_backfill() -> None:
    old = {"name": "a", "boolean_value": True, "is_historical": True}
    read = Memory().read
    for kind, flags in [("DBIRTH", 6), ("DDATA", 4)]:
        (found,) = read([payload(old, seq=0)], [DEVICE.format(kind)], NOW_MS, print)
        readings: Sequence[Reading] = [
            reading for reading in found or () if reading.kind != ReadingKind.HEALTH
        ]
        assert {reading.flags for reading in readings} == {flags}
    assert ReadingFlag.CACHED | ReadingFlag.BACKFILL == 6


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0/STATE/scada",
        "STATE/scada",
        "spBv1.0/hq/NCMD/gateway",
        "spBv1.0/hq/DCMD/gateway/room",
        "other/hq/DDATA/gateway/room",
        "",
    ],
)
def test_other_topics_say_nothing(listener: Listener, topic: str) -> None:
    assert not listener.hear_bytes(topic, b"online")
    assert not listener.refused


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0/hq/DDATA/gateway",
        "spBv1.0/hq/NDATA/gateway/room",
        "spBv1.0/hq/NDATA/",
        "spBv1.0/hq/NDATA/" + "a" * 512,
    ],
)
def test_a_topic_with_too_few_levels_or_too_many_or_too_long_is_refused(
    listener: Listener, topic: str
) -> None:
    listener.hear(topic, seq=0)
    assert listener.refused == ["malformed"]


def test_more_metrics_than_a_message_may_have_are_refused(listener: Listener) -> None:
    many = [{"name": "a", "boolean_value": True}] * (MAX_METRICS + 1)
    assert not listener.hear(DEVICE.format("DDATA"), *many)
    assert listener.refused == ["too_large"]


def test_a_name_that_is_not_utf_8_is_refused(listener: Listener) -> None:
    body = payload({"name": "ab", "boolean_value": True}).replace(b"ab", b"\xff\xfe")
    assert not listener.hear_bytes(DEVICE.format("DDATA"), body)
    assert listener.refused == ["malformed"]


def test_a_compressed_payload_is_unsupported(listener: Listener) -> None:
    body = bytes(Payload(uuid="SPBV1.0_COMPRESSED", seq=0).SerializeToString())
    assert not listener.hear_bytes(DEVICE.format("DDATA"), body)
    assert listener.refused == ["unsupported"]


def test_what_is_remembered_has_a_bound_and_is_freed(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparkplug, "MAX_KNOWN", 2)
    monkeypatch.setattr(sparkplug, "MAX_DEVICES", 3)
    metrics = [
        {"name": f"m{alias}", "alias": alias, "datatype": BOOLEAN} for alias in range(2)
    ]
    topics = [f"spBv1.0/hq/DBIRTH/gateway/{number}" for number in range(2)]
    listener.hear(topics[0], *metrics, seq=0)
    listener.hear(topics[1], *metrics, seq=1)
    assert listener.refused == ["too_large"]
    listener.hear(topics[0].replace("DBIRTH", "DDEATH"), seq=2)
    assert listener.hear(topics[1], *metrics, seq=3)
    assert listener.refused == ["too_large"]
    for number in range(9):
        known = {"name": "a", "boolean_value": True}
        assert listener.hear(f"spBv1.0/hq/DDATA/{number}/{number}", known, seq=0)
    dead = [
        len(listener.hear(f"spBv1.0/hq/NDEATH/{number}", bd_seq(0)))
        for number in range(9)
    ]
    assert sum(dead) <= 9 + 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["NBIRTH", "DBIRTH", "DDATA", "NDEATH"]),
            st.integers(0, 3),
            st.integers(0, 255),
        ),
        max_size=30,
    )
)
def test_what_is_counted_as_remembered_is_what_is_remembered(
    heard: list[tuple[str, int, int]],
) -> None:
    listener = Listener()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparkplug, "MAX_DEVICES", 2)
        patch.setattr(sparkplug, "MAX_KNOWN", 2)
        for kind, number, seq in heard:
            topic = f"spBv1.0/hq/{kind}/gateway"
            if kind.startswith("D"):
                topic += f"/{number}"
            metric = {"name": "a", "alias": number, "datatype": BOOLEAN}
            listener.hear(topic, metric, {**metric, "alias": 9}, seq=seq)
    memory = listener.memory
    births = [births for node in memory._nodes.values() for births in [node.births]]  # noqa: SLF001
    assert memory._devices == sum(map(len, births))  # noqa: SLF001
    aliases = [by_alias for of in births for by_alias in of.values()]
    assert memory._aliases == sum(map(len, aliases))  # noqa: SLF001


def test_each_source_remembers_for_itself() -> None:
    fresh = FORMATS["sparkplug"].fresh
    assert fresh is not None
    one, other = fresh(), fresh()
    born = [(SAMPLES / f"sparkplug/{n}.bin").read_bytes() for n in ("nbirth", "dbirth")]
    topics = ["spBv1.0/HQ/NBIRTH/Gateway 3", "spBv1.0/HQ/DBIRTH/Gateway 3/Room-301"]
    refused: list[Exception] = []
    assert one.read is not None
    assert other.read is not None
    one.read(born, topics, NOW_MS, refused.append)
    data = [(SAMPLES / "sparkplug/ddata-alias.bin").read_bytes()]
    assert other.read(
        data, ["spBv1.0/HQ/DDATA/Gateway 3/Room-301"], NOW_MS, refused.append
    ) == [[]]
    assert [reason_of(refusal) for refusal in refused] == ["unknown_name"]
