"""The pages of `deploy/sources`, and what stands in them."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).parents[1] / "deploy" / "sources"


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of code in a language, which may be a pattern."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
