"""What each vendor's bytes mean: one file each, bytes → observations or readings.

A format is a row of pure functions in `FORMATS`. They do no I/O, keep nothing between
two calls, and take the time as an argument. To add one, write its file, add its row,
and put samples of it under `tests/ingest/formats/samples/`.

How the pipeline uses a row, and why in this order:

1. `split` refuses a payload over `max_bytes` before anything looks at it, and
2. splits a batch into `records`, which stay encoded.
3. `identify` decodes who a record is about, *and nothing else of it*: of someone who
   has not opted in no other field ever becomes an object. It is also the fastest way.
4. Only for someone who opted in, `observe` decodes the rest.
5. A record about nobody (both fields of the identity None, or no `identify`) goes to
   `read`; where the format has none, it ends there.

Whatever a function raises is in `REFUSALS`; `reason_of` names it for a metric. The
decoder's own errors are among them, since wrapping each call costs a fifth of the hot
path. None of their texts may be shown: use the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from engine.errors import InputError, Malformed, TooLarge
from engine.ingest.formats import chirpstack4, livefloor, radius, zigbee2mqtt
from engine.ingest.formats.wire import FUTURE_MS, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.model import Identity, Observation, Reading

__all__ = [
    "FORMATS",
    "FUTURE_MS",
    "REFUSALS",
    "Format",
    "Record",
    "base_of",
    "reason_of",
]

REFUSALS: Final[tuple[type[Exception], ...]] = (
    InputError,
    msgspec.DecodeError,  # also ValidationError, which is one
    RecursionError,  # too deep; msgspec passes the interpreter's own error on
    UnicodeDecodeError,  # text that is not UTF-8; msgspec passes this on, too
)
"""Everything that a function of a format may raise, whatever the bytes are."""


@dataclass(frozen=True, slots=True)
class Format:
    """What the bytes of a source mean.

    Attributes:
        name: As in the configuration of a source.
        max_bytes: A larger payload is refused before any other function sees it.
        records: Splits a message into records, bounded; None: a message is one record.
        identify: Decodes the identity alone. None: the format is about no person. Both
            fields None: the record is about nobody.
        observe: Decodes the rest of a record about a person who opted in; `now_ms` is
            the time of receipt. None where `identify` is.
        read: Decodes a record about nobody; gets the topic after the source's base
            (see `base_of`) and the time of receipt. None: the format has no readings.
            `ReadingFlag.RETAINED` is for the link to add: only it knows.
    """

    name: str
    max_bytes: int
    records: Callable[[bytes], Sequence[Record]] | None = None
    identify: Callable[[Record], Identity] | None = None
    observe: Callable[[Record, int], Sequence[Observation]] | None = None
    read: Callable[[Record, str, int], Sequence[Reading]] | None = None

    def split(self, payload: bytes) -> Sequence[Record]:
        """Return the records of a message: one, or those of a batch.

        Raises:
            TooLarge: Over `max_bytes`, or more records than the format allows.
            Exception: Any other of `REFUSALS`.
        """
        if len(payload) > self.max_bytes:
            raise TooLarge(f"a message of this format has at most {self.max_bytes} B")
        return (payload,) if self.records is None else self.records(payload)


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        row.name: row
        for row in (
            Format(
                "chirpstack4",
                max_bytes=chirpstack4.MAX_BYTES,
                read=chirpstack4.read,
            ),
            Format(
                "livefloor",
                max_bytes=livefloor.MAX_BYTES,
                records=livefloor.records,
                identify=livefloor.identify,
                observe=livefloor.observe,
                read=livefloor.read,
            ),
            Format(
                "radius",
                max_bytes=radius.MAX_BYTES,
                identify=radius.identify,
                observe=radius.observe,
            ),
            Format(
                "zigbee2mqtt",
                max_bytes=zigbee2mqtt.MAX_BYTES,
                read=zigbee2mqtt.read,
            ),
        )
    }
)


def reason_of(refusal: BaseException) -> str:
    """Return the label under which a refusal is counted: one of a few, never a text."""
    return refusal.reason if isinstance(refusal, InputError) else Malformed.reason


def base_of(topic_filter: str) -> str:
    """Return the base of a source: what all topics of its MQTT filter begin with.

    These are the levels before the first wildcard, with the "/" behind them; of a
    filter without one, all but the last level. The `$share/{group}/` of a shared
    subscription is not part of any topic. `Format.read` gets the topic without it.

    >>> base_of("zigbee2mqtt/#"), base_of("$share/a/site/z2m/#"), base_of("z2m/hall")
    ('zigbee2mqtt/', 'site/z2m/', 'z2m/')
    """
    levels = topic_filter.split("/")
    if levels[0] == "$share":
        levels = levels[2:]
    literal = levels[:-1]
    for position, level in enumerate(levels):
        if level in ("+", "#"):
            literal = levels[:position]
            break
    return "".join(f"{level}/" for level in literal)
