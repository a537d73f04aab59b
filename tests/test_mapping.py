"""`livefloor map`: the command as it is typed, and what it must never show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from engine.config import load
from engine.ingest.formats import find
from engine.mapping import Meaning, bindings, claimed, meaning, show, unused
from engine.model import Metric, Reading, ReadingKind
from tests.building import plan_features, plan_file
from tests.ingest.formats.golden import GOLDEN, NOW_MS, Sample

ROOT = Path(__file__).parents[1]
DESK = b'{"id": "7F21", "busy": true, "fw": "1.4", "radio": {"rssi": -60}}'
ACME = """
about = "Acme desks"
topic = "acme/+/state"
device = "{id}"
[[rule]]
reading = [{ kind = "presence", value = "busy" }]
"""


def livefloor(*words: str, message: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "engine", "map", *words],
        input=message,
        capture_output=True,
        cwd=ROOT,
        check=False,
        env={"COLUMNS": "200", "PATH": ""},
    )


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(ACME)
    return path


@pytest.mark.slow
def test_a_message_is_shown_with_its_readings_and_the_fields_nobody_used(
    acme: Path,
) -> None:
    words = ("test", "-", "--profile", str(acme), "--topic", "acme/7/state")
    done = livefloor(*words, message=DESK)
    assert done.returncode == 0
    told = done.stdout.decode()
    assert "7f21 presence occupied" in " ".join(told.split())
    assert "fw (text)" in told
    assert "radio (table of rssi)" in told
    assert "busy (" not in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message", "code", "told"),
    [
        (("test", "-"), DESK, 1, b"no format knows this message"),
        (("test", "-", "--format", "tts3"), b"{", 1, b"(malformed)"),
        (("test", "-", "--format", "tts4"), DESK, 2, b"perhaps 'tts3'"),
        (("test", "-", "--profile", "a.txt"), DESK, 2, b"ends in .toml"),
        (("test", "nowhere.json"), b"", 2, b"nowhere.json: cannot be read"),
        (("test", "-"), DESK, 1, b"if it came by MQTT, give its --topic;"),
        (("suggest", "-"), b"{", 1, b"neither JSON nor a short text"),
        (("test", "-"), b"a" * (1 << 20) + b"a", 2, b"at most 1048576 bytes"),
    ],
)
def test_who_cannot_be_helped_is_told_why(
    words: tuple[str, ...], message: bytes, code: int, told: bytes
) -> None:
    done = livefloor(*words, message=message)
    assert (done.returncode, done.stdout) == (code, b"")
    assert told in done.stderr


@pytest.mark.slow
def test_a_draft_is_accepted_at_once(tmp_path: Path) -> None:
    draft = tmp_path / "draft.toml"
    draft.write_bytes(livefloor("suggest", "-", message=DESK).stdout)
    done = livefloor("test", "-", "--profile", str(draft), message=DESK)
    assert done.returncode == 0
    assert b"occupied" in done.stdout


@pytest.mark.slow
def test_of_a_person_only_kinds_and_names_of_fields_are_shown() -> None:
    event = {"login": "ada", "device": "a4:83:e7:11:22:33", "ap": "hq-ap-7"}
    done = livefloor("test", "-", message=json.dumps(event).encode())
    assert done.returncode == 0
    assert b"about a person: login, device" in done.stdout
    assert b"joined" in done.stdout
    for secret in (b"ada", b"a4:83", b"hq-ap-7"):
        assert secret not in done.stdout + done.stderr


ALONE = [sample for sample in GOLDEN if not sample.before]
"""Samples that mean something without another before them."""

SITE = """
[redis]
locations = "redis://locations.example"
registry = "redis://registry.example"

[[broker]]
name = "main"
url = "mqtt://broker.example"

[[tenant]]
id = "acme"
plan = "plan.geojson"
sensors = "sensors.csv"

[[tenant.source]]
name = "desks"
format = "acme.toml"
broker = "main"
topics = ["acme/#"]
"""


@pytest.fixture
def config(acme: Path) -> Path:
    """A site with Acme's desk and door."""
    path = acme.with_name("livefloor.toml")
    path.write_text(SITE)
    acme.with_name("plan.geojson").write_bytes(plan_file(plan_features()))
    acme.with_name("sensors.csv").write_text(
        "source,device,space,kind\n"
        "desks,7f21,hq-1-lovelace,presence\n"
        "desks,door,hq-1-lovelace,flow\n"
    )
    return path


@pytest.mark.slow
def test_with_a_configuration_the_space_of_each_reading_is_shown(
    acme: Path, config: Path
) -> None:
    words = ("test", "-", "--format", str(acme), "--topic", "acme/7/state")
    for message, told in (
        (DESK, b"hq-1-lovelace"),
        (DESK.replace(b"7F21", b"7F22"), b"not bound"),
    ):
        done = livefloor(*words, "--config", str(config), message=message)
        assert done.returncode == 0, done.stderr
        assert told in done.stdout


@pytest.mark.parametrize("flow", [ReadingKind.FLOW_DELTA, ReadingKind.FLOW_TOTAL])
def test_a_line_is_bound_whichever_flow_it_reports(
    config: Path, flow: ReadingKind
) -> None:
    read = [
        Reading("door", flow, 3, NOW_MS, out=1),
        Reading("door", ReadingKind.COUNT, 3, NOW_MS),
        Reading("door", ReadingKind.ENV, 3, NOW_MS, metric=Metric.CO2),
    ]
    meant = Meaning(find("livefloor"), read, [], [], None, NOW_MS)
    out = Console(width=100)
    with out.capture() as capture:
        show(meant, b"", out, bindings(load(config), "acme"))
    line, count, air = (row for row in capture.get().splitlines() if "door" in row)
    assert "hq-1-lovelace" in line
    assert "not bound" in count
    assert "not bound" not in air


@pytest.mark.parametrize("sample", ALONE, ids=lambda sample: sample.name)
def test_a_sample_is_claimed_by_its_own_format(sample: Sample) -> None:
    form, _, payload, topic, now_ms, _, meant = sample
    found = meaning(form, payload, topic, now_ms)
    refused = set(meant.get("refused", ())) - {"unknown_value"}
    who = any(one["login"] or one["device"] for one in meant.get("identities", []))
    knows = bool(who or meant.get("readings")) and not refused
    assert found.claims is knows
    assert (claimed([found], sample.topic) is found) is knows


def test_a_radio_address_and_a_time_fit_into_eighty_columns() -> None:
    body = (
        b'{"devEUI": "70b3d567700a1122", "time": "2026-03-02T08:59:00Z",'
        b' "object": {"temperature": 22.4, "occupancy": "vacant"}}'
    )
    found = meaning(find("milesight-gateway"), body, "", NOW_MS)
    console = Console(width=80)
    with console.capture() as capture:
        show(found, body, console, None)
    told = capture.get()
    assert "temperature 22.4 c  2026-03-02 08:59:00" in told


def test_fields_of_items_are_told_once() -> None:
    shape = find("xovis").shape
    assert shape is not None
    body = {"logics_data": {"logics": [{"id": 1, "name": "a"}, {"id": 2}]}, "x": [1]}
    told = sorted(set(unused(json.dumps(body).encode(), shape)))
    assert told == ["logics_data.logics[*].id (number)", "x (list of 1)"]
    assert list(unused(b"ON", shape)) == []


def test_a_value_without_a_meaning_is_told_by_its_place_alone() -> None:
    body = b'{"devEUI": "a1", "object": {"occupancy": "Zq7-canary"}}'
    found = meaning(find("milesight-gateway"), body, "", NOW_MS)
    (told,) = found.strange
    assert "'occupancy'" in told
    assert "canary" not in told
