"""What a profile reads of a message, as a type: nothing else becomes an object.

The paths of a profile are an allow-list. Made into a type for the decoder they keep an
image, a coordinate or a password that a sensor sends from ever being decoded; and what
is not built need not be paid for, which is most of an uplink.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

import msgspec

EACH: Final = "[*]"
"""The items of a list, or the values of a table, whichever it is."""

_typed: Any = TypedDict  # by its functional form, with keys that are known at run time
_SCALARS: Any = None | bool | int | float | str
_LIST: Any = list[msgspec.Raw]
_LEAF: Any = _SCALARS | _LIST | dict[str, msgspec.Raw]
"""A value that is read, or asked for its type: what is inside stays encoded."""


class Shape:
    """A place in a message, and what is read below it."""

    __slots__ = ("_below",)

    def __init__(self) -> None:
        self._below: dict[str, Shape] = {}

    def step(self, step: str) -> Shape:
        """Return the place one step further."""
        return self._below.setdefault(step, Shape())

    def type(self) -> Any:  # noqa: ANN401 - a type to decode into, made here
        """Return what to decode a value at this place into."""
        below = dict(self._below)
        if not below:
            return _LEAF
        each = below.pop(EACH, None)
        if each is None:
            named = {key: shape.type() for key, shape in below.items()}
            return _typed("Table", named, total=False) | _LIST | _SCALARS
        if below:
            return Any  # a table cannot have named keys and take all others, too
        item = each.type()
        return list[item] | dict[str, item] | _SCALARS  # type: ignore[valid-type]
