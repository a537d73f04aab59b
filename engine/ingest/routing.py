"""Topic → stream: which configured source a message belongs to.

Nothing is remembered of a topic: several vendors put a device address into it, and
nothing about who has not opted in may outlive its batch.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


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
    """The topic filters of one link: one without a wildcard first, then in order."""

    def __init__(self) -> None:
        self._exact: dict[str, T] = {}
        self._patterns: list[tuple[str, str, T]] = []
        """What a topic begins with, the whole filter, and where it goes."""

    def add(self, pattern: str, target: T) -> None:
        """Send what this filter covers to `target`."""
        levels = pattern.split("/")
        if levels[0] == "$share":
            pattern = "/".join(levels[2:])
        start = pattern.replace("+", "#").partition("#")[0]
        if start == pattern:
            self._exact.setdefault(pattern, target)
        else:
            self._patterns.append((start, pattern, target))

    def find(self, topic: str) -> T | None:
        """Return where a topic goes, None where no filter covers it."""
        target = self._exact.get(topic)
        if target is not None:
            return target
        for start, pattern, target in self._patterns:
            if topic.startswith(start) or start[:-1] == topic:
                # Most filters are "prefix/#": all is said by the prefix.
                if start and pattern == f"{start}#":
                    return target
                if matches(pattern, topic):
                    return target
        return None
