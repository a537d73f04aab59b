"""Tests of a profile: questions to one value, answered yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import UNSET

from engine.ingest.formats.profile.path import (
    MISSING,
    Missing,
    Value,
    first_of,
    items_of,
    listed,
    spelled,
)
from engine.ingest.formats.profile.value import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engine.ingest.formats.profile.language import Scalar, Test
    from engine.ingest.formats.profile.path import Known, Names

Ask: TypeAlias = "Callable[[Value, Known], bool]"
"""Takes the item and what is known; gives the answer."""

_TYPES: dict[type, str] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "boolean",
    list: "list",
    dict: "table",
    type(None): "null",
}


def every(tests: Sequence[Test], names: Names) -> Ask | None:
    """Compile tests that must all hold; None for no tests.

    Raises:
        Flaw: A path that cannot be used.
    """
    return _together(all, tests, names)


def some(tests: Sequence[Test], names: Names) -> Ask | None:
    """Compile tests of which one must hold; None for no tests.

    Raises:
        Flaw: A path that cannot be used.
    """
    return _together(any, tests, names)


def _together(
    of: Callable[[Iterable[bool]], bool], tests: Sequence[Test], names: Names
) -> Ask | None:
    asks = [_ask(test, names) for test in tests]
    if len(asks) < 2:  # noqa: PLR2004 - nothing to combine
        return asks[0] if asks else None
    return lambda item, known: of(ask(item, known) for ask in asks)


def _ask(test: Test, names: Names) -> Ask:
    get = first_of(test.path, names)
    if test.contains is not UNSET:
        for path in listed(test.path):
            items_of(path, names)
    questions = _questions(test)
    if len(questions) == 1:
        only = questions[0]
        return lambda item, known: only(get(item, known))

    def ask(item: Value, known: Known) -> bool:
        value = get(item, known)
        return all(question(value) for question in questions)

    return ask


def _questions(test: Test) -> list[Callable[[Value], bool]]:
    questions: list[Callable[[Value], bool]] = []
    if test.exists is not UNSET:
        questions.append(_there if test.exists else _absent)
    if test.equals is not UNSET:
        equal = Words({1: _several(test.equals)})
        questions.append(lambda value: equal(value) is not None)
    if test.differs is not UNSET:
        same = Words({1: _several(test.differs)})
        questions.append(lambda value: same(value) is None)
    if test.type is not UNSET:
        name = test.type
        questions.append(lambda value: _TYPES.get(value.__class__) == name)
    if test.matches is not UNSET:
        questions.append(_glob([text.lower() for text in listed(test.matches)]))
    if test.contains is not UNSET:
        found = Words({1: (test.contains,)})
        questions.append(
            lambda value: value.__class__ is list and any(map(found, value))
        )
    return questions or [_there]


def _several(values: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return values if isinstance(values, tuple) else (values,)


def _there(value: Value) -> bool:
    return value is not MISSING and value is not None


def _absent(value: Value) -> bool:
    return value is None or isinstance(value, Missing)


def _glob(patterns: list[str]) -> Callable[[Value], bool]:
    """Compile patterns in which `*` is any text; linear in the text."""
    ends = tuple(p[1:] for p in patterns if p[:1] == "*" and "*" not in p[1:])
    split = [p.split("*") for p in patterns if p[1:] not in ends or p[:1] != "*"]

    def match(value: Value) -> bool:
        text = spelled(value)
        if text is None:
            return False
        text = text.lower()
        return text.endswith(ends) or any(_fits(text, parts) for parts in split)

    return match


def _fits(text: str, parts: list[str]) -> bool:
    """Tell whether a text is these parts with any text between them."""
    first, *between = parts
    if not between:
        return text == first
    if not text.startswith(first):
        return False
    at, last = len(first), between.pop()
    for part in between:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return len(text) - at >= len(last) and text.endswith(last)
