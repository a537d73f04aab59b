from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.recording import Message, read

AT_MS = 1_772_442_000_000


def lines(*texts: str) -> list[Message]:
    return read("\n".join(texts).encode(), "a.ndjson")


def test_a_json_file_is_one_payload_however_it_is_laid_out() -> None:
    data = json.dumps({"a": [1, 2], "payload_": {}}, indent=2).encode()
    assert read(data + b"\n", "a.json") == [Message(data)]


def test_ndjson_is_a_payload_a_line() -> None:
    assert lines('{"a": 1}', "", ' {"b": 2} ', "[3]") == [
        Message(b'{"a": 1}'),
        Message(b'{"b": 2}'),
        Message(b"[3]"),
    ]


def test_text_is_a_payload_a_line_as_it_is() -> None:
    said = "wlan0: AP-STA-CONNECTED 02:00:00:00:00:01"
    assert lines(said, said) == [Message(said.encode())] * 2


def test_what_is_no_text_is_one_payload() -> None:
    data = b"\x82\xa5\x0alogin\xff\n\n"
    assert read(data, "a.bin") == [Message(data)]


@pytest.mark.parametrize("data", [b"", b" \n\n"])
def test_an_empty_file_has_no_messages(data: bytes) -> None:
    assert read(data, "a") == []


def test_lines_of_our_own_say_when_and_where() -> None:
    assert lines(
        f'{{"at_ms": {AT_MS}, "topic": "z2m/a", "payload": {{"x": 1.50}}}}',
        '{"payload": "online", "retain": true}',
        '{"base64": "AP8=", "topic": "b"}',
        '{"payload": null}',
    ) == [
        Message(b'{"x": 1.50}', "z2m/a", at_ms=AT_MS),
        Message(b"online", retain=True),
        Message(b"\x00\xff", "b"),
        Message(b"null"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"payload": 1, "base64": "AA=="}',
        '{"topic": "a"}',
        '{"payload": 1, "qos": 1}',
        '{"payload": 1, "at_ms": "now"}',
        '{"payload": 1, "at_ms": 5}',
    ],
)
def test_a_line_that_is_not_quite_ours_is_a_payload(text: str) -> None:
    assert lines(text, text) == [Message(text.encode())] * 2


def test_base64_that_is_none_is_told_by_line_and_not_by_value() -> None:
    with pytest.raises(ConfigError, match=r"a\.ndjson, line 2: base64 cannot") as told:
        lines('{"payload": 1}', '{"base64": "s3cr3t!"}')
    assert "s3cr3t" not in str(told.value)


@given(st.lists(st.tuples(st.binary(), st.text(max_size=9)), min_size=1))
def test_what_is_recorded_comes_again(sent: list[tuple[bytes, str]]) -> None:
    recorded = [
        json.dumps({"base64": base64.b64encode(payload).decode(), "topic": topic})
        for payload, topic in sent
    ]
    assert [(m.payload, m.topic) for m in lines(*recorded)] == sent


@given(st.binary())
def test_any_file_can_be_read(data: bytes) -> None:
    try:
        read(data, "a")
    except ConfigError:
        assert b"base64" in data
