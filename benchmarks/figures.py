"""The figures of results.json: what each asks, has to reach, and is measured by."""

from __future__ import annotations

import ctypes
import signal
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.results import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Bench:
    """A figure out of a report of pytest-benchmark.

    Attributes:
        node: The one test, as pytest names it.
        field: Which of its `extra_info` is the figure; "": its median in milliseconds.
    """

    node: str
    field: str = ""

    def read(self, measured: Sequence[Mapping[str, Any]]) -> Result | None:
        """Return the figure, None where the report does not have it."""
        for one in measured:
            if one["fullname"] == self.node:
                details = {key: one["stats"][key] for key in ("min", "median", "iqr")}
                value = one["extra_info"].get(self.field, 1000 * details["median"])
                return Result(value, {**one["extra_info"], "seconds": details})
        return None


@dataclass(frozen=True, slots=True)
class Load:
    """A figure that a module measures.

    Attributes:
        module: Of this package.
        function: Takes `tiny` and returns a `Result`.
    """

    module: str
    function: str = "measure"

    def measure(self, *, tiny: bool) -> Result:
        """Measure here and now."""
        module = import_module(f"benchmarks.{self.module}")
        result: Result = getattr(module, self.function)(tiny=tiny)
        return result


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the figures to reach.

    Attributes:
        name: In results.json.
        question: What it answers.
        beside: Floor or peer.
        better: Which way is better.
        first: To reach first; None where nothing is asked as yet.
        end: To reach in the end.
        source: Where it is from.
        digits: Shown behind the point.
    """

    name: str
    question: str
    beside: str
    better: Literal["more", "less"]
    first: float | None
    end: float | None
    source: Bench | Load
    digits: int = 2

    def target(self, result: Result) -> float | None:
        """Return what has to be reached; a load may know it better."""
        bound = result.details.get("bound")
        return float(bound) if isinstance(bound, float) else self.first

    def met(self, result: Result) -> bool | None:
        """Return whether it is reached, None where nothing is asked."""
        target = self.target(result)
        if target is None:
            return None
        more = self.better == "more"
        return result.value >= target if more else result.value <= target

    def shown(self, value: float | None) -> str:
        """Return a value as the table shows it."""
        return "" if value is None else f"{value:,.{self.digits}f}"

    def wanted(self, value: float | None) -> str:
        """Return a value to reach as the table shows it."""
        sign = "≥" if self.better == "more" else "≤"
        return "" if value is None else f"{sign} {self.shown(value)}"


FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            "ingest_over_floor",
            "messages a CPU second, wire to receipt",
            "codec and identity alone on the same bytes",
            *("more", 0.4, 0.6),
            source=Load("load_ingest"),
        ),
        Figure(
            "ingest_over_peer",
            "messages a CPU second, whole process",
            "aiomqtt and redis-py",
            *("more", None, 20.0),
            source=Load("load_peer"),
            digits=1,
        ),
        Figure(
            "fanout_over_write",
            "CPU of a tick for 1,000 sockets",
            "transport.write of the same bytes",
            *("less", 1.7, 1.2),
            source=Bench("benchmarks/bench_publish.py::bench_fan_out[1000]", "ratio"),
        ),
        Figure(
            "finder_over_bare",
            "colleagues found a second",
            "a bare route of the same framework",
            *("more", 0.5, 0.7),
            source=Bench(
                "benchmarks/bench_finder.py::bench_finder", "finder_over_bare"
            ),
        ),
        Figure(
            "latency_p99_ticks",
            "observation to subscriber at half load, 99th percentile",
            "one tick",
            *("less", 3.0, 1.5),
            source=Load("load_latency"),
        ),
        Figure(
            "tick_100k_ms",
            "occupancy tick, 100,000 channels and 10,000 spaces, ms",
            "see bench_numpy_alone",
            *("less", 5.0, None),
            source=Bench("benchmarks/bench_occupancy.py::bench_tick[100000]"),
        ),
        Figure(
            "bytes_per_channel",
            "memory of a sensor channel",
            "",
            *("less", 300.0, None),
            source=Load("load_memory", "measure_channels"),
            digits=0,
        ),
        Figure(
            "bytes_per_person",
            "memory of a person who opted in",
            "",
            *("less", 400.0, None),
            source=Load("load_memory", "measure_people"),
            digits=0,
        ),
        Figure(
            "bytes_per_stalled_reader",
            "growth of the engine for a subscriber that stopped reading",
            "",
            *("less", 65_536.0, None),
            source=Load("load_stalled"),
            digits=0,
        ),
    )
}


def measure_into(name: str, tiny: bool, answer: Connection) -> None:  # noqa: FBT001 - spawned
    """Measure a figure as a process of its own, which ends with the one that asked."""
    source = FIGURES[name].source
    assert isinstance(source, Load)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    answer.send(source.measure(tiny=tiny))
