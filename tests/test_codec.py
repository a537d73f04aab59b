"""The wire of the live channel: golden bytes, and what a client reads back."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.codec import DeltaMessage, SnapshotMessage, Wire, encode
from engine.model import Delta, Snapshot, State

NOW = 1_792_580_400_000

SNAPSHOT = Snapshot(
    level="hq/3",
    plan="0123456789ab",
    epoch="9f3c",
    offset=17,
    at_ms=NOW,
    state=np.array([2, 1, 0, 3, 4], np.uint8),
    count=np.array([12, 0, -1, -1, -1], np.int32),
    confidence=np.array([95, 90, 0, 50, 0], np.uint8),
    since_ms=np.array([NOW - 999, NOW - 61_000, 0, NOW + 4_000, NOW - 1_000], np.int64),
)
DELTA = Delta(
    level="hq/3",
    epoch="9f3c",
    prev=17,
    offset=19,
    at_ms=NOW + 200,
    index=np.array([1, 300], np.int32),
    state=np.array([2, 1], np.uint8),
    count=np.array([-1, 0], np.int32),
    confidence=np.array([90, 80], np.uint8),
    since_ms=np.array([NOW, 0], np.int64),
)
SNAPSHOT_JSON = (
    b'{"type":"snapshot","level":"hq/3","plan":"0123456789ab","epoch":"9f3c",'
    b'"offset":17,"at":1792580400000,"state":[2,1,0,3,4],"count":[12,0,null,null,null],'
    b'"confidence":[95,90,0,50,0],"age_s":[0,61,null,0,1]}'
)
DELTA_JSON = (
    b'{"type":"delta","level":"hq/3","epoch":"9f3c","prev":17,"offset":19,'
    b'"at":1792580400200,"index":[1,300],"state":[2,1],"count":[null,0],'
    b'"confidence":[90,80],"age_s":[0,null]}'
)
DELTA_MSGPACK = bytes.fromhex(
    "8b"
    "a474797065a564656c7461"  # type: delta
    "a56c6576656ca468712f33"  # level: hq/3
    "a565706f6368a439663363"  # epoch: 9f3c
    "a47072657611"  # prev: 17
    "a66f666673657413"  # offset: 19
    "a26174cf000001a15e1e3448"  # at
    "a5696e6465789201cd012c"  # index: [1, 300]
    "a5737461746592" + "0201"  # state
    "a5636f756e7492c000"  # count: [nil, 0]
    "aa636f6e666964656e6365925a50"  # confidence
    "a56167655f739200c0"  # age_s: [0, nil]
)


@pytest.mark.parametrize(
    ("message", "wire", "golden"),
    [
        (SNAPSHOT, Wire.JSON, SNAPSHOT_JSON),
        (DELTA, Wire.JSON, DELTA_JSON),
        (DELTA, Wire.MSGPACK, DELTA_MSGPACK),
    ],
)
def test_a_message_is_these_bytes(
    message: Snapshot | Delta, wire: Wire, golden: bytes
) -> None:
    assert encode(message, wire) == golden


@pytest.mark.parametrize("message", [SNAPSHOT, DELTA])
def test_both_wires_say_the_same(message: Snapshot | Delta) -> None:
    # Read by libraries that did not write it.
    packed = msgpack.unpackb(encode(message, Wire.MSGPACK))
    assert packed == json.loads(encode(message, Wire.JSON))


def test_json_has_no_line_break() -> None:
    # A server-sent event would end there.
    assert b"\n" not in encode(SNAPSHOT, Wire.JSON)


@st.composite
def columns(draw: st.DrawFn) -> dict[str, Any]:
    n = draw(st.integers(0, 40))
    ints = np.iinfo(np.int32)

    def column(low: int, high: int, dtype: type[np.generic]) -> Any:  # noqa: ANN401
        numbers = st.lists(st.integers(low, high), min_size=n, max_size=n)
        return np.array(draw(numbers), dtype)

    return {
        "level": draw(st.text(max_size=20)),
        "epoch": draw(st.text(max_size=20)),
        "offset": draw(st.integers(0, 2**53)),
        "at_ms": draw(st.integers(0, 2**48)),
        "state": column(0, max(State), np.uint8),
        "count": column(-1, int(ints.max), np.int32),
        "confidence": column(0, 100, np.uint8),
        "since_ms": column(0, 2**48, np.int64),
    }


def check_columns(given: dict[str, Any], read: SnapshotMessage | DeltaMessage) -> None:
    assert (read.level, read.epoch) == (given["level"], given["epoch"])
    assert (read.offset, read.at) == (given["offset"], given["at_ms"])
    assert read.state == given["state"].tolist()
    assert read.confidence == given["confidence"].tolist()
    assert [-1 if n is None else n for n in read.count] == given["count"].tolist()
    for age_s, since_ms in zip(read.age_s, given["since_ms"].tolist(), strict=True):
        if since_ms == 0:
            assert age_s is None
        else:
            assert age_s == max(given["at_ms"] - since_ms, 0) // 1000


@pytest.mark.slow
@pytest.mark.parametrize("wire", Wire)
@given(data=st.data())
@settings(max_examples=50)
def test_what_a_client_reads_is_what_was_disclosed(
    wire: Wire, data: st.DataObject
) -> None:
    given = data.draw(columns())
    decode = msgspec.json.decode if wire is Wire.JSON else msgspec.msgpack.decode
    snapshot = decode(encode(Snapshot(plan="p", **given), wire), type=SnapshotMessage)
    check_columns(given, snapshot)
    assert snapshot.plan == "p"
    index = np.arange(len(given["state"]), dtype=np.int32) * 7
    message = Delta(prev=3, index=index, **given)
    delta = decode(encode(message, wire), type=DeltaMessage)
    check_columns(given, delta)
    assert (delta.prev, delta.index) == (3, index.tolist())
