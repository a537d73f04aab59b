"""What a reader passed by: how often, where first, and what to write instead."""

from __future__ import annotations

from typing import NamedTuple


class Remark(NamedTuple):
    """Something in a file that is no mistake, but perhaps not what was meant.

    Attributes:
        file: Name of the file.
        what: What stands there, and what becomes of it.
        instead: What to write instead.
        first: Where it stands first: a feature or a line.
        number: How often it stands there.
    """

    file: str
    what: str
    instead: str
    first: str
    number: int = 1

    def __str__(self) -> str:
        """Return one sentence for whoever wrote the file."""
        often = "" if self.number == 1 else f"{self.number} times, first "
        return f"{self.file}: {self.what} ({often}{self.first}); {self.instead}"


class Remarks:
    """Gathers what is passed by in one file, alike things as one."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._by_what: dict[str, Remark] = {}

    def add(self, what: str, where: str, *, instead: str) -> None:
        """Note that something was passed by."""
        known = self._by_what.get(what)
        self._by_what[what] = (
            Remark(self._file, what, instead, where)
            if known is None
            else known._replace(number=known.number + 1)
        )

    def all(self) -> list[Remark]:
        """Return what was noted, in the order of the file."""
        return list(self._by_what.values())
