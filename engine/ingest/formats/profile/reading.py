"""What a rule makes of an item: a reading of each kind that it finds there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from engine.errors import Malformed, UnknownValue
from engine.ingest.formats.profile.path import (
    MAX_NAME,
    MISSING,
    Flaw,
    Names,
    Value,
    first_of,
    listed,
    parse,
    template,
)
from engine.ingest.formats.profile.question import every
from engine.ingest.formats.profile.value import STRANGE, meaning
from engine.model import Metric, Reading, ReadingKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.ingest.formats.profile.language import Reading as Wanted
    from engine.ingest.formats.profile.path import Get, Give, Known
    from engine.ingest.formats.profile.question import Ask
    from engine.ingest.formats.profile.value import Meaning
    from engine.ingest.formats.wire import Refuse


class Run:
    """One message on its way through the visits.

    Attributes:
        known: What names stand for.
        found: The readings so far.
        items: How many items of lists were looked at.
        claimed: A rule is about the message.
        alive: Devices that are alive, and when, whatever else is known of them.
    """

    __slots__ = ("alive", "claimed", "found", "items", "known", "now_ms", "refuse")

    def __init__(self, known: Known, now_ms: int, refuse: Refuse) -> None:
        self.known = known
        self.now_ms = now_ms
        self.refuse = refuse
        self.found: list[Reading] = []
        self.items = 0
        self.claimed = False
        self.alive: dict[str, int] | None = None

    def strange(self, what: str) -> None:
        """Count a value that has no meaning; `what` names it by the profile's words."""
        self.refuse(UnknownValue(what))


Mark: TypeAlias = "tuple[str | None, int, int]"
"""What readings carry besides their value: the device, the time in ms, flags. A plain
tuple, as a named one takes longer to make than to use."""

Visit: TypeAlias = "Callable[[Value, Run, Mark], None]"
"""Looks at an item, and adds the readings that it finds to what the run found."""


def keys_of(wanted: Wanted) -> set[str]:
    """Return the keys of which an item needs one to have the reading.

    Returns:
        None of them where it may have it without.

    Raises:
        Flaw: A path that cannot be used.
    """
    if wanted.default is not None:
        return set()
    found: set[str] = set()
    sides = (wanted.value, wanted.inward, wanted.outward)
    for side in sides:
        if side is None or isinstance(side, int):
            continue
        for text in listed(side):
            path = parse(text)
            if path.root or not path.steps or not isinstance(path.steps[0], str):
                return set()
            found.add(path.steps[0])
    return found


_METRICS: Final = {metric.name.lower(): metric for metric in Metric}
_MAY_BE_LOST: Final = frozenset(
    {ReadingKind.PRESENCE, ReadingKind.COUNT, ReadingKind.CONTACT}
)


def make_reading(wanted: Wanted, names: Names) -> Visit:
    """Compile one table of a rule.

    Raises:
        Flaw: It has keys that do not go together, or a path that cannot be used.
    """
    _check(wanted)
    mean = meaning(wanted)
    ask = every(wanted.when, names)
    channel = _channel(wanted.channel, names)
    if wanted.kind == "plain":
        visit = _plain(wanted, mean, channel, names)
        return visit if ask is None else _visit_if(ask, visit)
    kind = ReadingKind[wanted.kind.upper()]
    if kind in (ReadingKind.FLOW_DELTA, ReadingKind.FLOW_TOTAL):
        visit = _flow(wanted, kind, mean, channel, names)
    else:
        visit = _level(wanted, kind, mean, channel, names)
    return visit if ask is None else _visit_if(ask, visit)


def _visit_if(ask: Ask, visit: Visit) -> Visit:
    def asked(item: Value, run: Run, mark: Mark) -> None:
        if ask(item, run.known):
            visit(item, run, mark)

    return asked


def _level(
    wanted: Wanted, kind: ReadingKind, mean: Meaning, channel: Give | str, names: Names
) -> Visit:
    get = _value(wanted.value, wanted.default, mean, names)
    metric = None if wanted.metric is None else _METRICS[wanted.metric]
    lost = -1 if kind in _MAY_BE_LOST else None
    what = _what(wanted, wanted.value)

    def visit(item: Value, run: Run, mark: Mark) -> None:
        value = get(item, run.known)
        if value is STRANGE:
            run.strange(what)
            value = lost
        if value is None:
            return
        device, at_ms, flags = mark
        part = channel if channel.__class__ is str else _part(channel, item, run)
        if device is None:
            raise nameless()
        if part is not None:
            run.found.append(
                Reading(device, kind, value, at_ms, part, flags, 0, 0, metric)
            )

    return visit


def _plain(wanted: Wanted, mean: Meaning, channel: Give | str, names: Names) -> Visit:
    if wanted.default is not None or isinstance(wanted.value, int):
        raise Flaw("kind 'plain' has no number of ours: write value = with a path")
    get = _value(wanted.value, None, mean, names)

    def visit(item: Value, run: Run, mark: Mark) -> None:
        meanings = get(item, run.known)
        if not meanings:
            return
        device, at_ms, flags = mark
        part = channel if channel.__class__ is str else _part(channel, item, run)
        if device is None:
            raise nameless()
        if part is not None:
            run.found += [
                Reading(device, kind, value, at_ms, part, flags)
                for kind, value in meanings
            ]

    return visit


def _flow(
    wanted: Wanted, kind: ReadingKind, mean: Meaning, channel: Give | str, names: Names
) -> Visit:
    nobody = 0 if wanted.inward is None else wanted.inward
    inward = _value(nobody, wanted.default, mean, names)
    nobody = 0 if wanted.outward is None else wanted.outward
    outward = _value(nobody, wanted.default, mean, names)
    bits = wanted.bits
    what = _what(wanted, wanted.inward, wanted.outward)

    def visit(item: Value, run: Run, mark: Mark) -> None:
        came, went = inward(item, run.known), outward(item, run.known)
        if came is STRANGE or went is STRANGE:
            run.strange(what)
            return
        if came is None or went is None:
            return
        device, at_ms, flags = mark
        part = channel if channel.__class__ is str else _part(channel, item, run)
        if device is None:
            raise nameless()
        if part is not None:
            run.found.append(
                Reading(device, kind, came, at_ms, part, flags, went, bits)
            )

    return visit


def nameless() -> Malformed:
    """Return the refusal of a message that names no device."""
    return Malformed("the message names no device, or not as the profile says")


def _part(channel: Value, item: Value, run: Run) -> str | None:
    """Return the channel that a message names; None where it does not, counted."""
    part = channel(item, run.known)
    if part is None or len(part) > MAX_NAME:
        run.strange("a channel has no name, or one that is too long")
        return None
    return str(part)


def _what(wanted: Wanted, *values: int | str | tuple[str, ...] | None) -> str:
    """Return how to tell an operator which value has no meaning: where it is."""
    places = [" or ".join(listed(v)) for v in values if isinstance(v, str | tuple)]
    return (
        f"the value of {' and '.join(map(repr, places))} means nothing to kind "
        f"{wanted.kind!r}: list it in the profile"
    )


def _channel(text: str, names: Names) -> Give | str:
    return template(text, names) if "{" in text or "}" in text else text


def _value(
    value: int | str | tuple[str, ...] | None,
    default: int | None,
    mean: Meaning,
    names: Names,
) -> Get:
    """Compile a value to what it means: a number, None for nothing, or `STRANGE`."""
    if value is None or isinstance(value, int):
        number = 1 if value is None else value
        return lambda _, __: number
    get = first_of(value, names)

    def mean_of(item: Value, known: Known) -> Value:
        found = get(item, known)
        return default if found is MISSING else mean(found)

    return mean_of


_STATES: Final = ("presence", "contact", "health")


def _check(wanted: Wanted) -> None:
    """Check what the types of the language cannot.

    Raises:
        Flaw: What is wrong, and what to write.
    """
    kind = wanted.kind
    if kind.startswith("flow"):
        if wanted.value is not None or (wanted.inward is wanted.outward is None):
            raise Flaw(f"kind {kind!r} has no value: write in = and out =")
    elif wanted.inward is not None or wanted.outward is not None:
        raise Flaw(f"kind {kind!r} has no in and out: write value =")
    elif wanted.value is None and kind != "health":
        raise Flaw(f"kind {kind!r} needs a value: write value = with a path")
    if (kind == "env") != (wanted.metric is not None):
        metrics = ", ".join(_METRICS)
        raise Flaw(
            f"kind 'env' needs a metric: one of {metrics}"
            if kind == "env"
            else f'kind {kind!r} has no metric: write kind = "env"'
        )
    if wanted.scale != 1 and kind != "env":
        raise Flaw(f'kind {kind!r} has no scale: that is for kind = "env"')
    if wanted.bits and kind != "flow_total":
        raise Flaw(f'kind {kind!r} has no bits: that is for kind = "flow_total"')
    for number in (wanted.value, wanted.inward, wanted.outward, wanted.default):
        if isinstance(number, int) and not (
            -1 <= number <= 1 if kind in _STATES else number >= 0
        ):
            raise Flaw(f"{number} can be no value of kind {kind!r}")
