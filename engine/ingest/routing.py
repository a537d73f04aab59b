"""Topic → source: which configured source a message belongs to.

Nothing is remembered of a topic: several vendors put a device address into it, and
nothing about who has not opted in may outlive its batch.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence


class Topical(Protocol):
    """A message, as far as it matters here."""

    @property
    def topic(self) -> str:
        """The MQTT topic."""


T = TypeVar("T", bound="Hashable")
M = TypeVar("M", bound=Topical)


def pattern_of(topic_filter: str) -> re.Pattern[str]:
    """Return what an MQTT topic filter covers (MQTT 5, section 4.7).

    A wildcard at the beginning covers no topic that begins with "$"; "a/#" covers "a".
    """
    levels = topic_filter.split("/")
    rest = ""
    if levels[-1] == "#":
        levels.pop()
        rest = "(?:/.*)?" if levels else ".*"
    text = "/".join("[^/]*" if one == "+" else re.escape(one) for one in levels)
    shielded = "" if topic_filter[:1] not in ("+", "#") else r"(?!\$)"
    return re.compile(shielded + text + rest, re.DOTALL)


class Routes(Generic[T]):
    """The topic filters of one link: one without a wildcard first, then in order.

    Attributes:
        unrouted: Messages that no filter covers.
    """

    def __init__(self) -> None:
        self.unrouted = 0
        self._exact: dict[str, T] = {}
        self._patterns: list[tuple[str, Callable[[str], object] | None, T]] = []
        """What each topic of a filter begins with, what else decides whether it is
        covered, and where it goes."""

    def add(self, topic_filter: str, target: T) -> None:
        """Send what this filter covers to `target`."""
        levels = topic_filter.split("/")
        if levels[0] == "$share":
            topic_filter = "/".join(levels[2:])
        start = topic_filter.replace("+", "#").partition("#")[0]
        if start == topic_filter:
            self._exact.setdefault(topic_filter, target)
            return
        if start and topic_filter == f"{start}#":  # all is said by the beginning
            above = start[:-1]
            self._patterns.append((start, None, target))
            self._patterns.append((above, above.__eq__, target))
            return
        self._patterns.append((start, pattern_of(topic_filter).fullmatch, target))

    def find(self, topic: str) -> T | None:
        """Return where a topic goes, None where no filter covers it."""
        target = self._exact.get(topic)
        return self._find(topic) if target is None else target

    def sort(self, messages: Sequence[M]) -> Mapping[T, list[M]]:
        """Return the messages by where they go; those that go nowhere are counted."""
        routed: defaultdict[T, list[M]] = defaultdict(list)
        exact = self._exact.get
        for message in messages:
            topic = message.topic
            target = exact(topic) or self._find(topic)
            if target is None:
                self.unrouted += 1
            else:
                routed[target].append(message)
        return routed

    def _find(self, topic: str) -> T | None:
        for start, covers, target in self._patterns:
            if topic.startswith(start) and (covers is None or covers(topic)):
                return target
        return None
