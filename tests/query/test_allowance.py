from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.query.allowance import BURST_S, Rate, Room

NOW_MS = 1_792_580_400_000


@given(
    per_s=st.floats(0.05, 1000),
    waits_ms=st.lists(st.integers(0, 5_000), max_size=200),
)
def test_no_more_pass_than_the_rate_and_one_burst(
    per_s: float, waits_ms: list[int]
) -> None:
    rate, now_ms, passed = Rate(per_s), NOW_MS, 0
    for wait_ms in waits_ms:
        now_ms += wait_ms
        passed += rate.take(now_ms) == 0

    most = max(1.0, per_s * BURST_S) + per_s * (now_ms - NOW_MS) / 1000
    assert passed <= most + 1e-6


@given(per_s=st.floats(0.05, 1000))
def test_who_comes_again_when_told_passes(per_s: float) -> None:
    rate = Rate(per_s)
    while not (after_s := rate.take(NOW_MS)):
        pass

    assert after_s >= 1
    assert rate.take(NOW_MS + 1000 * after_s) == 0


def test_a_clock_that_is_set_back_neither_gives_nor_takes() -> None:
    rate = Rate(0.1)
    assert rate.take(NOW_MS) == 0
    assert rate.take(NOW_MS - 3_600_000) == 10
    assert rate.take(NOW_MS - 3_600_000 + 10_000) == 0


@given(st.lists(st.integers(0, 60), max_size=50))
def test_a_room_never_holds_more_than_it_has(sizes: list[int]) -> None:
    room = Room(100)
    held = [size for size in sizes if room.take(size)]
    assert room.used == sum(held) <= 100

    for size in held:
        room.give(size)
    assert room.used == 0
