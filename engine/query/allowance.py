"""What senders may use of us: requests a second, and memory for bodies under way."""

from __future__ import annotations

import math

BURST_S = 10.0
"""A sender that was quiet may send so many seconds' worth at once: what waited while it
or we were away comes together."""


class Rate:
    """A token bucket: so many requests a second, with bursts.

    Args:
        per_s: Requests a second; may be a fraction.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._most = max(1.0, per_s * BURST_S)
        self._left = self._most
        self._at_ms = 0

    def take(self, now_ms: int) -> int:
        """Take one request; return 0, or after how many seconds there is one again."""
        # A clock that was set back gives nothing, and takes nothing.
        passed_s = max(0, now_ms - self._at_ms) / 1000
        self._at_ms = now_ms
        self._left = min(self._most, self._left + passed_s * self._per_s)
        if self._left < 1:
            return max(1, math.ceil((1 - self._left) / self._per_s))
        self._left -= 1
        return 0


class Room:
    """Bytes that may be held at once; who finds none is sent away, nobody waits.

    Attributes:
        used: Bytes that are held now.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.used = 0

    def take(self, size: int) -> bool:
        """Hold so many bytes more; False: there is no room."""
        if self.used + size > self._size:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Hold so many bytes less."""
        self.used -= size
