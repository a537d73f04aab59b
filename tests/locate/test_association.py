from __future__ import annotations

from engine.locate.association import Association
from engine.model import Fix, Observation, ObservationKind, Sighting
from engine.space import AccessPoint

LOCATOR = Association({"ap-1": AccessPoint(7, 80)})
JOINED, LEFT = ObservationKind.JOINED, ObservationKind.LEFT


def test_a_sighting_is_where_its_access_point_is() -> None:
    seen = Sighting(3, 5, Observation(JOINED, "ap-1", 1_000, "s"))
    assert LOCATOR.place(seen) == Fix(3, 5, JOINED, "ap-1", 7, 80, 1_000, "s")


def test_an_unknown_access_point_places_nobody() -> None:
    assert LOCATOR.place(Sighting(3, 5, Observation(JOINED, "ap-2", 1_000))) is None


def test_a_departure_needs_no_known_place() -> None:
    fix = LOCATOR.place(Sighting(3, 5, Observation(LEFT, "ap-2", 1_000)))
    assert fix == Fix(3, 5, LEFT, "ap-2", -1, 0, 1_000, None)
