from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.files import policies
from engine.space import Kind


def test_without_policies_what_is_usual_holds() -> None:
    rules = policies.read(b"", "")
    room, desk = (
        rules.terms(kind="motion", space=space, source="z", device="d")
        for space in (Kind.ROOM, Kind.DESK)
    )
    assert (room.hold_ms, desk.hold_ms) == (300_000, 720_000)
    assert (room.max_on_ms, desk.max_on_ms) == (57_600_000, 50_400_000)
    assert room.interval_ms == 0
    assert room.reset_at == 240


def test_a_policy_that_is_about_no_channel_is_remarked() -> None:
    rules = policies.read(
        b'[[policy]]\nhold_s = 1\n[[policy]]\ndevice = "typo-*"\nhold_s = 2', "p.toml"
    )
    rules.terms(kind="motion", space=Kind.ROOM, source="z", device="d")
    (remark,) = rules.idle("p.toml")
    assert str(remark).startswith("p.toml: a [[policy]] is about no channel")
    assert "(number 2)" in str(remark)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[policy]]\nhold_s = -1", "line 2: [[policy]] hold_s must be a number >= 0"),
        ("[[policy]]\nhold = 1", "line 2: [[policy]] has no key 'hold', perhaps"),
        ("[[policy]]\nkind = 'smell'", "kind must be one of"),
        ("policy = 1", "must be in double brackets: [[policy]]"),
        ("[[policy]]", "line 1: this [[policy]] says nothing; give it one of"),
        (
            "[[policy]]\nhold_s = 1\n[[policy]]\nkind = 'count'\nhold_s = 60",
            "line 3: hold_s has no effect on count; kind may be motion",
        ),
        (
            "[[policy]]\nkind = 'motion'\nmax_on_s = 60",
            "max_on_s has no effect on motion; kind may be presence or count",
        ),
        ("[[policy]]\nreset_at = '4:00'", "reset_at must be a time of the day, like"),
        ("[[policy]]\nreset_at = '24:00'", 'like "04:00"'),
        ("[policy", "not TOML"),
        ("a = " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_policy_that_does_not_fit_is_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        policies.read(text.encode(), "policies.toml")
    assert problem in str(refused.value)
    assert str(refused.value).startswith("policies.toml")


@given(st.binary(max_size=40) | st.text("[]policy=\n'\"holdkin_srea.1:-", max_size=60))
def test_whatever_is_in_the_file_it_is_read_or_refused(data: bytes | str) -> None:
    text = data if isinstance(data, bytes) else data.encode()
    with suppress(ConfigError):
        policies.read(text, "policies.toml")


def test_a_file_in_another_encoding_is_refused() -> None:
    with pytest.raises(ConfigError, match="save the file as UTF-8"):
        policies.read(b"\xff", "policies.toml")
