"""Paths, templates and topic patterns of profiles, each compiled once to a closure.

A path begins at the item that a rule is about, or at a name::

    a.b                 the value of key b in the table that is the value of a
    a[0]                the first item of a list
    a[name=fw]          the first item of a list whose key `name` is the text fw
    a['x.y']            a key with a dot or any other sign in it
    a[#n]               the key or number that is known as #n
    $                   the whole message
    $x.a                beginning at what is known as $x
    a[*x].b[*y]         where a rule applies: to each b of each a; known as $x and $y
    #x                  the key (in a table) or the number (in a list, from 0) of $x

A template is a text in which `{path}` stands for the value there, and `{path+1}` for a
whole number greater by 1. A topic pattern has a `{name}` for what is known as $name: a
level or a part of it, and `{name/}` for one or more levels; `+` is any level.

There are no regular expressions of the writer here: all is linear in the text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from engine.ingest.formats.profile.shape import EACH, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_STEPS = 12
MAX_NAME = 128
"""Characters that a template may give, or a topic with a name of many levels have."""


class Missing:
    """The class of `MISSING`."""


MISSING: Final = Missing()
"""What a path finds where nothing is; null is a value."""

Value: TypeAlias = Any
"""What a decoded message holds: a table, list, text, number, true, false or null."""

Known: TypeAlias = "list[Value]"
"""What the names of a rule stand for, by slot; the first is the whole message."""

Get: TypeAlias = "Callable[[Value, Known], Value]"
"""Takes the item that a rule is about and what is known; gives a value or `MISSING`."""

Give: TypeAlias = "Callable[[Value, Known], str | None]"
"""The same of a template: None where a value is missing or no scalar."""


class Flaw(Exception):
    """A text of a profile that cannot be used: what is wrong, and what to write."""


class Each(NamedTuple):
    """The step `[*name]`."""

    name: str


class By(NamedTuple):
    """The step `[key=text]`."""

    key: str
    text: str


class Of(NamedTuple):
    """The step `[#name]` or `[$name]`."""

    name: str


Step: TypeAlias = str | int | Each | By | Of


class Path(NamedTuple):
    """A path, read.

    Attributes:
        root: "" for the item, "$" for the message, else a name with its sign.
        steps: The way from there.
    """

    root: str
    steps: tuple[Step, ...]


_ROOT = re.compile(r"[$#][a-z][a-z0-9_]*|\$")
_STEP = re.compile(
    r"""\.?(?P<key>[^\s.\[\]{}'"]+)"""
    r"|\[(?P<index>[0-9]{1,4})\]"
    r"|\[\*(?P<each>[a-z][a-z0-9_]*)?\]"
    r"|\[(?P<of>[#$][a-z][a-z0-9_]*)\]"
    r"|\[(?P<by>[^\s=\[\]{}']+)=(?P<text>[^\[\]{}]*)\]"
    r"|\.?\['(?P<quoted>[^']+)'\]"
)


def parse(text: str) -> Path:
    """Read a path.

    Raises:
        Flaw: It is none.
    """
    found = _ROOT.match(text)
    root = found[0] if found else ""
    at = len(root)
    steps: list[Step] = []
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None or (text[at] == "." and not at) or len(steps) == MAX_STEPS:
            raise Flaw(
                f"{text!r} is no path of at most {MAX_STEPS} steps: write a.b, a[0], "
                f"a[name=fw], a['x.y'], a[*], $name.a"
            )
        if at and text[at] not in ".[":
            raise Flaw(f"{text!r} is no path: write a dot between two keys")
        steps.append(_step(step))
        at = step.end()
    return Path(root, tuple(steps))


def _step(found: re.Match[str]) -> Step:
    parts = found.groupdict()
    if parts["index"] is not None:
        return int(parts["index"])
    if parts["of"] is not None:
        return Of(parts["of"])
    if parts["by"] is not None:
        return By(parts["by"], parts["text"])
    key = parts["key"] or parts["quoted"]
    return Each(parts["each"] or "") if key is None else str(key)


class Names:
    """What the paths of a rule may begin at: slots for values, and their shapes.

    Attributes:
        shape: Of the item that the rule is about.
        slots: By name with its sign.
    """

    def __init__(self, root: Shape) -> None:
        self.shape = root
        self.slots = {"$": 0}
        self._most = [1]  # shared with all children
        self._shapes = {"$": root}

    def child(self) -> Names:
        """Return a copy, for a rule within."""
        made = Names(self._shapes["$"])
        made.shape = self.shape
        made.slots = dict(self.slots)
        made._most = self._most
        made._shapes = dict(self._shapes)
        return made

    def add(self, name: str, shape: Shape | None = None) -> int:
        """Make a name known, and return its slot.

        Raises:
            Flaw: It is known already.
        """
        if name in self.slots:
            raise Flaw(f"{name} is named twice: give each its own name")
        slot = self.slots[name] = len(self.slots)
        self._most[0] = max(self._most[0], len(self.slots))
        if shape is not None:
            self._shapes[name] = shape
        return slot

    @property
    def slot_count(self) -> int:
        """How many slots the names here and of all children need."""
        return self._most[0]

    def slot(self, name: str) -> int:
        """Return the slot of a name.

        Raises:
            Flaw: There is no such name.
        """
        slot = self.slots.get(name)
        if slot is None:
            known = ", ".join(sorted(self.slots))
            raise Flaw(f"nothing is known as {name}; known here: {known}")
        return slot

    def walk(self, path: Path) -> Shape | None:
        """Return the shape that a path leads to; None of what has none (a capture)."""
        shape = self._shapes.get(path.root) if path.root else self.shape
        for step in path.steps:
            if shape is not None:
                shape = shape.step(step if isinstance(step, str) else EACH)
                if isinstance(step, By):
                    shape.step(step.key)
        return shape


def getter(text: str, names: Names) -> Get:
    """Compile a path to one value.

    Raises:
        Flaw: It is no path, has `[*]`, or begins at an unknown name.
    """
    path = parse(text)
    if any(isinstance(step, Each) for step in path.steps):
        raise Flaw(f"{text!r} leads to many values: [*] stands in `at` alone")
    names.walk(path)
    return compiled(path, names)


def first_of(texts: str | tuple[str, ...], names: Names) -> Get:
    """Compile paths to the first value that is there, be it null.

    Raises:
        Flaw: One of them cannot be used.
    """
    first, *rest = [getter(text, names) for text in listed(texts)]
    if not rest:
        return first

    def get(item: Value, known: Known) -> Value:
        found = first(item, known)
        for other in rest:
            if found is not MISSING:
                break
            found = other(item, known)
        return found

    return get


def listed(texts: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return one or several texts as several."""
    return (texts,) if isinstance(texts, str) else texts


def items_of(text: str, names: Names) -> None:
    """Say that the items of the list that a path leads to are read as well."""
    shape = names.walk(parse(text))
    if shape is not None:
        shape.step(EACH)


def compiled(path: Path, names: Names) -> Get:
    """Compile a path without `[*]`.

    Raises:
        Flaw: It begins at an unknown name.
    """
    if path.root:
        slot = names.slot(path.root)
        if not path.steps:
            return lambda _, known: known[slot]
        return _rooted(slot, _steps(path.steps, names))
    return _steps(path.steps, names)


def _rooted(slot: int, way: Get) -> Get:
    return lambda _, known: way(known[slot], known)


def _steps(steps: Sequence[Step], names: Names) -> Get:
    match steps:
        case ():
            return lambda item, _: item
        case (str() as key,):
            return _key(key)
        case _ if all(isinstance(step, str) for step in steps):
            return _keys([str(step) for step in steps])
        case _:
            return _chain([_one(step, names) for step in steps])


def _key(key: str) -> Get:
    def get(item: Value, _: Known) -> Value:
        return item.get(key, MISSING) if item.__class__ is dict else MISSING

    return get


def _keys(keys: list[str]) -> Get:
    def get(item: Value, _: Known) -> Value:
        for key in keys:
            if item.__class__ is not dict:
                return MISSING
            item = item.get(key, MISSING)
        return item

    return get


def _chain(parts: list[Get]) -> Get:
    def get(item: Value, known: Known) -> Value:
        for part in parts:
            item = part(item, known)
            if item is MISSING:
                return MISSING
        return item

    return get


def _one(step: Step, names: Names) -> Get:
    if isinstance(step, int):
        number = step
        return lambda item, _: _at(item, number)
    if isinstance(step, By):
        return _by(step)
    if isinstance(step, Of):
        slot = names.slot(step.name)
        return lambda item, known: _at(item, known[slot])
    return _key(str(step))


def _at(item: Value, key: Value) -> Value:
    """Return what a list or table has at a number or key that is not known before."""
    if item.__class__ is list:
        usable = key.__class__ is int and 0 <= key < len(item)
        return item[key] if usable else MISSING
    usable = item.__class__ is dict and key.__class__ is str
    return item.get(key, MISSING) if usable else MISSING


def _by(step: By) -> Get:
    key, text = step

    def get(item: Value, _: Known) -> Value:
        if item.__class__ is list:
            for one in item:
                if one.__class__ is dict and spelled(one.get(key)) == text:
                    return one
        return MISSING

    return get


def spelled(value: Value) -> str | None:
    """Return a scalar as text, 3.0 as "3"; None for everything else."""
    if value.__class__ is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int | float):
        # A number of thousands of digits would take long, or raise.
        return str(value) if abs(value) < 2**64 else None
    return None


_PART = re.compile(r"\{([^{}]+?)(?:\+([0-9]{1,4}))?\}")


def template(text: str, names: Names) -> Give:
    """Compile a template.

    Raises:
        Flaw: A path in it cannot be used, or a brace stands alone.
    """
    constant: list[str] = []
    parts: list[tuple[Get, int]] = []
    end = 0
    for found in _PART.finditer(text):
        constant.append(text[end : found.start()])
        parts.append((getter(found[1], names), int(found[2] or 0)))
        end = found.end()
    constant.append(text[end:])
    if "{" in "".join(constant) or "}" in "".join(constant):
        raise Flaw(f"{text!r} has a brace without its other: write {{path}}")
    if not parts:
        return lambda _, __: text
    if len(parts) == 1 and constant == ["", ""] and not parts[0][1]:
        return _plain(parts[0][0])
    return _joined(constant, parts)


def _plain(get: Get) -> Give:
    def give(item: Value, known: Known) -> str | None:
        value = get(item, known)
        return value if value.__class__ is str else spelled(value)

    return give


def _joined(constant: list[str], parts: list[tuple[Get, int]]) -> Give:
    def give(item: Value, known: Known) -> str | None:
        found = [constant[0]]
        for (get, more), rest in zip(parts, constant[1:], strict=True):
            text = spelled(get(item, known))
            if text is not None and more:
                text = str(int(text) + more) if _whole(text) else None
            if text is None:
                return None
            found += (text, rest)
        return "".join(found)

    return give


def _whole(text: str) -> bool:
    return len(text) <= 15 and text.isascii() and text.isdecimal()  # noqa: PLR2004


_LEVEL = re.compile(r"([^{}]*)\{([a-z][a-z0-9_]*)\}([^{}]*)")
_SLASH = re.compile(r"/(?!\})")  # the slash of {name/} parts no levels
_LEVELS = re.compile(r"\{([a-z][a-z0-9_]*)/\}")

Match: TypeAlias = "Callable[[str, Known], bool]"
"""Takes a topic; says whether it fits, and puts what is named into what is known."""


def topic(text: str, names: Names) -> Match:
    """Compile a pattern of topics; a topic may have more levels in front.

    Raises:
        Flaw: A level that cannot be used, a name used twice, or two of many levels.
    """
    before: list[_Level] = []
    after: list[_Level] = []
    many: int | None = None
    for level in _SLASH.split(text):
        found = _LEVELS.fullmatch(level)
        if found is not None and many is not None:
            raise Flaw(f"{text!r} has two names of many levels: write one at most")
        if found is not None:
            many = names.add(f"${found[1]}")
        else:
            (before if many is None else after).append(_level(level, text, names))
    if many is None:
        return _few(before)
    return _many(before, many, after)


class _Level(NamedTuple):
    start: str
    slot: int | None
    end: str

    def fits(self, level: str, known: Known) -> bool:
        """Tell whether a level fits, and remember what it names."""
        start, slot, end = self
        if slot is None:
            return start in ("+", level)
        if len(level) <= len(start) + len(end):
            return False
        if not (level.startswith(start) and level.endswith(end)):
            return False
        known[slot] = level[len(start) : len(level) - len(end)]
        return len(level) <= MAX_NAME


def _level(level: str, text: str, names: Names) -> _Level:
    if "{" not in level and "}" not in level and level != "#":
        return _Level(level, None, "")
    found = _LEVEL.fullmatch(level)
    if found is None:
        raise Flaw(
            f"{text!r} is no topic pattern: write {{name}} once in a level, "
            f"{{name/}} for many levels, + for any level"
        )
    return _Level(found[1], names.add(f"${found[2]}"), found[3])


def _fit(levels: list[_Level], topic: list[str], known: Known) -> bool:
    if len(levels) != len(topic):
        return False
    pairs = zip(levels, topic, strict=True)
    return all(level.fits(text, known) for level, text in pairs)


def _few(levels: list[_Level]) -> Match:
    number = len(levels)

    def match(topic: str, known: Known) -> bool:
        return _fit(levels, topic.split("/")[-number:], known)

    return match


def _many(before: list[_Level], slot: int, after: list[_Level]) -> Match:
    def match(topic: str, known: Known) -> bool:
        found = topic.split("/")
        end = len(found) - len(after)
        if len(topic) > MAX_NAME or not _fit(after, found[end:], known):
            return False
        for start in range(len(before), end):
            if _fit(before, found[start - len(before) : start], known):
                known[slot] = "/".join(found[start:end])
                return True
        return False

    return match
