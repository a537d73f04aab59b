from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.query.once import Once


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")[::-1]


def test_a_post_is_known_until_its_end_and_not_before_it_came() -> None:
    once = Once()
    assert not once.knows(key(1), 1000)
    once.add(key(1), 2000, 1000)

    assert once.knows(key(1), 1000)
    assert once.knows(key(1), 2000)
    assert not once.knows(key(1), 2001)
    assert not once.knows(key(2), 1000)


def test_too_many_forget_the_oldest_first() -> None:
    once = Once(most=3)
    for number in range(5):
        once.add(key(number), 9000, 1000)

    assert len(once) == 3
    assert [once.knows(key(n), 1000) for n in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_what_is_over_makes_room_by_itself() -> None:
    once = Once(most=100)
    for number in range(50):
        once.add(key(number), 2000, 1000)
    once.add(key(99), 9000, 3000)

    assert len(once) == 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50)), max_size=60))
def test_with_room_for_all_it_knows_what_a_plain_model_knows(
    posts: list[tuple[int, int]],
) -> None:
    once, model, now_ms = Once(), dict[int, int](), 0
    for number, life_ms in posts:
        now_ms += 7
        known = model.get(number, -1) >= now_ms
        assert once.knows(key(number), now_ms) is known
        if not known:
            once.add(key(number), now_ms + life_ms, now_ms)
            model[number] = now_ms + life_ms
        assert len(once) <= len(model)
