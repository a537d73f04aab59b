"""What the operator is told of the sources: from their tallies to the answers."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from engine.model import ReadingKind
from engine.query.sources import (
    Contact,
    DeadLetter,
    FilesEntry,
    SourceEntry,
    SourceList,
    UnboundDevice,
    UnknownAccessPoint,
)
from engine.space import BOUND_AS, WORD_OF
from engine.strays import CROWD
from engine.tenant import name_of, split_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.reload import Files
    from engine.site import Site
    from engine.source import Source
    from engine.strays import Unbound

SPACE = "SPACE"
"""Stands where the operator has to say what a sensor watches."""


def listed(site: Site, files: Mapping[str, Files], now_ms: int) -> SourceList:
    """Return how it is now with all sources, and with the tables of each tenant."""
    return SourceList(
        [_entry(source, now_ms) for source in site.sources.values()],
        [
            FilesEntry(tenant, one.read_ms, one.problem or None)
            for tenant, one in files.items()
        ],
    )


def _entry(source: Source, now_ms: int) -> SourceEntry:
    tally, strays = source.tally, source.tally.strays
    crowded = len(source.tenant.consent) >= CROWD
    heard_ms = tally.heard_ms
    return SourceEntry(
        tenant=source.tenant.id,
        name=source.name,
        format=source.form.name,
        transport=source.transport,
        outcomes={outcome.value: n for outcome, n in tally.by_outcome.items()},
        refusals=dict(tally.by_reason),
        message_age_s=max(0, now_ms - heard_ms) // 1000 if heard_ms else None,
        unbound=[
            _unbound(source, device, channel, one)
            for (device, channel), one in strays.unbound.items()
        ],
        unknown_access_points=[
            UnknownAccessPoint(ap, letter.number, letter.last_ms)
            for ap, letter in sorted(strays.access_points.items())
            if crowded
        ],
        unknown_floors=sorted(
            floor
            for name, floor in source.tenant.locator.unknown_floors
            if crowded and name == source.name
        ),
        dead_letters=[
            DeadLetter(reason, detail, letter.number, letter.last_ms)
            for (reason, detail), letter in strays.letters.items()
        ],
        contacts=[
            _contact(source, name, channel)
            for name, channel in sorted(source.channel[ReadingKind.CONTACT].items())
        ],
    )


def _contact(source: Source, name: str, channel: int) -> Contact:
    value, since_ms = source.tenant.occupancy.said(channel)
    return Contact(*split_name(name), None if value < 0 else value > 0, since_ms)


def _unbound(source: Source, device: str, channel: str, one: Unbound) -> UnboundDevice:
    words = sorted({WORD_OF[kind] for kind in one.kinds})
    name = name_of(device, channel)
    return UnboundDevice(
        device=device,
        channel=channel,
        kinds=words,
        bound_as=[w for w, kind in BOUND_AS.items() if name in source.channel[kind]],
        count=one.number,
        first_ms=one.first_ms,
        last_ms=one.last_ms,
        lines=[
            _line(source.name, device, channel, SPACE, word)
            for word in words
            if word in BOUND_AS
        ],
    )


def _line(*cells: str) -> str:
    """Return a row of `sensors.csv`: source, device, channel, space, kind."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
