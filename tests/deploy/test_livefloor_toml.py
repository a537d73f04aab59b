from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from joserfc.jwk import ECKey
from paho.mqtt.client import topic_matches_sub

from engine import config
from engine.errors import ConfigError
from engine.simulate.messages import feeds
from engine.simulate.scenario import Scenario
from engine.site import authenticator, build

SHIPPED = Path(__file__).parents[2] / "deploy" / "livefloor.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped file, and around it what it names."""
    shutil.copy(SHIPPED, tmp_path)
    building = Scenario(40).building
    (tmp_path / "plan.geojson").write_bytes(building.plan_file())
    (tmp_path / "access-points.csv").write_text(building.access_points_csv())
    (tmp_path / "sensors.csv").write_text(building.sensors_csv())
    (tmp_path / "broker.password").write_text("password")
    (tmp_path / "radius.secret").write_text("r" * 24)
    key = ECKey.generate_key("P-256", {"kid": "1"}).as_dict(private=False)
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key]}))
    return tmp_path


def test_the_shipped_configuration_describes_a_whole_site(folder: Path) -> None:
    found = config.load(folder / "livefloor.toml")
    site = build(found)
    authenticator(found, lambda: 0)
    assert len(site.tenants["acme"].channels) > 0
    assert {source for _, source in site.sources} == {
        "wifi",
        "sensors",
        "chirpstack",
        "zigbee2mqtt",
        "radius",
    }
    assert [webhook.source for webhook in site.webhooks] == ["radius"]
    assert len(site.terms["main"].subscriptions) == 4


TABLES = {
    "server": config.Server,
    "privacy": config.Privacy,
    "locate": config.Locate,
    "presence": config.Presence,
    "occupancy": config.Occupancy,
    "publish": config.Publish,
    "log": config.Log,
}


def test_what_the_shipped_configuration_shows_are_the_defaults(folder: Path) -> None:
    found = config.load(folder / "livefloor.toml")
    for name, table in TABLES.items():
        assert getattr(found, name) == table()


@pytest.mark.parametrize(
    "table",
    [
        config.Config,
        *TABLES.values(),
        config.Redis,
        config.Auth,
        config.Broker,
        config.Pull,
        config.Tenant,
        config.Source,
    ],
)
def test_every_setting_is_in_the_shipped_configuration(
    table: type[msgspec.Struct],
) -> None:
    text = SHIPPED.read_text()
    names = [field.encode_name for field in msgspec.structs.fields(table)]
    assert [name for name in names if name not in text] == []


def test_the_shipped_rules_of_the_broker_let_the_shipped_engine_read(
    folder: Path,
) -> None:
    found = config.load(folder / "livefloor.toml")
    (broker,) = found.brokers
    asked = [s.filter for s in build(found).terms["main"].subscriptions]
    rules = (SHIPPED.parent / "mosquitto.acl").read_text()
    own = rules.partition(f"user {broker.username}\n")[2].partition("\nuser ")[0]
    allowed = [
        line.split()[-1] for line in own.splitlines() if line.startswith("topic read")
    ]
    assert allowed == ["acme/#"]
    assert all(topic_matches_sub("acme/#", topic.replace("+", "x")) for topic in asked)


@pytest.mark.parametrize("role", ["locations", "registry"])
def test_both_sides_of_a_store_name_one_socket_and_there_is_no_port(role: str) -> None:
    lines = (SHIPPED.parent / f"redis-{role}.conf").read_text().splitlines()
    settings = dict(line.split(maxsplit=1) for line in lines if line[:1].isalpha())
    named = config.load(SHIPPED).redis
    assert getattr(named, role) == f"unix://{settings['unixsocket']}"
    assert settings["unixsocketperm"] == "770"
    assert settings["port"] == "0"
    assert "bind" not in settings


def test_the_simulator_plays_onto_the_shipped_configuration(folder: Path) -> None:
    (tenant,) = config.load(folder / "livefloor.toml").tenants
    sources = [(one.name, one.format, "".join(one.topics)) for one in tenant.sources]
    assert sorted(feeds(tenant.id, vendor_prefix=tenant.id)) == sorted(sources)


def test_a_sensor_of_a_source_that_is_not_configured_is_refused(folder: Path) -> None:
    table = folder / "sensors.csv"
    table.write_text(table.read_text().replace("\nsensors,", "\nnobody,", 1))
    with pytest.raises(ConfigError, match="no source named 'nobody'"):
        build(config.load(folder / "livefloor.toml"))


@pytest.mark.parametrize("name", ["plan.geojson", "broker.password", "jwks.json"])
def test_a_file_that_is_missing_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    found = config.load(folder / "livefloor.toml")

    def check() -> None:
        build(found)
        authenticator(found, lambda: 0)

    with pytest.raises(ConfigError, match=name):
        check()
