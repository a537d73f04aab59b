"""An association places a device where its access point is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import UnknownName
from engine.model import Fixes, ObservationKind, Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.model import Sightings
    from engine.space import AccessPoint

_ELSEWHERE = Placement(-1, -1, 0)
"""Of an access point that is not in the table."""


class Association:
    """Places sightings by the table of access points of a tenant.

    Attributes:
        names: Of the access points, by row.
    """

    def __init__(self, access_points: Mapping[str, AccessPoint]) -> None:
        self.names: list[str] = []
        self._row_by_ap: dict[str, int] = {}
        self._place_by_ap: dict[str, Placement] = {}
        self.replace(access_points)

    def __len__(self) -> int:
        """Return how many access points are known."""
        return len(self._place_by_ap)

    def replace(self, access_points: Mapping[str, AccessPoint]) -> None:
        """Know these access points alone; each that was ever known keeps its row."""
        for ap in access_points:
            if self._row_by_ap.setdefault(ap, len(self.names)) == len(self.names):
                self.names.append(ap)
        self._place_by_ap = {
            ap: Placement(self._row_by_ap[ap], space, confidence)
            for ap, (space, confidence) in access_points.items()
        }

    def find(self, ap: str) -> Placement | None:
        """Return where an access point is, None where it is not in the table."""
        return self._place_by_ap.get(ap)

    def place(
        self, sightings: Sightings, refuse: Callable[[Exception], object]
    ) -> Fixes:
        """Return where the sightings are.

        A departure needs no place: it names the association that ends.

        Args:
            sightings: Of one tenant.
            refuse: Called with `UnknownName` for each at an access point that is not
                in the table; it is left out.
        """
        subjects, devices, observations = sightings
        find = self._place_by_ap.get
        places = [find(seen.ap) for seen in observations]
        if None not in places:
            return Fixes(subjects, devices, places, observations)  # type: ignore[arg-type]
        fixes = Fixes([], [], [], [])
        for subject, device, place, seen in zip(
            subjects, devices, places, observations, strict=True
        ):
            if place is None and seen.kind is not ObservationKind.LEFT:
                refuse(UnknownName())
                continue
            fixes.subject.append(subject)
            fixes.device.append(device)
            fixes.place.append(place or _ELSEWHERE)
            fixes.observation.append(seen)
        return fixes
