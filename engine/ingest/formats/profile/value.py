"""What a value means to each kind of reading: words and numbers, and nothing guessed.

A kind knows words: presence `occupied`, `vacant`; contact `open`, `closed`; health
`online`, `offline`, `faulty`; motion `motion`, `still`; plain `on`, `off`; and all of
them `unknown`. A profile lists the values that mean each word. How values are compared:

- text without blanks around it, and whether letters are capital does not matter
- a number with a number, 3.0 is 3, and with its digits as text: "3"
- true and false with themselves and with their text, never with 1 and 0

A value in no list is *strange*: it is counted, and the reading says unknown (-1) where
its kind can, or there is none. null says that nothing is known, and is not strange; nor
is any text to plain, which does not know what it is about.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from engine.ingest.formats.profile.path import Flaw, Value
from engine.ingest.formats.wire import MAX_COUNT, MAX_ENV, MAX_FLOW, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.ingest.formats.profile.language import Reading, Scalar

STRANGE: Final = object()
"""What the meaning of a value in no list is."""

Meaning: TypeAlias = "Callable[[Value], Value]"
"""Takes a value; gives a whole number, None where it says nothing, or `STRANGE`. Of
plain: kinds and numbers."""

_DIGITS = 24
"""Characters of a number as text."""

_WORDS: Final[Mapping[str, Mapping[str, int]]] = {
    "presence": {"occupied": 1, "vacant": 0, "unknown": -1},
    "contact": {"open": 1, "closed": 0, "unknown": -1},
    "health": {"online": 1, "offline": 0, "faulty": -1},
    "motion": {"motion": 1, "still": 0},
    "count": {"unknown": -1},
    "plain": {"on": 1, "off": 0, "unknown": -1},
}
_USUAL: Final[Mapping[str, Mapping[str, Sequence[Scalar]]]] = {
    "presence": {"occupied": (True,), "vacant": (False,)},
    "health": {"online": (True, "online"), "offline": (False, "offline")},
    "motion": {"motion": (True,), "still": (False,)},
    "plain": {"on": (True,), "off": (False,)},
}
"""What is meant where a profile lists nothing. Of a contact nothing is usual: true is
closed to one vendor and open to the next."""

ALL_WORDS: Final = tuple(dict.fromkeys(w for words in _WORDS.values() for w in words))


def number(value: object) -> float | None:
    """Return a number, also one in text; None for everything else, as true and NaN."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _DIGITS or not text.isascii():
            return None
        bare = text.removeprefix("-")
        if not bare.replace(".", "", 1).isdecimal():
            return None
        return float(text) if "." in text else int(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def whole(value: Value) -> int | None:
    """Return a whole number, however it is written; None for everything else."""
    if value.__class__ is int:
        return value
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


class Words:
    """Values and what they mean."""

    __slots__ = ("_by_flag", "_by_number", "_by_text")

    def __init__(self, listed: Mapping[int, Sequence[Scalar]]) -> None:
        self._by_text: dict[str, int] = {}
        self._by_number: dict[float, int] = {}
        self._by_flag: dict[bool, int] = {}
        for meaning, values in listed.items():
            for value in values:
                self._add(value, meaning)

    def _add(self, value: Scalar, meaning: int) -> None:
        if isinstance(value, bool):
            self._put(self._by_flag, value, meaning)
            self._put(self._by_text, str(value).lower(), meaning)
        elif isinstance(value, str):
            self._put(self._by_text, value.strip().lower(), meaning)
        else:
            self._put(self._by_number, value, meaning)
            self._put(self._by_text, f"{value:g}", meaning)

    @staticmethod
    def _put(known: dict[Any, int], value: object, meaning: int) -> None:
        if known.setdefault(value, meaning) != meaning:
            raise Flaw(f"the value {value!r} is listed under two words")

    def __bool__(self) -> bool:
        return bool(self._by_text)

    def __call__(self, value: object) -> int | None:
        """Return what a value means; None where it is not listed."""
        if isinstance(value, str):
            found = self._by_text.get(value)
            return self._by_text.get(value.strip().lower()) if found is None else found
        if isinstance(value, bool):
            return self._by_flag.get(value)
        if isinstance(value, int | float):
            return self._by_number.get(value)
        return None


def meaning(reading: Reading) -> Meaning:
    """Return what the values of a reading mean.

    Raises:
        Flaw: A word that its kind does not know, or a contact without words.
    """
    kind = reading.kind
    known = _WORDS.get(kind, {})
    listed = {word: getattr(reading, word) for word in ALL_WORDS}
    listed = {word: values for word, values in listed.items() if values}
    for word in listed:
        if word not in known:
            may = f"it may have {', '.join(known)}" if known else "it has no words"
            raise Flaw(f"kind {kind!r} has no values that mean {word!r}; {may}")
    if kind == "contact" and not {"open", "closed"} <= listed.keys():
        raise Flaw("kind 'contact' needs both lists, open = […] and closed = […]")
    usual = {} if listed.keys() - {"unknown"} else _USUAL.get(kind, {})
    words = Words({known[w]: v for w, v in {**usual, **listed}.items()})
    if kind == "env":
        return _env(reading.scale)
    by_words = _BY_WORDS.get(kind)
    return _flow if by_words is None else by_words(words)


def _state(words: Words) -> Meaning:
    def mean(value: object) -> object:
        found = words(value)
        if found is None:
            return -1 if value is None else STRANGE
        return found

    return mean


def _health(words: Words) -> Meaning:
    def mean(value: object) -> object:
        found = words(value)
        return STRANGE if found is None and value is not None else found

    return mean


def _count(words: Words) -> Meaning:
    def mean(value: object) -> object:
        found = whole(value)
        if found is not None and 0 <= found <= MAX_COUNT and words(value) is None:
            return found
        known = value is None or words(value) is not None or found == -1
        return -1 if known else STRANGE

    return mean


def _pulses(words: Words) -> Meaning:
    def mean(value: object) -> object:
        found = words(value)
        if found is not None:
            return found
        pulses = whole(value)
        if pulses is None or pulses < 0:
            return None if value is None else STRANGE
        # However many a faulty device claims, that something moved remains true.
        return min(pulses, MAX_COUNT)

    return mean


def _plain(words: Words) -> Meaning:
    def mean(value: object) -> object:
        found = words(value)
        if found is not None:
            return plain(None if found < 0 else bool(found))
        if value is None:
            return plain(None)
        count = number(value)
        return None if count is None else plain(count)

    return mean


def _flow(value: object) -> object:
    found = whole(value)
    if found is not None and 0 <= found <= MAX_FLOW:
        return found
    return None if value is None else STRANGE


def _env(scale: float) -> Meaning:
    factor = 1000 * scale

    def mean(value: object) -> object:
        found = number(value)
        if found is not None and abs(found * factor) <= MAX_ENV:
            return round(found * factor)
        return None if value is None else STRANGE

    return mean


_BY_WORDS: Final[Mapping[str, Callable[[Words], Meaning]]] = {
    "presence": _state,
    "contact": _state,
    "health": _health,
    "count": _count,
    "motion": _pulses,
    "plain": _plain,
}
