from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis.connection import parse_url

from engine.config import Redis, load
from engine.ingest.formats import FORMATS
from engine.site import build, redis_address
from tests.building import plan_file

if TYPE_CHECKING:
    from pathlib import Path


def parsed(address: str) -> dict[str, Any]:
    """Return what redis-py reads out of an address."""
    return dict(parse_url(address))  # type: ignore[no-untyped-call]


SITE = """
[redis]
locations = "redis://127.0.0.1:1"
registry = "redis://127.0.0.1:1"
[[broker]]
name = "main"
url = "mqtt://127.0.0.1"
[[tenant]]
id = "acme"
plan = "plan.geojson"
"""
SPARKPLUG = """
[[tenant.source]]
name = "{name}"
format = "sparkplug"
broker = "main"
topics = ["spBv1.0/{name}/#"]
"""


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("redis://127.0.0.1:6380/1", None),
        ("rediss://engine@redis.example", "engine"),
        ("unix:///run/redis.sock", None),
        ("unix://engine@/run/redis.sock", "engine"),
    ],
)
def test_a_redis_password_comes_from_its_own_file(
    tmp_path: Path, address: str, user: str | None
) -> None:
    secret = "p@ss/w:rd"  # noqa: S105 - made up
    (tmp_path / "password").write_text(f"{secret}\n")
    settings = Redis(
        locations=address, registry=address, password_file=tmp_path / "password"
    )
    found = parsed(redis_address(address, settings))
    assert found["password"] == secret
    assert (found.get("username") or None) == user
    plain = parsed(address)
    assert {k: found.get(k) for k in ("host", "port", "path", "db")} == {
        k: plain.get(k) for k in ("host", "port", "path", "db")
    }


def test_without_a_password_file_an_address_stays_as_it_is() -> None:
    settings = Redis(locations="redis://a", registry="redis://b")
    assert redis_address("redis://u:p@a/0", settings) == "redis://u:p@a/0"


def test_two_sources_never_share_what_a_format_remembers(tmp_path: Path) -> None:
    (tmp_path / "plan.geojson").write_bytes(plan_file())
    sources = "".join(SPARKPLUG.format(name=name) for name in ("north", "south"))
    path = tmp_path / "livefloor.toml"
    path.write_text(SITE + sources)
    forms = [source.form for source in build(load(path)).sources.values()]
    assert [form.name for form in forms] == ["sparkplug"] * 2
    assert forms[0].read != forms[1].read
    assert FORMATS["sparkplug"] not in forms
