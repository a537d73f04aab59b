"""What an announcement says: its entities, their topics, and what their texts mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from engine.errors import Malformed, Unsupported
from engine.ingest.formats.wire import (
    CONTACT,
    ENV,
    HEALTH,
    MOTION,
    PRESENCE,
    Record,
    plain,
    thousandths,
)
from engine.model import Metric, ReadingKind

MAX_COMPONENTS = 256
"""Entities of one device in one announcement."""

MAX_AVAILABILITIES = 8
"""Topics that say whether one entity is available."""

_LONGEST = 255
"""Characters of a topic, an id or a template."""

_LONG: Final = {
    "stat_t": "state_topic",
    "val_tpl": "value_template",
    "dev_cla": "device_class",
    "unit_of_meas": "unit_of_measurement",
    "pl_on": "payload_on",
    "pl_off": "payload_off",
    "off_dly": "off_delay",
    "uniq_id": "unique_id",
    "avty": "availability",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "avty_mode": "availability_mode",
    "pl_avail": "payload_available",
    "pl_not_avail": "payload_not_available",
    "t": "topic",
    "p": "platform",
    "cmps": "components",
}
"""Abbreviations of the keys that are read."""

_BINARY_KINDS: Final = {
    "occupancy": PRESENCE,
    "presence": PRESENCE,
    "motion": MOTION,
    "moving": MOTION,
    "door": CONTACT,
    "garage_door": CONTACT,
    "opening": CONTACT,
    "window": CONTACT,
    "connectivity": HEALTH,
}
_METRICS: Final = {
    ("carbon_dioxide", "ppm"): Metric.CO2,
    ("temperature", "°C"): Metric.TEMPERATURE,
    ("humidity", "%"): Metric.HUMIDITY,
    ("illuminance", "lx"): Metric.ILLUMINANCE,
}
_MODES = ("latest", "all", "any")
_NONE = "None"
"""What Home Assistant takes for unknown."""

_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d{1,4})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=_LONGEST)]
Text: TypeAlias = Annotated[str, Meta(max_length=_LONGEST)] | int | float | bool
"""A payload in an announcement: a text, or what compares like one."""


class _Availability(msgspec.Struct, frozen=True):
    topic: Name
    payload_available: Text = "online"
    payload_not_available: Text = "offline"
    value_template: str | None = None


class _Announced(msgspec.Struct, frozen=True):
    """What is read of an announcement, without abbreviations."""

    state_topic: Name
    value_template: str | None = None
    device_class: str | None = None
    unit_of_measurement: str | None = None
    payload_on: Text = "ON"
    payload_off: Text = "OFF"
    off_delay: float | None = None
    unique_id: Name | None = None
    availability: list[_Availability] = []
    availability_topic: Name | None = None
    availability_template: str | None = None
    availability_mode: str = "latest"
    payload_available: Text = "online"
    payload_not_available: Text = "offline"


_decode = msgspec.json.Decoder(dict[str, Any]).decode

Path: TypeAlias = tuple[str | int, ...] | None
"""Where a template finds its value in JSON; None: the message is the value."""

Meaning: TypeAlias = Callable[[str], Sequence[tuple[ReadingKind, int]] | None]
"""From a text to kinds and values; None: the text is for another entity."""


class Line(NamedTuple):
    """A topic that says whether an entity is available."""

    topic: str
    path: Path
    on: str
    off: str


class Entity(NamedTuple):
    """An entity as it was announced."""

    device: str
    topic: str
    path: Path
    meaning: Meaning
    metric: Metric | None
    lines: tuple[Line, ...]
    mode: str


def announced_by(topic: str) -> tuple[str, str] | None:
    """Return the component that a topic announces, and the name of its object."""
    if not topic.endswith("/config"):
        return None
    levels = topic.split("/")
    for depth in (4, 3):  # with a node, without
        if len(levels) >= depth and levels[-depth] in ("binary_sensor", "sensor"):
            return levels[-depth], "/".join(levels[1 - depth : -1]).lower()
    if len(levels) > 2 and levels[-3] == "device":  # noqa: PLR2004 - device, object, config
        return "device", levels[-2].lower()
    return None


def entities_of(record: Record, component: str, name: str) -> tuple[Entity, ...]:
    """Return the entities of an announcement that can have readings."""
    announced = _long(_decode(record))
    if component != "device":
        found = _entity(announced, component, name)
        return () if found is None else (found,)
    components = announced.pop("components", None)
    if not isinstance(components, dict) or len(components) > MAX_COMPONENTS:
        raise Malformed(f"a device has 1 to {MAX_COMPONENTS} components")
    entities = []
    for inner, own in components.items():
        if isinstance(own, dict):
            more = {**announced, **_long(own)}
            platform = str(more.get("platform"))
            found = _entity(more, platform, f"{name}/{inner}".lower())
            if found is not None:
                entities.append(found)
    return tuple(entities)


def _long(announced: dict[str, Any]) -> dict[str, Any]:
    """Return an announcement with its keys in full."""
    found = {_LONG.get(key, key): value for key, value in announced.items()}
    lines = found.get("availability")
    if isinstance(lines, dict):
        lines = [lines]
    if isinstance(lines, list):
        whole = [_long(line) if isinstance(line, dict) else line for line in lines]
        found["availability"] = whole
    return found


def _with_base(announced: dict[str, Any], base: object) -> dict[str, Any]:
    """Return an announcement with its base for the `~` at either end of a topic."""
    if not isinstance(base, str):
        return announced
    found = dict(announced)
    for key, value in announced.items():
        if key == "availability" and isinstance(value, list):
            found[key] = [
                _with_base(line, base) if isinstance(line, dict) else line
                for line in value
            ]
        elif key.endswith("topic") and isinstance(value, str):
            if value.startswith("~"):
                found[key] = base + value[1:]
            elif value.endswith("~"):
                found[key] = value[:-1] + base
    return found


def _entity(announced: dict[str, Any], component: str, name: str) -> Entity | None:
    """Return an entity, None for one that has no readings.

    Raises:
        Malformed: A name is too long, or a mode is unknown.
        Unsupported: A template that is not read.
    """
    if component not in ("binary_sensor", "sensor") or "state_topic" not in announced:
        return None
    said = msgspec.convert(_with_base(announced, announced.get("~")), _Announced)
    metric = _METRICS.get((said.device_class or "", said.unit_of_measurement or ""))
    meaning = _binary(said) if component == "binary_sensor" else _sensor(said, metric)
    if meaning is None:
        return None
    lines = _lines(said)
    device = (said.unique_id or name).lower()
    if not 0 < len(device) <= _LONGEST:
        raise Malformed(f"a name of an object has 1 to {_LONGEST} characters")
    if said.availability_mode not in _MODES:
        raise Malformed(f"availability_mode is one of {', '.join(_MODES)}")
    return Entity(
        device,
        said.state_topic,
        _path(said.value_template),
        meaning,
        metric,
        lines,
        said.availability_mode,
    )


def _binary(said: _Announced) -> Meaning | None:
    """Return what on and off mean, None for a class that says nothing of a space."""
    kind = _BINARY_KINDS.get(said.device_class or "")
    if kind is None and said.device_class is not None:
        return None
    if kind is PRESENCE and said.off_delay:
        kind = MOTION
    on, off = text_of(said.payload_on), text_of(said.payload_off)

    def meaning(text: str) -> Sequence[tuple[ReadingKind, int]] | None:
        if text not in (on, off, _NONE):
            return None
        value = None if text not in (on, off) else text == on
        if kind is None:
            return plain(value)
        if value is None:
            return () if kind in (MOTION, HEALTH) else ((kind, -1),)
        return ((kind, int(value)),)

    return meaning


def _sensor(said: _Announced, metric: Metric | None) -> Meaning | None:
    """Return what a number means, None for a class or a unit that is not read."""
    if metric is None and (said.device_class or said.unit_of_measurement):
        return None

    def meaning(text: str) -> Sequence[tuple[ReadingKind, int]] | None:
        if text == _NONE:
            return () if metric else plain(None)
        if not _NUMBER.fullmatch(text):
            return None
        if metric is None:
            return plain(float(text))
        value = thousandths(float(text))
        return () if value is None else ((ENV, value),)

    return meaning


def _lines(said: _Announced) -> tuple[Line, ...]:
    """Return the topics that say whether an entity is available, each once."""
    lines = list(said.availability)
    if said.availability_topic is not None:
        lines.append(
            _Availability(
                said.availability_topic,
                said.payload_available,
                said.payload_not_available,
                said.availability_template,
            )
        )
    if len(lines) > MAX_AVAILABILITIES:
        raise Malformed(f"an entity has at most {MAX_AVAILABILITIES} availabilities")
    by_topic = {
        line.topic: Line(
            line.topic,
            _path(line.value_template),
            text_of(line.payload_available),
            text_of(line.payload_not_available),
        )
        for line in lines
    }
    return tuple(by_topic.values())


def _path(template: str | None) -> Path:
    """Return where a template finds its value.

    Raises:
        Unsupported: It is more than a place.
    """
    if template is None:
        return None
    bare = template.strip()
    inner = bare.removeprefix("{{").removesuffix("}}")
    place, _, condition = (part.strip() for part in inner.partition("|"))
    if (
        len(bare) > _LONGEST
        or len(bare) != len(inner) + 4
        or condition not in ("", "is_defined")
        or not place.startswith("value")
    ):
        raise Unsupported("a template that is more than a place in JSON")
    if place == "value":
        return None
    rest = place.removeprefix("value_json")
    steps: list[str | int] = []
    while step := _STEP.match(rest):
        name, index, single, double = step.groups()
        steps.append(int(index) if index else name or single or double or "")
        rest = rest[step.end() :]
    if rest:
        raise Unsupported("a template that is more than a place in JSON")
    return tuple(steps)


def text_of(value: object) -> str:
    """Return what Home Assistant compares: a boolean is `True`, null is `None`."""
    return str(value)
