from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis.connection import parse_url

from engine.config import Redis, load, parse
from engine.errors import ConfigError
from engine.ingest.formats import FORMATS
from engine.ingest.verify import Terms, verifier
from engine.site import build, redis_address
from tests.building import plan_file

if TYPE_CHECKING:
    from pathlib import Path

    from engine.site import Site


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


WEBHOOK = """
[redis]
locations = "unix:///a"
registry = "unix:///b"
[[tenant]]
id = "acme"
plan = "plan.geojson"
[[tenant.source]]
name = "wifi"
format = "livefloor"
secret_file = "wifi.secret"
{more}
"""
OTHER = """
[[tenant]]
id = "globex"
plan = "plan.geojson"
[[tenant.source]]
name = "wifi"
format = "livefloor"
secret_file = "wifi.secret"
"""


def built(folder: Path, more: str = "", secret: str = "s" * 16) -> Site:
    (folder / "plan.geojson").write_bytes(plan_file())
    (folder / "wifi.secret").write_text(secret)
    text = WEBHOOK.format(more=more).encode()
    return build(parse(text, folder / "livefloor.toml"))


def test_a_webhook_has_the_scheme_limit_and_answer_of_its_format(
    tmp_path: Path,
) -> None:
    (hook,) = built(tmp_path).webhooks
    form = FORMATS["livefloor"]
    assert hook.verifier == verifier(form.verify, Terms(b"s" * 16))
    assert (hook.max_bytes, hook.answer) == (form.max_bytes, form.answer)
    assert (hook.rate_per_s, hook.validator) == (200, None)


def test_a_source_may_have_a_scheme_of_its_own(tmp_path: Path) -> None:
    more = 'verify = "meraki"\nvalidator = "0123abcd"\nrate_per_s = 5'
    (hook,) = built(tmp_path, more).webhooks
    assert hook.verifier == verifier("meraki", Terms(b"s" * 16))
    assert (hook.rate_per_s, hook.validator) == (5, "0123abcd")


@pytest.mark.parametrize(
    ("more", "secret", "problem"),
    [
        ("", "short", "source 'wifi': its secret needs 16 characters or more"),
        ('verify = "md5"', "s" * 16, "source 'wifi': verify must be one of basic"),
        ('verify = "basic"', "s" * 16, 'verify = "basic" needs user'),
        ('header = "X"', "s" * 16, 'header means nothing to verify = "secret"'),
        ('validator = "x"', "s" * 16, 'or write verify = "meraki"'),
        (OTHER, "s" * 16, "'acme' and 'globex' have one secret; give each its own"),
    ],
)
def test_a_proof_that_does_not_fit_is_refused_with_what_to_write(
    tmp_path: Path, more: str, secret: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        built(tmp_path, more, secret)
    assert problem in str(refused.value)
    assert secret not in str(refused.value)


def test_two_sources_of_a_tenant_may_share_a_secret(tmp_path: Path) -> None:
    more = WEBHOOK.partition("[[tenant.source]]")[2].format(more="")
    more = f"[[tenant.source]]{more}".replace('"wifi"', '"doors"')
    assert len(built(tmp_path, more).webhooks) == 2


def test_two_sources_never_share_what_a_format_remembers(tmp_path: Path) -> None:
    (tmp_path / "plan.geojson").write_bytes(plan_file())
    sources = "".join(SPARKPLUG.format(name=name) for name in ("north", "south"))
    path = tmp_path / "livefloor.toml"
    path.write_text(SITE + sources)
    forms = [source.form for source in build(load(path)).sources.values()]
    assert [form.name for form in forms] == ["sparkplug"] * 2
    assert forms[0].read != forms[1].read
    assert FORMATS["sparkplug"] not in forms


def test_the_name_of_a_format_is_a_plain_text_whoever_asked_for_it(
    tmp_path: Path,
) -> None:
    """An answer of the API holds it, and what encodes that knows no other."""
    (tmp_path / "plan.geojson").write_bytes(plan_file())
    path = tmp_path / "livefloor.toml"
    path.write_text(SITE + SPARKPLUG.format(name="a").replace("sparkplug", "tts3"))
    (source,) = build(load(path)).sources.values()
    assert type(source.form.name) is str
