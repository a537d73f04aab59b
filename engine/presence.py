"""Fixes → Moves: where each subject is now; which device leads, and no bouncing.

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
What waits for the store is the number of a subject, never a place: `take` reads
the place when it is about to be written, so nothing forgotten can be among it.
"""

from __future__ import annotations

from array import array
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from engine.model import Moves, ObservationKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from engine.model import Fixes, Location, Placement

_AWAY = -1
_LEFT = ObservationKind.LEFT
"""By a name of the module: through its class a member costs 0.15 µs each time."""
_SESSION = 2**31 - 1
"""A session is kept as so many bits of its hash: it is compared, never shown."""
_BLOCK = 1024
"""Rows are added in blocks, so that growing stays rare and cheap."""


class Subjects(Protocol):
    """What presence asks of the consent view."""

    def subject_ids(self, subjects: Sequence[int], /) -> list[str]:
        """Return the opaque id of each subject's row."""

    def rows_of(self, subject: int, /) -> Iterable[int]:
        """Return the device rows of a subject."""


class Settled(NamedTuple):
    """What became of a batch of fixes.

    Attributes:
        applied: News, also about a device that does not lead.
        duplicate: Known already.
        late: Older than what is known, or than anything that may be kept; or the end of
            an association that is not the present one.
    """

    applied: int
    duplicate: int
    late: int


class _Claim(NamedTuple):
    """A return that is not believed yet."""

    subject: int
    place: Placement
    observed_at_ms: int


class Presence:
    """Where the subjects of one tenant are. Bounded by the rows of the consent view.

    Args:
        subjects: The consent view.
        spaces: Ids of the spaces, by index.
        aps: Names of the access points, by row.
        settle_ms: How long a return is only claimed.
        stale_ms: How long a silent device keeps the lead.
        retention_ms: How old an observation may get.
    """

    def __init__(  # noqa: PLR0913 - what it names things by, and three times
        self,
        subjects: Subjects,
        spaces: Sequence[str],
        aps: Sequence[str],
        *,
        settle_ms: int = 90_000,
        stale_ms: int = 900_000,
        retention_ms: int = 86_400_000,
    ) -> None:
        self._subjects = subjects
        # Of no space and of no access point (-1) is the last one.
        self._spaces: list[str | None] = [*spaces, None]
        self._aps = [*aps, ""]
        self._settle_ms = settle_ms
        self._stale_ms = stale_ms
        self._retention_ms = retention_ms
        # Columns by device row: the association (access point, session, its time) …
        self._ap = array("i")
        self._session = array("i")
        self._observed_ms = array("q")
        # … the place that is believed, since when, and the two before it. Of a device
        # that left: no place, and when the association that ended was last seen.
        self._space = array("i")
        self._confidence = array("b")
        self._moved_ms = array("q")
        self._before = array("i")
        self._before_that = array("i")
        self._claims: dict[int, _Claim] = {}
        """The first of the fixes that claim a return, by row; one a row at most."""
        # Column by subject: the leading device row.
        self._lead = array("i")
        self._waiting: set[int] = set()

    def know(self, aps: Sequence[str]) -> None:
        """Know further access points; those before them keep their rows."""
        self._aps = [*aps, ""]

    @property
    def waiting(self) -> int:
        """How many subjects have news for the store."""
        return len(self._waiting)

    def settle(self, fixes: Fixes, now_ms: int) -> Settled:  # noqa: C901 - the hot loop
        """Let each fix move its subject, in order of arrival."""
        if fixes.device:
            self._grow(max(fixes.device), max(fixes.subject))
        horizon_ms = now_ms - self._retention_ms
        aps, sessions, times = self._ap, self._session, self._observed_ms
        spaces, before, before_that = self._space, self._before, self._before_that
        leads, claims, moved = self._lead, self._claims, self._moved_ms
        stale_ms = self._stale_ms
        waits = self._waiting.add
        applied = duplicate = 0
        for subject, row, place, seen in zip(*fixes, strict=True):
            observed_ms = seen.observed_at_ms
            known_ms = times[row]
            if observed_ms < known_ms or observed_ms <= horizon_ms:
                continue
            ap, space, confidence = place
            session = seen.session
            if seen.kind is _LEFT:
                applied += self._leave(subject, row, ap, session, observed_ms)
                continue
            believed = spaces[row]
            if observed_ms == known_ms and ap == aps[row] and believed != _AWAY:
                duplicate += 1
                continue
            if space == believed:
                if claims:
                    claims.pop(row, None)
                self._confidence[row] = confidence
            elif space not in (before[row], before_that[row]) or self._is_due(
                row, space, observed_ms
            ):
                self._believe(row, place, observed_ms)
            else:
                claim = claims.get(row)
                if claim is None or claim.place.space != space:
                    claims[row] = _Claim(subject, place, observed_ms)
            aps[row] = ap
            sessions[row] = hash(session) & _SESSION if session else 0
            times[row] = observed_ms
            applied += 1
            lead = leads[subject]
            if lead != row:
                # As `_keeps_lead`, whose call would cost as much as the rest of this.
                if lead != _AWAY and (
                    times[lead] > observed_ms
                    or (
                        moved[lead] >= moved[row]
                        and observed_ms - times[lead] < stale_ms
                        and spaces[lead] != _AWAY
                    )
                ):
                    continue
                leads[subject] = row
            waits(subject)
        return Settled(applied, duplicate, len(fixes.device) - applied - duplicate)

    def confirm(self, now_ms: int) -> None:
        """Believe the returns that nothing has contradicted for `settle_ms`.

        To be called about once a second; costs as much as there are open claims.
        """
        due = [
            (row, claim)
            for row, claim in self._claims.items()
            if now_ms - claim.observed_at_ms >= self._settle_ms
        ]
        for row, (subject, place, observed_ms) in due:
            self._believe(row, place, observed_ms)
            lead = self._lead[subject]
            if lead in (row, _AWAY) or not self._keeps_lead(lead, row):
                self._lead[subject] = row
                self._waiting.add(subject)

    def take(self, limit: int) -> Moves:
        """Return the newest move of at most so many subjects; they wait no more.

        Of one whose devices left from where only the store may know, one of each such
        device: any of them may be the one that the store holds.
        """
        if len(self._waiting) <= limit:  # a set that has been full stays large
            waiting, self._waiting = self._waiting, set()
        else:
            waiting = set(islice(self._waiting, limit))
            self._waiting -= waiting
        subjects = np.fromiter(waiting, np.int64, len(waiting))
        rows = _column(self._lead)[subjects]
        # One whose association has expired meanwhile has no news any more.
        known = (rows != _AWAY) & (_column(self._observed_ms)[rows] > 0)
        subjects, rows = subjects[known], rows[known]
        away = _column(self._space)[rows] == _AWAY
        for subject in subjects[away].tolist():
            for row in self._left_beside(subject):
                subjects, rows = np.append(subjects, subject), np.append(rows, row)
        spaces = _column(self._space)[rows]
        seen_ms = np.where(spaces == _AWAY, _column(self._moved_ms)[rows], 0)
        return Moves(
            self._subjects.subject_ids(subjects.tolist()),
            _column(self._observed_ms)[rows].tolist(),
            [self._spaces[space] for space in spaces.tolist()],
            _column(self._confidence)[rows].tolist(),
            [self._aps[ap] for ap in _column(self._ap)[rows].tolist()],
            seen_ms.tolist(),
        )

    def give_back(self, subjects: Iterable[int]) -> None:
        """Let the moves of subjects wait again: the store did not take them."""
        self._waiting.update(subjects)

    @staticmethod
    def claimed(
        locations: Mapping[str, Location],
        space_by_ap: Callable[[str], tuple[str, int] | None],
    ) -> Moves:
        """Return what an earlier process was about to believe when it ended.

        It had stored the access point of a return, and still the place before it. The
        store takes these moves only where nothing newer is known.

        Args:
            locations: As stored, by opaque id of the subject.
            space_by_ap: Gives space and confidence of an access point.
        """
        returns = [
            (subject, location, place)
            for subject, location in locations.items()
            if (place := space_by_ap(location.ap)) and place[0] != location.space
        ]
        return Moves(
            [subject for subject, _, _ in returns],
            [location.observed_at_ms for _, location, _ in returns],
            [space for _, _, (space, _) in returns],
            [confidence for _, _, (_, confidence) in returns],
            [location.ap for _, location, _ in returns],
            [0] * len(returns),
        )

    def tell_all(self) -> None:
        """Let the place of everybody who is here wait: the store came back empty."""
        self._waiting.update(
            subject
            for subject, row in enumerate(self._lead)
            if row != _AWAY and self._space[row] != _AWAY
        )

    def end(self, subject: int, rows: Iterable[int], now_ms: int) -> None:
        """End the associations of devices that are no longer the subject's."""
        for row in rows:
            if row < len(self._space) and self._space[row] != _AWAY:
                now_ms = max(now_ms, self._observed_ms[row])
                self._leave(subject, row, self._ap[row], None, now_ms)

    def forget(self, subject: int, rows: Iterable[int]) -> None:
        """Clear what is known of a subject; it and its rows may be given away."""
        self._waiting.discard(subject)
        if subject < len(self._lead):
            self._lead[subject] = _AWAY
        for row in rows:
            if row < len(self._ap):
                self._clear(row)

    def expire(self, now_ms: int) -> Collection[int]:
        """Clear every association older than the retention time.

        Returns:
            The rows of which nothing is known now.
        """
        old = _column(self._observed_ms) <= now_ms - self._retention_ms
        leads = _column(self._lead)
        # Its row may soon be somebody else's.
        leads[(leads != _AWAY) & old[leads]] = _AWAY
        rows: list[int] = np.flatnonzero(old).tolist()
        for row in rows:
            if self._observed_ms[row]:
                self._clear(row)
        return rows

    def _is_due(self, row: int, space: int, observed_ms: int) -> bool:
        """Return whether a return was claimed long enough ago to be believed now."""
        claim = self._claims.get(row)
        return (
            claim is not None
            and claim.place.space == space
            and observed_ms - claim.observed_at_ms >= self._settle_ms
        )

    def _believe(self, row: int, place: Placement, observed_ms: int) -> None:
        """Take the place for that of the device."""
        self._claims.pop(row, None)
        self._before_that[row] = self._before[row]
        self._before[row] = self._space[row]
        self._space[row] = place.space
        self._confidence[row] = place.confidence
        self._moved_ms[row] = observed_ms

    def _keeps_lead(self, lead: int, row: int) -> bool:
        """Return whether `lead` still speaks for the subject when `row` reports."""
        seen_ms = self._observed_ms[row]
        return self._observed_ms[lead] > seen_ms or (
            self._space[lead] != _AWAY
            and self._moved_ms[lead] >= self._moved_ms[row]
            and seen_ms - self._observed_ms[lead] < self._stale_ms
        )

    def _leave(
        self, subject: int, row: int, ap: int, session: str | None, observed_ms: int
    ) -> bool:
        """End the association that is named, and no other; return whether it was."""
        if self._space[row] != _AWAY:
            same = bool(session) and hash(session) & _SESSION == self._session[row]
            if ap != self._ap[row] and not same:
                return False
            ap, seen_ms = self._ap[row], self._observed_ms[row]
            self._clear(row)
            self._moved_ms[row] = seen_ms
        # An association from before this process started is not known here: the store
        # clears only where it holds the very access point.
        self._ap[row] = ap
        self._observed_ms[row] = observed_ms
        lead = self._lead[subject]
        if lead in (row, _AWAY):
            self._lead[subject] = self._next_lead(subject, row)
            self._waiting.add(subject)
        elif self._left_unknown(lead):  # it may not be what the store holds: tell both
            self._waiting.add(subject)
        return True

    def _left_beside(self, subject: int) -> list[int]:
        """Return who left as the leading device did: the store may know from where."""
        lead = self._lead[subject]
        if not self._left_unknown(lead):
            return []
        rows = self._subjects.rows_of(subject)
        return [row for row in rows if row != lead and self._left_unknown(row)]

    def _left_unknown(self, row: int) -> bool:
        """Return whether a device left from where only the store may know."""
        return (
            row < len(self._space)
            and self._space[row] == _AWAY
            and self._observed_ms[row] > 0 == self._moved_ms[row]
        )

    def _next_lead(self, subject: int, row: int) -> int:
        """Return who leads after `row` has left: a device seen since, or it still."""
        since = [
            other
            for other in self._subjects.rows_of(subject)
            if other < len(self._space)
            and self._space[other] != _AWAY
            and self._observed_ms[other] >= self._observed_ms[row]
        ]
        return max(since, key=self._moved_ms.__getitem__, default=row)

    def _clear(self, row: int) -> None:
        for column in (self._ap, self._space, self._before, self._before_that):
            column[row] = _AWAY
        for column in (self._session, self._confidence):
            column[row] = 0
        self._moved_ms[row] = self._observed_ms[row] = 0
        self._claims.pop(row, None)

    def _grow(self, row: int, subject: int) -> None:
        """Let the columns reach a device row and a subject row."""
        while row >= len(self._ap):
            for places in (self._ap, self._space, self._before, self._before_that):
                places.extend([_AWAY] * _BLOCK)
            for times in (self._observed_ms, self._moved_ms):
                times.extend([0] * _BLOCK)
            self._session.extend([0] * _BLOCK)
            self._confidence.extend([0] * _BLOCK)
        while subject >= len(self._lead):
            self._lead.extend([_AWAY] * _BLOCK)


def _column(numbers: array[int]) -> npt.NDArray[np.signedinteger]:
    """Return a view of a column; let go of it before the column grows."""
    return np.frombuffer(numbers, numbers.typecode)
