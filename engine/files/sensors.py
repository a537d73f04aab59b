"""The sensors, as CSV: `source,device,channel,space,kind,…`, a row a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.files.remark import Remark, Remarks
from engine.files.table import rows
from engine.space import BOUND_AS, Binding, Kind

if TYPE_CHECKING:
    from engine.files.table import Row
    from engine.space import Plan

_FLIPS = {"": False, "in": False, "out": True}


def read(
    data: bytes,
    name: str,
    plan: Plan,
    *,
    room_hold_ms: int = 300_000,
    desk_hold_ms: int = 720_000,
) -> tuple[list[Binding], list[Remark]]:
    """Return what each sensor channel watches, and what was passed by.

    Motion without a hold of its own gets the usual one: five minutes in a room, twelve
    at a desk (a PIR is blind to someone who types).

    Raises:
        ConfigError: With file and line, where a row does not fit.
    """
    remarks = Remarks(name)
    found: list[Binding] = []
    where_by_channel: dict[tuple[str, str, str, str], str] = {}
    for row in rows(
        data,
        name,
        needed=["source", "device", "space", "kind"],
        optional=["channel", "hold_s", "interval_s", "direction"],
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
        is_desk = plan.spaces[space].kind is Kind.DESK
        if kind not in BOUND_AS:
            raise row.refused(f"kind must be one of {', '.join(BOUND_AS)}")
        direction = row.cells["direction"]
        if direction not in _FLIPS or (direction and kind != "flow"):
            raise row.refused(
                "direction is of a flow alone: in, or out where the counter's in leads "
                "out of the space"
            )
        found.append(
            Binding(
                source,
                device,
                channel,
                space,
                BOUND_AS[kind],
                row.duration_ms("hold_s", desk_hold_ms if is_desk else room_hold_ms),
                row.duration_ms("interval_s", 0),
                flip=_FLIPS[direction],
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
