"""The golden samples, and a format applied to a message as the pipeline applies it.

Beside each payload `name.json` (or `.txt`, `.bin`) stands `name.expect.json`: the topic
after the source's base, the time of receipt, and what the message means; `before` names
the samples of the same format that came first, where it remembers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from engine.errors import UnknownValue
from engine.ingest.formats import Format, find, names, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.ingest.formats import Record
    from engine.ingest.formats.wire import Batch
    from engine.model import Observation, Reading

T = TypeVar("T")

SAMPLES = Path(__file__).parent / "samples"
EVERY = {name: find(name) for name in names()}
"""All formats: those in Python, and the profiles that are shipped."""
SELDOM = frozenset({"spot", "blur_ms", "out", "bits", "metric", "nas"})
"""Fields that an expectation leaves out where they say nothing."""
NOW_MS = 1_772_442_000_000  # 2026-03-02 09:00 UTC, when all samples were received


class Sample(NamedTuple):
    format: Format
    name: str
    payload: bytes
    topic: str
    now_ms: int
    before: list[str]
    meaning: dict[str, Any]


def samples() -> Iterator[Sample]:
    for expectation in sorted(SAMPLES.glob("*/*.expect.json")):
        name = expectation.name.removesuffix(".expect.json")
        [body] = (
            path for path in expectation.parent.glob(f"{name}.*") if path != expectation
        )
        expected = json.loads(expectation.read_text())
        yield Sample(
            EVERY[expectation.parent.name],
            f"{expectation.parent.name}/{name}",
            body.read_bytes(),
            expected.pop("topic", ""),
            expected.pop("now_ms"),
            expected.pop("before", []),
            expected,
        )


GOLDEN = list(samples())


def new(form: Format) -> Format:
    """Return a format with an empty memory."""
    return form if form.fresh is None else form.fresh()


def told(sample: Sample) -> Format:
    """Return the format of a sample after it has read what came before."""
    form = new(sample.format)
    by_name = {one.name: one for one in GOLDEN}
    for name in sample.before:
        earlier = by_name[f"{form.name}/{name}"]
        meaning_of(form, earlier.payload, earlier.topic, earlier.now_ms)
    return form


def split(form: Format, payload: bytes) -> Sequence[Record]:
    """Return the records of a message; raise what it is refused with."""
    refused: list[Exception] = []
    records, _ = form.split([payload], [""], refused.append)
    if refused:
        raise refused[0]
    return records


def one(
    function: Batch[T | None] | None,
    record: Record,
    topic: str = "",
    now_ms: int = NOW_MS,
) -> T | None:
    """Return what a function of a format makes of one record; raise its refusal.

    A value without a meaning refuses no record.
    """
    assert function is not None
    refused: list[Exception] = []
    (found,) = function([record], [topic], now_ms, refused.append)
    refused = [error for error in refused if not isinstance(error, UnknownValue)]
    if refused:
        assert found is None
        raise refused[0]
    return found


def meaning_of(form: Format, payload: bytes, topic: str, now_ms: int) -> dict[str, Any]:
    """Return identities, observations, …, and reasons of refusals, if any."""
    found: dict[str, list[Any]] = {
        "identities": [],
        "observations": [],
        "readings": [],
        "restarts": [],
    }
    refused: list[Exception] = []
    for record in split(form, payload):
        about_nobody = True
        if form.identify is not None:
            identity = one(form.identify, record, topic, now_ms)
            assert identity is not None
            found["identities"].append(msgspec.to_builtins(identity))
            about_nobody = identity.login is None and identity.device is None
        if not about_nobody:
            seen = one(form.observe, record, topic, now_ms)
            found["observations"] += [] if seen is None else [_plain(seen)]
            continue
        if form.restart is not None:
            restart = one(form.restart, record, topic, now_ms)
            found["restarts"] += (
                [] if restart is None else [msgspec.to_builtins(restart)]
            )
        if form.read is not None:
            (readings,) = form.read([record], [topic], now_ms, refused.append)
            found["readings"] += map(_plain, readings or ())
    found["refused"] = [reason_of(refusal) for refusal in refused]
    return {name: values for name, values in found.items() if values}


def _plain(thing: Observation | Reading) -> dict[str, Any]:
    fields = {**msgspec.to_builtins(thing), "kind": thing.kind.name}
    return {k: v for k, v in fields.items() if v or k not in SELDOM}
