"""Real payloads of people counters, clouds and room devices: what they must mean.

Written by hand, as in `test_shared_samples`. Each is received at the newest time that
it tells, or it would be too old to say anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

import pytest

from engine.ingest.formats import find
from engine.model import ReadingFlag
from tests.ingest.formats.golden import NOW_MS, meaning_of

SHARED = Path(__file__).resolve().parents[4] / "shared" / "samples" / "sensors"

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no collection of samples beside the repository"
)

CACHED = ReadingFlag.CACHED.value
Meaning: TypeAlias = tuple[str, str, str, int, int, dict[str, int | str]]
"""Device, channel, kind, value, time in milliseconds, and what is seldom there."""


def says(
    device: str,
    kind: str,
    value: int,
    at_ms: int,
    channel: str = "",
    **more: int | str,
) -> Meaning:
    return device, channel, kind, value, at_ms, more


AXIS_MS = 1_747_901_700_000  # 2025-05-22T08:15:00Z
IRISYS_MS = 1_543_846_860_000  # 2018-12-03T14:21:00Z
VS121_MS = 1_671_534_952_000  # 2022-12-20T19:15:52 in UTC+8
AKENZA_MS = 1_746_787_606_000  # 2025-05-09T10:46:46Z
DENSITY_MS = 1_701_400_178_000  # 2023-12-01T03:09:38Z
BUTLR_MS = 1_727_735_832_000
YANZI_MS = 1_643_365_120_931
DEVICE = "device"
"""Of a source whose messages name none: it has one."""
ROOM = "room_2ouddps5ikhho6rwlmggvihmtlq"

MEANINGS: dict[str, tuple[str, int, list[Meaning]]] = {
    "axis-3d-people-counter-push": (
        "axis-3d",
        AXIS_MS,
        [says("b8a44fa89c85", "FLOW_DELTA", 1, AXIS_MS, out=2)],
    ),
    "axis-people-counter-live-sum": (
        "axis-live-sum",
        NOW_MS,
        [says("00408cac512b", "FLOW_TOTAL", 12, NOW_MS, out=318)],
    ),
    "butlr-room-occupancy": (
        "butlr",
        BUTLR_MS,
        [says(ROOM, "COUNT", 4, BUTLR_MS)],
    ),
    "butlr-zone-occupancy": (
        "butlr",
        BUTLR_MS,
        [says("zone_2oujlgkglqpjwnucwxnxpx3hb28", "COUNT", 4, BUTLR_MS)],
    ),
    "butlr-pir-no-motion": (
        "butlr",
        BUTLR_MS,
        [says(ROOM, "PRESENCE", 0, BUTLR_MS)],
    ),
    "cisco-roomos-feedback-peoplecount": (
        "roomos",
        NOW_MS,
        [says("device", "COUNT", 4, NOW_MS)],
    ),
    "cisco-roomos-feedback-peoplepresence": (
        "roomos",
        NOW_MS,
        [says("device", "PRESENCE", 1, NOW_MS)],
    ),
    "density-websocket-entry-refresh": (
        "density",
        NOW_MS,
        [
            says("spc_12345", "COUNT", 0, NOW_MS, flags=CACHED),
            says("spc_1678910", "COUNT", 1, NOW_MS, flags=CACHED),
            says("spc_12345", "HEALTH", 1, NOW_MS),
            says("spc_1678910", "HEALTH", 1, NOW_MS),
        ],
    ),
    "density-websocket-oa-live": (
        "density",
        DENSITY_MS,
        [
            says("spc_12345", "PRESENCE", 1, DENSITY_MS),
            says("spc_12345", "HEALTH", 1, DENSITY_MS),
        ],
    ),
    "disruptive-desk-via-akenza": (
        "disruptive",
        AKENZA_MS,
        [says("cj5jpe7r23r0008c1pmg", "PRESENCE", 1, AKENZA_MS)],
    ),
    "disruptive-temperature": (
        "disruptive",
        1_716_978_843_970,
        [
            says(
                "emucdd6ef2eu277bo8f52vg",
                "ENV",
                27_000,
                1_716_978_843_970,
                metric="temperature_c",
            )
        ],
    ),
    "disruptive-touch": (
        "disruptive",
        1_644_496_933_313,
        [says("emuc17m6d7lq0bgk44smcqg", "HEALTH", 1, 1_644_496_933_313)],
    ),
    "enlighted-desk-list": (
        "enlighted",
        NOW_MS,
        [
            says("70", "PRESENCE", 0, NOW_MS),
            says("71", "PRESENCE", 0, NOW_MS),
            says("72", "PRESENCE", 1, NOW_MS),
        ],
    ),
    # No tag says which way its registers count: the binding does. "LineExclude", zones
    # and dwell times are no lines.
    "irisys-vector-countlogs": (
        "irisys",
        IRISYS_MS,
        [
            says("v4d-17020025", "FLOW_TOTAL", 121, IRISYS_MS, "Line 1"),
            says("v4d-17020025", "FLOW_TOTAL", 127, IRISYS_MS, "Line 2"),
        ],
    ),
    "microsoft-graph-ingest-telemetry": (
        "microsoft-graph",
        1_617_183_365_144,
        [says("contoso_9d6816", "PRESENCE", 0, 1_617_183_365_144)],
    ),
    "milesight-vs121p-region-interval": (
        "milesight-vs121p",
        VS121_MS,
        [
            says("369362028335", "COUNT", 10, VS121_MS),
            says("369362028335", "PRESENCE", 1, VS121_MS, "region_1"),
            says("369362028335", "PRESENCE", 0, VS121_MS, "region_2"),
        ],
    ),
    "steinel-hpd2-sensorstatus": (
        "steinel-hpd2",
        NOW_MS,
        [
            says("device", "COUNT", 0, NOW_MS),
            says("device", "ENV", 27_746, NOW_MS, metric="temperature_c"),
            says("device", "ENV", 25_286, NOW_MS, metric="humidity_pct"),
            says("device", "ENV", 39_000, NOW_MS, metric="illuminance_lx"),
        ],
    ),
    # Its clock says 1975, so it was never set: the time of receipt.
    "terabee-people-http": (
        "terabee",
        NOW_MS,
        [says("fa21415eaeb7", "FLOW_TOTAL", 23, NOW_MS, out=12)],
    ),
    # A null space: the report is about the whole floor, not about a room.
    "vergesense-floor-report": ("vergesense", 1_774_434_454_942, []),
    "vergesense-sensor-report": (
        "vergesense",
        1_775_666_653_000,
        [says("3be-4nz", "COUNT", 0, 1_775_666_653_000)],
    ),
    "vergesense-space-availability": (
        "vergesense",
        1_732_196_265_000,
        [says("eg7859.43", "PRESENCE", 1, 1_732_196_265_000)],
    ),
    "vergesense-space-report": (
        "vergesense",
        1_732_195_905_000,
        [
            says("eg7859.43", "COUNT", 0, 1_732_195_905_000),
            says("eg7859.43", "PRESENCE", 0, 1_732_195_905_000, "signs_of_life"),
            says("eg7859.43", "MOTION", 0, 1_732_195_905_000),
        ],
    ),
    "vergesense-space-report-coordinates": (
        "vergesense",
        1_566_421_825_000,
        [
            says("cr_0721", "COUNT", 21, 1_566_421_825_000),
            says("cr_0721", "PRESENCE", -1, 1_566_421_825_000, "signs_of_life"),
            says("cr_0721", "MOTION", 1, 1_566_421_825_000),
        ],
    ),
    # A line counts one way a counter: which one, its channel tells.
    "xovis-live-data-count": (
        "xovis",
        1_673_875_622_987,
        [
            says(
                "801f12d530dc",
                "FLOW_TOTAL",
                1471,
                1_673_875_622_987,
                "Line-based logic 2/fw",
            )
        ],
    ),
    # Tracks that cross a line, groups among them, are no counts.
    "xovis-live-data-line-cross": (
        "xovis",
        NOW_MS,
        [says(DEVICE, "HEALTH", 1, NOW_MS)],
    ),
    "xovis-live-data-periodic": ("xovis", NOW_MS, [says(DEVICE, "HEALTH", 1, NOW_MS)]),
    # Two persons went through, each with a group's track behind: two are counted.
    "xovis-live-data-zone-count-excerpt": (
        "xovis",
        1_646_407_093_286,
        [
            says(DEVICE, "COUNT", 1, 1_646_407_004_965, "Zone 0"),
            says(DEVICE, "COUNT", 0, 1_646_407_006_484, "Zone 0"),
            says(DEVICE, "FLOW_TOTAL", 0, 1_646_407_006_484, "Line 0/bw", out=926),
            says(DEVICE, "COUNT", 1, 1_646_407_091_606, "Zone 0"),
            says(DEVICE, "COUNT", 0, 1_646_407_093_286, "Zone 0"),
            says(DEVICE, "FLOW_TOTAL", 0, 1_646_407_093_286, "Line 0/bw", out=927),
        ],
    ),
    # Four intervals in one message, each of its own time.
    "xovis-logics-data": (
        "xovis",
        1_645_793_100_000,
        [
            *[
                says(DEVICE, "COUNT", 0, 1_645_792_920_000 + 60_000 * minute, "Zone 0")
                for minute in range(4)
            ],
            says(DEVICE, "FLOW_DELTA", 1, 1_645_792_920_000, "Line 0"),
            says(DEVICE, "FLOW_DELTA", 3, 1_645_792_980_000, "Line 0", out=1),
            says(DEVICE, "FLOW_DELTA", 0, 1_645_793_040_000, "Line 0"),
            says(DEVICE, "FLOW_DELTA", 0, 1_645_793_100_000, "Line 0"),
        ],
    ),
    "xovis-status-data": ("xovis", NOW_MS, [says(DEVICE, "HEALTH", 1, NOW_MS)]),
    # A space that was left a moment ago is free, whatever its headcount still says.
    "xysense-floor-spaces": (
        "xysense",
        NOW_MS,
        [
            says("xysense-desk-123-id", "PRESENCE", 0, NOW_MS),
            says("xysense-desk-123-id", "COUNT", 0, NOW_MS),
            says("xysense-desk-456-id", "PRESENCE", 0, NOW_MS),
            says("xysense-desk-456-id", "COUNT", 0, NOW_MS),
            says("xysense-area-567-id", "PRESENCE", 1, NOW_MS),
            says("xysense-area-567-id", "COUNT", 8, NOW_MS),
        ],
    ),
    "yanzi-sample-motion": (
        "yanzi",
        YANZI_MS,
        [
            says("device", "HEALTH", 1, YANZI_MS),
            says("device", "MOTION", 1, YANZI_MS),
        ],
    ),
}

EVENTS: dict[str, tuple[str, int, int, dict[str, str]]] = {
    "disruptive-event-motion": ("PRESENCE", 1, 1_690_974_198_595, {}),
    "disruptive-event-object-present": ("PRESENCE", 0, 1_557_995_830_711, {}),
    "disruptive-event-network-status": ("HEALTH", 1, 1_557_994_881_076, {}),
    "disruptive-event-battery-status": (
        "ENV",
        100_000,
        1_557_994_881_076,
        {"metric": "battery_pct"},
    ),
    "disruptive-event-co2": ("ENV", 526_000, 1_643_298_634_471, {"metric": "co2_ppm"}),
    "disruptive-event-touch-count": ("HEALTH", 1, 1_557_995_121_604, {}),
}
"""Events of Disruptive Technologies, as the `event` member of a request has them."""


def meanings(form: str, body: bytes, now_ms: int) -> list[Meaning]:
    found = meaning_of(find(form), body, "", now_ms).get("readings", [])
    return [
        says(
            reading.pop("device"),
            reading.pop("kind"),
            reading.pop("value"),
            reading.pop("observed_at_ms"),
            reading.pop("channel"),
            **{name: value for name, value in reading.items() if value},
        )
        for reading in found
    ]


@pytest.mark.parametrize("name", MEANINGS)
def test_a_real_payload_means_what_its_documentation_says(name: str) -> None:
    form, now_ms, expected = MEANINGS[name]
    body = (SHARED / f"{name}.json").read_bytes()
    assert meanings(form, body, now_ms) == expected


@pytest.mark.parametrize("name", EVENTS)
def test_a_real_event_of_disruptive_technologies_is_read(name: str) -> None:
    kind, value, at_ms, more = EVENTS[name]
    event = json.loads((SHARED / f"{name}.json").read_bytes())
    device = event["targetName"].strip().rpartition("/")[2]
    body = json.dumps({"event": event, "labels": {}}).encode()
    assert meanings("disruptive", body, at_ms) == [
        says(device, kind, value, at_ms, **more)
    ]


def test_the_body_of_a_real_signed_request_is_read() -> None:
    request = SHARED / "disruptive-touch-signed-request.json"
    body = json.loads(request.read_bytes())["body"].encode()
    at_ms = 1_644_496_933_313
    assert meanings("disruptive", body, at_ms) == [
        says("emuc17m6d7lq0bgk44smcqg", "HEALTH", 1, at_ms)
    ]
