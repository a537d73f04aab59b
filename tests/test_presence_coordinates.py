from __future__ import annotations

import pytest

from tests.floors import LAPTOP, PATIENCE, Floors, ms
from tests.moves import Move

PRECISE_S = PATIENCE.precise_ms / 1000
LEVEL_S = PATIENCE.level_ms / 1000
SETTLE_S = PATIENCE.settle_ms / 1000
STALE_S = PATIENCE.stale_ms / 1000


@pytest.fixture
def floors() -> Floors:
    return Floors()


# Coordinates among coordinates


def test_a_room_by_coordinates_is_believed_at_once_and_names_no_access_point(
    floors: Floors,
) -> None:
    floors.at("lovelace", 0)
    floors.at("curie", 10)
    assert floors.moves() == [Move("s-0", ms(10), "curie", 85, "")]


def test_a_device_at_rest_by_a_wall_does_not_bounce(floors: Floors) -> None:
    for space, second in (("lovelace", 0), ("hopper", 5)):
        floors.at(space, second)
    seen = set()
    for turn in range(200):
        floors.at(("lovelace", "hopper")[turn % 2], 10 + 5 * turn)
        seen.add(floors.place())
    assert seen == {"hopper"}


def test_neither_does_one_between_a_room_and_the_corridor_before_it(
    floors: Floors,
) -> None:
    floors.at("lovelace", 0)
    floors.at("north", 5)
    seen = set()
    for turn in range(200):
        floors.at(("lovelace", "north")[turn % 2], 10 + 5 * turn)
        seen.add(floors.place())
    assert seen == {"north"}


def test_who_comes_back_to_a_room_is_there_once_it_has_settled(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("curie", 100)
    floors.at("lovelace", 200)
    assert floors.place() == "curie"
    floors.at("lovelace", 200 + SETTLE_S)
    assert floors.place() == "lovelace"


def test_the_same_fix_again_is_a_duplicate(floors: Floors) -> None:
    assert floors.at("lovelace", 0) == "applied"
    assert floors.at("lovelace", 0) == "duplicate"
    assert floors.at("noether", 5) == "applied"
    assert floors.at("noether", 5) == "duplicate"
    assert floors.at("noether", 4) == "late"


# Coarse and fine


def test_a_coarse_fix_around_the_room_confirms_it(floors: Floors) -> None:
    floors.at("lovelace", 0)
    for second, space in ((60, "north"), (120, "hq/1"), (PRECISE_S - 1, "north")):
        floors.at(space, second, coarse=True)
        assert floors.moves() == [Move("s-0", ms(second), "lovelace", 85, "")]


def test_but_for_a_bounded_time(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("north", PRECISE_S, coarse=True)
    assert floors.place() == "north"
    floors.at("lovelace", PRECISE_S + 5)
    assert floors.place() == "lovelace"


def test_a_room_by_its_access_point_is_confirmed_like_one_by_coordinates(
    floors: Floors,
) -> None:
    floors.joined("ap-lovelace", 0)
    floors.at("north", PRECISE_S - 1, coarse=True)
    assert floors.place() == "lovelace"
    floors.at("north", PRECISE_S, coarse=True)
    assert floors.place() == "north"


def test_a_good_fix_renews_that_time(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("lovelace", 200)
    floors.at("north", 200 + PRECISE_S - 1, coarse=True)
    assert floors.place() == "lovelace"


def test_a_good_fix_in_no_room_is_no_coarse_one(floors: Floors) -> None:
    """Its accuracy would tell the room, so the person has left it."""
    floors.at("lovelace", 0)
    floors.at("north", 5)
    assert floors.place() == "north"


def test_finer_replaces_coarse_at_once_and_is_no_move(floors: Floors) -> None:
    floors.at("hq/1", 0, coarse=True)
    floors.joined("ap-south", 10, LAPTOP)
    assert floors.place() == "south"
    for second, space in ((20, "north"), (30, "lovelace")):
        floors.at(space, second)
        assert floors.place() == "south"
    floors.gone(40, LAPTOP)
    floors.at("lovelace", 50)
    assert floors.place() == "lovelace"


def test_newer_and_poor_does_not_replace_older_and_good(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("south", 30, coarse=True)
    assert floors.place() == "lovelace"


def test_unless_nothing_better_comes(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("south", 30, coarse=True)
    floors.presence.confirm(ms(30 + SETTLE_S) - 1)
    assert floors.place() == "lovelace"
    floors.presence.confirm(ms(30 + SETTLE_S))
    assert floors.place() == "south"


def test_a_poor_fix_replaces_what_is_no_longer_fresh(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("south", PRECISE_S, coarse=True)
    assert floors.place() == "south"


# Levels


@pytest.mark.parametrize("coarse", [False, True])
def test_one_fix_on_another_level_is_only_claimed(
    floors: Floors, *, coarse: bool
) -> None:
    floors.at("lovelace", 0)
    floors.at("noether", 5, coarse=coarse)
    assert floors.place() == "lovelace"
    floors.at("lovelace", 10)
    floors.presence.confirm(ms(1_000))
    assert floors.place() == "lovelace"


def test_another_fix_on_that_level_confirms_it_wherever_it_is(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("noether", 5)
    floors.at("up", 10)
    assert floors.place() == "up"


def test_the_same_fix_twice_confirms_nothing(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("noether", 5)
    floors.at("noether", 5)
    floors.at("up", 5)
    assert floors.place() == "lovelace"


def test_two_poor_fixes_on_that_level_confirm_it_as_well(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("up", 5, coarse=True)
    floors.at("up", 10, coarse=True)
    assert floors.place() == "up"


def test_what_is_claimed_on_the_old_level_confirms_no_other(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("south", 5, coarse=True)
    floors.at("noether", 10)
    assert floors.place() == "lovelace"


def test_a_level_that_nothing_contradicts_is_believed_after_a_while(
    floors: Floors,
) -> None:
    """Sources that report movement alone say it once: who came by lift sits down."""
    floors.at("lovelace", 0)
    floors.at("noether", 5)
    floors.presence.confirm(ms(5 + LEVEL_S) - 1)
    assert floors.place() == "lovelace"
    floors.presence.confirm(ms(5 + LEVEL_S))
    assert floors.moves() == [Move("s-0", ms(5), "noether", 85, "")]


def test_a_place_that_was_claimed_is_by_coordinates_when_it_is_believed(
    floors: Floors,
) -> None:
    floors.at("lovelace", 0)
    floors.at("noether", 5)
    floors.presence.confirm(ms(5 + LEVEL_S))
    floors.joined("ap-up", 4 + PRECISE_S)
    assert floors.place() == "noether"


def test_a_coarse_fix_on_the_old_level_contradicts_the_new_one(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("noether", 5)
    floors.at("hq/1", 10, coarse=True)
    floors.presence.confirm(ms(1_000))
    assert floors.place() == "lovelace"


def test_a_level_is_believed_at_once_where_the_old_one_is_stale(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.at("noether", STALE_S)
    assert floors.place() == "noether"


def test_a_flapping_level_shows_as_one(floors: Floors) -> None:
    floors.at("lovelace", 0)
    seen = set()
    for turn in range(200):
        floors.at(("noether", "lovelace")[turn % 2], 5 + 5 * turn)
        seen.add(floors.place())
    assert seen == {"lovelace"}


def test_an_association_on_another_level_is_believed_at_once(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.joined("ap-up", 5)
    assert floors.moves() == [Move("s-0", ms(5), "up", 70, "ap-up")]


def test_coordinates_on_another_level_than_the_association_are_claimed_too(
    floors: Floors,
) -> None:
    floors.joined("ap-up", 0)
    floors.at("lovelace", 5)
    assert floors.place() == "up"
    floors.at("lovelace", 10)
    assert floors.place() == "lovelace"


# Associations


def test_an_association_that_goes_on_does_not_replace_coordinates(
    floors: Floors,
) -> None:
    """A sticky client: it sits in Curie, and holds on to the door in the north."""
    floors.joined("ap-north", 0)
    floors.at("curie", 10)
    floors.joined("ap-north", 20)
    floors.presence.confirm(ms(20 + SETTLE_S))
    floors.joined("ap-north", 10 + PRECISE_S - 1)
    assert floors.place() == "curie"
    floors.joined("ap-north", 10 + PRECISE_S)
    floors.presence.confirm(ms(10 + PRECISE_S + SETTLE_S))
    assert floors.place() == "north"


def test_not_even_on_another_level(floors: Floors) -> None:
    floors.joined("ap-up", 0)
    for second in (5, 10):
        floors.at("lovelace", second)
    floors.joined("ap-up", 20)
    assert floors.place() == "lovelace"


def test_a_roam_on_the_level_is_claimed_against_coordinates(floors: Floors) -> None:
    floors.joined("ap-north", 0)
    floors.at("lovelace", 10)
    floors.joined("ap-south", 20)
    assert floors.place() == "lovelace"
    floors.presence.confirm(ms(20 + SETTLE_S))
    assert floors.place() == "south"


def test_coordinates_after_a_roam_contradict_it(floors: Floors) -> None:
    floors.joined("ap-north", 0)
    floors.at("lovelace", 10)
    floors.joined("ap-south", 20)
    floors.at("lovelace", 30)
    floors.presence.confirm(ms(1_000))
    assert floors.place() == "lovelace"


def test_a_roam_to_where_the_room_is_confirms_it(floors: Floors) -> None:
    floors.joined("ap-south", 0)
    floors.at("lovelace", 10)
    floors.joined("ap-north", 20)
    floors.presence.confirm(ms(1_000))
    assert floors.place() == "lovelace"


def test_an_access_point_of_the_whole_building_confirms_every_room(
    floors: Floors,
) -> None:
    floors.at("lovelace", 0)
    floors.joined("ap-hq", 5)
    assert floors.place() == "lovelace"


def test_an_association_in_the_very_room_keeps_the_coordinates(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.joined("ap-lovelace", 5)
    assert floors.moves() == [Move("s-0", ms(5), "lovelace", 70, "")]


# Departures


@pytest.mark.parametrize("ap", ["", "ap-unlisted", "ap-north"])
def test_coordinates_of_an_association_that_nobody_told_of_end_with_any(
    floors: Floors, ap: str
) -> None:
    """They opted in after they had come, or no table has their access point."""
    floors.at("lovelace", 10)
    assert floors.left(ap, 9) == "late"
    assert floors.place() == "lovelace"
    assert floors.left(ap, 20) == "applied"
    assert floors.place() is None
    assert floors.at("lovelace", 19) == "late"
    floors.at("lovelace", 30)
    assert floors.place() == "lovelace"


def test_a_departure_from_elsewhere_leaves_coordinates(floors: Floors) -> None:
    floors.joined("ap-north", 0)
    floors.at("lovelace", 5)
    for ap in ("", "ap-unlisted", "ap-south"):
        assert floors.left(ap, 10) == "late"
    assert floors.place() == "lovelace"


def test_coordinates_end_with_the_association_of_the_device(floors: Floors) -> None:
    floors.joined("ap-north", 0, session="s")
    floors.at("curie", 10)
    assert floors.left("ap-south", 20) == "late"
    assert floors.left("ap-south", 20, session="s") == "applied"
    assert floors.moves() == [Move("s-0", ms(20), None, 0, "ap-north", ms(10))]


def test_who_is_gone_is_nowhere_whatever_was_known(floors: Floors) -> None:
    floors.at("lovelace", 0)
    assert floors.gone(10) == "applied"
    assert floors.moves() == [Move("s-0", ms(10), None, 0, "", ms(10))]
    assert floors.at("lovelace", 9) == "late"
    floors.at("lovelace", 11)
    assert floors.place() == "lovelace"


def test_who_was_seen_since_is_not_gone(floors: Floors) -> None:
    floors.joined("ap-north", 10)
    assert floors.gone(9) == "late"
    assert floors.place() == "north"


def test_one_of_two_devices_that_is_gone_takes_its_place_alone(floors: Floors) -> None:
    floors.joined("ap-north", 0, LAPTOP)
    floors.at("curie", 60)
    floors.gone(70, LAPTOP)
    assert floors.place() == "curie"
    floors.gone(80)
    assert floors.place() is None


def test_who_is_gone_and_unknown_is_left_to_the_store_with_its_time(
    floors: Floors,
) -> None:
    """After a restart: the store may hold a place of theirs that is no newer."""
    floors.left("ap-north", 5, LAPTOP)
    assert floors.moves() == [Move("s-0", ms(5), None, 0, "ap-north")]
    floors.gone(10)
    assert set(floors.moves()) == {
        Move("s-0", ms(5), None, 0, "ap-north"),
        Move("s-0", ms(10), None, 0, "", ms(10)),
    }


# Time


def test_whole_seconds_are_not_late_within_their_second(floors: Floors) -> None:
    floors.joined("ap-north", 10.4)
    assert floors.joined("ap-south", 10, blur_ms=999) == "applied"
    assert floors.moves() == [Move("s-0", ms(10.4), "south", 70, "ap-south")]
    assert floors.joined("ap-up", 9, blur_ms=999) == "late"
    assert floors.joined("ap-up", 10) == "late"


def test_within_a_second_the_order_of_arrival_holds(floors: Floors) -> None:
    floors.joined("ap-north", 10.4)
    assert floors.left("ap-south", 10, blur_ms=999) == "late"
    assert floors.left("ap-north", 10, blur_ms=999) == "applied"
    assert floors.moves() == [
        Move("s-0", ms(10.4), None, 0, "ap-north", ms(10.4)),
    ]
    assert floors.joined("ap-north", 10, blur_ms=999) == "applied"
    assert floors.moves() == [Move("s-0", ms(10.4), "north", 70, "ap-north")]


def test_the_same_whole_second_twice_is_a_duplicate(floors: Floors) -> None:
    floors.joined("ap-north", 10.4)
    assert floors.joined("ap-north", 10, blur_ms=999) == "duplicate"


def test_a_ghost_takes_the_lead_from_nobody_who_was_there_then(floors: Floors) -> None:
    floors.joined("ap-north", 0)
    assert floors.at("curie", 10, LAPTOP, late_s=STALE_S + 1) == "applied"
    assert floors.place() == "north"
    floors.at("curie", 20, LAPTOP)
    assert floors.place() == "curie"


def test_but_from_who_was_silent_for_long_it_does(floors: Floors) -> None:
    floors.joined("ap-north", 0)
    floors.at("curie", STALE_S, LAPTOP, late_s=STALE_S + 1)
    assert floors.place() == "curie"


def test_a_claimed_ghost_does_not_take_the_lead_when_it_is_due(floors: Floors) -> None:
    floors.at("hopper", 0, LAPTOP)
    floors.joined("ap-north", 5)
    floors.at("noether", 10, LAPTOP, late_s=STALE_S + 1)
    floors.presence.confirm(ms(10 + STALE_S + 1))
    assert floors.place() == "north"


# What is left of it elsewhere


def test_a_forgotten_device_leaves_no_coordinates_to_who_gets_its_row(
    floors: Floors,
) -> None:
    floors.at("lovelace", 0)
    floors.at("noether", 5)
    floors.presence.forget(0, [0])
    floors.joined("ap-south", 10)
    assert floors.moves() == [Move("s-0", ms(10), "south", 70, "ap-south")]


def test_a_place_by_coordinates_is_told_to_an_empty_store(floors: Floors) -> None:
    floors.at("lovelace", 0)
    floors.moves()
    floors.presence.tell_all()
    assert floors.moves() == [Move("s-0", ms(0), "lovelace", 85, "")]


def test_a_device_that_is_no_longer_the_subjects_takes_its_coordinates_with_it(
    floors: Floors,
) -> None:
    floors.at("lovelace", 0)
    floors.presence.end(0, [0], ms(10))
    assert floors.moves() == [Move("s-0", ms(10), None, 0, "", ms(0))]
