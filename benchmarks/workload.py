"""The one seeded workload: a building, its people, and their messages as MQTT bytes.

Every figure about ingest is of this: three in five messages are associations of devices
(of 2,000 people, of whom 60 % opted in), the others readings of sensors in all three
formats. The list is the same on every machine; only the stamps move with the day, since
Redis refuses what is older than a day.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

import mqtt5
import msgspec

from engine import config
from engine.model import Identity, Moves, Person
from engine.simulate.messages import feeds
from engine.simulate.scenario import Scenario
from engine.simulate.workload import workload
from engine.site import Site, build
from engine.spelling import canonical_address, canonical_login

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TENANT = "demo"
SEED = 7
PEOPLE = 2_000
SECONDS = 50.0
"""The span of the stamps; all of them lie before the time at which it is made."""
CHUNK = 256_000
"""Bytes of a read from a busy socket: the buffer that uvloop reads into."""
IDS = 65_535
"""How many packet ids there are; 0 is none."""

_SITE = """\
[server]
port = {port}
[redis]
locations = "{locations}"
registry = "{registry}"
[auth]
secret_file = "token.secret"
[publish]
stall_s = 600
[log]
level = "warning"
[[broker]]
name = "main"
url = "mqtt://{broker}"
session_expiry_s = 0
[[tenant]]
id = "demo"
plan = "plan.geojson"
access_points = "access-points.csv"
sensors = "sensors.csv"
"""
_SOURCE = """\
[[tenant.source]]
name = "{name}"
format = "{format}"
"""
SECRET = "benchmark" * 5
"""Signs the tokens of the measuring clients, and is nobody's secret."""


class Servers(NamedTuple):
    """Where a site finds its servers; nothing there unless it is run."""

    port: int = 0
    locations: str = "redis://127.0.0.1:1"
    registry: str = "redis://127.0.0.1:1"
    broker: str = "127.0.0.1:1"


@dataclass(frozen=True)
class Expected:
    """What must come of the messages, found without the engine.

    Attributes:
        disposed: Messages about people who have not opted in.
        people: Subjects of whom there is a message.
    """

    disposed: int
    people: int


class Workload:
    """The messages, and the site that they belong to.

    Args:
        messages: How many.
        people: How many employees.

    Attributes:
        scenario: The building and its people.
        messages: Topic and payload of each.
        people: Who opted in, as the registry gives them.
        now_ms: When it was made, after the last stamp.
    """

    def __init__(self, messages: int, *, people: int = PEOPLE) -> None:
        self.now_ms = time.time_ns() // 1_000_000
        self.scenario = Scenario(people, seed=SEED)
        self.messages = workload(
            SEED,
            people,
            messages,
            seconds=SECONDS,
            start_ms=self.now_ms - round(1000 * SECONDS) - 1_000,
            prefix=TENANT,
        )
        self.people = [
            Person(
                subject=f"subject-{person.row:014}",
                login=canonical_login(person.login),
                name=person.name,
                devices=tuple(
                    a for d in person.registered if (a := canonical_address(d))
                ),
                since_ms=self.now_ms,
            )
            for person in self.scenario.people
            if person.shares
        ]

    def files(self, folder: Path, servers: Servers | None = None) -> Path:
        """Write the site as an operator has it; return its configuration file."""
        building = self.scenario.building
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plan.geojson").write_bytes(building.plan_file())
        (folder / "access-points.csv").write_text(building.access_points_csv())
        (folder / "sensors.csv").write_text(building.sensors_csv())
        (folder / "token.secret").write_text(SECRET)
        (folder / "radius.secret").write_text(SECRET)
        text = _SITE.format(**(servers or Servers())._asdict())
        for feed in feeds(TENANT):
            text += _SOURCE.format(name=feed.name, format=feed.format)
            if feed.topics:
                text += f'broker = "main"\ntopics = ["{feed.topics}"]\n'
            else:
                text += 'secret_file = "radius.secret"\n'
        path = folder / "livefloor.toml"
        path.write_text(text)
        return path

    def site(self, folder: Path) -> Site:
        """Return the floors, streams and routes, fresh, with everybody let in."""
        site = build(config.load(self.files(folder)))
        for person in self.people:
            site.tenants[TENANT].consent.grant(person)
        return site

    def expected(self) -> Expected:
        """Count by the wire alone what the engine must arrive at."""
        by_login = {person.login: person.subject for person in self.people}
        by_device = {d: p.subject for p in self.people for d in p.devices}
        disposed, seen = 0, set()
        for topic, payload in self.messages:
            if topic != f"{TENANT}/wifi":
                continue
            who = msgspec.json.decode(payload, type=Identity)
            if who.login:
                subject = by_login.get(canonical_login(who.login))
            else:
                subject = by_device.get(canonical_address(who.device or "") or "")
            if subject is None:
                disposed += 1
            else:
                seen.add(subject)
        return Expected(disposed, len(seen))


def all_moved(subjects: Sequence[str], observed_at_ms: int) -> Moves:
    """Return that everybody was seen in one space at one time."""
    number = len(subjects)
    return Moves(
        list(subjects),
        [observed_at_ms] * number,
        ["hq-1-north"] * number,
        [80] * number,
        ["ap"] * number,
        [0] * number,
    )


def packets(messages: Sequence[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield a PUBLISH of QoS 1 for each message; ids run from 1 and around."""
    qos = mqtt5.QoS.AT_LEAST_ONCE
    ids = islice(cycle(range(1, IDS + 1)), len(messages))
    for packet_id, (topic, payload) in zip(ids, messages, strict=True):
        yield mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=packet_id).write()


def chunks(stream: bytes, size: int = CHUNK) -> list[bytes]:
    """Cut a stream as a socket would: without regard to packets."""
    return [stream[start : start + size] for start in range(0, len(stream), size)]
