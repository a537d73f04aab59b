"""The people of a tenant who opted in, to find by name; nobody else is in it.

Opting out removes the person here in the same step, so a search can't show more than
the registry holds. A search needs two letters and gives twenty names at most, so that
the directory is asked about, not read out.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, insort
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model import Person

MIN_LETTERS = 2
MAX_FOUND = 20
MAX_QUERY_CHARS = 100
_MAX_LOOKED_AT = 5000
"""Names that one search compares: it bounds how long the loop is held."""

_Entry = tuple[str, str, str]


class Directory:
    """Names and opaque ids, by word of the name.

    Adding and removing cost a move of the sorted list: some microseconds up to 100,000
    people. At start give everybody at once.
    """

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self._person_by_subject: dict[str, Person] = {}
        self._entries: list[_Entry] = []
        self.add_all(people)

    def __len__(self) -> int:
        """Return how many people are in it."""
        return len(self._person_by_subject)

    def add_all(self, people: Iterable[Person]) -> None:
        """Let people be found who are not in it yet; sorted once for all of them."""
        for person in people:
            self._person_by_subject[person.subject] = person
            self._entries.extend(_entries(person))
        self._entries.sort()

    def add(self, person: Person) -> None:
        """Let a person be found; adding again changes the name."""
        self.remove(person.subject)
        self._person_by_subject[person.subject] = person
        for entry in _entries(person):
            insort(self._entries, entry)

    def remove(self, subject: str) -> None:
        """Let a person be found no more; harmless to repeat."""
        person = self._person_by_subject.pop(subject, None)
        if person is None:
            return
        for entry in _entries(person):
            del self._entries[bisect_left(self._entries, entry)]

    def person(self, subject: str) -> Person | None:
        """Return who shares under an opaque id."""
        return self._person_by_subject.get(subject)

    def search(self, q: str, limit: int = MAX_FOUND) -> Sequence[Person]:
        """Return people whose name has a word beginning with each word of `q`.

        Case and accents make no difference. Fewer than two letters find nobody.
        """
        words = sorted(_words(q[:MAX_QUERY_CHARS]), key=len)
        if not words or len(words[-1]) < MIN_LETTERS:
            return []
        *others, longest = words
        found: dict[str, Person] = {}
        start = bisect_left(self._entries, (longest,))
        for word, name, subject in islice(self._entries, start, start + _MAX_LOOKED_AT):
            if not word.startswith(longest) or len(found) >= min(limit, MAX_FOUND):
                break
            if all(_has_word(name, other) for other in others):
                found[subject] = self._person_by_subject[subject]
        return list(found.values())


def _entries(person: Person) -> Iterable[_Entry]:
    words = _words(person.name)
    name = " ".join(words)
    return [(word, name, person.subject) for word in sorted(set(words))]


def _has_word(name: str, prefix: str) -> bool:
    return f" {prefix}" in f" {name}"


def _words(text: str) -> list[str]:
    """Return the words of a text without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)).split()
