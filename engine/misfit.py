"""Where a TOML file does not fit its types, and what would: in one sentence.

msgspec says `$.server.port` and `int`; whoever wrote the file thinks in lines, tables
and keys, and wants to know the choices.
"""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias, get_args

from msgspec import inspect

from engine.spelling import Id

if TYPE_CHECKING:
    import msgspec

Path: TypeAlias = "tuple[str | int, ...]"
"""The way to a value: names of keys, and numbers in lists."""

_AT = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`")
_EXPECTED = re.compile(r"Expected `([a-z]+(?: \| [a-z]+)*)`(.*?)(?:, got `.*)?")
_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "a table",
    "str": "text in quotes",
}
_NAME = f" matching regex {get_args(Id)[1].pattern!r}"


def misfit(error: msgspec.ValidationError, text: str, root: type) -> str:
    """Return `, line 7: [server] port must be …`; without a line where there is none.

    Args:
        error: What msgspec said of the file.
        text: The file.
        root: The type that it does not fit.
    """
    # It matches every text; the path is empty for the whole file.
    found = _AT.fullmatch(str(error))
    what, way = (found["what"], found["path"] or "") if found else (str(error), "")
    path: Path = tuple(
        int(number) if number else key for key, number in _STEP.findall(way)
    )
    field = _FIELD.fullmatch(what)
    kind = _kind(root, path)
    if field is None:
        problem = f"{_spelled(path)} must be {_wanted(what, path, kind)}"
    elif field[1].endswith("required"):
        problem = f"{_table(path)} needs the {_key(path, field[2])}"
    else:
        problem = _unknown(path, kind, field[2])
        path = (*path, field[2])
    line = line_of(text, path) if path else None
    return f": {problem}" if line is None else f", line {line}: {problem}"


def line_of(text: str, path: Path) -> int | None:
    """Return the line in which the statement begins that makes a path exist.

    The parser itself is asked, with one more line each time: nothing else knows all the
    ways to write the same. For a file of 300 lines that takes half a second, once.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    whole = [0]  # how many lines make whole statements
    for count in range(1, len(lines) + 1):
        try:
            found = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        whole.append(count)
        if _has(found, path):
            break
    else:
        return None
    *_, (before, _) = pairwise(whole)
    return before + 1


def _has(found: object, path: Path) -> bool:
    for step in path:
        if isinstance(found, dict):
            if step not in found:
                return False
            found = found[step]
        elif isinstance(found, list) and isinstance(step, int):
            if step >= len(found):
                return False
            found = found[step]
        else:
            return False
    return True


def _kind(root: type, path: Path) -> inspect.Type:
    """Return the type that belongs at a path."""
    kind = inspect.type_info(root)
    for step in path:
        if isinstance(kind, inspect.StructType):
            kind = next(f.type for f in kind.fields if f.encode_name == step)
        elif isinstance(kind, inspect.VarTupleType):
            kind = kind.item_type
    return kind


def _wanted(what: str, path: Path, kind: inspect.Type) -> str:
    """Return what a value must be."""
    if isinstance(kind, inspect.LiteralType):
        choices = (f'"{v}"' if isinstance(v, str) else str(v) for v in kind.values)
        return f"one of {', '.join(choices)}"
    if isinstance(kind, inspect.VarTupleType) and isinstance(
        kind.item_type, inspect.StructType
    ):
        return f"in double brackets: [[{_names(path)}]]"
    expected = _EXPECTED.fullmatch(what)
    if expected is None:
        return "something else"
    if expected[2] == _NAME:
        return "letters, digits, '_' and '-' alone, 64 at most"
    kinds = [kind for kind in expected[1].split(" | ") if kind != "null"]
    return f"{' or '.join(_WORDS.get(kind, kind) for kind in kinds)}{expected[2]}"


def _unknown(path: Path, kind: inspect.Type, name: str) -> str:
    """Say that there is no such key, and which there are."""
    fields = kind.fields if isinstance(kind, inspect.StructType) else ()
    known = sorted(field.encode_name for field in fields)
    near = get_close_matches(name, known, n=1)
    perhaps = f", perhaps {near[0]!r}" if near else ""
    return (
        f"{_table(path)} has no {_key(path, name)}{perhaps}; it may have "
        f"{', '.join(known)}"
    )


def _key(path: Path, name: str) -> str:
    return f"key {name!r}" if path else f"table {name!r}"


def _names(path: Path) -> str:
    return ".".join(step for step in path if isinstance(step, str))


def _table(path: Path) -> str:
    if not path:
        return "the file"
    return f"[[{_names(path)}]]" if isinstance(path[-1], int) else f"[{_names(path)}]"


def _spelled(path: Path) -> str:
    """Return a key behind its table, as one finds it in the file."""
    *table, key = path
    if isinstance(key, int):
        return f"each of {_spelled(tuple(table))}"
    return f"{_table(tuple(table))} {key}" if table else key
