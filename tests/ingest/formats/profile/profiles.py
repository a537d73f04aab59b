"""A profile from its text, and what it makes of a message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import UnknownValue
from engine.ingest.formats.profile.library import load_text
from tests.ingest.formats.golden import NOW_MS

if TYPE_CHECKING:
    from engine.model import Reading


class Made(NamedTuple):
    """What a profile made of a message.

    Attributes:
        readings: None: it was refused.
        refused: With what.
        strange: How many values had no meaning.
    """

    readings: list[Reading] | None
    refused: list[Exception]
    strange: int

    @property
    def rows(self) -> list[tuple[str, str, int]]:
        """Channel, kind and value of each reading."""
        found = self.readings or ()
        return [(one.channel, one.kind.name, one.value) for one in found]


def made(text: str, body: object, topic: str = "") -> Made:
    """Return what a profile makes of a body, which is encoded unless it is bytes."""
    if "about" not in text:
        text = f'about = "a"\n{text}'
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    refused: list[Exception] = []
    (found,) = load_text(text, "p.toml").read(
        [payload], [topic], NOW_MS, refused.append
    )
    strange = [error for error in refused if isinstance(error, UnknownValue)]
    fatal = [error for error in refused if not isinstance(error, UnknownValue)]
    return Made(None if found is None else list(found), fatal, len(strange))


def value(rule: str, body: object) -> list[tuple[str, str, int]]:
    """Return what one reading makes of a body of the device d."""
    return made(f'device = "d"\n[[rule]]\nreading = [{{ {rule} }}]', body).rows
