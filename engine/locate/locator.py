"""Where a sighting is: by its coordinates first, else by its access point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import InputError, UnknownName
from engine.locate.association import Association
from engine.locate.coordinates import Coordinates, Reach
from engine.model import Fixes, ObservationKind, Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from engine.model import Sightings
    from engine.space import AccessPoint, Map, Plan

_JOINED = ObservationKind.JOINED
_ELSEWHERE = Placement(-1, -1, 0)
"""Of a departure from an access point that is not in the table, or from none."""


class Locator:
    """Places the sightings of one tenant.

    Args:
        plan: Its spaces.
        access_points: Where each access point is, by canonical name.
        maps: What the coordinates of its sources mean.
        reach: How accurate they must be.

    Attributes:
        names: Of the access points, by row.
        find: Gives the place of an access point, None of one that is not in the table.
        unknown_floors: Source and floor of coordinates that no map is for.
    """

    def __init__(
        self,
        plan: Plan,
        access_points: Mapping[str, AccessPoint],
        maps: Iterable[Map] = (),
        reach: Reach | None = None,
    ) -> None:
        self._plan, self._reach = plan, reach
        self._association = Association(access_points)
        self.names = self._association.names
        self._know(maps)

    def replace(
        self, access_points: Mapping[str, AccessPoint], maps: Iterable[Map]
    ) -> None:
        """Know these access points and maps alone; an access point keeps its row."""
        self._association.replace(access_points)
        self._know(maps)

    def _know(self, maps: Iterable[Map]) -> None:
        self.find = self._association.find
        self._coordinates = Coordinates(self._plan, maps, self._reach)
        self.unknown_floors = self._coordinates.unknown

    def place(
        self, source: str, sightings: Sightings, refuse: Callable[[Exception], object]
    ) -> Fixes:
        """Return where the sightings are.

        Coordinates that cannot be used are no loss where the access point is known. A
        departure needs no place: it names the association that ends, or none.

        Args:
            source: Which of the tenant's sources they are of.
            sightings: In order of arrival.
            refuse: Called for each that is nowhere, which is left out: with
                `UnknownName` (access point or floor), `Inaccurate` or `Outside`.
        """
        subjects, devices, observations = sightings
        find = self.find
        places = [find(seen.ap) for seen in observations]
        spots = [seen.spot for seen in observations]
        if spots.count(None) == len(spots) and None not in places:
            # What most sources send: access points alone, and known ones.
            return Fixes(subjects, devices, places, observations)  # type: ignore[arg-type]
        fixes = Fixes([], [], [], [])
        located = self._coordinates.place(source, spots)
        columns = zip(*sightings, places, located, strict=True)
        for subject, device, seen, place, spot in columns:
            if seen.kind is not _JOINED:
                place = place or _ELSEWHERE  # noqa: PLW2901 - the rule, step by step
            elif isinstance(spot, Placement):
                place = spot  # noqa: PLW2901
            if place is None:
                refuse(spot if isinstance(spot, InputError) else UnknownName())
                continue
            fixes.subject.append(subject)
            fixes.device.append(device)
            fixes.place.append(place)
            fixes.observation.append(seen)
        return fixes
