"""Where profiles lie: those shipped with the engine, and an operator's own files."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ConfigError
from engine.ingest.formats.profile.compiler import compile_profile
from engine.ingest.formats.profile.language import Profile
from engine.ingest.formats.profile.path import Flaw
from engine.ingest.formats.profile.rules import Misplaced, Source
from engine.misfit import line_of, misfit

if TYPE_CHECKING:
    from engine.ingest.formats.profile.compiler import Compiled

MAX_PROFILE_BYTES = 1 << 18
"""Of a file; the time that it takes to find the line of an error grows with it."""

SUFFIX = ".toml"
_SHIPPED = files("engine.ingest.profiles")


@cache
def shipped() -> tuple[str, ...]:
    """Return the names of the profiles that are shipped as formats."""
    names = (entry.name for entry in _SHIPPED.iterdir())
    return tuple(sorted(n.removesuffix(SUFFIX) for n in names if n.endswith(SUFFIX)))


@cache
def load_shipped(name: str) -> Compiled:
    """Compile a shipped profile."""
    return _compiled(_shipped_source(name))


def load_file(path: Path) -> Compiled:
    """Read and compile an operator's own profile.

    Raises:
        ConfigError: With the file, the line, and what to write instead.
    """
    return _compiled(_file_source(path))


def load_text(text: str, name: str) -> Compiled:
    """Compile the text of a profile; `name` stands for its file in errors.

    Raises:
        ConfigError: With the name, the line, and what to write instead.
    """
    return _compiled(_source(text.encode(), name))


def _compiled(source: Source) -> Compiled:
    try:
        return compile_profile(source, _fetch)
    except Misplaced as error:
        where = error.source
        line = line_of(where.text, error.place) if error.place else None
        at = "" if line is None else f", line {line}"
        raise ConfigError(f"{where.name}{at}: {error}") from None


def _fetch(name: str, includer: Source) -> Source:
    """Return the profile that another includes, beside it or shipped.

    Raises:
        Flaw: There is none.
        ConfigError: It has a mistake of its own.
    """
    if not name.endswith(SUFFIX):
        return _shipped_source(name)
    path = Path(includer.name).parent / name
    if not path.is_file():
        raise Flaw(f"there is no file {name!r} beside this one")
    return _file_source(path)


def _shipped_source(name: str) -> Source:
    entry = _SHIPPED.joinpath(*f"{name}{SUFFIX}".split("/"))
    if ".." in name or not entry.is_file():
        near = get_close_matches(name, [*shipped(), *_shared()], 1)
        meant = f": is {near[0]!r} meant?" if near else ""
        raise Flaw(f"no profile {name!r} is shipped{meant}")
    return _source(entry.read_bytes(), f"{name}{SUFFIX}")


@cache
def _shared() -> tuple[str, ...]:
    entries = _SHIPPED.joinpath("shared").iterdir()
    return tuple(sorted(f"shared/{e.name.removesuffix(SUFFIX)}" for e in entries))


def _file_source(path: Path) -> Source:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return _source(data, str(path))


def _source(data: bytes, name: str) -> Source:
    if len(data) > MAX_PROFILE_BYTES:
        raise ConfigError(f"{name}: a profile has at most {MAX_PROFILE_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is not text in UTF-8") from None
    try:
        table = msgspec.convert(tomllib.loads(text), Profile)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}{misfit(error, text, Profile)}") from None
    return Source(name, text, table)
