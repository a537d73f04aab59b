"""Settings that only the whole process can show to be wired."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.rig import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.rig import MqttServer, Server

pytestmark = [pytest.mark.integration, pytest.mark.slow]


async def test_one_live_stream_more_than_the_setting_allows_is_refused(
    tmp_path: Path,
    redis_locations: Server,
    redis_registry: Server,
    mosquitto: MqttServer,
) -> None:
    servers = {
        "locations": redis_locations,
        "registry": redis_registry,
        "broker": mosquitto,
    }
    engine = Engine(tmp_path / "site", servers)
    with (engine.site / "livefloor.toml").open("a") as file:
        file.write("\n[publish]\nsubscribers = 1\n")
    async with engine, engine.floor("hq/1") as first:
        await first.until(lambda _: True)
        path = "/v1/levels/hq/1/live"
        status, answer = await engine.request("GET", path, login="bob")
        assert (status, json.loads(answer)["code"]) == (429, 2029)
