"""The whole engine on embedded parts, with a simulated building: `livefloor demo`."""

from __future__ import annotations

import asyncio
import secrets
import sys
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from engine.app import DemoParts, Engine, now_ms
from engine.config import (
    Broker,
    Config,
    FormatName,
    Log,
    Occupancy,
    Presence,
    Redis,
    Server,
    Source,
    Tenant,
)
from engine.embedded import Broker as EmbeddedBroker
from engine.embedded import Child, OwnFolder, Valkey
from engine.errors import DependencyError
from engine.query.demo import Demo, DemoClock, DemoPerson, TokenOffice
from engine.simulate import clockface
from engine.simulate.messages import feeds
from engine.simulate.scenario import Scenario
from engine.simulate.schedule import CLOSES_S, OPENS_S
from engine.spelling import canonical_address, canonical_login
from engine.store.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.people import People

TENANT = "demo"
STALE_FLOOR_S = 600
"""As in production; in simulated seconds."""
SETTLE_S = 90
STALE_S = 900
CLOCK_FILE = "clock"
TOGETHER = 100
"""Opt-ins sent at a time, so that they share a sync of the disk."""


class Simulator(Child):
    """`livefloor simulate` as a process of its own: the engine's loop stays free."""

    name: ClassVar[str] = "simulator"

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__()
        self._arguments = arguments

    def command(self, folder: Path) -> Sequence[str | Path]:
        """Return the command of this very Python."""
        del folder
        return (sys.executable, "-m", "engine", "simulate", *self._arguments)

    async def answers(self) -> bool:
        """It has nobody to answer to."""
        return True


class Cast:
    """The simulated people, by login, and whether each shares now."""

    def __init__(self, scenario: Scenario, people: People) -> None:
        self._people = people
        self._name_by_login = {
            canonical_login(person.login): person.name
            for person in scenario.people
            if not person.visits
        }

    def people(self) -> Sequence[DemoPerson]:
        """Return everybody in the order of their names."""
        shares = self._people.shares
        found = [
            DemoPerson(login, name, shares(TENANT, login))
            for login, name in self._name_by_login.items()
        ]
        return sorted(found, key=lambda person: person.name)

    def name(self, person: str) -> str | None:
        """Return the name of a login."""
        return self._name_by_login.get(person)


async def run(  # noqa: PLR0913 - a mode of operation is this many choices
    *,
    host: str,
    port: int,
    people: int,
    speed: float,
    seed: int,
    data: Path | None,
    tell: Callable[[str], None],
) -> None:
    """Run until cancelled; nothing is left behind.

    Args:
        host: Address to listen on.
        port: 0 for any that is free.
        people: Employees in the building.
        speed: Simulated seconds in a real one.
        seed: Names building, people and days.
        data: Where the registry of who shares is kept; None: it goes with the demo.
        tell: Shows a line to whoever started it.

    Raises:
        ConfigError: The port is taken, or the extra `embedded` is not installed.
        DependencyError: A child process ended by itself.
    """
    async with AsyncExitStack() as stack:
        own = OwnFolder("demo")
        stack.callback(own.remove)
        folder = own.path
        tell("building the office …")
        scenario = Scenario(people, seed=seed)
        tell("starting Valkey twice and a broker …")
        locations = await stack.enter_async_context(Valkey("locations"))
        registry = await stack.enter_async_context(Valkey("registry", folder=data))
        broker = await stack.enter_async_context(EmbeddedBroker())
        secret = _files(folder, scenario, speed)
        config = _config(
            folder,
            Server(host=host, port=port),
            Redis(locations=locations.url, registry=registry.url),
            Broker(name="main", url=f"mqtt://{broker.host}:{broker.port}"),
            speed,
        )
        tell("asking people whether they share …")
        await _opt_in(registry.url, scenario)
        office = TokenOffice(tenant=TENANT, now_ms=now_ms)
        parts = DemoParts(
            tenant=TENANT,
            authenticator=office.authenticator,
            routes=lambda who: Demo(
                cast=Cast(scenario, who),
                office=office,
                clock=partial(_clock, folder / CLOCK_FILE),
            ),
        )
        engine = Engine(config, parts)

        async def start() -> None:
            shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
            url = f"http://{shown}:{engine.port}"
            simulator = Simulator(
                [
                    *("--broker", f"mqtt://{broker.host}:{broker.port_3_1_1}"),
                    *("--webhook", f"http://127.0.0.1:{engine.port}"),
                    *("--webhook-secret-file", str(secret)),
                    *("--people", str(people), "--seed", str(seed)),
                    *("--speed", str(speed), "--quiet"),
                    *("--clock-file", str(folder / CLOCK_FILE)),
                ]
            )
            await stack.enter_async_context(simulator)
            for child in (locations, registry, broker, simulator):
                watched.create_task(_alive(child), name=f"demo.{child.name}")
            tell(f"\nThe map is live: {url}\n")
            tell(f"{people} people, a day in {_minutes(speed)}; Ctrl-C ends it.")

        async with asyncio.TaskGroup() as watched:
            await engine.run(start)


async def _alive(child: Child) -> None:
    """Wait for the end of a child, which must not come.

    Raises:
        DependencyError: It came.
    """
    status = await child.wait()
    raise DependencyError(f"{child.name} ended with status {status}; start again")


def _clock(file: Path) -> DemoClock | None:
    """Return the time in the simulated building, None before its first second."""
    face = clockface.look(file)
    if face is None:
        return None
    face = face.later(now_ms())
    return DemoClock(face.weekday, face.at_s, face.speed)


def _files(folder: Path, scenario: Scenario, speed: float) -> Path:
    """Write what an operator would have; return the webhook's secret file."""
    building = scenario.building
    (folder / "plan.geojson").write_bytes(building.plan_file())
    (folder / "access-points.csv").write_text(building.access_points_csv())
    (folder / "sensors.csv").write_text(building.sensors_csv(speed))
    secret = folder / "radius.secret"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(24))
    return secret


def _config(
    folder: Path, server: Server, redis: Redis, broker: Broker, speed: float
) -> Config:
    """Return the settings of a site like any other, in the time of the simulation."""
    sources = tuple(
        Source(
            name=feed.name,
            format=FormatName(feed.format),
            broker=broker.name if feed.topics else None,
            topics=(feed.topics,) if feed.topics else (),
            secret_file=None if feed.topics else folder / "radius.secret",
        )
        for feed in feeds(TENANT, vendor_prefix=TENANT)
    )
    tenant = Tenant(
        id=TENANT,
        plan=folder / "plan.geojson",
        access_points=folder / "access-points.csv",
        sensors=folder / "sensors.csv",
        sources=sources,
    )
    return Config(
        redis=redis,
        tenants=(tenant,),
        brokers=(broker,),
        server=server,
        presence=Presence(settle_s=SETTLE_S / speed, stale_s=STALE_S / speed),
        occupancy=Occupancy(stale_floor_s=STALE_FLOOR_S / speed),
        log=Log(format="console", level="warning"),
    )


async def _opt_in(url: str, scenario: Scenario) -> None:
    """Let those who share be in the registry before the day begins."""
    registry = Registry(url)
    willing = [person for person in scenario.people if person.shares]
    for start in range(0, len(willing), TOGETHER):
        await asyncio.gather(
            *(
                registry.opt_in(
                    TENANT,
                    canonical_login(person.login),
                    person.name,
                    [a for d in person.registered if (a := canonical_address(d))],
                    now_ms(),
                )
                for person in willing[start : start + TOGETHER]
            )
        )
    await registry.close()


def _minutes(speed: float) -> str:
    minutes = (CLOSES_S - OPENS_S) / speed / 60
    return f"{minutes:.0f} minutes" if minutes >= 1 else f"{60 * minutes:.0f} seconds"
