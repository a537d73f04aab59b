"""hostapd, as in OpenWrt: its lines in a log, and what wifi-presence makes of them.

Who sends it: an access point sends its log by way of a relay that posts it to
`POST /v1/ingest/{source}` or publishes it (`logread -f` piped into `mosquitto_pub -l`),
or runs wifi-presence, which publishes states of the devices that it was told to watch.

**Lines**, one or many in a message, as syslog (RFC 3164, RFC 5424, or rsyslog's with an
RFC 3339 time), as OpenWrt's `logread`, or as hostapd's control socket says them::

    <30>Mar  2 08:59:58 ap1 hostapd: wlan1: AP-STA-CONNECTED 84:c7:de:00:53:01
    Mon Mar  2 08:59:58 2026 daemon.notice hostapd: phy1-ap0: AP-STA-DISCONNECTED …
    <3>AP-STA-CONNECTED 84:c7:de:00:53:01 auth_alg=ft

=============================================  ========================================
`AP-STA-CONNECTED`                             joined
`AP-STA-DISCONNECTED`                          left
`STA … IEEE 802.11: associated`                joined
`STA … IEEE 802.11: disassociated`,            left, minutes late where it is due to
`… deauthenticated`                            inactivity
every other line                               nothing, whichever program wrote it
=============================================  ========================================

The access point is `host/interface` ("ap1/phy1-ap0"), each with a line of its own in
the access-points table: a device that changes from one radio of an access point to the
other leaves the first in the same second, or later, and that must end nothing else. A
line that names no host is from the one that the topic begins with, after the source's
base; where there is none either, the interface alone is the access point.

A time without an offset is taken for UTC, and one without a year for the nearest: so
let access points log in UTC, or with an offset. A line without a time is of now.

**wifi-presence** publishes below its prefix:

==============================  =======================================================
`station/<ap>/<address>/state`  "connected" ("home"): joined `<ap>` now; "not_connected"
                                ("not_home"): left it, some 10 s after it did
`station/<ap>/<address>/attrs`  joined at `connected_at` or left at `disconnected_at`
`<ap>/status`                   "offline": what it reported has ended (its last will)
others                          nothing: `config` lists whom it watches
==============================  =======================================================

The address is in the topic, which is therefore what says who. All of it is retained;
what the broker replays is old news and refused, so people show when they next move.

Nothing that comes by UDP is proven genuine: take lines from a relay that has TLS, or
runs on the same machine.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from engine.errors import BadTime, Malformed, TooLarge
from engine.ingest.formats.wire import (
    MAX_RECORDS,
    MONTHS,
    Record,
    SourceTime,
    ap_of,
    blur_of,
    name_of,
    parse_time,
    person_time,
)
from engine.model import Identity, Observation, ObservationKind, Restart
from engine.spelling import canonical_ap

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 1 << 20

_JOINED, _LEFT = ObservationKind.JOINED, ObservationKind.LEFT
_HEADERS: Final = (
    re.compile(  # RFC 5424
        rb"(?:<\d{1,3}>)?1 (?P<at>\S+) (?P<host>\S+) hostapd \S+ \S+ "
        rb"(?:-|(?:\[[^\]]*\])+) (?:\xef\xbb\xbf)?"
    ),
    re.compile(  # RFC 3164, or the same with a time by RFC 3339
        rb"(?:<\d{1,3}>)?(?P<at>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\S+) "
        rb"(?P<host>\S+) hostapd(?:\[\d+\])?: "
    ),
    re.compile(  # logread
        rb"[A-Z][a-z]{2} (?P<at>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}) "
        rb"\w+\.\w+ hostapd(?:\[\d+\])?: "
    ),
    re.compile(rb"(?:IFNAME=(?P<interface>\S+) )?(?:<\d>)?"),  # the control socket
)
"""What a line begins with, the last of them anything. Only hostapd's own lines count:
in those of others somebody may have chosen the words."""
_EVENT: Final = re.compile(
    rb"(?:(?P<interface>[\w.-]+): )?"
    rb"(?:AP-STA-(?P<event>CONNECTED|DISCONNECTED) (?P<address>[0-9A-Fa-f:]{17})"
    rb"|STA (?P<sta>[0-9A-Fa-f:]{17}) IEEE 802\.11: "
    rb"(?P<did>associated|disassociated|deauthenticated))\b"
)
_KINDS: Final = {
    b"CONNECTED": _JOINED,
    b"DISCONNECTED": _LEFT,
    b"associated": _JOINED,
    b"disassociated": _LEFT,
    b"deauthenticated": _LEFT,
}
_STATES: Final = {
    b"connected": _JOINED,
    b"home": _JOINED,
    b"not_connected": _LEFT,
    b"not_home": _LEFT,
}


class _Line(NamedTuple):
    """A line of hostapd about a device, matched but not decoded."""

    header: re.Match[bytes]
    event: re.Match[bytes]


class _Attributes(msgspec.Struct, gc=False):
    """What wifi-presence says of an association; no field of it says who."""

    is_connected: bool
    connected_at: SourceTime = None
    disconnected_at: SourceTime = None


_attributes = msgspec.json.Decoder(_Attributes).decode


def records(payload: bytes) -> Sequence[Record]:
    """Split a message into its lines; one in JSON is one record.

    Raises:
        TooLarge: More than `MAX_RECORDS` lines.
    """
    if payload.lstrip()[:1] == b"{":
        return (payload,)
    if payload.count(b"\n") >= MAX_RECORDS:
        raise TooLarge(f"a message holds at most {MAX_RECORDS} lines")
    return [line for line in payload.splitlines() if line.strip()]


def identify(record: Record, topic: str, now_ms: int) -> Identity:
    """Decode the address alone; None: a line or message about no device."""
    del now_ms
    levels = topic.split("/")
    if levels[-1] in ("state", "attrs") and len(levels) > 1:
        return Identity(device=levels[-2] or None)
    line = _line(record)
    if line is None:
        return Identity()
    return Identity(device=(line.event["address"] or line.event["sta"]).decode())


def observe(record: Record, topic: str, now_ms: int) -> Observation | None:
    """Decode what happened, where and when; None of what is no association.

    Raises:
        Malformed: No access point.
        BadTime: A time in the future.
    """
    levels = topic.split("/")
    if levels[-1] in ("state", "attrs") and len(levels) > 1:
        return _watched(record, levels, now_ms)
    line = _line(record)
    if line is None:
        return None
    header, event = line.header.groupdict(), line.event.groupdict()
    observed_ms, blur_ms = _observed_ms(header.get("at"), now_ms)
    named = header.get("host") or b"-"
    host = levels[0] if named == b"-" else named.decode()
    interface = (event["interface"] or header.get("interface") or b"").decode()
    ap = name_of("/".join(filter(None, (host, interface))), "an access point")
    return Observation(
        _KINDS[event["event"] or event["did"]],
        canonical_ap(ap),
        person_time(observed_ms, now_ms),
        blur_ms=blur_ms,
    )


def restart(record: Record, topic: str, now_ms: int) -> Restart | None:
    """Decode which wifi-presence went away; None of anything else."""
    levels = topic.split("/")
    if (
        levels[-1] != "status"
        or len(levels) == 1
        or bytes(record).strip() != b"offline"
    ):
        return None
    return Restart(_ap_in(levels[-2]), now_ms)


def _line(record: Record) -> _Line | None:
    line = bytes(record)
    for pattern in _HEADERS:
        header = pattern.match(line)
        if header is not None:
            event = _EVENT.match(line, header.end())
            return None if event is None else _Line(header, event)
    return None


def _watched(record: Record, levels: Sequence[str], now_ms: int) -> Observation | None:
    """Return what wifi-presence says of a device that it watches."""
    ap = _ap_in(levels[-3] if len(levels) > 2 else "")  # noqa: PLR2004 - levels
    observed_ms: int | None = now_ms
    if levels[-1] == "state":
        kind = _STATES.get(bytes(record).strip().lower())
    else:
        said = _attributes(record)
        kind = _JOINED if said.is_connected else _LEFT
        observed_ms = parse_time(
            said.connected_at if said.is_connected else said.disconnected_at
        )
    if kind is None or observed_ms is None:
        return None
    return Observation(kind, ap, person_time(observed_ms, now_ms), nas=ap)


def _ap_in(level: str) -> str:
    """Return the access point that a level of a topic names.

    Raises:
        Malformed: It names none.
    """
    if level == "station":
        raise Malformed(
            "subscribe to the whole prefix: the topic names no access point"
        )
    return ap_of(level)


def _observed_ms(written: bytes | None, now_ms: int) -> tuple[int, int]:
    """Return the time of a line, and how much later it may have been.

    Raises:
        BadTime: There is none such.
    """
    if written is None or written == b"-":
        return now_ms, 0
    text = written.decode()
    whole = text[:4].isdecimal()
    observed_ms = parse_time(text) if whole else _parse_bsd(text, now_ms)
    if observed_ms is None:
        raise BadTime("the line has a time that is none, or without an offset")
    return observed_ms, blur_of(observed_ms)


def _parse_bsd(text: str, now_ms: int) -> int | None:
    """Read "Mar  2 08:59:58", perhaps with a year; without, it is the nearest one."""
    month, day, clock, *rest = text.split()
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    years = map(int, rest) if rest else range(now.year - 1, now.year + 2)
    moments = []
    for year in years:
        try:
            date = f"{year:04}-{MONTHS.index(month.lower()) + 1:02}-{day:0>2}"
            moment = datetime.fromisoformat(f"{date}T{clock}+00:00")
        except ValueError:
            continue
        moments.append(moment)
    if not moments:
        return None
    nearest = min(moments, key=lambda moment: abs(moment - now))
    return parse_time(nearest.timestamp())
