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
        ("mqtts://", "http://", "mqtt://host:1883"),
        ("mqtts://broker.example", "mqtt://:1", "mqtt://host:1883"),
        ("mqtts://broker.example", "mqtt://h:99999", "mqtt://host:1883"),
        ('format = "radius"', 'format = "morse"', "write one of chirpstack4"),
        ('broker = "main"', 'broker = "other"', "no \\[\\[broker\\]\\]"),
        ('broker = "main"', "", "needs a broker with topics"),
        ('topics = ["acme/#"]', "", "go together"),
        ("acme/#", "a/#/b", "before its end"),
        ('["acme/#"]', '["a/#", "a/#"]', "topic filter 'a/# at main' is used twice"),
        ('name = "radius"', 'name = "wifi"', "'wifi' is used twice"),
    ],
)
def test_what_does_not_fit_is_named(old: str, new: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        config(WHOLE.replace(old, new, 1))
    assert str(refused.value).startswith("livefloor.toml: ")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[redis]", "[redis", ": not TOML: Expected ']' at the end of a table"),
        (
            "[redis]",
            "[radish]",
            ", line 2: the file has no table 'radish', perhaps 'redis'; it may have",
        ),
        (
            "plan =",
            "plam =",
            ", line 12: [[tenant]] has no key 'plam', perhaps 'plan'; it may have acc",
        ),
        (
            "[redis]",
            "[presence]\nx = 1\n[redis]",
            ", line 3: [presence] has no key 'x'; it may have settle_s, stale_s",
        ),
        ('plan = "plan.geojson"', "", ", line 10: [[tenant]] needs the key 'plan'"),
        ('"plan.geojson"', "3", ", line 12: [[tenant]] plan must be text in quotes"),
        (
            "[redis]",
            "[privacy]\nretention_h = 25\n[redis]",
            ", line 3: [privacy] retention_h must be a number <= 24",
        ),
        (
            "[redis]",
            "[server]\nport = 'x'\n[redis]",
            ", line 3: [server] port must be a whole number",
        ),
        (
            "[redis]",
            "[server]\norigins = [\n  'a', # b\n  3,\n]\n[redis]",
            ", line 3: each of [server] origins must be text in quotes",
        ),
        (
            'id = "acme"',
            'id = "a/b"',
            ", line 11: [[tenant]] id must be letters, digits, '_' and '-' alone",
        ),
        (
            '"mqtts://broker.example"',
            '"mqtts://broker.example"\nprotocol = 5',
            ', line 9: [[broker]] protocol must be one of "3.1.1", "5", "auto"',
        ),
        (
            'name = "radius"',
            'name = "radius"\nqos = 2',
            ", line 22: [[tenant.source]] qos must be one of 0, 1",
        ),
        (
            "[[broker]]",
            "[broker]",
            ", line 6: broker must be in double brackets: [[broker]]",
        ),
        ("[redis]", "redis = 1\n[log]", ", line 2: redis must be a table"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_does_not_fit_is_told_by_line_and_key_with_the_choices(
    old: str, new: str, sentence: str, line_end: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        config(WHOLE.replace(old, new, 1).replace("\n", line_end))
    assert str(refused.value).startswith(f"livefloor.toml{sentence}")


def test_text_that_looks_like_the_mistake_is_not_blamed() -> None:
    text = 'realms = ["""\n[server]\nport = 1\n"""]\n[server]\nport = "x"\n'
    text = WHOLE.partition("[[tenant.source]]")[0] + text
    with pytest.raises(ConfigError, match=r"line 19: \[server\] port must be"):
        config(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigError, match="is not text in UTF-8"):
        parse(b"\xff", Path("livefloor.toml"))


def test_a_mistake_is_told_without_what_was_written() -> None:
    secret_like = WHOLE.replace('plan = "plan.geojson"', 'plan = ["s3cret"]', 1)
    with pytest.raises(ConfigError) as refused:
        config(secret_like)
    assert "s3cret" not in str(refused.value)


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
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        secret(tmp_path / "none", None)
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not text"):
        secret(tmp_path / "binary", None)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        secret(tmp_path / "empty", None)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")
