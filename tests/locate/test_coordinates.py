from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Inaccurate, Outside, UnknownName
from engine.locate.coordinates import MOST_FLOORS, Coordinates, Reach
from engine.model import Placement, Spot
from engine.space import Map
from tests.large_floor import BOXES, EAST_M, NORTH_M, SIZE, large_plan

if TYPE_CHECKING:
    from engine.errors import InputError

PLAN = large_plan()
SPACE = PLAN.space_by_id
GROUND = PLAN.ground("hq/1")

ONE = Map(
    "wifi",
    "3rd",
    "hq/1",
    # A unit of this map is a millionth of a degree, its origin the south-west corner.
    (EAST_M, 0.0, -EAST_M * SIZE[0] / 2),
    (0.0, NORTH_M, -NORTH_M * SIZE[1] / 2),
    SIZE[0],
    SIZE[1],
    10.0,
    EAST_M,
    0.0,
)
ENDLESS = ONE._replace(floor="endless", width=math.inf, height=math.inf)


def located(*spots: Spot | None) -> list[Placement | InputError | None]:
    return Coordinates(PLAN, [ONE, ENDLESS]).place("wifi", spots)


def spot(x: float, y: float, accuracy_m: float = 3.0, floor: str = "3rd") -> Spot:
    return Spot(floor, x, y, accuracy_m)


def space(place: object) -> str:
    assert isinstance(place, Placement)
    assert place.ap == -1
    return PLAN.spaces[place.space].id


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [
        (100, 100, "1-lovelace"),
        (300, 100, "1-hopper"),
        (600, 100, "1-lounge"),
        (425, 25, "1-booth"),
        (950, 50, "hq/1"),
        (950, 200, "hq/1"),
        (100, 400, "1-north"),
        (27, 304, "1-north"),
        (900, 400, "1-north-east"),
    ],
)
def test_a_good_spot_is_in_the_smallest_room_or_else_zone_around_it(
    x: float, y: float, place: str
) -> None:
    """A booth in a lounge, a zone in a zone; stairs are no space, and a desk is none
    that coordinates could tell from the next."""
    assert [space(one) for one in located(spot(x, y))] == [place]


@pytest.mark.parametrize(
    ("accuracy_m", "in_room", "in_zone"),
    [
        (0.5, "1-lovelace", "1-north"),
        (5.0, "1-lovelace", "1-north"),
        (5.1, "hq/1", "1-north"),
        (15.0, "hq/1", "1-north"),
        (15.1, "hq/1", "hq/1"),
        (50.0, "hq/1", "hq/1"),
    ],
)
def test_the_poorer_a_spot_the_larger_its_space(
    accuracy_m: float, in_room: str, in_zone: str
) -> None:
    places = located(spot(100, 100, accuracy_m), spot(100, 400, accuracy_m))
    assert [space(one) for one in places] == [in_room, in_zone]


def test_what_does_not_even_tell_the_level_is_refused() -> None:
    for accuracy_m in (50.1, 141.0, math.inf):
        (refused,) = located(spot(100, 100, accuracy_m))
        assert isinstance(refused, Inaccurate)


@pytest.mark.parametrize("accuracy_m", [-1.0, 0.0, math.nan])
def test_an_accuracy_that_is_not_told_is_that_of_the_map(accuracy_m: float) -> None:
    assert located(spot(100, 400, accuracy_m)) == located(spot(100, 400, 10.0))


def test_confidence_falls_as_the_accuracy_nears_what_the_space_needs() -> None:
    places = located(*(spot(100, 100, off_m) for off_m in (0.01, 2.5, 5.0, 5.01, 50)))
    assert [one.confidence for one in places if isinstance(one, Placement)] == [
        *(90, 75, 60),
        *(87, 60),
    ]


def test_a_spot_is_coarse_where_it_could_not_tell_a_room() -> None:
    places = located(spot(100, 400, 5.0), spot(100, 400, 5.1))
    assert [one.coarse for one in places if isinstance(one, Placement)] == [False, True]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (math.nan, 100),
        (100, math.nan),
        (math.inf, 100),
        (-math.inf, 100),
        (1e308, 1e308),
        (-999, -999),
        (0, 0),
        (-0.0, 0.0),
        (-100, 100),
    ],
)
@pytest.mark.parametrize("floor", ["3rd", "endless"])
def test_no_number_that_is_no_place_gets_through(
    x: float, y: float, floor: str
) -> None:
    good = spot(100, 100)
    refused, place = located(spot(x, y, floor=floor), good)
    assert isinstance(refused, Outside)
    assert space(place) == "1-lovelace"


def test_the_very_edge_of_a_map_is_in_the_room_there() -> None:
    assert [space(one) for one in located(spot(0, 100), spot(100, 0))] == [
        "1-lovelace",
        "1-lovelace",
    ]


def test_beside_the_map_is_nowhere() -> None:
    (refused,) = located(spot(SIZE[0] + 1, 100))
    assert isinstance(refused, Outside)


def test_a_spot_beside_the_level_counts_as_far_as_it_may_be_on_it() -> None:
    """Fixes near a façade lie behind it half of the time."""
    metre = 1 / EAST_M
    inside, beyond = located(
        spot(SIZE[0] + 2.9 * metre, 100, 3.0, "endless"),
        spot(SIZE[0] + 3.1 * metre, 100, 3.0, "endless"),
    )
    assert space(inside) == "hq/1"
    assert isinstance(beyond, Outside)


def test_however_poor_a_spot_far_from_the_level_is_nowhere() -> None:
    (refused,) = located(spot(SIZE[0] + 51 / EAST_M, 100, 1e6, "endless"))
    assert isinstance(refused, Outside)


def test_a_floor_without_a_map_is_told_and_remembered() -> None:
    coordinates = Coordinates(PLAN, [ONE])
    places = coordinates.place("wifi", [spot(1, 1, floor="4th"), None, spot(100, 100)])
    assert isinstance(places[0], UnknownName)
    assert places[1] is None
    assert space(places[2]) == "1-lovelace"
    assert coordinates.unknown == {("wifi", "4th")}
    coordinates.place("mist", [spot(100, 100)])
    assert coordinates.unknown == {("wifi", "4th"), ("mist", "3rd")}


def test_what_is_remembered_of_unknown_floors_has_a_bound() -> None:
    coordinates = Coordinates(PLAN)
    coordinates.place("wifi", [spot(1, 1, floor="x" * 129)])
    assert coordinates.unknown == set()
    for floor in range(2 * MOST_FLOORS):
        coordinates.place("wifi", [spot(1, 1, floor=str(floor))])
    assert len(coordinates.unknown) == MOST_FLOORS


def test_a_level_without_an_outline_is_as_large_as_what_is_drawn_on_it() -> None:
    plan = large_plan(outline=False)
    one = Coordinates(plan, [ENDLESS]).place(
        "wifi", [spot(950, 450, 3, "endless"), spot(1100, 450, 3, "endless")]
    )
    assert isinstance(one[0], Placement)
    assert isinstance(one[1], Outside)


def test_thresholds_are_an_operators() -> None:
    coarse = Coordinates(PLAN, [ONE], Reach(room_m=20, zone_m=20, level_m=20))
    assert space(coarse.place("wifi", [spot(100, 100, 19)])[0]) == "1-lovelace"
    assert isinstance(coarse.place("wifi", [spot(100, 100, 21)])[0], Inaccurate)


def naive(one: Spot) -> str | type[InputError]:
    """Say the same box by box, without shapely or numpy."""
    if one.x == one.y == 0 or not (0 <= one.x <= SIZE[0] and 0 <= one.y <= SIZE[1]):
        return Outside
    accuracy_m = one.accuracy_m if one.accuracy_m > 0 else 10.0
    if accuracy_m > 50:
        return Inaccurate
    around = [
        (width * height, kind, f"1-{name}")
        for name, (kind, category, (west, south, width, height)) in BOXES.items()
        if category != "stairs"
        and west <= one.x <= west + width
        and south <= one.y <= south + height
    ]
    for kind, enough_m in (("unit", 5), ("section", 15)):
        some = sorted(box for box in around if box[1] == kind)
        if some and accuracy_m <= enough_m:
            return some[0][2]
    return "hq/1"


AXIS = st.floats(-50, 1050) | st.integers(0, 500).map(lambda half: half + 0.5)
SPOTS = st.builds(spot, AXIS, AXIS, st.floats(-2, 60))


@given(st.lists(SPOTS, max_size=12))
def test_a_batch_is_placed_as_box_by_box(spots: list[Spot]) -> None:
    """But within a centimetre of an edge, which is on either side of it."""
    edges = {0.0, *SIZE}
    for _, _, (west, south, width, height) in BOXES.values():
        edges |= {west, west + width, south, south + height}
    inside = [
        one
        for one in spots
        if all(abs(axis - edge) > 0.1 for axis in (one.x, one.y) for edge in edges)
    ]
    found = [
        space(one) if isinstance(one, Placement) else type(one)
        for one in located(*inside)
    ]
    assert found == [naive(one) for one in inside]
