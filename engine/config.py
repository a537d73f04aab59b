"""Every setting: type, default, unit in its name, reason; frozen once read.

One TOML file, one table a part; an unknown key, a value of the wrong type or a pair
that contradicts itself is a `ConfigError` that says where and what to write instead
(`misfit` finds the words).
Paths are relative to the file. Secrets stand in files or environment variables of their
own, named here, so that the configuration can be shown and shared.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path  # noqa: TC003 - read at run time by msgspec
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, field

from engine.errors import ConfigError
from engine.ingest.formats import find
from engine.misfit import misfit
from engine.spelling import Id  # noqa: TC001 - read at run time by msgspec

Seconds = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]

_SCHEMES = {"mqtt": 1883, "mqtts": 8883}


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class Server(_Settings, frozen=True, kw_only=True):
    """The one port: map page, HTTP API, live channel, metrics."""

    host: str = "127.0.0.1"
    """Put a TLS proxy in front before this leaves the machine."""
    port: Port = 8080
    metrics_secret_file: Path | None = None
    """Bearer token for `/metrics`; without it they are for this machine alone."""
    origins: tuple[str, ...] = ()
    """Web origins besides our own that may open the live channel."""
    connections: Annotated[int, Meta(ge=1)] = 10_000
    """Open connections at once; one more is refused."""


class Redis(_Settings, frozen=True, kw_only=True):
    """The two Redis roles: see deploy/redis-locations.conf and redis-registry.conf."""

    locations: str
    """URL of the server that never writes to disk."""
    registry: str
    """URL of the server that syncs every write."""
    password_file: Path | None = None
    """For both, where their URLs name a user without a password."""


class Privacy(_Settings, frozen=True, kw_only=True):
    """What is promised; can be made stricter, never laxer."""

    retention_h: Annotated[float, Meta(gt=0, le=24)] = 24
    """Hours from the observation to the end of a location."""


class Presence(_Settings, frozen=True, kw_only=True):
    """How observations become places (see engine/presence.py)."""

    settle_s: Annotated[float, Meta(ge=0)] = 90
    """How long a return to a place just left has to go uncontradicted."""
    stale_s: Seconds = 900
    """After this silence another device of the person may lead."""


class Occupancy(_Settings, frozen=True, kw_only=True):
    """How readings become states (see engine/occupancy)."""

    room_hold_s: Seconds = 300
    desk_hold_s: Seconds = 720
    """How long motion keeps a space occupied, where its binding does not say."""
    stale_floor_s: Seconds = 600
    """No sensor counts as silent sooner; radio loses single messages."""


class Publish(_Settings, frozen=True, kw_only=True):
    """The live channel."""

    tick_ms: Annotated[int, Meta(ge=10, le=10_000)] = 100
    """Changes of a level leave together, this often."""
    heartbeat_s: Seconds = 15
    stall_s: Seconds = 30
    """A subscriber that takes nothing for so long is closed."""
    subscribers: Annotated[int, Meta(ge=1)] = 10_000
    """Live streams open at once, by WebSocket and by events; one more is refused."""


class Auth(_Settings, frozen=True, kw_only=True):
    """Who may ask: signed bearer tokens with `sub` (the login) and `tenant`."""

    secret_file: Path | None = None
    secret_env: str | None = None
    """HS256 secret of at least 32 bytes."""
    public_key_file: Path | None = None
    """PEM of an RSA, EC or Ed25519 key."""
    jwks_file: Path | None = None
    """A JSON Web Key Set."""
    issuer: str | None = None
    audience: str | None = None


class Broker(_Settings, frozen=True, kw_only=True):
    """An MQTT broker to take messages from."""

    name: Id
    url: str
    """mqtt://host[:port] or mqtts://host[:port]"""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    client_id: Annotated[str, Meta(min_length=1, max_length=64)] = "livefloor"
    """Names the session that waits for us; one engine at a time."""
    username: str | None = None
    password_file: Path | None = None
    password_env: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    session_expiry_s: Annotated[int, Meta(ge=0, le=4_294_967_294)] = 86_400
    """How long the broker keeps messages for us while we are away."""
    receive_maximum: Annotated[int, Meta(ge=1, le=65_535)] = 4096
    """Messages of QoS 1 under way at once: the back-pressure."""
    keep_alive_s: Annotated[int, Meta(ge=1, le=65_535)] = 30
    max_packet_bytes: Annotated[int, Meta(ge=1024)] = 1_048_576

    @property
    def host(self) -> str:
        """Where it is."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Where it listens."""
        parts = urlsplit(self.url)
        return parts.port or _SCHEMES[parts.scheme]

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"


class FormatName(str):
    """The name of a format, or the path of a profile of the operator's own."""

    __slots__ = ()


class Source(_Settings, frozen=True, kw_only=True):
    """One stream into the engine: over MQTT (`broker`, `topics`) or by webhook."""

    name: Id
    format: FormatName
    """A name, or the file of a profile: what ends in `.toml`."""
    broker: Id | None = None
    topics: tuple[str, ...] = ()
    qos: Literal[0, 1] = 1
    secret_file: Path | None = None
    secret_env: str | None = None
    """What a webhook sender shows as bearer token or basic password."""

    @property
    def webhook(self) -> bool:
        """Whether it arrives by HTTP."""
        return self.secret_file is not None or self.secret_env is not None


class Tenant(_Settings, frozen=True, kw_only=True):
    """An organisation, its building and its sources."""

    id: Id
    plan: Path
    access_points: Path | None = None
    sensors: Path | None = None
    realms: tuple[str, ...] = ()
    """Its own domains and realms, left out of `DOMAIN\\user` and `user@realm`."""
    sources: tuple[Source, ...] = field(default=(), name="source")


class Log(_Settings, frozen=True, kw_only=True):
    """What the process says; never a payload, a login, an address or a token."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(_Settings, frozen=True, kw_only=True):
    """The whole file."""

    redis: Redis
    tenants: Annotated[tuple[Tenant, ...], Meta(min_length=1)] = field(name="tenant")
    brokers: tuple[Broker, ...] = field(default=(), name="broker")
    server: Server = Server()
    privacy: Privacy = Privacy()
    presence: Presence = Presence()
    occupancy: Occupancy = Occupancy()
    publish: Publish = Publish()
    auth: Auth = Auth()
    log: Log = Log()


def secret(path: Path | None, variable: str | None) -> bytes | None:
    """Return a secret from its file or environment variable, None for neither.

    Raises:
        ConfigError: It is not there, or empty.
    """
    if path is not None:
        try:
            text = path.read_text("utf-8").strip()
        except OSError as error:
            reason = error.strerror
            raise ConfigError(f"{path}: the secret cannot be read: {reason}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: the secret is not text") from None
        if not text:
            raise ConfigError(f"{path}: the secret is empty")
        return text.encode()
    if variable is not None:
        text = os.environ.get(variable, "")
        if not text:
            raise ConfigError(f"environment variable {variable}: set the secret")
        return text.encode()
    return None


def contents(path: Path) -> bytes:
    """Return the bytes of a file that an operator wrote.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def load(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: With the file, the key, and what to write instead.
    """
    return parse(contents(path), path)


def parse(data: bytes, path: Path) -> Config:
    """Check the bytes of a configuration file; `path` names it and anchors its paths.

    Raises:
        ConfigError: With the file, the line or key, and what to write instead.
    """

    def anchored(kind: type, value: object) -> Path | FormatName:
        if not isinstance(value, str):
            raise TypeError("Expected `str`")
        if kind is FormatName and not value.endswith(".toml"):
            return FormatName(value)
        there = path.parent / value
        return FormatName(there) if kind is FormatName else there

    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name}: is not text in UTF-8") from None
    try:
        config = msgspec.convert(tomllib.loads(text), Config, dec_hook=anchored)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path.name}{misfit(error, text, Config)}") from None
    for problem in _contradictions(config):
        raise ConfigError(f"{path.name}: {problem}")
    return config


def _contradictions(config: Config) -> list[str]:
    """Return what single keys cannot tell."""
    problems = [
        *_repeated("[[broker]] name", [b.name for b in config.brokers]),
        *_repeated("[[tenant]] id", [t.id for t in config.tenants]),
    ]
    for broker in config.brokers:
        try:
            known = urlsplit(broker.url).scheme in _SCHEMES and broker.port > 0
        except (ValueError, KeyError):
            known = False
        if not known or not broker.host:
            problems.append(
                f"broker {broker.name!r}: write url as mqtt://host:1883 or mqtts://…"
            )
        if (broker.cert_file is None) != (broker.key_file is None):
            problems.append(f"broker {broker.name!r}: cert_file needs key_file")
    sessions = [f"{broker.client_id} at {broker.url}" for broker in config.brokers]
    problems += _repeated("[[broker]] client_id", sessions)
    filters = [
        f"{topic} at {source.broker}"
        for tenant in config.tenants
        for source in tenant.sources
        for topic in source.topics
    ]
    problems += _repeated("topic filter", filters)
    brokers = {broker.name for broker in config.brokers}
    for tenant in config.tenants:
        names = [source.name for source in tenant.sources]
        problems += _repeated(f"tenant {tenant.id!r}: source name", names)
        for source in tenant.sources:
            where = f"tenant {tenant.id!r}, source {source.name!r}"
            problems += [f"{where}: {problem}" for problem in _of(source, brokers)]
    return problems


def _of(source: Source, brokers: set[str]) -> list[str]:
    try:
        find(source.format)
    except ConfigError as error:
        return [str(error)]
    if source.broker is None and not source.webhook:
        return ["needs a broker with topics, or a secret_file for a webhook"]
    if source.broker is not None and source.broker not in brokers:
        return [f"no [[broker]] has the name {source.broker!r}"]
    if (source.broker is None) != (not source.topics):
        return ["broker and topics go together"]
    return [
        f"topic filter {topic!r} has '#' before its end, or an empty text"
        for topic in source.topics
        if not topic or "#" in topic[:-1]
    ]


def _repeated(what: str, names: list[str]) -> list[str]:
    twice = {name for name in names if names.count(name) > 1}
    return [f"{what} {name!r} is used twice" for name in sorted(twice)]
