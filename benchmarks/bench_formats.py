"""What decoding costs: each stage of each format beside a bare decode of its bytes.

The question: does the private way (the identity alone, then no more) also cost least?
So `bare` decodes all into plain objects, as a consumer without a gate would.

One round decodes `RECORDS` different records, so that no cache of one of them helps;
divide by it for the cost of one. `pytest benchmarks/bench_formats.py` measures,
`--benchmark-disable` only checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from engine.ingest.formats import find

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture


NOW_MS = 1_772_442_000_000
RECORDS = 1_000


class Case(NamedTuple):
    """A stage of a format over payloads, and how many things must come out."""

    format: str
    stage: str
    payloads: list[bytes]
    topic: str = ""


def association(row: int) -> dict[str, object]:
    return {
        "login": f"p{row:05}",
        "device": f"a4:83:e7:11:{row // 256:02x}:{row % 256:02x}",
        "ap": f"hq-{row % 12}-ap-{row % 40}",
        "event": "joined",
        "at": NOW_MS - row,
    }


def reading(row: int) -> dict[str, object]:
    return {"sensor": f"desk-{row:05}", "occupied": row % 3 == 0, "at": NOW_MS - row}


def accounting(row: int) -> dict[str, object]:
    return {
        "User-Name": f"p{row:05}",
        "NAS-IP-Address": "192.0.2.10",
        "NAS-Port": 13,
        "NAS-Port-Type": "Wireless-802.11",
        "Acct-Status-Type": "Interim-Update",
        "Acct-Session-Id": f"{row:016x}",
        "Acct-Session-Time": 1659,
        "Acct-Input-Octets": 24_280,
        "Acct-Output-Octets": 18_413,
        "Event-Timestamp": NOW_MS // 1000 - row,
        "Calling-Station-Id": f"A4-83-E7-11-{row // 256:02X}-{row % 256:02X}",
        "Called-Station-Id": f"04-BD-88-00-53-{row % 200:02X}:corp",
        "Framed-IP-Address": "192.0.2.77",
    }


def uplink(row: int) -> dict[str, object]:
    return {
        "deduplicationId": f"3ac7e3c4-4401-4b8d-9386-{row:012x}",
        "time": "2026-03-02T08:59:59.775023242+00:00",
        "deviceInfo": {
            "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
            "tenantName": "ChirpStack",
            "applicationId": "17c82e96-be03-4f38-aef3-f83d48582d97",
            "applicationName": "Desks",
            "deviceProfileName": "VS341",
            "deviceName": f"Desk {row}",
            "devEui": f"{row:016x}",
            "tags": {"level": "3"},
        },
        "devAddr": "00189440",
        "adr": True,
        "dr": 1,
        "fCnt": row,
        "fPort": 85,
        "data": "AXVkAwAB",
        "object": {"battery": 100.0, "occupancy": "occupied"},
        "rxInfo": [
            {
                "gatewayId": "0016c001f153a14c",
                "uplinkId": 4_217_106_255,
                "rssi": -36,
                "snr": 10.5,
                "metadata": {"region_name": "eu868"},
            }
        ],
        "txInfo": {
            "frequency": 867_100_000,
            "modulation": {"lora": {"bandwidth": 125_000, "spreadingFactor": 11}},
        },
    }


def state(row: int) -> dict[str, object]:
    return {
        "battery": 97,
        "voltage": 2995,
        "illuminance": row,
        "linkquality": 86,
        "occupancy": row % 2 == 0,
        "last_seen": "2026-03-02T08:59:59.775Z",
    }


def payloads(
    make: Callable[[int], dict[str, object]],
    encode: Callable[[object], bytes] = msgspec.json.encode,
) -> list[bytes]:
    return [encode(make(row)) for row in range(RECORDS)]


def batch(encode: Callable[[object], bytes]) -> list[bytes]:
    return [encode([association(row) for row in range(RECORDS)])]


packed = msgspec.msgpack.encode
CASES = [
    Case("livefloor", "identify", payloads(association)),
    Case("livefloor", "identify-msgpack", payloads(association, packed)),
    Case("livefloor", "identify-batch", batch(msgspec.json.encode)),
    Case("livefloor", "identify-batch-msgpack", batch(packed)),
    Case("livefloor", "observe", payloads(association)),
    Case("livefloor", "read", payloads(reading)),
    Case("radius", "identify", payloads(accounting)),
    Case("radius", "observe", payloads(accounting)),
    Case("chirpstack4", "read", payloads(uplink), "application/1/device/a1/event/up"),
    Case("zigbee2mqtt", "read", payloads(state), "level3/hall"),
]
every_case = pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.format}-{case.stage}" for case in CASES]
)


@every_case
def bench_formats(benchmark: BenchmarkFixture, case: Case) -> None:
    form = find(case.format)
    stage = getattr(form, case.stage.partition("-")[0])
    topics = [case.topic] * len(case.payloads)
    refused: list[Exception] = []

    def run() -> list[object]:
        records, whose = form.split(case.payloads, topics, refused.append)
        found: list[object] = stage(records, whose, NOW_MS, refused.append)
        return found

    describe(benchmark, case)
    found = benchmark(run)
    assert len(found) == RECORDS
    assert all(found)
    assert not refused


@every_case
def bench_bare(benchmark: BenchmarkFixture, case: Case) -> None:
    codec = msgspec.msgpack if "msgpack" in case.stage else msgspec.json
    decode = codec.Decoder().decode

    def run() -> list[object]:
        return [decode(body) for body in case.payloads]

    describe(benchmark, case)
    assert all(benchmark(run))


def describe(benchmark: BenchmarkFixture, case: Case) -> None:
    benchmark.group = f"{case.format} {case.stage}"
    benchmark.extra_info["records_per_round"] = RECORDS
    benchmark.extra_info["bytes_per_round"] = sum(map(len, case.payloads))
