"""`python -m benchmarks`: every figure in one run, a table, and results.json.

First the pytest-benchmark files, then the whole-process loads, each in a process of its
own that is killed when it takes too long. `--only` runs one figure and writes nothing;
`--check` runs every load tiny and asserts results, not speed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import FIGURES, Bench, Load, measure_into
from benchmarks.machine import commit, machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.figures import Figure
    from benchmarks.results import Result

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
BENCH_S = 900.0
"""How long the pytest-benchmark files may take together."""
LOAD_S = 180.0
"""How long one load may take."""
END_S = 10.0
"""How long its process may take to end when it is done."""

out = Console(highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return 0, or 1 where something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=list(FIGURES), metavar="NAME")
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args(arguments)
    figures = [FIGURES[chosen.only]] if chosen.only else list(FIGURES.values())
    if chosen.check:
        figures = [figure for figure in figures if isinstance(figure.source, Load)]
        return len(figures) - len(loads(figures, tiny=True))
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
    }
    report = benches(figures, everything=not chosen.only)
    found = loads(figures, tiny=False)
    for figure in figures:
        if isinstance(figure.source, Bench):
            result = figure.source.read(report)
            if result is not None:
                found[figure.name] = result
    out.print(table(figures, found))
    if not chosen.only:
        results = {**about, **as_json(figures, found), "benchmarks": medians(report)}
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        out.print(f"wrote {RESULTS.relative_to(Path.cwd())}")
    return int(len(found) < len(figures))


def benches(
    figures: Sequence[Figure], *, everything: bool
) -> Sequence[Mapping[str, Any]]:
    """Run pytest-benchmark on all of its files, or on what the figures are from."""
    nodes = [f.source.node for f in figures if isinstance(f.source, Bench)]
    if everything:
        nodes = ["benchmarks"]
    if not nodes:
        return []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *nodes),
            *("--benchmark-json", str(file), "--benchmark-columns=min,median,iqr"),
        ]
        try:
            subprocess.run(command, check=False, cwd=HERE.parent, timeout=BENCH_S)  # noqa: S603 - our own
            measured = json.loads(file.read_text())["benchmarks"]
        except (subprocess.TimeoutExpired, OSError, ValueError) as error:
            out.print(f"[red]pytest-benchmark gave no report: {type(error).__name__}")
            return []
    return list(measured)


def loads(figures: Sequence[Figure], *, tiny: bool) -> dict[str, Result]:
    """Run each load in a process of its own; leave out those that fail."""
    found: dict[str, Result] = {}
    own = [figure for figure in figures if isinstance(figure.source, Load)]
    for number, figure in enumerate(own, 1):
        with out.status(f"{number}/{len(own)} {figure.name}: {figure.question}"):
            result = alone(figure, tiny=tiny)
        if result is not None:
            found[figure.name] = result
            details = ", ".join(f"{k} {v}" for k, v in result.details.items())
            out.print(f"{figure.name} {figure.shown(result.value)} [dim]({details})")
    return found


def alone(figure: Figure, *, tiny: bool) -> Result | None:
    """Run a load in a process of its own."""
    spawn = get_context("spawn")
    receive, send = spawn.Pipe(duplex=False)
    child = spawn.Process(target=measure_into, args=(figure.name, tiny, send))
    child.start()
    send.close()
    result: Result | None = None
    try:
        if receive.poll(LOAD_S):
            result = receive.recv()
        else:
            out.print(f"[red]{figure.name}: not done after {LOAD_S:g} s")
    except EOFError:
        out.print(f"[red]{figure.name}: failed, see above")
    finally:
        child.join(END_S if result else 0)
        child.kill()  # and the kernel kills whatever it has started
        child.join()
    return result


def table(figures: Sequence[Figure], found: Mapping[str, Result]) -> Table:
    """Return the figures, what was measured and what has to be reached."""
    shown = Table("figure", "measured", "to reach first", "in the end", "", "beside")
    for figure in figures:
        result = found.get(figure.name)
        if result is None:
            cells = ["[red]not measured", figure.wanted(figure.first)]
            met = None
        else:
            cells = [figure.shown(result.value), figure.wanted(figure.target(result))]
            met = figure.met(result)
        word = {True: "[green]met", False: "[red]missed", None: ""}[met]
        shown.add_row(
            figure.name, *cells, figure.wanted(figure.end), word, figure.beside
        )
    return shown


def as_json(
    figures: Sequence[Figure], found: Mapping[str, Result]
) -> dict[str, dict[str, object]]:
    """Return each figure by its name."""
    return {
        figure.name: {
            "value": round(result.value, 4),
            "target": figure.target(result),
            "target_in_the_end": figure.end,
            "better": figure.better,
            "met": figure.met(result),
            "details": result.details,
        }
        for figure in figures
        if (result := found.get(figure.name)) is not None
    }


def medians(report: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, object]]:
    """Return what pytest-benchmark measured, in seconds a round."""
    return {
        one["fullname"].removeprefix("benchmarks/"): {
            **{key: one["stats"][key] for key in ("min", "median", "iqr", "rounds")},
            **one["extra_info"],
        }
        for one in report
    }


if __name__ == "__main__":
    sys.exit(main())
