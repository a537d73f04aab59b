"""What the configuration describes, built and checked: tenants, sources, routes.

Reads plans and tables, opens no socket: `livefloor check` ends here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from engine.config import contents, secret
from engine.errors import ConfigError
from engine.files import access_points, geojson, sensors
from engine.ingest.formats import find
from engine.ingest.mqtt import Credentials, Subscription, Terms, tls_context
from engine.ingest.routing import Routes
from engine.query.auth import Authenticator
from engine.query.ingest import Webhook
from engine.query.keys import key_set, public_key, shared_secret
from engine.source import Route, Source
from engine.tenant import Tenant

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine import config as settings
    from engine.files.remark import Remark
    from engine.space import AccessPoint, Binding, Plan


class Premises(NamedTuple):
    """What the files of one tenant describe.

    Attributes:
        plan: The spaces.
        access_points: Where each access point is, by canonical name.
        bindings: What each sensor channel watches.
        remarks: What was passed by.
    """

    plan: Plan
    access_points: dict[str, AccessPoint]
    bindings: list[Binding]
    remarks: list[Remark]


class Site(NamedTuple):
    """Everything that the configuration describes.

    Attributes:
        tenants: By id.
        sources: By tenant and name.
        routes: Topic filters by broker.
        terms: What to ask of each broker that a source takes messages from.
        webhooks: The sources that post to us.
        remarks: What was passed by in plans and tables.
    """

    tenants: dict[str, Tenant]
    sources: dict[tuple[str, str], Source]
    routes: dict[str, Routes[Route]]
    terms: dict[str, Terms]
    webhooks: list[Webhook]
    remarks: list[Remark]


def build(config: settings.Config) -> Site:
    """Read every file that the configuration names.

    Raises:
        ConfigError: With the file, the place in it, and what to write instead.
    """
    site = Site({}, {}, {}, {}, [], [])
    subscriptions: dict[str, list[Subscription]] = {}
    for tenant in config.tenants:
        found = premises(config, tenant)
        site.remarks.extend(found.remarks)
        built = site.tenants[tenant.id] = _tenant(config, tenant, found)
        known = {source.name for source in tenant.sources}
        unknown = built.channels.sources - known
        if unknown:
            raise ConfigError(
                f"{tenant.sensors}: tenant {tenant.id!r} has no source named "
                f"{min(unknown)!r}; sensors name one of {', '.join(sorted(known))}"
            )
        for source in tenant.sources:
            form = find(source.format)
            if form.fresh is not None:
                form = form.fresh()
            made = Source(name=source.name, tenant=built, form=form)
            site.sources[tenant.id, source.name] = made
            if source.broker is not None:
                routes = site.routes.setdefault(source.broker, Routes())
                asked = subscriptions.setdefault(source.broker, [])
                route = Route(made, *source.topics)
                for topic in source.topics:
                    routes.add(topic, route)
                    asked.append(Subscription(filter=topic, qos=source.qos))
            key = secret(source.secret_file, source.secret_env)
            if key is not None:
                site.webhooks.append(Webhook(tenant.id, source.name, key))
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
    found = Premises(plan, {}, [], remarks)
    if tenant.access_points is not None:
        path = tenant.access_points
        points, more = access_points.read(contents(path), path.name, plan)
        found.access_points.update(points)
        found.remarks.extend(more)
    if tenant.sensors is not None:
        bindings, more = sensors.read(
            contents(tenant.sensors),
            tenant.sensors.name,
            plan,
            room_hold_ms=round(1000 * config.occupancy.room_hold_s),
            desk_hold_ms=round(1000 * config.occupancy.desk_hold_s),
        )
        found.bindings.extend(bindings)
        found.remarks.extend(more)
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
        settle_ms=round(1000 * config.presence.settle_s),
        stale_ms=round(1000 * config.presence.stale_s),
        retention_ms=round(3_600_000 * config.privacy.retention_h),
        stale_floor_ms=round(1000 * config.occupancy.stale_floor_s),
        realms=frozenset(realm.lower() for realm in tenant.realms),
    )


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
