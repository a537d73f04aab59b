"""Where a rule applies: topic, place, each item there, tests; who and when it is about.

Each of these wraps the visit that comes after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from engine.errors import TooLarge
from engine.ingest.formats.profile.clock import clock
from engine.ingest.formats.profile.path import (
    MAX_NAME,
    MISSING,
    Each,
    Flaw,
    Names,
    Path,
    Value,
    compiled,
    getter,
    listed,
    parse,
    template,
    topic,
)
from engine.ingest.formats.profile.question import every
from engine.ingest.formats.profile.shape import EACH, Shape
from engine.ingest.formats.profile.value import Words
from engine.ingest.formats.wire import sensor_time
from engine.model import ReadingFlag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.ingest.formats.profile.clock import Clock
    from engine.ingest.formats.profile.language import Flags, Scope
    from engine.ingest.formats.profile.path import Get, Give, Known, Match
    from engine.ingest.formats.profile.question import Ask
    from engine.ingest.formats.profile.reading import Mark, Run, Visit

MAX_ITEMS = 4096
"""Items of one message, in all lists that are read: the spaces of a large level, or the
hours that a people counter could not send."""

Wrap: TypeAlias = "Callable[[Visit], Visit]"


def wraps(scope: Scope, names: Names) -> Iterator[Wrap]:
    """Yield what a scope does, from outside inwards, and move the names to its place.

    Raises:
        Flaw: A text that cannot be used.
    """
    if scope.topic is not None:
        yield _on_topic(topic(scope.topic, names), names.slot("$topic"))
    if scope.at:
        yield from _at(parse(scope.at), names)
    ask = every(scope.when, names)
    if ask is not None:
        yield _asked(ask)
    who = who_of(scope.device, scope.device_as, names)
    when, flags = clock(scope, names), flags_of(scope.flags, names)
    if who is not None or when is not None or flags is not None:
        yield _marked(who, when, flags)


def _on_topic(match: Match, slot: int) -> Wrap:
    def wrap(inner: Visit) -> Visit:
        def visit(item: Value, run: Run, mark: Mark) -> None:
            if match(run.known[slot], run.known):
                inner(item, run, mark)

        return visit

    return wrap


def _asked(ask: Ask) -> Wrap:
    def wrap(inner: Visit) -> Visit:
        def visit(item: Value, run: Run, mark: Mark) -> None:
            if ask(item, run.known):
                inner(item, run, mark)

        return visit

    return wrap


def _at(path: Path, names: Names) -> Iterator[Wrap]:
    """Yield the way to a place, and move the names there."""
    root, way = path.root, []
    for step in path.steps:
        if not isinstance(step, Each):
            way.append(step)
            continue
        yield _gone(Path(root, tuple(way)), names)
        root, way = "", []
        around, items = names.shape, names.shape.step(EACH)
        names.shape = items
        if step.name:
            slot = names.add(f"${step.name}", items)
            yield _each(around, slot, names.add(f"#{step.name}"))
        else:
            yield _each(around, None, None)
    if root or way:
        yield _gone(Path(root, tuple(way)), names)


def _gone(path: Path, names: Names) -> Wrap:
    shape = names.walk(path)
    if shape is None:
        raise Flaw(f"{path.root} is a text: `at` needs a place in the message")
    get = compiled(path, names)
    names.shape = shape

    def wrap(inner: Visit) -> Visit:
        def visit(item: Value, run: Run, mark: Mark) -> None:
            item = get(item, run.known)
            if item is not MISSING and item is not None:
                inner(item, run, mark)

        return visit

    return wrap


def _each(around: Shape, slot: int | None, key_slot: int | None) -> Wrap:
    def wrap(inner: Visit) -> Visit:
        def visit(item: Value, run: Run, mark: Mark) -> None:
            if item.__class__ is list:
                pairs: Value = enumerate(item)
            elif item.__class__ is dict and not around.named:
                pairs = item.items()
            else:
                return
            run.items += len(item)
            if run.items > MAX_ITEMS:
                raise TooLarge(f"a message has at most {MAX_ITEMS} items")
            for key, one in pairs:
                if slot is not None and key_slot is not None:
                    run.known[slot] = one
                    run.known[key_slot] = key
                inner(one, run, mark)

        return visit

    return wrap


def _marked(who: Give | None, when: Clock | None, flags: Get | None) -> Wrap:
    def wrap(inner: Visit) -> Visit:
        def visit(item: Value, run: Run, mark: Mark) -> None:
            device, at_ms, bits = mark
            if who is not None:
                device = who(item, run.known)
            if when is not None:
                measured_ms = when(item, run.known)
                if measured_ms is not None:
                    at_ms = sensor_time(measured_ms, run.now_ms)
            if flags is not None:
                bits |= flags(item, run.known)
            inner(item, run, (device, at_ms, bits))

        return visit

    return wrap


def who_of(
    device: str | tuple[str, ...] | None, spelling: str, names: Names
) -> Give | None:
    """Compile who a message is about: None where there is no usable name."""
    if device is None:
        return None
    gives = [template(text, names) for text in listed(device)]
    canonical = {"lower": _lower, "hex": _hex, "last": _last}[spelling]

    first = gives[0]

    def one(item: Value, known: Known) -> str | None:
        text = first(item, known)
        return (canonical(text) or None) if text else None

    def several(item: Value, known: Known) -> str | None:
        for give in gives:
            text = give(item, known)
            name = canonical(text) if text else None
            if name:
                return name
        return None

    return one if len(gives) == 1 else several


def _lower(text: str) -> str | None:
    return text.strip().lower() if len(text) <= MAX_NAME else None


def _last(text: str) -> str | None:
    return _lower(text.rpartition("/")[2])


_SEPARATORS = str.maketrans("", "", ":-. ")
_HEX = frozenset("0123456789abcdef")


def _hex(text: str) -> str | None:
    if len(text) > MAX_NAME:
        return None
    bare = text.translate(_SEPARATORS).lower()
    # What is no number of a radio at all is a name that somebody chose.
    return bare if _HEX.issuperset(bare) else _lower(text)


_FLAGS: Final = {
    "cached": int(ReadingFlag.CACHED),
    "backfill": int(ReadingFlag.BACKFILL),
    "capped": int(ReadingFlag.CAPPED),
}


def flags_of(flags: Flags, names: Names) -> Get | None:
    """Compile flags; None for none."""
    always, asked = 0, []
    true = Words({1: (True, 1)})
    for name, bit in _FLAGS.items():
        value = getattr(flags, name)
        if isinstance(value, str):
            asked.append((getter(value, names), bit))
        elif value:
            always |= bit
    if not asked:
        return (lambda _, __: always) if always else None

    def bits(item: Value, known: Known) -> int:
        found = always
        for get, bit in asked:
            if true(get(item, known)):
                found |= bit
        return found

    return bits
