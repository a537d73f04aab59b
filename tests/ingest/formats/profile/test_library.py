from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.errors import ConfigError
from engine.ingest.formats import FORMATS, find, names
from engine.ingest.formats.profile import library
from engine.ingest.formats.profile.library import MAX_PROFILE_BYTES
from tests.ingest.formats.golden import one

if TYPE_CHECKING:
    from pathlib import Path

OWN = """
about = "Acme desks"
device = "{id}"
verify = "header"
answer = 200
[[rule]]
reading = [{ kind = "presence", value = "used" }]
"""


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(OWN)
    return path


def test_a_format_is_found_by_name_or_by_the_file_of_a_profile(acme: Path) -> None:
    assert find("livefloor") is FORMATS["livefloor"]
    assert find("tts3") is find("tts3")
    form = find(str(acme))
    assert form.name == "acme"
    assert (form.verify, form.answer, form.identify) == ("header", 200, None)
    (reading,) = one(form.read, b'{"id": "7", "used": true}') or ()
    assert (reading.device, reading.value) == ("7", 1)


def test_a_file_is_read_anew_each_time(acme: Path) -> None:
    before = find(str(acme))
    acme.write_text(OWN.replace("{id}", "{name}"))
    body = b'{"id": "7", "name": "x", "used": true}'
    devices = [(one(f.read, body) or ())[0].device for f in (before, find(str(acme)))]
    assert devices == ["7", "x"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("tts4", "no format 'tts4', perhaps 'tts3'"),
        ("morse", "write one of aruba-ale, "),
        ("shared/lorawan", "no format"),
        ("nowhere/acme.toml", "cannot be read: No such file"),
    ],
)
def test_an_unknown_format_is_refused_with_the_nearest(name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        find(name)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"about = '\xff'", "not text in UTF-8"),
        (b"#" * (MAX_PROFILE_BYTES + 1), "at most 262144 bytes"),
        (b"", "the file needs the table 'about'"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(
    acme: Path, data: bytes, problem: str
) -> None:
    acme.write_bytes(data)
    with pytest.raises(ConfigError, match=problem) as refused:
        find(str(acme))
    assert str(refused.value).startswith(str(acme))


def test_a_mistake_in_an_included_file_is_told_of_that_file(acme: Path) -> None:
    acme.write_text(OWN + '[[include]]\nprofile = "more.toml"\n')
    with pytest.raises(ConfigError, match=r"acme.toml, line 8: .*'more.toml' beside"):
        find(str(acme))
    more = acme.with_name("more.toml")
    more.write_text('about = "a"\n[[rule]]\nat = "a["\n')
    with pytest.raises(ConfigError, match=r"more.toml, line 2: .*no path"):
        find(str(acme))
    more.write_text('about = "a"\n[[rule]]\nreading = [{ kind = "health" }]\n')
    assert one(find(str(acme)).read, b'{"id": 1}')


@pytest.mark.parametrize("at", ["", 'at = "a"\n'])
def test_files_that_include_each_other_in_circles_are_refused(
    acme: Path, at: str
) -> None:
    acme.write_text(OWN + f'[[include]]\nprofile = "acme.toml"\n{at}' * 3)
    with pytest.raises(ConfigError, match=r"line 8: more than 32 includes"):
        find(str(acme))


def test_every_shipped_profile_says_in_a_line_who_sends_it() -> None:
    assert set(names()) == {*FORMATS, *library.shipped()}
    assert not set(FORMATS) & set(library.shipped())
    for name in library.shipped():
        assert len(library.load_shipped(name).table.about) <= 100
