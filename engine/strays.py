"""What a source brought that went nowhere: unbound sensors, dead letters, bounded.

It is for the operator alone, in memory, and says as little as mends a fault:

- A *dead letter* is a reason and the name of a field, never a value. Names come from
  our own sentences and from the types that a payload did not fit, never from a payload,
  where a key may be somebody's address. Of a format about people: the reason alone.
- An *unbound device* is a sensor that no binding names. What reads like a phone or a
  login is left out, should a source send what is none of a sensor.
- An *unknown access point* came with somebody who shares. Its name is kept, with the
  hour, and shown only where so many share that it says nothing about one of them. So
  are floors that no map is for, which `locate.coordinates` remembers.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from engine.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model import Reading, ReadingKind

MOST_UNBOUND = 1_000
MOST_LETTERS = 100
MOST_ACCESS_POINTS = 200
LONGEST = 200
"""Characters of a name or a sentence; a longer name is nobody's."""
HOUR_MS = 3_600_000
CROWD = 5
"""So many people share at least where unknown access points and floors are named."""

_PERSONAL = re.compile(
    r"@|(?<![0-9a-f])(?<![0-9a-f]{2}[:.-])"
    r"[0-9a-f][26ae](?:[:.-]?[0-9a-f]{2}){5}(?![:.-]?[0-9a-f])"
)
"""A login; or an address of 48 bits (not the end of a longer one) that is locally
administered, as phones draw it; wherever it stands in a name."""
_MISSING = re.compile(r"Object missing required field `([^`]*)`(?: - at `\$(.*)`)?")
_EXPECTED = re.compile(r"(Expected `[^`']*`)[^`']*(?:`[^`']*`)? - at `\$(.*)`")

K = TypeVar("K")
V = TypeVar("V")


class Unbound(msgspec.Struct):
    """A channel of a sensor that is bound to no space.

    Attributes:
        kinds: What it reported.
        number: In how many records.
        first_ms, last_ms: When, by our clock.
    """

    kinds: set[ReadingKind]
    number: int
    first_ms: int
    last_ms: int


class Letter(msgspec.Struct):
    """How often something was refused for a reason, and when last."""

    number: int
    last_ms: int


class Recent(OrderedDict[K, V], Generic[K, V]):
    """A mapping of bounded size, from the one that was longest left alone on."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def touch(self, key: K, new: V) -> V:
        """Return what is known under a key, `new` where nothing was; now the newest."""
        known = self.setdefault(key, new)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
        return known


class Strays:
    """What went nowhere of one source.

    Args:
        about_people: Whether its format is about people.

    Attributes:
        unbound: By device and channel.
        letters: By reason and detail, "" for none.
        access_points: By name: how often it was unknown, and the hour of the last time.
    """

    def __init__(self, *, about_people: bool) -> None:
        self._about_people = about_people
        self.unbound: Recent[tuple[str, str], Unbound] = Recent(MOST_UNBOUND)
        self.letters: Recent[tuple[str, str], Letter] = Recent(MOST_LETTERS)
        self.access_points: Recent[str, Letter] = Recent(MOST_ACCESS_POINTS)

    def hear(self, readings: Sequence[Reading], now_ms: int) -> None:
        """Note the readings of a record of which none is bound."""
        for device, channel in {(one.device, one.channel) for one in readings}:
            if len(device) + len(channel) > LONGEST:
                continue
            if _reads_like_a_person(device) or _reads_like_a_person(channel):
                continue
            kinds = {
                one.kind
                for one in readings
                if (one.device, one.channel) == (device, channel)
            }
            new = Unbound(set(), 0, now_ms, now_ms)
            known = self.unbound.touch((device, channel), new)
            known.kinds |= kinds
            known.number += 1
            known.last_ms = now_ms

    def refuse(self, error: BaseException, reason: str, now_ms: int) -> None:
        """Note that something was refused."""
        detail = "" if self._about_people else detail_of(error)
        letter = self.letters.touch((reason, detail), Letter(0, now_ms))
        letter.number += 1
        letter.last_ms = now_ms

    def miss(self, access_points: Iterable[str], now_ms: int) -> None:
        """Note access points that are in no table."""
        for name in access_points:
            if 0 < len(name) <= LONGEST:
                letter = self.access_points.touch(name, Letter(0, 0))
                letter.number += 1
                letter.last_ms = now_ms - now_ms % HOUR_MS

    def forget(self, bound: Iterable[tuple[str, str]]) -> None:
        """Take out what is bound now."""
        for one in bound:
            self.unbound.pop(one, None)


def detail_of(error: BaseException) -> str:
    """Return what an error tells of a payload without telling what was in it.

    A sentence of our own is made of names that the format knows. The decoder names the
    field and its type; what else it may say (an unknown key, a value that is none of
    an enumeration) is from the payload.
    """
    if isinstance(error, InputError):
        return str(error)[:LONGEST]
    if not isinstance(error, msgspec.ValidationError):
        return ""
    text = str(error)
    missing = _MISSING.fullmatch(text)
    if missing is not None:
        path = f"{missing[2] or ''}.{missing[1]}"
        return f"no field {path.removeprefix('.')}"[:LONGEST]
    wrong = _EXPECTED.fullmatch(text)
    if wrong is not None:
        return f"{wrong[2].removeprefix('.')}: {wrong[1]}"[:LONGEST]
    return ""


def _reads_like_a_person(name: str) -> bool:
    return _PERSONAL.search(name.lower()) is not None
