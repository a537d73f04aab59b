"""The policies, as TOML: what holds for many sensors, by kind, space and device."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, field

from engine.errors import ConfigError
from engine.files.remark import Remark
from engine.files.table import MAX_S
from engine.misfit import line_of, misfit
from engine.space import BOUND_AS, RESET_AT, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

Duration = Annotated[float, Meta(ge=0, le=MAX_S)]
"""Seconds, 30 days at most."""

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_EFFECT = {
    "hold_s": ("motion",),
    "max_on_s": ("presence", "count"),
    "reset_at": ("flow",),
}
"""The kinds that a key says something about; `interval_s` does about each."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[policy]]`: whom it is about, then what holds; a later one speaks last.

    Attributes:
        kind: Of channels of this kind alone.
        space: In spaces of this kind alone.
        source: Of this source alone.
        device: Of devices of this name alone; `*` stands for anything, `?` for one
            character.
        hold_s: How long a pulse of motion keeps a space occupied.
        interval_s: How often a device promises to report.
        max_on_s: How long presence or a count may say the same before it is stuck.
        reset_at: When the balance of a line's space begins anew, as `"04:00"`.
    """

    kind: Literal["presence", "motion", "count", "flow", "contact"] | None = None
    space: Literal["building", "level", "zone", "room", "area", "desk"] | None = None
    source: str | None = None
    device: str | None = None
    hold_s: Duration | None = None
    interval_s: Duration | None = None
    max_on_s: Duration | None = None
    reset_at: str | None = None

    def covers(self, *, kind: str, space: Kind, source: str, device: str) -> bool:
        """Return whether it is about a channel."""
        return (
            self.kind in (None, kind)
            and self.space in (None, space)
            and self.source in (None, source)
            and (self.device is None or fnmatchcase(device, self.device.lower()))
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    policies: tuple[Policy, ...] = field(default=(), name="policy")


class Terms(msgspec.Struct, frozen=True):
    """What holds for one channel.

    Attributes:
        hold_ms, interval_ms, max_on_ms: See `space.Binding`.
        reset_at: Minute of the day.
    """

    hold_ms: int
    interval_ms: int
    max_on_ms: int
    reset_at: int


class Policies:
    """The policies of a tenant, over what is usual.

    Without any, motion holds five minutes in a room and twelve at a desk (a PIR is
    blind to someone who types); a desk is stuck after 14 hours without a change, all
    else after 16; a balance begins anew at four in the morning.
    """

    def __init__(
        self,
        policies: Sequence[Policy] = (),
        *,
        room_hold_ms: int = 300_000,
        desk_hold_ms: int = 720_000,
    ) -> None:
        self._policies = policies
        self._idle = set(range(len(policies)))
        self._room = Terms(room_hold_ms, 0, 16 * 3_600_000, RESET_AT)
        self._desk = Terms(desk_hold_ms, 0, 14 * 3_600_000, RESET_AT)

    def idle(self, name: str) -> list[Remark]:
        """Return which policies were about no channel so far; `name` is their file."""
        return [
            Remark(
                name,
                "a [[policy]] is about no channel of any sensor",
                "compare its kind, space, source and device with the sensors",
                f"number {number + 1}",
            )
            for number in sorted(self._idle)
        ]

    def terms(self, *, kind: str, space: Kind, source: str, device: str) -> Terms:
        """Return what holds for a channel."""
        found: dict[str, float | str] = {}
        for number, policy in enumerate(self._policies):
            if policy.covers(kind=kind, space=space, source=source, device=device):
                self._idle.discard(number)
                said = ((name, getattr(policy, name)) for name in _KEYS)
                found.update((name, one) for name, one in said if one is not None)
        usual = self._desk if space is Kind.DESK else self._room
        return Terms(
            _ms(found.get("hold_s"), usual.hold_ms),
            _ms(found.get("interval_s"), usual.interval_ms),
            _ms(found.get("max_on_s"), usual.max_on_ms),
            minute_of(str(found["reset_at"])) if "reset_at" in found else RESET_AT,
        )


_KEYS = ("hold_s", "interval_s", "max_on_s", "reset_at")


def read(
    data: bytes, name: str, *, room_hold_ms: int = 300_000, desk_hold_ms: int = 720_000
) -> Policies:
    """Return the policies of a file.

    Raises:
        ConfigError: With the file, the line, and what to write instead.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: save the file as UTF-8") from None
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}{misfit(error, text, _File)}") from None
    for number, policy in enumerate(file.policies):
        problem = _problem(policy)
        if problem:
            line = line_of(text, ("policy", number))
            raise ConfigError(f"{name}, line {line}: {problem}")
    return Policies(file.policies, room_hold_ms=room_hold_ms, desk_hold_ms=desk_hold_ms)


def minute_of(clock: str) -> int:
    """Return the minute of the day of a time like "04:00", -1 where it is none."""
    found = _CLOCK.fullmatch(clock)
    return -1 if found is None else 60 * int(found[1]) + int(found[2])


def _problem(policy: Policy) -> str | None:
    """Return what single keys of a policy cannot tell."""
    said = [name for name in _KEYS if getattr(policy, name) is not None]
    if not said:
        return f"this [[policy]] says nothing; give it one of {', '.join(_KEYS)}"
    for name in said:
        kinds = _EFFECT.get(name, tuple(BOUND_AS))
        if policy.kind is not None and policy.kind not in kinds:
            return f"{name} has no effect on {policy.kind}; kind may be {_or(kinds)}"
    if policy.reset_at is not None and minute_of(policy.reset_at) < 0:
        return 'reset_at must be a time of the day, like "04:00"'
    return None


def _or(words: Sequence[str]) -> str:
    return " or ".join(words)


def _ms(seconds: float | str | None, usual_ms: int) -> int:
    return usual_ms if seconds is None else round(1000 * float(seconds))
