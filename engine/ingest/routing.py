"""Topic → stream: which configured source a message belongs to."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

KEPT_TOPICS = 200_000
"""Topics remembered per link; beyond it they are matched anew each time."""


def matches(pattern: str, topic: str) -> bool:
    """Return whether an MQTT topic filter covers a topic (MQTT 5, section 4.7)."""
    if topic.startswith("$") and not pattern.startswith("$"):
        return False
    wanted = pattern.split("/")
    names = topic.split("/")
    for number, level in enumerate(wanted):
        if level == "#":
            return True
        if number >= len(names) or level not in ("+", names[number]):
            return False
    return len(wanted) == len(names)


class Routes(Generic[T]):
    """The topic filters of one link: one without a wildcard first, then in order.

    Topics of sensors are few and name things, so they are remembered. Those of sources
    about people are not: several vendors put a device address into the topic, and
    nothing about who has not opted in may outlive its batch.
    """

    def __init__(self) -> None:
        self._exact: dict[str, T] = {}
        self._patterns: list[tuple[str, T, bool]] = []
        self._kept: dict[str, T] = {}

    def add(self, pattern: str, target: T, *, about_people: bool) -> None:
        """Send what this filter covers to `target`."""
        levels = pattern.split("/")
        if levels[0] == "$share":
            pattern = "/".join(levels[2:])
        if "+" in pattern or "#" in pattern:
            self._patterns.append((pattern, target, about_people))
        else:
            self._exact.setdefault(pattern, target)

    def find(self, topic: str) -> T | None:
        """Return where a topic goes, None where no filter covers it."""
        target = self._exact.get(topic) or self._kept.get(topic)
        return self._match(topic) if target is None else target

    def _match(self, topic: str) -> T | None:
        for pattern, target, about_people in self._patterns:
            if matches(pattern, topic):
                if not about_people and len(self._kept) < KEPT_TOPICS:
                    self._kept[topic] = target
                return target
        return None
