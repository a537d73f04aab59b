from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.ingest.lines import Lines

MAX = 8
texts = st.binary(max_size=2 * MAX).map(lambda raw: raw.replace(b"\n", b""))


@given(st.lists(texts, max_size=12), st.lists(st.integers(0, 200), max_size=12))
def test_lines_are_the_same_however_they_are_cut(
    written: list[bytes], cuts: list[int]
) -> None:
    whole = b"".join(line + b"\n" for line in written) + b"rest"
    lines = Lines(MAX)
    marks = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    found: list[bytes] = []
    for start, end in pairwise(marks):
        found += lines.feed(whole[start:end])
    fitting = [line for line in written if len(line) <= MAX]
    assert found == [line.strip() for line in fitting if line.strip()]
    assert lines.refused == len(written) - len(fitting)


def test_a_line_that_never_ends_keeps_nothing() -> None:
    lines = Lines(MAX)
    for _ in range(1_000):
        assert not lines.feed(b"x" * 1_000)
    assert not lines._parts  # noqa: SLF001 - what it holds is the point
    assert lines.feed(b"\nshort\r\n\r\n") == [b"short"]
    assert lines.refused == 1
