from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import Identity, Observation, ObservationKind, Person
from engine.privacy.consent import DEVICES_PER_LOGIN, Consent

ADA = Person("s-ada", "ada", "Ada", ("a483e7112233",), 0)
BOB = Person("s-bob", "bob", "Bob", ("a483e7445566", "a483e7778899"), 0)
SEEN = Observation(ObservationKind.JOINED, "ap-1", 1_000)


def view(*people: Person) -> Consent:
    consent = Consent({"corp", "corp.tld"})
    for person in people:
        consent.grant(person)
    return consent


def who(consent: Consent, identity: Identity) -> str | None:
    row = consent.admit(identity)
    return None if row < 0 else consent.subject_id(consent.sighting(row, SEEN).subject)


@pytest.mark.parametrize("login", ["ada", "ADA", " ada ", "CORP\\Ada", "ada@corp.tld"])
def test_a_login_is_known_in_every_spelling(login: str) -> None:
    assert who(view(ADA, BOB), Identity(login=login)) == "s-ada"


@pytest.mark.parametrize("login", ["ada@elsewhere.tld", "OTHER\\ada", "ada@corp@x"])
def test_a_visitor_of_another_realm_is_not_our_person(login: str) -> None:
    assert who(view(ADA, BOB), Identity(login=login)) is None


@pytest.mark.parametrize(
    "device",
    ["a483e7445566", "A4:83:E7:44:55:66", "a4-83-e7-44-55-66", "a483.e744.5566"],
)
def test_a_device_is_known_in_every_spelling(device: str) -> None:
    assert who(view(ADA, BOB), Identity(device=device)) == "s-bob"


@pytest.mark.parametrize(
    "identity",
    [
        Identity(),
        Identity(login="", device=""),
        Identity(login="eve"),
        Identity(device="00:00:00:00:00:01"),
        Identity(device="not an address"),
        Identity(login="eve", device="00:00:00:00:00:01"),
        Identity(login="ada2"),
        Identity(login="s-ada"),
    ],
)
def test_nobody_else_passes(identity: Identity) -> None:
    assert view(ADA, BOB).admit(identity) == -1


def test_a_login_speaks_before_a_lent_device() -> None:
    consent = view(ADA, BOB)
    assert who(consent, Identity(login="ada", device="a483e7445566")) == "s-ada"


def test_a_stranger_with_a_lent_device_is_a_stranger() -> None:
    consent = view(ADA)
    assert who(consent, Identity(login="eve", device="a483e7112233")) is None
    assert who(consent, Identity(login="", device="a483e7112233")) == "s-ada"


def test_a_device_named_with_a_login_is_told_apart_but_never_known_alone() -> None:
    consent = view(ADA)
    laptop = Identity(login="ada", device="02:00:00:00:00:01")
    row = consent.admit(laptop)
    assert row == consent.admit(laptop)
    assert row not in (
        consent.admit(Identity(login="ada")),
        consent.admit(Identity(device="a483e7112233")),
    )
    assert consent.admit(Identity(device="02:00:00:00:00:01")) == -1


def test_rows_for_unregistered_devices_are_bounded() -> None:
    consent = view(ADA)
    rows = {
        consent.admit(Identity(login="ada", device=f"02:00:00:00:00:{n:02x}"))
        for n in range(100)
    }
    assert len(rows) == DEVICES_PER_LOGIN + 1


def test_a_withdrawn_person_is_a_stranger_and_the_rows_are_free() -> None:
    consent = view(ADA, BOB)
    consent.admit(Identity(login="ada", device="02:00:00:00:00:01"))
    rows = consent.withdraw(ADA)
    assert len(rows) == 3
    assert who(consent, Identity(login="ada", device="a483e7112233")) is None
    assert who(consent, Identity(login="bob")) == "s-bob"
    assert list(consent) == ["s-bob"]
    assert "s-ada" not in consent
    assert consent.withdraw(ADA) == []


def test_who_opts_in_again_is_a_new_subject_on_reused_rows() -> None:
    consent = view(ADA)
    before = consent.rows
    consent.withdraw(ADA)
    again = Person("s-ada-2", "ada", "Ada", ADA.devices, 5)
    consent.grant(again)
    assert consent.rows == before
    assert who(consent, Identity(login="ada")) == "s-ada-2"
    assert consent.subject_of("s-ada") is None
    subject = consent.subject_of("s-ada-2")
    assert subject is not None
    assert len(list(consent.rows_of(subject))) == 2


def test_a_device_belongs_to_the_first_who_registered_it() -> None:
    thief = Person("s-eve", "eve", "Eve", ADA.devices, 0)
    consent = view(ADA, thief)
    assert who(consent, Identity(device="a483e7112233")) == "s-ada"
    consent.withdraw(thief)
    assert who(consent, Identity(device="a483e7112233")) == "s-ada"


PEOPLE = [
    Person(f"s-{n}", f"user{n}", f"User {n}", (f"0000000000{n:02x}",), 0)
    for n in range(6)
]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40))
def test_the_view_is_exactly_who_shares_now(steps: list[tuple[int, bool]]) -> None:
    consent = Consent()
    sharing: set[int] = set()
    for number, grant in steps:
        if grant and number not in sharing:
            consent.grant(PEOPLE[number])
            sharing.add(number)
        elif not grant:
            consent.withdraw(PEOPLE[number])
            sharing.discard(number)
    assert set(consent) == {PEOPLE[n].subject for n in sharing}
    assert len(consent) == len(sharing)
    for number, person in enumerate(PEOPLE):
        expected = person.subject if number in sharing else None
        assert who(consent, Identity(login=person.login)) == expected
        assert who(consent, Identity(device=person.devices[0])) == expected
