"""The rules of a profile and of those that it includes, each repetition written out."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import product
from math import prod
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from engine.ingest.formats.profile.language import Profile, Rule, Scope
from engine.ingest.formats.profile.path import Flaw, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_READINGS = 4096
"""Readings that a profile may describe, each repetition counted."""
MAX_INCLUDES = 32
"""Includes of a profile, those of what it includes counted."""

Place: TypeAlias = "tuple[str | int, ...]"
"""The way to a table or key of the file."""


class Source(NamedTuple):
    """A profile as it was written.

    Attributes:
        name: Of the file, for errors.
        text: The file, to find lines in.
        table: What it holds.
    """

    name: str
    text: str
    table: Profile


Fetch: TypeAlias = "Callable[[str, Source], Source]"
"""Gives the profile of a name that another includes, or raises `Flaw`."""


class Misplaced(Exception):
    """A flaw, and the place of the file that it is in."""

    def __init__(self, source: Source, place: Place, problem: str) -> None:
        super().__init__(problem)
        self.source = source
        self.place = place


class Placed(NamedTuple):
    """A rule, the includes around it, and where it is written."""

    scopes: tuple[Scope, ...]
    rule: Rule
    source: Source
    place: Place


def placed(source: Source, fetch: Fetch) -> Iterator[Placed]:
    """Yield all rules, those of includes first.

    Raises:
        Misplaced: A range that is none, or too many rules or includes.
    """
    yield from _Budget().rules(source, fetch, ())


class _Budget:
    """How much a profile may still describe, in all of its files.

    Nothing is fetched or repeated before it is asked: files may include each other in
    circles, and the product of a few ranges is large.
    """

    def __init__(self) -> None:
        self._includes = MAX_INCLUDES
        self._readings = MAX_READINGS

    def rules(
        self, source: Source, fetch: Fetch, outer: tuple[Scope, ...]
    ) -> Iterator[Placed]:
        """Yield the rules of a file and of those that it includes."""
        for number, include in enumerate(source.table.includes):
            with _at(source, ("include", number)):
                self._includes -= 1
                if self._includes < 0:
                    raise Flaw(f"more than {MAX_INCLUDES} includes; is it a circle?")
                fetched = fetch(include.profile, source)
            yield from self.rules(fetched, fetch, (*outer, *_scope(include)))
        for number, rule in enumerate(source.table.rules):
            place = ("rule", number)
            with _at(source, place):
                choices = [_choices(values) for values in rule.each.values()]
                self._readings -= prod(map(len, choices)) * max(1, len(rule.readings))
                if self._readings < 0:
                    raise Flaw(f"more than {MAX_READINGS} readings are described")
            for one in _repeated(rule, choices):
                yield Placed((*outer, *_scope(one)), one, source, place)


@contextmanager
def _at(source: Source, place: Place) -> Iterator[None]:
    try:
        yield
    except Flaw as flaw:
        raise Misplaced(source, place, str(flaw)) from None


def _scope(scope: Scope) -> tuple[Scope, ...]:
    """Return where a rule or include applies; nothing of one that changes nothing."""
    bare = Scope(**{name: getattr(scope, name) for name in Scope.__struct_fields__})
    return () if bare == Scope() else (bare,)


def _repeated(rule: Rule, choices: list[list[str]]) -> Iterator[Rule]:
    """Yield a rule once for every combination of what it repeats with."""
    if not rule.each:
        yield rule
        return
    plain = msgspec.to_builtins(rule)
    del plain["for"]
    for chosen in product(*choices):
        marks = {f"{{${n}}}": v for n, v in zip(rule.each, chosen, strict=True)}
        yield msgspec.convert(_filled(plain, marks), Rule, strict=False)


def _choices(values: str | tuple[int | str, ...]) -> list[str]:
    if not isinstance(values, str):
        return [str(value) for value in values]
    first, dots, last = values.partition("..")
    if not (dots and first.isdecimal() and last.isdecimal() and len(last) < 4):  # noqa: PLR2004
        raise Flaw(f'{values!r} is no range: write "1..16", or a list')
    return [str(number) for number in range(int(first), int(last) + 1)]


def _filled(plain: Value, marks: dict[str, str]) -> Value:
    """Return plain data with every mark in every text replaced."""
    if isinstance(plain, dict):
        return {key: _filled(value, marks) for key, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [_filled(value, marks) for value in plain]
    if isinstance(plain, str):
        for mark, value in marks.items():
            plain = plain.replace(mark, value)
    return plain
