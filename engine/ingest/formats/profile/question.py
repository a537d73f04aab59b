"""Tests of a profile: questions to one value, answered yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import UNSET

from engine.ingest.formats.profile.path import (
    MISSING,
    Missing,
    Value,
    getter,
    items_of,
    spelled,
)
from engine.ingest.formats.profile.value import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    asks = [_ask(test, names) for test in tests]
    if len(asks) < 2:  # noqa: PLR2004 - nothing to combine
        return asks[0] if asks else None
    return lambda item, known: all(ask(item, known) for ask in asks)


def some(tests: Sequence[Test], names: Names) -> Ask | None:
    """Compile tests of which one must hold; None for no tests.

    Raises:
        Flaw: A path that cannot be used.
    """
    asks = [_ask(test, names) for test in tests]
    if not asks:
        return None
    return lambda item, known: any(ask(item, known) for ask in asks)


def _ask(test: Test, names: Names) -> Ask:
    get = getter(test.path, names)
    if test.contains is not UNSET:
        items_of(test.path, names)
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
        equal = Words({1: _listed(test.equals)})
        questions.append(lambda value: equal(value) is not None)
    if test.differs is not UNSET:
        same = Words({1: _listed(test.differs)})
        questions.append(lambda value: same(value) is None)
    if test.type is not UNSET:
        name = test.type
        questions.append(lambda value: _TYPES.get(value.__class__) == name)
    if test.matches is not UNSET:
        questions.append(_glob(test.matches))
    if test.contains is not UNSET:
        found = Words({1: (test.contains,)})
        questions.append(
            lambda value: value.__class__ is list and any(map(found, value))
        )
    return questions or [_there]


def _listed(values: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return values if isinstance(values, tuple) else (values,)


def _there(value: Value) -> bool:
    return value is not MISSING and value is not None


def _absent(value: Value) -> bool:
    return value is None or isinstance(value, Missing)


def _glob(pattern: str) -> Callable[[Value], bool]:
    """Compile a pattern in which `*` is any text; linear in the text."""
    first, *rest = pattern.lower().split("*")

    def match(value: Value) -> bool:
        text = spelled(value)
        if text is None:
            return False
        text = text.lower()
        if not rest:
            return text == first
        if not text.startswith(first):
            return False
        at = len(first)
        for part in rest[:-1]:
            at = text.find(part, at)
            if at < 0:
                return False
            at += len(part)
        return len(text) - at >= len(rest[-1]) and text.endswith(rest[-1])

    return match
