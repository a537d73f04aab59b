"""What a profile reads of a message, as a type: nothing else becomes an object.

The paths of a profile are an allow-list. Made into a type for the decoder they keep an
image, a coordinate or a password that a sensor sends from ever being decoded; and what
is not built need not be paid for, which is most of an uplink.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

import msgspec

EACH: Final = "[*]"
"""The items of a list; also the values of a table of which no key is named."""

# With keys and items that are known at run time alone, which no checker can follow.
_typed: Any = TypedDict
_table: Any = dict
_list: Any = list
_SCALARS: Any = None | bool | int | float | str
_LEAF: Any = _SCALARS | list[msgspec.Raw] | dict[str, msgspec.Raw]
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
        if not self._below:
            return _LEAF
        below = {step: shape.type() for step, shape in self._below.items()}
        item = below.pop(EACH, msgspec.Raw)
        table = _typed("Table", below, total=False) if below else _table[str, item]
        return table | _list[item] | _SCALARS

    def reads(self, step: str) -> Shape | None:
        """Return the place one step further; None where nothing is read there."""
        found = self._below.get(step)
        return self._below.get(EACH) if found is None and not self.named else found

    @property
    def whole(self) -> bool:
        """Whether the value itself is read, and not what is below it."""
        return not self._below

    @property
    def named(self) -> bool:
        """Whether keys are read by name here, so that `[*]` can mean lists alone."""
        return any(step != EACH for step in self._below)
