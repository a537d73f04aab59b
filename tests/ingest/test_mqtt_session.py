# ruff: noqa: S106 - names of files and variables, not secrets

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.ingest.mqtt_session import (
    Credentials,
    Reason,
    Subscription,
    Terms,
    check_grant,
    unreachable,
)

FILTERS = (Subscription(filter="a/#"),)


def terms(**changes: object) -> Terms:
    settings = {"host": "h", "port": 1883, "client_id": "c", "subscriptions": FILTERS}
    return Terms(**(settings | changes))  # type: ignore[arg-type] # wrong ones as well


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"port": 0}, "port"),
        ({"keep_alive_s": 0}, "keep_alive_s"),
        ({"receive_maximum": 65_536}, "receive_maximum"),
        ({"max_packet_bytes": 10}, "max_packet_bytes"),
        ({"client_id": ""}, "client id"),
        ({"subscriptions": ()}, "filter"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_name(
    change: dict[str, object], names: str
) -> None:
    with pytest.raises(ConfigError, match=names):
        terms(**change)


@pytest.mark.parametrize("qos", [-1, 2])
def test_a_subscription_is_of_qos_0_or_1(qos: int) -> None:
    with pytest.raises(ConfigError, match="QoS"):
        Subscription(filter="a", qos=qos)


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_a_filter_holds_something_and_no_nul(text: str) -> None:
    with pytest.raises(ConfigError, match="filter"):
        Subscription(filter=text)


def test_a_password_is_read_from_its_file_anew_at_each_connect(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    credentials = Credentials(username="engine", password_file=file)
    assert credentials.password() == "first"
    file.write_text("second")
    assert credentials.password() == "second"


def test_a_password_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", "secret")
    credentials = Credentials(username="engine", password_env="BROKER_PASSWORD")
    assert credentials.password() == "secret"
    assert "secret" not in repr(credentials)


def test_a_user_name_may_stand_alone() -> None:
    assert Credentials(username="engine").password() is None


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(username="engine", password_file=Path("/nowhere/at/all")),
        Credentials(username="engine", password_env="NOT_SET_ANYWHERE"),
    ],
)
def test_a_password_that_is_not_there_is_refused_at_the_start(
    credentials: Credentials,
) -> None:
    with pytest.raises(ConfigError, match="password"):
        terms(credentials=credentials)


def test_a_password_has_one_place() -> None:
    with pytest.raises(ConfigError, match="not both"):
        Credentials(username="e", password_file=Path("f"), password_env="V")


def test_a_grant_of_what_was_asked_or_more_is_fine() -> None:
    check_grant(Subscription(filter="a", qos=1), 1)
    check_grant(Subscription(filter="a", qos=0), 1)


def test_an_unreachable_broker_is_named_with_what_the_system_says() -> None:
    ended = unreachable(terms(), ConnectionRefusedError(111, "Connection refused"))
    assert ended.reason is Reason.UNREACHABLE
    assert str(ended) == "cannot reach the broker h:1883: Connection refused"


def test_a_broker_without_tls_is_told_as_such() -> None:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    ended = unreachable(terms(), error)
    assert ended.reason is Reason.UNREACHABLE
    assert str(ended) == "cannot reach the broker h:1883: no TLS"
