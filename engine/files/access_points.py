"""The access points, as CSV: `ap,space[,confidence]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.files.remark import Remark, Remarks
from engine.files.table import rows
from engine.space import AccessPoint
from engine.spelling import canonical_ap

if TYPE_CHECKING:
    from engine.space import Plan

DEFAULT_CONFIDENCE = 70
"""Percent for a fix by access point alone: its cell is seldom just one zone."""


def read(
    data: bytes, name: str, plan: Plan
) -> tuple[dict[str, AccessPoint], list[Remark]]:
    """Return the access points by canonical name, and what was passed by.

    Raises:
        ConfigError: With file and line, where a row does not fit.
    """
    remarks = Remarks(name)
    found: dict[str, AccessPoint] = {}
    for row in rows(
        data, name, needed=["ap", "space"], optional=["confidence"], remarks=remarks
    ):
        ap = canonical_ap(row.cells["ap"])
        if not ap:
            raise row.refused(
                "ap is empty: name the access point, or its radio address"
            )
        if ap in found:
            raise row.refused("this access point is listed before: keep one of the two")
        confidence = row.percent("confidence", DEFAULT_CONFIDENCE)
        found[ap] = AccessPoint(row.space(plan), confidence)
    return found, remarks.all()
