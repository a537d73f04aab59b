from __future__ import annotations

from engine.simulate.people import Carried, everybody


def test_the_same_seed_names_the_same_people() -> None:
    assert everybody(3, 50) == everybody(3, 50)
    assert everybody(3, 50) != everybody(4, 50)


def test_the_wanted_share_opted_in_and_visitors_never_do() -> None:
    people = everybody(1, 200, share=0.35)
    staff = [person for person in people if not person.visits]
    assert len(staff) == 200
    assert sum(person.shares for person in staff) == 70
    visitors = people[200:]
    assert visitors
    assert not any(person.shares for person in visitors)


def test_logins_and_addresses_are_unique() -> None:
    people = everybody(2, 3000)
    devices = [device for person in people for device in person.devices]
    for names in (
        [person.login for person in people],
        [device.address for device in devices],
    ):
        assert len(set(names)) == len(names)
    assert [device.row for device in devices] == list(range(len(devices)))


def test_everybody_has_a_phone_and_up_to_two_more() -> None:
    for person in everybody(5, 300):
        carried = [device.carried for device in person.devices]
        assert carried[0] is Carried.PHONE
        assert 1 <= len(carried) <= 3


def test_an_address_is_randomised_exactly_where_it_is_locally_administered() -> None:
    devices = [d for person in everybody(5, 300) for d in person.devices]
    assert any(device.randomised for device in devices)
    for device in devices:
        assert bool(int(device.address[:2], 16) & 2) == device.randomised


def test_nobody_registers_an_address_that_will_change() -> None:
    for person in everybody(5, 100):
        randomised = {d.address for d in person.devices if d.randomised}
        assert randomised.isdisjoint(person.registered)
