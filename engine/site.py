"""What the configuration describes, built and checked: tenants, sources, routes.

Reads plans and tables, opens no socket: `livefloor check` ends here.
"""

from __future__ import annotations

from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from engine.config import contents, link_name, secret, zone
from engine.errors import ConfigError
from engine.files import access_points, geojson, maps, policies, sensors
from engine.ingest import verify
from engine.ingest.formats import find
from engine.ingest.mqtt import Credentials, Subscription, Terms, tls_context
from engine.ingest.pull_session import Terms as PullTerms
from engine.ingest.routing import Routes
from engine.locate.coordinates import Reach
from engine.presence import Patience
from engine.query.auth import Authenticator
from engine.query.ingest import Webhook
from engine.query.keys import key_set, public_key, shared_secret
from engine.source import Route, Source
from engine.tenant import Tenant

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine import config as settings
    from engine.files.remark import Remark
    from engine.ingest.formats import Format
    from engine.space import AccessPoint, Binding, Map, Plan


class Premises(NamedTuple):
    """What the files of one tenant describe.

    Attributes:
        plan: The spaces.
        access_points: Where each access point is, by canonical name.
        maps: What the coordinates of the sources mean.
        bindings: What each sensor channel watches.
        remarks: What was passed by.
    """

    plan: Plan
    access_points: dict[str, AccessPoint]
    maps: list[Map]
    bindings: list[Binding]
    remarks: list[Remark]
    forms: dict[str, Format]
    """By source: what its bytes mean."""


class Site(NamedTuple):
    """Everything that the configuration describes.

    Attributes:
        tenants: By id.
        sources: By tenant and name.
        routes: Topic filters by broker.
        terms: What to ask of each broker that a source takes messages from.
        pulls: By name of the link: where each source that we ask is, and where its
            messages go.
        webhooks: The sources that post to us.
        remarks: What was passed by in plans and tables.
    """

    tenants: dict[str, Tenant]
    sources: dict[tuple[str, str], Source]
    routes: dict[str, Routes[Route]]
    terms: dict[str, Terms]
    pulls: dict[str, tuple[PullTerms, Route]]
    webhooks: list[Webhook]
    remarks: list[Remark]


def build(config: settings.Config) -> Site:
    """Read every file that the configuration names.

    Raises:
        ConfigError: With the file, the place in it, and what to write instead.
    """
    site = Site({}, {}, {}, {}, {}, [], [])
    subscriptions: dict[str, list[Subscription]] = {}
    secrets: dict[tuple[str, bytes], str] = {}
    for tenant in config.tenants:
        found = premises(config, tenant)
        site.remarks.extend(found.remarks)
        built = site.tenants[tenant.id] = _tenant(config, tenant, found)
        for source in tenant.sources:
            form = found.forms[source.name]
            if form.fresh is not None:
                form = form.fresh()
            made = Source(
                name=source.name,
                tenant=built,
                form=form,
                transport=_transport(source),
            )
            site.sources[tenant.id, source.name] = made
            if source.broker is not None:
                routes = site.routes.setdefault(source.broker, Routes())
                asked = subscriptions.setdefault(source.broker, [])
                route = Route(made, *source.topics)
                for topic in source.topics:
                    routes.add(topic, route)
                    asked.append(Subscription(filter=topic, qos=source.qos))
            if source.pull is not None:
                name = link_name(tenant, source)
                site.pulls[name] = (_pull_terms(name, source.pull, form), Route(made))
            key = secret(source.secret_file, source.secret_env)
            if key is not None:
                _tell_apart(secrets, tenant.id, source.name, key)
                site.webhooks.append(_webhook(tenant.id, source, form, key))
    for broker in config.brokers:
        if broker.name in subscriptions:
            asked = subscriptions[broker.name]
            site.terms[broker.name] = _terms(broker, tuple(asked))
    return site


def premises(config: settings.Config, tenant: settings.Tenant) -> Premises:
    """Read the plan and the tables of a tenant.

    Raises:
        ConfigError: With the file, the place in it, and what to write instead.
    """
    plan, remarks = geojson.read(contents(tenant.plan), tenant.plan.name)
    found = furnish(config, tenant, plan)
    return found._replace(remarks=[*remarks, *found.remarks])


def tables(tenant: settings.Tenant) -> list[Path]:
    """Return the files that `furnish` reads."""
    named = (tenant.access_points, tenant.maps, tenant.sensors, tenant.policies)
    profiles = {s.format for s in tenant.sources if s.format.endswith(".toml")}
    return [*(path for path in named if path is not None), *map(Path, sorted(profiles))]


def furnish(config: settings.Config, tenant: settings.Tenant, plan: Plan) -> Premises:
    """Read the tables of a tenant, and the formats of its sources.

    Raises:
        ConfigError: With the file, the place in it, and what to write instead.
    """
    forms = {source.name: find(source.format) for source in tenant.sources}
    found = Premises(plan, {}, [], [], [], forms)
    if tenant.access_points is not None:
        path = tenant.access_points
        points, more = access_points.read(contents(path), path.name, plan)
        found.access_points.update(points)
        found.remarks.extend(more)
    if tenant.maps is not None:
        sources = {source.name for source in tenant.sources}
        data = contents(tenant.maps)
        of_floors, more = maps.read(data, tenant.maps.name, plan, sources)
        found.maps.extend(of_floors)
        found.remarks.extend(more)
    rules = policies.read(
        b"" if tenant.policies is None else contents(tenant.policies),
        "" if tenant.policies is None else tenant.policies.name,
        room_hold_ms=round(1000 * config.occupancy.room_hold_s),
        desk_hold_ms=round(1000 * config.occupancy.desk_hold_s),
    )
    if tenant.sensors is not None:
        path = tenant.sensors
        bindings, more = sensors.read(contents(path), path.name, plan, rules)
        found.bindings.extend(bindings)
        found.remarks.extend(more)
    if tenant.policies is not None:
        found.remarks.extend(rules.idle(tenant.policies.name))
    known = {source.name for source in tenant.sources}
    unknown = {binding.source for binding in found.bindings} - known
    if unknown:
        raise ConfigError(
            f"{tenant.sensors}: tenant {tenant.id!r} has no source named "
            f"{min(unknown)!r}; sensors name one of {', '.join(sorted(known))}"
        )
    return found


def redis_address(address: str, redis: settings.Redis) -> str:
    """Return an address with the password that the configuration keeps apart.

    Raises:
        ConfigError: The password cannot be read.
    """
    password = secret(redis.password_file, None)
    if password is None:
        return address
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}"
    return parts._replace(netloc=netloc).geturl()


def authenticator(
    config: settings.Config, clock_ms: Callable[[], int]
) -> Authenticator:
    """Return what checks the tokens of everybody who asks.

    Raises:
        ConfigError: No key, or one that does not fit.
    """
    auth = config.auth
    keys = []
    shared = secret(auth.secret_file, auth.secret_env)
    if shared is not None:
        keys.append(shared_secret(shared))
    if auth.public_key_file is not None:
        pem = secret(auth.public_key_file, None) or b""
        keys.append(public_key(pem, auth.public_key_file.name))
    if auth.jwks_file is not None:
        data = secret(auth.jwks_file, None) or b""
        keys += key_set(data, auth.jwks_file.name)
    if not keys:
        raise ConfigError(
            "[auth]: set secret_file, public_key_file or jwks_file, "
            "or nobody can sign in"
        )
    return Authenticator(
        keys,
        clock_ms=clock_ms,
        tenants=frozenset(tenant.id for tenant in config.tenants),
        issuer=auth.issuer,
        audience=auth.audience,
    )


def _tenant(
    config: settings.Config, tenant: settings.Tenant, found: Premises
) -> Tenant:
    return Tenant(
        tenant.id,
        found.plan,
        access_points=found.access_points,
        bindings=found.bindings,
        maps=found.maps,
        reach=Reach(config.locate.room_m, config.locate.zone_m, config.locate.level_m),
        patience=Patience(
            settle_ms=round(1000 * config.presence.settle_s),
            stale_ms=round(1000 * config.presence.stale_s),
            level_ms=round(1000 * config.presence.level_s),
            precise_ms=round(1000 * config.presence.precise_s),
        ),
        retention_ms=round(3_600_000 * config.privacy.retention_h),
        stale_floor_ms=round(1000 * config.occupancy.stale_floor_s),
        zone=zone(tenant.time_zone) or UTC,
        realms=frozenset(realm.lower() for realm in tenant.realms),
    )


def _webhook(tenant: str, source: settings.Source, form: Format, key: bytes) -> Webhook:
    scheme = source.verify or form.verify
    agreed = {term: getattr(source, term) for term in verify.Terms._fields[1:]}
    where = f"tenant {tenant!r}, source {source.name!r}"
    try:
        verifier = verify.verifier(scheme, verify.Terms(key, **agreed))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if source.validator is not None and scheme != "meraki":
        raise ConfigError(
            f'{where}: validator means nothing to verify = "{scheme}": leave it out, '
            'or write verify = "meraki"'
        )
    return Webhook(
        tenant,
        source.name,
        verifier,
        max_bytes=form.max_bytes,
        answer=form.answer,
        rate_per_s=source.rate_per_s,
        validator=source.validator,
    )


def _transport(source: settings.Source) -> str:
    """Return how a source arrives, as the operator is told."""
    if source.broker is not None:
        return "mqtt"
    return "pull" if source.pull is not None else "webhook"


def _tell_apart(
    known: dict[tuple[str, bytes], str], tenant: str, source: str, key: bytes
) -> None:
    """Check that what is posted can be of one tenant alone.

    Raises:
        ConfigError: Another one has this secret for a source of this name.
    """
    other = known.setdefault((source, key), tenant)
    if other != tenant:
        raise ConfigError(
            f"source {source!r}: tenants {other!r} and {tenant!r} have one secret; "
            "give each its own"
        )


def _pull_terms(name: str, pull: settings.Pull, form: Format) -> PullTerms:
    secured = pull.url.startswith(("https:", "wss:"))
    try:
        return PullTerms(
            url=pull.url,
            mode=pull.mode,
            max_bytes=form.max_bytes,
            header=pull.header,
            secret=partial(secret, pull.secret_file, pull.secret_env),
            every_s=pull.every_s,
            first=pull.first,
            resume=form.resume if pull.mode == "stream" else None,
            tls=tls_context(ca=pull.ca_file) if secured else None,
            proxy=pull.proxy,
            silence_s=pull.silence_s,
        )
    except ConfigError as error:
        raise ConfigError(f"source {name!r}: {error}") from None


def _terms(broker: settings.Broker, asked: tuple[Subscription, ...]) -> Terms:
    return Terms(
        host=broker.host,
        port=broker.port,
        client_id=broker.client_id,
        subscriptions=asked,
        credentials=(
            None
            if broker.username is None
            else Credentials(
                username=broker.username,
                password_file=broker.password_file,
                password_env=broker.password_env,
            )
        ),
        tls=(
            tls_context(ca=broker.ca_file, cert=broker.cert_file, key=broker.key_file)
            if broker.tls
            else None
        ),
        keep_alive_s=broker.keep_alive_s,
        session_expiry_s=broker.session_expiry_s,
        receive_maximum=broker.receive_maximum,
        max_packet_bytes=broker.max_packet_bytes,
    )
