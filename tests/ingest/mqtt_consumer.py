"""A link and what it got, for tests on real brokers.

Run as a program (`python -m tests.ingest.mqtt_consumer PORT CLIENT_ID TOPIC PROTOCOL`)
it never acknowledges, and prints the number of each message that it gets: made to be
killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from typing import TYPE_CHECKING, Any, Literal, cast

from engine.backoff import Backoff
from engine.ingest.mqtt import Link, Retained, Subscription, Terms
from tests.conftest import program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from engine.ingest.mqtt import Message, Receipt

DEADLINE_S = 20.0

Protocol = Literal["auto", "5", "3.1.1"]


class Consumer:
    """A link with a sink that keeps everything, and acknowledges if told to."""

    def __init__(  # noqa: PLR0913 - what tests vary
        self,
        port: int,
        *,
        client_id: str,
        topic: str,
        protocol: Protocol = "auto",
        acknowledges: bool = True,
        retained: Retained = Retained.ALWAYS,
        **terms: Any,  # noqa: ANN401 - whatever Terms takes
    ) -> None:
        self.got: list[bytes] = []
        self.receipts: list[Receipt] = []
        self.acknowledges = acknowledges
        self.changed = asyncio.Event()
        self.link = Link(
            name="test",
            terms=Terms(
                host=terms.pop("host", "127.0.0.1"),
                port=port,
                client_id=client_id,
                subscriptions=(Subscription(filter=topic, retained=retained),),
                **terms,
            ),
            sink=self.sink,
            protocol=protocol,
            backoff=Backoff(0.05, 0.2, random.Random(1), calm_s=0.2),  # noqa: S311 - seeded jitter
        )

    def sink(self, messages: Sequence[Message], receipt: Receipt) -> None:
        self.got += [message.payload for message in messages]
        self.receipts.append(receipt)
        if self.acknowledges:
            receipt.done()
        self.changed.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the link, ready at the start; stop it in order at the end."""
        task = asyncio.create_task(self.link.run())
        try:
            await self.until(lambda: self.link.ready or task.done())
            if task.done():
                await task
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until the condition holds.

        Raises:
            TimeoutError: It does not within the deadline.
        """
        async with asyncio.timeout(DEADLINE_S):
            while not reached():
                self.changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self.changed.wait()


async def run(*command: str, stdin: bytes = b"") -> int:
    """Run a program to its end; return its exit status."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode


async def publish(port: int, topic: str, payloads: Sequence[str], *flags: str) -> int:
    """Publish at QoS 1 with mosquitto_pub; return its exit status."""
    return await run(
        *(
            program("mosquitto_pub"),
            "-p",
            str(port),
            "-q",
            "1",
            "-t",
            topic,
            "-l",
            *flags,
        ),
        stdin="".join(f"{payload}\n" for payload in payloads).encode(),
    )


async def main() -> None:
    """Print what arrives, acknowledge nothing, until killed."""
    port, client_id, topic, protocol = sys.argv[1:]

    def sink(messages: Sequence[Message], receipt: Receipt) -> None:
        del receipt
        for message in messages:
            print(message.payload.decode(), flush=True)  # noqa: T201 - the parent reads it

    subscriptions = (Subscription(filter=topic),)
    terms = Terms(
        host="127.0.0.1",
        port=int(port),
        client_id=client_id,
        subscriptions=subscriptions,
    )
    chosen = cast("Protocol", protocol)
    await Link(name="doomed", terms=terms, sink=sink, protocol=chosen).run()


if __name__ == "__main__":
    asyncio.run(main())
