"""How long to wait before the next try: full jitter, exponential, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


class Backoff:
    """The waits between the tries at one server.

    Full jitter, because many engines lose one server at the same moment.

    Args:
        base_s: The first wait is at most this long, each further one twice as long.
        cap_s: No wait is longer, but a calm one.
        calm_s: A calm wait is at least half as long, and at most as long.
        rng: Source of the jitter.
    """

    def __init__(
        self, base_s: float, cap_s: float, rng: random.Random, *, calm_s: float = 30.0
    ) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._calm_s = calm_s
        self._rng = rng
        self._tries = 0

    def next_s(self, *, calmly: bool = False) -> float:
        """Return the seconds to wait before the next try.

        Args:
            calmly: Where coming back soon would do harm.
        """
        self._tries += 1
        if calmly:
            return self._rng.uniform(self._calm_s / 2, self._calm_s)
        # Doubling stops where it has no effect, before the number grows without bound.
        longest = min(self._cap_s, self._base_s * 2 ** min(self._tries - 1, 32))
        return self._rng.uniform(0, longest)

    def reset(self) -> None:
        """Start again with short waits: the last try lasted."""
        self._tries = 0
