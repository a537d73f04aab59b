"""Recordings through the real path, in this process: `livefloor replay`.

Everything is what production runs: the site of the configuration, the gate, the
pipeline, the occupancy, the committer and two stores, which are embedded and go with
the replay. No port is opened, no broker and no store of the configuration is touched.

Time is the one thing that is not real. What was recorded is over, and nobody's location
lives for more than 24 hours; so the format is wrapped to read its records at the time
of the recording, and to move the times that it finds by as much as makes the newest of
them now. Behind the format there is one time again.

Nobody shares but who is told: what is about others ends at the gate, as ever, and of
those who share the summary has a number and never a name.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from engine import recording, site
from engine.committer import Committer
from engine.config import contents
from engine.embedded import Valkey
from engine.errors import ConfigError
from engine.files import table
from engine.files.remark import Remarks
from engine.hints import HINTS
from engine.metrics import Metrics
from engine.model import MAX_DEVICES, Outcome, State
from engine.pipeline import Pipeline
from engine.privacy.disclosure import Disclosure
from engine.shift import newest_ms, shifted
from engine.source import Route
from engine.space import COUNTED
from engine.spelling import canonical_address, canonical_login
from engine.store.locations import Locations
from engine.store.registry import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from engine import config as settings
    from engine.recording import Message
    from engine.tenant import Tenant

CHUNK = 256
"""Messages in one run of the pipeline: what a chunk of a busy broker brings."""
LINES = 10
"""How often it is told how far it is, where there is no terminal."""
TOGETHER = 100
PLACES = 1_000


class Summary(NamedTuple):
    """What became of a recording.

    Attributes:
        messages: How many there were.
        by_outcome: What became of their events.
        by_reason: Why events were invalid.
        spaces: How many rooms, areas and desks are in each state now.
        sharing: How many people share; None where the source is about no person.
        located: How many of them have a location now.
        seconds: How long it took.
    """

    messages: int
    by_outcome: dict[Outcome, int]
    by_reason: dict[str, int]
    spaces: dict[State, int]
    sharing: int | None
    located: int
    seconds: float

    def lines(self) -> Iterator[str]:
        """Yield what an operator wants to know, a line each."""
        rate = self.messages / self.seconds if self.seconds else 0.0
        took = f"{self.seconds:.1f} s, {rate:,.0f} a second"
        yield f"{self.messages:,} messages in {took}"
        for outcome, number in self.by_outcome.items():
            yield f"  {outcome.value:<10} {number:>9,}"
        for reason, number in sorted(self.by_reason.items()):
            yield f"    {reason:<8} {number:>9,}"
            if reason in HINTS:
                yield f"      {HINTS[reason]}"
        states = (
            f"{n:,} {state.name.lower()}" for state, n in self.spaces.items() if n
        )
        yield f"spaces now: {', '.join(states) or 'none'}"
        if self.sharing:
            yield f"people located: {self.located:,} of {self.sharing:,} who share"
        elif self.sharing is not None:
            yield (
                "nobody shares, so all that is about people was disposed of; "
                "--people FILE names who does"
            )


async def run(  # noqa: PLR0913 - a mode of operation is this many choices
    config: settings.Config,
    *,
    files: Sequence[Path],
    source: str,
    tenant: str | None,
    speed: float | None,
    people: Path | None,
    clock_ms: Callable[[], int],
    out: Console,
) -> Summary:
    """Send recordings through the path of a source, and say what became of them.

    Args:
        config: Of the site; nothing that it names is written to.
        files: The recordings.
        source: Whose format, topics and sensors.
        tenant: Whose source; None where there is one tenant.
        speed: Recorded seconds in a real one; None: as fast as possible.
        people: CSV `login[,device]` of who shares; None: nobody.
        clock_ms: The clock.
        out: Where progress and summary go.

    Raises:
        ConfigError: A setting or file that does not fit.
    """
    chosen = _tenant(config, tenant)
    described = _source(chosen, source)
    messages = _messages(files, speed)
    parts = site.build(_alone(config, chosen))
    built = parts.tenants[chosen.id]
    found = parts.sources[chosen.id, source]
    route = Route(found, *described.topics)
    who = [] if people is None else _people(people, built)
    metrics = Metrics(version="replay")
    async with AsyncExitStack() as stack:
        locations, registry = await _stores(stack, config)
        await _share(built, who, registry, locations, clock_ms())
        committer = Committer([built], locations, clock_ms=clock_ms, metrics=metrics)
        pipeline = Pipeline(metrics.timed)
        ended_ms = _newest_ms(route, messages, clock_ms())
        if ended_ms is not None:
            ends_ms = clock_ms() + _span_ms(messages, speed)
            found.form = shifted(found.form, ends_ms - ended_ms)
        start = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(committer.run(), name="replay.committer")
            with _progress(out, len(messages)) as told:
                async for chunk in _paced(messages, speed):
                    pipeline.run({route: chunk}, clock_ms())
                    await committer.flush()
                    told(len(chunk))
            # Once, at the end: in between, now is later than what is replayed.
            built.presence.confirm(clock_ms())
            await committer.flush()
            task.cancel()
        summary = Summary(
            len(messages),
            dict(found.tally.by_outcome),
            dict(found.tally.by_reason),
            _spaces(built, clock_ms()),
            None if found.form.identify is None else len(built.consent),
            await _located(built, locations, clock_ms()),
            time.perf_counter() - start,
        )
    for line in summary.lines():
        out.print(line, markup=False, soft_wrap=True)
    return summary


# ---------------------------------------------------------------- what is replayed


def _tenant(config: settings.Config, name: str | None) -> settings.Tenant:
    names = [tenant.id for tenant in config.tenants]
    if name is None and len(names) > 1:
        raise ConfigError(f"--tenant: write one of {', '.join(names)}")
    for tenant in config.tenants:
        if name in (None, tenant.id):
            return tenant
    raise ConfigError(
        f"--tenant: there is no {name!r}; write one of {', '.join(names)}"
    )


def _source(tenant: settings.Tenant, name: str) -> settings.Source:
    for source in tenant.sources:
        if source.name == name:
            return source
    names = ", ".join(source.name for source in tenant.sources) or "none, it has none"
    raise ConfigError(
        f"--source: tenant {tenant.id!r} has no {name!r}; write one of {names}"
    )


def _alone(config: settings.Config, tenant: settings.Tenant) -> settings.Config:
    """Return the same site without brokers, secrets and other tenants."""
    replace = msgspec.structs.replace
    terms: dict[str, Any] = dict.fromkeys(
        ("broker", "secret_file", "secret_env", "validator")
    )
    sources = tuple(replace(one, topics=(), **terms) for one in tenant.sources)
    return replace(config, brokers=(), tenants=(replace(tenant, sources=sources),))


def _messages(files: Sequence[Path], speed: float | None) -> list[Message]:
    """Return what all files hold, in the order of its times where it has any.

    Raises:
        ConfigError: A file that cannot be read, or times of some messages alone.
    """
    messages: list[Message] = []
    for path in files:
        messages += recording.read(contents(path), path.name)
    timed = [one for one in messages if one.at_ms is not None]
    if timed and len(timed) < len(messages):
        raise ConfigError("at_ms: write it on every line of all recordings, or on none")
    if speed is not None and not timed:
        raise ConfigError("--speed needs recordings that say when: lines with at_ms")
    return sorted(messages, key=lambda one: one.at_ms or 0)


def _people(path: Path, tenant: Tenant) -> list[tuple[str, list[str]]]:
    """Return login and devices of everybody who shares.

    Raises:
        ConfigError: With the line, and never with what stands there.
    """
    devices: dict[str, list[str]] = {}
    rows = table.rows(
        contents(path),
        path.name,
        needed=("login",),
        optional=("device", "name"),
        remarks=Remarks(path.name),
    )
    for row in rows:
        login = canonical_login(row.cells["login"], tenant.realms)
        if not login:
            raise row.refused("login is empty; write who shares")
        own = devices.setdefault(login, [])
        if row.cells["device"]:
            address = canonical_address(row.cells["device"])
            if address is None:
                raise row.refused("device is no address such as a4:83:e7:11:22:33")
            own.append(address)
        if len(own) > MAX_DEVICES:
            raise row.refused(f"a person has {MAX_DEVICES} devices at most")
    return list(devices.items())


async def _stores(
    stack: AsyncExitStack, config: settings.Config
) -> tuple[Locations, Registry]:
    volatile = await stack.enter_async_context(Valkey("locations"))
    durable = await stack.enter_async_context(Valkey("registry"))
    retention_ms = round(3_600_000 * config.privacy.retention_h)
    locations = Locations(volatile.url, retention_ms=retention_ms)
    registry = Registry(durable.url)
    stack.push_async_callback(locations.close)
    stack.push_async_callback(registry.close)
    await locations.check()
    await registry.check()
    return locations, registry


async def _share(
    tenant: Tenant,
    who: Sequence[tuple[str, list[str]]],
    registry: Registry,
    locations: Locations,
    now_ms: int,
) -> None:
    """Let people share, by the same steps as when they decide it themselves."""
    for start in range(0, len(who), TOGETHER):
        some = who[start : start + TOGETHER]
        await asyncio.gather(
            *(
                registry.opt_in(tenant.id, login, login, devices, now_ms)
                for login, devices in some
            )
        )
    tenant.consent.grant_all(await registry.people(tenant.id))
    await locations.seed(tenant.id, list(tenant.consent))


# ---------------------------------------------------------------- when


def _newest_ms(route: Route, messages: Sequence[Message], now_ms: int) -> int | None:
    """Return the newest time of a recording, None where nothing tells it.

    It is that of receipt where the recording says it.
    """
    if messages and messages[0].at_ms is not None:
        return messages[-1].at_ms
    payloads, topics = [one.payload for one in messages], route.rests(messages)
    source = route.source
    return newest_ms(source.form, source.tenant.consent, payloads, topics, now_ms)


def _span_ms(messages: Sequence[Message], speed: float | None) -> int:
    """Return how long it will take."""
    if speed is None or not messages:
        return 0
    first, last = messages[0].at_ms or 0, messages[-1].at_ms or 0
    return round((last - first) / speed)


async def _paced(
    messages: Sequence[Message], speed: float | None
) -> AsyncIterator[Sequence[Message]]:
    """Yield the messages in chunks, when they are due."""
    if speed is None:
        for start in range(0, len(messages), CHUNK):
            yield messages[start : start + CHUNK]
            await asyncio.sleep(0)
        return
    clock = asyncio.get_running_loop().time
    begun, first, start = clock(), messages[0].at_ms or 0, 0
    while start < len(messages):
        due = begun + ((messages[start].at_ms or 0) - first) / 1000 / speed
        await asyncio.sleep(max(0.0, due - clock()))
        until_ms = first + (clock() - begun) * 1000 * speed
        stop = start + 1
        while (
            stop < min(len(messages), start + CHUNK)
            and (messages[stop].at_ms or 0) <= until_ms
        ):
            stop += 1
        yield messages[start:stop]
        start = stop


# ---------------------------------------------------------------- what came of it


@contextmanager
def _progress(out: Console, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far it is: a bar on a terminal, else a line now and then.

    Yields:
        What is to be told of every chunk.
    """
    if out.is_terminal:
        columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=out) as bar:
            task = bar.add_task("", total=total)
            yield lambda number: bar.advance(task, number)
        return
    done = 0

    def tell(number: int) -> None:
        nonlocal done
        tenths = LINES * done // max(total, 1)
        done += number
        if LINES * done // max(total, 1) > tenths:
            out.print(f"{done:,} of {total:,} messages")

    yield tell


def _spaces(tenant: Tenant, now_ms: int) -> dict[State, int]:
    """Return how many spaces may be seen in each state."""
    view = Disclosure(tenant.plan, tenant.occupancy)
    view.publish(tenant.occupancy.tick(now_ms), now_ms)
    counted = [one.index for one in tenant.plan.spaces if one.kind in COUNTED]
    states = [view.space(index, now_ms).state for index in counted]
    return {state: states.count(state) for state in State}


async def _located(tenant: Tenant, locations: Locations, now_ms: int) -> int:
    """Return how many people have a location."""
    subjects, located = list(tenant.consent), 0
    for start in range(0, len(subjects), PLACES):
        some = subjects[start : start + PLACES]
        found = await locations.find(tenant.id, some, now_ms)
        located += sum(place is not None for place in found)
    return located
