"""What each vendor's bytes mean: one file each, bytes → observations or readings.

A format is a row of pure functions in `FORMATS`. They do no I/O, keep nothing between
two calls, and take the time as an argument. To add one, write its file, add its row,
and put samples of it under `tests/ingest/formats/samples/`.

Some sources say once what a value means and send bare values ever after. Their formats
remember what was said, bounded, and no value: such a row is `fresh` for each source.

How the pipeline uses a row, and why in this order:

1. `split` refuses a payload over `max_bytes` before anything looks at it, and
2. splits a batch into `records`, which stay encoded.
3. `identify` decodes who a record is about, *and nothing else of it*: of someone who
   has not opted in no other field ever becomes an object. It is also the fastest way.
4. Only for someone who opted in, `observe` decodes the rest.
5. A record about nobody (both fields of the identity None, or no `identify`) goes to
   `restart` and `read`; where the format has neither, it ends there.

Each function takes all records that one chunk brought for a source, since a call for
each costs more than most of what it does. A format that is not in a hurry writes a
function of one record and lifts it by `wire.each`.

Whatever a function refuses with is in `REFUSALS`; `reason_of` names it for a metric.
The decoder's own errors are among them. None of their texts may be shown: use the
reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from engine.errors import ConfigError, InputError, Malformed, TooLarge
from engine.ingest.formats import (
    aruba_ale,
    cisco_spaces,
    cmx,
    ha_discovery,
    hostapd,
    livefloor,
    meraki,
    mist,
    radius,
    sparkplug,
    unifi,
    zigbee2mqtt,
)
from engine.ingest.formats.profile import library
from engine.ingest.formats.wire import FUTURE_MS, REFUSALS, Batch, Record, each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.ingest.formats.profile.compiler import Compiled
    from engine.ingest.formats.profile.shape import Shape
    from engine.ingest.formats.wire import Refuse
    from engine.model import Identity, Observation, Reading, Restart

__all__ = [
    "FORMATS",
    "FUTURE_MS",
    "REFUSALS",
    "Format",
    "Record",
    "base_of",
    "find",
    "names",
    "reason_of",
]


@dataclass(frozen=True, slots=True)
class Format:
    """What the bytes of a source mean.

    Attributes:
        name: As in the configuration of a source.
        max_bytes: A larger payload is refused before any other function sees it.
        records: Splits a message into records, bounded; may raise any of `REFUSALS`.
            None: a message is one record.
        identify: Decodes the identities alone. None: the format is about no person.
            Both fields None: the record is about nobody.
        quick: Decodes the identity of a message that is one plain record, or raises any
            of `REFUSALS`; the message is then taken the long way. Nothing but speed
            depends on it.
        observe: Decodes the rest of records about people who opted in. None where
            `identify` is.
        read: Decodes records about nobody. None: the format has no readings.
            `ReadingFlag.RETAINED` is for the pipeline to add.
        restart: Decodes of records about nobody which access server restarted. None:
            the format tells of none.
        binds: A record that names both vouches that the device is the login's.
        verify: How its webhooks prove who sends them, unless the source says otherwise.
        answer: The HTTP status that its sender expects of success.
        resume: Of a stream that can be replayed: the parameter of the request that says
            from when on, in milliseconds, and the key of a message that says when it
            was sent.
        fresh: Of a format that remembers between two calls: gives a new one, for one
            source alone.
        whole: Its functions get whole topics, since messages name topics of others.
        shape: Of a profile: what of a message it reads.
    """

    name: str
    max_bytes: int
    records: Callable[[bytes], Sequence[Record]] | None = None
    identify: Batch[Identity | None] | None = None
    quick: Callable[[bytes], Identity] | None = None
    observe: Batch[Observation | None] | None = None
    read: Batch[Sequence[Reading] | None] | None = None
    restart: Batch[Restart | None] | None = None
    binds: bool = False
    verify: str = "secret"
    answer: int = 204
    resume: tuple[str, str] | None = None
    fresh: Callable[[], Format] | None = None
    whole: bool = False
    shape: Shape | None = None

    def fit(self, payloads: Sequence[bytes]) -> bool:
        """Return whether no payload is over the limit."""
        return max(map(len, payloads), default=0) <= self.max_bytes

    def split(
        self, payloads: Sequence[bytes], topics: Sequence[str], refuse: Refuse
    ) -> tuple[Sequence[Record], Sequence[str]]:
        """Return the records of messages, and the topic of each.

        A message is refused that is over `max_bytes`, has more records than the format
        allows, or cannot be split.
        """
        if self.records is None and self.fit(payloads):
            return payloads, topics
        records: list[Record] = []
        whose: list[str] = []
        for payload, topic in zip(payloads, topics, strict=True):
            try:
                found = self._split(payload)
            except REFUSALS as error:
                refuse(error)
                continue
            records += found
            whose += [topic] * len(found)
        return records, whose

    def _split(self, payload: bytes) -> Sequence[Record]:
        if len(payload) > self.max_bytes:
            raise TooLarge(f"a message of this format has at most {self.max_bytes} B")
        return (payload,) if self.records is None else self.records(payload)


def _remembering(
    name: str,
    max_bytes: int,
    remember: Callable[[], Batch[Sequence[Reading] | None]],
    *,
    whole: bool = False,
) -> Format:
    """Return a format whose `read` is made by `remember`, with an empty memory."""

    def fresh() -> Format:
        return Format(
            name, max_bytes=max_bytes, read=remember(), fresh=fresh, whole=whole
        )

    return fresh()


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        row.name: row
        for row in (
            Format(
                "aruba-ale",
                max_bytes=aruba_ale.MAX_BYTES,
                records=aruba_ale.records,
                identify=each(aruba_ale.identify),
                observe=each(aruba_ale.observe),
                binds=True,
            ),
            Format(
                "cisco-spaces",
                max_bytes=cisco_spaces.MAX_BYTES,
                identify=each(cisco_spaces.identify),
                observe=each(cisco_spaces.observe),
                read=each(cisco_spaces.read),
                resume=cisco_spaces.RESUME,
            ),
            Format(
                "cmx",
                max_bytes=cmx.MAX_BYTES,
                records=cmx.records,
                identify=each(cmx.identify),
                observe=each(cmx.observe),
            ),
            _remembering(
                "ha-discovery",
                ha_discovery.MAX_BYTES,
                lambda: each(ha_discovery.Memory().read),
                whole=True,
            ),
            Format(
                "hostapd",
                max_bytes=hostapd.MAX_BYTES,
                records=hostapd.records,
                identify=each(hostapd.identify),
                observe=each(hostapd.observe),
                restart=each(hostapd.restart),
            ),
            Format(
                "livefloor",
                max_bytes=livefloor.MAX_BYTES,
                records=livefloor.records,
                identify=each(livefloor.identify),
                quick=livefloor.quick,
                observe=livefloor.observe,
                read=each(livefloor.read),
            ),
            Format(
                "meraki",
                max_bytes=meraki.MAX_BYTES,
                records=meraki.records,
                identify=each(meraki.identify),
                observe=each(meraki.observe),
                verify="meraki",
                answer=200,
            ),
            Format(
                "mist",
                max_bytes=mist.MAX_BYTES,
                records=mist.records,
                identify=each(mist.identify),
                observe=each(mist.observe),
                read=each(mist.read),
                binds=True,
                verify="mist",
                answer=200,
            ),
            Format(
                "radius",
                max_bytes=radius.MAX_BYTES,
                records=radius.records,
                identify=each(radius.identify),
                observe=each(radius.observe),
                binds=True,
                restart=each(radius.restart),
            ),
            _remembering(
                "sparkplug",
                sparkplug.MAX_BYTES,
                lambda: sparkplug.Memory().read,
                whole=True,
            ),
            Format(
                "unifi",
                max_bytes=unifi.MAX_BYTES,
                records=unifi.records,
                identify=each(unifi.identify),
                observe=each(unifi.observe),
            ),
            _remembering(
                "zigbee2mqtt",
                zigbee2mqtt.MAX_BYTES,
                lambda: each(zigbee2mqtt.Memory().read),
            ),
        )
    }
)


def names() -> list[str]:
    """Return the names of all formats: in Python, and of shipped profiles."""
    return sorted({*FORMATS, *library.shipped()})


def find(name: str) -> Format:
    """Return a format by its name, or by the path of an operator's own profile.

    A profile of one's own is read anew each time.

    Args:
        name: Of a row of `FORMATS` or a shipped profile; or a path that ends in
            `.toml`.

    Raises:
        ConfigError: There is none, or the profile has a mistake: says the line, and
            what to write instead.
    """
    if name.endswith(library.SUFFIX):
        return _of_profile(Path(name).stem, library.load_file(Path(name)))
    row = FORMATS.get(name)
    if row is not None:
        return row
    known = names()
    if name in known:
        return _shipped(str(name))  # a plain one, whatever the caller's type is
    near = get_close_matches(name, known, 3)
    meant = f", perhaps {' or '.join(map(repr, near))}" if near else ""
    raise ConfigError(
        f"there is no format {name!r}{meant}; write one of {', '.join(known)}, or the "
        f"path of your own profile, which ends in {library.SUFFIX}"
    )


@cache
def _shipped(name: str) -> Format:
    return _of_profile(name, library.load_shipped(name))


def _of_profile(name: str, compiled: Compiled) -> Format:
    table = compiled.table
    return Format(
        name,
        max_bytes=table.max_bytes,
        read=compiled.read,
        verify=table.verify,
        answer=table.answer,
        whole=True,
        shape=compiled.shape,
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
