"""Who follows which level, and what each follower has not seen yet.

Knows no socket. A subscriber is a way to write bytes; its transport tells
the hub when it is clogged (`pause`) and when it flows again (`resume`). What a clogged
one costs is an integer per level, the offset it has seen: when it flows again it gets
the difference to the newest state, never a backlog.

::

                        write of the delta
    subscribe ─ catch_up ─▶ current ─ pause ─▶ behind ─ resume, catch_up ─▶ current …

An up-to-date subscriber's offset is its topic's, so that to publish is one loop over
bound `write` methods and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import Forbidden, NotFound, TooMany
from engine.model import Delta
from engine.publish.frames import (
    Control,
    Framing,
    Heartbeat,
    Position,
    Reset,
    Resumed,
    Unsubscribed,
    control,
    framed,
)
from engine.publish.topic import Encoded, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.codec import Wire
    from engine.model import Snapshot
    from engine.publish.topic import Subscriber, View

_NOTHING = -1  # seen nothing: owed a snapshot
_RESET = -2  # seen another epoch: owed word of it, then a snapshot
_SHARED_MESSAGES = 64  # encoded differences kept for laggards, per topic
_SHARED_MS = 10_000  # how long one is shared before its ages are told anew


def _told(topic: Topic, delta: Delta) -> bool:
    """Say whether a snapshot has told the subscribers of it already."""
    return delta.epoch == topic.epoch and delta.offset <= topic.offset


class Hub:
    """Topics and subscribers of every tenant.

    Attributes:
        frames: Frames written.
        sent_bytes: Bytes written.
        encodes: Snapshots and deltas encoded; one a level, tick and wire, however many
            follow.
        conflated: Deltas that a clogged subscriber got merged into a later one.
    """

    def __init__(
        self,
        views: Mapping[str, View],
        *,
        encode: Callable[[Snapshot | Delta, Wire], bytes],
        now_ms: Callable[[], int],
        max_subscribers: int = 10_000,
        max_levels: int = 256,
    ) -> None:
        """Serve the tenants of `views`.

        Args:
            views: What each tenant's subscribers may see.
            encode: `codec.encode`.
            now_ms: The clock.
            max_subscribers: Open streams; the next one is refused.
            max_levels: Levels that one stream may follow.
        """
        self._views = views
        self._encode = encode
        self._now_ms = now_ms
        self._max_subscribers = max_subscribers
        self._max_levels = max_levels
        self._topics: dict[tuple[str, str], Topic] = {}
        self._subscribers: set[Subscriber] = set()
        self.frames = 0
        self.sent_bytes = 0
        self.encodes = 0
        self.conflated = 0

    @property
    def subscribers(self) -> int:
        """Open streams."""
        return len(self._subscribers)

    @property
    def topics(self) -> int:
        """Levels that someone follows."""
        return len(self._topics)

    @property
    def paused(self) -> int:
        """Streams that are clogged now."""
        return sum(subscriber.paused for subscriber in self._subscribers)

    def check(self, tenant: str, level: str) -> None:
        """Refuse a level that does not exist, or one stream too many.

        Raises:
            Forbidden: A tenant without a view.
            NotFound: No such level of this tenant.
            TooMany: Every stream is taken.
        """
        if level not in self._view(tenant).levels():
            raise NotFound("There is no such level.")
        if len(self._subscribers) >= self._max_subscribers:
            raise TooMany("Every stream is taken; try again later.")

    def join(self, subscriber: Subscriber) -> None:
        """Count a stream in; it hears heartbeats from now on.

        Raises:
            Forbidden: A tenant without a view.
            TooMany: Every stream is taken.
        """
        self._view(subscriber.tenant)
        if len(self._subscribers) >= self._max_subscribers:
            raise TooMany("Every stream is taken; try again later.")
        self._subscribers.add(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a stream and all that it follows; harmless to repeat."""
        for level in tuple(subscriber.topics):
            self._drop(subscriber, level)
        self._subscribers.discard(subscriber)

    def subscribe(
        self, subscriber: Subscriber, level: str, position: Position | None = None
    ) -> None:
        """Follow a level, from a position or from a snapshot.

        Subscribing again is how a client asks for the snapshot again.

        Raises:
            NotFound: No such level of the subscriber's tenant.
            TooMany: More levels than one stream may follow.
        """
        topic = subscriber.topics.get(level) or self._follow(subscriber, level)
        topic.set_aside(subscriber, _NOTHING)
        if position is not None:
            self._answer_resume(subscriber, topic, position)
        self.catch_up(subscriber)

    def unsubscribe(self, subscriber: Subscriber, level: str) -> None:
        """Follow a level no more; confirmed even where nothing was followed."""
        if level in subscriber.topics:
            self._drop(subscriber, level)
        self._say(subscriber, Unsubscribed(level))

    def publish(self, tenant: str, deltas: Sequence[Delta]) -> None:
        """Write what changed to every subscriber that is up to date.

        Args:
            tenant: Whose levels changed.
            deltas: At most one a level; the tenant's `View` has them already.
        """
        for delta in deltas:
            topic = self._topics.get((tenant, delta.level))
            if topic is None or _told(topic, delta):
                continue
            if delta.epoch != topic.epoch or delta.prev != topic.offset:
                self._adopt(topic, delta.epoch, delta.offset)
            else:
                self._fan_out(topic, delta)

    def beat(self) -> None:
        """Write a heartbeat to every stream that is not clogged."""
        message = Heartbeat(self._now_ms())
        frames = {framing: control(message, framing) for framing in Framing}
        for subscriber in tuple(self._subscribers):
            if not subscriber.paused:
                self._write(subscriber, frames[subscriber.framing])

    def pause(self, subscriber: Subscriber) -> None:
        """A transport is clogged: from now on only note what it has seen."""
        subscriber.paused = True
        for topic in subscriber.topics.values():
            if topic not in subscriber.behind:
                topic.set_aside(subscriber, topic.offset)

    def resume(self, subscriber: Subscriber) -> None:
        """A transport flows again: bring it up to the newest state."""
        subscriber.paused = False
        self.catch_up(subscriber)

    def catch_up(self, subscriber: Subscriber) -> None:
        """Write what each level lacks, for as long as the transport takes it."""
        while subscriber.behind and not subscriber.paused:
            topic, offset = next(iter(subscriber.behind.items()))
            self._settle(subscriber, topic, offset)

    def end(self) -> None:
        """The server goes away: end every stream."""
        for subscriber in tuple(self._subscribers):
            subscriber.end()

    def _view(self, tenant: str) -> View:
        view = self._views.get(tenant)
        if view is None:
            raise Forbidden("This token is for no tenant of this server.")
        return view

    def _follow(self, subscriber: Subscriber, level: str) -> Topic:
        view = self._view(subscriber.tenant)
        if level not in view.levels():
            raise NotFound("There is no such level.")
        if len(subscriber.topics) >= self._max_levels:
            raise TooMany("Too many levels on one stream.")
        key = (subscriber.tenant, level)
        topic = self._topics.get(key)
        if topic is None:
            topic = Topic(level, view, view.snapshot(level, self._now_ms()))
            self._topics[key] = topic
        topic.subscribers.add(subscriber)
        subscriber.topics[level] = topic
        return topic

    def _drop(self, subscriber: Subscriber, level: str) -> None:
        topic = subscriber.topics.pop(level)
        topic.current[subscriber.framing].pop(subscriber, None)
        subscriber.behind.pop(topic, None)
        topic.subscribers.discard(subscriber)
        if not topic.subscribers:
            self._topics.pop((subscriber.tenant, level), None)

    def _answer_resume(
        self, subscriber: Subscriber, topic: Topic, position: Position
    ) -> None:
        """Say whether a position holds, and note what it leaves to be sent."""
        wire = subscriber.framing.wire
        past = position.epoch == topic.epoch and position.offset < topic.offset
        known = not past or self._shared(topic, position.offset, wire).delta
        if position.epoch != topic.epoch or not known:
            self._say(subscriber, Reset(topic.level, "epoch"))
        elif position.offset > topic.offset:
            self._say(subscriber, Reset(topic.level, "future"))
        else:
            topic.set_aside(subscriber, position.offset)
            self._say(subscriber, Resumed(topic.level, topic.epoch, position.offset))

    def _fan_out(self, topic: Topic, delta: Delta) -> None:
        topic.offset = delta.offset
        topic.shared.clear()
        position = f"{topic.epoch}:{topic.offset}"
        current = 0
        payload_by_wire: dict[Wire, bytes] = {}
        for framing, writes in topic.current.items():
            if not writes:
                continue
            current += len(writes)
            wire = framing.wire
            if wire not in payload_by_wire:
                payload_by_wire[wire] = self._encoded(delta, wire)
            frame = framed(payload_by_wire[wire], framing, "delta", position)
            self.frames += len(writes)
            self.sent_bytes += len(writes) * len(frame)
            # A write may pause its subscriber, which leaves `writes`: walk a copy.
            for write in tuple(writes.values()):
                write(frame)
        self.conflated += len(topic.subscribers) - current

    def _adopt(self, topic: Topic, epoch: str, offset: int) -> None:
        """Take on a position that does not follow from the topic's own.

        Within the epoch, each subscriber gets the difference to what it has seen; in
        a new one, a reset and a snapshot.
        """
        renewed = epoch != topic.epoch
        for subscriber in topic.subscribers:
            if subscriber in topic.current[subscriber.framing]:
                topic.set_aside(subscriber, _RESET if renewed else topic.offset)
            elif renewed:
                subscriber.behind[topic] = _RESET
        topic.epoch = epoch
        topic.offset = offset
        topic.shared.clear()
        for subscriber in tuple(topic.subscribers):
            self.catch_up(subscriber)

    def _settle(self, subscriber: Subscriber, topic: Topic, offset: int) -> None:
        """Do the next thing that brings one topic of a subscriber up to date.

        The subscriber counts as up to date before the write: if the write pauses it,
        `pause` notes the offset that this very write told it.
        """
        if offset == _RESET:
            topic.set_aside(subscriber, _NOTHING)
            self._say(subscriber, Reset(topic.level, "epoch"))
            return
        if offset == topic.offset:
            topic.promote(subscriber)
            return
        encoded = self._shared(topic, offset, subscriber.framing.wire)
        if offset != subscriber.behind.get(topic):
            return  # the view was ahead: what is owed has changed, look again
        topic.promote(subscriber)
        name = "delta" if encoded.delta else "snapshot"
        position = f"{topic.epoch}:{topic.offset}"
        framing = subscriber.framing
        self._write(subscriber, framed(encoded.payload, framing, name, position))

    def _shared(self, topic: Topic, offset: int, wire: Wire) -> Encoded:
        """Return what brings `offset` to the newest state, encoded once for all."""
        key = (offset, wire)
        now_ms = self._now_ms()
        encoded = topic.shared.get(key)
        if encoded is not None and now_ms - encoded.at_ms < _SHARED_MS:
            return encoded
        view = topic.view
        message: Snapshot | Delta | None = None
        if offset >= 0:
            message = view.since(topic.level, topic.epoch, offset, now_ms)
        if message is None:
            message = view.snapshot(topic.level, now_ms)
        if message.epoch != topic.epoch or message.offset != topic.offset:
            self._adopt(topic, message.epoch, message.offset)
        if len(topic.shared) >= _SHARED_MESSAGES:
            topic.shared.clear()
        payload = self._encoded(message, wire)
        encoded = Encoded(now_ms, isinstance(message, Delta), payload)
        topic.shared[key] = encoded
        return encoded

    def _encoded(self, message: Snapshot | Delta, wire: Wire) -> bytes:
        self.encodes += 1
        return self._encode(message, wire)

    def _say(self, subscriber: Subscriber, message: Control) -> None:
        """Write a small answer, clogged or not: how many there are is bounded."""
        self._write(subscriber, control(message, subscriber.framing))

    def _write(self, subscriber: Subscriber, frame: bytes) -> None:
        self.frames += 1
        self.sent_bytes += len(frame)
        subscriber.write(frame)
