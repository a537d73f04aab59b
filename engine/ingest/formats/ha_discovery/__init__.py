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

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from engine.errors import Malformed, TooLarge
from engine.ingest.formats.ha_discovery.announcement import (
    Entity,
    Line,
    Path,
    announced_by,
    entities_of,
    text_of,
)
from engine.ingest.formats.wire import CACHED, HEALTH, Record
from engine.model import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 1 << 18
"""An announcement of a large device with all its components has some 30 KB."""

MAX_ENTITIES = 20_000
"""Entities of all devices together; one has about 1 KB."""

MAX_TOPIC = 512
"""Characters of the topic of an announcement."""

_decode = msgspec.json.Decoder().decode

Key: TypeAlias = tuple[str, int]
"""Names an entity: the topic of its announcement, and its number in it."""


class Memory:
    """What the announcements of one source said, and no value but who is available."""

    def __init__(self) -> None:
        self._announced: dict[str, tuple[Entity, ...]] = {}
        self._states: dict[str, dict[Key, Entity]] = {}
        self._lines: dict[str, dict[Key, tuple[Entity, Line]]] = {}
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
        announced = announced_by(topic)
        if announced is not None:
            if len(topic) > MAX_TOPIC:
                raise Malformed(f"a topic has at most {MAX_TOPIC} characters")
            self._forget(topic)
            if record:
                self._remember(topic, entities_of(record, *announced))
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

    def _remember(self, topic: str, entities: tuple[Entity, ...]) -> None:
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
        self, key: Key, entity: Entity, line: Line, text: str | None, now_ms: int
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
            self._json = _decode(self._record)
        value = self._json
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return None if isinstance(value, dict | list) else text_of(value)


def _state(entity: Entity, text: str | None, now_ms: int) -> Sequence[Reading] | None:
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
