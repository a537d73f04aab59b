"""What `livefloor check` says: what a site has, what was passed by, what looks odd."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from engine.ingest.formats import find
from engine.site import premises
from engine.space import COUNTED, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

    from engine.config import Config, Tenant
    from engine.site import Premises
    from engine.space import Plan

SHOWN = 3
"""Examples in a sentence; the rest is a number."""


def show(config: Config, out: Console) -> None:
    """Print what the files of a site describe, and what of it looks odd.

    Raises:
        ConfigError: A file does not fit.
    """
    found = {tenant.id: premises(config, tenant) for tenant in config.tenants}
    out.print(_summary(config, found))
    using = Counter(
        source.broker for tenant in config.tenants for source in tenant.sources
    )
    for broker in config.brokers:
        served = f"{using[broker.name]} of {using.total()} sources"
        out.print(f"broker {broker.name} serves {served}", markup=False)
    remarks = [
        f"tenant {tenant}: {remark}"
        for tenant, one in found.items()
        for remark in one.remarks
    ]
    odd = [*remarks, *doubts(config, found)]
    if odd:
        out.print("\nworth a look:")
    for one in odd:
        out.print(f"- {one}", markup=False, soft_wrap=True)


def doubts(config: Config, found: Mapping[str, Premises]) -> Iterator[str]:
    """Yield what is allowed and perhaps not meant, a sentence each."""
    for tenant in config.tenants:
        for doubt in _of(tenant, found[tenant.id]):
            yield f"tenant {tenant.id}: {doubt}"
    used = {source.broker for tenant in config.tenants for source in tenant.sources}
    for broker in config.brokers:
        if broker.name not in used:
            yield f"broker {broker.name}: no source takes messages from it"


def _summary(config: Config, found: Mapping[str, Premises]) -> Table:
    """Return one line a tenant."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("tenant", overflow="fold")
    for name in ("levels", "spaces", "access points", "sensors", "channels"):
        table.add_column(name, justify="right")
    table.add_column("sources", overflow="fold")
    for tenant in config.tenants:
        one = found[tenant.id]
        numbers = (
            len(one.plan.levels),
            len(one.plan.spaces),
            len(one.access_points),
            len({(binding.source, binding.device) for binding in one.bindings}),
            len(one.bindings),
        )
        sources = ", ".join(source.name for source in tenant.sources)
        table.add_row(tenant.id, *(f"{n:,}" for n in numbers), sources or "none")
    return table


def _of(tenant: Tenant, found: Premises) -> Iterator[str]:
    """Yield the doubts about one tenant."""
    if not tenant.sources:
        yield "no source; nothing will arrive"
    yield from _of_access_points(found)
    yield from _of_sensors(found)
    speaking = {binding.source for binding in found.bindings}
    for source in tenant.sources:
        if find(source.format).observe is None and source.name not in speaking:
            yield f"source {source.name} sends readings, and no sensor is of it"
    boundless = [
        space.id
        for space in found.plan.spaces
        if space.kind in (Kind.ROOM, Kind.AREA) and not space.capacity
    ]
    if boundless:
        yield f"{len(boundless)} rooms and areas have no capacity: {_some(boundless)}"


def _of_access_points(found: Premises) -> Iterator[str]:
    if not found.access_points:
        yield "no access points; nobody who shares will be found"
        return
    covered = _around(found.plan, (ap.space for ap in found.access_points.values()))
    bare = _levels_without(found.plan, covered)
    if bare:
        yield f"no access point on {_some(bare)}; nobody will be found there"


def _of_sensors(found: Premises) -> Iterator[str]:
    if not found.bindings:
        yield "no sensors; every space stays unknown"
        return
    plan = found.plan
    watched = _around(plan, (binding.space for binding in found.bindings))
    bare = _levels_without(plan, watched)
    if bare:
        yield f"no sensor on {_some(bare)}; all of it stays unknown"
    unseen = [
        space.id
        for space in plan.spaces
        if space.kind in COUNTED
        and space.level not in bare
        and space.index not in watched
    ]
    if unseen:
        yield (
            f"{len(unseen)} rooms, areas and desks have no sensor and stay unknown: "
            f"{_some(unseen)}"
        )


def _around(plan: Plan, spaces: Iterable[int]) -> set[int]:
    """Return the spaces and all that they are part of."""
    found: set[int] = set()
    for start in spaces:
        space = start
        while space >= 0 and space not in found:
            found.add(space)
            space = plan.spaces[space].parent
    return found


def _levels_without(plan: Plan, spaces: set[int]) -> list[str]:
    return [level.id for level in plan.levels.values() if level.start not in spaces]


def _some(ids: Sequence[str]) -> str:
    """Return the first ids, and how many more there are."""
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more
