"""The command as a process: how it ends, and what it says when it cannot go on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from engine.embedded import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DEADLINE_S = 60.0


@asynccontextmanager
async def demo(
    folder: Path, *by: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A small demo whose temporary folders are in `folder`; yields it and its address.

    The command is started `by` others. One that a test does not end is ended here.
    """
    process = await asyncio.create_subprocess_exec(
        *(*by, sys.executable, "-m", "engine", "demo", "--people", "5", "--port", "0"),
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for line in process.stdout:
                if b"The map is live" in line:
                    break
            yield process, line.decode().partition("live: ")[2].strip()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
async def test_a_demo_that_is_told_to_end_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with demo(tmp_path) as (process, _):
        assert len(left_in(tmp_path)) > 3
        process.send_signal(number)
    assert process.returncode == 0
    assert left_in(tmp_path) == []


async def test_a_demo_that_nohup_started_outlives_its_terminal(tmp_path: Path) -> None:
    ignoring = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh")
    async with demo(tmp_path, *ignoring) as (process, url):
        process.send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(time_of, url)
        process.terminate()
    assert process.returncode == 0


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_the_demo_tells_the_time_of_its_building(tmp_path: Path) -> None:
    async with demo(tmp_path) as (process, url):
        told = await asyncio.to_thread(time_of, url)
        process.terminate()
    assert told["weekday"] == "Tuesday"
    assert 9.5 * 3600 <= told["at_s"] < 12 * 3600
    assert told["speed"] == 60


def time_of(url: str) -> Any:  # noqa: ANN401 - JSON
    """Ask for the time until there is one: the clock has none before it runs."""
    until = time.monotonic() + DEADLINE_S
    while True:
        try:
            with urlopen(f"{url}/demo/clock") as answer:  # noqa: S310 - our own
                return json.load(answer)
        except HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


async def test_a_simulator_without_a_broker_says_so_and_ends() -> None:
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", "simulate", "--quiet", "--people", "5"),
        *("--broker", f"mqtt://{address}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode == 2
    assert out == b""
    assert err.decode() == (
        f"livefloor: no MQTT 3.1.1 broker answers at {address}: start one, "
        "or set --broker\n"
    )
