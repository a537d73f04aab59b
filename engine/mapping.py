"""What `livefloor map` says: what a message becomes, and which fields nobody used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from rich import box
from rich.table import Table

from engine.errors import InputError, UnknownValue
from engine.ingest.formats import find, names, reason_of
from engine.ingest.formats.profile.shape import EACH
from engine.ingest.formats.wire import SENSOR_PAST_MS
from engine.model import ReadingFlag, ReadingKind
from engine.site import premises
from engine.space import BOUND_AS, WORD_OF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from engine.config import Config
    from engine.ingest.formats import Format
    from engine.ingest.formats.profile.shape import Shape
    from engine.model import Reading

MAX_SHOWN = 40
"""Fields that nobody used; the rest is a number."""

MAX_NAMED = 12
"""Keys that are named of a table that nobody used."""


class Meaning(NamedTuple):
    """What a format makes of a message.

    Attributes:
        form: The format.
        readings: Of records about nobody.
        people: Of each record about a person, the names of what would be decoded.
        strange: Values that have no meaning, by where they are.
        refusal: Why it is refused, in words that hold nothing of it; None: it is not.
        now_ms: When it was read, as if it came just then.
    """

    form: Format
    readings: list[Reading]
    people: list[str]
    strange: list[str]
    refusal: str | None
    now_ms: int

    @property
    def claims(self) -> bool:
        """Whether the format has something to say of the message."""
        return self.refusal is None and bool(self.readings or self.people)


def candidates(name: str | None) -> list[Format]:
    """Return the format of a name, or all of them.

    Raises:
        ConfigError: There is no format of this name, or its profile has a mistake.
    """
    return [find(name) for name in ([name] if name else names())]


def meaning(form: Format, payload: bytes, topic: str, now_ms: int) -> Meaning:
    """Return what a format makes of a message, as the engine would of its source."""
    if form.fresh is not None:
        form = form.fresh()
    refused: list[Exception] = []
    records, topics = form.split([payload], [topic], refused.append)
    readings: list[Reading] = []
    people: list[str] = []
    identities = (
        [None] * len(records)
        if form.identify is None
        else form.identify(records, topics, now_ms, refused.append)
    )
    for record, whose, one in zip(records, topics, identities, strict=True):
        known = [] if one is None else [k for k, v in _set(one) if v is not None]
        if known and form.observe is not None:
            (seen,) = form.observe([record], [whose], now_ms, refused.append)
            fields = [] if seen is None else [name for name, _ in _set(seen)]
            kind = "nothing" if seen is None else seen.kind
            people.append(f"{', '.join(known)} → {kind}: {', '.join(fields)}")
        elif not known and form.read is not None:
            (found,) = form.read([record], [whose], now_ms, refused.append)
            readings += found or ()
    strange = [str(error) for error in refused if isinstance(error, UnknownValue)]
    fatal = [error for error in refused if not isinstance(error, UnknownValue)]
    why = _why(fatal[0]) if fatal else None
    return Meaning(form, readings, people, strange, why, now_ms)


def _set(thing: msgspec.Struct) -> Iterator[tuple[str, object]]:
    """Yield the fields that say something."""
    for name in thing.__struct_fields__:
        value = getattr(thing, name)
        if value not in (None, "", 0):
            yield name, value


def _why(error: Exception) -> str:
    # The decoder's own words may hold parts of the message.
    told = str(error) if isinstance(error, InputError) else "not what the format reads"
    return f"{told} ({reason_of(error)})"


def show(
    meant: Meaning,
    payload: bytes,
    out: Console,
    bound: dict[tuple[str, ...], str] | None,
) -> None:
    """Print what a format makes of a message.

    Args:
        meant: The meaning.
        payload: The message.
        out: Where to print.
        bound: The space of each device, channel and kind; None: nobody asked.
    """
    out.print(f"format {meant.form.name}", markup=False)
    if meant.readings:
        out.print(_table(meant, bound))
    for about in meant.people:
        out.print(f"about a person: {about}", markup=False, soft_wrap=True)
    if meant.people:
        out.print("nothing of it is decoded unless that person has opted in")
    for strange in dict.fromkeys(meant.strange):
        out.print(f"unknown: {strange}", markup=False, soft_wrap=True)
    if meant.form.shape is not None:
        _show_unused(list(dict.fromkeys(unused(payload, meant.form.shape))), out)


def _show_unused(fields: Sequence[str], out: Console) -> None:
    if not fields:
        out.print("every field is used")
        return
    out.print("fields that nobody used:")
    for field in fields[:MAX_SHOWN]:
        out.print(f"  {field}", markup=False, soft_wrap=True)
    if len(fields) > MAX_SHOWN:
        out.print(f"  and {len(fields) - MAX_SHOWN} more")


_STATES: Final = {
    ReadingKind.PRESENCE: {1: "occupied", 0: "vacant", -1: "unknown"},
    ReadingKind.CONTACT: {1: "open", 0: "closed", -1: "unknown"},
    ReadingKind.HEALTH: {1: "online", 0: "offline", -1: "faulty"},
    ReadingKind.COUNT: {-1: "unknown"},
}


def _table(meant: Meaning, bound: dict[tuple[str, ...], str] | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    columns = ["device", "channel", "kind", "value", "time (UTC)"]
    for name in columns if bound is None else [*columns, "space"]:
        table.add_column(name, overflow="fold")
    for one in meant.readings:
        row = [
            one.device,
            one.channel,
            one.kind.name.lower(),
            value_in_words(one),
            _time(one, meant.now_ms),
        ]
        if bound is not None:
            word = WORD_OF[one.kind]
            space = bound.get((one.device, one.channel, word), "not bound")
            row.append(space if word in BOUND_AS else "")
        table.add_row(*row)
    return table


def value_in_words(one: Reading) -> str:
    """Return what a reading says, for people."""
    if one.kind in (ReadingKind.FLOW_DELTA, ReadingKind.FLOW_TOTAL):
        wraps = f", wraps after {one.bits} bits" if one.bits else ""
        return f"{one.value} in, {one.out} out{wraps}"
    if one.metric is not None:
        name, _, unit = one.metric.value.rpartition("_")
        return f"{name} {one.value / 1000:g} {unit}"
    return _STATES.get(one.kind, {}).get(one.value, str(one.value))


def _time(one: Reading, now_ms: int) -> str:
    if one.observed_at_ms <= now_ms - SENSOR_PAST_MS:
        told = "a week ago, or more"
    else:
        moment = datetime.fromtimestamp(one.observed_at_ms / 1000, UTC)
        told = moment.strftime("%Y-%m-%d %H:%M:%S")
    flags = [flag.name.lower() for flag in ReadingFlag if one.flags & flag]
    return " ".join([told, *flags])


def unused(payload: bytes, shape: Shape) -> Iterator[str]:
    """Yield the fields of a message that a profile does not name, and their types."""
    try:
        body = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    yield from _unused(body, shape, "")


def _unused(value: object, shape: Shape, path: str) -> Iterator[str]:
    if shape.whole:
        return
    if isinstance(value, dict):
        below = [(f"{path}.{key}".lstrip("."), str(key), v) for key, v in value.items()]
    elif isinstance(value, list):
        below = [(f"{path}[*]", EACH, one) for one in value]
    else:
        return
    for name, step, one in below:
        further = shape.reads(step)
        if further is None:
            yield f"{name} ({_type(one)})"
        else:
            yield from _unused(one, further, name)


def _type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case list():
            return f"list of {len(value)}"
        case dict():
            names = ", ".join(list(value)[:MAX_NAMED])
            more = ", …" if len(value) > MAX_NAMED else ""
            return f"table of {names}{more}" if names else "empty table"
        case _:
            return "number"


def bindings(config: Config, name: str) -> dict[tuple[str, ...], str]:
    """Return the space of each device, channel and `WORD_OF` a kind, for a format.

    Raises:
        ConfigError: A file that the configuration names does not fit.
    """
    found: dict[tuple[str, ...], str] = {}
    for tenant in config.tenants:
        ours = {
            source.name for source in tenant.sources if find(source.format).name == name
        }
        there = premises(config, tenant)
        for one in there.bindings:
            if one.source in ours:
                key = one.device, one.channel, WORD_OF[one.kind]
                found[key] = there.plan.spaces[one.space].id
    return found


def claimed(meanings: Sequence[Meaning], topic: str) -> Meaning | str:
    """Return the meaning to whom the message means most, or why it means nothing."""
    hint = "" if topic else "; if it came by MQTT, give its --topic"
    claims = [one for one in meanings if one.claims]
    if claims:
        return max(claims, key=lambda one: len(one.readings) + len(one.people))
    if len(meanings) == 1:
        (only,) = meanings
        return (
            f"{only.form.name}: {only.refusal or 'it says nothing that is read'}{hint}"
        )
    return (
        f"no format knows this message{hint}; `livefloor map suggest` drafts a profile"
    )
