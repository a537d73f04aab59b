"""What must hold of the code as a whole: imports, gates, documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

from engine import errors, model
from engine.spelling import ID

ROOT = Path(__file__).parents[1]
ENGINE = ROOT / "engine"
SOURCES = sorted(
    path for path in ENGINE.rglob("*.py") if "node_modules" not in path.parts
)

MADE_ONLY_IN: dict[str, str | tuple[str, ...]] = {
    "Identity": "ingest/formats/",
    "Observation": "ingest/formats/",
    "Reading": "ingest/formats/",
    "Restart": "ingest/formats/",
    "Sightings": "privacy/consent.py",
    "Placement": "locate/",
    "Fixes": "locate/",
    "Moves": "presence.py",
    "Snapshot": "privacy/disclosure.py",
    "Delta": "privacy/disclosure.py",
    "Person": ("store/registry.py", "privacy/consent.py"),
    "Location": "store/locations.py",
}

PERSONAL = ("login", "device", "address", "name", "person", "mac")


def module(path: Path) -> str:
    return path.relative_to(ENGINE).as_posix()


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]


def made(tree: ast.AST) -> set[str]:
    """Return the names of what the code makes by a call, or decodes into."""
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
    }
    decoded = {
        argument.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "Decoder"
        for argument in node.args
        if isinstance(argument, ast.Name)
    }
    return called | decoded


@pytest.mark.parametrize("path", SOURCES, ids=module)
def test_each_noun_is_made_only_where_its_gate_is(path: Path) -> None:
    for noun in made(ast.parse(path.read_text())) & MADE_ONLY_IN.keys():
        # The registry's own name of a simulated employee is another Person.
        if module(path).startswith("simulate/"):
            continue
        assert module(path).startswith(MADE_ONLY_IN[noun]), noun


def test_what_an_id_may_look_like_is_said_once() -> None:
    pattern = ID.pattern
    assert [module(p) for p in SOURCES if pattern in p.read_text()] == ["spelling.py"]


def test_the_gate_test_finds_a_noun_made_elsewhere() -> None:
    leak = "def f(x): return Sightings(1, 2, x)"
    assert made(ast.parse(leak)) & MADE_ONLY_IN.keys() == {"Sightings"}


def test_nothing_past_the_gate_in_can_hold_a_person() -> None:
    for noun in (model.Observation, model.Reading):
        fields = set(noun.__struct_fields__)
        assert not fields & {"login", "address", "name", "person", "mac"}
    for past in (model.Sightings, model.Fixes, model.Moves):
        kinds = get_type_hints(past)
        assert not {"login", "address"} & kinds.keys()
        assert kinds.get("device", list[int]) == list[int]
    for public in (model.Snapshot, model.Delta):
        assert not {"subject", *PERSONAL} & set(public.__annotations__)


@pytest.mark.slow
def test_imports_run_one_way() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    found = subprocess.run(  # noqa: S603 - our own
        [linter], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("path", SOURCES, ids=module)
def test_every_module_begins_with_a_line_that_says_what_it_is(path: Path) -> None:
    first = first_line(path)
    assert len(first) > 10
    assert first[-1] in ".:`"


def test_the_code_map_is_the_first_line_of_every_module() -> None:
    text = (ENGINE / "README.md").read_text()
    found = re.findall(r"^- `([a-z0-9_/]+\.py)`: (.*)$", text, re.MULTILINE)
    assert found == [
        (module(path), first_line(path))
        for path in sorted(SOURCES, key=lambda path: (path.parent, path.name))
        if path.name != "__init__.py" and not module(path).startswith("simulate/")
    ]


def error_codes() -> dict[str, int]:
    found = {}
    todo = [errors.EngineError]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind.__module__ == errors.__name__ and kind.code % 1000:
            found[kind.__name__] = kind.code
    return found


def test_every_error_code_stands_in_the_readme_once() -> None:
    text = (ROOT / "README.md").read_text()
    for name, code in error_codes().items():
        rows = re.findall(rf"^\| {code} \|", text, re.MULTILINE)
        assert len(rows) == 1, name


def test_error_codes_are_used_once() -> None:
    codes = list(error_codes().values())
    assert len(codes) == len(set(codes))
