"""What a profile costs beside the same format by hand, and what paths cost at all.

Two questions. Is a compiled profile within twice the time of code that a person would
write for one vendor (`by_hand.py`, ChirpStack v4)? And would a library for paths do:
JMESPath or JSONPath, compiled, over the decoded message, beside our own closures? Each
round takes `RECORDS` messages; divide by it for the cost of one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import pytest

from benchmarks import by_hand
from benchmarks.bench_formats import NOW_MS, RECORDS, payloads, uplink
from engine.ingest.formats import find
from engine.ingest.formats.profile.path import Names, getter
from engine.ingest.formats.profile.shape import Shape
from engine.ingest.formats.wire import each

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

TOPIC = "application/1/device/a1/event/up"
PATHS = ("deviceInfo.devEui", "time", "object.occupancy")
"""What a reading of a desk needs: three paths, two of them a table deep."""


@pytest.mark.parametrize("way", ["profile", "by hand"])
def bench_profile(benchmark: BenchmarkFixture, way: str) -> None:
    read = find("chirpstack4").read if way == "profile" else each(by_hand.read)
    assert read is not None
    bodies, topics = payloads(uplink), [TOPIC] * RECORDS
    refused: list[Exception] = []
    benchmark.group = "an uplink to readings"
    benchmark.extra_info["records_per_round"] = RECORDS
    found = benchmark(lambda: read(bodies, topics, NOW_MS, refused.append))
    assert len(found) == RECORDS
    assert all(found)
    assert not refused


Find: TypeAlias = "Callable[[object], object]"


def ours() -> list[Find]:
    names = Names(Shape())
    gets = [getter(path, names) for path in PATHS]
    return [partial(flip, get) for get in gets]


def flip(get: Callable[[object, list[object]], object], item: object) -> object:
    return get(item, [item])


def jmespath() -> list[Find]:
    library = pytest.importorskip("jmespath")
    return [library.compile(path).search for path in PATHS]


def python_jsonpath() -> list[Find]:
    library = pytest.importorskip("jsonpath")
    compiled = [library.compile(f"$.{path}").findall for path in PATHS]
    return [partial(first, find_all) for find_all in compiled]


def first(find_all: Callable[[object], list[object]], item: object) -> object:
    return find_all(item)[0]


def jsonpath_ng() -> list[Find]:
    library = pytest.importorskip("jsonpath_ng")
    compiled = [library.parse(f"$.{path}").find for path in PATHS]
    return [partial(first_value, find_all) for find_all in compiled]


def first_value(find_all: Callable[[object], Any], item: object) -> object:
    found: object = find_all(item)[0].value
    return found


@pytest.mark.parametrize("way", [ours, jmespath, python_jsonpath, jsonpath_ng])
def bench_paths(benchmark: BenchmarkFixture, way: Callable[[], list[Find]]) -> None:
    gets = way()
    items = [msgspec.json.decode(body) for body in payloads(uplink)]
    benchmark.group = "three paths of a decoded uplink"
    benchmark.extra_info["records_per_round"] = RECORDS

    def run() -> list[list[object]]:
        return [[get(item) for get in gets] for item in items]

    found = benchmark(run)
    assert found[7][0] == f"{7:016x}"
    assert found[7][2] == "occupied"
