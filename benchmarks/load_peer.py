"""Messages a CPU second of the whole engine, beside the peer of `peer.py`.

The question: what does the engine cost next to what one writes first? Both are whole
processes on the same broker and the same Redis, and take turns over the same messages:
subscribe, take them all, be stopped. What counts is the CPU time of the consumer from
its readiness until Redis holds the last message. The engine's includes its ticks.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import redis.asyncio
import uvloop

from benchmarks.peer import READY
from benchmarks.process import LAST, Publisher, cpu_s, prebuilt, rig
from benchmarks.results import Result
from benchmarks.workload import TENANT, Workload
from engine.embedded import Child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.process import Rig

MESSAGES = 30_000
ROUNDS = 3
TINY_MESSAGES = 1_000


class Peer(Child):
    """`benchmarks/peer.py` as a process."""

    name: ClassVar[str] = "peer"

    def __init__(self, made: Rig) -> None:
        super().__init__()
        self._rig = made

    def command(self, folder: Path) -> Sequence[str | Path]:
        """Write who consented; return the command of this very Python."""
        people = {LAST: LAST}
        for person in self._rig.day.people:
            people[person.login] = person.subject
            for address in person.devices:
                spelled = ":".join(address[i : i + 2] for i in range(0, 12, 2))
                people[spelled] = person.subject
        file = folder / "people.json"
        file.write_text(json.dumps(people))
        broker = self._rig.broker
        where = (broker.host, str(self._rig.port_3_1_1), self._rig.locations.url)
        return (sys.executable, "-m", "benchmarks.peer", *where, file)

    async def answers(self) -> bool:
        """Whether it has subscribed."""
        async with redis.asyncio.Redis.from_url(self._rig.locations.url) as client:
            return bool(await client.get(READY))


class Turn(NamedTuple):
    """What a consumer took for all messages."""

    cpu_s: float
    wall_s: float


async def turn(made: Rig, consumer: Child, key: str) -> Turn:
    """Let a consumer take every message."""
    async with redis.asyncio.Redis.from_url(made.locations.url) as client:
        await client.flushall()
    at_ms = time.time_ns() // 1_000_000
    stream = prebuilt([*made.day.messages, made.last_message(at_ms)])
    async with consumer:
        publisher = await Publisher.open(made.broker.host, made.broker.port)
        cpu, wall = cpu_s(consumer), time.monotonic()
        await publisher.publish(stream)
        wall_s = await made.until_stored(key, at_ms) - wall
        spent = cpu_s(consumer) - cpu
        await publisher.close()
        await check(made, engine=key == made.last_place)
    return Turn(spent, wall_s)


async def check(made: Rig, *, engine: bool) -> None:
    """Both must know the place of everybody of whom there was a message."""
    pattern = f"lf:{{{TENANT}}}:place:*" if engine else "person:*"
    async with redis.asyncio.Redis.from_url(made.locations.url) as client:
        places = [key async for key in client.scan_iter(pattern, 1_000)]
    # The peer keeps to what a message says first; devices of an unknown login are lost.
    expected = made.day.expected().people + 1
    assert len(places) == expected, (len(places), expected)


async def take_turns(messages: int, rounds: int) -> tuple[list[Turn], list[Turn]]:
    """Measure both, alternating."""
    engines, peers = [], []
    async with rig(Workload(messages)) as made:
        for _ in range(rounds):
            peers.append(await turn(made, Peer(made), f"person:{LAST}"))
            engines.append(await turn(made, made.engine(), made.last_place))
    return engines, peers


def measure(*, tiny: bool = False) -> Result:
    """Return `ingest_over_peer`."""
    messages, rounds = (TINY_MESSAGES, 1) if tiny else (MESSAGES, ROUNDS)
    engines, peers = uvloop.run(take_turns(messages, rounds))
    # In steps of 10 ms; a tiny load may seem to cost nothing.
    ratios = [
        peer.cpu_s / max(engine.cpu_s, 0.01)
        for engine, peer in zip(engines, peers, strict=True)
    ]
    return Result(
        statistics.median(ratios),
        {
            "ratios": [round(ratio, 2) for ratio in ratios],
            "engine_us_per_message": _per_message(engines, messages),
            "peer_us_per_message": _per_message(peers, messages),
            "engine_messages_per_s": round(
                messages / statistics.median(turn.wall_s for turn in engines)
            ),
            "peer_messages_per_s": round(
                messages / statistics.median(turn.wall_s for turn in peers)
            ),
        },
    )


def _per_message(turns: Sequence[Turn], messages: int) -> float:
    return round(statistics.median(turn.cpu_s for turn in turns) / messages * 1e6, 2)


if __name__ == "__main__":
    print(measure())  # noqa: T201 - the figure is the answer
