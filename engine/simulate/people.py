"""Invented people: names, logins, devices, and who of them shares a location."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.simulate.chance import dice
from engine.simulate.names import FAMILY, GIVEN

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

TEAM_SIZE: Final = 11
VISITORS_PER_PERSON: Final = 0.03

_VENDORS: Final = ("a4:83:e7", "3c:06:30", "f0:18:98", "88:66:5a", "dc:a6:32")


class Carried(IntEnum):
    """What a device is, and so how it moves."""

    PHONE = 1
    """In a pocket: where its owner is."""
    LAPTOP = 2
    """On the desk, at times taken along to a meeting."""
    WATCH = 3
    """On a wrist: where its owner is."""


class Device(NamedTuple):
    """A device; `row` numbers all devices of all people.

    Attributes:
        row: Its number.
        person: Row of its owner.
        carried: What it is.
        address: Its radio address, six octets with colons.
        randomised: The address is locally administered, hence never registered.
    """

    row: int
    person: int
    carried: Carried
    address: str
    randomised: bool


class Person(NamedTuple):
    """Somebody who may come to the building.

    Attributes:
        row: Their place in the list.
        login: The organisation's name for them.
        name: What colleagues see.
        team: Number of the team; they sit and meet together. -1: a visitor.
        shares: Opted in at the start of the demo.
        devices: One to three.
    """

    row: int
    login: str
    name: str
    team: int
    shares: bool
    devices: tuple[Device, ...]

    @property
    def visits(self) -> bool:
        """Whether this is a guest, who has no login and never shares."""
        return self.team < 0

    @property
    def registered(self) -> tuple[str, ...]:
        """Addresses that they would register: those that stay the same."""
        return tuple(d.address for d in self.devices if not d.randomised)


def everybody(seed: int, count: int, *, share: float = 0.6) -> list[Person]:
    """Return `count` employees and a few visitors.

    Args:
        seed: The same seed names the same people.
        count: Employees.
        share: How many of them opted in, 0 to 1.
    """
    chance = dice(seed, 1)
    names = _names(chance)
    visitors = max(1, round(count * VISITORS_PER_PERSON))
    sharing = set(chance.sample(range(count), round(share * count)))
    people: list[Person] = []
    devices = 0
    for row in range(count + visitors):
        visits = row >= count
        name, login = next(names)
        owned = tuple(_devices(chance, devices, row, visits=visits))
        devices += len(owned)
        people.append(
            Person(
                row,
                f"guest-{row:05}" if visits else login,
                name,
                -1 if visits else row // TEAM_SIZE,
                row in sharing,
                owned,
            )
        )
    return people


def _names(chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield name and login, never twice: a namesake gets a number."""
    used: dict[str, int] = {}
    while True:
        given, family = chance.choice(GIVEN), chance.choice(FAMILY)
        login = f"{given}.{family}".lower()
        namesakes = used[login] = used.get(login, 0) + 1
        if namesakes == 1:
            yield f"{given} {family}", login
        elif namesakes > _NAMESAKES:  # a large building: every name is taken
            yield f"{given} {family} {namesakes}", f"{login}{namesakes}"


_NAMESAKES: Final = 3


def _devices(
    chance: random.Random, first: int, person: int, *, visits: bool
) -> Iterator[Device]:
    """Yield a phone, for most employees a laptop, for few a watch."""
    carried = [Carried.PHONE]
    if not visits and chance.random() < 0.85:  # noqa: PLR2004 - most have one
        carried.append(Carried.LAPTOP)
    if not visits and chance.random() < 0.12:  # noqa: PLR2004 - few have one
        carried.append(Carried.WATCH)
    for row, kind in enumerate(carried, first):
        # phones use a private address by default; many of ours are managed
        private = kind is Carried.PHONE and chance.random() < (0.9 if visits else 0.35)
        yield Device(row, person, kind, _address(chance, row, private=private), private)


def _address(chance: random.Random, row: int, *, private: bool) -> str:
    """Return an address of its own; the row is part of it."""
    if private:
        first = (chance.randrange(256) & 0xFC) | 0x02  # locally administered
        octets = (first, chance.randrange(256), chance.randrange(256))
        vendor = ":".join(f"{octet:02x}" for octet in octets)
    else:
        vendor = chance.choice(_VENDORS)
    return f"{vendor}:{row >> 16 & 255:02x}:{row >> 8 & 255:02x}:{row & 255:02x}"
