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
        self.names: list[str] = []
        self._row_by_ap: dict[str, int] = {}
        self.replace(access_points)

    def replace(self, access_points: Mapping[str, AccessPoint]) -> None:
        """Know these access points alone; each that was ever known keeps its row."""
        for ap in access_points:
            if self._row_by_ap.setdefault(ap, len(self.names)) == len(self.names):
                self.names.append(ap)
        self._place_by_ap = {
            ap: Placement(self._row_by_ap[ap], space, confidence)
            for ap, (space, confidence) in access_points.items()
        }
        self.find = self._place_by_ap.get

    def __len__(self) -> int:
        """Return how many access points are known."""
        return len(self._place_by_ap)
