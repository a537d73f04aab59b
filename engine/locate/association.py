"""An association places a device where its access point is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model import Fix, ObservationKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model import Sighting
    from engine.space import AccessPoint


class Association:
    """Places sightings by the table of access points of a tenant."""

    def __init__(self, access_points: Mapping[str, AccessPoint]) -> None:
        self._access_points = access_points

    def __len__(self) -> int:
        """Return how many access points are known."""
        return len(self._access_points)

    def place(self, sighting: Sighting) -> Fix | None:
        """Return where the sighting is, or None where the access point is unknown.

        A departure needs no place: it names the association that ends.
        """
        observation = sighting.observation
        known = self._access_points.get(observation.ap)
        if known is not None:
            space, confidence = known
        elif observation.kind is ObservationKind.LEFT:
            space, confidence = -1, 0
        else:
            return None
        return Fix(
            sighting.subject,
            sighting.device,
            observation.kind,
            observation.ap,
            space,
            confidence,
            observation.observed_at_ms,
            observation.session,
        )
