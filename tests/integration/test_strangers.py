"""Nothing of somebody who does not share is anywhere, whatever source tells of them.

Every sample of a format about people is sent to the whole process, of people who have
not opted in: as it is, cut, with a wrong type at each of its fields, and to each of the
other sources too, as by an operator who confuses them. Then everything that the process
says or keeps is looked through for anything that stood in them.
"""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
import redis

from engine.strays import CROWD
from tests.ingest.formats.golden import EVERY, GOLDEN
from tests.integration.rig import WEBHOOK_SECRET, Engine, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.conftest import Mosquitto
    from tests.ingest.formats.golden import Sample
    from tests.integration.rig import Server

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STRANGERS = [
    sample
    for sample in GOLDEN
    if sample.format.identify is not None
    and any(one and any(one.values()) for one in sample.meaning.get("identities", ()))
]
PEOPLE = sorted({sample.format.name for sample in STRANGERS})
SENSORS = ["butlr", "density", "ha-discovery", "shelly", "sparkplug", "zigbee2mqtt"]
"""Formats about no person, to which somebody may point a source about people."""
LETTERS = re.compile(r"[A-Za-z0-9@._:-]{8,}")
NUMBERS = re.compile(r"-?\d+\.\d{2,}")
COMMON = re.compile(r"[a-z]+([_-][a-z]+)*|[A-Z]+(_[A-Z]+)*|[A-Z]?[a-z]+([A-Z][a-z]+)*")
"""Words, as protocols have them: they tell nothing of anybody."""


def configured() -> str:
    found = ""
    for name in (*PEOPLE, *SENSORS):
        found += (
            f'[[tenant.source]]\nname = "{name}-in"\nformat = "{name}"\n'
            f'verify = "secret"\nsecret_file = "radius.secret"\nrate_per_s = 10000\n'
            f'[[tenant.source]]\nname = "{name}-by-mqtt"\nformat = "{name}"\n'
            f'broker = "main"\ntopics = ["of/{name}/#"]\n'
        )
    return found


def marks(samples: list[Sample]) -> set[str]:
    """Return what of the samples would betray somebody."""
    found: set[str] = set()
    for sample in samples:
        text = sample.payload.decode("latin-1") + " " + sample.topic
        words = {word for word in LETTERS.findall(text) if not COMMON.fullmatch(word)}
        found |= words | set(NUMBERS.findall(text))
        for one in sample.meaning["identities"]:
            found |= {value for value in (one or {}).values() if value}
            bare = re.sub("[^0-9a-f]", "", ((one or {}).get("device") or "").lower())
            if len(bare) == 12:
                found |= {
                    bare,
                    str(int(bare, 16)),
                    *(
                        sign.join(re.findall("..", spelled))
                        for sign in ":-"
                        for spelled in (bare, bare.upper())
                    ),
                }
    return {one for one in found if len(one) >= 6}


def spoiled(value: Any) -> Iterator[Any]:  # noqa: ANN401 - JSON
    """Yield a JSON value with another type at each place in turn."""
    if isinstance(value, dict):
        for key, below in value.items():
            for one in spoiled(below):
                yield {**value, key: one}
    elif isinstance(value, list):
        for number, below in enumerate(value[:2]):
            for one in spoiled(below):
                yield [*value[:number], one, *value[number + 1 :]]
    elif isinstance(value, str):
        yield [value]
        yield {value: value}
    else:
        yield f"{value} of eve-of-nowhere"


def bodies(sample: Sample) -> list[bytes]:
    payload = sample.payload
    found = [payload, payload[: len(payload) // 2], payload + payload]
    try:
        value = json.loads(payload)
    except ValueError:
        return found
    several = [json.dumps(one).encode() for one in spoiled(value)]
    chance = random.Random(sample.name)  # noqa: S311 - a choice of tests
    return found + chance.sample(several, min(12, len(several)))


@pytest.fixture
async def engine(
    tmp_path: Path,
    redis_locations: Server,
    redis_registry: Server,
    new_mosquitto: Callable[[], Mosquitto],
) -> AsyncIterator[Engine]:
    broker = new_mosquitto()
    await broker.start()
    servers = {
        "locations": redis_locations,
        "registry": redis_registry,
        "broker": broker,
    }
    engine = Engine(tmp_path / "site", servers, more=configured())
    await engine.start()
    yield engine
    await engine.stop()


def kept(server: Server) -> str:
    """Return everything that a Redis holds, as text."""
    told: list[object] = []
    with redis.Redis.from_url(server.url) as client:
        for key in client.scan_iter(count=1000):
            match client.type(key):
                case b"string":
                    told += [key, client.get(key)]
                case b"hash":
                    told += [key, client.hgetall(key)]
                case b"set":
                    told += [key, client.smembers(key)]
                case b"zset":
                    told += [key, client.zrange(key, 0, -1, withscores=True)]
                case b"list":
                    told += [key, client.lrange(key, 0, -1)]
                case b"stream":
                    told += [key, client.xrange(key)]
                case other:
                    raise AssertionError(other)
    return repr(told)


async def test_of_a_stranger_nothing_is_told_kept_or_written(engine: Engine) -> None:
    for number in range(CROWD):  # so many that access points may be named
        login = f"sharing-{number}"
        await engine.json("PUT", "/v1/me/consent", login=login)
    answers: set[bytes] = set()
    posts = 0
    for sample in STRANGERS:
        own = sample.format.name
        for number, body in enumerate(bodies(sample)):
            for source in (own, *SENSORS) if number == 0 else (own,):
                status, answer = await engine.request(
                    "POST",
                    f"/v1/ingest/{source}-in?event={own}",
                    body,
                    headers={"Authorization": f"Bearer {WEBHOOK_SECRET}"},
                )
                assert status in (200, 204, 400, 413), (status, sample.name, source)
                answers.add(answer)
                posts += 1
    server = engine.servers["broker"]
    async with aiomqtt.Client(server.host, server.port) as mqtt:
        for sample in STRANGERS:
            for source in (*PEOPLE, *SENSORS):
                topic = f"of/{source}/{sample.topic or 'topic'}"
                for retain in (False, True):
                    await mqtt.publish(topic, sample.payload, qos=1, retain=retain)
        await mqtt.publish("acme/end", b'{"sensor":"the-end","count":1}', qos=1)

    async def ended() -> bool:
        return "the-end" in str(await engine.json("GET", "/v1/sources"))

    await eventually(ended)
    _, sources = await engine.request("GET", "/v1/sources")
    _, metrics = await engine.request("GET", "/metrics")
    _, ready = await engine.request("GET", "/readyz")
    places = {
        "answers": b"\n".join(answers).decode(),
        "log": engine.log,
        "sources": sources.decode(),
        "metrics": metrics.decode(),
        "readiness": ready.decode(),
        "locations": kept(engine.servers["locations"]),
        "registry": kept(engine.servers["registry"]),
    }
    ours = "".join(
        path.read_text() for path in engine.site.rglob("*") if path.is_file()
    )
    wanted = {one for one in marks(STRANGERS) if one not in ours} | {"eve-of-nowhere"}
    assert len(wanted) > 100
    assert posts > 500
    found = {
        place: sorted(one for one in wanted if one.lower() in text.lower())
        for place, text in places.items()
    }
    assert {place: some for place, some in found.items() if some} == {}
    disposed = [
        source["outcomes"]["disposed"]
        for source in json.loads(sources)["sources"]
        if source["format"] in PEOPLE and source["name"].endswith("-in")
    ]
    assert all(disposed)
    assert set(PEOPLE) <= set(EVERY)
