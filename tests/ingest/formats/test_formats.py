"""The contract that every format keeps.

For each format, done or exempt:

- samples of it under `samples/{format}/`, with what they must mean
- a bound for the size of a message, and of a batch
- whatever the bytes are, only `REFUSALS` come out, and within reasonable time
- no error text holds any part of a payload
- the identity is decoded alone: the rest of a bystander's record may be anything
- loss, order, duplicates: exempt, a format keeps no value between two calls
"""

from __future__ import annotations

import json
import random
from math import isfinite
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BadTime, Malformed, TooLarge, UnknownName, UnknownValue
from engine.ingest.formats import FORMATS, REFUSALS, Format, base_of, reason_of
from engine.ingest.formats.wire import (
    MAX_COUNT,
    MAX_ENV,
    MAX_FLOW,
    MAX_NAME,
    SENSOR_FUTURE_MS,
    SENSOR_PAST_MS,
)
from engine.model import (
    Identity,
    Observation,
    ObservationKind,
    ReadingKind,
    Restart,
)
from tests.ingest.formats.golden import (
    EVERY,
    GOLDEN,
    NOW_MS,
    SAMPLES,
    Sample,
    meaning_of,
    new,
    one,
    split,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.ingest.formats import Record
    from engine.model import Reading

every_format = pytest.mark.parametrize("form", EVERY.values(), ids=EVERY)
every_sample = pytest.mark.parametrize(
    "sample", GOLDEN, ids=[sample.name for sample in GOLDEN]
)
TOPICS = ["", "hall", "hall/availability", "1/device/a/event/up", "1/event/log"]
TOPICS += ["station/ap1/8c:7a:3d:00:53:01/state", "ap1/8c:7a:3d:00:53:01/attrs"]
TOPICS += [
    "ap1/status",
    "homeassistant/binary_sensor/hall/config",
    "homeassistant/device/hall/config",
    "spBv1.0/hq/NBIRTH/gateway",
    "spBv1.0/hq/DDATA/gateway/hall",
    "spBv1.0/hq/NDEATH/gateway",
]
MARKER = "Zq7-canary-Zq7"


def refusals_of(form: Format, payload: bytes) -> Iterator[Exception]:
    """Call every function of a format with every record; let only refusals through."""
    refused: list[Exception] = []
    refuse = refused.append
    form = new(form)
    records, _ = form.split([payload], [""], refuse)
    # The others must not rely on the record having been split before.
    for record in records[:20] or [payload]:
        for topic in TOPICS if form.identify is not None else ():
            for decode in (form.identify, form.observe, form.restart):
                if decode is not None:
                    check_plausible(decode([record], [topic], NOW_MS, refuse))
        for topic in TOPICS if form.read is not None else ():
            (found,) = one_batch(form, record, topic, refuse)
            check_plausible(found or ())
    assert all(isinstance(refusal, REFUSALS) for refusal in refused)
    yield from refused


def one_batch(
    form: Format, record: Record, topic: str, refuse: Callable[[Exception], None]
) -> Sequence[Sequence[Reading] | None]:
    assert form.read is not None
    return form.read([record], [topic], NOW_MS, refuse)


def check_plausible(
    found: Sequence[Identity | Observation | Reading | Restart | None],
) -> None:
    for thing in found:
        if thing is None or isinstance(thing, Identity):
            continue
        assert thing.observed_at_ms <= NOW_MS + SENSOR_FUTURE_MS
        if isinstance(thing, Restart):
            assert thing.nas
            assert thing.observed_at_ms <= NOW_MS
            continue
        if isinstance(thing, Observation):
            assert thing.ap or thing.spot or thing.kind is ObservationKind.GONE
            assert thing.spot is None or (
                thing.spot.floor and isfinite(thing.spot.x) and isfinite(thing.spot.y)
            )
            assert thing.ap == thing.ap.lower()
            assert len(thing.ap) <= MAX_NAME
            assert thing.observed_at_ms <= NOW_MS
            continue
        assert thing.device
        assert thing.device == thing.device.lower()
        assert isinstance(thing.channel, str)
        assert thing.observed_at_ms >= NOW_MS - SENSOR_PAST_MS
        low, high = {
            ReadingKind.PRESENCE: (-1, 1),
            ReadingKind.MOTION: (0, MAX_COUNT),
            ReadingKind.COUNT: (-1, MAX_COUNT),
            ReadingKind.HEALTH: (-1, 1),
            ReadingKind.FLOW_DELTA: (0, MAX_FLOW),
            ReadingKind.FLOW_TOTAL: (0, MAX_FLOW),
            ReadingKind.CONTACT: (-1, 1),
            ReadingKind.ENV: (-MAX_ENV, MAX_ENV),
        }[thing.kind]
        assert low <= thing.value <= high
        assert 0 <= thing.out <= MAX_FLOW
        assert (thing.metric is not None) == (thing.kind is ReadingKind.ENV)


def test_formats_stand_in_the_order_of_their_names() -> None:
    assert list(FORMATS) == sorted(FORMATS)


@every_sample
def test_a_sample_means_what_stands_beside_it(sample: Sample) -> None:
    form, (_, _, payload, topic, now_ms, _, meaning) = told(sample), sample
    assert meaning_of(form, payload, topic, now_ms) == meaning


@every_format
def test_every_format_has_samples(form: Format) -> None:
    assert any(sample.format is form for sample in GOLDEN)


def test_every_sample_is_read() -> None:
    files = [path for path in SAMPLES.rglob("*") if path.is_file()]
    assert len(files) == 2 * len(GOLDEN)


@every_format
def test_a_format_that_knows_persons_knows_what_they_did(form: Format) -> None:
    assert (form.identify is None) == (form.observe is None)
    assert form.observe is not None or form.read is not None


@every_format
def test_a_message_over_the_limit_is_too_large_whatever_it_holds(form: Format) -> None:
    with pytest.raises(TooLarge):
        split(form, b"{" * (form.max_bytes + 1))


@every_format
@settings(max_examples=150, deadline=None)
@given(payload=st.binary(max_size=200))
def test_the_quick_way_says_what_the_long_one_says_or_nothing(
    form: Format, payload: bytes
) -> None:
    bodies = [sample.payload for sample in GOLDEN if sample.format is form]
    for body in (payload, *bodies, *BOMBS.values()):
        if form.quick is None or len(body) > form.max_bytes:
            continue
        try:
            quick = form.quick(body)
        except REFUSALS:
            continue
        (record,) = split(form, body)
        assert quick == one(form.identify, record)


@every_format
def test_a_batch_is_what_its_records_are_one_by_one(form: Format) -> None:
    """Also where one of them is refused, or of another encoding."""
    mine = [sample for sample in GOLDEN if sample.format is form]
    bodies = [sample.payload for sample in mine]
    whose = [sample.topic if form.whole else "" for sample in mine]
    for odd in (b"", b"{", b"\xff", *BOMBS.values()):
        records, topics = form.split(
            [*bodies, odd, *bodies], [*whose, "", *whose], ignore
        )
        for name in ("identify", "observe", "read", "restart"):
            decode, batch = getattr(new(form), name), getattr(new(form), name)
            if decode is None:
                continue
            alone = [
                decode([r], [t], NOW_MS, ignore)[0]
                for r, t in zip(records, topics, strict=True)
            ]
            assert batch(records, topics, NOW_MS, ignore) == alone


def ignore(refusal: Exception) -> None:
    assert isinstance(refusal, REFUSALS)


@every_format
@settings(max_examples=150, deadline=None)
@given(payload=st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(form: Format, payload: bytes) -> None:
    list(refusals_of(form, payload))


@every_sample
def test_a_truncated_sample_is_read_or_refused(sample: Sample) -> None:
    step = max(1, len(sample.payload) // 40)
    for length in range(0, len(sample.payload), step):
        list(refusals_of(sample.format, sample.payload[:length]))


@every_sample
def test_a_damaged_sample_is_read_or_refused(sample: Sample) -> None:
    chance = random.Random(sample.name)  # noqa: S311 - seeded, decides about a test
    for _ in range(60):
        damaged = bytearray(sample.payload)
        for _ in range(chance.randint(1, 4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        list(refusals_of(sample.format, bytes(damaged)))


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["occupied", "joined", "Start", "2026-03-02T09:00:00Z", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "devEui", "a"]), inner, max_size=2)
    ),
    max_leaves=5,
)


@every_format
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_sample_with_any_value_replaced_is_read_or_refused(
    form: Format, data: st.DataObject
) -> None:
    bodies = [
        body
        for sample in GOLDEN
        if sample.format is form and (body := loaded(sample.payload))
    ]
    if bodies:  # or all its messages are texts
        body = replaced(data.draw(st.sampled_from(bodies)), data)
        list(refusals_of(form, json.dumps(body).encode()))


def replaced(value: object, data: st.DataObject) -> object:
    """Return a message with something else at one place, however deep."""
    if isinstance(value, dict) and value:
        key = data.draw(st.sampled_from(sorted(value)))
        deeper = replaced(value[key], data) if data.draw(st.booleans()) else None
        return {**value, key: data.draw(junk) if deeper is None else deeper}
    if isinstance(value, list) and value:
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], replaced(value[index], data), *value[index + 1 :]]
    return data.draw(junk)


def loaded(payload: bytes) -> object:
    try:
        return msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        return None


DEEP = 100_000
BOMBS = {
    "deep array": b"[" * DEEP,
    "deep object": b'{"a":' * DEEP,
    "deep in an unknown key": b'{"login":"a","sensor":"a","x":' + b"[" * DEEP,
    "deep in a known key": b'{"ap":' + b'{"value":' * DEEP,
    "deep codec object": b'{"deviceInfo":{"devEui":"a"},"object":' + b"[" * DEEP,
    "deep request": b'{"request":' * DEEP,
    "deep msgpack": b"\x91" * DEEP,
    "deep msgpack map": b"\x81\xa1a" * DEEP,
    "msgpack of 2**32 - 1 items": b"\xdd\xff\xff\xff\xff",
    "msgpack map of 2**32 - 1 items": b"\xdf\xff\xff\xff\xff",
    "a megabyte of zeros": b"\0" * 1_000_000,
    "a megabyte of text": b'"' + b"a" * 999_998 + b'"',
    "a megabyte of blanks": b" " * 1_000_000,
    "an array of many": b"[" + b"0," * 400_000 + b"0]",
    "an object of many": b'{"a":0' + b',"b":0' * 160_000 + b"}",
    "a number of many digits": b'{"at":' + b"9" * 900_000 + b"}",
    "a count of many digits": b'{"sensor":"a","count":' + b"9" * 9_000 + b"}",
    "a time of many digits": b'{"sensor":"a","motion":1,"at":"' + b"9" * 9_000 + b'"}',
    "a delay of many digits": (
        b'{"Acct-Status-Type":1,"Called-Station-Id":"a","Acct-Delay-Time":"'
        + b"9" * 9_000
        + b'"}'
    ),
    "NaN": b'{"sensor":"a","motion":NaN}',
    "NaN in msgpack": b"\x82\xa6sensor\xa1a\xa2at\xcb\x7f\xf8\0\0\0\0\0\0",
    "infinity": b'{"sensor":"a","motion":1,"at":1e400}',
    "infinity in msgpack": (
        b"\x83\xa6sensor\xa1a\xa6motion\x01\xa2at\xcb\x7f\xf0\0\0\0\0\0\0"
    ),
    "a lone surrogate": b'{"login":"\\ud800","sensor":"\\ud800","User-Name":"\\ud800"}',
    "not UTF-8": b'{"login":"\xff","sensor":"\xff","User-Name":"\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"sensor":"a","motion":1}',
    "NUL": b'{"login":"\\u0000","ap":"\\u0000"}',
    "nothing": b"",
    "a blank": b"\n",
}


@every_format
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_read_or_refused(form: Format, bomb: bytes) -> None:
    list(refusals_of(form, bomb))


@every_format
def test_no_text_of_a_refusal_holds_a_part_of_the_payload(form: Format) -> None:
    texts = [
        str(refusal)
        for payload in marked(form)
        for refusal in refusals_of(form, payload)
    ]
    assert texts
    assert not [text for text in texts if MARKER[4:10] in text]


def marked(form: Format) -> Iterator[bytes]:
    """Yield payloads that are wrong in many ways, each around a marker."""
    yield MARKER.encode()
    yield f'{{"{MARKER}":'.encode()
    yield f'{{"{MARKER}":[]}}'.encode()
    for sample in GOLDEN:
        body = loaded(sample.payload)
        if sample.format is not form or not isinstance(body, dict):
            continue
        for key, value in body.items():
            wrong: list[object] = [MARKER, [MARKER], {MARKER: 1}, [[]]]
            wrong.append({"value": {MARKER: 1}})
            if isinstance(value, dict):
                wrong += [{**value, inner: MARKER} for inner in value]
            for other in wrong:
                yield json.dumps({**body, MARKER: MARKER, key: other}).encode()
                yield json.dumps({**body, key: other, "x": MARKER}).encode()[:-1]
            yield json.dumps({key: MARKER}).encode()
            yield json.dumps({**body, key: "\ud800" + MARKER}).encode()
            yield json.dumps({**body, key: MARKER}).encode().replace(b"Zq7", b"Zq7\xff")


WHO = {"login", "device", "User-Name", "Calling-Station-Id"}
WHO |= {"username", "calling_station_id", "client_username", "mac", "type"}
WHO |= {"userName", "clientMac", "userId", "deviceId", "macAddress", "rawUserId"}
WHO |= {"key", "user", "guest", "payload", "1x_identity", "addr"}
"""Keys of what says who, or says whether a record is about somebody."""


@every_format
def test_of_a_record_about_a_person_only_the_identity_becomes_an_object(
    form: Format,
) -> None:
    """Text that is not UTF-8 and a number too large stop whoever decodes them."""
    if form.identify is None:
        return
    checked = 0
    for sample in GOLDEN:
        if sample.format is not form:
            continue
        for record in split(form, sample.payload):
            who = one(form.identify, record, sample.topic)
            for strange in () if who == Identity() else obscured(bytes(record)):
                assert one(form.identify, strange, sample.topic) == who
                checked += 1
    assert checked


def obscured(record: bytes) -> Iterator[bytes]:
    """Yield a record with what does not say who replaced by what nobody can read."""
    body = loaded(record)
    if not isinstance(body, dict | list):
        if record.isascii():  # lines
            yield record + b" \xff"
        return
    for opaque in (b'"\xff"', b"1e400", b'{"a": [{"b": "\xff"}]}'):
        strange = json.dumps(hidden(body), ensure_ascii=False).encode()
        yield strange.replace(json.dumps(MARKER).encode(), opaque)


def hidden(body: object) -> object:
    """Return a part of a record with a marker for all that says nothing about who."""
    if isinstance(body, list):
        label, raw = body
        return [label, hidden(raw)]
    if not isinstance(body, dict):
        return MARKER
    kept = {}
    for key, part in body.items():
        if isinstance(part, dict) and "value" not in part:  # as FreeRADIUS has them
            kept[key] = hidden(part)
        else:
            kept[key] = part if key.split(":")[-1] in WHO else MARKER
    said = any(part != MARKER for part in kept.values())
    return {**kept, "more": MARKER} if said else MARKER


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Malformed("a"), "malformed"),
        (TooLarge("a"), "too_large"),
        (BadTime("a"), "bad_time"),
        (UnknownName("a"), "unknown_name"),
        (UnknownValue("a"), "unknown_value"),
        (msgspec.ValidationError("a"), "malformed"),
        (msgspec.DecodeError("a"), "malformed"),
        (RecursionError("a"), "malformed"),
        (UnicodeDecodeError("utf-8", b"a", 0, 1, "a"), "malformed"),
    ],
)
def test_a_refusal_is_counted_under_one_of_few_reasons(
    refusal: Exception, reason: str
) -> None:
    assert isinstance(refusal, REFUSALS)
    assert reason_of(refusal) == reason


@pytest.mark.parametrize(
    ("topic_filter", "base"),
    [
        ("zigbee2mqtt/#", "zigbee2mqtt/"),
        ("site/a/z2m/#", "site/a/z2m/"),
        ("zigbee2mqtt/hall", "zigbee2mqtt/"),
        ("application/+/device/+/event/up", "application/"),
        ("$share/group/zigbee2mqtt/#", "zigbee2mqtt/"),
        ("#", ""),
        ("+/hall", ""),
        ("hall", ""),
    ],
)
def test_the_base_of_a_filter_is_what_all_its_topics_begin_with(
    topic_filter: str, base: str
) -> None:
    assert base_of(topic_filter) == base
