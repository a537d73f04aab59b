"""The guide to profiles: each example is run, and no key of the language is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from engine.ingest.formats.profile import language
from engine.ingest.formats.profile.suggest import suggest
from engine.mapping import value_in_words
from engine.model import ReadingFlag
from tests.ingest.formats.profile.profiles import made

if TYPE_CHECKING:
    from engine.model import Reading

GUIDE = (Path(__file__).parents[2] / "deploy/sources/mapping.md").read_text()
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Example(NamedTuple):
    profile: str
    message: str
    topic: str
    lines: list[str]


def examples() -> list[Example]:
    """Return the examples of the reference: profile, message, readings, in a row."""
    blocks = _BLOCK.findall(GUIDE.partition("## Reference")[2])
    assert [kind for kind, _, _ in blocks] == ["toml", "json", "text"] * (
        len(blocks) // 3
    )
    texts = [(topic, text) for _, topic, text in blocks]
    return [
        Example(profile, message, topic, lines.splitlines())
        for (_, profile), (topic, message), (_, lines) in zip(
            texts[::3], texts[1::3], texts[2::3], strict=True
        )
    ]


def line(one: Reading) -> str:
    name = f"{one.device}#{one.channel}" if one.channel else one.device
    flags = [flag.name.lower() for flag in ReadingFlag if one.flags & flag]
    return " ".join([name, one.kind.name.lower(), value_in_words(one), *flags])


@pytest.mark.parametrize("number", range(len(examples())))
def test_an_example_of_the_reference_becomes_what_stands_below_it(number: int) -> None:
    example = examples()[number]
    found = made(example.profile, example.message.strip().encode(), example.topic)
    assert not found.refused
    assert [line(one) for one in found.readings or ()] == example.lines


def test_the_tutorial_drafts_and_reads_what_it_shows() -> None:
    blocks = _BLOCK.findall(GUIDE.partition("## Reference")[0])
    by_kind = {kind: text for kind, _, text in reversed(blocks)}
    draft = suggest(by_kind["json"].encode(), "acme/level3/7f21/state")
    assert draft == by_kind["toml"]
    found = made(draft, by_kind["json"].strip().encode()).readings or ()
    assert [line(one) for one in found] == by_kind["text"].splitlines()


def keys() -> set[str]:
    tables: list[Any] = [
        *(language.Test, language.When, language.Flags, language.Reading),
        *(language.Rule, language.Include, language.Profile),
    ]
    return {key for table in tables for key in table.__struct_encode_fields__}


def test_every_key_of_the_language_is_in_the_guide_and_in_an_example() -> None:
    named = set(re.findall(r"`([a-z_.\[\]]+)`", GUIDE))
    named = {word for name in named for word in re.findall(r"[a-z_]+", name)}
    assert keys() - named == set()
    used = " ".join(example.profile for example in examples())
    unused = {key for key in keys() if not re.search(rf"\b{key}\b", used)}
    # Each says the same of another place, or stands in a table of its own.
    assert unused <= {"time_zone", "offline", "cached", "on", "off"}
