r"""RADIUS accounting (RFC 2866) as FreeRADIUS posts it in JSON.

Who sends it: the access points or their controller send accounting to FreeRADIUS, whose
`rest` module posts each packet to `POST /v1/ingest/{source}` (its `json` and `kafka`
modules write the same shapes). It is the one source that has the *login*, whoever made
the access points; it knows the access point and no more.

One message is one packet, in any of the shapes that FreeRADIUS writes::

    {"User-Name": "ada", "Acct-Status-Type": "Start", …}                  simple object
    {"User-Name": {"type": "string", "value": "ada"}, …}                  object
    {"request": {"User-Name": {"type": "string", "value": ["ada"]}}, …}   rest, lists
    {"username": "ada", "status_type": "Start", "realm": "", …}           openwisp

and with its options: `single_value_as_array` (the first value counts), `always_string`,
`enum_as_integer` (Start is 1), `dates_as_integer`, and `prefix` (`pf:User-Name`).

What is read, and what becomes of it:

=====================  ================================================================
`User-Name`            `Identity.login`, unless it is a machine (`host/…`, `…$`), an
                       address (MAC authentication) or anonymous (`anonymous@realm`,
                       `@realm`): those are never a person, and the device alone speaks
`Calling-Station-Id`   `Identity.device`
`Acct-Status-Type`     Start, Interim-Update (Alive): joined; Stop: left; all others
                       (Accounting-On, -Off) are about no person: no observation
`Aruba-Location-Id`    the access point; else
`Called-Station-Id`    the access point or its radio, without `:SSID`
`Acct-Session-Id`      the session, by which a Stop finds its Start
`Event-Timestamp`      when, where it can be read: seconds, RFC 3339, or FreeRADIUS'
                       text in UTC ("Mar 18 2014 14:01:48 UTC"). Any other zone's
                       abbreviation is ambiguous: then the time of receipt, less
`Acct-Delay-Time`      seconds that the packet waited
=====================  ================================================================

`NAS-Identifier` and `NAS-IP-Address` are not read: they may name a controller, which
does not tell the place. Nothing else of a packet becomes an object: not a password, not
an address, not traffic.

The `rest` module must be answered with an empty 204: any other body it would parse.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec

from engine.errors import Malformed
from engine.ingest.formats.wire import Record, SourceTime, parse_time, person_time
from engine.model import Identity, Observation, ObservationKind
from engine.spelling import canonical_ap

MAX_BYTES = 1 << 16
"""A packet has 4,096 octets; its JSON with types and lists is a few times as long."""

MAX_NAME = 253
"""Octets of an attribute; what is remembered of access points has a bound."""

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
        "session": "Acct-Session-Id",
        "time": "Event-Timestamp",
        "delay": "Acct-Delay-Time",
    },
):
    """What happened, and where; no attribute of it says who."""

    status: _Attribute = None
    called: _Attribute = None
    location: _Attribute = None
    session: _Attribute = None
    time: _Attribute = None
    delay: _Attribute = None
    status_type: _Attribute = None
    called_station_id: _Attribute = None
    session_id: _Attribute = None
    request: _What | None = None


_who = msgspec.json.Decoder(_Who).decode
_what = msgspec.json.Decoder(_What).decode
_attributes = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_WHO = frozenset({"User-Name", "Calling-Station-Id"})
_WHAT = frozenset(
    {
        "Acct-Status-Type",
        "Called-Station-Id",
        "Aruba-Location-Id",
        "Acct-Session-Id",
        "Event-Timestamp",
        "Acct-Delay-Time",
    }
)

_KINDS = {
    "start": ObservationKind.JOINED,
    "interim-update": ObservationKind.JOINED,
    "alive": ObservationKind.JOINED,
    "stop": ObservationKind.LEFT,
    "1": ObservationKind.JOINED,
    "3": ObservationKind.JOINED,
    "2": ObservationKind.LEFT,
}
_MONTHS = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_UTC_NAMES = frozenset({"UTC", "GMT", "Z"})
_ANONYMOUS = frozenset({"", "anonymous", "anon"})
_ADDRESS = re.compile(r"[0-9a-f]{2}(?:[:.-]?[0-9a-f]{2}){5}")
_BARE_ADDRESS = re.compile(r"[0-9a-f]{12}")


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode login and device alone; both None: a packet about no person."""
    del topic, now_ms
    who = _who(record)
    who = who.request or who
    user = _text(who.user) or _text(who.username)
    caller = _text(who.caller) or _text(who.calling_station_id)
    if user is None and caller is None:
        who = _who(_without_prefix(record, _WHO))
        user, caller = _text(who.user), _text(who.caller)
    return Identity(_person(user) if user else None, caller)


def observe(record: Record, topic: str, now_ms: int) -> Observation | None:
    """Decode what happened and where; None of what is about no association.

    Raises:
        Malformed: No `Acct-Status-Type` (not accounting), or no access point.
        BadTime: A time in the future.
    """
    del topic
    what = _what(record)
    what = what.request or what
    status = _text(what.status) or _text(what.status_type)
    if status is None:
        what = _what(_without_prefix(record, _WHAT))
        status = _text(what.status)
    if status is None:
        raise Malformed("a packet without Acct-Status-Type is not accounting")
    kind = _KINDS.get(status.lower())
    if kind is None:
        return None
    session = _text(what.session) or _text(what.session_id)
    return Observation(kind, _ap(what), _observed_ms(what, now_ms), session)


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


def _person(user: str) -> str | None:
    """Return the login, or None where it is not one of a person.

    Nothing here may keep the text (no cache): it may be that of a bystander.
    """
    name = user.lower()
    local = name.rpartition("\\")[2].partition("@")[0]
    if local in _ANONYMOUS or local.endswith("$") or local.startswith("host/"):
        return None
    return None if _ADDRESS.fullmatch(local) else user


def _ap(what: _What) -> str:
    location = _text(what.location)
    called = location or _text(what.called) or _text(what.called_station_id)
    if called is None:
        raise Malformed("a packet without Called-Station-Id does not tell the place")
    if len(called) > MAX_NAME:
        raise Malformed("an access point has at most as many octets as an attribute")
    if location is not None:
        return canonical_ap(location)
    ap = canonical_ap(called)
    # Some controllers send the name instead of the address, with the SSID behind it.
    return ap if _BARE_ADDRESS.fullmatch(ap) else ap.partition(":")[0].strip() or ap


def _observed_ms(what: _What, now_ms: int) -> int:
    value: SourceTime = _scalar(what.time)
    observed_ms = parse_time(value)
    if observed_ms is None and isinstance(value, str):
        observed_ms = _parse_freeradius(value)
    if observed_ms is None:
        delay = _text(what.delay) or ""
        # Ten digits are 300 years; int() of thousands of digits would raise.
        waited_s = int(delay) if delay.isdecimal() and len(delay) <= 10 else 0  # noqa: PLR2004
        observed_ms = now_ms - 1000 * waited_s
    return person_time(observed_ms, now_ms)


def _parse_freeradius(text: str) -> int | None:
    """Read "Mar 18 2014 14:01:48 UTC"; None for any other zone.

    Abbreviations are not names: IST is three zones, and NZDT needs a table of dates.
    """
    parts = text.split(maxsplit=5)
    if len(parts) != 5 or parts[4].upper() not in _UTC_NAMES:  # noqa: PLR2004
        return None
    month, day, year, clock, _ = parts
    try:
        number = _MONTHS.index(month.lower()) + 1
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
