from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import mqtt5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ingest.mqtt_session import (
    Ended,
    Message,
    Meter,
    Reason,
    Receipt,
    Retained,
    Subscription,
    Terms,
)
from engine.ingest.mqtt_v5_session import Session, State

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNACK = mqtt5.ConnAckPacket().write()
PINGRESP = mqtt5.PingRespPacket().write()
TERMS = Terms(
    host="broker",
    port=1883,
    client_id="engine",
    subscriptions=(Subscription(filter="a/#"), Subscription(filter="b/#", qos=0)),
    max_packet_bytes=4_096,
    max_outstanding=10,
)


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.writes = 0
        self.reading = True
        self.closing = False

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        assert not self.closing
        self.written += data
        self.writes += 1

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Bench:
    """A session on a wire, what it handed over, and the broker's side in short."""

    def __init__(self, terms: Terms = TERMS) -> None:
        self.wire = Wire()
        self.meter = Meter()
        self.messages: list[tuple[str, bytes, bool]] = []
        self.receipts: list[Receipt] = []
        self.chunks: list[int] = []
        self.fails: Exception | None = None
        self.changes = 0
        self.session = Session(terms, None, self._sink, self.meter, self._changed)
        self.session.connection_made(self.wire)

    def _sink(self, messages: Sequence[Message], receipt: Receipt) -> None:
        if self.fails is not None:
            raise self.fails
        self.messages += [(each.topic, each.payload, each.retain) for each in messages]
        self.chunks.append(len(messages))
        self.receipts.append(receipt)

    def _changed(self) -> None:
        self.changes += 1

    def subscribed(self) -> Bench:
        self.session.data_received(CONNACK + suback(1, 1) + suback(2, 0))
        assert self.session.state is State.SERVING
        self.said()
        return self

    def said(self) -> list[mqtt5.Packet]:
        """What the session wrote since the last call."""
        packets = []
        view = memoryview(self.wire.written)
        while view:
            packet, size = mqtt5.read(view)
            packets.append(packet)
            view = view[size:]
        self.wire.written = b""
        return packets

    def acknowledged(self) -> list[int]:
        return [
            packet.packet_id
            for packet in self.said()
            if isinstance(packet, mqtt5.PubAckPacket)
        ]

    def is_in(self, state: State) -> bool:
        return self.session.state is state

    @property
    def reason(self) -> Reason:
        assert self.session.state is State.ENDED
        assert isinstance(self.session.fault, Ended)
        return self.session.fault.reason

    @property
    def farewell(self) -> int | None:
        assert self.wire.closing
        return next(
            (
                int(packet.reason_code)
                for packet in self.said()
                if isinstance(packet, mqtt5.DisconnectPacket)
            ),
            None,
        )


def publish(payload: bytes, packet_id: int | None = None, topic: str = "a/1") -> bytes:
    qos = mqtt5.QoS.AT_MOST_ONCE if packet_id is None else mqtt5.QoS.AT_LEAST_ONCE
    return mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=packet_id).write()


def suback(packet_id: int, code: int) -> bytes:
    codes = [mqtt5.SubAckReasonCode(code)]
    return mqtt5.SubAckPacket(packet_id, codes).write()


def test_a_session_asks_for_what_the_terms_say() -> None:
    bench = Bench()
    (connect,) = bench.said()
    assert isinstance(connect, mqtt5.ConnectPacket)
    assert connect.client_id == "engine"
    assert not connect.clean_start
    assert connect.session_expiry_interval == TERMS.session_expiry_s
    assert connect.receive_max == TERMS.receive_maximum
    assert connect.max_packet_size == TERMS.max_packet_bytes
    assert connect.keep_alive == TERMS.keep_alive_s
    assert connect.topic_alias_max == 0


def test_each_filter_is_subscribed_to_and_answered_on_its_own() -> None:
    bench = Bench()
    bench.said()
    bench.session.data_received(CONNACK)
    first, second = bench.said()
    assert isinstance(first, mqtt5.SubscribePacket)
    assert isinstance(second, mqtt5.SubscribePacket)
    (wanted,) = first.topic_filters
    assert (wanted.pattern, int(wanted.max_qos)) == ("a/#", 1)
    assert not wanted.retain_as_published
    bench.session.data_received(suback(2, 0))
    assert bench.is_in(State.SUBSCRIBING)
    bench.session.data_received(suback(1, 1))
    assert bench.is_in(State.SERVING)
    assert bench.changes == 1


@pytest.mark.parametrize(
    ("retained", "handling"),
    [(Retained.ALWAYS, 0), (Retained.NEW, 1), (Retained.NEVER, 2)],
)
def test_retained_messages_come_as_the_subscription_says(
    retained: Retained, handling: int
) -> None:
    terms = Terms(
        host="broker",
        port=1883,
        client_id="engine",
        subscriptions=(Subscription(filter="a", retained=retained),),
    )
    bench = Bench(terms)
    bench.said()
    bench.session.data_received(CONNACK)
    (packet,) = bench.said()
    assert isinstance(packet, mqtt5.SubscribePacket)
    assert int(packet.topic_filters[0].retain_handling) == handling


def test_the_messages_of_a_chunk_come_together_and_are_acknowledged_in_one_write() -> (
    None
):
    bench = Bench().subscribed()
    writes = bench.wire.writes
    bench.session.data_received(
        publish(b"1", 11) + publish(b"2") + publish(b"3", 13, "b/1")
    )
    assert bench.messages == [
        ("a/1", b"1", False),
        ("a/1", b"2", False),
        ("b/1", b"3", False),
    ]
    assert bench.chunks == [3]
    assert bench.wire.writes == writes
    assert bench.meter.acks_outstanding == 2
    bench.receipts[0].done()
    assert bench.wire.writes == writes + 1
    assert bench.acknowledged() == [11, 13]


@given(st.data())
def test_any_cut_of_the_stream_gives_the_same_messages_and_acknowledgements(
    data: st.DataObject,
) -> None:
    stream = (
        CONNACK
        + suback(1, 1)
        + publish(b"before", 1)
        + suback(2, 0)
        + publish(b"x" * 300, 2)
        + PINGRESP
        + publish(b"0")
        + publish(b"3", 3)
    )
    edges = data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=9).map(sorted))
    bench = Bench()
    bench.said()
    for a, b in zip([0, *edges], [*edges, len(stream)], strict=True):
        bench.session.data_received(stream[a:b])
    for receipt in bench.receipts:
        receipt.done()
    assert [payload for _, payload, _ in bench.messages] == [
        b"before",
        b"x" * 300,
        b"0",
        b"3",
    ]
    assert bench.acknowledged() == [1, 2, 3]
    assert bench.is_in(State.SERVING)


# mqtt5 0.8 reports a string that is not UTF-8 to `sys.unraisablehook` and then panics.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(deadline=None)
@given(st.binary(max_size=64))
def test_no_bytes_raise_or_stay_without_an_answer(garbage: bytes) -> None:
    bench = Bench().subscribed()
    bench.session.data_received(garbage)
    bench.session.data_received(publish(b"1" * 2_000) * 3)
    assert bench.session.state is State.SERVING or isinstance(
        bench.session.fault, Ended
    )


def test_a_receipt_that_is_done_after_the_end_writes_nothing() -> None:
    bench = Bench().subscribed()
    bench.session.data_received(publish(b"1", 11))
    bench.session.connection_lost(None)
    bench.receipts[0].done()
    assert bench.acknowledged() == []
    assert bench.meter.acknowledged == 0
    assert bench.reason is Reason.LOST


def test_a_receipt_that_is_done_after_a_stop_writes_nothing_behind_the_farewell() -> (
    None
):
    bench = Bench().subscribed()
    bench.session.data_received(publish(b"1", 11))
    bench.session.end()
    bench.receipts[0].done()
    assert [type(packet) for packet in bench.said()] == [mqtt5.DisconnectPacket]


def test_a_stop_says_goodbye_and_leaves_the_session_at_the_broker() -> None:
    bench = Bench().subscribed()
    bench.session.end()
    (packet,) = bench.said()
    assert isinstance(packet, mqtt5.DisconnectPacket)
    assert int(packet.reason_code) == 0
    assert packet.session_expiry_interval is None
    assert bench.session.fault is None


def test_what_is_refused_is_acknowledged_in_its_turn_and_counted(
    recwarn: pytest.WarningsRecorder,
) -> None:
    poison = b"\x32\x06\x00\x02a\x00\x00\x0c"  # no room for the properties
    bench = Bench().subscribed()
    bench.session.data_received(publish(b"1", 11) + poison + publish(b"3", 13))
    assert bench.meter.refused == 1
    assert [payload for _, payload, _ in bench.messages] == [b"1", b"3"]
    bench.receipts[0].done()
    assert bench.acknowledged() == [11, 12, 13]
    assert not list(recwarn)


def test_a_chunk_of_which_all_is_refused_is_acknowledged_without_the_sink() -> None:
    bench = Bench().subscribed()
    bench.session.data_received(b"\x32\x06\x00\x02a\x00\x00\x0c")
    assert bench.chunks == []
    assert bench.acknowledged() == [12]


def test_the_reading_stops_while_too_much_is_outstanding_at_qos_0_too() -> None:
    bench = Bench().subscribed()
    bench.session.data_received(publish(b"1") * 9)
    assert bench.wire.is_reading()
    bench.session.data_received(publish(b"1"))
    assert not bench.wire.is_reading()
    for receipt in bench.receipts:
        receipt.done()
    assert bench.wire.is_reading()
    assert bench.meter.pauses == 1
    assert bench.meter.peak_outstanding == 10


def test_a_broker_that_answers_pings_is_kept() -> None:
    bench = Bench().subscribed()
    for _ in range(3):
        bench.session.pulse()
        assert [type(packet) for packet in bench.said()] == [mqtt5.PingReqPacket]
        bench.session.data_received(PINGRESP)
    assert bench.is_in(State.SERVING)


def test_a_broker_that_answers_no_ping_is_given_up() -> None:
    bench = Bench().subscribed()
    bench.session.pulse()
    bench.session.pulse()
    assert bench.reason is Reason.SILENT
    assert bench.wire.closing


def test_silence_says_nothing_while_we_do_not_listen() -> None:
    bench = Bench().subscribed()
    bench.session.data_received(publish(b"1") * 10)
    for _ in range(3):
        bench.session.pulse()
    assert bench.is_in(State.SERVING)
    bench.receipts[0].done()
    bench.session.pulse()
    assert bench.is_in(State.SERVING)
    bench.session.pulse()
    assert bench.reason is Reason.SILENT


def test_the_broker_decides_on_keep_alive_and_session_expiry() -> None:
    bench = Bench()
    bench.session.data_received(
        mqtt5.ConnAckPacket(server_keep_alive=7, session_expiry_interval=60).write()
    )
    assert bench.session.keep_alive_s == 7
    assert bench.session.session_expiry_s == 60


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION, Reason.UNSUPPORTED),
        (mqtt5.ConnAckReasonCode.NOT_AUTHORIZED, Reason.REFUSED),
        (mqtt5.ConnAckReasonCode.CONNECTION_RATE_EXCEEDED, Reason.BUSY),
    ],
)
def test_a_refusal_of_connect_is_told_by_its_reason(
    code: mqtt5.ConnAckReasonCode, reason: Reason
) -> None:
    bench = Bench()
    bench.session.data_received(mqtt5.ConnAckPacket(reason_code=code).write())
    assert bench.reason is reason
    assert bench.wire.closing


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER, Reason.TAKEN_OVER),
        (mqtt5.DisconnectReasonCode.SERVER_BUSY, Reason.BUSY),
        (mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN, Reason.SERVER),
    ],
)
def test_a_disconnect_of_the_broker_is_told_by_its_reason_and_not_answered(
    code: mqtt5.DisconnectReasonCode, reason: Reason
) -> None:
    bench = Bench().subscribed()
    bench.session.data_received(
        publish(b"1", 11)
        + mqtt5.DisconnectPacket(reason_code=code).write()
        + publish(b"2", 12)
    )
    assert bench.reason is reason
    assert [payload for _, payload, _ in bench.messages] == [b"1"]
    assert bench.farewell is None


@pytest.mark.parametrize("code", [0, 128, 135, 143])
def test_a_filter_that_is_refused_or_downgraded_ends_the_session(code: int) -> None:
    bench = Bench()
    bench.session.data_received(CONNACK + suback(1, code))
    assert bench.reason is Reason.SUBSCRIPTION
    assert "'a/#'" in str(bench.session.fault)


def test_a_hang_up_before_connack_is_told_from_one_after() -> None:
    bench = Bench()
    bench.session.connection_lost(ConnectionResetError())
    assert bench.reason is Reason.HUNG_UP


@pytest.mark.parametrize(
    ("packet", "reason", "code"),
    [
        pytest.param(b"\x30\xff\xff\xff\x7f", Reason.OVERSIZE, 0x95, id="oversize"),
        pytest.param(b"\x00\x00", Reason.MALFORMED, 0x81, id="malformed"),
        pytest.param(CONNACK, Reason.PROTOCOL, 0x82, id="a second CONNACK"),
        pytest.param(suback(9, 0), Reason.PROTOCOL, 0x82, id="an answer to nothing"),
        pytest.param(
            mqtt5.PublishPacket(
                "a", b"", qos=mqtt5.QoS.EXACTLY_ONCE, packet_id=5
            ).write(),
            Reason.PROTOCOL,
            0x82,
            id="QoS 2",
        ),
    ],
)
def test_what_may_not_come_ends_the_session_with_a_reason(
    packet: bytes, reason: Reason, code: int
) -> None:
    bench = Bench().subscribed()
    bench.session.data_received(publish(b"1", 11) + packet)
    assert bench.reason is reason
    assert bench.farewell == code
    assert [payload for _, payload, _ in bench.messages] == [b"1"]


def test_a_message_before_connack_ends_the_session() -> None:
    bench = Bench()
    bench.session.data_received(publish(b"1", 11))
    assert bench.reason is Reason.PROTOCOL
    assert bench.messages == []


def test_a_fault_of_the_sink_ends_the_session_and_acknowledges_nothing() -> None:
    bench = Bench().subscribed()
    bench.fails = RuntimeError("ours")
    bench.session.data_received(publish(b"1", 11))
    assert bench.session.fault is bench.fails
    assert bench.acknowledged() == []
    assert bench.wire.closing


def test_nothing_is_taken_after_the_end() -> None:
    bench = Bench().subscribed()
    bench.session.end()
    bench.session.data_received(publish(b"1", 11))
    bench.session.pulse()
    bench.session.connection_lost(None)
    assert bench.messages == []
    assert bench.session.fault is None
