"""Fixes → Moves: where each subject is now; which device leads, and no bouncing.

Rules, each with its reason:

- *Newest observation wins*, per device, by the source's clock; an older one is late. A
  source that writes whole seconds (`blur_ms`) is not late against an event of the same
  second: within it the order of arrival holds, and the time that is known stays.
- *A departure clears only the association it names*, by access point or session: a
  controller may report the leave minutes after the join elsewhere. Coordinates name no
  association, so they are cleared by the departure of the one that the device has; or,
  where it is not known which that is, by any: whoever opted in after they had come, or
  came to an access point that is in no table, would stay for a day after they left.
- *When an access server restarts, what it reported before has ended*, in whichever
  order the two arrive: it forgot its sessions, and will report the end of none.
- *Who is gone from the site is nowhere*, whatever was known and is no newer.
- *A new place is believed at once, a return is not.* Who walks is seldom seen where
  they just were; a device at rest between two access points is, all day. So one of the
  last two places is only claimed at first, and believed after `settle_ms` in which
  nothing else was seen. No further event is needed: a roam is reported once.
- *Of several devices the one that moved last leads*: the phone in the pocket, not the
  laptop in its dock. One that falls silent for `stale_ms`, or leaves, loses the lead.
  What was seen more than `stale_ms` before it arrived takes the lead from no device
  that was not silent then: location engines go on about what they last saw (Cisco's
  recording: one in ten is older than 23 minutes), and such a ghost has not moved last.
- *When the leading device leaves, the location is cleared*, unless another was seen
  since: a place seen earlier than the departure would outlive its own 24 hours.

A place by coordinates is finer than one by access point, and wrong in other ways:

- *Another level is only claimed*, until another fix by coordinates says that level too,
  or the first has stood for `level_ms`; unless the device was not heard of for
  `stale_ms`. Location engines find x and y well and now and then the wrong floor.
- *Coarse does not replace fine.* A fix too poor to tell rooms apart, in the zone or on
  the level of the believed room, is no news for `precise_ms` after the last good one:
  the person sits there, and one access point fewer has heard them.
- *Newer and poor does not replace older and good*: where such a fix is elsewhere, it is
  only claimed, for `settle_ms`, as PlaceOS keeps a good position for some minutes.
- *Finer replaces coarse at once*, and is no move: a room in the believed zone.
- *An association that goes on is no news* for `precise_ms` after the last coordinates:
  a sticky client stays at the access point by the door, and interim updates repeat it.
  A roam on the same level is claimed, as devices roam at rest; an association on
  another level is believed at once, since radio seldom passes a ceiling so well.

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

    from engine.model import Fixes, Location, Observation, Placement

_AWAY = _NONE = -1
_JOINED, _LEFT = ObservationKind.JOINED, ObservationKind.LEFT
"""By a name of the module: through its class a member costs 0.15 µs each time."""
_NAME = 2**31 - 1
"""A session or access server is kept as so many bits of its hash: it is compared,
never shown."""
_BLOCK = 1024
"""Rows are added in blocks, so that growing stays rare and cheap."""
SERVERS = 4_096
"""Access servers whose last restart is remembered; sources name them as they like."""


class Subjects(Protocol):
    """What presence asks of the consent view."""

    def subject_ids(self, subjects: Sequence[int], /) -> list[str]:
        """Return the opaque id of each subject's row."""

    def rows_of(self, subject: int, /) -> Iterable[int]:
        """Return the device rows of a subject."""

    @property
    def subject_by_row(self) -> Sequence[int]:
        """The row of the subject of each device row, -1 where it is free."""


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


class Patience(NamedTuple):
    """How long what is known stands against what is new.

    Attributes:
        settle_ms: How long a place that is not believed at once is only claimed.
        stale_ms: How long a silent device keeps the lead.
        level_ms: How long another level is only claimed, where nothing confirms it.
        precise_ms: How long a place by coordinates stands against coarser evidence.
            PlaceOS lets a good position drift after four minutes.
    """

    settle_ms: int = 90_000
    stale_ms: int = 900_000
    level_ms: int = 60_000
    precise_ms: int = 240_000


class _Claim(NamedTuple):
    """A place that is not believed yet, and when it will be."""

    subject: int
    place: Placement
    observed_at_ms: int
    due_ms: int


class Presence:
    """Where the subjects of one tenant are. Bounded by the rows of the consent view.

    Args:
        subjects: The consent view.
        spaces: Ids of the spaces, by index.
        aps: Names of the access points, by row.
        parents: Of each space, the index of the one that it is part of, or -1; none:
            no space is part of another, and all are on one level.
        patience: How long what is known stands.
        retention_ms: How old an observation may get.
    """

    def __init__(  # noqa: PLR0913 - what it names things by, and its times
        self,
        subjects: Subjects,
        spaces: Sequence[str],
        aps: Sequence[str],
        *,
        parents: Sequence[int] = (),
        patience: Patience | None = None,
        retention_ms: int = 86_400_000,
    ) -> None:
        self._subjects = subjects
        # Of no space and of no access point (-1) is the last one.
        self._spaces: list[str | None] = [*spaces, None]
        self._aps = [*aps, ""]
        self._parents = parents or [_NONE] * len(spaces)
        self._levels = [self._level_of(space) for space in range(len(spaces))]
        self._patience = patience or Patience()
        self._retention_ms = retention_ms
        # Columns by device row: the association (access point, session, server, time) …
        self._ap = array("i")
        self._session = array("i")
        self._nas = array("i")
        self._observed_ms = array("q")
        # … the place that is believed, since when, and the two before it. Of a device
        # that left: no place, and when the association that ended was last seen.
        self._space = array("i")
        self._confidence = array("b")
        # When coordinates last said so; 0 where an access point did.
        self._located_ms = array("q")
        self._moved_ms = array("q")
        self._before = array("i")
        self._before_that = array("i")
        self._claims: dict[int, _Claim] = {}
        """The first of the fixes that claim a place, by row; one a row at most."""
        # Column by subject: the leading device row.
        self._lead = array("i")
        self._restarted_ms: dict[int, int] = {}
        """By access server, the one that was told of last at the end."""
        self._waiting: set[int] = set()

    def know(self, aps: Sequence[str]) -> None:
        """Know further access points; those before them keep their rows."""
        self._aps = [*aps, ""]

    @property
    def waiting(self) -> int:
        """How many subjects have news for the store."""
        return len(self._waiting)

    def settle(  # noqa: C901, PLR0912, PLR0915 - the hot loop
        self, fixes: Fixes, now_ms: int
    ) -> Settled:
        """Let each fix move its subject, in order of arrival."""
        if fixes.device:
            self._grow(max(fixes.device), max(fixes.subject))
        horizon_ms = now_ms - self._retention_ms
        aps, sessions, times = self._ap, self._session, self._observed_ms
        spaces, before, before_that = self._space, self._before, self._before_that
        leads, claims, moved = self._lead, self._claims, self._moved_ms
        located = self._located_ms
        stale_ms = self._patience.stale_ms
        ghost_ms = now_ms - stale_ms
        waits = self._waiting.add
        servers, restarted_ms = self._nas, self._restarted_ms.get
        applied = duplicate = 0
        for subject, row, place, seen in zip(*fixes, strict=True):
            observed_ms = seen.observed_at_ms
            known_ms = times[row]
            if observed_ms < known_ms:
                if observed_ms + seen.blur_ms < known_ms:
                    continue
                observed_ms = known_ms
            if observed_ms <= horizon_ms:
                continue
            ap, space, confidence, _ = place
            if seen.kind is not _JOINED:
                applied += self._end(subject, row, ap, seen, observed_ms)
                continue
            server = _key(seen.nas) if seen.nas else 0
            if server and observed_ms <= restarted_ms(server, 0):
                # It had come here, and that has ended: it is nowhere now.
                if spaces[row] == _AWAY:
                    aps[row] = ap
                self._leave(subject, row, observed_ms)
                applied += 1
                continue
            believed = spaces[row]
            if ap < 0:
                if not self._locate(subject, row, place, observed_ms):
                    duplicate += 1
                    continue
            elif observed_ms == known_ms and ap == aps[row] and believed != _AWAY:
                duplicate += 1
                continue
            else:
                if space == believed:
                    if claims:
                        claims.pop(row, None)
                    self._confidence[row] = confidence
                elif located[row] and self._outranks(subject, row, place, observed_ms):
                    pass
                elif space not in (before[row], before_that[row]):
                    self._believe(row, place, observed_ms)
                else:
                    self._return(subject, row, place, observed_ms)
                aps[row] = ap
                session = seen.session
                sessions[row] = hash(session) & _NAME or 1 if session else 0
                servers[row] = server
            times[row] = observed_ms
            applied += 1
            lead = leads[subject]
            if lead != row:
                # As `_keeps_lead`, whose call would cost as much as the rest of this.
                if lead != _AWAY and (
                    times[lead] > observed_ms
                    or (
                        (moved[lead] >= moved[row] or observed_ms < ghost_ms)
                        and observed_ms - times[lead] < stale_ms
                        and spaces[lead] != _AWAY
                    )
                ):
                    continue
                leads[subject] = row
            waits(subject)
        return Settled(applied, duplicate, len(fixes.device) - applied - duplicate)

    def confirm(self, now_ms: int) -> None:
        """Believe the claims that nothing has contradicted until they were due.

        To be called about once a second; costs as much as there are open claims.
        """
        due = [
            (row, claim)
            for row, claim in self._claims.items()
            if now_ms >= claim.due_ms
        ]
        for row, (subject, place, observed_ms, _) in due:
            self._believe(row, place, observed_ms)
            self._located_ms[row] = observed_ms if place.ap == _NONE else 0
            lead = self._lead[subject]
            if lead in (row, _AWAY) or not self._keeps_lead(lead, row, now_ms):
                self._lead[subject] = row
                self._waiting.add(subject)

    def take(self, limit: int) -> Moves:
        """Return the newest move of at most so many subjects; they wait no more.

        Of one whose devices all left, one of each: what the store holds may be from an
        earlier process, and of any of them.
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
        beside = [
            (subject, row)
            for subject in subjects[away].tolist()
            for row in self._left_beside(subject)
        ]
        if beside:
            more, more_rows = np.array(beside).T
            subjects = np.concatenate([subjects, more])
            rows = np.concatenate([rows, more_rows])
        spaces = _column(self._space)[rows]
        seen_ms = np.where(spaces == _AWAY, _column(self._moved_ms)[rows], 0)
        # Of a place by coordinates no access point is told: none has seen it there.
        aps = np.where(
            _column(self._located_ms)[rows] > 0, _NONE, _column(self._ap)[rows]
        )
        return Moves(
            self._subjects.subject_ids(subjects.tolist()),
            _column(self._observed_ms)[rows].tolist(),
            [self._spaces[space] for space in spaces.tolist()],
            _column(self._confidence)[rows].tolist(),
            [self._aps[ap] for ap in aps.tolist()],
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
                self._leave(subject, row, max(now_ms, self._observed_ms[row]))

    def restart(self, nas: str, observed_ms: int) -> bool:
        """End the associations that an access server reported and that are not newer.

        Returns:
            Whether it was not known already, whoever was associated.
        """
        server, known = _key(nas), self._restarted_ms
        if known.get(server, 0) >= observed_ms:
            return False
        known.pop(server, None)
        known[server] = observed_ms
        if len(known) > SERVERS:
            del known[next(iter(known))]
        ended = (_column(self._nas) == server) & (
            _column(self._observed_ms) <= observed_ms
        )
        rows: list[int] = np.flatnonzero(ended).tolist()
        subjects = self._subjects.subject_by_row
        for row in rows:
            # As of when it was last seen: that is all that is known of when it ended,
            # and an association elsewhere since then, told late, still counts.
            self._leave(subjects[row], row, self._observed_ms[row])
        return True

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

    def _level_of(self, space: int) -> int:
        """Return the level that a space is on: the child of its building."""
        while (parent := self._parents[space]) != _NONE:
            if self._parents[parent] == _NONE:
                return space
            space = parent
        return _NONE

    def _contains(self, around: int, space: int) -> bool:
        """Return whether a space is part of another, over however many."""
        while space not in (_NONE, around):
            space = self._parents[space]
        return space == around

    def _locate(
        self, subject: int, row: int, place: Placement, observed_ms: int
    ) -> bool:
        """Take in a fix by coordinates; return whether it was news."""
        believed, claim = self._space[row], self._claims.get(row)
        if believed == _AWAY:
            self._believe(row, place, observed_ms)
        elif observed_ms == self._observed_ms[row] and (
            place.space == believed
            or (claim is not None and place.space == claim.place.space)
        ):
            return False
        else:
            self._weigh(subject, row, place, observed_ms, claim)
        if self._space[row] == place.space:
            self._located_ms[row] = observed_ms
        return True

    def _weigh(
        self,
        subject: int,
        row: int,
        place: Placement,
        observed_ms: int,
        claim: _Claim | None,
    ) -> None:
        """Let a fix by coordinates confirm, refine, claim or replace what is known."""
        space, believed = place.space, self._space[row]
        level, same = self._levels[space], self._levels[believed]
        good_ms = max(self._located_ms[row], self._moved_ms[row])
        holds = place.coarse and observed_ms - good_ms < self._patience.precise_ms
        returns = space in (self._before[row], self._before_that[row])
        if space == believed or (self._contains(believed, space) and not returns):
            self._refine(row, place)
        elif place.coarse and self._contains(space, believed):
            if not holds:
                self._refine(row, place)
            elif claim is not None and self._levels[claim.place.space] != same:
                del self._claims[row]  # so it is not on another level
        elif level != same and not self._changes_level(row, claim, level, observed_ms):
            self._claim(subject, row, place, observed_ms, self._patience.level_ms)
        elif holds and level == same:
            self._claim(subject, row, place, observed_ms, self._patience.settle_ms)
        elif returns:
            self._return(subject, row, place, observed_ms)
        else:
            self._believe(row, place, observed_ms)

    def _changes_level(
        self, row: int, claim: _Claim | None, level: int, observed_ms: int
    ) -> bool:
        """Return whether a fix on another level is more than the first that says so."""
        if observed_ms - self._observed_ms[row] >= self._patience.stale_ms:
            return True
        return (
            claim is not None
            and self._levels[claim.place.space] == level
            and observed_ms > claim.observed_at_ms
        )

    def _outranks(
        self, subject: int, row: int, place: Placement, observed_ms: int
    ) -> bool:
        """Return whether a place by coordinates stands against an association.

        Where it does not, the rules of associations hold from here on.
        """
        believed = self._space[row]
        fresh = observed_ms - self._located_ms[row] < self._patience.precise_ms
        if fresh and (
            place.ap == self._ap[row] or self._contains(place.space, believed)
        ):
            return True
        if not fresh or self._levels[place.space] != self._levels[believed]:
            self._located_ms[row] = 0
            return False
        self._claim(subject, row, place, observed_ms, self._patience.settle_ms)
        return True

    def _claim(
        self, subject: int, row: int, place: Placement, observed_ms: int, wait_ms: int
    ) -> None:
        """Note that a place is claimed, unless it is already."""
        claim = self._claims.get(row)
        if claim is None or claim.place.space != place.space:
            due_ms = observed_ms + wait_ms
            self._claims[row] = _Claim(subject, place, observed_ms, due_ms)

    def _return(
        self, subject: int, row: int, place: Placement, observed_ms: int
    ) -> None:
        """Claim one of the last two places, or believe it, if its claim is due."""
        claim = self._claims.get(row)
        if (
            claim is not None
            and claim.place.space == place.space
            and observed_ms >= claim.due_ms
        ):
            self._believe(row, place, observed_ms)
        else:
            settle_ms = self._patience.settle_ms
            self._claim(subject, row, place, observed_ms, settle_ms)

    def _refine(self, row: int, place: Placement) -> None:
        """Say the same place more or less precisely: nobody has moved."""
        self._claims.pop(row, None)
        self._space[row] = place.space
        self._confidence[row] = place.confidence

    def _believe(self, row: int, place: Placement, observed_ms: int) -> None:
        """Take the place for that of the device."""
        self._claims.pop(row, None)
        self._before_that[row] = self._before[row]
        self._before[row] = self._space[row]
        self._space[row] = place.space
        self._confidence[row] = place.confidence
        self._moved_ms[row] = observed_ms

    def _keeps_lead(self, lead: int, row: int, now_ms: int) -> bool:
        """Return whether `lead` still speaks for the subject when `row` reports."""
        seen_ms, stale_ms = self._observed_ms[row], self._patience.stale_ms
        return self._observed_ms[lead] > seen_ms or (
            self._space[lead] != _AWAY
            and seen_ms - self._observed_ms[lead] < stale_ms
            and (
                self._moved_ms[lead] >= self._moved_ms[row]
                or seen_ms < now_ms - stale_ms
            )
        )

    def _end(
        self, subject: int, row: int, ap: int, seen: Observation, observed_ms: int
    ) -> bool:
        """End what a departure names, and nothing else; return whether it was."""
        if seen.kind is not _LEFT:
            # Whatever the store has of this subject, and is no newer, is cleared too.
            self._leave(subject, row, observed_ms, seen_ms=observed_ms)
            return True
        if self._space[row] == _AWAY:
            # An association from before this process started is not known here: the
            # store clears only where it holds the very access point.
            self._ap[row] = ap
        else:
            session = seen.session
            same = bool(session) and _key(session) == self._session[row]
            if not same and self._ap[row] not in (_NONE, ap):
                return False
        self._leave(subject, row, observed_ms)
        return True

    def _leave(
        self, subject: int, row: int, observed_ms: int, seen_ms: int | None = None
    ) -> None:
        """Let a device be nowhere; see `Moves.seen_ms` for the last of these times."""
        ap, known_ms = self._ap[row], self._observed_ms[row]
        if self._space[row] != _AWAY:
            self._clear(row)
            self._moved_ms[row] = known_ms
        if seen_ms is not None:
            self._moved_ms[row] = seen_ms
        self._ap[row] = ap
        self._observed_ms[row] = observed_ms
        lead = self._lead[subject]
        if lead in (row, _AWAY):
            self._lead[subject] = self._next_lead(subject, row)
            self._waiting.add(subject)
        elif self._left(lead):  # it may not be what the store holds: tell both
            self._waiting.add(subject)

    def _left_beside(self, subject: int) -> list[int]:
        """Return who left beside the leading device: the store may hold either."""
        lead = self._lead[subject]
        rows = self._subjects.rows_of(subject)
        return [row for row in rows if row != lead and self._left(row)]

    def _left(self, row: int) -> bool:
        """Return whether all that is known of a device is that it left."""
        return (
            row < len(self._space)
            and self._space[row] == _AWAY
            and self._observed_ms[row] > 0
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
        for column in (self._session, self._nas, self._confidence):
            column[row] = 0
        self._moved_ms[row] = self._observed_ms[row] = self._located_ms[row] = 0
        self._claims.pop(row, None)

    def _grow(self, row: int, subject: int) -> None:
        """Let the columns reach a device row and a subject row."""
        while row >= len(self._ap):
            for places in (self._ap, self._space, self._before, self._before_that):
                places.extend([_AWAY] * _BLOCK)
            for times in (self._observed_ms, self._moved_ms, self._located_ms):
                times.extend([0] * _BLOCK)
            self._session.extend([0] * _BLOCK)
            self._nas.extend([0] * _BLOCK)
            self._confidence.extend([0] * _BLOCK)
        while subject >= len(self._lead):
            self._lead.extend([_AWAY] * _BLOCK)


def _key(name: str | None) -> int:
    """Return as what a session or access server is kept, 0 for none."""
    return hash(name) & _NAME or 1 if name else 0


def _column(numbers: array[int]) -> npt.NDArray[np.signedinteger]:
    """Return a view of a column; let go of it before the column grows."""
    return np.frombuffer(numbers, numbers.typecode)
