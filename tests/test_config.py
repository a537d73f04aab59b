from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import Config, load, parse, secret
from engine.errors import ConfigError

WHOLE = """
[redis]
locations = "unix:///run/livefloor/locations.sock"
registry = "redis://127.0.0.1:6380"

[[broker]]
name = "main"
url = "mqtts://broker.example"

[[tenant]]
id = "acme"
plan = "plan.geojson"

[[tenant.source]]
name = "wifi"
format = "livefloor"
broker = "main"
topics = ["acme/#"]

[[tenant.source]]
name = "radius"
format = "radius"
secret_env = "RADIUS_SECRET"
"""


def config(text: str = WHOLE) -> Config:
    return parse(text.encode(), Path("/etc/livefloor/livefloor.toml"))


def test_a_file_is_read_with_its_defaults() -> None:
    found = config()
    (broker,) = found.brokers
    assert (broker.host, broker.port, broker.tls) == ("broker.example", 8883, True)
    assert [s.webhook for s in found.tenants[0].sources] == [False, True]
    assert found.privacy.retention_h == 24
    assert found.tenants[0].plan == Path("/etc/livefloor/plan.geojson")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[redis]", "[radish]", "unknown field `radish`"),
        ("[redis]", "[privacy]\nretention_h = 25\n[redis]", "<= 24"),
        ("[redis]", "[server]\nport = 'x'\n[redis]", r"\$.server.port"),
        ("acme", "a/b", "matching regex"),
        ("mqtts://", "http://", "mqtt://host:1883"),
        ("mqtts://broker.example", "mqtt://:1", "mqtt://host:1883"),
        ("mqtts://broker.example", "mqtt://h:99999", "mqtt://host:1883"),
        ('format = "radius"', 'format = "morse"', "must be one of chirpstack4"),
        ('broker = "main"', 'broker = "other"', "no \\[\\[broker\\]\\]"),
        ('broker = "main"', "", "needs a broker with topics"),
        ('topics = ["acme/#"]', "", "go together"),
        ("acme/#", "a/#/b", "before its end"),
        ('["acme/#"]', '["a/#", "a/#"]', "topic filter 'a/# at main' is used twice"),
        ('name = "radius"', 'name = "wifi"', "'wifi' is used twice"),
        ("[redis]", "[redis", "livefloor.toml: "),
    ],
)
def test_what_does_not_fit_is_named(old: str, new: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        config(WHOLE.replace(old, new, 1))
    assert str(refused.value).startswith("livefloor.toml: ")


def test_two_of_one_name_are_refused() -> None:
    again = WHOLE[WHOLE.index("[[tenant]]") :]
    with pytest.raises(ConfigError, match="id 'acme' is used twice"):
        config(WHOLE + again)


def test_a_certificate_needs_its_key() -> None:
    with pytest.raises(ConfigError, match="cert_file needs key_file"):
        config(WHOLE.replace('name = "main"', 'name = "main"\ncert_file = "c.pem"'))


def test_a_secret_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    assert secret(tmp_path / "key", None) == b"s3cret"
    monkeypatch.setenv("SOME_SECRET", "other")
    assert secret(None, "SOME_SECRET") == b"other"
    assert secret(None, None) is None


def test_a_secret_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_SECRET", raising=False)
    with pytest.raises(ConfigError, match="SOME_SECRET: set the secret"):
        secret(None, "SOME_SECRET")
    with pytest.raises(ConfigError, match="cannot be read"):
        secret(tmp_path / "none", None)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        secret(tmp_path / "empty", None)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")
