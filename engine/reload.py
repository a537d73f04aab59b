"""Reads tables, maps, policies and profiles anew, and swaps them in as a whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import structlog

from engine.errors import ConfigError
from engine.site import furnish, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from engine import config as settings
    from engine.site import Premises, Site

log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""How often it is looked. A file that changed is read once it has stayed as it is from
one look to the next: an editor may be in the middle of it."""

Stamps: TypeAlias = "dict[Path, tuple[int, int, int] | None]"
"""Of each file what changes with it: time, size, number; None: it is not there."""


class Files(NamedTuple):
    """How it stands with the files of a tenant.

    Attributes:
        read_ms: When those in use were read.
        problem: Why newer ones are not in use, in a sentence for the operator; "" where
            there are none.
        problem_ms: Since when.
    """

    read_ms: int
    problem: str = ""
    problem_ms: int = 0


class Reload:
    """Keeps a site in step with its tables, maps, policies and profiles.

    What does not fit is told, and changes nothing; what does is taken up between two
    batches. The plan and the configuration are read at the start alone: their spaces
    and sources are numbered for the life of the process.

    Args:
        config: Names the files.
        site: What is kept in step.
        clock_ms: The clock.

    Attributes:
        files: How it stands, by tenant.
    """

    def __init__(
        self, config: settings.Config, site: Site, clock_ms: Callable[[], int]
    ) -> None:
        self._config = config
        self._site = site
        self._clock_ms = clock_ms
        self._lock = asyncio.Lock()
        self._used = {t.id: _stamps(t) for t in config.tenants}
        self._seen = dict(self._used)
        self._plans = {t.id: self._used[t.id][t.plan] for t in config.tenants}
        self.files = {t.id: Files(clock_ms()) for t in config.tenants}

    @property
    def refused(self) -> Mapping[str, int]:
        """What is not in use for a mistake in it, and since when."""
        return {
            f"files of {tenant}": files.problem_ms
            for tenant, files in self.files.items()
            if files.problem
        }

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Read the files that changed, and have been left alone since the last look."""
        async with self._lock:
            for tenant in self._config.tenants:
                stamps = _stamps(tenant)
                settled = stamps == self._seen[tenant.id]
                self._seen[tenant.id] = stamps
                if settled and stamps != self._used[tenant.id]:
                    await self._read(tenant, stamps)

    async def now(self) -> None:
        """Read all files, changed or not.

        Raises:
            ConfigError: What of them is not in use, and why; the rest is.
        """
        async with self._lock:
            for tenant in self._config.tenants:
                await self._read(tenant, _stamps(tenant))
        problems = [files.problem for files in self.files.values() if files.problem]
        if problems:
            raise ConfigError("; ".join(problems))

    async def _read(self, tenant: settings.Tenant, stamps: Stamps) -> None:
        """Read the files of a tenant, and take them up if all of them fit."""
        self._seen[tenant.id] = self._used[tenant.id] = stamps
        plan = self._site.tenants[tenant.id].plan
        try:
            found = await asyncio.to_thread(furnish, self._config, tenant, plan)
        except ConfigError as error:
            self._refuse(tenant.id, str(error))
            return
        self._take(tenant.id, found)
        if stamps[tenant.plan] != self._plans[tenant.id]:
            self._refuse(
                tenant.id,
                f"{tenant.plan.name}: the plan is read at the start alone; restart "
                "livefloor to use what has changed in it",
            )

    def _take(self, name: str, found: Premises) -> None:
        """Take up tables: without an await, so between two batches."""
        tenant = self._site.tenants[name]
        tenant.place(found.access_points, found.maps)
        tenant.bind(found.bindings)
        for (owner, of), source in self._site.sources.items():
            if owner == name:
                if source.form.fresh is None:  # one that remembers goes on with it
                    source.form = found.forms[of]
                source.bind()
        self.files[name] = Files(self._clock_ms())
        log.info("tables read anew", tenant=name, number=len(found.bindings))

    def _refuse(self, name: str, problem: str) -> None:
        self.files[name] = self.files[name]._replace(
            problem=problem, problem_ms=self._clock_ms()
        )
        log.warning("changed files are not in use", tenant=name, hint=problem)


def _stamps(tenant: settings.Tenant) -> Stamps:
    """Return the stamps of all files of a tenant."""
    return {path: _stamp(path) for path in (tenant.plan, *tables(tenant))}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
