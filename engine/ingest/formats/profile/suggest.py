"""A draft of a profile, from one message that nobody has mapped yet.

Names of fields are guessed at here, and only here: the draft says what it took for
what, and whoever reads it decides. It is a whole profile that `livefloor map test`
accepts at once.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from engine.errors import Malformed
from engine.ingest.formats.profile.path import spelled
from engine.ingest.formats.profile.value import number, whole
from engine.ingest.formats.wire import MAX_COUNT, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VAGUE = re.compile(r"value|state|status|current|data|result", re.IGNORECASE)
"""Names that say less than those of the tables around them."""

MAX_DRAFTED = 60
"""Readings of a draft; a message with more candidates is cut."""
MAX_DEPTH = 8
_MAX_PATH = 160

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_@:#/-]+")
_PLAIN_LEVEL = re.compile(r"[^{}#+\x00-\x1f]+")
_DEVICE: Final = (
    r"(dev_?)?eui",
    r"serial(_?(number|no))?|device_?(sn|serial)|sn",
    r"(device|sensor|node|unit|tuid|tsmtuid)_?(id|uid|name)?|mac(_?address)?",
    r"(space|room|desk|zone|area)_?(ref_?)?id",
    r"id|uid|uuid|src|name",
)
"""Names of a device's field, the surest first."""
_TIME = re.compile(
    r"time_?stamp|ts|tsmts|time|date_?time|(received|measured|observed|sampled|updated?|"
    r"event|sample|report|sent|generated|created)_?(at|time)|collected|generated|sent|"
    r"measured|observed|to|end_?time|utc_?to",
    re.IGNORECASE,
)
_PART = re.compile(
    r"name|id|index|number|(line|region|zone|area|space)_?(name|id|no)?", re.IGNORECASE
)
_YES: Final = (
    "occupied",
    "presence",
    "present",
    "detected",
    "motion",
    "trigger",
    "yes",
)
_NO: Final = ("vacant", "unoccupied", "free", "empty", "absent", "idle", "normal", "no")
_ON: Final = ("on", "true", "active")
_OFF: Final = ("off", "false", "inactive")
_BOTH: Final = {
    "occupied": ("vacant", "unoccupied"),
    "present": ("absent",),
    "detected": ("not_detected",),
    "motion": ("no_motion",),
    "trigger": ("normal", "idle"),
    "yes": ("no",),
    "on": ("off",),
    "true": ("false",),
    "active": ("inactive",),
}


class Leaf(NamedTuple):
    """A value of the message.

    Attributes:
        at: Path of the items that it is in; "" for the message.
        path: From there.
        key: Its last key.
        value: It.
    """

    at: str
    path: str
    key: str
    value: Any


class _Drafted(NamedTuple):
    """The keys of a reading, and what to think about."""

    fields: Mapping[str, object]
    doubt: str = ""


def suggest(payload: bytes, topic: str) -> str:
    """Return a profile for a message, as TOML.

    Args:
        payload: The message.
        topic: Its MQTT topic; "" for a webhook.

    Raises:
        Malformed: Neither JSON nor a short text.
    """
    body = _body(payload)
    text = _is_text(payload)
    leaves = list(_leaves(body, "", "", _word(topic) if text else "", 0))
    lines = ['about = "Write who sends this"']
    if text:
        lines.append('body = "any"  # what is no JSON is text')
    own = [leaf for leaf in leaves if not leaf.at]
    outer = None
    if _named(own) is not None or not _by_item(leaves):
        outer, pattern = _device(own, topic)
        if pattern is not None:
            lines.append(f"topic = {_toml(pattern)}")
        lines += _device_lines(outer, own)
    lines += _time_lines(own)
    rules = [
        _rule(at, leaves, whole_device=outer is not None) for at in _places(leaves)
    ]
    lines += [line for rule in rules for line in rule]
    if outer is not None:
        lines += ["", "# It lives, whatever else it says.", "[[rule]]", "alive = true"]
    return "\n".join(lines) + "\n"


def _body(payload: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > _MAX_PATH or text[0] in "{[":
        raise Malformed("neither JSON nor a short text: is a part of it missing?")
    return text


def _word(topic: str) -> str:
    """Return the level of a topic that says what a plain text is about."""
    words = [level for level in topic.split("/") if not any(map(str.isdigit, level))]
    return words[-1] if len(words) > 1 else ""


def _is_text(payload: bytes) -> bool:
    return payload.lstrip()[:1] not in (b"{", b"[")


def _leaves(value: Any, at: str, path: str, key: str, depth: int) -> Iterator[Leaf]:  # noqa: ANN401
    """Yield the values of a message; of the items of a list, those of the first."""
    if depth > MAX_DEPTH or len(at) + len(path) > _MAX_PATH:
        return
    if isinstance(value, dict):
        for name, one in value.items():
            step = _step(name)
            if step is not None:
                inner = f"{path}{step}" if path else step.removeprefix(".")
                yield from _leaves(one, at, inner, name, depth + 1)
    elif isinstance(value, list):
        if value and isinstance(value[0], dict):
            name = f"item{at.count('[*')}" if at else "item"
            place = ".".join(part for part in (at, path) if part) + f"[*{name}]"
            yield from _leaves(_merged(value), place, "", "", depth + 1)
    else:
        yield Leaf(at, path, key, value)


def _merged(items: list[Any]) -> dict[str, Any]:
    """Return the fields of all tables of a list: one may lack what the next has."""
    found: dict[str, Any] = {}
    for item in items[:100]:
        if isinstance(item, dict):
            found = {**item, **found}
    return found


def _step(key: str) -> str | None:
    if _PLAIN_KEY.fullmatch(key) and key[0] not in "#$":
        return f".{key}"
    usable = key.isprintable() and not {"'", "{", "}"} & set(key)
    return f"['{key}']" if usable and key else None


def _places(leaves: Sequence[Leaf]) -> list[str]:
    return list(dict.fromkeys(leaf.at for leaf in leaves))


def _device(own: Sequence[Leaf], topic: str) -> tuple[str, str | None]:
    """Return a template of the device, and a pattern of the topic that it needs."""
    found = _named(own)
    if found is not None:
        return f"{{{found.path}}}", None
    levels = [level for level in topic.split("/") if level]
    if not levels:
        return "device", None
    numbers = [n for n, level in enumerate(levels) if any(c.isdigit() for c in level)]
    position = numbers[-1] if numbers else max(len(levels) - 2, 0)
    shown = [
        level if n not in numbers and _PLAIN_LEVEL.fullmatch(level) else "+"
        for n, level in enumerate(levels)
    ]
    shown[position] = "{device}"
    return "{$device}", "/".join(shown)


def _named(leaves: Sequence[Leaf]) -> Leaf | None:
    """Return the field that most likely names a device."""
    for names in _DEVICE:
        for leaf in leaves:
            if re.fullmatch(names, leaf.key, re.IGNORECASE) and _is_name(leaf.value):
                return leaf
    return None


def _is_name(value: object) -> bool:
    text = spelled(value)
    return text is not None and 0 < len(text.strip()) <= _MAX_PATH


def _by_item(leaves: Sequence[Leaf]) -> bool:
    """Tell whether the items of a list are devices of their own."""
    return any(_named([leaf]) is not None for leaf in leaves if leaf.at)


_RADIO = re.compile(r"[0-9A-Fa-f]{2}([:-]?[0-9A-Fa-f]{2}){5,7}")


def _device_lines(device: str, own: Sequence[Leaf]) -> list[str]:
    lines = [f"device = {_toml(device)}"]
    if device == "device":
        lines[0] += "  # nothing names it: one source a device, or a field that does"
    leaf = next((leaf for leaf in own if f"{{{leaf.path}}}" == device), None)
    if leaf is not None and _RADIO.fullmatch(str(leaf.value)):
        lines.append('device_as = "hex"')
    return lines


def _time_lines(leaves: Sequence[Leaf]) -> list[str]:
    found = [leaf for leaf in leaves if _TIME.fullmatch(leaf.key)]
    usable = [leaf.path for leaf in found if _is_time(leaf.value)]
    if usable:
        return [f"time = {_toml(usable[0] if len(usable) == 1 else usable[:8])}"]
    if found and isinstance(found[0].value, str):
        return [
            f"# {found[0].path} has no offset: write its zone, or leave it out.",
            f"# time = {_toml(found[0].path)}",
            '# time_as = "local"',
            '# time_zone = "Europe/Zurich"',
        ]
    return []


def _is_time(value: object) -> bool:
    return isinstance(value, str | int | float) and parse_time(value) is not None


def _rule(at: str, leaves: Sequence[Leaf], *, whole_device: bool) -> list[str]:
    here = [leaf for leaf in leaves if leaf.at == at]
    named = None if whole_device or not at else _named(here)
    part = "" if not at or named else _part(at, here)
    taken = {leaf.path for leaf in here if _TIME.fullmatch(leaf.key) or leaf is named}
    drafted = list(_readings([leaf for leaf in here if leaf.path not in taken], part))
    lives = not drafted and named is not None
    if not (drafted or lives) or (at and not whole_device and named is None):
        return []
    lines = ["", "[[rule]]"]
    if at:
        lines.append(f"at = {_toml(at)}")
        if named is not None:
            lines += _device_lines(f"{{{named.path}}}", here)
        lines += _time_lines(here)
    if lives:
        return [*lines, "alive = true  # no field reads like more than that it lives"]
    lines.append("reading = [")
    for one in drafted[:MAX_DRAFTED]:
        doubt = f"  # {one.doubt}" if one.doubt else ""
        lines.append(f"  {_toml(one.fields)},{doubt}")
    return [*lines, "]"]


def _part(at: str, here: Sequence[Leaf]) -> str:
    """Return a template of the channel of an item."""
    found = next((leaf for leaf in here if _PART.fullmatch(leaf.key)), None)
    if found is not None:
        return f"{{{found.path}}}"
    return f"{{#{at.rpartition('[*')[2].removesuffix(']')}+1}}"


def _readings(leaves: Sequence[Leaf], part: str) -> Iterator[_Drafted]:
    paired: set[str] = set()
    by_path = {leaf.path: leaf for leaf in leaves}
    for leaf in leaves:
        if leaf.path in paired:
            continue
        other = _other_side(leaf.path)
        twin = by_path.get(other) if other else None
        if twin is not None and _is_count(leaf.value) and _is_count(twin.value):
            paired.add(twin.path)
            yield _with(_flow(leaf.path, twin.path), part)
            continue
        drafted = _drafted(leaf)
        if drafted is not None:
            yield _with(drafted, part)


def _with(drafted: _Drafted, part: str) -> _Drafted:
    if not part:
        return drafted
    return drafted._replace(fields={**drafted.fields, "channel": part})


def _other_side(path: str) -> str | None:
    """Return the path of people out for one of people in."""
    found = re.fullmatch(r"(.*?)(?<![A-Za-z])in((?:_count)?)", path)
    if found is None:
        found = re.fullmatch(r"(.*?)(?<![A-Za-z])in(_\w+|)", path)
    return None if found is None else f"{found[1]}out{found[2]}"


def _flow(inward: str, outward: str) -> _Drafted:
    total = re.search(r"total|sum|cumul|counter|count", inward, re.IGNORECASE)
    kind = "flow_total" if total else "flow_delta"
    other = "since the last report" if total else "ever since it began"
    fields = {"kind": kind, "in": inward, "out": outward}
    name = "flow_delta" if total else "flow_total"
    return _Drafted(fields, f"if it counts {other}: {name}")


def _is_count(value: object) -> bool:
    found = whole(value)
    return found is not None and not isinstance(value, bool) and 0 <= found <= 2**53


def _drafted(leaf: Leaf) -> _Drafted | None:
    """Return what a field is taken for; None for nothing that is known."""
    vague = _VAGUE.fullmatch(leaf.key)
    name = leaf.path if vague and "." in leaf.path else leaf.key
    for pattern, make in _GUESSES:
        if re.search(pattern, name, re.IGNORECASE):
            found = make(leaf)
            if found is not None:
                return found
    if not leaf.path:
        return _presence(leaf)
    return None


def _presence(leaf: Leaf) -> _Drafted | None:
    return _words(leaf, "presence", "occupied", "vacant")


def _motion(leaf: Leaf) -> _Drafted | None:
    if _is_count(leaf.value):
        fields = {"kind": "motion", "value": leaf.path}
        return _Drafted(fields, "pulses since the last report; 0 is none")
    return _words(leaf, "motion", "motion", "still")


def _words(leaf: Leaf, kind: str, yes: str, no: str) -> _Drafted | None:
    value = leaf.value
    fields: dict[str, object] = {"kind": kind, "value": leaf.path}
    if isinstance(value, bool):
        return _Drafted(fields)
    if whole(value) in (0, 1):
        return _Drafted({**fields, yes: [1], no: [0]}, "if 1 and 0 mean that")
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_PATH:
        return None
    word = value.strip().lower()
    for known, opposites in _BOTH.items():
        if word == known or word in opposites:
            return _Drafted({**fields, yes: [known], no: list(opposites)})
    doubt = f"write which other value means {no if word in _YES else yes}"
    if word in (*_NO, *_OFF) or word.startswith(("no", "un")):
        return _Drafted({**fields, no: [word]}, f"write which value means {yes}")
    return _Drafted({**fields, yes: [word]}, doubt)


def _count(leaf: Leaf) -> _Drafted | None:
    found = whole(leaf.value)
    if isinstance(leaf.value, bool) or (found is None and leaf.value is not None):
        return None
    if found is not None and not -1 <= found <= MAX_COUNT:
        return None
    return _Drafted({"kind": "count", "value": leaf.path}, "people who are there now")


def _contact(leaf: Leaf) -> _Drafted | None:
    value = leaf.value
    fields: dict[str, object] = {"kind": "contact", "value": leaf.path}
    lists: dict[str, list[object]]
    if isinstance(value, bool):
        lists = {"open": [True], "closed": [False]}
    elif whole(value) in (0, 1):
        lists = {"open": [1], "closed": [0]}
    elif isinstance(value, str):
        lists = {"open": ["open"], "closed": ["closed", "close"]}
    else:
        return None
    return _Drafted({**fields, **lists}, "look: which of them is open?")


def _health(leaf: Leaf) -> _Drafted | None:
    value = leaf.value
    known = isinstance(value, bool) or str(value).lower() in ("online", "offline")
    return _Drafted({"kind": "health", "value": leaf.path}) if known else None


def _battery(leaf: Leaf) -> _Drafted | None:
    found = number(leaf.value)
    if found is None or found < 0:
        return None
    if found <= 5:  # noqa: PLR2004 - volts of a cell
        return _env(leaf, "voltage", 1.0)
    return _env(leaf, "battery", 1.0) if found <= 100 else _env(leaf, "voltage", 0.001)  # noqa: PLR2004


def _voltage(leaf: Leaf) -> _Drafted | None:
    found = number(leaf.value)
    if found is None or found < 0:
        return None
    return _env(leaf, "voltage", 1.0 if found < 100 else 0.001)  # noqa: PLR2004


def _env(
    leaf: Leaf, metric: str, scale: float = 1.0, doubt: str = ""
) -> _Drafted | None:
    if number(leaf.value) is None:
        return None
    fields: dict[str, object] = {"kind": "env", "metric": metric, "value": leaf.path}
    return _Drafted(fields if scale == 1 else {**fields, "scale": scale}, doubt)


_GUESSES: Final = (
    (r"co2", lambda leaf: _env(leaf, "co2")),
    (r"temp", lambda leaf: _env(leaf, "temperature")),
    (r"humid|^rh$", lambda leaf: _env(leaf, "humidity")),
    (r"lux|illum|light", lambda leaf: _env(leaf, "illuminance", doubt="if in lux")),
    (r"batt|^soc$", _battery),
    (r"volt|vdd|vbat", _voltage),
    (r"door|contact|window|magnet", _contact),
    (r"pir|motion|movement|movecount", _motion),
    (r"people|person|head_?count|visitors|attendees", _count),
    (r"occup|presen|in_?use|vacan|busy", _presence),
    (r"occup", _count),
    (r"count|balance", _count),
    (r"online|availability|avail|connected|status|state", _health),
    (r"(^|\.)(status|state|value|result)$", _presence),
)
"""What a name is taken for, if its value fits; the first that does."""


def _toml(value: object) -> str:
    """Write a value in TOML, on one line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {_toml(one)}" for key, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
