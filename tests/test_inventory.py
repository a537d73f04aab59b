from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rich.console import Console

from engine import inventory, overview
from engine.errors import Malformed, UnknownName
from engine.ingest.formats import FORMATS
from engine.model import (
    Observation,
    ObservationKind,
    Outcome,
    Person,
    Reading,
    ReadingKind,
    Sightings,
    Spot,
)
from engine.query.sources import FilesEntry, SourceList
from engine.reload import Files
from engine.source import Source
from engine.space import Binding
from engine.tenant import Tenant
from tests.building import small_plan

NOW = 1_800_000_000_000


def source(name: str = "zigbee2mqtt") -> Source:
    tenant = Tenant("acme", small_plan())
    return Source(name="src", tenant=tenant, form=FORMATS[name], transport="webhook")


def listed(one: Source, now_ms: int = NOW) -> SourceList:
    site: Any = SimpleNamespace(sources={("acme", "src"): one})
    return inventory.listed(site, {"acme": Files(NOW, "a: b", NOW)}, now_ms)


def test_a_source_that_never_spoke_is_told_as_such() -> None:
    found = listed(source())
    (one,) = found.sources
    assert (one.tenant, one.name, one.format) == ("acme", "src", "zigbee2mqtt")
    assert (one.transport, one.message_age_s) == ("webhook", None)
    assert found.files == [FilesEntry("acme", NOW, "a: b")]


def test_what_came_is_told_with_its_reasons() -> None:
    one = source()
    one.tally.heard_ms = NOW - 2_500
    one.tally.add(Outcome.APPLIED, 7)
    one.tally.refuse(Malformed("no count"))
    (entry,) = listed(one).sources
    assert entry.outcomes["applied"] == 7
    assert entry.refusals == {"malformed": 1}
    assert entry.message_age_s == 2
    (letter,) = entry.dead_letters
    assert (letter.reason, letter.detail, letter.count) == ("malformed", "no count", 1)
    assert letter.last_ms == NOW - 2_500


def test_an_unbound_sensor_comes_with_the_lines_that_would_bind_it() -> None:
    one = source()
    one.tally.strays.hear(
        [
            Reading('a,"b', kind, 1, NOW, "left")
            for kind in (
                *(ReadingKind.FLOW_TOTAL, ReadingKind.FLOW_DELTA, ReadingKind.COUNT),
                *(ReadingKind.HEALTH, ReadingKind.ENV),
            )
        ],
        NOW,
    )
    (entry,) = listed(one).sources
    (device,) = entry.unbound
    assert device.kinds == ["count", "env", "flow", "health"]
    assert device.lines == [
        'src,"a,""b",left,SPACE,count',
        'src,"a,""b",left,SPACE,flow',
    ]


def test_a_contact_that_is_bound_is_shown_with_what_it_last_said() -> None:
    space = small_plan().space_by_id["hq-1-hopper"]
    contact = ReadingKind.CONTACT
    doors = [Binding("src", "a", str(n), space, contact, 0, 0) for n in range(3)]
    tenant = Tenant("acme", small_plan(), bindings=doors)
    one = Source(name="src", tenant=tenant, form=FORMATS["zigbee2mqtt"])
    tenant.occupancy.apply([0, 1], [1, 0], [NOW, NOW - 5], [0, 0], NOW)
    found = listed(one)
    assert [(d.channel, d.open, d.since_ms) for d in found.sources[0].contacts] == [
        ("0", True, NOW),
        ("1", False, NOW - 5),
        ("2", None, 0),
    ]
    text = drawn(found)
    assert all(word in text for word in ("open", "closed", "unknown", "never"))


def test_a_sensor_that_is_bound_as_what_it_does_not_report_says_so() -> None:
    space = small_plan().space_by_id["hq-1-hopper"]
    row = Binding("src", "pir", "", space, ReadingKind.MOTION, 0, 0)
    tenant = Tenant("acme", small_plan(), bindings=[row])
    one = Source(name="src", tenant=tenant, form=FORMATS["zigbee2mqtt"])
    for device in ("pir", "other"):
        one.tally.strays.hear([Reading(device, ReadingKind.PRESENCE, 1, NOW)], NOW)
    found = listed(one)
    assert [device.bound_as for device in found.sources[0].unbound] == [["motion"], []]
    assert drawn(found).count("presence; sensors.csv says motion") == 1


def test_eighty_columns_are_enough_for_names_and_numbers_of_a_tenant() -> None:
    one = source()
    one.tally.heard_ms = NOW - 3_700_000
    one.tally.add(Outcome.APPLIED, 1_234_567)
    text = drawn(listed(one), width=80)
    assert "zigbee2mqtt" in text
    assert "tenant" not in text.partition("source")[0]
    for word in ("1,234,567", "duplicate", "disposed", "refused", "1 h 1 min"):
        assert word in text


def test_unknown_access_points_are_named_only_where_many_share() -> None:
    one = source("radius")
    one.tally.strays.miss(["ap-9"], NOW)
    for n in range(4):
        one.tenant.consent.grant(Person(f"s-{n}", f"p{n}", "P", (), NOW))
    assert listed(one).sources[0].unknown_access_points == []
    one.tenant.consent.grant(Person("s-4", "p4", "P", (), NOW))
    (ap,) = listed(one).sources[0].unknown_access_points
    assert (ap.ap, ap.count, ap.hour_ms % 3_600_000) == ("ap-9", 1, 0)


def test_unknown_floors_are_named_of_their_source_only_where_many_share() -> None:
    one = source("meraki")
    for name, floor in (("src", "g_9"), ("src", "g_10"), ("other", "g_11")):
        seen = Observation(ObservationKind.JOINED, "", NOW, spot=Spot(floor, 1, 1, 1))
        one.tenant.locator.place(name, Sightings([0], [0], [seen]), id)
    for n in range(4):
        one.tenant.consent.grant(Person(f"s-{n}", f"p{n}", "P", (), NOW))
    assert listed(one).sources[0].unknown_floors == []
    one.tenant.consent.grant(Person("s-4", "p4", "P", (), NOW))
    found = listed(one)
    assert found.sources[0].unknown_floors == ["g_10", "g_9"]
    assert "floors that no map in maps.toml is for\ng_10, g_9\n" in drawn(found)


def drawn(found: SourceList, width: int = 120) -> str:
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(overview.drawn(found))
    return capture.get()


def test_the_command_shows_tables_and_lines_to_paste() -> None:
    one = source()
    one.tally.heard_ms = NOW - 3_700_000
    one.tally.refuse(UnknownName("[bold]x"))
    one.tally.strays.hear([Reading("seat", ReadingKind.PRESENCE, 1, NOW)], NOW)
    one.tally.strays.miss(["ap-9"], NOW)
    for n in range(5):
        one.tenant.consent.grant(Person(f"s-{n}", f"p{n}", "P", (), NOW))
    text = drawn(listed(one))
    assert "newer files are not in use: a: b" in text
    assert "1 h 1 min" in text
    assert "[bold]x" in text
    assert "2027-01-15 08:00:00Z" in text
    assert "ap-9" in text
    assert "source,device,channel,space,kind\nsrc,seat,,SPACE,presence" in text
