from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from engine.errors import BadTime, InputError, RequestError, UnknownName
from engine.hints import AGAIN_S, HINTS, Hints
from engine.ops import strike_out
from engine.source import Tally


@pytest.fixture
def tallies() -> dict[tuple[str, str], Tally]:
    return {("acme", "wifi"): Tally(), ("acme", "desks"): Tally()}


def told(hints: Hints, now_s: float) -> list[tuple[str, str]]:
    """Return source and reason of the lines that a look writes."""
    with capture_logs() as lines:
        hints.look(now_s)
    return [(line["source"], line["reason"]) for line in lines]


def test_a_refusal_is_told_once_a_source_and_reason(
    tallies: dict[tuple[str, str], Tally],
) -> None:
    hints = Hints(tallies)
    assert told(hints, 0.0) == []
    tallies["acme", "desks"].refuse(UnknownName("secret-name"))
    assert told(hints, 60.0) == [("desks", "unknown_name")]
    tallies["acme", "desks"].refuse(UnknownName("another-name"))
    tallies["acme", "desks"].refuse(BadTime())
    tallies["acme", "wifi"].refuse(UnknownName())
    assert told(hints, 120.0) == [("wifi", "unknown_name"), ("desks", "bad_time")]


def test_it_is_told_again_after_an_hour_if_there_were_more(
    tallies: dict[tuple[str, str], Tally],
) -> None:
    hints = Hints(tallies)
    tally = tallies["acme", "wifi"]
    tally.refuse(UnknownName())
    assert told(hints, 10.0) == [("wifi", "unknown_name")]
    assert told(hints, 10.0 + AGAIN_S) == []
    tally.refuse(UnknownName())
    assert told(hints, 11.0 + AGAIN_S) == [("wifi", "unknown_name")]
    tally.refuse(UnknownName())
    assert told(hints, 10.0 + 2 * AGAIN_S) == []
    assert told(hints, 11.0 + 2 * AGAIN_S) == [("wifi", "unknown_name")]


def test_every_reason_has_a_hint_that_a_log_line_can_hold() -> None:
    reasons = {kind.reason for kind in InputError.__subclasses__()}
    reasons |= {kind.reason for kind in RequestError.__subclasses__()}
    assert HINTS.keys() == reasons - {""}
    for hint in HINTS.values():
        assert strike_out(None, "", {"hint": hint}) == {"hint": hint}
