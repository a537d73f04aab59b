# ruff: noqa: S311 - seeded jitter

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from engine.backoff import Backoff


@given(st.integers(0, 2**32), st.lists(st.booleans(), max_size=80))
def test_no_wait_is_longer_than_the_cap_but_a_calm_one(
    seed: int, calm: list[bool]
) -> None:
    backoff = Backoff(0.5, 5.0, random.Random(seed), calm_s=30.0)
    for tries, calmly in enumerate(calm):
        wait_s = backoff.next_s(calmly=calmly)
        if calmly:
            assert 15 <= wait_s <= 30
        else:
            assert 0 <= wait_s <= min(5, 0.5 * 2**tries)


def test_waits_start_short_again_after_a_reset() -> None:
    backoff = Backoff(0.5, 5.0, random.Random(1))
    grown = [backoff.next_s() for _ in range(20)]
    backoff.reset()
    assert max(grown) > 0.5
    assert backoff.next_s() <= 0.5


def test_waits_of_two_engines_differ() -> None:
    # Full jitter: those who lost one server at one moment must not come back at one.
    one, two = (Backoff(0.5, 5.0, random.Random(seed)) for seed in (1, 2))
    assert one.next_s() != two.next_s()
