"""The map page: its TypeScript source, its build, and where the built files are."""

from __future__ import annotations

from pathlib import Path

#: The built page. Missing only in a checkout that was never installed.
DIST = Path(__file__).parent / "dist"
