"""A profile → one function: records in, readings out.

A profile becomes a tree of visits, from the message inwards: does the topic fit, go to
the place, for each item there, do the tests hold, who and when is it about. Rules at
the same place share it, and a visit goes by the keys that the item has, not through all
that it might have: a device sends two or three of the hundred fields that a family of
devices knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from engine.errors import Malformed, TooLarge
from engine.ingest.formats.profile.clock import clock
from engine.ingest.formats.profile.path import MISSING, Flaw, Names, Value, parse, topic
from engine.ingest.formats.profile.question import some
from engine.ingest.formats.profile.reading import (
    Mark,
    Run,
    Visit,
    keys_of,
    make_reading,
    nameless,
)
from engine.ingest.formats.profile.rules import Misplaced, Placed, placed
from engine.ingest.formats.profile.scope import flags_of, who_of, wraps
from engine.ingest.formats.profile.shape import Shape
from engine.ingest.formats.wire import HEALTH, REFUSALS, Batch, sensor_time
from engine.model import Reading, ReadingFlag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.ingest.formats.profile.language import Profile, Scope
    from engine.ingest.formats.profile.path import Known, Match
    from engine.ingest.formats.profile.question import Ask
    from engine.ingest.formats.profile.rules import Fetch, Source
    from engine.ingest.formats.wire import Record, Refuse

MAX_SCALAR_BYTES = 256
"""Of a body that is plain text."""

_BACKFILL = int(ReadingFlag.BACKFILL)


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


class _Node:
    """A place that rules share.

    Attributes:
        rules: That end here.
        below: What goes on from here, by scope.
    """

    def __init__(self) -> None:
        self.rules: list[Placed] = []
        self.below: dict[Scope, _Node] = {}

    def add(self, rule: Placed) -> None:
        """Take a rule to its place."""
        node = self
        for scope in rule.scopes:
            node = node.below.setdefault(scope, _Node())
        node.rules.append(rule)

    @property
    def first(self) -> Placed:
        """Some rule that is here or below, to say where in the file this is."""
        return self.rules[0] if self.rules else next(iter(self.below.values())).first

    def only_lives(self, scope: Scope) -> bool:
        """Tell whether it says no more than that the message's device is alive."""
        reads = any(rule.rule.readings for rule in self.rules)
        return not (reads or self.below or scope.device is not None)


class _Step(NamedTuple):
    """A part of a visit, and the keys of which an item needs one; none: always."""

    keys: set[str]
    visit: Visit


def compile_profile(source: Source, fetch: Fetch) -> Compiled:
    """Compile a profile.

    Args:
        source: The profile.
        fetch: Finds what it includes.

    Raises:
        Misplaced: A text in it, or in what it includes, cannot be used.
    """
    shape = Shape()
    names = Names(shape)
    names.add("$topic")
    table = source.table
    try:
        start = _start(table, names)
    except Flaw as flaw:
        raise Misplaced(source, (), str(flaw)) from None
    root = _Node()
    for rule in placed(source, fetch):
        root.add(rule)
    lives = {
        scope: node for scope, node in root.below.items() if node.only_lives(scope)
    }
    for scope in lives:
        del root.below[scope]
    read = _reader(
        _visit(root, names),
        _together([_step(scope, node, names) for scope, node in lives.items()]),
        start,
        names,
        list if table.otherwise == "pass" else _unclaimed,
    )
    return Compiled(table, _batch(table, _decoder(table, shape), read), shape)


def _visit(node: _Node, names: Names) -> Visit:
    """Compile a place and all below."""
    steps = list(_readings(node.rules, names))
    steps += [_step(scope, below, names) for scope, below in node.below.items()]
    visit = _together(steps, claims=bool(node.rules))
    if any(placed.rule.alive for placed in node.rules):
        return _both(_living, visit) if steps else _living
    return visit


def _readings(rules: list[Placed], names: Names) -> Iterator[_Step]:
    for rule in rules:
        for index, wanted in enumerate(rule.rule.readings):
            try:
                yield _Step(keys_of(wanted), make_reading(wanted, names))
            except Flaw as flaw:
                place = (*rule.place, "reading", index)
                raise Misplaced(rule.source, place, str(flaw)) from None


def _step(scope: Scope, node: _Node, outer: Names) -> _Step:
    """Compile the way to a place, and the place."""
    names = outer.child()
    try:
        way = list(wraps(scope, names))
    except Flaw as flaw:
        raise Misplaced(node.first.source, node.first.place, str(flaw)) from None
    visit = _visit(node, names)
    for wrap in reversed(way):
        visit = wrap(visit)
    first = parse(scope.at).steps[:1] if scope.topic is None else ()
    keyed = [step for step in first if isinstance(step, str)]
    return _Step(set() if parse(scope.at).root else set(keyed), visit)


def _together(steps: list[_Step], *, claims: bool = False) -> Visit:
    """Make one visit of many, in their order; `claims`: the message is about it."""
    numbered = list(enumerate(steps))
    always = [(n, step.visit) for n, step in numbered if not step.keys]
    look = {
        key: [(n, step.visit) for n, step in numbered if key in step.keys]
        for key in {key for step in steps for key in step.keys}
    }.get

    def together(item: Value, run: Run, mark: Mark) -> None:
        if claims:
            run.claimed = True
        hits = always
        if item.__class__ is dict:
            for key in item:
                found = look(key)
                if found is not None:
                    hits = hits + found if hits else found
        if len(hits) > 1:
            hits = sorted(set(hits))  # in the order of the profile, each once
        for _, visit in hits:
            visit(item, run, mark)

    return together


def _both(first: Visit, then: Visit) -> Visit:
    def both(item: Value, run: Run, mark: Mark) -> None:
        first(item, run, mark)
        then(item, run, mark)

    return both


def _living(item: Value, run: Run, mark: Mark) -> None:
    del item
    run.claimed = True
    device, at_ms, _ = mark
    if run.alive is None:
        run.alive = {}
    if device is None:
        raise nameless()
    run.alive[device] = at_ms


class _Start(NamedTuple):
    """What a profile says of the whole message."""

    match: Match | None
    passed: Ask | None
    refused: Ask | None
    mark_of: Callable[[Value, Known, int], Mark]


def _mark_of(table: Profile, names: Names) -> Callable[[Value, Known, int], Mark]:
    """Compile who and when a whole message is about."""
    who = who_of(table.device, table.device_as, names)
    when, flags = clock(table, names), flags_of(table.flags, names)

    def mark_of(root: Value, known: Known, now_ms: int) -> Mark:
        device = None if who is None else who(root, known)
        at_ms = now_ms if when is None else sensor_time(when(root, known), now_ms)
        return device, at_ms, 0 if flags is None else flags(root, known)

    return mark_of


def _start(table: Profile, names: Names) -> _Start:
    match = None if table.topic is None else topic(table.topic, names)
    passed, refused = some(table.passed, names), some(table.refused, names)
    return _Start(match, passed, refused, _mark_of(table, names))


Read: TypeAlias = "Callable[[Value, str, int, Refuse], list[Reading]]"


def _unclaimed() -> list[Reading]:
    raise Malformed("no rule of the profile is about this message")


def _reader(
    visit: Visit,
    lives: Visit,
    start: _Start,
    names: Names,
    otherwise: Callable[[], list[Reading]],
) -> Read:
    match, passed, refused, mark_of = start
    blank = [MISSING] * (names.slot_count - 2)

    def read(root: Value, name: str, now_ms: int, refuse: Refuse) -> list[Reading]:
        known = [root, name, *blank]
        if match is not None and not match(name, known):
            return otherwise()
        if passed is not None and passed(root, known):
            return []
        if refused is not None and refused(root, known):
            raise Malformed("the profile refuses this kind of message")
        run = Run(known, now_ms, refuse)
        mark = mark_of(root, known, now_ms)
        visit(root, run, mark)
        found = run.found
        # Whoever gave news lives: the question is seldom asked.
        if not found or found[0].device != mark[0] or found[0].flags & _BACKFILL:
            lives(root, run, mark)
        if run.alive is not None:
            found += _lives(run.alive, found)
        return found if run.claimed else otherwise()

    return read


def _lives(alive: dict[str, int], found: list[Reading]) -> list[Reading]:
    """Return that devices are online of which nothing else is known now."""
    heard = {one.device for one in found if not one.flags & _BACKFILL}
    new = [(device, at) for device, at in alive.items() if device not in heard]
    return [Reading(device, HEALTH, 1, at_ms) for device, at_ms in new]


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
