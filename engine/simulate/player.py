"""Plays the days of a scenario, faster than life, onto a broker and a webhook."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from aiomqtt import Client, MqttError

from engine.errors import BrokerAway, ConfigError
from engine.simulate.clockface import Face
from engine.simulate.delivery import delivered
from engine.simulate.messages import Clock, Via
from engine.simulate.schedule import OPENS_S
from engine.simulate.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.errors import EngineError
    from engine.simulate.delivery import Delivery
    from engine.simulate.messages import Message
    from engine.simulate.scenario import Scenario

TICK_S: Final = 0.05
"""How often the player looks what is due: events within it travel together."""
IN_FLIGHT: Final = 64
"""Messages published and not acknowledged."""
ACK_S: Final = 30.0
"""A broker that does not acknowledge for so long is taken for lost."""
CONNECTIONS: Final = 8
"""Posts at a time."""
QUEUED: Final = 2000
"""Messages that wait for a free hand; beyond it the clock waits for the receiver."""
BURST: Final = 500
"""Events encoded at a time, so that others on the loop have their turn."""
SLIP_S: Final = 1.0
"""Further behind than this, the simulated clock gives way instead of hurrying."""

_REFUSED_USER: Final = (134, 135)
"""Reason codes: bad user name or password, not authorised (paho's, also for 3.1.1)."""
_ACCEPTED: Final = range(200, 300)
_RETRIES: Final = 3


class Broker(NamedTuple):
    """Where to publish."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None


@dataclass(slots=True)
class Stats:
    """What a status line may tell.

    Attributes:
        sent: Messages that were acknowledged, by source.
        failed: Posts that were given up.
        slipped_s: Real seconds that the simulated clock waited for a slow receiver.
        day: Number of the day.
        at_s: Simulated time of the day.
        connected: Whether the broker has us now; None before the first time.
    """

    sent: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    slipped_s: float = 0.0
    day: int = 0
    at_s: float = 0.0
    connected: bool | None = None


class Player:
    """Plays day after day until it is cancelled.

    It begins with the state at the starting hour, sent as fast as the receiver takes
    it, so that a map is alive at once. After a lost connection it begins again so.

    Args:
        scenario: Building and people.
        broker: Where the MQTT messages go; it must speak MQTT 3.1.1.
        webhook_url: Server that takes the posts; None: those are left out.
        webhook_secret: Of the RADIUS source.
        prefix: What every topic is beneath.
        speed: Simulated seconds in a real one.
        start_hour: Simulated hour at which the first day begins.
        first_day: Number of the first day; 1 is a Tuesday.

    Attributes:
        stats: Counters, written while it runs.
    """

    def __init__(  # noqa: PLR0913 - a mode of operation is this many choices
        self,
        scenario: Scenario,
        broker: Broker,
        *,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        prefix: str = "demo",
        speed: float = 60.0,
        start_hour: float = 9.5,
        first_day: int = 1,
    ) -> None:
        self._scenario = scenario
        self._broker = broker
        self._webhook_url = webhook_url
        self._webhook_secret = webhook_secret
        self._encoder = scenario.encoder(prefix=prefix, vendor_prefix=prefix)
        self._speed = speed
        self.stats = Stats(day=first_day, at_s=start_hour * 3600)

    def face(self, wall_ms: int) -> Face:
        """Return the simulated time, which is that of `wall_ms` (now)."""
        return Face(wall_ms, self.stats.day, self.stats.at_s, self._speed)

    async def run(self) -> None:
        """Play until cancelled; come back one second after a lost connection.

        Raises:
            ConfigError: The broker refuses the user.
            BrokerAway: It did not answer the first time.
        """
        task = asyncio.current_task()
        while True:
            problem: EngineError | None = None
            try:
                await self._connected()
            except* MqttError as errors:
                problem = self._problem(errors)
            if task is not None and task.cancelling():
                # A goodbye that got lost has taken the place of the cancellation.
                raise asyncio.CancelledError
            if problem is not None:
                raise problem
            self.stats.connected = False
            await asyncio.sleep(1)

    def _problem(self, errors: BaseExceptionGroup[MqttError]) -> EngineError | None:
        """Return what the operator has to mend, None where it may mend itself."""
        broker = f"{self._broker.host}:{self._broker.port}"
        for error in errors.exceptions:
            code = getattr(error, "rc", None)
            if getattr(code, "value", code) in _REFUSED_USER:
                return ConfigError(
                    f"the broker at {broker} refuses the user: set --username and "
                    "--password-file to one that it knows"
                )
        if self.stats.connected is None:
            return BrokerAway(
                f"no MQTT 3.1.1 broker answers at {broker}: start one, or set --broker"
            )
        return None

    async def _connected(self) -> None:
        broker = self._broker
        async with (
            Client(
                broker.host,
                broker.port,
                username=broker.username,
                password=broker.password,
                max_inflight_messages=IN_FLIGHT,
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            client.pending_calls_threshold = IN_FLIGHT  # it would warn from ten on
            self.stats.connected = True
            published: asyncio.Queue[Message] = asyncio.Queue(QUEUED)
            posted: asyncio.Queue[Message] = asyncio.Queue(QUEUED)
            for _ in range(IN_FLIGHT):
                group.create_task(
                    self._publish(client, published), name="simulate.publish"
                )
            for _ in range(CONNECTIONS):
                group.create_task(self._post(posted), name="simulate.post")
            await self._days(published, posted)

    async def _days(
        self, published: asyncio.Queue[Message], posted: asyncio.Queue[Message]
    ) -> None:
        stats = self.stats
        for number in count(stats.day):
            since_s = stats.at_s
            day = await asyncio.to_thread(self._scenario.day, number)
            deliveries = delivered(
                day.events(since_s),
                self._scenario.building,
                self._scenario.seed * 1000 + number,
                since_s=since_s,
            )
            await self._play(deliveries, since_s, published, posted)
            stats.day, stats.at_s = number + 1, OPENS_S

    async def _play(
        self,
        deliveries: Iterator[Delivery],
        since_s: float,
        published: asyncio.Queue[Message],
        posted: asyncio.Queue[Message],
    ) -> None:
        """Send what is due until there is nothing more: the state, then the day."""
        clock = Clock(_now_ms(), since_s, self._speed)
        coming = next(deliveries, None)
        started = False
        while coming is not None:
            now_s = clock.at_s(_now_ms()) if started else since_s
            due: list[Delivery] = []
            while coming is not None and coming.at_s <= now_s and len(due) < BURST:
                due.append(coming)
                coming = next(deliveries, None)
            for message in self._encoder.messages(due, clock):
                if message.via is Via.MQTT:
                    await published.put(message)
                elif self._webhook_url is not None:
                    await posted.put(message)
            if started:
                clock = self._slipped(clock, due[-1].at_s if due else now_s)
            elif len(due) < BURST:  # the day runs from when its state was sent
                clock, started = Clock(_now_ms(), since_s, self._speed), True
            await asyncio.sleep(0 if len(due) == BURST else TICK_S)

    def _slipped(self, clock: Clock, at_s: float) -> Clock:
        """Return the clock, set back where the receiver did not keep up."""
        self.stats.at_s = at_s
        now_ms = _now_ms()
        behind_s = clock.behind_s(at_s, now_ms)
        if behind_s <= SLIP_S:
            return clock
        self.stats.slipped_s += behind_s
        return Clock(now_ms, at_s, self._speed)

    async def _publish(self, client: Client, queue: asyncio.Queue[Message]) -> None:
        while True:
            message = await queue.get()
            await client.publish(
                message.topic,
                message.payload,
                qos=1,
                retain=message.retain,
                timeout=ACK_S,
            )
            self._count(message)

    async def _post(self, queue: asyncio.Queue[Message]) -> None:
        if self._webhook_url is None:
            return
        webhook = Webhook(self._webhook_url, self._webhook_secret)
        try:
            while True:
                message = await queue.get()
                if await self._delivered(webhook, message):
                    self._count(message)
                else:
                    self.stats.failed += 1
        finally:
            await webhook.close()

    async def _delivered(self, webhook: Webhook, message: Message) -> bool:
        """Post a message, a few times where the server is away or too busy."""
        for attempt in range(_RETRIES):
            try:
                status = await webhook.post(message.topic, message.payload)
            except OSError:
                status = 503
            if status in _ACCEPTED:
                return True
            if status not in (429, 503):
                return False
            await asyncio.sleep(0.2 * 2**attempt)
        return False

    def _count(self, message: Message) -> None:
        sent = self.stats.sent
        sent[message.source] = sent.get(message.source, 0) + 1


def _now_ms() -> float:
    return time.time() * 1000
