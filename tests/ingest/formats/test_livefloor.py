from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import BadTime, Malformed, TooLarge
from engine.ingest.formats import FORMATS, REFUSALS
from engine.ingest.formats.livefloor import MAX_RECORDS, read, records
from engine.model import Identity, ObservationKind, ReadingKind, Spot
from tests.ingest.formats.golden import NOW_MS, meaning_of, one

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.ingest.formats import Record
    from engine.model import Observation

every_encoding = pytest.mark.parametrize(
    "pack", [msgspec.json.encode, msgspec.msgpack.encode], ids=["json", "msgpack"]
)
ASSOCIATION = {"login": "ada", "device": "a4:83:e7:11:22:33", "ap": "hq-3-ap-12"}


def identify(record: Record) -> Identity:
    identity = one(FORMATS["livefloor"].identify, record)
    assert identity is not None
    return identity


def observe(record: Record, now_ms: int) -> Observation:
    observation = one(FORMATS["livefloor"].observe, record, now_ms=now_ms)
    assert observation is not None
    return observation


@every_encoding
@pytest.mark.parametrize("number", [1, 15, 16, 900])
def test_a_batch_means_the_same_as_its_records_one_by_one(
    pack: Callable[[object], bytes], number: int
) -> None:
    batch: list[dict[str, object]] = [
        {**ASSOCIATION, "login": f"p{row}"} for row in range(number)
    ]
    batch += [{"sensor": f"desk-{row}", "occupied": True} for row in range(number)]
    form = FORMATS["livefloor"]
    together = meaning_of(form, pack(batch), "", NOW_MS)
    assert len(together["readings"]) == len(together["observations"]) == number
    for name, values in together.items():
        alone = [meaning_of(form, pack(record), "", NOW_MS) for record in batch]
        assert [value for each in alone for value in each.get(name, ())] == values


def test_blanks_before_a_message_do_not_matter() -> None:
    [record] = records(b"\n\t " + json.dumps(ASSOCIATION).encode())
    assert identify(record) == Identity("ada", "a4:83:e7:11:22:33")


@every_encoding
def test_a_batch_of_more_than_ten_thousand_is_too_large(
    pack: Callable[[object], bytes],
) -> None:
    assert len(records(pack([0] * MAX_RECORDS))) == MAX_RECORDS
    with pytest.raises(TooLarge):
        records(pack([0] * (MAX_RECORDS + 1)))


def test_one_bad_record_of_a_batch_leaves_the_others_alone() -> None:
    batch = [{"login": 5}, ASSOCIATION, 7, {"sensor": "a", "count": 1}]
    wrong, right, number, reading = records(json.dumps(batch).encode())
    for record in (wrong, number):
        with pytest.raises(REFUSALS):
            identify(record)
    assert identify(right).login == "ada"
    assert read(reading, "", NOW_MS)[0].value == 1


def test_a_record_about_a_person_and_a_sensor_is_about_the_person() -> None:
    record = json.dumps({**ASSOCIATION, "sensor": "desk-1", "occupied": True}).encode()
    assert identify(record).login == "ada"


@pytest.mark.parametrize("event", ["Joined", "", "leave", "roamed"])
def test_an_event_of_another_name_is_malformed(event: str) -> None:
    with pytest.raises(Malformed):
        observe(json.dumps({**ASSOCIATION, "event": event}).encode(), NOW_MS)


@pytest.mark.parametrize("ap", ["", "  "])
def test_an_association_without_an_access_point_is_malformed(ap: str) -> None:
    with pytest.raises(Malformed):
        observe(json.dumps({**ASSOCIATION, "ap": ap}).encode(), NOW_MS)
    with pytest.raises(Malformed):
        observe(b'{"login": "ada"}', NOW_MS)


LOCATED = {"login": "ada", "floor": "3rd", "x": 12.5, "y": 7.25}


@every_encoding
@pytest.mark.parametrize("ap", [{}, {"ap": "AP-1"}])
@pytest.mark.parametrize(
    ("accuracy", "accuracy_m"),
    [({}, -1), ({"accuracy_m": 4}, 4), ({"accuracy_m": None}, -1)],
)
def test_coordinates_stand_for_an_access_point_or_beside_it(
    pack: Callable[[object], bytes],
    ap: dict[str, str],
    accuracy: dict[str, float | None],
    accuracy_m: float,
) -> None:
    seen = observe(pack({**LOCATED, **ap, **accuracy}), NOW_MS)
    assert seen.spot == Spot("3rd", 12.5, 7.25, accuracy_m)
    assert seen.ap == ap.get("ap", "").lower()
    assert seen.kind is ObservationKind.JOINED


@every_encoding
@pytest.mark.parametrize(
    "wrong",
    [
        *({"x": None}, {"y": None}, {"floor": None}, {"floor": ""}, {"floor": 3}),
        *({"x": "12.5"}, {"event": "left"}, {"accuracy_m": "4"}),
    ],
)
def test_half_a_place_is_none(
    pack: Callable[[object], bytes], wrong: dict[str, object]
) -> None:
    with pytest.raises(REFUSALS):
        observe(pack({**LOCATED, **wrong}), NOW_MS)


@pytest.mark.parametrize("key", ["x", "y", "accuracy_m"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_coordinate(key: str, number: float) -> None:
    """msgpack can say so; JSON cannot, but for numbers that are too large."""
    with pytest.raises(Malformed):
        observe(msgspec.msgpack.encode({**LOCATED, key: number}), NOW_MS)
    with pytest.raises(REFUSALS):
        observe(b'{"floor": "3rd", "x": 1e999, "y": 0}', NOW_MS)


@every_encoding
def test_who_is_gone_needs_no_place(pack: Callable[[object], bytes]) -> None:
    seen = observe(pack({"login": "ada", "event": "gone"}), NOW_MS)
    assert (seen.kind, seen.ap, seen.spot) == (ObservationKind.GONE, "", None)


@pytest.mark.parametrize(
    "more",
    [
        *({}, {"floor": None}, {"x": 1, "y": 2}, {"floor": "3rd", "x": 1, "y": 2}),
        *({"floor": "3rd"}, {"event": "gone"}, {"event": "left"}, {"ap": ""}),
    ],
)
def test_a_plain_record_means_what_it_means_among_others(
    more: dict[str, object],
) -> None:
    """One that is not plain takes its whole batch the long way."""
    record = json.dumps({**ASSOCIATION, "at": NOW_MS, **more}).encode()
    loose = json.dumps({**ASSOCIATION, "at": str(NOW_MS)}).encode()
    decode = FORMATS["livefloor"].observe
    assert decode is not None
    refused: list[Exception] = []
    (alone,) = decode([record], [""], NOW_MS, refused.append)
    among, _ = decode([record, loose], ["", ""], NOW_MS, refused.append)
    assert alone == among
    assert len(refused) == (2 if alone is None else 0)


def test_a_time_that_is_none_is_refused_and_no_time_is_that_of_receipt() -> None:
    for at in ("soon", "2026-03-02T09:00:00", 0, "NaN"):
        with pytest.raises(BadTime):
            observe(json.dumps({**ASSOCIATION, "at": at}).encode(), NOW_MS)
        with pytest.raises(BadTime):
            read(json.dumps({"sensor": "a", "count": 1, "at": at}).encode(), "", NOW_MS)
    observation = observe(json.dumps(ASSOCIATION).encode(), NOW_MS)
    assert observation.observed_at_ms == NOW_MS
    assert observation.kind is ObservationKind.JOINED


@pytest.mark.parametrize(
    "measured",
    [
        {},
        {"occupied": 1},
        {"occupied": "yes"},
        {"motion": -1},
        {"motion": None},
        {"motion": 2**40},
        {"count": -2},
        {"count": True},
        {"count": 1.5},
        {"count": 2**40},
        {"online": None},
        {"online": 1},
        {"sensor": "", "count": 1},
        {"sensor": None, "count": 1},
        {"channel": 4, "count": 1},
    ],
)
def test_a_reading_that_does_not_fit_is_refused(measured: dict[str, object]) -> None:
    with pytest.raises(REFUSALS):
        read(json.dumps({"sensor": "a", **measured}).encode(), "", NOW_MS)


def test_a_count_of_minus_one_is_unknown_like_null() -> None:
    for unknown in (-1, None):
        [reading] = read(json.dumps({"sensor": "a", "count": unknown}).encode(), "", 0)
        assert (reading.kind, reading.value) == (ReadingKind.COUNT, -1)


def test_a_reading_may_say_several_things() -> None:
    record = (
        b'{"sensor": "a", "channel": "n", "occupied": true, "count": 2, "online": true}'
    )
    found = [
        (reading.kind.name, reading.channel, reading.value)
        for reading in read(record, "", NOW_MS)
    ]
    assert found == [("PRESENCE", "n", 1), ("COUNT", "n", 2), ("HEALTH", "", 1)]
