from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.errors import InputError, RequestError
from engine.metrics import LABELS, METRICS, Histogram, Kind, Metrics
from engine.model import Outcome

if TYPE_CHECKING:
    from prometheus_client import Metric as Family


def scrape(metrics: Metrics) -> dict[str, Family]:
    """Return the families of the page by name, as Prometheus parses them."""
    text = metrics.page().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Return one sample of the page."""
    for family in scrape(metrics).values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    raise AssertionError(name)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1.2.3")


def test_each_metric_is_declared_once_in_the_order_of_the_names() -> None:
    names = [metric.name for metric in METRICS]

    assert names == sorted(set(names))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_has_a_name_with_its_unit_and_a_help(metric: object) -> None:
    (declared,) = (one for one in METRICS if one is metric)

    assert re.fullmatch(r"engine(_[a-z]+)+", declared.name)
    assert declared.help.endswith(".")
    assert declared.name.endswith("_total") is (declared.kind is Kind.COUNTER)
    assert bool(declared.buckets) is (declared.kind is Kind.HISTOGRAM)
    assert list(declared.buckets) == sorted(set(declared.buckets))
    for unit in ("ms", "milliseconds", "kb", "percent"):
        assert unit not in declared.name.split("_")


def test_no_label_can_name_a_person_a_device_or_a_space() -> None:
    used = {label for metric in METRICS for label in metric.labels}

    assert used == set(LABELS)
    assert used.isdisjoint(
        {"login", "name", "person", "subject", "user", "device", "sensor", "ap"}
        | {"space", "room", "desk", "zone", "level", "building", "address", "token"}
    )


def test_a_label_of_configured_names_takes_ids_and_the_others_a_closed_set() -> None:
    ids = {label for label, values in LABELS.items() if isinstance(values, re.Pattern)}

    assert ids == {"tenant", "source", "link", "version"}
    assert LABELS["outcome"] == {"applied", "disposed", "duplicate", "late", "invalid"}


def test_every_reason_of_a_refusal_can_be_counted() -> None:
    kinds: list[type[InputError]] = [InputError, *InputError.__subclasses__()]
    reasons = {kind.reason for kind in kinds}
    reasons |= {kind.reason for kind in RequestError.__subclasses__()}

    assert LABELS["reason"] == reasons - {""}


def test_what_was_registered_is_read_at_each_scrape(metrics: Metrics) -> None:
    count = [0]
    metrics.register("engine_publish_frames_total", lambda: count[0])
    assert value(metrics, "engine_publish_frames_total") == 0
    count[0] = 3

    assert value(metrics, "engine_publish_frames_total") == 3
    assert value(metrics, "engine_build_info", version="1.2.3") == 1


def test_a_source_stands_on_the_page_before_its_first_event(metrics: Metrics) -> None:
    by_outcome = dict.fromkeys(Outcome, 0)
    by_reason: dict[str, int] = {}
    metrics.register_source("acme", "wifi", by_outcome, by_reason)
    before = len(metrics.page().splitlines())
    by_outcome[Outcome.DISPOSED] += 7
    by_reason["malformed"] = 2
    source = {"tenant": "acme", "source": "wifi"}

    events, invalid = "engine_events_total", "engine_invalid_events_total"
    assert value(metrics, events, **source, outcome="disposed") == 7
    assert value(metrics, events, **source, outcome="applied") == 0
    assert value(metrics, invalid, **source, reason="malformed") == 2
    assert value(metrics, invalid, **source, reason="too_large") == 0
    assert len(metrics.page().splitlines()) == before


@pytest.mark.parametrize(
    ("name", "labels", "problem"),
    [
        ("engine_nothing_total", {}, "no metric is named"),
        ("engine_tick_seconds", {}, "is a histogram"),
        ("engine_people", {}, "has the labels"),
        ("engine_people", {"tenant": "acme", "login": "ada"}, "has the labels"),
        ("engine_people", {"login": "ada"}, "has the labels"),
        ("engine_people", {"tenant": "a4:83:e7:00:00:01"}, "may not have"),
        ("engine_people", {"tenant": "acme\n"}, "may not have"),
        ("engine_people", {"tenant": ""}, "may not have"),
        ("engine_http_connections_cut_total", {"cut": "ada"}, "may not have"),
        ("engine_build_info", {"version": "1.2.3"}, "has this series already"),
    ],
)
def test_a_series_that_was_not_declared_is_refused(
    metrics: Metrics, name: str, labels: dict[str, str], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        metrics.register(name, lambda: 1, **labels)

    assert "ada" not in str(caught.value)
    assert "a4:83" not in str(caught.value)


def test_only_a_histogram_is_observed(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="is not a histogram"):
        metrics.histogram("engine_people", tenant="acme")


def test_a_stage_is_timed_by_the_batch(metrics: Metrics) -> None:
    metrics.timed("decide", 0.0007)
    metrics.timed("decide", 0.3)

    assert value(metrics, "engine_stage_seconds_count", stage="decide") == 2
    assert value(metrics, "engine_stage_seconds_count", stage="settle") == 0
    total = value(metrics, "engine_stage_seconds_sum", stage="decide")
    assert total == pytest.approx(0.3007)
    at = {"stage": "decide"}
    assert value(metrics, "engine_stage_seconds_bucket", **at, le="0.0005") == 0
    assert value(metrics, "engine_stage_seconds_bucket", **at, le="0.001") == 1
    assert value(metrics, "engine_stage_seconds_bucket", **at, le="1.0") == 2
    assert value(metrics, "engine_stage_seconds_bucket", **at, le="+Inf") == 2


def test_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1.0, 2.0))
    for observed in (1.0, 2.0, 2.1):
        histogram.observe(observed)

    assert histogram.cumulative() == ([("1.0", 1), ("2.0", 2), ("+Inf", 3)], 5.1)


def test_two_of_them_in_one_process_are_strangers() -> None:
    Metrics(version="1")
    Metrics(version="2")


def test_the_page_tells_of_the_process_too(metrics: Metrics) -> None:
    assert "process_resident_memory_bytes" in scrape(metrics)


def test_the_page_has_every_metric_that_was_declared(metrics: Metrics) -> None:
    declared = {metric.name.removesuffix("_total") for metric in METRICS}

    assert declared <= set(scrape(metrics))
