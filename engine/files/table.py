"""What all tables share: CSV with a header, lines for errors, numbers in cells."""

from __future__ import annotations

import csv
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.files.remark import Remarks
    from engine.space import Plan

MAX_S = 30 * 86_400


class Row(NamedTuple):
    """A line of a table.

    Attributes:
        where: File and line, for errors.
        cells: By column, stripped; "" where the line has none.
    """

    where: str
    cells: dict[str, str]

    def space(self, plan: Plan) -> int:
        """Return the index of the space that the line names.

        Raises:
            ConfigError: The plan has none of this id.
        """
        name = self.cells["space"]
        index = plan.space_by_id.get(name)
        if index is None:
            near = get_close_matches(name, plan.space_by_id, 1)
            meant = f": is {near[0]!r} meant?" if near else ""
            raise self.refused(f"the plan has no space {name!r}{meant}")
        return index

    def percent(self, column: str, default: int) -> int:
        """Return a percentage.

        Raises:
            ConfigError: It is none.
        """
        text = self.cells[column] or str(default)
        if not text.isdecimal() or int(text) > 100:  # noqa: PLR2004 - percent
            raise self.refused(f"{column} must be a whole percentage, 0 to 100")
        return int(text)

    def duration_ms(self, column: str, default_ms: int) -> int:
        """Return a cell in seconds as milliseconds.

        Raises:
            ConfigError: It is no number of seconds, or longer than 30 days.
        """
        text = self.cells[column]
        if not text:
            return default_ms
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1
        if not 0 <= seconds <= MAX_S:  # also refuses NaN
            raise self.refused(f"{column} must be seconds, 0 to {MAX_S}")
        return round(1000 * seconds)

    def refused(self, problem: str) -> ConfigError:
        """Return the error that names the line."""
        return ConfigError(f"{self.where}: {problem}")


def rows(
    data: bytes,
    name: str,
    *,
    needed: Sequence[str],
    optional: Sequence[str],
    remarks: Remarks,
) -> Iterator[Row]:
    """Yield the lines of a table.

    Args:
        data: The file.
        name: Its name, for errors.
        needed: Columns that the header must have.
        optional: Columns that it may have.
        remarks: Hears of every other column.

    Raises:
        ConfigError: It is not UTF-8 or not CSV, or a column is missing.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: save the file as UTF-8") from None
    reader = csv.DictReader(text.splitlines(), restval="")
    try:
        _check_header(reader.fieldnames or (), name, needed, optional, remarks)
        for row in reader:
            cells = {one: (row.get(one) or "").strip() for one in (*needed, *optional)}
            yield Row(f"{name}, line {reader.line_num}", cells)
    except csv.Error:
        line = reader.line_num + 1
        raise ConfigError(
            f"{name}, line {line}: not CSV: is a quote not closed?"
        ) from None


def _check_header(
    found: Sequence[str],
    name: str,
    needed: Sequence[str],
    optional: Sequence[str],
    remarks: Remarks,
) -> None:
    """Refuse a header without a column that is needed; remark on those not known."""
    columns = (*needed, *optional)
    header = ",".join(columns)
    for column in needed:
        if column not in found:
            raise ConfigError(
                f"{name}, line 1: no column {column!r}; the header is {header}"
            )
    for column in found:
        if column not in columns:
            what = f"column {column!r} is not read"
            remarks.add(what, "line 1", instead=f"the header is {header}")
