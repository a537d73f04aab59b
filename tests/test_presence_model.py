"""Presence against a plain model of its rules: objects, dicts, no columns, no speed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.floors import (
    APS,
    GONE,
    JOINED,
    LEFT,
    PARENT,
    PATIENCE,
    SPACE_BY_AP,
    Floors,
    by_ap,
    by_spot,
    ms,
)
from tests.moves import Move

if TYPE_CHECKING:
    from engine.model import ObservationKind

RETENTION_MS = 24 * 3_600_000
OWNER = {0: 0, 1: 0, 2: 1}


class Evidence(NamedTuple):
    """What an event says of a device that is here."""

    space: str
    percent: int
    ap: str = ""
    coarse: bool = False
    session: str | None = None


class Step(NamedTuple):
    """An event, so many seconds after the one before, and seen before it arrived."""

    row: int
    kind: ObservationKind
    said: Evidence
    after_s: int = 0
    late_s: int = 0
    blur_ms: int = 0
    confirms: bool = False


class Claimed(NamedTuple):
    evidence: Evidence
    at_ms: int
    due_ms: int


@dataclass
class Device:
    """What is known of a device."""

    seen_ms: int = 0
    ap: str = ""
    session: str | None = None
    space: str | None = None
    percent: int = 0
    moved_ms: int = 0
    located_ms: int = 0
    former: list[str | None] = field(default_factory=lambda: [None, None])
    claim: Claimed | None = None


def chain(space: str) -> list[str]:
    """Return a space and all that it is part of."""
    parent = PARENT[space]
    return [space] if parent is None else [space, *chain(parent)]


def level(space: str) -> str | None:
    return next((one for one in chain(space) if one.startswith("hq/")), None)


class Model:
    """The rules of `engine.presence`, one after the other."""

    def __init__(self) -> None:
        self.devices = {row: Device() for row in OWNER}
        self.lead: dict[int, int] = {}  # by subject

    def settle(self, step: Step, at_ms: int, now_ms: int) -> str:
        """Return what becomes of an event."""
        device, said = self.devices[step.row], step.said
        if at_ms < device.seen_ms <= at_ms + step.blur_ms:
            at_ms = device.seen_ms
        if at_ms < device.seen_ms or at_ms <= now_ms - RETENTION_MS:
            return "late"
        if step.kind is not JOINED:
            return self._departed(step.row, step.kind, said, at_ms)
        if at_ms == device.seen_ms and device.space is not None:
            claimed = device.claim.evidence.space if device.claim else None
            known = {device.ap} if said.ap else {device.space, claimed}
            if (said.ap or said.space) in known:
                return "duplicate"
        if said.ap:
            self._associated(device, said, at_ms)
            device.ap, device.session = said.ap, said.session
        else:
            self._located(device, said, at_ms)
        device.seen_ms = at_ms
        self._lead(step.row, now_ms)
        return "applied"

    def _departed(
        self, row: int, kind: ObservationKind, said: Evidence, at_ms: int
    ) -> str:
        device = self.devices[row]
        if kind is GONE:
            self._end(row, at_ms, gone=True, ap=device.ap)
        elif device.space is None:
            self._end(row, at_ms, ap=said.ap)
        elif device.ap in ("", said.ap) or (
            said.session and said.session == device.session
        ):
            self._end(row, at_ms, ap=device.ap)
        else:
            return "late"
        return "applied"

    def confirm(self, now_ms: int) -> None:
        for row, device in self.devices.items():
            if device.claim and device.claim.due_ms <= now_ms:
                said, at_ms, _ = device.claim
                self._believe(device, said, at_ms)
                device.located_ms = 0 if said.ap else at_ms
                self._lead(row, now_ms)

    def told(self, subject: int) -> set[Move]:
        """Return what the store is told of a subject."""
        lead = self.lead.get(subject)
        if lead is None:
            return set()
        rows = [lead]
        if self.devices[lead].space is None:
            rows = [
                row
                for row, owner in OWNER.items()
                if owner == subject
                and self.devices[row].space is None
                and self.devices[row].seen_ms
            ]
        return {self._move(subject, self.devices[row]) for row in rows}

    @staticmethod
    def _move(subject: int, device: Device) -> Move:
        here = device.space is not None
        return Move(
            f"s-{subject}",
            device.seen_ms,
            device.space,
            device.percent if here else 0,
            "" if device.located_ms else device.ap,
            0 if here else device.moved_ms,
        )

    def _end(self, row: int, at_ms: int, *, ap: str, gone: bool = False) -> None:
        device = self.devices[row]
        before_ms = device.seen_ms if device.space is not None else device.moved_ms
        ended = Device(seen_ms=at_ms, ap=ap if ap in APS else "")
        ended.moved_ms = at_ms if gone else before_ms
        self.devices[row] = ended
        subject = OWNER[row]
        if self.lead.get(subject, row) == row:
            since = [
                other
                for other, one in self.devices.items()
                if OWNER[other] == subject
                and one.space is not None
                and one.seen_ms >= at_ms
            ]
            self.lead[subject] = max(
                since, key=lambda other: self.devices[other].moved_ms, default=row
            )

    def _lead(self, row: int, now_ms: int) -> None:
        subject, device = OWNER[row], self.devices[row]
        lead = self.lead.get(subject, row)
        other = self.devices[lead]
        stale_ms = PATIENCE.stale_ms
        ghost = device.seen_ms < now_ms - stale_ms
        silent = device.seen_ms - other.seen_ms >= stale_ms
        if lead != row:
            if other.seen_ms > device.seen_ms:
                return
            keeps = other.moved_ms >= device.moved_ms or ghost
            if keeps and not silent and other.space is not None:
                return
        self.lead[subject] = row

    @staticmethod
    def _believe(device: Device, said: Evidence, at_ms: int) -> None:
        device.former = [device.space, device.former[0]]
        device.space, device.percent = said.space, said.percent
        device.moved_ms, device.claim = at_ms, None

    @staticmethod
    def _claim(device: Device, said: Evidence, at_ms: int, wait_ms: int) -> None:
        if device.claim is None or device.claim.evidence.space != said.space:
            device.claim = Claimed(said, at_ms, at_ms + wait_ms)

    def _arrive(self, device: Device, said: Evidence, at_ms: int) -> None:
        """Be at another place: at once, unless it is one of the last two."""
        claim = device.claim
        due = claim and claim.evidence.space == said.space and at_ms >= claim.due_ms
        if said.space not in device.former or due:
            self._believe(device, said, at_ms)
        else:
            self._claim(device, said, at_ms, PATIENCE.settle_ms)

    def _associated(self, device: Device, said: Evidence, at_ms: int) -> None:
        if said.space == device.space:
            device.claim, device.percent = None, said.percent
            return
        if device.located_ms and device.space is not None:
            fresh = at_ms - device.located_ms < PATIENCE.precise_ms
            if fresh and (said.ap == device.ap or said.space in chain(device.space)):
                return
            if fresh and level(said.space) == level(device.space):
                self._claim(device, said, at_ms, PATIENCE.settle_ms)
                return
            device.located_ms = 0
        self._arrive(device, said, at_ms)

    def _located(self, device: Device, said: Evidence, at_ms: int) -> None:
        self._weigh(device, said, at_ms)
        if device.space == said.space:
            device.located_ms = at_ms

    def _weigh(self, device: Device, said: Evidence, at_ms: int) -> None:
        believed, claim = device.space, device.claim
        if believed is None:
            self._believe(device, said, at_ms)
            return
        good_ms = max(device.located_ms, device.moved_ms)
        poor = said.coarse and at_ms - good_ms < PATIENCE.precise_ms
        finer = believed in chain(said.space) and said.space not in device.former
        same_level = level(said.space) == level(believed)
        if said.space == believed or finer:
            device.space, device.percent, device.claim = said.space, said.percent, None
        elif said.coarse and said.space in chain(believed):
            if not poor:
                device.space, device.percent = said.space, said.percent
                device.claim = None
            elif claim and level(claim.evidence.space) != level(believed):
                device.claim = None
        elif not same_level and not (
            at_ms - device.seen_ms >= PATIENCE.stale_ms
            or (
                claim
                and level(claim.evidence.space) == level(said.space)
                and at_ms > claim.at_ms
            )
        ):
            self._claim(device, said, at_ms, PATIENCE.level_ms)
        elif poor and same_level:
            self._claim(device, said, at_ms, PATIENCE.settle_ms)
        else:
            self._arrive(device, said, at_ms)


SPOTS = ["hq/1", "north", "lovelace", "hopper", "south", "curie", "hq/2", "noether"]
Steps: TypeAlias = st.SearchStrategy[Step]
SESSIONS = st.sampled_from([None, None, "s-1", "s-2"])
AT_AP = st.builds(
    lambda ap, session: Evidence(SPACE_BY_AP[ap], 70, ap, session=session),
    st.sampled_from(APS),
    SESSIONS,
)
AT_SPOT = st.builds(
    lambda space, coarse: Evidence(space, 65 if coarse else 85, coarse=coarse),
    st.sampled_from(SPOTS),
    st.booleans(),
)
FROM = st.builds(
    lambda ap, session: Evidence("", 0, ap, session=session),
    st.sampled_from([*APS, "", "ap-unlisted"]),
    SESSIONS,
)


def step(kind: ObservationKind, said: st.SearchStrategy[Evidence]) -> Steps:
    return st.builds(
        Step,
        row=st.sampled_from([0, 0, 0, 1, 2]),
        kind=st.just(kind),
        said=said,
        after_s=st.sampled_from([0, 0, 1, 5, 20, 60, 90, 240, 900]),
        late_s=st.sampled_from([0, 0, 0, 1, 30, 1_000]),
        blur_ms=st.sampled_from([0, 0, 999]),
        confirms=st.booleans(),
    )


STEPS = st.lists(
    st.one_of(
        step(JOINED, AT_AP),
        step(JOINED, AT_SPOT),
        step(JOINED, AT_SPOT),
        step(LEFT, FROM),
        step(GONE, st.just(Evidence("", 0))),
    ),
    max_size=30,
)


@pytest.mark.slow
@settings(max_examples=1_000)
@given(STEPS)
def test_presence_does_what_its_rules_say_one_by_one(steps: list[Step]) -> None:
    floors, model = Floors(), Model()
    now = 2_000.0
    for one in steps:
        now += one.after_s
        said, at = one.said, now - one.late_s
        by_spots = one.kind is JOINED and not said.ap
        place = by_spot(said.space, coarse=said.coarse) if by_spots else by_ap(said.ap)
        told = floors.settle(
            place,
            one.kind,
            at,
            one.row,
            ap=said.ap,
            session=said.session,
            blur_ms=one.blur_ms,
            late_s=one.late_s,
        )
        assert told == model.settle(one, ms(at), ms(now))
        if one.confirms:
            floors.presence.confirm(ms(now))
            model.confirm(ms(now))
        floors.presence.give_back([0, 1])
        assert set(floors.moves()) == model.told(0) | model.told(1)
