"""An association places a device where its access point is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model import Placement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.space import AccessPoint


class Association:
    """Places by the table of access points of a tenant.

    Attributes:
        names: Of the access points, by row.
        find: Gives the place of an access point, None of one that is not in the table.
    """

    def __init__(self, access_points: Mapping[str, AccessPoint]) -> None:
        self.names = list(access_points)
        place_by_ap = {
            ap: Placement(row, space, confidence)
            for row, (ap, (space, confidence)) in enumerate(access_points.items())
        }
        self.find = place_by_ap.get

    def __len__(self) -> int:
        """Return how many access points are known."""
        return len(self.names)
