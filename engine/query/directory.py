"""The people of a tenant who opted in, to find by name; nobody else is in it.

It holds no name: it is the order of the names that the roll holds, so that somebody who
opts out is not to be found from that step on. A search needs two letters and gives
twenty names at most, so that the directory is asked about, not read out.
"""

from __future__ import annotations

import unicodedata
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MIN_LETTERS = 2
MAX_FOUND = 20
MAX_QUERY_CHARS = 100
MAX_WORDS = 16
"""Words of a name by which it can be found."""
_MAX_LOOKED_AT = 2000
"""Names that one search compares: it bounds how long the loop is held (5 ms)."""

_WORD_BITS = 4
_LAST = "\U0010ffff"


class Roll(Protocol):
    """Who opted in, by row and by opaque id."""

    def subject_id(self, subject: int, /) -> str:
        """Return the opaque id of a row."""

    def name(self, subject: int, /) -> str:
        """Return what colleagues see of a row."""

    def __contains__(self, subject_id: object, /) -> bool:
        """Return whether this opaque id stands for someone who shares now."""


class Found(NamedTuple):
    """Somebody who shares, as a search shows them."""

    subject: str
    name: str


class Directory:
    """Rows of the roll, by word of the name.

    Adding and removing cost a move of the sorted column: some ten microseconds up to
    100,000 people. At start give everybody at once.
    """

    def __init__(self, roll: Roll) -> None:
        self._roll = roll
        self._entries = array("q")
        """A row and which of its words, in one number; in the order of the words."""

    def __contains__(self, subject_id: object) -> bool:
        """Return whether somebody shares under an opaque id."""
        return subject_id in self._roll

    def add_all(self, subjects: Iterable[int]) -> None:
        """Let people be found who are not in it yet; sorted once for all of them."""
        new = [entry for subject in subjects for entry in self._entries_of(subject)]
        self._entries = array("q", sorted([*self._entries, *new], key=self._key))

    def add(self, subject: int) -> None:
        """Let somebody be found who is not in it yet."""
        for entry in self._entries_of(subject):
            self._entries.insert(self._place(self._key(entry)), entry)

    def remove(self, subject: int) -> None:
        """Let somebody be found no more; to be called while the roll has them."""
        for entry in self._entries_of(subject):
            del self._entries[self._place(self._key(entry))]

    def search(self, q: str, limit: int = MAX_FOUND) -> Sequence[Found]:
        """Return people whose name has a word beginning with each word of `q`.

        Case and accents make no difference. Fewer than two letters find nobody.
        """
        words = _words(q[:MAX_QUERY_CHARS])
        if not words or max(map(len, words)) < MIN_LETTERS:
            return []
        # By the word that the fewest names begin with.
        ranges = [
            (self._place((word,)), self._place((word + _LAST,))) for word in words
        ]
        start, stop = min(ranges, key=lambda ends: ends[1] - ends[0])
        found: dict[int, Found] = {}
        for entry in self._entries[start : min(stop, start + _MAX_LOOKED_AT)]:
            subject = entry >> _WORD_BITS
            name = self._roll.name(subject)
            plain = " ".join(["", *_words(name)])
            if all(f" {word}" in plain for word in words):
                found[subject] = Found(self._roll.subject_id(subject), name)
                if len(found) >= min(limit, MAX_FOUND):
                    break
        return list(found.values())

    def _place(self, key: tuple[str, ...]) -> int:
        return bisect_left(self._entries, key, key=self._key)

    def _entries_of(self, subject: int) -> Iterable[int]:
        words = len(_distinct(self._roll.name(subject)))
        return range(subject << _WORD_BITS, (subject << _WORD_BITS) + words)

    def _key(self, entry: int) -> tuple[str, ...]:
        """Return what an entry is sorted by: the word, the name, and who it is."""
        subject = entry >> _WORD_BITS
        name = self._roll.name(subject)
        word = _distinct(name)[entry & (1 << _WORD_BITS) - 1]
        return word, name, self._roll.subject_id(subject)


def _distinct(name: str) -> list[str]:
    return sorted(set(_words(name)))[:MAX_WORDS]


def _words(text: str) -> list[str]:
    """Return the words of a text without case and accents."""
    plain = text.casefold()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain)
        plain = "".join(c for c in plain if not unicodedata.combining(c))
    return plain.split()
