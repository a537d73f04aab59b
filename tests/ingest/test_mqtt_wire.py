from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import mqtt5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ingest.mqtt_session import Ended, Reason
from engine.ingest.mqtt_wire import Left, Reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.ingest.mqtt_wire import Item

# mqtt5 0.8 reports a string that is not UTF-8 to `sys.unraisablehook` and then panics.
panics = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

LIMIT = 4_096

# A QoS 1 PUBLISH, id 9, that ends where the length of its properties should stand.
POISON = b"\x32\x06\x00\x02aa\x00\x09"


def publish(topic: str, payload: bytes, packet_id: int | None = None) -> bytes:
    qos = mqtt5.QoS.AT_MOST_ONCE if packet_id is None else mqtt5.QoS.AT_LEAST_ONCE
    packet = mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=packet_id)
    return packet.write()


def told(item: Item) -> tuple[str, object, object]:
    """What matters of a packet: the codec's packets have no equality."""
    match item:
        case mqtt5.PublishPacket():
            return (item.topic, item.payload, item.packet_id)
        case Left():
            return ("left out", None, item.packet_id)
        case _:
            return (type(item).__name__, None, None)


def fed(
    chunks: Iterable[bytes], limit: int = LIMIT
) -> tuple[list[tuple[str, object, object]], Ended | None]:
    reader = Reader(limit)
    seen = []
    for chunk in chunks:
        items, fault = reader.feed(chunk)
        seen += [told(item) for item in items]
        if fault is not None:
            return seen, fault
    return seen, None


packets = st.one_of(
    st.builds(
        publish,
        st.text("ab/ä", min_size=1, max_size=8),
        st.binary(max_size=300),
        st.one_of(st.none(), st.integers(1, 65_535)),
    ),
    st.just(mqtt5.PingRespPacket().write()),
    st.just(POISON),
)


@pytest.mark.slow
@given(st.lists(packets, max_size=6), st.data())
def test_any_cut_of_a_stream_gives_the_same_packets(
    stream: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(stream)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=8).map(sorted))
    edges = [0, *cuts, len(whole)]
    chunks = [whole[a:b] for a, b in itertools.pairwise(edges)]
    assert fed(chunks) == fed([whole])
    assert len(fed([whole])[0]) == len(stream)


def test_a_cut_at_every_single_byte_gives_the_same_packets() -> None:
    stream = (
        publish("desk/1", b"x" * 200, 1)
        + POISON
        + mqtt5.PingRespPacket().write()
        + publish("desk/2", b"")
    )
    whole = fed([stream])
    for cut in range(len(stream)):
        assert fed([stream[:cut], stream[cut:]]) == whole
    assert fed(stream[at : at + 1] for at in range(len(stream))) == whole


@panics
@settings(deadline=None)  # a panic writes its backtrace
@given(st.lists(packets, max_size=3), st.binary(max_size=40), st.data())
def test_garbage_never_raises_and_is_judged_the_same_however_it_is_cut(
    stream: list[bytes], garbage: bytes, data: st.DataObject
) -> None:
    whole = b"".join(stream) + garbage
    cut = data.draw(st.integers(0, len(whole)))
    one, fault = fed([whole])
    two, other = fed([whole[:cut], whole[cut:]])
    assert one == two
    assert (fault and fault.reason) == (other and other.reason)


def test_a_header_that_announces_too_much_is_refused_before_the_rest_has_come() -> None:
    # 0x30 and a length of 268,435,455: the five bytes are all that was sent.
    seen, fault = fed([publish("a", b"1"), b"\x30\xff\xff\xff\x7f"])
    assert seen == [("a", b"1", None)]
    assert fault is not None
    assert fault.reason is Reason.OVERSIZE


def test_a_packet_over_the_limit_is_refused_when_it_comes_in_one_chunk() -> None:
    assert fed([publish("a", b"x" * 90)], limit=100)[1] is None
    fault = fed([publish("a", b"x" * 100)], limit=100)[1]
    assert fault is not None
    assert fault.reason is Reason.OVERSIZE


@panics
@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(POISON, id="without properties"),
        pytest.param(b"\x32\x07\x00\x01\xff\x00\x09\x00x", id="topic not UTF-8"),
    ],
)
def test_contents_that_are_not_mqtt_are_left_out_and_the_stream_goes_on(
    poison: bytes,
) -> None:
    seen, fault = fed([publish("a", b"1", 8) + poison + publish("b", b"2", 10)])
    assert fault is None
    assert seen == [("a", b"1", 8), ("left out", None, 9), ("b", b"2", 10)]


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\x00\x00", id="no such packet"),
        pytest.param(b"\x36\x0c\x00\x01a\x00\x01\x00xxxxxx", id="QoS 3"),
        pytest.param(b"\x90\x06\x00\x01\xff\xff\xff\xff", id="SUBACK of nothing known"),
        pytest.param(b"\x30\x80\x80\x80\x80\x01", id="length of five bytes"),
        pytest.param(b"\x30\x04\x00\x05\x00\x00", id="topic longer than the packet"),
        pytest.param(b"\x32\x04\x00\x02aa", id="no room for a packet id"),
        pytest.param(b"\xd0\x01\x00", id="PINGRESP with a body"),
        pytest.param(b"\xe0\x02\x33\x00", id="unknown reason of DISCONNECT"),
    ],
)
def test_a_stream_that_is_not_mqtt_is_malformed(garbage: bytes) -> None:
    fault = fed([garbage])[1]
    assert fault is not None
    assert fault.reason is Reason.MALFORMED


def test_a_whole_packet_is_never_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(view: memoryview) -> tuple[mqtt5.Packet, int]:
        raise IndexError(len(view))

    monkeypatch.setattr(mqtt5, "read", read)
    fault = fed([publish("a", b"1")])[1]
    assert fault is not None
    assert fault.reason is Reason.MALFORMED


@pytest.mark.parametrize("code", [0, 1, 5])
def test_a_connack_of_3_1_1_is_told_from_garbage(code: int) -> None:
    fault = fed([b"\x20", b"\x02\x00" + bytes([code])])[1]
    assert fault is not None
    assert fault.reason is Reason.UNSUPPORTED


def test_taken_counts_the_bytes_of_whole_packets() -> None:
    packet = publish("a", b"x" * 100)
    reader = Reader(LIMIT)
    reader.feed(packet + packet[:50])
    assert reader.taken == len(packet)
    reader.feed(packet[50:60])
    assert reader.taken == 0
    reader.feed(packet[60:])
    assert reader.taken == len(packet)


def test_a_long_packet_in_single_bytes_is_not_tried_anew_at_every_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = 0

    def read(view: memoryview) -> tuple[mqtt5.Packet, int]:
        nonlocal tries
        tries += 1
        return whole_read(view)

    whole_read = mqtt5.read
    monkeypatch.setattr(mqtt5, "read", read)
    packet = publish("a", b"x" * 4_000)
    assert len(fed(packet[at : at + 1] for at in range(len(packet)))[0]) == 1
    assert tries < 6
