from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime, InputError, Malformed
from engine.ingest.formats import FORMATS, REFUSALS
from engine.model import Reading, ReadingKind
from engine.strays import (
    HOUR_MS,
    LONGEST,
    MOST_ACCESS_POINTS,
    MOST_LETTERS,
    MOST_UNBOUND,
    Letter,
    Strays,
    detail_of,
)

NOW = 1_800_000_000_000
MARK = "Marker-7f3a"


def reading(
    device: str, channel: str = "", kind: ReadingKind = ReadingKind.PRESENCE
) -> Reading:
    return Reading(device, kind, 1, NOW, channel)


def test_an_unbound_sensor_is_known_by_channel_with_what_it_reports() -> None:
    strays = Strays(about_people=False)
    strays.hear([reading("d"), reading("d", kind=ReadingKind.ENV)], NOW)
    strays.hear([reading("d"), reading("d", "left")], NOW + 5)
    both, left = strays.unbound[("d", "")], strays.unbound[("d", "left")]
    assert both.kinds == {ReadingKind.PRESENCE, ReadingKind.ENV}
    assert (both.number, both.first_ms, both.last_ms) == (2, NOW, NOW + 5)
    assert (left.number, left.first_ms) == (1, NOW + 5)


def test_what_was_heard_of_longest_ago_makes_room() -> None:
    strays = Strays(about_people=False)
    for n in range(MOST_UNBOUND):
        strays.hear([reading(f"d{n}")], NOW)
    strays.hear([reading("d0")], NOW)
    strays.hear([reading("one more")], NOW)
    assert len(strays.unbound) == MOST_UNBOUND
    assert ("d0", "") in strays.unbound
    assert ("d1", "") not in strays.unbound


def test_letters_and_access_points_are_bounded() -> None:
    strays = Strays(about_people=False)
    for n in range(2 * MOST_ACCESS_POINTS):
        strays.refuse(Malformed(f"field {n}"), "malformed", NOW)
        strays.miss([f"ap-{n}", "x" * (LONGEST + 1), ""], NOW)
    assert len(strays.letters) == MOST_LETTERS
    assert len(strays.access_points) == MOST_ACCESS_POINTS
    strays.hear([reading("x" * (LONGEST + 1))], NOW)
    assert not strays.unbound


@pytest.mark.parametrize(
    "device",
    ["da:a1:19:00:00:01", "DA-A1-19-00-00-01", "02a119000001", "ada@acme.example"],
)
def test_what_reads_like_a_phone_or_a_login_is_not_listed(device: str) -> None:
    strays = Strays(about_people=False)
    strays.hear([reading(device)], NOW)
    assert not strays.unbound


@pytest.mark.parametrize(
    "device",
    [
        "24e124535d000001",
        "0x00158d0001a2b3c4",
        "hall/pir",
        "a4c138000001",
        "02:15:8d:00:01:a2:b3:c4",
        "845a23bf-0000-e43c-4c86-6ea474be7ae5",
    ],
)
def test_what_reads_like_a_sensor_is(device: str) -> None:
    strays = Strays(about_people=False)
    strays.hear([reading(device)], NOW)
    assert len(strays.unbound) == 1


@pytest.mark.parametrize(
    "name", ["ble-5a1b2c3d4e5f", "phones/5A:1B:2C:3D:4E:5F/rssi", "of eve@corp.example"]
)
def test_what_reads_like_a_person_is_not_listed_wherever_in_a_name(name: str) -> None:
    strays = Strays(about_people=False)
    strays.hear([reading(name), reading("gate", name)], NOW)
    assert not strays.unbound


def test_a_sensor_that_is_bound_is_a_stray_no_longer() -> None:
    strays = Strays(about_people=False)
    strays.hear([reading("d"), reading("e", "x")], NOW)
    strays.forget([("e", "x"), ("f", "")])
    assert set(strays.unbound) == {("d", "")}


def test_of_an_access_point_no_time_is_kept_but_its_hour() -> None:
    strays = Strays(about_people=True)
    for ms in (5, 1_234_567):
        strays.miss(["ap-7"], NOW + ms)
    assert strays.access_points["ap-7"] == Letter(2, NOW - NOW % HOUR_MS)


class Inner(msgspec.Struct):
    count: Annotated[int, msgspec.Meta(ge=0)]
    by_key: dict[str, int] = {}
    kind: Literal["a", "b"] = "a"


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    items: list[Inner]


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        ({"items": [{"count": MARK}]}, "items[0].count: Expected `int`"),
        ({"items": [{"count": -1}]}, "items[0].count: Expected `int`"),
        ({"items": [{}]}, "no field items[0].count"),
        ({}, "no field items"),
        ({"items": [], MARK: 1}, ""),
        ({"items": [{"count": 1, "kind": MARK}]}, ""),
        (MARK, ""),
    ],
)
def test_a_letter_names_the_field_and_its_type_and_nothing_of_the_payload(
    payload: object, detail: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(msgspec.json.encode(payload), type=Outer)
    assert detail_of(error.value) == detail


def test_a_key_of_a_payload_is_in_no_letter() -> None:
    payload = {"items": [{"count": 1, "by_key": {MARK: "x"}}]}
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(msgspec.json.encode(payload), type=Outer)
    assert detail_of(error.value) == "items[0].by_key[...]: Expected `int`"


def test_a_format_about_people_tells_the_reason_alone() -> None:
    for about_people, detail in ((True, ""), (False, "the time")):
        strays = Strays(about_people=about_people)
        strays.refuse(BadTime("the time"), "bad_time", NOW)
        assert list(strays.letters) == [("bad_time", detail)]


def test_what_is_no_sentence_of_ours_has_no_detail() -> None:
    assert detail_of(msgspec.DecodeError(MARK)) == ""
    assert detail_of(UnicodeDecodeError("utf-8", b"", 0, 1, MARK)) == ""
    assert detail_of(InputError("ours")) == "ours"


marked = st.recursive(
    st.just(MARK) | st.integers() | st.none() | st.booleans(),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(
                (MARK, "sensor", "occupancy", "object", "deviceInfo", "devEui", "time")
            ),
            inner,
            max_size=4,
        )
        | st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)


@given(marked, st.sampled_from(sorted(FORMATS)))
def test_no_payload_ever_shows_in_a_letter(payload: object, name: str) -> None:
    strays = Strays(about_people=False)
    form = FORMATS[name]

    def refuse(error: Exception) -> None:
        strays.refuse(error, "reason", NOW)

    data = [msgspec.json.encode(payload)]
    records, topics = form.split(data, ["x/up"], refuse)
    for function in (form.identify, form.observe, form.read):
        if function is not None:
            try:
                function(records, topics, NOW, refuse)
            except REFUSALS as error:
                refuse(error)
    assert MARK.lower() not in repr(strays.letters).lower()
