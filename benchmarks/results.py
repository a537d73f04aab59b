"""What a measurement gives back."""

from __future__ import annotations

from typing import NamedTuple


class Result(NamedTuple):
    """A figure, and what it was made of.

    Attributes:
        value: The figure, in the unit of its name.
        details: What helps to read it: rates, rounds, parts.
    """

    value: float
    details: dict[str, object]
