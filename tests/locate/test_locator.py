from __future__ import annotations

from engine.errors import Inaccurate, Outside, UnknownName
from engine.locate.locator import Locator
from engine.model import (
    Fixes,
    Observation,
    ObservationKind,
    Placement,
    Sightings,
    Spot,
)
from engine.space import AccessPoint
from tests.locate.test_coordinates import ONE, PLAN, SPACE, spot

LOCATOR = Locator(PLAN, {"ap-0": AccessPoint(3, 60), "ap-1": AccessPoint(7, 80)}, [ONE])
HERE, ELSEWHERE = Placement(1, 7, 80), Placement(-1, -1, 0)
LOVELACE = Placement(-1, SPACE["1-lovelace"], 72)
JOINED, LEFT, GONE = ObservationKind.JOINED, ObservationKind.LEFT, ObservationKind.GONE


def seen(*observations: Observation) -> Sightings:
    rows = list(range(len(observations)))
    return Sightings(
        [row + 3 for row in rows], [row + 5 for row in rows], [*observations]
    )


def place(sightings: Sightings) -> tuple[Fixes, list[type[Exception]]]:
    refused: list[Exception] = []
    fixes = LOCATOR.place("wifi", sightings, refused.append)
    return fixes, [type(one) for one in refused]


def at(where: Spot | None, ap: str = "") -> Observation:
    return Observation(JOINED, ap, 1_000, spot=where)


def test_a_sighting_is_where_its_access_point_is() -> None:
    here = Observation(JOINED, "ap-1", 1_000, "s")
    assert place(seen(here)) == (Fixes([3], [5], [HERE], [here]), [])


def test_an_unknown_access_point_places_nobody_and_is_refused() -> None:
    here = Observation(JOINED, "ap-1", 1_000)
    fixes, refused = place(seen(Observation(JOINED, "ap-2", 1_000), here))
    assert fixes == Fixes([4], [6], [HERE], [here])
    assert refused == [UnknownName]


def test_a_departure_needs_no_known_place() -> None:
    left, gone = Observation(LEFT, "ap-2", 1_000), Observation(GONE, "", 1_000)
    fixes, refused = place(seen(left, gone))
    assert fixes == Fixes([3, 4], [5, 6], [ELSEWHERE] * 2, [left, gone])
    assert refused == []


def test_access_points_have_the_names_of_their_rows() -> None:
    assert [LOCATOR.names[row] for row in (HERE.ap, 0)] == ["ap-1", "ap-0"]


def test_coordinates_speak_before_the_access_point() -> None:
    both, alone = at(spot(100, 100), "ap-1"), at(spot(100, 100))
    bare = at(None, "ap-1")
    fixes, refused = place(seen(both, bare, alone))
    assert fixes == Fixes(
        [3, 4, 5], [5, 6, 7], [LOVELACE, HERE, LOVELACE], [both, bare, alone]
    )
    assert refused == []


def test_where_coordinates_cannot_be_used_the_access_point_is() -> None:
    poor, beside = at(spot(100, 100, 99), "ap-1"), at(spot(0, 0), "ap-1")
    unknown = at(spot(100, 100, floor="cellar"), "ap-1")
    fixes, refused = place(seen(poor, beside, unknown))
    assert fixes.place == [HERE] * 3
    assert refused == []
    assert ("wifi", "cellar") in LOCATOR.unknown_floors


def test_what_is_nowhere_is_refused_by_its_reason_alone() -> None:
    here = at(spot(100, 100))
    fixes, refused = place(
        seen(
            at(spot(100, 100, 99), "ap-9"),
            at(spot(-999, -999)),
            at(spot(100, 100, floor="attic")),
            here,
            at(None, "ap-9"),
        )
    )
    assert fixes == Fixes([6], [8], [LOVELACE], [here])
    assert refused == [Inaccurate, Outside, UnknownName, UnknownName]


def test_a_departure_is_from_its_association_whatever_its_coordinates() -> None:
    left = Observation(LEFT, "ap-1", 1_000, spot=spot(100, 100))
    assert place(seen(left)) == (Fixes([3], [5], [HERE], [left]), [])
