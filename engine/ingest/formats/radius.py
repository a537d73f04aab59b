r"""RADIUS accounting (RFC 2866) as FreeRADIUS forwards it, in JSON or attribute lines.

Who sends it: the access points or their controller send accounting to FreeRADIUS, whose
`rest` module posts each packet to `POST /v1/ingest/{source}` (its `json` and `kafka`
modules write the same shapes), or whose log a shipper posts. It is the one source that
has the *login*, whoever made the access points; it knows the access point and no more.

In JSON one message is one packet, in any of the shapes that FreeRADIUS writes::

    {"User-Name": "ada", "Acct-Status-Type": "Start", …}                  simple object
    {"User-Name": {"type": "string", "value": "ada"}, …}                  object
    {"request": {"User-Name": {"type": "string", "value": ["ada"]}}, …}   rest, lists
    {"username": "ada", "status_type": "Start", "realm": "", …}           openwisp

and with its options: `single_value_as_array` (the first value counts), `always_string`,
`enum_as_integer` (Start is 1), `dates_as_integer`, and `prefix` (`pf:User-Name`).

Attribute lines are what its `detail` and `linelog` modules write: packets with an empty
line between them, or one packet a line with commas between its attributes::

    Mon Mar  2 09:00:00 2026
            User-Name = "ada"
            Acct-Status-Type = Start

    User-Name = "ada", Acct-Status-Type = Start

What is read, and what becomes of it:

=====================  ================================================================
`User-Name`            `Identity.login`, unless it is no person's (`wire.login_of`):
                       then the device alone speaks
`Calling-Station-Id`   `Identity.device`
`Acct-Status-Type`     Start, Interim-Update (Alive): joined; Stop: left;
                       Accounting-On, -Off: the access server restarted; nothing else
`Aruba-Location-Id`    the access point's name; else
`Meraki-Ap-Name`       the same; else
`Called-Station-Id`    the access point or its radio, without `:SSID`. Cisco and RUCKUS
                       controllers can be told to send the name here
`Acct-Session-Id`      the session, by which a Stop finds its Start
`Event-Timestamp`      when, where it can be read: seconds, RFC 3339, or FreeRADIUS'
                       text in UTC ("Mar 18 2014 14:01:48 UTC"). Any other zone's
                       abbreviation is ambiguous: then
`Timestamp`            when FreeRADIUS wrote the lines of a detail file, else the time
                       of receipt, either less
`Acct-Delay-Time`      seconds that the packet waited
`NAS-Identifier`,      the access server, by both where it has both, so that two servers
`NAS-IP-Address`       with one private address stay two. Never the access point: it may
                       be a controller, which does not tell the place
=====================  ================================================================

`Acct-Multi-Session-Id` ties the sessions of a roam together; it is not read: the Stop
of the old session, however late, would otherwise end the new one.

After Accounting-On, what begins in the same second has begun after it; after -Off,
nothing has. Nothing else of a packet becomes an object: not a password, not an address,
not traffic.

The `rest` module must be answered with an empty 204: any other body it would parse.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec

from engine.errors import Malformed, TooLarge
from engine.ingest.formats.wire import (
    MAX_RECORDS,
    MONTHS,
    Record,
    SourceTime,
    ap_of,
    blur_of,
    login_of,
    parse_time,
    person_time,
)
from engine.model import Identity, Observation, ObservationKind, Restart

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

MAX_BYTES = 1 << 18
"""A packet has 4,096 octets; its JSON with types and lists is a few times as long, and
a shipper of logs may gather some hundred."""

_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Scalar: TypeAlias = str | _Int | float


class _Typed(msgspec.Struct, gc=False):
    """An attribute in object mode: its type is known, its value matters."""

    value: _Scalar | list[_Scalar] | None = None


_Attribute: TypeAlias = _Scalar | list[_Scalar] | _Typed | None


class _Who(
    msgspec.Struct, rename={"user": "User-Name", "caller": "Calling-Station-Id"}
):
    """The two attributes that say who; everything else is passed over."""

    user: _Attribute = None
    caller: _Attribute = None
    username: _Attribute = None
    calling_station_id: _Attribute = None
    request: _Who | None = None


class _What(
    msgspec.Struct,
    rename={
        "status": "Acct-Status-Type",
        "called": "Called-Station-Id",
        "location": "Aruba-Location-Id",
        "name": "Meraki-Ap-Name",
        "session": "Acct-Session-Id",
        "time": "Event-Timestamp",
        "written": "Timestamp",
        "delay": "Acct-Delay-Time",
        "server": "NAS-Identifier",
        "address": "NAS-IP-Address",
        "address6": "NAS-IPv6-Address",
    },
):
    """What happened, and where; no attribute of it says who."""

    status: _Attribute = None
    called: _Attribute = None
    location: _Attribute = None
    name: _Attribute = None
    session: _Attribute = None
    time: _Attribute = None
    written: _Attribute = None
    delay: _Attribute = None
    server: _Attribute = None
    address: _Attribute = None
    address6: _Attribute = None
    status_type: _Attribute = None
    called_station_id: _Attribute = None
    session_id: _Attribute = None
    nas_identifier: _Attribute = None
    nas_ip_address: _Attribute = None
    request: _What | None = None


_who = msgspec.json.Decoder(_Who).decode
_what = msgspec.json.Decoder(_What).decode
_attributes = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_WHO = frozenset(_Who.__struct_encode_fields__) - frozenset(_Who.__struct_fields__)
_WHAT = frozenset(_What.__struct_encode_fields__) - frozenset(_What.__struct_fields__)
"""The attributes by their own names, which alone have a prefix or stand in lines."""

_PAIR = re.compile(
    rb"""[ \t]*([A-Za-z][\w.:-]*)[ \t]*[+:]?=[ \t]*
    ("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,]*)[ \t]*(,?)""",
    re.VERBOSE,
)
"""An attribute in a line. A quoted value is taken whole: what a person chose as their
name may look like further attributes."""
_ESCAPED = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_EMPTY_LINE = re.compile(rb"\n[ \t\r]*\n")

_KINDS = {
    "start": ObservationKind.JOINED,
    "interim-update": ObservationKind.JOINED,
    "alive": ObservationKind.JOINED,
    "stop": ObservationKind.LEFT,
    "1": ObservationKind.JOINED,
    "3": ObservationKind.JOINED,
    "2": ObservationKind.LEFT,
}
_ON = frozenset({"accounting-on", "7"})
_OFF = frozenset({"accounting-off", "8"})
_UTC_NAMES = frozenset({"UTC", "GMT", "Z"})
_BARE_ADDRESS = re.compile(r"[0-9a-f]{12}")


def records(payload: bytes) -> Sequence[Record]:
    """Split attribute lines into packets; a message in JSON is one.

    Raises:
        Malformed: Neither JSON nor attribute lines.
        TooLarge: More than `MAX_RECORDS`.
    """
    if payload.lstrip()[:1] == b"{":
        return (payload,)
    if payload.count(b"\n") > MAX_BYTES // 8:
        raise TooLarge("a line with an attribute has more than eight characters")
    packets = list(_packets(payload))
    if not packets:
        raise Malformed("a message has JSON or lines with attributes")
    if len(packets) > MAX_RECORDS:
        raise TooLarge(f"a message holds at most {MAX_RECORDS} packets")
    return packets


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode login and device alone; both None: a packet about no person."""
    del topic, now_ms
    if _in_lines(record):
        who = msgspec.convert(_in_order(record, _WHO), _Who)
    else:
        who = _who(record)
        who = who.request or who
    user = _text(who.user) or _text(who.username)
    caller = _text(who.caller) or _text(who.calling_station_id)
    if user is None and caller is None and not _in_lines(record):
        who = _who(_without_prefix(record, _WHO))
        user, caller = _text(who.user), _text(who.caller)
    return Identity(login_of(user), caller)


def observe(record: Record, topic: str, now_ms: int) -> Observation | None:
    """Decode what happened and where; None of what is about no association.

    Raises:
        Malformed: No `Acct-Status-Type` (not accounting), or no access point.
        BadTime: A time in the future.
    """
    del topic
    what, status = _accounting(record)
    if status is None:
        raise Malformed("a packet without Acct-Status-Type is not accounting")
    kind = _KINDS.get(status)
    if kind is None:
        return None
    observed_ms, blur_ms = _observed_ms(what, now_ms)
    return Observation(
        kind,
        _ap(what),
        person_time(observed_ms, now_ms),
        _text(what.session) or _text(what.session_id),
        blur_ms=blur_ms,
        nas=_nas(what),
    )


def restart(record: Record, topic: str, now_ms: int) -> Restart | None:
    """Decode which access server restarted, and when; None of any other packet."""
    del topic
    what, status = _accounting(record)
    if status not in _ON | _OFF:
        return None
    nas = _nas(what)
    if nas is None:
        return None
    observed_ms, _ = _observed_ms(what, now_ms)
    # However wrong the server's clock is, what it reports from now on is newer.
    return Restart(nas, min(observed_ms, now_ms) - (status in _ON))


def _packets(payload: bytes) -> Iterator[bytes]:
    """Yield packets in lines: with an empty line between them, or each in one line."""
    for block in _EMPTY_LINE.split(payload):
        lines = [line for line in block.splitlines() if _PAIR.match(line)]
        if not lines:
            continue
        first = _PAIR.match(lines[0])
        if first and first[3]:
            yield from lines
        else:
            yield b"\n".join(lines)


def _in_lines(record: Record) -> bool:
    return bytes(record).lstrip()[:1] != b"{"


def _in_order(record: Record, names: Collection[str]) -> dict[str, str]:
    """Return the named attributes of a packet in lines, the first of several."""
    found: dict[str, str] = {}
    for line in bytes(record).splitlines():
        pair = _PAIR.match(line)
        while pair:
            name = pair[1].decode()
            if name in names and name not in found:
                found[name] = _unquoted(pair[2]).decode()
            pair = _PAIR.match(line, pair.end()) if pair[3] else None
    return found


def _unquoted(value: bytes) -> bytes:
    """Return a value without the quotes and escapes that FreeRADIUS writes."""
    if value[:1] not in (b'"', b"'"):
        return value
    return _ESCAPED.sub(_unescaped, value[1:-1])


def _unescaped(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if len(code) == 1:
        return _ESCAPES.get(code, code)
    return bytes((int(code, 8) & 0xFF,))


def _accounting(record: Record) -> tuple[_What, str | None]:
    """Decode everything but the identity, and the status in lower case."""
    if _in_lines(record):
        what = msgspec.convert(_in_order(record, _WHAT), _What)
        status = _text(what.status)
    else:
        what = _what(record)
        what = what.request or what
        status = _text(what.status) or _text(what.status_type)
        if status is None:
            what = _what(_without_prefix(record, _WHAT))
            status = _text(what.status)
    return what, status and status.lower()


def _scalar(attribute: _Attribute) -> _Scalar | None:
    """Return the value of an attribute in whichever shape, the first of several."""
    if isinstance(attribute, _Typed):
        attribute = attribute.value
    if isinstance(attribute, list):
        return attribute[0] if attribute else None
    return attribute


def _text(attribute: _Attribute) -> str | None:
    """Return the value as text; None where it is absent or, as openwisp does, empty."""
    value = _scalar(attribute)
    return None if value is None else str(value).strip() or None


def _ap(what: _What) -> str:
    name = _text(what.location) or _text(what.name)
    if name is not None:
        return ap_of(name)
    called = _text(what.called) or _text(what.called_station_id)
    ap = ap_of(called)
    # Some controllers send the name instead of the address, with the SSID behind it.
    return ap if _BARE_ADDRESS.fullmatch(ap) else ap.partition(":")[0].strip() or ap


def _nas(what: _What) -> str | None:
    """Return what names the access server in all of its packets alike."""
    server = _text(what.server) or _text(what.nas_identifier)
    address = _text(what.address) or _text(what.nas_ip_address)
    names = filter(None, (server, address or _text(what.address6)))
    return " ".join(names).lower() or None


def _observed_ms(what: _What, now_ms: int) -> tuple[int, int]:
    """Return when it was, and how much later it may have been."""
    value: SourceTime = _scalar(what.time)
    observed_ms = parse_time(value)
    if observed_ms is None and isinstance(value, str):
        observed_ms = _parse_freeradius(value)
    if observed_ms is not None:
        return observed_ms, blur_of(observed_ms)
    received_ms = parse_time(_scalar(what.written))
    delay = _text(what.delay) or ""
    # Ten digits are 300 years; int() of thousands of digits would raise.
    waited_s = int(delay) if delay.isdecimal() and len(delay) <= 10 else 0  # noqa: PLR2004
    return (now_ms if received_ms is None else received_ms) - 1000 * waited_s, 0


def _parse_freeradius(text: str) -> int | None:
    """Read "Mar 18 2014 14:01:48 UTC"; None for any other zone.

    Abbreviations are not names: IST is three zones, and NZDT needs a table of dates.
    """
    parts = text.split(maxsplit=5)
    if len(parts) != 5 or parts[4].upper() not in _UTC_NAMES:  # noqa: PLR2004
        return None
    month, day, year, clock, _ = parts
    try:
        number = MONTHS.index(month.lower()) + 1
        moment = datetime.fromisoformat(f"{year}-{number:02}-{day:0>2}T{clock}")
    except ValueError:
        return None
    return parse_time(moment.replace(tzinfo=UTC).timestamp())


def _without_prefix(record: Record, names: frozenset[str]) -> bytes:
    """Return the named attributes alone, without the `prefix:` of the `json` module.

    Their values are copied as they are: nothing but names becomes an object.
    """
    plain = {name.rpartition(":")[2]: raw for name, raw in _attributes(record).items()}
    return msgspec.json.encode({name: plain[name] for name in names & plain.keys()})
