"""Which posts of a source have had their effect: the same again has none.

A post is remembered when the pipeline has taken it in, in the same turn of the loop, so
that two that come at once cannot both pass. Its sender is told of success only when the
effect is safe; one that got no answer sends it again and waits for nothing but that.

The memory goes with the process, and with it goes everything that was not safe: what
was not answered is sent again and counts. What was, is in Redis with the time of each
observation, and older is never newer: that is what a replay meets after a restart, and
in the place of the oldest posts, which are forgotten when there are too many.
"""

from __future__ import annotations

MOST = 50_000
"""Some 10 MB; an hour of 14 posts a second, or a day of one every two seconds."""

KEY_BYTES = 16


class Once:
    """The posts of one source, oldest first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._until_ms: dict[bytes, int] = {}

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._until_ms)

    def knows(self, key: bytes, now_ms: int) -> bool:
        """Return whether a post has had its effect."""
        return self._until_ms.get(key[:KEY_BYTES], -1) >= now_ms

    def add(self, key: bytes, until_ms: int, now_ms: int) -> None:
        """Remember a post until nobody could send it any more."""
        known = self._until_ms
        known.pop(key[:KEY_BYTES], None)
        oldest = next(iter(known), None)
        while oldest is not None and (
            known[oldest] < now_ms or len(known) >= self._most
        ):
            del known[oldest]
            oldest = next(iter(known), None)
        known[key[:KEY_BYTES]] = until_ms
