"""The rules of an MQTT 5 session, as an asyncio.Protocol around the `mqtt5` codec.

It takes bytes, pulses and a transport and never waits, so that all of it is tested
without a network; `mqtt_v5.py` is the shell that waits.

What a chunk costs, per message, beyond the codec itself is a few passes in C: so the
packets of a chunk are looked at one by one only when they are not all PUBLISHes.
"""

from __future__ import annotations

import asyncio
from array import array
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, TypeGuard, cast

import mqtt5
import numpy as np

from engine.ingest.mqtt_receipts import Window
from engine.ingest.mqtt_session import Ended, Reason, Retained, check_grant
from engine.ingest.mqtt_wire import Left, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.ingest.mqtt_session import Meter, Sink, Subscription, Terms
    from engine.ingest.mqtt_wire import Item

_PUBACK = np.uint32(0x4002_0000)
"""PUBACK, two bytes long, success: the whole packet is this and the packet id."""

_PING = mqtt5.PingReqPacket().write()
_PUBLISHES = {mqtt5.PublishPacket}
_TWICE = mqtt5.QoS.EXACTLY_ONCE
_packet_id = attrgetter("packet_id")
_qos = attrgetter("qos")

_RETAIN_HANDLING = {
    Retained.ALWAYS: mqtt5.RetainHandling.SEND_ALWAYS,
    Retained.NEW: mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
    Retained.NEVER: mqtt5.RetainHandling.SEND_NEVER,
}

_FAREWELL: dict[Reason, mqtt5.DisconnectReasonCode] = {
    Reason.MALFORMED: mqtt5.DisconnectReasonCode.MALFORMED_PACKET,
    Reason.OVERSIZE: mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE,
    Reason.PROTOCOL: mqtt5.DisconnectReasonCode.PROTOCOL_ERROR,
    Reason.SUBSCRIPTION: mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION,
}
"""What the broker is told where it is us who end the session."""

_BUSY = frozenset(
    # The codec's enumerations cannot be hashed, whatever its stubs say.
    int(code)
    for code in (
        mqtt5.ConnAckReasonCode.SERVER_BUSY,
        mqtt5.ConnAckReasonCode.BANNED,
        mqtt5.ConnAckReasonCode.QUOTA_EXCEEDED,
        mqtt5.ConnAckReasonCode.CONNECTION_RATE_EXCEEDED,
        mqtt5.DisconnectReasonCode.MESSAGE_RATE_TOO_HIGH,
        mqtt5.DisconnectReasonCode.MAX_CONNECT_TIME,
    )
)


class State(Enum):
    """How far a session is."""

    OPENING = "opening"
    """Waiting for the connection, then for CONNACK."""
    SUBSCRIBING = "subscribing"
    SERVING = "serving"
    ENDED = "ended"


_NEXT: dict[State, set[State]] = {
    State.OPENING: {State.SUBSCRIBING, State.ENDED},
    State.SUBSCRIBING: {State.SERVING, State.ENDED},
    State.SERVING: {State.ENDED},
    State.ENDED: set(),
}


class Session(asyncio.Protocol):
    """One connection, from CONNECT to its end.

    Args:
        terms: What to ask of the broker.
        password: For the credentials of `terms`.
        sink: Gets the messages of each chunk.
        meter: The link's numbers.
        changed: Called when `state` has become SERVING or ENDED.

    Attributes:
        state: How far it is.
        fault: Why it ended, None while it has not.
        keep_alive_s: As the broker wants it.
        session_expiry_s: As the broker granted it.
        gone: Whether the connection is closed and its last byte out, or never was.
    """

    def __init__(
        self,
        terms: Terms,
        password: str | None,
        sink: Sink,
        meter: Meter,
        changed: Callable[[], None],
    ) -> None:
        self.state = State.OPENING
        self.fault: BaseException | None = None
        self.keep_alive_s = terms.keep_alive_s
        self.session_expiry_s = terms.session_expiry_s
        self.gone = True
        self._terms = terms
        self._password = password
        self._sink = sink
        self._meter = meter
        self._changed = changed
        self._reader = Reader(terms.max_packet_bytes)
        self._window = Window(
            meter=meter,
            acknowledge=self._acknowledge,
            pause=self._pause,
            resume=self._resume,
            max_messages=terms.max_outstanding,
            max_bytes=terms.max_outstanding_bytes,
        )
        self._transport: asyncio.Transport | None = None
        self._wanted = dict(enumerate(terms.subscriptions, start=1))
        self._heard = True

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say CONNECT; everything else answers the broker."""
        self._transport = cast("asyncio.Transport", transport)
        self.gone = False
        self._transport.write(_connect(self._terms, self._password))
        self._password = None

    def data_received(self, data: bytes) -> None:
        """Take a chunk: hand over its messages, answer the rest."""
        if self.state is State.ENDED:
            return
        self._heard = True
        try:
            items, fault = self._reader.feed(data)
            if self.state is State.SERVING and _are_messages(items):
                ids = list(filter(None, map(_packet_id, items)))
                if ids and _TWICE in map(_qos, items):
                    self._take(items)
                else:
                    self._deliver(items, ids)
            elif items:
                self._take(items)
            if fault is not None:
                self.end(fault)
        except Ended as fault:
            self.end(fault)
        except Exception as error:  # noqa: BLE001 - let out by `serve`, not by the loop
            self.end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, whoever closed the connection."""
        del exc  # Its text adds nothing, and may name addresses.
        if self.state is State.OPENING:
            fault = Ended(
                Reason.HUNG_UP, "the broker closed the connection without an answer"
            )
        else:
            fault = Ended(Reason.LOST, "the connection to the broker was lost")
        self.gone = True
        self.end(fault)
        self._changed()

    # What `serve` calls.

    def pulse(self) -> None:
        """Ping the broker; twice per keep-alive time. Ends a session that is silent."""
        if self.state is not State.SERVING:
            return
        # While we do not listen, silence says nothing; it began with something heard.
        if not self._window.paused:
            if not self._heard:
                self.end(Ended(Reason.SILENT, "the broker did not answer a ping"))
                return
            self._heard = False
        self._write(_PING)

    def end(self, fault: BaseException | None = None) -> None:
        """End the session and tell the broker why; it keeps what is unacknowledged."""
        if self.state is State.ENDED:
            return
        self._enter(State.ENDED)
        self.fault = fault
        self._window.close()
        if self._transport is not None:
            code = _farewell(fault)
            if code is not None:
                self._write(mqtt5.DisconnectPacket(reason_code=code).write())
            self._transport.close()
        self._changed()

    def abort(self) -> None:
        """Close the connection at once; what is not out yet is thrown away."""
        if self._transport is not None:
            self._transport.abort()

    # The packets.

    def _take(self, items: Sequence[Item]) -> None:
        """Handle packets one by one; hand over the messages up to a fault, if any."""
        messages: list[mqtt5.PublishPacket] = []
        ids: list[int] = []
        fault: Ended | None = None
        for item in items:
            try:
                if self.state is State.OPENING:
                    self._on_connack(item)
                elif isinstance(item, mqtt5.PublishPacket):
                    _check_qos(item)
                    messages.append(item)
                    ids += [item.packet_id] if item.packet_id else []
                elif isinstance(item, Left):
                    self._meter.refused += 1
                    ids += [item.packet_id] if item.packet_id else []
                else:
                    self._on_control(item)
            except Ended as ended:
                fault = ended
                break
        if messages or ids:
            self._deliver(messages, ids)
        if fault is not None:
            raise fault

    def _deliver(
        self, messages: Sequence[mqtt5.PublishPacket], ids: Sequence[int]
    ) -> None:
        meter = self._meter
        size = self._reader.taken
        meter.received += len(messages)
        meter.received_bytes += size
        receipt = self._window.open(ids, len(messages), size)
        if messages:
            meter.chunks += 1
            self._sink(messages, receipt)
        else:  # every one was refused: there is no effect to wait for
            receipt.done()

    def _on_connack(self, item: Item) -> None:
        if not isinstance(item, mqtt5.ConnAckPacket):
            raise _unexpected(item, self.state)
        code = item.reason_code
        if code == mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
            raise Ended(Reason.UNSUPPORTED, "the broker does not speak MQTT 5")
        if code != mqtt5.ConnAckReasonCode.SUCCESS:
            reason = Reason.BUSY if int(code) in _BUSY else Reason.REFUSED
            raise Ended(reason, f"the broker refused the session: {_words(code)}")
        if item.server_keep_alive is not None:
            self.keep_alive_s = max(1, item.server_keep_alive)
        if item.session_expiry_interval is not None:
            self.session_expiry_s = item.session_expiry_interval
        self._enter(State.SUBSCRIBING)
        # One packet a filter: so that each answer names the one it is about, and no
        # packet is over what the broker accepts because the filters are many.
        self._write(
            b"".join(
                mqtt5.SubscribePacket(packet_id, [_topic_filter(subscription)]).write()
                for packet_id, subscription in self._wanted.items()
            )
        )

    def _on_control(self, item: Item) -> None:
        match item:
            case mqtt5.PingRespPacket():
                pass
            case mqtt5.SubAckPacket():
                self._on_suback(item)
            case mqtt5.DisconnectPacket():
                raise _disconnected(item.reason_code)
            case _:
                raise _unexpected(item, self.state)

    def _on_suback(self, packet: mqtt5.SubAckPacket) -> None:
        subscription = self._wanted.pop(packet.packet_id, None)
        if subscription is None or len(packet.reason_codes) != 1:
            raise _unexpected(packet, self.state)
        check_grant(subscription, int(packet.reason_codes[0]))
        if not self._wanted:
            self._enter(State.SERVING)
            self._changed()

    # What the window calls.

    def _acknowledge(self, ids: Sequence[int]) -> None:
        # Arrays because a chunk has a thousand: 7 ns a packet, in plain Python 40 ns.
        packets = np.frombuffer(array("I", ids), np.uint32) | _PUBACK
        self._write(packets.astype(">u4").tobytes())

    def _pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        # Never waits, yet is bounded: a broker that does not read our acknowledgements
        # may not send more than `receive_maximum` messages.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _enter(self, state: State) -> None:
        if state not in _NEXT[self.state]:
            msg = f"a session that is {self.state.value} cannot become {state.value}"
            raise RuntimeError(msg)
        self.state = state


def _connect(terms: Terms, password: str | None) -> bytes:
    return mqtt5.ConnectPacket(
        terms.client_id,
        username=terms.credentials.username if terms.credentials else None,
        password=None if password is None else password.encode(),
        clean_start=False,
        keep_alive=terms.keep_alive_s,
        session_expiry_interval=terms.session_expiry_s,
        receive_max=terms.receive_maximum,
        topic_alias_max=0,
        max_packet_size=terms.max_packet_bytes,
        request_problem_info=False,
    ).write()


def _topic_filter(subscription: Subscription) -> mqtt5.TopicFilter:
    return mqtt5.TopicFilter(
        subscription.filter,
        max_qos=mqtt5.QoS(subscription.qos),
        # So that `retain` means "replayed", and not that the publisher had set it.
        retain_as_published=False,
        retain_handling=_RETAIN_HANDLING[subscription.retained],
    )


def _are_messages(items: list[Item]) -> TypeGuard[list[mqtt5.PublishPacket]]:
    return set(map(type, items)) == _PUBLISHES


def _check_qos(packet: mqtt5.PublishPacket) -> None:
    if packet.qos == _TWICE:
        raise Ended(
            Reason.PROTOCOL,
            "the broker sent a QoS 2 message, to which we never subscribe: has another "
            "program used this client id?",
        )


def _farewell(fault: BaseException | None) -> mqtt5.DisconnectReasonCode | None:
    """Return what to tell the broker, None where it knows or will not listen."""
    if fault is None:
        return mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION
    if isinstance(fault, Ended):
        return _FAREWELL.get(fault.reason)
    return mqtt5.DisconnectReasonCode.UNSPECIFIED_ERROR


def _disconnected(code: mqtt5.DisconnectReasonCode) -> Ended:
    if code == mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER:
        return Ended(Reason.TAKEN_OVER, "another client connected with our client id")
    reason = Reason.BUSY if int(code) in _BUSY else Reason.SERVER
    return Ended(reason, f"the broker ended the session: {_words(code)}")


def _unexpected(item: Item, state: State) -> Ended:
    return Ended(
        Reason.PROTOCOL,
        f"the broker sent a {type(item).__name__} while we are {state.value}",
    )


def _words(code: Enum) -> str:
    return code.name.lower().replace("_", " ")
