from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadTime, Malformed, TooLarge
from engine.ingest.formats import FORMATS, meraki
from engine.ingest.formats.meraki import identify, observe, records
from engine.model import Identity, Spot
from tests.ingest.formats.golden import NOW_MS

TIME = "2026-03-02T08:59:46Z"
AT_MS = 1_772_441_986_000


def body(*clients: object, kind: str = "WiFi", **data: object) -> bytes:
    return json.dumps(
        {"secret": "s", "type": kind, "data": {"observations": clients, **data}}
    ).encode()


def client(**fields: object) -> dict[str, object]:
    return {"clientMac": "a4:83:e7:11:22:33", "locations": [], **fields}


def located(**fields: object) -> dict[str, object]:
    return {"floorPlanId": "g_1", "x": 1.5, "y": 2.5, "time": TIME, **fields}


def spot_of(*locations: object, now_ms: int = NOW_MS) -> Spot | None:
    (record,) = records(body(client(locations=locations)))
    seen = observe(record, "", now_ms)
    return None if seen is None else seen.spot


# What may stand inside a text: quotes, backslashes, and what looks like a bare NaN.
texts = st.text(alphabet='"\\,:[]{}NaN n', max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.just(math.nan) | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=20,
)


def nulled(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, list):
        return [nulled(one) for one in value]
    if isinstance(value, dict):
        return {key: nulled(one) for key, one in value.items()}
    return value


@given(values)
def test_a_bare_nan_is_null_and_one_in_a_text_is_text(value: object) -> None:
    wire = json.dumps(value).encode()
    assert json.loads(b"".join(meraki._without_nan(wire))) == nulled(value)  # noqa: SLF001 - the rule itself


def test_a_login_keeps_its_letters_where_a_coordinate_is_a_bare_nan() -> None:
    (record,) = records(body(client(userId="NaNcy", locations=[located(x=math.nan)])))
    assert identify(record, "", 0).login == "NaNcy"


@given(st.binary(max_size=60))
def test_bytes_without_a_nan_stay_as_they_are(wire: bytes) -> None:
    wire = wire.replace(b"NaN", b"")
    assert b"".join(meraki._without_nan(wire)) == wire  # noqa: SLF001


@given(st.permutations([2, 5, 11, 30]), st.sampled_from(["NaN", None, "", "x", "1_0"]))
def test_the_newest_entry_with_coordinates_counts_in_any_order(
    seconds: list[int], none: str | None
) -> None:
    entries = [
        located(time=f"2026-03-02T08:59:{one:02}Z", x=one, y=none if one == 30 else 1)
        for one in seconds
    ]
    (record,) = records(body(client(locations=entries)))
    seen = observe(record, "", NOW_MS)
    assert seen is not None
    assert seen.spot == Spot("g_1", 11.0, 1.0)
    assert seen.observed_at_ms == AT_MS - 35_000


@pytest.mark.parametrize(
    "strange",
    [
        {"x": "NaN"},
        {"y": "Infinity"},
        {"x": None},
        {"x": ""},
        {"x": 0, "y": "0.0"},
        {"floorPlanId": None},
        {"floorPlanId": ""},
        {"time": None},
        {"time": "1970-01-01T00:00:00Z"},
    ],
)
def test_what_is_no_place_is_none(strange: dict[str, object]) -> None:
    assert spot_of(located(**strange)) is None


@pytest.mark.parametrize("radius", [0, -1, "NaN", None, "wide"])
def test_an_accuracy_that_is_none_is_not_said(radius: object) -> None:
    assert spot_of(located(variance=radius)) == Spot("g_1", 1.5, 2.5, -1.0)


@pytest.mark.parametrize(
    ("user", "login"),
    [
        ("ada@acme.example", "ada@acme.example"),
        ("ada", "ada"),
        ("+1 (415) 555-0100", None),
        ("4155550100", None),
        ("a4:83:e7:11:22:33", None),
        ("host/pc-17", None),
        ("", None),
        (None, None),
    ],
)
def test_a_sign_on_is_a_login_where_it_names_a_person(
    user: str | None, login: str | None
) -> None:
    (record,) = records(body(client(userId=user)))
    assert identify(record, "", 0) == Identity(login, "a4:83:e7:11:22:33")


@pytest.mark.parametrize(("rssi", "seen"), [(28, True), (27, False), (None, False)])
def test_an_access_point_that_hears_a_client_from_afar_is_not_its_place(
    rssi: int | None, *, seen: bool
) -> None:
    one = {"clientMac": "a", "rssi": rssi, "seenEpoch": AT_MS // 1000}
    (record,) = records(body(one, kind="DevicesSeen", apMac="00:18:0a:13:dd:b0"))
    assert (observe(record, "", NOW_MS) is not None) == seen


def test_an_observation_without_a_time_is_refused() -> None:
    one = {"clientMac": "a", "rssi": 60, "seenEpoch": 0, "seenTime": ""}
    (record,) = records(body(one, kind="DevicesSeen", apMac="ap-1"))
    with pytest.raises(BadTime):
        observe(record, "", NOW_MS)


def test_a_time_in_the_future_is_refused() -> None:
    with pytest.raises(BadTime):
        spot_of(located(time="2026-03-02T09:03:00Z"))


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(Malformed):
        spot_of(located(floorPlanId="g" * 257))


def test_one_client_that_cannot_be_read_spoils_no_other() -> None:
    refused: list[Exception] = []
    found = records(body(client(clientMac=17), client()))
    form = FORMATS["meraki"]
    assert form.identify is not None
    identities = form.identify(found, ["", ""], NOW_MS, refused.append)
    assert identities == [None, Identity(None, "a4:83:e7:11:22:33")]
    assert len(refused) == 1


@pytest.mark.parametrize("kind", ["Bluetooth", "BLE", "BluetoothDevicesSeen", ""])
def test_other_kinds_of_bodies_are_passed_over(kind: str) -> None:
    assert not records(body(client(), kind=kind))


def test_a_body_has_a_bound_of_clients_and_of_nans() -> None:
    with pytest.raises(TooLarge):
        records(body(*[client()] * (meraki.MAX_RECORDS + 1)))
    with pytest.raises(TooLarge):
        records(b'{"x":[' + b"NaN," * (meraki.MAX_NANS + 1) + b"0]}")


def test_what_is_no_client_ends_a_body_at_once() -> None:
    with pytest.raises(msgspec.ValidationError):
        records(body(*[0] * 1_000))


def test_the_row_says_how_a_body_proves_itself_and_is_answered() -> None:
    form = FORMATS["meraki"]
    assert (form.verify, form.answer, form.binds) == ("meraki", 200, False)
