"""Which number of which part stands under which metric."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.committer import Committer
    from engine.ingest.mqtt import Link
    from engine.ingest.pull import Pull
    from engine.metrics import Metrics
    from engine.people import People
    from engine.publish.hub import Hub
    from engine.publish.live import Live
    from engine.publish.server import Listener
    from engine.site import Site

CUTS = ("answer", "body", "first_byte", "headers", "idle")


def register_intake(
    metrics: Metrics, site: Site, links: Sequence[Link], pulls: Sequence[Pull]
) -> None:
    """Show what comes in: sources, and the links to brokers and other servers."""
    for (tenant, name), source in site.sources.items():
        tally = source.tally
        metrics.register_source(tenant, name, tally.by_outcome, tally.by_reason)
    routes = site.routes.values()
    metrics.register(
        "engine_unrouted_messages_total", lambda: sum(one.unrouted for one in routes)
    )
    for link in links:
        read = partial(getattr, link.meter, "acks_outstanding")
        metrics.register("engine_acks_outstanding", read, link=link.name)
        _register_link(metrics, link)
    for pull in pulls:
        _register_link(metrics, pull)


def register_stores(metrics: Metrics, committer: Committer, people: People) -> None:
    """Show what is written, and how many people share."""
    metrics.register("engine_locations_written_total", lambda: committer.written)
    metrics.register("engine_locations_refused_total", lambda: committer.refused)
    for tenant in people.tenants:
        metrics.register("engine_people", partial(people.count, tenant), tenant=tenant)


def register_publish(metrics: Metrics, hub: Hub, live: Live) -> None:
    """Show what goes out to subscribers."""
    metrics.register("engine_publish_bytes_total", lambda: hub.sent_bytes)
    metrics.register("engine_publish_conflated_total", lambda: hub.conflated)
    metrics.register("engine_publish_encodes_total", lambda: hub.encodes)
    metrics.register("engine_publish_frames_total", lambda: hub.frames)
    metrics.register("engine_publish_bad_messages_total", lambda: live.bad_messages)
    metrics.register("engine_publish_refused_total", lambda: live.refused)
    metrics.register("engine_publish_stalled_total", lambda: live.stalled)
    metrics.register("engine_subscribers", lambda: hub.subscribers)
    metrics.register("engine_subscribers_paused", lambda: hub.paused)


def register_listener(metrics: Metrics, listener: Listener) -> None:
    """Show the connections of the one port."""
    gate = listener.gate
    metrics.register("engine_http_connections", lambda: gate.open)
    metrics.register("engine_http_connections_refused_total", lambda: gate.refused)
    for cut in CUTS:
        metrics.register(
            "engine_http_connections_cut_total",
            partial(gate.cut.__getitem__, cut),
            cut=cut,
        )


def _register_link(metrics: Metrics, link: Link | Pull) -> None:
    meter, name = link.meter, link.name
    for metric, read in (
        ("engine_link_bytes_total", lambda: meter.received_bytes),
        ("engine_link_messages_total", lambda: meter.received),
        ("engine_link_reconnects_total", lambda: link.reconnects),
        ("engine_link_refused_total", lambda: meter.refused),
        ("engine_link_up", lambda: link.ready),
        ("engine_queue_fill", lambda: meter.outstanding),
        ("engine_queue_peak", lambda: meter.peak_outstanding),
    ):
        metrics.register(metric, read, link=name)
