"""What the page about sensors shows is read as it says."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.config import parse
from engine.files import policies, sensors
from engine.files.policies import Policy
from tests.building import small_plan
from tests.pages import blocks, page

PAGE = page("sensors")


def test_its_files_are_read_without_a_remark() -> None:
    table, (rules, tenant) = blocks(PAGE, "csv")[0], blocks(PAGE, "toml")
    found, remarks = sensors.read(
        table.encode(),
        "sensors.csv",
        small_plan(),
        policies.read(rules.encode(), "policies.toml"),
    )
    assert remarks == []
    assert [b.flip for b in found] == [False, False, False, True]
    assert found[-1].reset_at == 210
    redis = '[redis]\nlocations = "redis://a"\nregistry = "redis://b"\n'
    (one,) = parse((redis + tenant).encode(), Path("livefloor.toml")).tenants
    assert one.time_zone == "Europe/Berlin"


def test_it_names_every_key_of_a_policy_and_every_column() -> None:
    for field in msgspec.structs.fields(Policy):
        assert field.encode_name in PAGE
    for column in ("hold_s", "interval_s", "max_on_s", "direction", "channel"):
        assert f"| `{column}` |" in PAGE
