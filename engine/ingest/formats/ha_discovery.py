"""Home Assistant's MQTT discovery: retained messages that say what a topic means.

Who sends it: ESPHome, Tasmota, Zigbee2MQTT, Theengs, OpenMQTTGateway and some hundred
others announce each entity on `{prefix}/{component}/[{node}/]{object}/config`, or all
of a device on `{prefix}/device/{object}/config`. What they announce is remembered, and
messages on the topics that they name are read by it; an empty announcement is
forgotten. A message on a topic that nothing named is nothing. Announcements come first
where `topics` of the source names them first, as brokers replay them in that order.

=======================================  ==============================================
`binary_sensor`, `device_class` is …
`occupancy`, `presence`                  presence
`motion`, `moving`                       motion
`door`, `garage_door`, `opening`,        contact: on is open
`window`
`connectivity`                           health
none                                     whatever the binding says (`wire.plain`)
`sensor`, `device_class` is …
`carbon_dioxide`, `temperature`,         env, in the unit that `unit_of_measurement`
`humidity`, `illuminance`                says; passed over where that is another
none, and no unit                        a whole number, whatever the binding says
=======================================  ==============================================

Every other class and component is passed over; of a `device_tracker` not even its
topics are remembered. Of a presence with `off_delay` nobody ever says that it is over:
each "on" is a pulse of motion, and the delay belongs into `hold_s` of the binding, as
`expire_after` belongs into `interval_s`.

The device is the entity's `unique_id` in lower case; without one, `{node}/{object}`.
The time is that of receipt. A value that a template takes out of a larger message is
cached: the message may be about something else.

Templates are `{{ value }}`, `{{ value_json.a.b }}`, `{{ value_json['a'][0] }}`, also
with `| is_defined`; an announcement with any other is refused as unsupported, since
only Home Assistant can compute it. A value that is not there says nothing.

Values compare as Home Assistant compares them, as text, where a boolean in JSON is
`True`. One that is neither `payload_on` nor `payload_off` is not for the entity; what
is for none of its topic's is refused. `None` is unknown.

Availability is health: of each topic named by `availability`, and where there are
several, as `availability_mode` says (`latest`, `all`, `any`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from engine.errors import Malformed, TooLarge, Unsupported
from engine.ingest.formats.wire import (
    CACHED,
    CONTACT,
    ENV,
    HEALTH,
    MOTION,
    PRESENCE,
    Record,
    plain,
    thousandths,
)
from engine.model import Metric, Reading, ReadingKind

MAX_BYTES = 1 << 18
"""An announcement of a large device with all its components has some 30 KB."""

MAX_ENTITIES = 20_000
"""Entities of all devices together; one has about 1 KB."""

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

Text: TypeAlias = str | int | float | bool
"""A payload in an announcement: a text, or what compares like one."""


class _Availability(msgspec.Struct, frozen=True):
    topic: str
    payload_available: Text = "online"
    payload_not_available: Text = "offline"
    value_template: str | None = None


class _Announced(msgspec.Struct, frozen=True):
    """What is read of an announcement, without abbreviations."""

    state_topic: str
    value_template: str | None = None
    device_class: str | None = None
    unit_of_measurement: str | None = None
    payload_on: Text = "ON"
    payload_off: Text = "OFF"
    off_delay: float | None = None
    unique_id: str | None = None
    availability: list[_Availability] = []
    availability_topic: str | None = None
    availability_template: str | None = None
    availability_mode: str = "latest"
    payload_available: Text = "online"
    payload_not_available: Text = "offline"


_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_any = msgspec.json.Decoder().decode

Path: TypeAlias = tuple[str | int, ...] | None
"""Where a template finds its value in JSON; None: the message is the value."""

Meaning: TypeAlias = Callable[[str], Sequence[tuple[ReadingKind, int]] | None]
"""From a text to kinds and values; None: the text is for another entity."""

Key: TypeAlias = tuple[str, int]
"""Names an entity: the topic of its announcement, and its number in it."""


class _Line(NamedTuple):
    """A topic that says whether an entity is available."""

    topic: str
    path: Path
    on: str
    off: str


class _Entity(NamedTuple):
    """An entity as it was announced."""

    device: str
    topic: str
    path: Path
    meaning: Meaning
    metric: Metric | None
    lines: tuple[_Line, ...]
    mode: str


class Memory:
    """What the announcements of one source said, and no value but who is available."""

    def __init__(self) -> None:
        self._announced: dict[str, tuple[_Entity, ...]] = {}
        self._states: dict[str, dict[Key, _Entity]] = {}
        self._lines: dict[str, dict[Key, tuple[_Entity, _Line]]] = {}
        self._said: dict[Key, dict[str, int]] = {}
        """What each line said last of entities that have several."""
        self._entities = 0

    def read(self, record: Record, topic: str, now_ms: int) -> Sequence[Reading]:
        """Return what a message says of the entities that named its topic.

        Args:
            record: The body.
            topic: The whole topic.
            now_ms: The time of receipt.

        Raises:
            Malformed: An announcement without a topic, or a value for no entity.
            Unsupported: A template that only Home Assistant can compute.
            TooLarge: More entities than are remembered.
        """
        announced = _announcement(topic)
        if announced is not None:
            self._forget(topic)
            if record:
                self._remember(topic, _entities(record, *announced))
            return ()
        states = self._states.get(topic, {}).values()
        lines = self._lines.get(topic, {})
        if not (states or lines) or not record:
            return ()
        text = _Texts(record)
        said: list[Sequence[Reading] | None] = [
            _state(entity, text.at(entity.path), now_ms) for entity in states
        ]
        for key, (entity, line) in lines.items():
            said.append(self._available(key, entity, line, text.at(line.path), now_ms))
        if all(one is None for one in said):
            raise Malformed("a value that no entity of the topic knows")
        return [reading for one in said for reading in one or ()]

    def _remember(self, topic: str, entities: tuple[_Entity, ...]) -> None:
        if self._entities + len(entities) > MAX_ENTITIES:
            raise TooLarge(f"at most {MAX_ENTITIES} entities are remembered")
        self._entities += len(entities)
        self._announced[topic] = entities
        for number, entity in enumerate(entities):
            key = topic, number
            self._states.setdefault(entity.topic, {})[key] = entity
            for line in entity.lines:
                self._lines.setdefault(line.topic, {})[key] = entity, line

    def _forget(self, topic: str) -> None:
        for number, entity in enumerate(self._announced.pop(topic, ())):
            key = topic, number
            self._entities -= 1
            self._said.pop(key, None)
            _drop(self._states, entity.topic, key)
            for line in entity.lines:
                _drop(self._lines, line.topic, key)

    def _available(
        self, key: Key, entity: _Entity, line: _Line, text: str | None, now_ms: int
    ) -> Sequence[Reading] | None:
        """Return the health of an entity after one of its lines said something."""
        if not text:
            return ()
        if text not in (line.on, line.off):
            return None
        online: int | None = int(text == line.on)
        if entity.mode != "latest" and len(entity.lines) > 1:
            said = self._said.setdefault(key, {})
            said[line.topic] = int(text == line.on)
            decisive = 0 if entity.mode == "all" else 1
            if decisive in said.values():
                online = decisive
            elif len(said) < len(entity.lines):
                online = None
            else:
                online = 1 - decisive
        if online is None:
            return ()
        return (Reading(entity.device, HEALTH, online, now_ms),)


Item = TypeVar("Item")


def _drop(by_topic: dict[str, dict[Key, Item]], topic: str, key: Key) -> None:
    """Take an entity from a topic, and the topic with its last entity."""
    known = by_topic[topic]
    known.pop(key, None)
    if not known:
        del by_topic[topic]


class _Texts:
    """A message, and the texts in it as Home Assistant writes them."""

    __slots__ = ("_json", "_record")

    def __init__(self, record: Record) -> None:
        self._record = bytes(record)
        self._json: Any = msgspec.UNSET

    def at(self, path: Path) -> str | None:
        """Return the text at a place, None where there is none."""
        if path is None:
            return self._record.decode()
        if self._json is msgspec.UNSET:
            self._json = _decode_any(self._record)
        value = self._json
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return None if isinstance(value, dict | list) else _text(value)


def _announcement(topic: str) -> tuple[str, str] | None:
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


def _entities(record: Record, component: str, name: str) -> tuple[_Entity, ...]:
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


def _entity(announced: dict[str, Any], component: str, name: str) -> _Entity | None:
    """Return an entity, None for one that has no readings.

    Raises:
        Malformed: An id or a topic is too long, or none.
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
    for text in (device, said.state_topic, *(line.topic for line in lines)):
        if not 0 < len(text) <= _LONGEST:
            raise Malformed(f"an id and a topic have 1 to {_LONGEST} characters")
    if said.availability_mode not in _MODES:
        raise Malformed(f"availability_mode is one of {', '.join(_MODES)}")
    return _Entity(
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
    on, off = _text(said.payload_on), _text(said.payload_off)

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


def _state(entity: _Entity, text: str | None, now_ms: int) -> Sequence[Reading] | None:
    """Return what a text on its topic says of an entity; None: it is for another."""
    if not text:
        return ()
    found = entity.meaning(text)
    if found is None:
        return None
    flags = 0 if entity.path is None else CACHED
    metric = entity.metric
    return [
        Reading(entity.device, kind, value, now_ms, "", flags, metric=metric)
        for kind, value in found
    ]


def _lines(said: _Announced) -> tuple[_Line, ...]:
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
        line.topic: _Line(
            line.topic,
            _path(line.value_template),
            _text(line.payload_available),
            _text(line.payload_not_available),
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


def _text(value: object) -> str:
    """Return what Home Assistant compares: a boolean is `True`, null is `None`."""
    return str(value)
