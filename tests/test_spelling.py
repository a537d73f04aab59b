from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.spelling import (
    ID,
    Id,
    canonical_address,
    canonical_ap,
    canonical_login,
    device_address,
)

IDS = {
    "hq-3_A": True,
    "x" * 64: True,
    "x" * 65: False,
    "": False,
    "a/b": False,
    "a b": False,
    "é": False,
    "٣": False,
    "acme\n": False,
}


@pytest.mark.parametrize(("text", "fits"), IDS.items())
def test_an_id_is_the_same_wherever_it_is_read(text: str, *, fits: bool) -> None:
    try:
        msgspec.convert(text, Id)
    except msgspec.ValidationError:
        decoded = False
    else:
        decoded = True
    assert (ID.fullmatch(text) is not None, decoded) == (fits, fits)


@pytest.mark.parametrize(
    "spelling",
    [
        "04bd88005302",
        "04:BD:88:00:53:02",
        "04-bd-88-00-53-02",
        "04bd.8800.5302",
        "4:bd:88:0:53:2",
        "04-BD-88-00-53-02:Guest Wi-Fi",
        " 04BD88005302:corp ",
    ],
)
def test_every_spelling_of_an_address_is_one_access_point(spelling: str) -> None:
    assert canonical_ap(spelling) == "04bd88005302"


@pytest.mark.parametrize("name", ["hq-3-ap-12", "04bd880053021", "04:bd:88:00:53"])
def test_a_name_stays_a_name(name: str) -> None:
    assert canonical_ap(f" {name.upper()} ") == name


@given(st.text())
def test_canonical_spelling_is_stable(text: str) -> None:
    once = canonical_ap(text)
    assert canonical_ap(once) == once


@given(st.text(max_size=30))
def test_any_text_is_an_address_in_one_spelling_or_none(text: str) -> None:
    address = canonical_address(text)
    assert address is None or canonical_address(address) == address


def test_unpadded_octets_are_padded() -> None:
    assert canonical_address("00:52:bf:74:b:0") == "0052bf740b00"


@given(st.text(max_size=30) | st.text("ax@\\ ", max_size=9))
@example("a\\b@x")
@example("b@a@x")
@example("b @x")
def test_a_canonical_login_is_its_own_canonical_login(text: str) -> None:
    once = canonical_login(text, {"a", "x"})
    assert canonical_login(once, {"a", "x"}) == once


ADDRESSES = st.one_of(
    st.from_regex(r"[0-9a-fA-F]{12}", fullmatch=True),
    st.from_regex(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}", fullmatch=True),
    st.text(":-_ 0aF٣", max_size=17),
)


@given(ADDRESSES)
def test_a_device_address_as_a_number_is_the_one_in_digits(text: str) -> None:
    digits = canonical_address(text)
    assert device_address(text) == (-1 if digits is None else int(digits, 16))
