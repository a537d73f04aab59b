"""Fix → Move: where each subject is now; which device leads, and no bouncing.

Rules, each with its reason:

- *Newest observation wins*, per device, by the source's clock; an older one is late.
- *A departure clears only the association it names*, by access point or session: a
  controller may report the leave minutes after the join elsewhere.
- *A new place is believed at once, a return is not.* Who walks is seldom seen where
  they just were; a device at rest between two access points is, all day. So one of the
  last two places is only claimed at first, and believed after `settle_ms` in which
  nothing else was seen. No further event is needed: a roam is reported once.
- *Of several devices the one that moved last leads*: the phone in the pocket, not the
  laptop in its dock. One that falls silent for `stale_ms`, or leaves, loses the lead.
- *When the leading device leaves, the location is cleared*, unless another was seen
  since: a place seen earlier than the departure would outlive its own 24 hours.

State is a handful of numbers for each device row, in columns; nothing holds a past.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Protocol

from engine.model import Fix, Move, ObservationKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_AWAY = -1
_LEFT = ObservationKind.LEFT
_APPLIED, _DUPLICATE, _LATE = Outcome.APPLIED, Outcome.DUPLICATE, Outcome.LATE
"""By a name of the module: through its class a member costs 0.15 µs each time."""
_BLOCK = 1024
"""Rows are added in blocks, so that growing stays rare and cheap."""


class Subjects(Protocol):
    """What presence asks of the consent view."""

    def subject_id(self, subject: int, /) -> str:
        """Return the opaque id of a subject's row."""

    def rows_of(self, subject: int, /) -> Iterable[int]:
        """Return the device rows of a subject."""


class Presence:
    """Where the subjects of one tenant are. Bounded by the rows of the consent view."""

    def __init__(
        self,
        subjects: Subjects,
        spaces: Sequence[str],
        *,
        settle_ms: int = 90_000,
        stale_ms: int = 900_000,
        retention_ms: int = 86_400_000,
    ) -> None:
        self._subjects = subjects
        self._spaces = spaces
        self._settle_ms = settle_ms
        self._stale_ms = stale_ms
        self._retention_ms = retention_ms
        # Columns by device row: the association (access point, session, its time) …
        self._ap: list[str | None] = []
        self._session: list[str | None] = []
        self._observed_ms = array("q")
        # … the place that is believed, since when, and the two before it.
        self._space = array("i")
        self._confidence = array("b")
        self._moved_ms = array("q")
        self._before = array("i")
        self._before_that = array("i")
        self._claims: dict[int, Fix] = {}
        """The first of the fixes that claim a return, by row; one a row at most."""
        # Column by subject: the leading device row.
        self._lead = array("i")

    def settle(self, fix: Fix, now_ms: int) -> Move | Outcome:
        """Return what to store, or what else became of the fix.

        `APPLIED` without a move is news about a device that does not lead.
        """
        row = fix.device
        if row >= len(self._ap) or fix.subject >= len(self._lead):
            self._grow(row, fix.subject)
        observed_ms = fix.observed_at_ms
        if (
            observed_ms < self._observed_ms[row]
            or observed_ms <= now_ms - self._retention_ms
        ):
            return _LATE
        if fix.kind is _LEFT:
            return self._leave(fix)
        if observed_ms == self._observed_ms[row] and fix.ap == self._ap[row]:
            return _DUPLICATE
        self._ap[row] = fix.ap
        self._session[row] = fix.session
        self._observed_ms[row] = observed_ms
        space = fix.space
        if space == self._space[row]:
            self._claims.pop(row, None)
            self._confidence[row] = fix.confidence
        elif space != self._before[row] and space != self._before_that[row]:
            self._believe(fix)
        else:
            claim = self._claims.get(row)
            if claim is None or claim.space != space:
                self._claims[row] = fix
            elif observed_ms - claim.observed_at_ms >= self._settle_ms:
                self._believe(fix)
        return self._lead_or_rest(fix.subject, row)

    def confirm(self, now_ms: int) -> list[Move]:
        """Believe the returns that nothing has contradicted for `settle_ms`.

        To be called about once a second; costs as much as there are open claims.
        """
        due = [
            claim
            for claim in self._claims.values()
            if now_ms - claim.observed_at_ms >= self._settle_ms
        ]
        moves = []
        for claim in due:
            self._believe(claim)
            news = self._lead_or_rest(claim.subject, claim.device)
            if isinstance(news, Move):
                moves.append(news)
        return moves

    def moves(self) -> Iterator[Move]:
        """Yield where every subject is by what is known here, for an empty store."""
        for subject, row in enumerate(self._lead):
            if row != _AWAY and self._ap[row] is not None:
                yield self._move(subject, row)

    def forget(self, subject: int, rows: Iterable[int]) -> None:
        """Clear what is known of a subject; it and its rows may be given away."""
        if subject < len(self._lead):
            self._lead[subject] = _AWAY
        for row in rows:
            if row < len(self._ap):
                self._clear(row)
                self._observed_ms[row] = 0

    def expire(self, now_ms: int) -> None:
        """Clear every association older than the retention time."""
        horizon_ms = now_ms - self._retention_ms
        for row, observed_ms in enumerate(self._observed_ms):
            if 0 < observed_ms <= horizon_ms:
                self._clear(row)
                self._observed_ms[row] = 0

    def _believe(self, fix: Fix) -> None:
        """Take the fix for the place of its device."""
        row = fix.device
        self._claims.pop(row, None)
        self._before_that[row] = self._before[row]
        self._before[row] = self._space[row]
        self._space[row] = fix.space
        self._confidence[row] = fix.confidence
        self._moved_ms[row] = fix.observed_at_ms

    def _lead_or_rest(self, subject: int, row: int) -> Move | Outcome:
        """Return the subject's move if this device leads, or takes the lead."""
        lead = self._lead[subject]
        if lead not in (row, _AWAY) and self._keeps_lead(lead, row):
            return _APPLIED
        self._lead[subject] = row
        return self._move(subject, row)

    def _keeps_lead(self, lead: int, row: int) -> bool:
        """Return whether `lead` still speaks for the subject when `row` reports."""
        seen_ms = self._observed_ms[row]
        return self._observed_ms[lead] > seen_ms or (
            self._ap[lead] is not None
            and self._moved_ms[lead] >= self._moved_ms[row]
            and seen_ms - self._observed_ms[lead] < self._stale_ms
        )

    def _leave(self, fix: Fix) -> Move | Outcome:
        """End the association that the fix names, and no other."""
        row, subject = fix.device, fix.subject
        named = self._ap[row]
        same_session = fix.session is not None and fix.session == self._session[row]
        if named is not None and fix.ap != named and not same_session:
            return _LATE
        if named is not None:
            self._clear(row)
        self._observed_ms[row] = fix.observed_at_ms
        if self._lead[subject] not in (row, _AWAY):
            return _APPLIED
        self._lead[subject] = row
        since = [
            other
            for other in self._subjects.rows_of(subject)
            if other < len(self._ap)
            and self._ap[other] is not None
            and self._observed_ms[other] >= fix.observed_at_ms
        ]
        if since:
            self._lead[subject] = max(since, key=self._moved_ms.__getitem__)
            return self._move(subject, self._lead[subject])
        # An association from before this process started is not known here (named is
        # None): the store clears only where it holds the very access point.
        subject_id = self._subjects.subject_id(subject)
        return Move(subject_id, fix.observed_at_ms, None, 0, named or fix.ap)

    def _move(self, subject: int, row: int) -> Move:
        return Move(
            self._subjects.subject_id(subject),
            self._observed_ms[row],
            self._spaces[self._space[row]],
            self._confidence[row],
            self._ap[row] or "",
        )

    def _clear(self, row: int) -> None:
        self._ap[row] = self._session[row] = None
        for column in (self._space, self._before, self._before_that):
            column[row] = _AWAY
        self._moved_ms[row] = 0
        self._claims.pop(row, None)

    def _grow(self, row: int, subject: int) -> None:
        while row >= len(self._ap):
            self._ap.extend([None] * _BLOCK)
            self._session.extend([None] * _BLOCK)
            for times in (self._observed_ms, self._moved_ms):
                times.extend([0] * _BLOCK)
            for places in (self._space, self._before, self._before_that):
                places.extend([_AWAY] * _BLOCK)
            self._confidence.extend([0] * _BLOCK)
        while subject >= len(self._lead):
            self._lead.extend([_AWAY] * _BLOCK)
