"""The demo building: drawn for a number of people, with access points and sensors."""

from __future__ import annotations

import csv
import io
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import msgspec

from engine.simulate.drawing import drawn_plan
from engine.simulate.fittings import installed, mounted
from engine.simulate.layout import Draughtsman, LevelPlan
from engine.simulate.places import places_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DESKS_PER_PERSON: Final = 0.62
"""Desks are shared: on the busiest day three people in five come."""


class Building:
    """The building "hq" for a number of people; the same for the same number.

    Attributes:
        levels: Ground first.
        places: Everywhere a person can be; the entrance first.
        access_points: Every radio.
        sensors: One for each desk, room and area.
    """

    id: Final = "hq"

    def __init__(self, people: int) -> None:
        count, bays, side = _size(people)
        drawn = [Draughtsman(number, bays, side) for number in range(1, count + 1)]
        self.levels: tuple[LevelPlan, ...] = (
            drawn[0].ground(),
            *(level.office() for level in drawn[1:]),
        )
        self.places = tuple(places_of(self.levels))
        self.access_points = tuple(mounted(self.levels))
        self.sensors = tuple(installed(self.places))

    @cached_property
    def desks(self) -> int:
        """How many desks there are."""
        return sum(len(level.desks) for level in self.levels)

    def plan(self) -> dict[str, Any]:
        """Return the plan: a GeoJSON FeatureCollection shaped like IMDF."""
        return drawn_plan(self.id, "Headquarters", self.levels)

    def plan_file(self) -> bytes:
        """Return the bytes of the plan file."""
        return msgspec.json.encode(self.plan())

    def access_points_csv(self) -> str:
        """Return the table `ap,space,confidence`."""
        return _table(
            ("ap", "space", "confidence"),
            ((ap.name, ap.space, ap.confidence) for ap in self.access_points),
        )

    def sensors_csv(self, speed: float = 1.0) -> str:
        """Return the table of the sensors.

        Args:
            speed: Simulated seconds in a real one; holds and intervals shrink with it.
        """
        header = ("source", "device", "channel", "space", "kind", "hold_s")
        return _table(
            (*header, "interval_s"),
            (
                (
                    sensor.source,
                    sensor.device,
                    "",
                    self.places[sensor.place].space,
                    sensor.kind,
                    f"{sensor.hold_s / speed:.6g}" if sensor.hold_s else "",
                    f"{sensor.interval_s / speed:.6g}",
                )
                for sensor in self.sensors
            ),
        )


def _size(people: int) -> tuple[int, int, int]:
    """Return levels, bays and desks a bench side: the smallest with enough desks."""
    sizes = product((3, 4, 5, 6), (8, 10), (3, 4, 5))
    return next(
        (size for size in sizes if _desks(*size) >= DESKS_PER_PERSON * people),
        (6, 12, 5),
    )


def _desks(levels: int, bays: int, side: int) -> int:
    """Return how many desks the draughtsman will find room for."""
    office_bays = 4 * ((bays - 4) // 2)
    ground_bays = bays - bays // 2 - 1
    return (office_bays * (levels - 1) + ground_bays) * 2 * 2 * side


def _table(header: Sequence[str], rows: Iterator[tuple[object, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
