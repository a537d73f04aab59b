"""Zigbee2MQTT's state messages: occupancy and presence of Zigbee sensors.

Who sends it: Zigbee2MQTT, with `output: json` (its default), on `{base}/{name}`, where
the base is `zigbee2mqtt` unless configured and a friendly name may hold "/".

`read` gets what is left of the topic after the source's base (`formats.base_of` of its
topic filter), hence the friendly name first. Where nothing was cut off, the usual base
`zigbee2mqtt/` is cut off here.

========================  =============================================================
`{name}`                  `presence` (mmWave), else `occupancy` (PIR): presence; null is
                          unknown. A body with neither is another kind of device's:
                          nothing
`{name}/availability`     `online` or `offline`, or `{"state": "online"}`: health
`{name}/set`, `…/get`     commands of others, not reports: nothing
`bridge/…`                Zigbee2MQTT about itself: nothing
an empty message          a retained one was cleared: nothing
========================  =============================================================

The device is the friendly name in lower case. The time is `last_seen`, in any of the
three ways it can be configured (ISO 8601 in UTC, ISO 8601 local, epoch milliseconds),
else that of receipt.

Zigbee2MQTT repeats all attributes that it remembers whenever one of them is reported:
an `occupancy: true` may be hours old and published because the light changed. Each of
these readings therefore carries `ReadingFlag.CACHED`: an equal value proves that the
device is alive, and nothing about the space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from engine.errors import Malformed
from engine.ingest.formats.wire import (
    CACHED,
    HEALTH,
    PRESENCE,
    Record,
    SourceTime,
    parse_time,
    sensor_time,
)
from engine.model import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 1 << 20
"""Enough for `bridge/devices` of a large network, which is passed over, not refused."""

USUAL_BASE = "zigbee2mqtt/"

_AVAILABILITY = "/availability"
_COMMANDS = frozenset({"set", "get"})


class _State(msgspec.Struct, gc=False):
    occupancy: bool | UnsetType | None = UNSET
    presence: bool | UnsetType | None = UNSET
    last_seen: SourceTime = None


class _Availability(msgspec.Struct, gc=False):
    state: str


_decode_state = msgspec.json.Decoder(_State).decode
_decode_availability = msgspec.json.Decoder(_Availability).decode
_ONLINE_BY_BODY = {b"online": 1, b"offline": 0}
_ONLINE_BY_STATE = {"online": 1, "offline": 0}


def read(record: Record, topic: str, now_ms: int) -> Sequence[Reading]:
    """Return the presence or the availability that a message reports.

    Args:
        record: The body.
        topic: `{name}` or `{name}/availability`, after the source's base.
        now_ms: The time of receipt.

    Raises:
        Malformed: An availability that is neither online nor offline, or no name.
    """
    if "/" in topic:  # a plain name is the usual case, and needs no more questions
        topic = topic.removeprefix(USUAL_BASE)
        if topic.startswith("bridge/") or _is_command(topic):
            return ()
        if topic.endswith(_AVAILABILITY) and record:
            device = _device(topic.removesuffix(_AVAILABILITY))
            return (Reading(device, HEALTH, _online(record), now_ms),)
    if not record:
        return ()
    state = _decode_state(record)
    present = state.occupancy if state.presence is UNSET else state.presence
    if present is UNSET:
        return ()
    seen = state.last_seen
    at_ms = now_ms if seen is None else sensor_time(parse_time(seen), now_ms)
    value = -1 if present is None else int(present)
    return (Reading(_device(topic), PRESENCE, value, at_ms, "", CACHED),)


def _device(name: str) -> str:
    if not name:
        raise Malformed("the topic names no device: is the source's base right?")
    return name.lower()


def _is_command(topic: str) -> bool:
    """Tell `{name}/set`, `{name}/get` and their `/{attribute}` forms."""
    return not _COMMANDS.isdisjoint(topic.split("/")[1:][-2:])


def _online(record: Record) -> int:
    online = _ONLINE_BY_BODY.get(bytes(record).strip())
    if online is None:
        online = _ONLINE_BY_STATE.get(_decode_availability(record).state)
    if online is None:
        raise Malformed('an availability is "online" or "offline"')
    return online
