"""The peer: what one writes first, with aiomqtt and redis-py, for the same job.

Keeps the last location of everybody who consented in Redis for a day, and the last
state of every sensor in a dictionary. No anti-flapping, no order, no batches, no
acknowledgement after the effect, no live map: it does less than the engine, in the way
that the documentation of both libraries shows.

`python -m benchmarks.peer HOST PORT REDIS_URL PEOPLE_JSON`
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiomqtt
import redis.asyncio

TOPICS = (
    "demo/wifi",
    "demo/sensors",
    "application/+/device/+/event/+",
    "zigbee2mqtt/#",
)
DAY_S = 86_400
READY = "peer:ready"


async def consume(host: str, port: int, url: str, people: dict[str, str]) -> None:
    """Consume for ever.

    Args:
        host: Of the broker.
        port: Where it speaks MQTT 3.1.1.
        url: Of Redis.
        people: Who consented: an id by login, and by registered device.
    """
    sensors: dict[str, Any] = {}
    async with (
        redis.asyncio.Redis.from_url(url) as store,
        aiomqtt.Client(host, port) as client,
    ):
        for topic in TOPICS:
            await client.subscribe(topic, qos=1)
        await store.set(READY, 1)
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            event = json.loads(message.payload)
            if not message.topic.matches("demo/wifi"):
                sensors[message.topic.value] = event
                continue
            who = people.get(event.get("login") or event.get("device"))
            if who is not None:
                place = json.dumps({"ap": event["ap"], "at": event["at"]})
                await store.set(f"person:{who}", place, ex=DAY_S)


if __name__ == "__main__":
    _, to_host, to_port, to_url, file = sys.argv
    known = json.loads(Path(file).read_text())
    asyncio.run(consume(to_host, int(to_port), to_url, known))
