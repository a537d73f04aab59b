"""A building with its people, and their days: what one seed stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.simulate.building import Building
from engine.simulate.day import Day
from engine.simulate.messages import Encoder
from engine.simulate.people import everybody

if TYPE_CHECKING:
    from engine.simulate.people import Person


class Scenario:
    """Everything that does not change from day to day.

    Args:
        people: Employees; a few visitors come on top.
        seed: The same seed (and number) gives the same people and days.
        share: How many of the employees opted in, 0 to 1.

    Attributes:
        building: With plan, access points and sensors.
        people: Employees and visitors.
        seed: As given.
    """

    def __init__(self, people: int, *, seed: int = 1, share: float = 0.6) -> None:
        self.seed = seed
        self.building = Building(people)
        self.people: list[Person] = everybody(seed, people, share=share)

    def day(self, number: int) -> Day:
        """Return a day; 0 is a Monday, and there are no weekends."""
        return Day(self.building, self.people, self.seed, number)

    def encoder(self, *, prefix: str = "demo", vendor_prefix: str = "") -> Encoder:
        """Return an encoder for the messages of this scenario; see `feeds`."""
        return Encoder(
            self.building, self.people, prefix=prefix, vendor_prefix=vendor_prefix
        )
