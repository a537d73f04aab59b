"""Whose message it is: a shipped profile refuses what another vendor's sensor sends.

So that a source with the wrong format shows it by what it refuses, and is not silent.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from engine.errors import UnknownValue
from tests.ingest.formats.golden import EVERY, GOLDEN, NOW_MS

if TYPE_CHECKING:
    from tests.ingest.formats.golden import Sample

NAMES = (
    "axis-3d",
    "axis-live-sum",
    "axis-object-analytics",
    "butlr",
    "density",
    "disruptive",
    "enlighted",
    "irisys",
    "microsoft-graph",
    "milesight-vs121p",
    "milesight-vs125",
    "roomos",
    "steinel-hpd2",
    "terabee",
    "vergesense",
    "webex-workspace",
    "xovis",
    "xysense",
    "yanzi",
)
"""Profiles of one vendor's own messages. Those of LoRaWAN and of smart homes are about
envelopes or topics that anything can be in."""


@pytest.mark.parametrize("name", NAMES)
def test_a_message_of_one_vendor_is_no_other_vendors(name: str) -> None:
    form = EVERY[name]
    assert form.read is not None
    for owner, samples in groupby(GOLDEN, key=lambda sample: sample.format.name):
        if owner == name:
            continue
        for sample in samples:
            refused: list[Exception] = []
            (found,) = form.read([sample.payload], [""], NOW_MS, refused.append)
            assert not found, sample.name
            assert refused, sample.name


STRANGE = {
    "disruptive/desk-of-a-state-not-known",
    "enlighted/desks",
    "xysense/floor",
}
"""Samples with a value that no documentation has."""
COUNTED = [sample for sample in GOLDEN if sample.format.name in NAMES]


@pytest.mark.parametrize("sample", COUNTED, ids=lambda sample: sample.name)
def test_what_a_documentation_says_is_no_strange_value(sample: Sample) -> None:
    refused: list[Exception] = []
    assert sample.format.read is not None
    sample.format.read([sample.payload], [sample.topic], sample.now_ms, refused.append)
    strange = [error for error in refused if isinstance(error, UnknownValue)]
    assert bool(strange) == (sample.name in STRANGE)
