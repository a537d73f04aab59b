"""Bytes of an endless answer to lines, however they are cut; bounded, no I/O."""

from __future__ import annotations


class Lines:
    """Gathers lines; one that is too long is left out, and what follows is not.

    Args:
        max_bytes: Of a line, without its end.

    Attributes:
        refused: Lines that were too long.
    """

    def __init__(self, max_bytes: int) -> None:
        self.refused = 0
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        """Of the line that is not complete yet; empty if it is too long already."""
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now, without their ends and empty ones."""
        first, *rest = data.split(b"\n")
        self._gather(first)
        lines: list[bytes] = []
        for part in rest:
            lines.append(self._end())
            self._gather(part)
        return [line for line in lines if line]

    def _gather(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._max_bytes:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _end(self) -> bytes:
        """Return the line that ends here, b"" if it was too long."""
        line = b"".join(self._parts).strip()
        self.refused += self._size > self._max_bytes
        self._parts.clear()
        self._size = 0
        return line
