"""A source: what its messages mean, where they come from, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from engine.ingest.formats import base_of, reason_of
from engine.ingest.routing import Routes
from engine.model import Outcome, ReadingKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.ingest.formats import Format
    from engine.tenant import Tenant


class Message(Protocol):
    """What a link or webhook hands over."""

    @property
    def topic(self) -> str:
        """The MQTT topic; "" for a webhook."""

    @property
    def payload(self) -> bytes:
        """The bytes, as they came."""

    @property
    def retain(self) -> bool:
        """Whether the broker replayed it."""


class Tally:
    """What became of a source's events: plain counts, read when metrics are scraped."""

    __slots__ = ("by_outcome", "by_reason")

    def __init__(self) -> None:
        self.by_outcome = dict.fromkeys(Outcome, 0)
        self.by_reason: dict[str, int] = {}

    def add(self, outcome: Outcome, number: int = 1) -> None:
        """Count events."""
        self.by_outcome[outcome] += number

    def refuse(self, error: BaseException) -> str:
        """Count an event that is refused, and return its reason."""
        reason = reason_of(error)
        self.by_outcome[Outcome.INVALID] += 1
        self.by_reason[reason] = self.by_reason.get(reason, 0) + 1
        return reason


class Source:
    """One configured source of one tenant: its format, its sensors, its tally."""

    def __init__(
        self,
        *,
        name: str,
        tenant: Tenant,
        form: Format,
    ) -> None:
        self.name = name
        self.tenant = tenant
        self.form = form
        self.tally = Tally()
        self.channel: list[dict[str, int]] = [{} for _ in range(max(ReadingKind) + 1)]
        """Channels by kind, then by name."""
        self._rest_of: dict[str, tuple[int, ...]] = {}
        """Channels of a device below the device itself, where it has any."""
        for kind, known, channel in tenant.channels.of(name):
            self.channel[kind][known] = channel
            device, below, _ = known.partition("#")
            if below:
                self._rest_of[device] = (*self._rest_of.get(device, ()), channel)

    def channels_of(self, device: str) -> tuple[int, ...]:
        """Return every channel of a device."""
        own = (channels.get(device) for channels in self.channel)
        whole = [channel for channel in own if channel is not None]
        return (*whole, *self._rest_of.get(device, ()))


class Route:
    """Where the messages of a source go: one for all of its topic filters.

    So they keep their order, which decides where they do not tell the time.

    Args:
        source: Their source.
        topic_filters: As subscribed to; none for a webhook.
    """

    __slots__ = ("_base", "_bases", "source")

    def __init__(self, source: Source, *topic_filters: str) -> None:
        self.source = source
        bases = [base_of(topic_filter) for topic_filter in topic_filters]
        if source.form.whole or not bases:
            bases = [""]
        self._base = len(bases[0])
        self._bases: Routes[str] | None = None
        if len(set(bases)) > 1:
            self._bases = Routes()
            for topic_filter, base in zip(topic_filters, bases, strict=True):
                self._bases.add(topic_filter, base)

    def rests(self, messages: Sequence[Message]) -> list[str]:
        """Return the topic of each message after the source's base, or whole."""
        topics = [message.topic for message in messages]
        if self._bases is None:
            base = self._base
            return [topic[base:] for topic in topics]
        bases = map(self._bases.find, topics)
        pairs = zip(topics, bases, strict=True)
        return [topic[len(base or "") :] for topic, base in pairs]


Routed: TypeAlias = "Mapping[Route, Sequence[Message]]"
"""The messages of a chunk, by where they go."""
