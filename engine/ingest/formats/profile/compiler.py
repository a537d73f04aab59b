"""A profile → one function: records in, readings out.

A rule becomes a chain of visits, from the message inwards: does the topic fit, go to
the place, for each item there, do the tests hold, who and when is it about; and at the
end of the chain stand the readings. Rules at the same place share a chain, and its end
looks at the keys that the item has, not at all readings that it might: a device sends
two or three of the hundred fields that a family of devices knows.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from engine.errors import Malformed, TooLarge
from engine.ingest.formats.profile.clock import clock
from engine.ingest.formats.profile.language import Profile, Rule, Scope
from engine.ingest.formats.profile.path import MISSING, Flaw, Names, Value, topic
from engine.ingest.formats.profile.question import some
from engine.ingest.formats.profile.reading import (
    Make,
    Mark,
    Run,
    Visit,
    keys_of,
    make_reading,
    named,
)
from engine.ingest.formats.profile.scope import Wrap, flags_of, who_of, wraps
from engine.ingest.formats.profile.shape import Shape
from engine.ingest.formats.wire import HEALTH, REFUSALS, Batch, sensor_time
from engine.model import Reading, ReadingFlag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.ingest.formats.profile.clock import Clock
    from engine.ingest.formats.profile.path import Get, Give, Match
    from engine.ingest.formats.profile.question import Ask
    from engine.ingest.formats.wire import Record, Refuse

MAX_READINGS = 4096
"""Readings that a profile may describe, each repetition counted."""
MAX_INCLUDES = 4
"""Files in files."""
MAX_SCALAR_BYTES = 256
"""Of a body that is plain text."""

_BACKFILL = int(ReadingFlag.BACKFILL)

Place: TypeAlias = "tuple[str | int, ...]"
"""The way to a table or key of the file."""


class Source(NamedTuple):
    """A profile as it was written.

    Attributes:
        name: Of the file, for errors.
        text: The file, to find lines in.
        table: What it holds.
    """

    name: str
    text: str
    table: Profile


class Misplaced(Exception):
    """A flaw, and the place of the file that it is in."""

    def __init__(self, source: Source, place: Place, problem: str) -> None:
        super().__init__(problem)
        self.source = source
        self.place = place


class Compiled(NamedTuple):
    """What a profile does.

    Attributes:
        table: The profile.
        read: As `Format.read`.
        shape: What of a message is read.
    """

    table: Profile
    read: Batch[Sequence[Reading] | None]
    shape: Shape


class _Placed(NamedTuple):
    """A rule, the includes around it, and where it is written."""

    scopes: tuple[Scope, ...]
    rule: Rule
    source: Source
    place: Place


def compile_profile(source: Source, fetch: Callable[[str, Source], Source]) -> Compiled:
    """Compile a profile.

    Args:
        source: The profile.
        fetch: Gives the profile of a name that another includes.

    Raises:
        Misplaced: A text in it, or in what it includes, cannot be used.
    """
    shape = Shape()
    names = Names(shape)
    names.add("$topic")
    table = source.table
    ends: dict[tuple[Scope, ...], list[_Placed]] = {}
    for placed in _placed(source, fetch):
        ends.setdefault(placed.scopes, []).append(placed)
    try:
        match = None if table.topic is None else topic(table.topic, names)
        who = who_of(table.device, table.device_as, names)
        when = clock(table, names)
        flags = flags_of(table.flags, names)
        passed, refused = some(table.passed, names), some(table.refused, names)
    except Flaw as flaw:
        raise Misplaced(source, (), str(flaw)) from None
    slots = [len(names.slots)]
    visits = [_visit(scopes, rules, names, slots) for scopes, rules in ends.items()]
    return Compiled(
        table,
        _batch(
            table,
            _decoder(table, shape),
            _reader(
                visits,
                _Start(match, who, when, flags, passed, refused),
                slots=max(slots),
                strict=table.otherwise == "refuse",
            ),
        ),
        shape,
    )


def _placed(
    source: Source,
    fetch: Callable[[str, Source], Source],
    outer: tuple[Scope, ...] = (),
) -> Iterator[_Placed]:
    """Yield all rules, those of includes first, repeated as they say."""
    budget = MAX_READINGS
    for number, include in enumerate(source.table.includes):
        if len(outer) == MAX_INCLUDES:
            problem = f"profiles include each other more than {MAX_INCLUDES} deep"
            raise Misplaced(source, ("include", number), problem)
        fetched = fetch(include.profile, source)
        yield from _placed(fetched, fetch, (*outer, _scope(include)))
    for number, rule in enumerate(source.table.rules):
        place = ("rule", number)
        try:
            repeated = list(_repeated(rule))
        except Flaw as flaw:
            raise Misplaced(source, place, str(flaw)) from None
        budget -= sum(len(one.readings) for one in repeated)
        if budget < 0:
            problem = f"the rules describe more than {MAX_READINGS} readings"
            raise Misplaced(source, place, problem)
        for one in repeated:
            yield _Placed((*outer, _scope(one)), one, source, place)


def _scope(scope: Scope) -> Scope:
    return Scope(**{name: getattr(scope, name) for name in Scope.__struct_fields__})


def _repeated(rule: Rule) -> Iterator[Rule]:
    """Yield a rule once for every combination of what it repeats with."""
    if not rule.each:
        yield rule
        return
    choices = [_choices(values) for values in rule.each.values()]
    plain = msgspec.to_builtins(rule)
    del plain["for"]
    for chosen in product(*choices):
        marks = {f"{{${n}}}": v for n, v in zip(rule.each, chosen, strict=True)}
        yield msgspec.convert(_filled(plain, marks), Rule, strict=False)


def _choices(values: str | tuple[int | str, ...]) -> list[str]:
    if not isinstance(values, str):
        return [str(value) for value in values]
    first, dots, last = values.partition("..")
    if not (dots and first.isdecimal() and last.isdecimal() and len(last) < 4):  # noqa: PLR2004
        raise Flaw(f'{values!r} is no range: write "1..16", or a list')
    return [str(number) for number in range(int(first), int(last) + 1)]


def _filled(plain: Value, marks: dict[str, str]) -> Value:
    """Return plain data with every mark in every text replaced."""
    if isinstance(plain, dict):
        return {key: _filled(value, marks) for key, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [_filled(value, marks) for value in plain]
    if isinstance(plain, str):
        for mark, value in marks.items():
            plain = plain.replace(mark, value)
    return plain


def _visit(
    scopes: tuple[Scope, ...], rules: list[_Placed], outer: Names, slots: list[int]
) -> Visit:
    """Compile a chain of scopes with the readings at its end."""
    names = outer.child()
    way: list[Wrap] = []
    first = rules[0]
    try:
        for scope in scopes:
            way += wraps(scope, names)
    except Flaw as flaw:
        raise Misplaced(first.source, first.place, str(flaw)) from None
    visit = _end(rules, names)
    slots.append(len(names.slots))
    for wrap in reversed(way):
        visit = wrap(visit)
    return visit


def _end(rules: list[_Placed], names: Names) -> Visit:
    """Compile the readings of rules at one place: by the keys that they look at."""
    by_key: dict[str, list[tuple[int, Make]]] = {}
    always: list[tuple[int, Make]] = []
    for number, (keys, make) in enumerate(_made(rules, names)):
        for key in keys:
            by_key.setdefault(key, []).append((number, make))
        if not keys:
            always.append((number, make))
    return _looking(by_key, always, alive=any(placed.rule.alive for placed in rules))


def _looking(
    by_key: dict[str, list[tuple[int, Make]]],
    always: list[tuple[int, Make]],
    *,
    alive: bool,
) -> Visit:
    look = by_key.get

    def visit(item: Value, run: Run, mark: Mark) -> None:
        run.claimed = True
        if alive:
            run.alive[named(mark.device)] = mark.at_ms
        hits = always
        if item.__class__ is dict:
            for key in item:
                found = look(key)
                if found is not None:
                    hits = hits + found if hits else found
        if len(hits) > 1:
            hits = sorted(set(hits))  # in the order of the profile, each once
        for _, make in hits:
            reading = make(item, run, mark)
            if reading is not None:
                run.found.append(reading)

    return visit


def _made(rules: list[_Placed], names: Names) -> Iterator[tuple[set[str], Make]]:
    """Yield the readings of rules, each with the keys of which it needs one."""
    for placed in rules:
        for index, wanted in enumerate(placed.rule.readings):
            try:
                yield keys_of(wanted), make_reading(wanted, names)
            except Flaw as flaw:
                place = (*placed.place, "reading", index)
                raise Misplaced(placed.source, place, str(flaw)) from None


class _Start(NamedTuple):
    """What a profile says of the whole message."""

    match: Match | None
    who: Give | None
    when: Clock | None
    flags: Get | None
    passed: Ask | None
    refused: Ask | None


Read: TypeAlias = "Callable[[Value, str, int, Refuse], list[Reading]]"


def _reader(visits: list[Visit], start: _Start, *, slots: int, strict: bool) -> Read:
    match, who, when, flags, passed, refused = start
    blank = [MISSING] * (slots - 2)

    def read(root: Value, name: str, now_ms: int, refuse: Refuse) -> list[Reading]:
        known = [root, name, *blank]
        if match is not None and not match(name, known):
            return unclaimed()
        if passed is not None and passed(root, known):
            return []
        if refused is not None and refused(root, known):
            raise Malformed("the profile refuses this kind of message")
        run = Run(known, now_ms, refuse)
        mark = Mark(
            None if who is None else who(root, known),
            sensor_time(None if when is None else when(root, known), now_ms),
            0 if flags is None else flags(root, known),
        )
        for visit in visits:
            visit(root, run, mark)
        if run.alive:
            run.found += _lives(run)
        return run.found if run.claimed else unclaimed()

    def unclaimed() -> list[Reading]:
        if strict:
            raise Malformed("no rule of the profile is about this message")
        return []

    return read


def _lives(run: Run) -> list[Reading]:
    """Return that devices are online of which nothing else is known now."""
    heard = {one.device for one in run.found if not one.flags & _BACKFILL}
    alive = run.alive.items()
    return [Reading(name, HEALTH, 1, at) for name, at in alive if name not in heard]


def _decoder(table: Profile, shape: Shape) -> Callable[[Record], Value]:
    if table.body == "text":
        return _text
    decode = msgspec.json.Decoder(shape.type()).decode
    if table.body == "json":
        return decode

    def either(record: Record) -> Value:
        try:
            return decode(record)
        except msgspec.DecodeError:
            if len(bytes(record)) > MAX_SCALAR_BYTES:
                raise
            return _text(record)

    return either


def _text(record: Record) -> str:
    body = bytes(record)
    if len(body) > MAX_SCALAR_BYTES:
        raise TooLarge(f"a plain text has at most {MAX_SCALAR_BYTES} B")
    return body.decode().strip()


def _batch(
    table: Profile, decode: Callable[[Record], Value], read: Read
) -> Batch[Sequence[Reading] | None]:
    silent = table.body != "json"

    def batch(
        records: Sequence[Record], topics: Sequence[str], now_ms: int, refuse: Refuse
    ) -> list[Sequence[Reading] | None]:
        found: list[Sequence[Reading] | None] = []
        for record, name in zip(records, topics, strict=True):
            try:
                if silent and not bytes(record):
                    found.append(())  # a retained message was cleared
                    continue
                found.append(read(decode(record), name, now_ms, refuse))
            except REFUSALS as error:
                refuse(error)
                found.append(None)
        return found

    return batch
