"""A device that says it is on or off: one by one, as if it were in whole columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.occupancy import ROW
from engine.occupancy.channels import AHEAD_MS, OFFLINE
from tests.test_occupancy import (
    CHANNELS,
    MIN,
    MOTION,
    NOW,
    SENSORS,
    STALE,
    channel,
    columns,
    floor,
    reading,
    time,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from engine.occupancy import Occupancy


def in_columns(  # noqa: PLR0913 - a device's health, and when it came
    o: Occupancy,
    channels: npt.NDArray[np.int32],
    at_ms: int,
    now_ms: int,
    *,
    online: bool,
    retained: bool,
) -> tuple[npt.NDArray[np.void], list[int]]:
    """Take it in column by column; return all rows, and the channels that changed."""
    rows = np.frombuffer(o.export(CHANNELS), ROW).copy()
    before, its = rows.copy(), np.isin(CHANNELS, channels)
    at = min(max(at_ms, 1), now_ms + AHEAD_MS)
    if online:
        rows["online_ms"][its] = np.maximum(rows["online_ms"], at)[its]
        if not retained:
            heard = np.maximum(rows["heard_ms"], now_ms if now_ms - at <= STALE else at)
            rows["heard_ms"][its] = heard[its]
    else:
        off = its & (rows["order_ms"] <= at)
        rows["value"][off] = OFFLINE
        rows["order_ms"][off] = at
        kinds = np.array([kind for kind, _ in SENSORS])
        rows["evidence_ms"][off & (kinds != MOTION)] = at
    return rows, np.flatnonzero(rows != before).tolist()


health = st.tuples(
    st.sets(channel, max_size=4), st.booleans(), time, st.booleans(), st.integers(0, 9)
)


@pytest.mark.slow
@given(st.lists(st.lists(reading, max_size=4) | health, max_size=12))
@settings(max_examples=200)
def test_health_one_by_one_is_the_same_as_in_columns(
    steps: list[
        list[tuple[int, int, int, int]] | tuple[set[int], bool, int, bool, int]
    ],
) -> None:
    o = floor(*SENSORS)
    for one in steps:
        if isinstance(one, list):
            o.apply(*columns(one), NOW)
            continue
        channels, online, at, retained, later = sorted(one[0]), *one[1:]
        now = NOW + later * MIN
        rows, changed = in_columns(
            o, np.array(channels, np.int32), at, now, online=online, retained=retained
        )
        told = o.set_online(channels, online, at, now, retained=retained)
        assert told.dtype == np.int32
        assert told.tolist() == changed
        assert o.export(CHANNELS) == rows.tobytes()
