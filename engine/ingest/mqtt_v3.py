"""A session in MQTT 3.1.1, by aiomqtt: for brokers that speak nothing newer.

Same contract as `mqtt_v5`, slower by far. aiomqtt 2.5 acknowledges a message before
anybody has seen it, and queues without a bound or drops what it has acknowledged. So it
is used for the connection and the subscriptions alone, and its client underneath is
told to leave the acknowledging to us and to bring the messages here.

3.1.1 has no Receive Maximum and no maximum packet size: the broker's own settings are
the bounds of what is on its way. Ours is to stop reading.
"""

# ruff: noqa: SLF001 - aiomqtt has no public way to acknowledge by hand (its issue 345)

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.client import topic_matches_sub
from paho.mqtt.enums import MQTTErrorCode

from engine.ingest.mqtt_receipts import Window
from engine.ingest.mqtt_session import (
    Ended,
    Reason,
    Retained,
    check_grant,
    unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paho.mqtt.client import Client as Paho
    from paho.mqtt.client import MQTTMessage

    from engine.ingest.mqtt_session import Meter, Sink, Subscription, Terms

_GATHER_S = 0.002
"""Messages arrive one by one; those of so long a time are handed over together."""

_CHUNK = 256
"""No chunk has more messages."""

_UNSUPPORTED = 0x84

# paho's debug lines hold topics, and topics hold addresses of people's devices.
_SILENT = logging.getLogger("engine.ingest.mqtt_v3.aiomqtt")
_SILENT.setLevel(logging.CRITICAL + 1)


class Received(NamedTuple):
    """One message, see `mqtt_session.Message`."""

    topic: str
    payload: bytes
    retain: bool


class Session:
    """One connection: gathers messages, hands them over, acknowledges them.

    Args:
        client: Not connected yet.
        terms: What to ask of the broker.
        sink: Gets the messages of each chunk.
        meter: The link's numbers.

    Attributes:
        fault: Set with what the sink raised.
    """

    def __init__(
        self, client: aiomqtt.Client, terms: Terms, sink: Sink, meter: Meter
    ) -> None:
        self.fault: asyncio.Future[Exception] = asyncio.Future()
        self._client = client
        self._paho: Paho = client._client
        self._terms = terms
        self._sink = sink
        self._meter = meter
        self._messages: list[Received] = []
        self._ids: list[int] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._paused: socket.socket | None = None
        self._closed = False
        self._window = Window(
            meter=meter,
            acknowledge=self._acknowledge,
            pause=self._pause,
            resume=self._resume,
            max_messages=terms.max_outstanding,
            max_bytes=terms.max_outstanding_bytes,
        )
        self._paho.manual_ack_set(on=True)
        self._paho.on_message = self._on_message

    def close(self) -> None:
        """End: what was not handed over comes again, and no receipt writes anything."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._window.close()

    async def over(self) -> None:
        """Raise why the session ended, once it has."""
        lost = self._client._disconnected
        either: tuple[asyncio.Future[Any], ...] = (lost, self.fault)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.fault.done():
            raise self.fault.result()
        code = getattr(lost.exception(), "rc", None)
        if code == MQTTErrorCode.MQTT_ERR_KEEPALIVE:
            raise Ended(Reason.SILENT, "the broker did not answer a ping")
        raise Ended(Reason.LOST, "the connection to the broker was lost")

    def _on_message(self, _paho: Paho, _userdata: object, message: MQTTMessage) -> None:
        if self._closed:
            return
        if message.qos > 1:
            self._fail(Ended(Reason.PROTOCOL, "the broker sent a QoS 2 message"))
            return
        self._bytes += len(message.payload)
        if message.qos:
            self._ids.append(message.mid)
        received = self._received(message)
        if received is not None:
            self._messages.append(received)
        if len(self._messages) >= _CHUNK:
            self._flush()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_GATHER_S, self._flush)

    def _received(self, message: MQTTMessage) -> Received | None:
        """Return the message to hand over, None where it is refused or unwanted."""
        if len(message.payload) > self._terms.max_packet_bytes:
            self._meter.refused += 1
            return None
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._meter.refused += 1
            return None
        if message.retain and not self._wants_retained(topic):
            return None
        return Received(topic, bytes(message.payload), message.retain)

    def _wants_retained(self, topic: str) -> bool:
        return any(
            subscription.retained is not Retained.NEVER
            for subscription in self._terms.subscriptions
            if topic_matches_sub(subscription.filter, topic)
        )

    def _flush(self) -> None:
        """Hand over what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        messages, ids, size = self._messages, self._ids, self._bytes
        self._messages, self._ids, self._bytes = [], [], 0
        receipt = self._window.open(ids, len(messages), size)
        meter = self._meter
        meter.received += len(messages)
        meter.received_bytes += size
        if not messages:
            receipt.done()
            return
        meter.chunks += 1
        try:
            self._sink(messages, receipt)
        except Exception as error:  # noqa: BLE001 - let out by `over`, not by the loop
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self.fault.done():
            self.fault.set_result(error)

    def _acknowledge(self, ids: Sequence[int]) -> None:
        for packet_id in ids:
            self._paho.ack(packet_id, 1)

    def _pause(self) -> None:
        sock = self._paho.socket()
        if isinstance(sock, socket.socket):
            self._paused = sock
            asyncio.get_running_loop().remove_reader(sock)

    def _resume(self) -> None:
        sock, self._paused = self._paused, None
        if sock is None or self._paho.socket() is not sock:
            return
        # What aiomqtt does when a socket is opened: a reader, and a task for the pings,
        # of which there must not be two.
        if self._client._misc_task is not None:
            self._client._misc_task.cancel()
        self._client._on_socket_open(self._paho, None, sock)


async def serve(
    terms: Terms, sink: Sink, meter: Meter, ready: Callable[[int], None]
) -> None:
    """Serve one session, see `mqtt_session.Serve`."""
    client = _client(terms)
    session = Session(client, terms, sink, meter)
    fault: Ended | None = None
    try:
        async with client:
            try:
                for subscription in terms.subscriptions:
                    await _subscribe(client, subscription)
                meter.connects += 1
                ready(terms.session_expiry_s)
                await session.over()
            finally:
                session.close()
    except aiomqtt.MqttError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # A goodbye that got lost has taken the place of the cancellation.
            raise asyncio.CancelledError from None
        fault = _ended(terms, error)
    finally:
        # aiomqtt leaves the socket of a failed handshake open.
        client._client._sock_close()
    # Not within the `except`: the error as its context would keep paho's frames, and
    # with them the socket of a failed TLS handshake, which paho does not close.
    if fault is not None:
        raise fault


def _client(terms: Terms) -> aiomqtt.Client:
    credentials = terms.credentials
    client = aiomqtt.Client(
        terms.host,
        terms.port,
        identifier=terms.client_id,
        username=credentials.username if credentials else None,
        password=credentials.password() if credentials else None,
        protocol=aiomqtt.ProtocolVersion.V311,
        clean_session=False,
        timeout=terms.handshake_s,
        keepalive=terms.keep_alive_s,
        tls_context=terms.tls,
        logger=_SILENT,
    )
    client._client.connect_timeout = terms.handshake_s
    return client


async def _subscribe(client: aiomqtt.Client, subscription: Subscription) -> None:
    granted = await client.subscribe(subscription.filter, qos=subscription.qos)
    code = granted[0]
    check_grant(subscription, code if isinstance(code, int) else code.value)


def _ended(terms: Terms, error: aiomqtt.MqttError) -> Ended:
    """Return what an error of aiomqtt means.

    Its text is left out: it holds whatever the operating system or the broker said.
    """
    where = f"{terms.host}:{terms.port}"
    cause = error.__context__
    if isinstance(error, MqttConnectError):
        # paho gives the codes of 3.1.1 the numbers of MQTT 5.
        if getattr(error.rc, "value", error.rc) == _UNSUPPORTED:
            return Ended(Reason.UNSUPPORTED, "the broker does not speak MQTT 3.1.1")
        return Ended(Reason.REFUSED, f"the broker refused the session: {error.rc}")
    if isinstance(error, aiomqtt.MqttCodeError):
        return Ended(Reason.LOST, "the connection to the broker was lost")
    if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
        return unreachable(terms, cause)
    return Ended(
        Reason.TIMEOUT,
        f"the broker {where} did not answer in {terms.handshake_s:g} s",
    )
