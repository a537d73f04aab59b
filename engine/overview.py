"""What `livefloor sources` shows: asks a running engine, and draws tables."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

import msgspec
from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from engine.errors import ConfigError, DependencyError
from engine.query.problem import Problem
from engine.query.sources import SourceList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

    from engine.query.sources import SourceEntry, UnboundDevice

TIMEOUT_S = 10.0
WATCH_S = 2.0
MAX_BYTES = 1 << 26
HEADER = "source,device,channel,space,kind"


def ask(url: str, secret: bytes | None, name: str | None) -> SourceList:
    """Ask an engine for its sources.

    Args:
        url: Where it is, as `http://127.0.0.1:8080`.
        secret: That of `metrics_secret_file`, where there is one.
        name: Of one source; None for all.

    Raises:
        ConfigError: It refuses, and why; or the address is none.
        DependencyError: It does not answer.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError("--url: write http://host:port or https://host")
    path = "/v1/sources" if name is None else f"/v1/sources/{quote(name, safe='')}"
    request = Request(url.rstrip("/") + path)  # noqa: S310 - the scheme is looked at
    if secret is not None:
        request.add_header("authorization", f"Bearer {secret.decode()}")
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - see above
            return msgspec.json.decode(answer.read(MAX_BYTES), type=SourceList)
    except HTTPError as error:
        with error:
            raise ConfigError(f"{url}: {_refusal(error, name)}") from None
    except (URLError, OSError):
        raise DependencyError(f"{url}: no engine answers there") from None
    except msgspec.DecodeError:
        raise ConfigError(f"{url}: what answers there is no livefloor") from None


def show(
    url: str, secret: bytes | None, name: str | None, out: Console, *, watch: bool
) -> None:
    """Print the sources once, or draw them anew until interrupted.

    Raises:
        ConfigError, DependencyError: See `ask`.
    """
    if not watch:
        out.print(drawn(ask(url, secret, name)))
        return
    with Live(console=out, auto_refresh=False) as live:
        while True:
            live.update(drawn(ask(url, secret, name)), refresh=True)
            time.sleep(WATCH_S)


def drawn(found: SourceList) -> RenderableType:
    """Return everything as tables, and lines to paste."""
    parts: list[RenderableType] = [_summary(found)]
    parts += [
        Text(f"tenant {one.tenant}: newer files are not in use: {one.problem}")
        for one in found.files
        if one.problem
    ]
    for source in found.sources:
        parts += _details(source)
    return Group(*parts)


def _summary(found: SourceList) -> Table:
    """Return a row for each source; 80 columns are enough for one tenant."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    tenants = len({one.tenant for one in found.sources}) > 1
    names = ("tenant", "source", "format") if tenants else ("source", "format")
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name == "source")
    for name in ("last", "applied", "duplicate", "late", "disposed", "refused"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found.sources:
        outcomes = ("applied", "duplicate", "late", "disposed", "invalid")
        counts = (f"{one.outcomes.get(name, 0):,}" for name in outcomes)
        age = "never" if one.message_age_s is None else _age(one.message_age_s)
        who = (one.tenant,) if tenants else ()
        table.add_row(*map(Text, (*who, one.name, one.format, age, *counts)))
    return table


def _details(source: SourceEntry) -> Iterator[RenderableType]:
    """Yield what is to be done about a source."""
    title = f"{source.tenant}/{source.name}"
    if source.dead_letters:
        yield Text(f"\n{title}: refused")
        table = _table("reason", "what", "times", "last")
        for letter in source.dead_letters:
            last = _clock(letter.last_ms)
            count = f"{letter.count:,}"
            table.add_row(*map(Text, (letter.reason, letter.detail, count, last)))
        yield table
    yield from _unknown_places(source, title)
    if source.contacts:
        yield Text(f"\n{title}: doors and windows")
        table = _table("device", "channel", "is", "since")
        for door in source.contacts:
            word = {True: "open", False: "closed", None: "unknown"}[door.open]
            since = _clock(door.since_ms) if door.since_ms else "never"
            table.add_row(*map(Text, (door.device, door.channel, word, since)))
        yield table
    if source.unbound:
        yield Text(f"\n{title}: sensors that are bound to no space")
        table = _table("device", "channel", "kinds", "times", "first", "last")
        for device in source.unbound:
            when = (_clock(device.first_ms), _clock(device.last_ms))
            count = f"{device.count:,}"
            cells = (device.device, device.channel, _kinds(device), count, *when)
            table.add_row(*map(Text, cells))
        yield table
        lines = [line for device in source.unbound for line in device.lines]
        if lines:
            yield Text("to paste into sensors.csv, each with its space:")
            yield Text("\n".join((HEADER, *lines)), overflow="ignore", no_wrap=True)


def _kinds(device: UnboundDevice) -> str:
    """Return what a sensor reported, and what it was bound as instead."""
    said = ", ".join(device.kinds)
    bound = ", ".join(device.bound_as)
    return f"{said}; sensors.csv says {bound}" if bound else said


def _unknown_places(source: SourceEntry, title: str) -> Iterator[RenderableType]:
    if source.unknown_access_points:
        yield Text(f"\n{title}: access points that are in no table")
        table = _table("access point", "times", "in the hour from")
        for ap in source.unknown_access_points:
            table.add_row(*map(Text, (ap.ap, f"{ap.count:,}", _clock(ap.hour_ms))))
        yield table
    if source.unknown_floors:
        yield Text(f"\n{title}: floors that no map in maps.toml is for")
        yield Text(", ".join(source.unknown_floors))


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _refusal(error: HTTPError, name: str | None) -> str:
    """Return why an engine refuses."""
    if error.code == 404 and name is not None:  # noqa: PLR2004 - not found
        return f"there is no source {name!r}"
    try:
        return msgspec.json.decode(error.read(MAX_BYTES), type=Problem).message
    except msgspec.DecodeError:
        return f"what answers there is no livefloor (HTTP status {error.code})"


def _age(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
