"""Eclipse Sparkplug B: births that name metrics, and data that may say only an alias.

Who sends it: an edge node (a building gateway, an industrial controller, Ignition) on
`spBv1.0/{group}/{type}/{edge node}[/{device}]`, in protobuf
(`sparkplug_b.proto` of the specification 3.0; of it the fields are known here that a
reading needs, and whatever else a payload holds is never decoded).

=================  ====================================================================
`NBIRTH`           an edge node is online: its metrics with their aliases; forgets what
                   was known of its devices
`DBIRTH`           the same of a device
`NDATA`, `DDATA`   metrics that changed
`NDEATH`           the edge node and all of its devices are offline, if `bdSeq` is that
                   of its birth: a will may come after the next birth
`DDEATH`           the device is offline
others             nothing: commands are for others, `STATE` is about hosts
=================  ====================================================================

The device is `{group}/{edge node}/{device}` in lower case, without its last part for
metrics of the edge node itself; the channel is the metric's name, as it is written.

A metric has a name and a type and does not say what it measures, so that its readings
are all those which its type allows (`wire.plain`): a boolean is presence, motion or an
open door, an integer people or pulses. Numbers with decimals, texts and all other types
are passed over. `is_null` is unknown; `is_historical` is backfill. The metrics of a
birth are what the node remembers, hence cached. Its own controls (`bdSeq`,
`Node Control/…`, `Device Control/…`) measure nothing and are passed over. The time is
the metric's own, else the payload's, else that of receipt.

Aliases are remembered until the next birth, for as long as the process runs. Data with
an alias of which no birth told is refused as an unknown name; nothing is sent to ask
for a rebirth, since this engine only listens. A `seq` that does not follow the one
before is counted as a gap, and the message is read. A compressed payload is refused as
unsupported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from engine.errors import (
    Gap,
    InputError,
    Malformed,
    TooLarge,
    UnknownName,
    Unsupported,
)
from engine.ingest.formats.wire import (
    CACHED,
    HEALTH,
    Record,
    Refuse,
    parse_time,
    plain,
    sensor_time,
)
from engine.model import Reading, ReadingFlag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES = 1 << 20
"""A birth of a large node; a Tahu test node's has 5 KB."""

MAX_METRICS = 4_096
"""In one message."""

MAX_KNOWN = 100_000
"""Aliases of all edge nodes together; one has about 100 bytes."""

MAX_DEVICES = 10_000
"""Devices of all edge nodes together, and edge nodes."""

MAX_TOPIC = 512
"""Characters of a topic."""

_LONGEST_NAME = 255
_SEQUENCES = 256
_COMPRESSED = "SPBV1.0_COMPRESSED"
"""The `uuid` of a payload whose metrics are within, compressed."""
_BACKFILL = int(ReadingFlag.BACKFILL)
_DEATH = "bdSeq"
_CONTROLS = ("Node Control/", "Device Control/")
"""What every birth has: the numbers and switches of the node itself."""
_TYPES = frozenset(
    {"NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"},
)

# Numbers of `DataType`: integers by the bits that are theirs, then what else is read.
_SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
_UNSIGNED = frozenset({5, 6, 7, 8})
_FLOATS = frozenset({9, 10})
_BOOLEAN = 11
_READ = frozenset({*_SIGNED_BITS, *_UNSIGNED, *_FLOATS, _BOOLEAN})


def _payload_class() -> Any:  # noqa: ANN401 - made at run time, from the fields below
    """Return the message class of a payload, with the fields that are read."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="livefloor/sparkplug_b.proto", package="livefloor.sparkplug"
    )
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for number, (known, kind) in fields.items():
            described.field.add(
                name=known,
                number=number,
                type=field.TYPE_MESSAGE if kind == "Metric" else _KINDS[kind],
                type_name=".livefloor.sparkplug.Metric" if kind == "Metric" else None,
                label=(
                    field.LABEL_REPEATED if kind == "Metric" else field.LABEL_OPTIONAL
                ),
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("livefloor.sparkplug.Payload")
    return message_factory.GetMessageClass(found)


_MESSAGES: Final = {
    "Payload": {
        1: ("timestamp", "uint64"),
        2: ("metrics", "Metric"),
        3: ("seq", "uint64"),
        4: ("uuid", "string"),
    },
    "Metric": {
        1: ("name", "string"),
        2: ("alias", "uint64"),
        3: ("timestamp", "uint64"),
        4: ("datatype", "uint32"),
        5: ("is_historical", "bool"),
        7: ("is_null", "bool"),
        10: ("int_value", "uint32"),
        11: ("long_value", "uint64"),
        12: ("float_value", "float"),
        13: ("double_value", "double"),
        14: ("boolean_value", "bool"),
    },
}
_KINDS: Final = {
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "float": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
}
Payload: Final = _payload_class()
"""The class of a payload, with the fields that are read."""

_VALUES = ("int_value", "long_value", "boolean_value", "float_value", "double_value")


class _Metric(NamedTuple):
    """What a birth said of a metric; one that is not read has no name."""

    name: str
    datatype: int


class _Node:
    """What is remembered of an edge node: names, and no value."""

    __slots__ = ("births", "death", "seq")

    def __init__(self) -> None:
        self.seq: int | None = None
        """Of its last message."""
        self.death: int | None = None
        """The `bdSeq` that its will has."""
        self.births: dict[str, dict[int, _Metric]] = {}
        """Metrics by alias, by device; the edge node is one, too."""


class Memory:
    """The edge nodes of one source, and what each of their aliases stands for."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._devices = 0
        self._aliases = 0

    def read(
        self,
        records: Sequence[Record],
        topics: Sequence[str],
        now_ms: int,
        refuse: Refuse,
    ) -> list[Sequence[Reading] | None]:
        """Return what each message says of metrics, and who is online or offline.

        A gap and an unknown alias are refused, and the rest of their message is read.
        """
        found: list[Sequence[Reading] | None] = []
        for record, topic in zip(records, topics, strict=True):
            try:
                found.append(list(self._read(record, topic, now_ms, refuse)))
            except InputError as error:
                refuse(error)
                found.append(None)
        return found

    def _read(
        self, record: Record, topic: str, now_ms: int, refuse: Refuse
    ) -> Iterator[Reading]:
        kind, node, device = _parse(topic)
        if not kind:
            return
        payload = _decode(record)
        at_ms = sensor_time(parse_time(payload.timestamp or None), now_ms)
        if kind == "NDEATH":
            # A will has no time of its own: its payload is as old as the connection.
            for gone in self._end(node, _death_of(payload)):
                yield Reading(gone, HEALTH, 0, now_ms)
            return
        if kind == "NBIRTH":
            self._forget(node)
        self._follow(node, payload, refuse)
        if kind == "DDEATH":
            self._forget(node, device)
            yield Reading(device, HEALTH, 0, at_ms)
            return
        flags = 0
        if kind.endswith("BIRTH"):
            self._learn(node, device, payload)
            yield Reading(device, HEALTH, 1, at_ms)
            flags = CACHED
        by_alias = self._born(node, device)
        about = _About(device, at_ms, now_ms, flags)
        unknown = False
        for metric in payload.metrics:
            told = by_alias.get(metric.alias) if metric.HasField("alias") else None
            if told is None and not metric.name:
                unknown = True
            else:
                yield from _readings(metric, told, about)
        if unknown:
            refuse(UnknownName("an alias of which no birth told: ask for a rebirth"))

    def _end(self, node: str, death: int | None) -> list[str]:
        """Forget an edge node; return who is gone, nobody by an old will."""
        known = self._nodes.get(node)
        if known is None:
            return [node]
        if known.death not in (None, death):
            return []
        gone = [node, *(device for device in known.births if device != node)]
        self._forget(node)
        return gone

    def _forget(self, node: str, device: str | None = None) -> None:
        """Forget a device of an edge node, or all of them and the edge node."""
        known = self._nodes.get(node)
        if known is None:
            return
        for one in list(known.births) if device is None else [device]:
            by_alias = known.births.pop(one, None)
            if by_alias is not None:
                self._devices -= 1
                self._aliases -= len(by_alias)
        if device is None:
            del self._nodes[node]

    def _follow(self, node: str, payload: Any, refuse: Refuse) -> None:  # noqa: ANN401 - see above
        """Check that a message is the next one of its edge node."""
        known = self._nodes.get(node)
        if known is None or not payload.HasField("seq"):
            return
        if known.seq is not None and payload.seq != (known.seq + 1) % _SEQUENCES:
            refuse(Gap("a seq does not follow the one before"))
        known.seq = payload.seq

    def _born(self, node: str, device: str) -> dict[int, _Metric]:
        """Return the metrics of a device by alias; remember that there is one.

        So that it goes offline with its edge node, even if its birth was before ours.
        """
        known = self._nodes.get(node)
        if known is None:
            if len(self._nodes) >= MAX_DEVICES:
                return {}
            known = self._nodes[node] = _Node()
        if device not in known.births:
            if self._devices >= MAX_DEVICES:
                return {}
            self._devices += 1
            known.births[device] = {}
        return known.births[device]

    def _learn(self, node: str, device: str, payload: Any) -> None:  # noqa: ANN401 - see above
        """Remember the aliases of a birth.

        Raises:
            TooLarge: They are more than are remembered.
        """
        self._forget(node, device)
        by_alias = self._born(node, device)
        known = self._nodes.get(node)
        if known is None or device not in known.births:
            raise TooLarge(f"at most {MAX_DEVICES} devices are remembered")
        for metric in payload.metrics:
            if metric.HasField("alias"):
                read = metric.datatype in _READ and len(metric.name) <= _LONGEST_NAME
                told = _Metric(metric.name if read else "", metric.datatype)
                by_alias[metric.alias] = told
        self._aliases += len(by_alias)
        if self._aliases > MAX_KNOWN:
            self._forget(node, device)
            raise TooLarge(f"at most {MAX_KNOWN} aliases are remembered")
        if device == node:
            known.seq, known.death = payload.seq, _death_of(payload)


def _parse(topic: str) -> tuple[str, str, str]:
    """Return type, edge node and device of a topic; the device of a node is itself.

    No type: the message is none of those that are read.

    Raises:
        Malformed: Levels are missing.
    """
    levels = topic.lower().split("/")
    if len(levels) < 3 or levels[0] != "spbv1.0":  # noqa: PLR2004 - namespace, group, type
        return "", "", ""
    kind = levels[2].upper()
    if kind not in _TYPES:
        return "", "", ""
    own = kind.startswith("N")
    if len(levels) != (4 if own else 5) or not all(levels) or len(topic) > MAX_TOPIC:
        raise Malformed("a topic is spBv1.0/{group}/{type}/{edge node}[/{device}]")
    node = f"{levels[1]}/{levels[3]}"
    return kind, node, node if own else f"{node}/{levels[4]}"


def _decode(record: Record) -> Any:  # noqa: ANN401 - see above
    payload = Payload()
    try:
        payload.ParseFromString(bytes(record))
    except message.DecodeError:
        raise Malformed("not a Sparkplug B payload") from None
    if payload.uuid == _COMPRESSED:
        raise Unsupported("a compressed payload: switch compression off")
    if len(payload.metrics) > MAX_METRICS:
        raise TooLarge(f"a payload has at most {MAX_METRICS} metrics")
    # The library gives bytes for a text that is not UTF-8.
    if any(isinstance(metric.name, bytes) for metric in payload.metrics):
        raise Malformed("a name that is not UTF-8")
    return payload


def _death_of(payload: Any) -> int | None:  # noqa: ANN401 - see above
    for metric in payload.metrics:
        if metric.name == _DEATH:
            return int(metric.long_value or metric.int_value)
    return None


class _About(NamedTuple):
    """What the metrics of a message share."""

    device: str
    at_ms: int
    now_ms: int
    flags: int


def _readings(metric: Any, told: _Metric | None, about: _About) -> Iterator[Reading]:  # noqa: ANN401 - see above
    device, at_ms, now_ms, flags = about
    name, datatype = metric.name, metric.datatype
    if told is not None:
        name, datatype = name or told.name, datatype or told.datatype
    if not 0 < len(name) <= _LONGEST_NAME or (datatype and datatype not in _READ):
        return
    if name == _DEATH or name.startswith(_CONTROLS):
        return
    if metric.HasField("timestamp"):
        at_ms = sensor_time(parse_time(metric.timestamp), now_ms)
    if metric.is_historical:
        flags |= _BACKFILL
    value: float | None = None
    if not metric.is_null:
        field = next((field for field in _VALUES if metric.HasField(field)), None)
        if field is None:
            return
        value = _number(getattr(metric, field), datatype)
    for kind, number in plain(value):
        yield Reading(device, kind, number, at_ms, name, flags)


def _number(value: float, datatype: int) -> float:
    """Return a value as its type has it: signed integers are written in unsigned."""
    if datatype == _BOOLEAN:
        return bool(value)
    bits = _SIGNED_BITS.get(datatype)
    if bits is not None and isinstance(value, int):
        kept = value & ((1 << bits) - 1)
        return kept - (1 << bits) if kept >> (bits - 1) else kept
    return value
