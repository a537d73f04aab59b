"""The sensors, as CSV: `source,device,channel,space,kind,…`, a row a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.files.policies import Policies
from engine.files.remark import Remark, Remarks
from engine.files.table import rows
from engine.space import BOUND_AS, Binding

if TYPE_CHECKING:
    from engine.files.table import Row
    from engine.space import Plan

_FLIPS = {"": False, "in": False, "out": True}


def read(
    data: bytes,
    name: str,
    plan: Plan,
    policies: Policies | None = None,
) -> tuple[list[Binding], list[Remark]]:
    """Return what each sensor channel watches, and what was passed by.

    What a row does not say, the policies do.

    Raises:
        ConfigError: With file and line, where a row does not fit.
    """
    remarks = Remarks(name)
    policies = policies or Policies()
    reset_by_space: dict[int, tuple[int, str]] = {}
    found: list[Binding] = []
    where_by_channel: dict[tuple[str, str, str, str], str] = {}
    for row in rows(
        data,
        name,
        needed=["source", "device", "space", "kind"],
        optional=["channel", "hold_s", "interval_s", "max_on_s", "direction"],
        remarks=remarks,
    ):
        source, device, channel, kind = key = _channel(row)
        if key in where_by_channel:
            raise row.refused(
                f"bound before in {where_by_channel[key]}; give each channel and kind "
                "of a device one row"
            )
        where_by_channel[key] = row.where
        space = row.space(plan)
        if kind not in BOUND_AS:
            raise row.refused(f"kind must be one of {', '.join(BOUND_AS)}")
        direction = row.cells["direction"]
        if direction not in _FLIPS or (direction and kind != "flow"):
            raise row.refused(
                "direction is of a flow alone: in, or out where the counter's in leads "
                "out of the space"
            )
        terms = policies.terms(
            kind=kind, space=plan.spaces[space].kind, source=source, device=device
        )
        if kind == "flow":
            at, where = reset_by_space.setdefault(space, (terms.reset_at, row.where))
            if at != terms.reset_at:
                raise row.refused(
                    f"the policies give this line another reset_at than {where}; the "
                    "lines of a space have one"
                )
        found.append(
            Binding(
                source,
                device,
                channel,
                space,
                BOUND_AS[kind],
                row.duration_ms("hold_s", terms.hold_ms),
                row.duration_ms("interval_s", terms.interval_ms),
                row.duration_ms("max_on_s", terms.max_on_ms),
                flip=_FLIPS[direction],
                reset_at=terms.reset_at,
            )
        )
    return found, remarks.all()


def _channel(row: Row) -> tuple[str, str, str, str]:
    """Return source, device, channel and kind: no two rows have the same."""
    cells = row.cells
    device = cells["device"].lower()
    if not device or "#" in device:
        raise row.refused("device is empty or holds a '#'")
    return cells["source"], device, cells["channel"], cells["kind"]
