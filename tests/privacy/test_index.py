from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from engine.privacy.index import FEW, Index

KEYS = st.sampled_from([-(2**63), -5, 0, 1, 2, 3, 2**63 - 1])
ENTRIES = st.tuples(KEYS, st.integers(0, 3))


@given(
    st.lists(ENTRIES, max_size=3 * FEW, unique=True),
    st.lists(ENTRIES, max_size=2 * FEW, unique=True),
    st.lists(ENTRIES, max_size=FEW),
)
def test_an_index_holds_what_was_added_less_what_was_removed(
    at_once: list[tuple[int, int]],
    later: list[tuple[int, int]],
    removed: list[tuple[int, int]],
) -> None:
    index, expected = Index(), defaultdict[int, list[int]](list)
    index.add_all(at_once)
    for entry in later:
        index.add(*entry)
    for key, row in (*at_once, *later):
        expected[key].append(row)
    for key, row in removed:
        index.remove(key, row)
        if row in expected[key]:
            expected[key].remove(row)
    assert len(index) == sum(map(len, expected.values()))
    for key, rows in expected.items():
        assert sorted(index.rows(key)) == sorted(rows)
        assert index.get(key) in (rows or [-1])


def test_an_unknown_number_has_no_row() -> None:
    index = Index()
    index.add(7, 1)
    assert (index.get(6), index.get(7), index.get(8)) == (-1, 1, -1)
    assert list(index.rows(8)) == []
