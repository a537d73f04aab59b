"""Numbers to rows in two sorted columns: twelve bytes an entry, a tenth of a dict's.

For keys that are asked for seldom enough that half a microsecond does not matter.
Adding and removing move the ends of the columns: some ten microseconds at 100,000
entries.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

FEW = 16
"""From so many on, sorting all again beats moving the columns for each."""


class Index:
    """Rows by number; several rows may share one."""

    def __init__(self) -> None:
        self._keys = array("q")
        self._rows = array("i")

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._keys)

    def rows(self, key: int) -> Iterator[int]:
        """Yield the rows of a number of 63 bits and a sign."""
        keys = self._keys
        at = bisect_left(keys, key)
        while at < len(keys) and keys[at] == key:
            yield self._rows[at]
            at += 1

    def get(self, key: int) -> int:
        """Return a row of a number, -1 where it has none."""
        keys = self._keys
        at = bisect_left(keys, key)
        return self._rows[at] if at < len(keys) and keys[at] == key else -1

    def add(self, key: int, row: int) -> None:
        """Add an entry."""
        at = bisect_left(self._keys, key)
        self._keys.insert(at, key)
        self._rows.insert(at, row)

    def add_all(self, entries: Collection[tuple[int, int]]) -> None:
        """Add entries; many are sorted once for all of them."""
        if len(entries) < FEW:
            for key, row in entries:
                self.add(key, row)
            return
        merged = sorted([*zip(self._keys, self._rows, strict=True), *entries])
        self._keys = array("q", [key for key, _ in merged])
        self._rows = array("i", [row for _, row in merged])

    def remove(self, key: int, row: int) -> None:
        """Remove an entry; harmless where there is none."""
        at = bisect_left(self._keys, key)
        while at < len(self._keys) and self._keys[at] == key:
            if self._rows[at] == row:
                del self._keys[at]
                del self._rows[at]
                return
            at += 1
