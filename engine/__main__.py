"""The command `livefloor`, same as `python -m engine`."""
# ruff: noqa: PLC0415 - each command imports what it needs: `simulate` starts at once

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import uvloop
from cyclopts import App, Parameter, validators
from rich.console import Console

from engine.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from engine.simulate.player import Player

BAD_SETTING = 2
"""Exit status where the operator can mend it."""

cli = App(
    name="livefloor",
    version=lambda: version("livefloor"),
    help="Live workplace occupancy and last-known locations, opt-in only.",
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The TOML file.")]
Count = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=100_000))]
Speed = Annotated[float, Parameter(validator=validators.Number(gte=0.1, lte=600))]
PortNumber = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65_535))]


@cli.command
def demo(  # noqa: PLR0913 - a mode of operation is this many choices
    *,
    port: PortNumber = 8080,
    people: Count = 300,
    speed: Speed = 60,
    seed: int = 1,
    host: str = "127.0.0.1",
    data: Path | None = None,
) -> None:
    """Show everything on this machine: embedded stores and broker, a simulated day.

    Example: livefloor demo --people 2000 --speed 60

    Args:
        port: Where the map is; 0 chooses a free port.
        people: How many work in the building.
        speed: Simulated seconds in a real one.
        seed: Another number, another building full of people.
        host: Address to listen on; beyond this machine everyone signs in as someone.
        data: Folder that keeps who shares; without one it goes with the demo.
    """
    from engine import demo as parts
    from engine.ops import configure_logging

    configure_logging("console", "warning")
    _run(
        parts.run(
            host=host,
            port=port,
            people=people,
            speed=speed,
            seed=seed,
            data=data,
            tell=out.print,
        )
    )


@cli.command
def run(*, config: ConfigFile) -> None:
    """Run the engine.

    Example: livefloor run --config /etc/livefloor/livefloor.toml
    """
    from engine.app import VERSION, Engine
    from engine.config import load
    from engine.ops import configure_logging

    settings = load(config)
    configure_logging(settings.log.format, settings.log.level)
    engine = Engine(settings)

    async def told() -> None:
        out.print(f"livefloor {VERSION} on {settings.server.host}:{engine.port}")

    _run(engine.run(told))


@cli.command
def check(*, config: ConfigFile) -> None:
    """Read and check everything that the configuration names, and start nothing.

    Example: livefloor check --config livefloor.toml
    """
    from engine.app import Engine
    from engine.check import show
    from engine.config import load

    settings = load(config)
    Engine(settings)
    show(settings, out)
    out.print(f"\n{config}: ready to run", markup=False, soft_wrap=True)


maps = App(
    name="map", help="Say what a message means, or draft a profile that says it."
)
cli.command(maps)

MessageFile = Annotated[Path, Parameter(allow_leading_hyphen=True)]
UNREAD = 1
"""Exit status where nobody reads a message."""


@maps.command(name="test")
def map_test(
    file: MessageFile,
    *,
    format: str | None = None,  # noqa: A002 - as in the configuration
    profile: Path | None = None,
    topic: str = "",
    config: Path | None = None,
) -> None:
    """Show what a message becomes, and which of its fields nobody used.

    Example: livefloor map test message.json --profile acme.toml --topic acme/7/state

    Args:
        file: The message; - for standard input.
        format: The format that reads it; without one, all are asked.
        profile: Your own profile, instead.
        topic: The MQTT topic that it came on.
        config: Show the spaces that its sensors are bound to.
    """
    from engine import mapping
    from engine.config import load

    if format is not None and profile is not None:
        raise ConfigError("--format and --profile name one thing: give one of them")
    name = format if profile is None else _profile_name(profile)
    payload = _message(file)
    meanings = [
        mapping.meaning(form, payload, topic, time.time_ns() // 1_000_000)
        for form in mapping.candidates(name)
    ]
    meant = mapping.claimed(meanings, topic)
    if isinstance(meant, str):
        err.print(f"livefloor: {meant}", soft_wrap=True, markup=False)
        sys.exit(UNREAD)
    bound = None if config is None else mapping.bindings(load(config), meant.form.name)
    mapping.show(meant, payload, out, bound)


@maps.command(name="suggest")
def map_suggest(file: MessageFile, *, topic: str = "") -> None:
    """Draft a profile for a message that nobody has mapped yet, as TOML.

    Example: livefloor map suggest message.json --topic acme/7/state > acme.toml

    Args:
        file: The message; - for standard input.
        topic: The MQTT topic that it came on.
    """
    from engine.errors import InputError
    from engine.ingest.formats.profile.suggest import suggest

    try:
        draft = suggest(_message(file), topic)
    except InputError as error:
        err.print(f"livefloor: {error}", soft_wrap=True, markup=False)
        sys.exit(UNREAD)
    sys.stdout.write(draft)


def _profile_name(profile: Path) -> str:
    if profile.suffix != ".toml":
        raise ConfigError(f"--profile {profile}: the file of a profile ends in .toml")
    return str(profile)


def _message(file: Path) -> bytes:
    """Return a message, bounded.

    Raises:
        ConfigError: It cannot be read, or is too large to be one.
    """
    from engine.config import contents

    most = 1 << 20
    body = sys.stdin.buffer.read(most + 1) if str(file) == "-" else contents(file)
    if len(body) > most:
        raise ConfigError(f"{file}: a message has at most {most} bytes")
    return body


@cli.command
def replay(
    *files: Path,
    source: str,
    config: ConfigFile,
    tenant: str | None = None,
    speed: Speed | None = None,
    people: Path | None = None,
) -> None:
    """Send recordings through a site as it is configured, and say what became of them.

    A recording is a JSON file (one payload), NDJSON or text (a payload a line), or
    lines that also say when and on which topic:

    `{"at_ms": 1767225600000, "topic": "acme/wifi", "payload": {"sensor": "desk-1"}}`

    with `payload` as JSON or text, or `base64` for other bytes. Its newest time becomes
    now. Two stores are started and go with it; nothing that the configuration names is
    written to.

    Example: livefloor replay monday.ndjson --source wifi --config livefloor.toml

    Args:
        files: The recordings.
        source: The source that they are of: its format, topics and sensors.
        config: The TOML file.
        tenant: Whose source it is, where there are several tenants.
        speed: Recorded seconds in a real one, by `at_ms`; else as fast as possible.
        people: CSV with a header, `login,device`: who shares; else nobody does, and
            everything about people is disposed of.
    """
    from engine import replay as parts
    from engine.app import now_ms
    from engine.config import load
    from engine.ops import configure_logging

    if not files:
        raise ConfigError("write the recordings: livefloor replay FILE… --source NAME")
    configure_logging("console", "warning")
    work = parts.run(
        load(config),
        files=files,
        source=source,
        tenant=tenant,
        speed=speed,
        people=people,
        clock_ms=now_ms,
        out=out,
    )
    _run(work)


@cli.command
def sources(
    name: str | None = None,
    /,
    *,
    url: str = "http://127.0.0.1:8080",
    secret_file: Path | None = None,
    watch: bool = False,
) -> None:
    """Show what a running engine makes of its sources, and what it cannot use.

    Example: livefloor sources zigbee2mqtt --watch

    Args:
        name: Of one source; without it, all.
        url: Where the engine is.
        secret_file: That of `metrics_secret_file`, where the engine has one.
        watch: Draw it anew every two seconds.
    """
    from engine import overview
    from engine.config import secret

    with suppress(KeyboardInterrupt):
        overview.show(url, secret(secret_file, None), name, out, watch=watch)


@cli.command
def simulate(  # noqa: PLR0913 - a mode of operation is this many choices
    *,
    broker: str = "mqtt://127.0.0.1:1883",
    webhook: str | None = None,
    webhook_secret_file: Path | None = None,
    username: str | None = None,
    password_file: Path | None = None,
    people: Count = 300,
    speed: Speed = 60,
    seed: int = 1,
    prefix: str = "demo",
    files: Path | None = None,
    clock_file: Path | None = None,
    quiet: bool = False,
) -> None:
    """Publish a seeded working day, as the Wi-Fi and the sensors of a building would.

    Example: livefloor simulate --broker mqtt://127.0.0.1:1883 --people 500 --files site

    Args:
        broker: An MQTT 3.1.1 broker.
        webhook: The engine's address, for the RADIUS source.
        webhook_secret_file: The secret of that source.
        username: At the broker; it must have the right to write beneath `prefix`, or
            all is dropped: MQTT 3.1.1 has no words to say so.
        password_file: With the broker's password.
        people: How many work in the building.
        speed: Simulated seconds in a real one.
        seed: Another number, another building full of people.
        prefix: What every topic is beneath; a tenant's name, with the shipped files.
        files: Write plan, access points and sensors into this folder, and end.
        clock_file: Keep the simulated time in this file, for another program to show.
        quiet: Say nothing while it runs.
    """
    from engine.config import secret
    from engine.simulate.player import Broker, Player
    from engine.simulate.scenario import Scenario

    scenario = Scenario(people, seed=seed)
    if files is not None:
        files.mkdir(parents=True, exist_ok=True)
        building = scenario.building
        (files / "plan.geojson").write_bytes(building.plan_file())
        (files / "access-points.csv").write_text(building.access_points_csv())
        (files / "sensors.csv").write_text(building.sensors_csv(speed))
        out.print(f"wrote plan.geojson, access-points.csv and sensors.csv to {files}")
        return
    parts = urlsplit(broker)
    if parts.scheme != "mqtt" or not parts.hostname:
        raise ConfigError("--broker: write mqtt://host:port")
    password = secret(password_file, None)
    key = secret(webhook_secret_file, None)
    player = Player(
        scenario,
        Broker(
            parts.hostname,
            parts.port or 1883,
            username,
            None if password is None else password.decode(),
        ),
        webhook_url=webhook,
        webhook_secret=None if key is None else key.decode(),
        prefix=prefix,
        speed=speed,
    )
    _run(_play(player, clock_file, quiet=quiet))


async def _play(player: Player, clock_file: Path | None, *, quiet: bool) -> None:
    """Play, and tell of it by a status line and in a file, where that is wanted."""
    from engine.simulate import clockface

    async with asyncio.TaskGroup() as tasks:
        if not quiet:
            tasks.create_task(_status(player), name="simulate.status")
        if clock_file is not None:
            clock = clockface.keep(clock_file, player)
            tasks.create_task(clock, name="simulate.clock")
        tasks.create_task(player.run(), name="simulate.player")


LIVELY_S, CALM_S = 0.5, 60.0
"""How often the status is told on a terminal, and in a log."""


async def _status(player: Player) -> None:
    with out.status("") as line:
        while True:
            stats = player.stats
            sent = ", ".join(f"{name} {n:,}" for name, n in stats.sent.items())
            told = f"sent: {sent or 'nothing yet'}"
            if stats.connected is False:
                told = "the broker is away; trying again"
            text = f"{player.face(0).text}  {told}"
            if out.is_terminal:
                line.update(text)
                await asyncio.sleep(LIVELY_S)
            else:
                out.print(text)
                await asyncio.sleep(CALM_S)


def _run(work: Coroutine[None, None, object]) -> None:
    """Run until the work ends, or until SIGINT, SIGTERM or SIGHUP, on uvloop."""
    from engine.ops import install_hooks, loop_exception_handler

    install_hooks()

    async def until_told() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(loop_exception_handler)
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM, *_hangup()):
            loop.add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())


def _hangup() -> tuple[signal.Signals, ...]:
    """Return SIGHUP, the end of the terminal; nothing where `nohup` started us."""
    kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return () if kept else (signal.SIGHUP,)


def main() -> None:
    """Run a command; exit 2 with one sentence where the operator can mend it."""
    try:
        cli()
    except* EngineError as group:
        for error in _leaves(group):
            err.print(f"livefloor: {error}", soft_wrap=True, markup=False)
        sys.exit(BAD_SETTING)


def _leaves(error: BaseException) -> list[BaseException]:
    """Return the errors in a group of groups, each once by its text."""
    if isinstance(error, BaseExceptionGroup):
        found = [leaf for inner in error.exceptions for leaf in _leaves(inner)]
        return list({str(leaf): leaf for leaf in found}.values())
    return [error]


if __name__ == "__main__":
    main()
