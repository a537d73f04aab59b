# ruff: noqa: S311 - seeded jitter

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Literal

import pytest
from structlog.testing import capture_logs

from engine.backoff import Backoff
from engine.errors import ConfigError
from engine.ingest import mqtt
from engine.ingest.mqtt import (
    Ended,
    Link,
    LinkState,
    Meter,
    Reason,
    Receipt,
    Sink,
    Subscription,
    Terms,
    tls_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.ingest.mqtt import Message

TERMS = Terms(
    host="broker",
    port=1883,
    client_id="engine",
    subscriptions=(Subscription(filter="a/#"),),
)
READY = "ready"
"""In a script: the session becomes ready before it ends."""


class Script:
    """Sessions that end as written; after the last one the link is to be cancelled.

    A step is a reason, or "ready" followed by the reason for which that session ends.
    """

    def __init__(self, *steps: Reason | str | Exception) -> None:
        self.steps = list(steps)
        self.tried: list[str] = []
        self.waits: list[float] = []
        self.states: list[LinkState] = []
        self.now_s = 0.0
        self.lasts_s = 0.0
        self.over = asyncio.Event()
        self.link: Link

    def serve(self, version: str) -> Callable[..., object]:
        async def serve(
            terms: Terms, sink: Sink, meter: Meter, ready: Callable[[int], None]
        ) -> None:
            del terms, sink
            self.tried.append(version)
            self.states.append(self.link.state)
            if not self.steps:
                self.over.set()
                await asyncio.Event().wait()
            step = self.steps.pop(0)
            if step == READY:
                meter.connects += 1
                ready(60)
                self.states.append(self.link.state)
                step = self.steps.pop(0)
                self.now_s += self.lasts_s
            if isinstance(step, Exception):
                raise step
            raise Ended(Reason(step), f"because {step}")

        return serve

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.states.append(self.link.state)

    def clock(self) -> float:
        return self.now_s


def sink(messages: Sequence[Message], receipt: Receipt) -> None:
    del messages, receipt


async def play(
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    protocol: Literal["auto", "5", "3.1.1"] = "auto",
    *,
    backoff: Backoff | None = None,
) -> Link:
    """Run a link through the script, then cancel it; with its own waits by default."""
    for version in ("5", "3.1.1"):
        monkeypatch.setitem(mqtt._SERVE, version, script.serve(version))  # noqa: SLF001 - fakes in place of sockets
    link = Link(
        name="wifi",
        terms=TERMS,
        sink=sink,
        protocol=protocol,
        backoff=backoff,
        sleep=script.sleep,
        clock_s=script.clock,
    )
    script.link = link
    running = asyncio.create_task(link.run())
    over = asyncio.create_task(script.over.wait())
    await asyncio.wait({running, over}, return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return link


async def test_a_link_tries_again_and_counts_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(Reason.UNREACHABLE, READY, Reason.LOST, READY, Reason.LOST)
    link = await play(monkeypatch, script)
    assert script.tried == ["5"] * 4
    assert len(script.waits) == 3
    assert link.ended[Reason.LOST] == 2
    assert link.ended[Reason.UNREACHABLE] == 1
    assert link.reconnects == 1
    assert link.last_error == "because lost"


async def test_a_link_is_ready_only_while_its_subscriptions_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(READY, Reason.LOST)
    link = await play(monkeypatch, script)
    assert script.states == [
        LinkState.CONNECTING,
        LinkState.READY,
        LinkState.WAITING,
        LinkState.CONNECTING,
    ]
    assert link.state is LinkState.STOPPED
    assert not link.ready


async def test_a_broker_that_says_it_cannot_speak_5_is_spoken_to_in_3_1_1_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(Reason.UNSUPPORTED, Reason.UNREACHABLE, READY, Reason.LOST)
    link = await play(monkeypatch, script)
    assert script.tried == ["5", "3.1.1", "3.1.1", "3.1.1"]
    assert script.waits[0] == 0
    assert script.waits[1] > 0
    assert link.version == "3.1.1"


async def test_a_broker_that_hangs_up_is_tried_in_3_1_1_and_kept_where_that_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(Reason.HUNG_UP, READY, Reason.LOST, Reason.HUNG_UP)
    await play(monkeypatch, script)
    assert script.tried == ["5", "3.1.1", "3.1.1", "3.1.1"]


async def test_a_broker_that_hangs_up_on_both_is_tried_in_5_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(Reason.HUNG_UP, Reason.TIMEOUT, Reason.UNREACHABLE)
    await play(monkeypatch, script)
    assert script.tried == ["5", "3.1.1", "5", "5"]
    assert script.waits[0] == 0
    assert script.waits[1] > 0


async def test_a_broker_that_spoke_5_once_is_not_taken_for_an_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(READY, Reason.LOST, Reason.HUNG_UP, Reason.HUNG_UP)
    await play(monkeypatch, script)
    assert script.tried == ["5"] * 4


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_protocol_that_was_chosen_is_kept(
    monkeypatch: pytest.MonkeyPatch, protocol: Literal["5", "3.1.1"]
) -> None:
    script = Script(Reason.UNSUPPORTED, Reason.HUNG_UP)
    await play(monkeypatch, script, protocol)
    assert script.tried == [protocol] * 3


async def test_waits_grow_until_a_session_has_lasted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flapping = Script(*[READY, Reason.SERVER] * 8)
    backoff = Backoff(1.0, 30.0, random.Random(1))
    await play(monkeypatch, flapping, backoff=backoff)
    assert max(flapping.waits) > 4
    lasting = Script(*[READY, Reason.SERVER] * 8)
    lasting.lasts_s = 60
    await play(monkeypatch, lasting, backoff=backoff)
    assert max(lasting.waits[1:]) <= 1


async def test_after_a_long_outage_a_link_is_back_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reasons = (Reason.UNREACHABLE, Reason.LOST, Reason.SERVER, Reason.TIMEOUT)
    away = Script(READY, *reasons * 50)
    await play(monkeypatch, away)
    assert len(away.waits) == 200
    assert max(away.waits) <= 5


async def test_an_outage_is_told_once_until_its_reason_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = [Reason.LOST, *[Reason.UNREACHABLE] * 50, *[Reason.TIMEOUT] * 50]
    with capture_logs() as said:
        await play(monkeypatch, Script(READY, *away, READY, *away))
    ends = [line for line in said if line["event"] == "broker session ended"]
    told = [line["reason"] for line in ends if line["log_level"] == "warning"]
    assert len(ends) == 202
    assert told == ["lost", "unreachable", "timeout"] * 2


async def test_a_fault_of_our_own_ends_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ZeroDivisionError):
        await play(monkeypatch, Script(READY, ZeroDivisionError()))


async def test_a_password_that_goes_missing_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(ConfigError("cannot read it"), READY, Reason.LOST)
    link = await play(monkeypatch, script)
    assert link.ended[Reason.REFUSED] == 1
    assert len(script.tried) == 3


async def test_a_link_runs_once_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(READY, Reason.LOST)
    link = await play(monkeypatch, script)
    running = asyncio.create_task(link.run())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await link.run()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("reason", [Reason.TAKEN_OVER, Reason.BUSY])
async def test_a_link_that_was_thrown_out_does_not_come_back_at_once(
    monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    script = Script(READY, reason)
    await play(monkeypatch, script)
    assert script.waits[0] >= 15


async def test_sessions_that_break_off_again_and_again_are_waited_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script(*[READY, Reason.LOST] * 4)
    link = await play(monkeypatch, script)
    assert max(script.waits[:2]) <= 2
    assert min(script.waits[2:]) >= 15
    assert "client id" in link.last_error


def test_tls_files_that_cannot_be_read_are_refused_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        tls_context(ca=missing)
    with pytest.raises(ConfigError, match=r"garbage\.pem"):
        tls_context(ca=garbage)
    with pytest.raises(ConfigError, match=r"garbage\.pem"):
        tls_context(cert=garbage, key=missing)
    with pytest.raises(ConfigError, match="certificate"):
        tls_context(key=garbage)
