"""The figures of `make bench`: their names, what is asked of them, their workload."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import FIGURES, Bench, Load
from benchmarks.results import Result
from benchmarks.workload import Workload

FOLDER = Path(__file__).parent.parent / "benchmarks"


def test_the_names_in_the_results_are_the_promised_ones() -> None:
    assert list(FIGURES) == [
        "ingest_over_floor",
        "ingest_over_peer",
        "fanout_over_write",
        "finder_over_bare",
        "latency_p99_ticks",
        "tick_100k_ms",
        "bytes_per_channel",
        "bytes_per_person",
        "bytes_per_stalled_reader",
    ]


def test_every_figure_is_in_the_readme_and_from_a_file_that_is_there() -> None:
    readme = (FOLDER / "README.md").read_text()
    for figure in FIGURES.values():
        assert f"`{figure.name}`" in readme
        match figure.source:
            case Bench(node=node):
                file, test = node.removeprefix("benchmarks/").split("::")
                assert f"def {test.partition('[')[0]}(" in (FOLDER / file).read_text()
            case Load(module=module, function=function):
                text = (FOLDER / f"{module}.py").read_text()
                assert f"def {function}(" in text


@pytest.mark.parametrize(
    ("name", "value", "met"),
    [
        ("ingest_over_floor", 0.4, True),
        ("ingest_over_floor", 0.399, False),
        ("tick_100k_ms", 5.0, True),
        ("tick_100k_ms", 5.1, False),
        ("ingest_over_peer", 1.0, None),
    ],
)
def test_a_target_is_met_at_its_bound_and_not_beyond(
    name: str, value: float, *, met: bool | None
) -> None:
    assert FIGURES[name].met(Result(value, {})) is met


def test_the_bound_of_a_stalled_reader_follows_the_spaces_measured() -> None:
    figure = FIGURES["bytes_per_stalled_reader"]
    assert figure.target(Result(0, {"bound": 65_723.875})) == 65_723.875
    assert figure.met(Result(65_800, {"bound": 65_723.875})) is False


def test_a_figure_that_pytest_benchmark_did_not_report_is_none() -> None:
    source = FIGURES["tick_100k_ms"].source
    assert isinstance(source, Bench)
    stats = {"min": 0.002, "median": 0.003, "iqr": 0.0001}
    one = {"fullname": source.node, "stats": stats, "extra_info": {"channels": 100_000}}
    read = source.read([{**one, "fullname": "another"}, one])
    assert read is not None
    assert read.value == pytest.approx(3.0)
    assert source.read([]) is None


def test_the_workload_is_the_same_list_each_time_but_for_its_stamps() -> None:
    one, two = Workload(200, people=100), Workload(200, people=100)
    assert [topic for topic, _ in one.messages] == [topic for topic, _ in two.messages]
    assert one.expected() == two.expected()
    assert one.expected().disposed > 0
