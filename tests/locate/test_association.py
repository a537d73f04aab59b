from __future__ import annotations

from engine.errors import UnknownName
from engine.locate.association import Association
from engine.model import Fixes, Observation, ObservationKind, Placement, Sightings
from engine.space import AccessPoint

LOCATOR = Association({"ap-0": AccessPoint(3, 60), "ap-1": AccessPoint(7, 80)})
HERE, ELSEWHERE = Placement(1, 7, 80), Placement(-1, -1, 0)
JOINED, LEFT = ObservationKind.JOINED, ObservationKind.LEFT


def seen(*observations: Observation) -> Sightings:
    rows = list(range(len(observations)))
    return Sightings(
        [row + 3 for row in rows], [row + 5 for row in rows], [*observations]
    )


def place(sightings: Sightings) -> tuple[Fixes, list[Exception]]:
    refused: list[Exception] = []
    return LOCATOR.place(sightings, refused.append), refused


def test_a_sighting_is_where_its_access_point_is() -> None:
    here = Observation(JOINED, "ap-1", 1_000, "s")
    assert place(seen(here)) == (Fixes([3], [5], [HERE], [here]), [])


def test_an_unknown_access_point_places_nobody_and_is_refused() -> None:
    here = Observation(JOINED, "ap-1", 1_000)
    fixes, refused = place(seen(Observation(JOINED, "ap-2", 1_000), here))
    assert fixes == Fixes([4], [6], [HERE], [here])
    assert [type(refusal) for refusal in refused] == [UnknownName]


def test_a_departure_needs_no_known_place() -> None:
    gone = Observation(LEFT, "ap-2", 1_000)
    assert place(seen(gone)) == (Fixes([3], [5], [ELSEWHERE], [gone]), [])


def test_access_points_have_the_names_of_their_rows() -> None:
    assert [LOCATOR.names[row] for row in (HERE.ap, 0)] == ["ap-1", "ap-0"]
