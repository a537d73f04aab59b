"""The machine, and the versions that a figure depends on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

PARTS = ("hiredis", "mqtt5", "msgspec", "numpy", "redis", "uvloop", "websockets")


def machine() -> dict[str, str | int | float]:
    """Return a description that names no host."""
    return {
        "cpu": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        **{part: version(part) for part in PARTS},
    }


def commit() -> str:
    """Return the commit that is checked out, with "+" where files differ from it."""
    here = Path(__file__).parent
    try:
        known = _git(here, "rev-parse", "--short=12", "HEAD")
        return known + ("+" if _git(here, "status", "--porcelain", "../engine") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    command = ("git", "-C", str(folder), *arguments)
    said = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - no shell, our own words
    return said.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
    return next(names, platform.processor() or "unknown")
