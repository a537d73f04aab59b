from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import Identity, Observation, ObservationKind, Person
from engine.privacy.consent import (
    DEVICES_PER_LOGIN,
    MEMORY,
    NOBODY,
    REFUSED,
    STRANGER,
    Consent,
)
from engine.spelling import canonical_login

ADA = Person("s-ada", "ada", "Ada", ("a483e7112233",), 0)
BOB = Person("s-bob", "bob", "Bob", ("a483e7445566", "a483e7778899"), 0)
SEEN = Observation(ObservationKind.JOINED, "ap-1", 1_000)


def view(*people: Person) -> Consent:
    consent = Consent({"corp", "corp.tld"})
    for person in people:
        consent.grant(person)
    return consent


def who(consent: Consent, identity: Identity) -> str | None:
    row = admit(consent, identity)
    if row < 0:
        return None
    ((subject,), (device,), (seen,)) = consent.sightings([row], [SEEN])
    assert (device, seen) == (row, SEEN)
    return consent.subject_id(subject)


def admit(consent: Consent, identity: Identity) -> int:
    (row,) = consent.admit([identity])
    return row


@pytest.mark.parametrize("login", ["ada", "ADA", " ada ", "CORP\\Ada", "ada@corp.tld"])
def test_a_login_is_known_in_every_spelling(login: str) -> None:
    assert who(view(ADA, BOB), Identity(login=login)) == "s-ada"


@pytest.mark.parametrize("login", ["ada@elsewhere.tld", "OTHER\\ada", "ada@corp@x"])
def test_a_visitor_of_another_realm_is_not_our_person(login: str) -> None:
    assert who(view(ADA, BOB), Identity(login=login)) is None


def test_who_is_called_like_a_spelling_of_another_gets_none_of_their_records() -> None:
    login = canonical_login("ada@corp.tld@corp.tld", {"corp.tld"})
    consent = view(ADA, Person("s-other", login, "Other", (), 0))
    assert who(consent, Identity(login="ada@corp.tld")) == "s-ada"


@pytest.mark.parametrize(
    "device",
    ["a483e7445566", "A4:83:E7:44:55:66", "a4-83-e7-44-55-66", "a483.e744.5566"],
)
def test_a_device_is_known_in_every_spelling(device: str) -> None:
    assert who(view(ADA, BOB), Identity(device=device)) == "s-bob"


@pytest.mark.parametrize(
    "identity",
    [
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
    assert admit(view(ADA, BOB), identity) == STRANGER


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
    row = admit(consent, laptop)
    assert row == admit(consent, laptop)
    assert row not in (
        admit(consent, Identity(login="ada")),
        admit(consent, Identity(device="a483e7112233")),
    )
    assert admit(consent, Identity(device="02:00:00:00:00:01")) == -1


def test_rows_for_unregistered_devices_are_bounded() -> None:
    consent = view(ADA)
    rows = {
        admit(consent, Identity(login="ada", device=f"02:00:00:00:00:{n:02x}"))
        for n in range(100)
    }
    assert len(rows) == DEVICES_PER_LOGIN + 1


def test_a_withdrawn_person_is_a_stranger_and_the_rows_are_free() -> None:
    consent = view(ADA, BOB)
    admit(consent, Identity(login="ada", device="02:00:00:00:00:01"))
    rows = consent.withdraw(ADA)
    assert len(rows) == 1
    assert who(consent, Identity(login="ada", device="a483e7112233")) is None
    assert who(consent, Identity(login="bob")) == "s-bob"
    assert list(consent) == ["s-bob"]
    assert "s-ada" not in consent
    assert consent.withdraw(ADA) == []


def test_who_opts_in_again_is_a_new_subject_on_reused_rows() -> None:
    consent = view(ADA)
    for device in ("a483e7112233", "020000000001"):
        admit(consent, Identity(login="ada", device=device))
    before = consent.rows
    consent.withdraw(ADA)
    again = Person("s-ada-2", "ada", "Ada", ADA.devices, 5)
    consent.grant(again)
    assert who(consent, Identity(login="ada")) == "s-ada-2"
    assert who(consent, Identity(device="a483e7112233")) == "s-ada-2"
    assert consent.rows == before == 2
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


def test_a_record_about_nobody_is_told_from_a_stranger_and_from_a_refused_one() -> None:
    identities = [Identity(), None, Identity(login=""), Identity(login="ada")]
    nobody, refused, stranger, ada = view(ADA).admit(identities)
    assert (nobody, refused, stranger) == (NOBODY, REFUSED, STRANGER)
    assert ada >= 0


def test_nobody_is_remembered_who_does_not_share() -> None:
    consent = view(ADA)
    consent.admit([Identity(login=f"eve{n}", device="020000000001") for n in range(9)])
    consent.admit([Identity(device="020000000001"), Identity()])
    assert not consent._memory  # noqa: SLF001 - what must not grow
    consent.admit([Identity(login="Ada", device="02:00:00:00:00:01")])
    assert len(consent._memory) == 1  # noqa: SLF001
    consent.withdraw(ADA)
    assert not consent._memory  # noqa: SLF001
    assert admit(consent, Identity(login="Ada", device="02:00:00:00:00:01")) < 0


def test_what_is_remembered_has_a_bound() -> None:
    consent = view(ADA)
    for n in range(MEMORY + 10):
        admit(consent, Identity(login="ada", device=f"not an address {n}"))
    assert len(consent._memory) <= MEMORY  # noqa: SLF001


def test_what_is_longer_than_an_address_is_not_remembered() -> None:
    consent = view(ADA)
    assert who(consent, Identity(login="ada", device=1_000_000 * "x")) == "s-ada"
    assert not consent._memory  # noqa: SLF001 - what must not grow


def test_a_person_is_found_by_login_as_they_were_granted() -> None:
    consent = view(ADA, BOB)
    assert consent.person("bob") == BOB
    assert consent.person("eve") is None
    consent.withdraw(BOB)
    assert consent.person("bob") is None


def test_many_are_let_in_at_once_as_one_by_one() -> None:
    together, alone = Consent(), view(*PEOPLE)
    assert together.grant_all(PEOPLE) == [alone.subject_of(p.subject) for p in PEOPLE]
    for person in PEOPLE:
        for identity in (Identity(person.login), Identity(None, person.devices[0])):
            assert who(together, identity) == who(alone, identity) == person.subject


def test_a_changed_person_keeps_the_subject_and_loses_the_old_device() -> None:
    consent = view(ADA)
    before = admit(consent, Identity(device="a483e7112233"))
    changed = Person("s-ada", "ada", "Ada L.", ("020000000009",), 0)
    assert consent.change(changed) == [before]
    assert who(consent, Identity(device="a483e7112233")) is None
    assert who(consent, Identity(device="020000000009")) == "s-ada"
    assert consent.person("ada") == changed
    assert consent.change(BOB) == []


def test_a_device_kept_through_a_change_is_theirs_once_its_first_owner_left() -> None:
    shared = ("020000000001",)
    first, second = (Person(f"s-{n}", f"p{n}", "", shared, 0) for n in range(2))
    consent = view(first, second)
    consent.withdraw(first)
    consent.change(second)
    assert who(consent, Identity(device="020000000001")) == "s-1"


def test_rows_that_are_given_away_leave_room_for_other_devices() -> None:
    """Phones change their addresses: an old one must not count for ever."""
    consent = view(ADA)
    rotated = [f"02000000{n:04x}" for n in range(3 * DEVICES_PER_LOGIN)]
    for number, device in enumerate(rotated):
        row = admit(consent, Identity(login="ada", device=device))
        assert row != admit(consent, Identity(login="ada"))
        if number >= DEVICES_PER_LOGIN - 1:
            consent.release([row])
    assert consent.rows <= DEVICES_PER_LOGIN + 1
    rows = consent.rows_of(0)
    assert len(rows) == len(set(rows))
    consent.release(rows)
    assert consent.rows_of(0) == []
    assert admit(consent, Identity(login="ada")) >= 0


ACT = st.sampled_from(["grant", "withdraw", "change", "release", "see"])
ADDRESSES = [f"02000000000{n}" for n in range(3)]


@given(st.lists(st.tuples(ACT, st.integers(0, 2), st.integers(0, 2)), max_size=40))
def test_a_row_stands_for_one_device_of_one_subject_whoever_had_it_before(
    steps: list[tuple[str, int, int]],
) -> None:
    consent = Consent()
    sharing: dict[int, Person] = {}
    owner: dict[str, int] = {}  # of registered devices: who was first
    known: dict[tuple[int, str | None], int] = {}  # rows, by whose and which device
    for number, (act, who, device) in enumerate(steps):
        address, person = ADDRESSES[device], sharing.get(who)
        if act == "grant" and person is None:
            person = Person(f"s-{number}", f"p{who}", "", (address,), 0)
            sharing[who] = person
            owner.setdefault(address, who)
            consent.grant(person)
        elif act == "withdraw" and person is not None:
            theirs = {row for (one, _), row in known.items() if one == who}
            assert set(consent.withdraw(sharing.pop(who))) == theirs
            known = {key: row for key, row in known.items() if key[0] != who}
            owner = {one: of for one, of in owner.items() if of != who}
        elif act == "change" and person is not None:
            owner = {one: of for one, of in owner.items() if of != who}
            owner.setdefault(address, who)
            sharing[who] = Person(person.subject, person.login, "", (address,), 0)
            consent.change(sharing[who])
        elif act == "release" and (who, address) in known:
            consent.release([known.pop((who, address))])
        if act in ("grant", "change", "see"):
            asked = {
                (who, address): Identity(f"P{who}", address.upper()),
                (who, None): Identity(f"p{who}"),
                (owner.get(address, -1), address): Identity(device=address),
            }
            rows = consent.admit([*asked.values()])
            for (whose, which), row in zip(asked, rows, strict=True):
                if whose not in sharing:
                    assert row == STRANGER
                    continue
                assert known.setdefault((whose, which), row) == row
                subject = consent.subject_by_row[row]
                assert consent.subject_id(subject) == sharing[whose].subject
        assert len(set(known.values())) == len(known)
        for one, person in sharing.items():
            found = consent.subject_of(person.subject)
            assert found is not None
            rows = [row for (whose, _), row in known.items() if whose == one]
            assert sorted(consent.rows_of(found)) == sorted(rows)
