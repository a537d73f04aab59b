"""What a link and its sessions agree on: the terms, the messages, how a session ends.

A *session* is one connection to a broker; a *link* (`mqtt.py`) keeps one open. Each
version of the protocol has a `serve` of the same shape (`mqtt_v5.py`, `mqtt_v3.py`): it
connects, subscribes, calls `ready`, hands over messages, and ends only by raising:
`Ended` when the broker or the network is to blame, anything else is our own fault.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from engine.errors import BrokerAway, ConfigError
from engine.ingest.mqtt_receipts import Meter, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = [
    "Credentials",
    "Ended",
    "Message",
    "Meter",
    "Reason",
    "Receipt",
    "Retained",
    "Serve",
    "Sink",
    "Subscription",
    "Terms",
    "check_grant",
    "unreachable",
]


class Message(Protocol):
    """One message as a session hands it over; of MQTT 5 it is the codec's own packet.

    Attributes:
        topic: As sent; at most 65,535 bytes, may hold any character.
        payload: At most `Terms.max_packet_bytes`.
        retain: The broker replayed it at the subscription: of unknown age.
    """

    @property
    def topic(self) -> str: ...  # noqa: D102 - see above
    @property
    def payload(self) -> bytes: ...  # noqa: D102
    @property
    def retain(self) -> bool: ...  # noqa: D102


class Sink(Protocol):
    """Takes the messages of one received chunk, in order, and their one receipt.

    Called synchronously; must not block. Whatever it raises ends the link: bad input is
    the sink's to count, not to raise.
    """

    def __call__(  # noqa: D102 - see above
        self, messages: Sequence[Message], receipt: Receipt, /
    ) -> None: ...


class Retained(StrEnum):
    """When the broker shall replay retained messages (MQTT 5 alone can choose)."""

    ALWAYS = "always"
    """At every connect. The state in memory may be gone even if the session is not."""
    NEW = "new"
    """Only where the subscription is new."""
    NEVER = "never"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscription:
    """A topic filter to subscribe to.

    Attributes:
        filter: With `+` and `#`, or `$share/group/…`.
        qos: 0 or 1; a broker that grants less is refused.
        retained: When retained messages are wanted.
    """

    filter: str
    qos: int = 1
    retained: Retained = Retained.ALWAYS

    def __post_init__(self) -> None:
        if self.qos not in {0, 1}:
            raise ConfigError(f"the QoS of the filter {self.filter!r} must be 0 or 1")
        if not self.filter or "\0" in self.filter:
            raise ConfigError("a topic filter must not be empty or hold a NUL")


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """A user name, and where its password is: read anew at each connect, never kept.

    Attributes:
        username: The broker's name for the engine.
        password_file: File that holds the password; a newline at its end is left out.
        password_env: Environment variable that holds it.
    """

    username: str
    password_file: Path | None = None
    password_env: str | None = None

    def __post_init__(self) -> None:
        if self.password_file is not None and self.password_env is not None:
            raise ConfigError("give a password file or a variable for it, not both")

    def password(self) -> str | None:
        """Return the password as it is now, None where none is set up.

        Raises:
            ConfigError: The file cannot be read or the variable is not set.
        """
        if self.password_file is not None:
            try:
                return self.password_file.read_text("utf-8").rstrip("\r\n")
            except OSError as error:
                raise ConfigError(
                    f"cannot read the broker password file {self.password_file}: "
                    f"{error.strerror}"
                ) from None
            except UnicodeDecodeError:
                raise ConfigError(
                    f"the broker password file {self.password_file} is not text"
                ) from None
        if self.password_env is None:
            return None
        try:
            return os.environ[self.password_env]
        except KeyError:
            raise ConfigError(
                f"set the variable {self.password_env}: it holds the broker password"
            ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """Where the broker is and what a session asks of it.

    Attributes:
        host: Name or address; TLS checks the certificate against it.
        port: TCP port.
        client_id: Names the session at the broker: the same at every start, and used by
            nobody else, or the two take the session from each other.
        subscriptions: At least one.
        credentials: User name and password, None for neither.
        tls: See `mqtt.tls_context`; None is plain TCP.
        keep_alive_s: A broker that says nothing for this long is given up. MQTT 5: it
            may ask for another value, which then counts.
        session_expiry_s: How long the broker shall keep messages while we are away
            (3.1.1: the broker alone decides).
        receive_maximum: Unacknowledged QoS 1 messages on their way at once. Their
            number over the time of one commit bounds the rate: 4,096 in 10 ms are
            400,000 a second (3.1.1: the broker alone decides).
        max_packet_bytes: Larger packets are not accepted.
        max_outstanding: Messages, QoS 0 included, that may wait for their receipts
            before the reading stops.
        max_outstanding_bytes: The same in bytes.
        handshake_s: Deadline from the first byte to the last subscription.
    """

    host: str
    port: int
    client_id: str
    subscriptions: tuple[Subscription, ...]
    credentials: Credentials | None = None
    tls: ssl.SSLContext | None = None
    keep_alive_s: int = 30
    session_expiry_s: int = 86_400
    receive_maximum: int = 4_096
    max_packet_bytes: int = 1 << 20
    max_outstanding: int = 16_384
    max_outstanding_bytes: int = 4 << 20
    handshake_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.client_id:
            raise ConfigError("an MQTT link needs a client id of its own")
        if not self.subscriptions:
            raise ConfigError("an MQTT link needs at least one topic filter")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(
                    f"{name} of an MQTT link must be {low} to {high}, not {value}"
                )
        if self.credentials is not None:
            self.credentials.password()


_NOT_GRANTED = 128
_RANGES = (
    ("port", 1, 65_535),
    ("keep_alive_s", 1, 65_535),
    ("session_expiry_s", 0, 0xFFFF_FFFF),
    ("receive_maximum", 1, 65_535),
    ("max_packet_bytes", 1_024, 0xFFF_FFFF),
    ("max_outstanding", 1, 10_000_000),
    ("max_outstanding_bytes", 1, 1 << 30),
    ("handshake_s", 0.001, 3_600),
)


class Reason(StrEnum):
    """Why a session ended: the label of its counter."""

    UNREACHABLE = "unreachable"
    """No connection, or no TLS."""
    TIMEOUT = "timeout"
    """Connected, but not subscribed in time."""
    UNSUPPORTED = "unsupported"
    """The broker does not speak this version of MQTT."""
    HUNG_UP = "hung_up"
    """Closed without an answer to CONNECT: perhaps it does not speak this version."""
    REFUSED = "refused"
    """The broker said no to CONNECT."""
    SUBSCRIPTION = "subscription"
    """The broker refused a topic filter, or granted a lower QoS."""
    TAKEN_OVER = "taken_over"
    """Another client came with our client id."""
    BUSY = "busy"
    """The broker said that it is busy, or that we are too fast."""
    SERVER = "server"
    """The broker ended the session for another reason that it named."""
    LOST = "lost"
    """The connection broke."""
    SILENT = "silent"
    """The broker did not answer a ping."""
    MALFORMED = "malformed"
    """Bytes that are not MQTT."""
    PROTOCOL = "protocol"
    """A packet that may not come now."""
    OVERSIZE = "oversize"
    """A packet larger than we said that we accept."""


class Ended(BrokerAway):
    """A session came to its end; the link tries again.

    Attributes:
        reason: The label for metrics, and what the link goes by.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check_grant(subscription: Subscription, code: int) -> None:
    """Check what a broker answered to a subscription.

    Args:
        subscription: What was asked.
        code: The granted QoS, or from 128 on the reason why not.

    Raises:
        Ended: Refused, or granted a lower QoS: some messages could be lost unseen.
    """
    if code >= _NOT_GRANTED:
        raise Ended(
            Reason.SUBSCRIPTION,
            f"the broker refused the filter {subscription.filter!r} (code {code})",
        )
    if code < subscription.qos:
        raise Ended(
            Reason.SUBSCRIPTION,
            f"the broker grants the filter {subscription.filter!r} only QoS {code}: "
            f"subscribe at that, or let the broker allow QoS {subscription.qos}",
        )


def unreachable(terms: Terms, error: OSError) -> Ended:
    """Return the end of a session that found no broker, or no trust in it."""
    if isinstance(error, ssl.SSLError):
        # The class tells a wrong certificate from a port that does not speak TLS.
        why = getattr(error, "verify_message", "") or getattr(error, "reason", "no TLS")
    else:
        why = error.strerror or type(error).__name__
    return Ended(
        Reason.UNREACHABLE, f"cannot reach the broker {terms.host}:{terms.port}: {why}"
    )


class Serve(Protocol):
    """One session from connect to end, in one version of the protocol.

    `ready` is called when all subscriptions stand, with the seconds for which the
    broker keeps the session while we are away. Cancelling ends the session in order:
    what was acknowledged is still sent, then DISCONNECT, and the broker keeps the rest.
    """

    async def __call__(  # noqa: D102 - see above
        self, terms: Terms, sink: Sink, meter: Meter, ready: Callable[[int], None]
    ) -> None: ...
