"""Every metric, declared once: name, unit, help and the closed set of each label.

The hot path keeps plain integers; they are read when somebody scrapes. A stage's time
is observed once a batch. A label is never a person, a device, a space or free text, and
the number of series depends on the configuration alone, not on who is in the building.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from engine.errors import (
    BadTime,
    Gap,
    InputError,
    Malformed,
    TooLarge,
    UnknownName,
    UnknownValue,
    Unsupported,
)
from engine.model import Outcome
from engine.spelling import ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import Metric as Family

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class Kind(Enum):
    """How a value behaves over time."""

    COUNTER = 1
    """Only grows; its name ends in `_total`."""
    GAUGE = 2
    HISTOGRAM = 3


class Metric(NamedTuple):
    """What is measured.

    Attributes:
        name: With the unit: `_seconds`, `_bytes`, `_total`.
        help: One line.
        kind: How it behaves.
        labels: Names of its labels, all of them in `LABELS`.
        buckets: Upper bounds of a histogram, in its unit.
    """

    name: str
    help: str
    kind: Kind
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


LABELS: Final[Mapping[str, frozenset[str] | re.Pattern[str]]] = {
    "cut": frozenset({"first_byte", "idle", "headers", "body", "answer"}),
    "link": ID,
    "outcome": frozenset(Outcome),
    "reason": frozenset(
        {
            kind.reason
            for kind in (
                InputError,
                Malformed,
                TooLarge,
                BadTime,
                UnknownName,
                Unsupported,
                Gap,
                UnknownValue,
            )
        }
    ),
    "role": frozenset({"locations", "registry"}),
    "source": ID,
    "stage": frozenset({"decide", "place", "settle", "count", "commit", "publish"}),
    "tenant": ID,
    "version": re.compile(r"[0-9A-Za-z.+-]{1,64}"),
}
"""What each label may say; ids are an operator's, as many as the configuration has.

A name that is missing here cannot be a label.
"""

_BATCH_S = (1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 1)
_CALL_S = (5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 5)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_SOURCE = ("tenant", "source")


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, text, Kind.COUNTER, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, text, Kind.GAUGE, labels)


def _histogram(
    name: str, text: str, buckets: tuple[float, ...], *labels: str
) -> Metric:
    return Metric(name, text, Kind.HISTOGRAM, labels, buckets)


METRICS: Final = (
    _gauge("engine_acks_outstanding", "Broker messages not acknowledged yet.", "link"),
    _gauge("engine_build_info", "1; the label says which version runs.", "version"),
    _counter(
        "engine_events_total",
        "Events by what became of them; disposed: about nobody who opted in.",
        *_SOURCE,
        "outcome",
    ),
    _gauge("engine_http_connections", "Connections open now, WebSockets included."),
    _counter(
        "engine_http_connections_cut_total",
        "Connections cut because the client was slow, by what it was waited for.",
        "cut",
    ),
    _counter(
        "engine_http_connections_refused_total",
        "Connections turned away because too many were open.",
    ),
    _counter(
        "engine_invalid_events_total", "Refused events by reason.", *_SOURCE, "reason"
    ),
    _counter("engine_link_bytes_total", "Bytes received over a link.", "link"),
    _counter("engine_link_messages_total", "Messages received over a link.", "link"),
    _counter(
        "engine_link_reconnects_total", "Times a link was lost and tried again.", "link"
    ),
    _counter(
        "engine_link_refused_total",
        "Messages that were not MQTT inside: acknowledged and left out.",
        "link",
    ),
    _gauge("engine_link_up", "1 while a link is subscribed, else 0.", "link"),
    _counter(
        "engine_locations_refused_total",
        "Moves that the store refused: consent withdrawn, or ahead of its clock.",
    ),
    _counter("engine_locations_written_total", "Moves that the store took."),
    _gauge("engine_people", "People who opted in.", "tenant"),
    _counter(
        "engine_publish_bad_messages_total",
        "Sockets closed because of what their client sent.",
    ),
    _counter("engine_publish_bytes_total", "Bytes written to subscribers."),
    _counter(
        "engine_publish_conflated_total",
        "Deltas that a clogged subscriber got merged into a later one.",
    ),
    _counter(
        "engine_publish_encodes_total",
        "Snapshots and deltas encoded: one a level, tick and wire.",
    ),
    _counter("engine_publish_frames_total", "Frames written to subscribers."),
    _counter(
        "engine_publish_refused_total",
        "Sockets refused at the opening handshake.",
    ),
    _counter(
        "engine_publish_stalled_total",
        "Sockets closed because nothing was taken from them.",
    ),
    _gauge("engine_queue_fill", "Messages whose effect is not safe yet.", "link"),
    _gauge("engine_queue_peak", "Most messages that ever waited so.", "link"),
    _gauge("engine_ready", "1 while every dependency answers, else 0."),
    _histogram("engine_redis_batch_size", "Moves and sensor rows in a call.", _SIZES),
    _histogram("engine_redis_call_seconds", "Time of one call.", _CALL_S, "role"),
    _histogram("engine_stage_seconds", "Time of a batch in it.", _BATCH_S, "stage"),
    _gauge("engine_subscribers", "Live streams open now."),
    _gauge("engine_subscribers_paused", "Live streams that are clogged now."),
    _histogram(
        "engine_tick_seconds",
        "Time from the start of a tick until its changes are published.",
        _BATCH_S,
    ),
    _counter(
        "engine_unrouted_messages_total", "Messages on topics that no source wants."
    ),
)
"""In the order of their names."""

_BY_NAME: Final = {metric.name: metric for metric in METRICS}

_Labels = tuple[str, ...]


class Histogram:
    """Counts by bucket; `observe` is a search in twelve bounds and two additions."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value, in the metric's unit."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        """Return the counts up to each bound, `+Inf` last, and the sum."""
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound is None else repr(float(bound)), total))
        return buckets, self._sum


class Metrics(Collector):
    """What this process measures; parts register how to read their numbers.

    A series is registered once, at start, so that the page has the same series whatever
    happens later, and a counter stands at 0 before it is first needed.
    """

    def __init__(self, *, version: str) -> None:
        self._readers: dict[str, dict[_Labels, Callable[[], float]]] = {}
        self._histograms: dict[str, dict[_Labels, Histogram]] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self.register("engine_build_info", lambda: 1, version=version)
        self._stages = {
            stage: self.histogram("engine_stage_seconds", stage=stage).observe
            for stage in sorted(_values("stage"))
        }

    def register(self, name: str, read: Callable[[], float], **labels: str) -> None:
        """Let a counter or gauge be read at every scrape.

        Args:
            name: A metric of `METRICS`.
            read: Returns the value; quick, and never raises.
            labels: All the labels of the metric.

        Raises:
            ValueError: No such metric, labels it does not have, a value outside of
                `LABELS`, or a series that is registered already.
        """
        metric = _metric(name)
        if metric.kind is Kind.HISTOGRAM:
            raise ValueError(f"{name} is a histogram")
        series = self._readers.setdefault(name, {})
        series[_new(metric, labels, series)] = read

    def register_source(
        self,
        tenant: str,
        source: str,
        by_outcome: Mapping[Outcome, int],
        by_reason: Mapping[str, int],
    ) -> None:
        """Let the tally of a source be read: its two mappings, as they change."""
        for outcome in Outcome:
            self.register(
                "engine_events_total",
                partial(by_outcome.__getitem__, outcome),
                tenant=tenant,
                source=source,
                outcome=outcome.value,
            )
        for reason in sorted(_values("reason")):
            self.register(
                "engine_invalid_events_total",
                partial(_count, by_reason, reason),
                tenant=tenant,
                source=source,
                reason=reason,
            )

    def histogram(self, name: str, **labels: str) -> Histogram:
        """Return where a part observes its values; the same errors as `register`."""
        metric = _metric(name)
        if metric.kind is not Kind.HISTOGRAM:
            raise ValueError(f"{name} is not a histogram")
        series = self._histograms.setdefault(name, {})
        histogram = Histogram(metric.buckets)
        series[_new(metric, labels, series)] = histogram
        return histogram

    def timed(self, stage: str, seconds: float) -> None:
        """Take the time that a batch spent in a stage."""
        self._stages[stage](seconds)

    def collect(self) -> Iterable[Family]:
        """Read everything, as prometheus-client asks for it."""
        for metric in METRICS:
            if metric.kind is Kind.HISTOGRAM:
                yield self._histogram_family(metric)
            else:
                yield self._family(metric)

    def page(self) -> bytes:
        """Return the text that Prometheus scrapes; its type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _family(self, metric: Metric) -> Family:
        make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
        family = make(metric.name, metric.help, labels=metric.labels)
        for labels, read in self._readers.get(metric.name, {}).items():
            family.add_metric(labels, read())
        return family

    def _histogram_family(self, metric: Metric) -> Family:
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, histogram in self._histograms.get(metric.name, {}).items():
            buckets, total = histogram.cumulative()
            family.add_metric(labels, buckets, sum_value=total)
        return family


def _metric(name: str) -> Metric:
    metric = _BY_NAME.get(name)
    if metric is None:
        raise ValueError(f"no metric is named {name}")
    return metric


def _new(
    metric: Metric, labels: Mapping[str, str], known: Iterable[_Labels]
) -> _Labels:
    """Return the values of a series in the order of the metric, having checked them."""
    if set(labels) != set(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}")
    for label, value in labels.items():
        allowed = LABELS[label]
        if isinstance(allowed, re.Pattern):
            fits = allowed.fullmatch(value) is not None
        else:
            fits = value in allowed
        if not fits:
            # Without the value: it might be what must not be shown.
            raise ValueError(f"{metric.name}: a value that {label} may not have")
    values = tuple(labels[label] for label in metric.labels)
    if values in known:
        raise ValueError(f"{metric.name} has this series already")
    return values


def _values(label: str) -> frozenset[str]:
    values = LABELS[label]
    assert isinstance(values, frozenset)  # noqa: S101 - asked for closed sets alone
    return values


def _count(counts: Mapping[str, int], key: str) -> int:
    return counts.get(key, 0)
