"""A level that someone follows, its followers, and what each of them has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from engine.publish.frames import Framing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from engine.codec import Wire
    from engine.model import Delta, Snapshot


class View(Protocol):
    """What one tenant's subscribers may see; `privacy.disclosure` in production.

    It changes only right before `Hub.publish` is called with the changes, in the same
    turn of the loop.
    """

    def levels(self) -> Collection[str]:
        """Ids of the levels that can be subscribed to."""
        ...

    def snapshot(self, level: str, now_ms: int) -> Snapshot:
        """The whole level, newest state."""
        ...

    def since(self, level: str, epoch: str, offset: int, now_ms: int) -> Delta | None:
        """All that changed after `offset`, merged; None where that is not known."""
        ...


class Subscriber:
    """One open stream, as the hub knows it; owned by its transport.

    Attributes:
        tenant: Whose levels it may follow.
        framing: How its bytes are wrapped.
        write: Takes bytes and never blocks; may call `Hub.pause` before it returns.
        end: Ends the stream because the server goes away.
        paused: Clogged: nothing is written but small answers.
        topics: What it follows, by level.
        behind: Offset that it has seen, of topics that it is not up to date with.
    """

    __slots__ = ("behind", "end", "framing", "paused", "tenant", "topics", "write")

    def __init__(
        self,
        tenant: str,
        framing: Framing,
        write: Callable[[bytes], object],
        end: Callable[[], object],
    ) -> None:
        self.tenant = tenant
        self.framing = framing
        self.write = write
        self.end = end
        self.paused = False
        self.topics: dict[str, Topic] = {}
        self.behind: dict[Topic, int] = {}


class Encoded(NamedTuple):
    """A message ready for every subscriber that has seen the same offset."""

    at_ms: int
    delta: bool
    payload: bytes


class Topic:
    """A level of a tenant that someone follows."""

    __slots__ = ("current", "epoch", "level", "offset", "shared", "subscribers", "view")

    def __init__(self, level: str, view: View, snapshot: Snapshot) -> None:
        self.level = level
        self.view = view
        self.epoch = snapshot.epoch
        self.offset = snapshot.offset
        self.subscribers: set[Subscriber] = set()
        self.current: dict[Framing, dict[Subscriber, Callable[[bytes], object]]] = {
            framing: {} for framing in Framing
        }
        self.shared: dict[tuple[int, Wire], Encoded] = {}

    def set_aside(self, subscriber: Subscriber, offset: int) -> None:
        """Note what a subscriber has seen instead of writing to it."""
        self.current[subscriber.framing].pop(subscriber, None)
        subscriber.behind[self] = offset

    def promote(self, subscriber: Subscriber) -> None:
        """Write to a subscriber from now on: it is up to date."""
        subscriber.behind.pop(self, None)
        self.current[subscriber.framing][subscriber] = subscriber.write
