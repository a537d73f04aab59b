"""Recordings of streams through the whole pipeline: out of order, and right in the end.

What must come out is computed here from the recording alone: of each device, the fix
with the newest `lastSeen`, wherever it stands in the file. The public recording lies
beside the repository; a made-up one of the same shape lies in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.ingest.formats import FORMATS
from engine.ingest.pull_session import Received
from engine.model import Fixes, Person, Placement
from engine.pipeline import Pipeline
from engine.source import Route, Source
from engine.spelling import canonical_address
from engine.tenant import Tenant
from tests.building import small_plan
from tests.moves import singly

if TYPE_CHECKING:
    from engine.model import Sightings

PUBLIC = (
    Path(__file__).resolve().parents[2]
    / "shared/samples/wifi/cisco-spaces-firehose-recording.ndjson"
)
OURS = Path(__file__).parent / "recordings/cisco-spaces-firehose.ndjson"

recordings = pytest.mark.parametrize(
    "recording",
    [
        pytest.param(OURS, id="ours"),
        pytest.param(
            PUBLIC,
            id="public",
            marks=pytest.mark.skipif(
                not PUBLIC.is_file(), reason="no collection beside the repository"
            ),
        ),
    ],
)

FLOORS = ("hq-1-lovelace", "hq-1-hopper", "hq-0-lovelace")
"""A space for each floor of a recording, in the order of their keys."""


class Floors:
    """Places a device on the floor that its spot names."""

    def __init__(self, tenant: Tenant, floors: list[str]) -> None:
        space = tenant.plan.space_by_id
        self._place_by_floor = {
            floor: Placement(-1, space[name], 80)
            for floor, name in zip(floors, FLOORS, strict=True)
        }

    def place(self, *arguments: Any) -> Fixes:  # noqa: ANN401 - as the tenant's own
        sightings: Sightings = arguments[-2]
        spots = [seen.spot for seen in sightings.observation]
        places = [self._place_by_floor[spot.floor] for spot in spots if spot]
        return Fixes(sightings.subject, sightings.device, places, sightings.observation)


class Playback:
    """A tenant whose everybody shares, and the updates of a recording."""

    def __init__(self, recording: Path) -> None:
        self.lines = recording.read_bytes().splitlines()
        events = [json.loads(line) for line in self.lines]
        self.sent_ms = [event["recordTimestamp"] for event in events]
        self.updates = [
            event["deviceLocationUpdate"]
            for event in events
            if event["eventType"] == "DEVICE_LOCATION_UPDATE"
        ]
        self.now_ms = max(self.sent_ms) + 1_000
        self.tenant = Tenant("acme", small_plan())
        floors = {one["location"]["sourceLocationId"] for one in self.updates}
        self.space_by_floor = dict(zip(sorted(floors), FLOORS, strict=True))
        self.tenant.locator = Floors(self.tenant, sorted(floors))  # type: ignore[assignment]
        self.source = Source(
            name="spaces", tenant=self.tenant, form=FORMATS["cisco-spaces"]
        )

    def share(self, every: int = 1) -> None:
        """Let each `every`-th device's bearer opt in."""
        for address in sorted(self.expected())[::every]:
            person = Person(f"s-{address}", f"login-{address}", "A", (address,), 0)
            self.tenant.consent.grant(person)

    def expected(self) -> dict[str, tuple[int, set[str]]]:
        """Return when each device was seen last, and where: several, if at one time."""
        found: dict[str, tuple[int, set[str]]] = {}
        for update in self.updates:
            address = canonical_address(update["device"]["macAddress"])
            assert address is not None
            seen_ms = update["lastSeen"]
            space = self.space_by_floor[update["location"]["sourceLocationId"]]
            known_ms, spaces = found.get(address, (0, set()))
            if seen_ms > known_ms:
                found[address] = (seen_ms, {space})
            elif seen_ms == known_ms:
                spaces.add(space)
        return found

    def run(
        self, size: int, *, backwards: bool = False
    ) -> dict[str, tuple[int, str | None]]:
        """Play all of it, in chunks of a size; return where each device ends."""
        lines = self.lines[::-1] if backwards else self.lines
        pipeline = Pipeline(lambda _stage, _seconds: None)
        route = Route(self.source)
        for start in range(0, len(lines), size):
            chunk = [Received(line) for line in lines[start : start + size]]
            pipeline.run({route: chunk}, self.now_ms)
        # Whatever is only claimed is believed by then.
        self.tenant.presence.confirm(self.now_ms + 3_600_000)
        moves = singly(self.tenant.presence.take(10_000))
        return {
            move.subject.removeprefix("s-"): (move.observed_at_ms, move.space)
            for move in moves
        }


@recordings
@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("backwards", [False, True], ids=["as it came", "backwards"])
def test_a_stream_out_of_order_ends_where_each_device_was_seen_last(
    recording: Path, size: int, *, backwards: bool
) -> None:
    playback = Playback(recording)
    playback.share()
    found, expected = playback.run(size, backwards=backwards), playback.expected()
    assert found.keys() == expected.keys()
    for address, (seen_ms, space) in found.items():
        newest_ms, spaces = expected[address]
        assert seen_ms == newest_ms
        assert space in spaces
    outcomes = playback.source.tally.by_outcome
    assert not playback.source.tally.by_reason
    # A keep-alive is no event.
    assert sum(outcomes.values()) == len(playback.updates)


@recordings
def test_the_recording_is_out_of_order_where_it_matters(recording: Path) -> None:
    playback = Playback(recording)
    pairs = zip(playback.sent_ms, playback.sent_ms[1:], strict=False)
    assert sum(one > other for one, other in pairs) >= 20
    last = {
        canonical_address(one["device"]["macAddress"]): one["lastSeen"]
        for one in playback.updates
    }
    newest = {address: ms for address, (ms, _) in playback.expected().items()}
    assert recording == PUBLIC or sum(last[one] < newest[one] for one in newest) >= 3


@recordings
def test_of_a_recording_only_those_who_share_leave_a_trace(recording: Path) -> None:
    playback = Playback(recording)
    playback.share(every=3)
    found = playback.run(7)
    sharing = sorted(playback.expected())[::3]
    assert sorted(found) == sharing
    theirs = [
        one
        for one in playback.updates
        if canonical_address(one["device"]["macAddress"]) in sharing
    ]
    outcomes = {o.value: n for o, n in playback.source.tally.by_outcome.items()}
    assert outcomes["disposed"] == len(playback.updates) - len(theirs)
