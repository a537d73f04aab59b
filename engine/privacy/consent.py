"""The gate in: from login or device to an opaque subject; nothing passes without yes.

The view holds the people who opted in and nobody else. An identity that it does not
know is answered -1, and with that the record ends: no error, no log line and no count
but "disposed" can depend on it.

A *device row* stands for one way of seeing a subject: the login itself, a registered
device, or a device that a source named together with the login. Rows let `presence`
tell a phone from a laptop without an address; they are reused after a withdrawal.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from engine.model import Sighting
from engine.spelling import canonical_address, canonical_login

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from engine.model import Identity, Observation, Person

_ADDRESS_BITS = 48

DEVICES_PER_LOGIN = 8
"""Unregistered devices told apart for one login; further ones count as the login."""


class Consent:
    """The people of one tenant who opted in, as the hot path asks for them.

    Bounded by the registry: a few rows for each person in it.

    Args:
        realms: See `spelling.canonical_login`.
    """

    def __init__(self, realms: Collection[str] = ()) -> None:
        self._realms = realms
        self._row_by_login: dict[str, int] = {}
        self._row_by_device: dict[str, int] = {}
        self._row_by_named: dict[int, int] = {}
        """Rows of unregistered devices that came with a login, by subject and address
        in one number. Never asked by address alone: one that once came with a login may
        be anybody's tomorrow."""
        self._named_address = array("q")
        """By row: the address under which it stands there, or -1."""
        self._subject_by_row: list[int] = []
        self._rows_by_subject: list[list[int]] = []
        self._ids: list[str] = []
        self._subject_by_id: dict[str, int] = {}
        self._free_rows: list[int] = []
        self._free_subjects: list[int] = []

    def __len__(self) -> int:
        """Return how many people have opted in."""
        return len(self._subject_by_id)

    def __contains__(self, subject_id: object) -> bool:
        """Return whether this opaque id stands for someone who shares now."""
        return subject_id in self._subject_by_id

    def __iter__(self) -> Iterator[str]:
        """Iterate over the opaque ids of everybody who shares now."""
        return iter(self._subject_by_id)

    @property
    def rows(self) -> int:
        """How many device rows exist, free ones included; rows are below it."""
        return len(self._subject_by_row)

    def admit(self, identity: Identity) -> int:
        """Return the device row of who this is, or -1: not opted in, end it here.

        A login speaks before a device and without it: it was authenticated, while a
        device may be lent to someone who has not opted in.
        """
        login = identity.login
        device = identity.device
        if login:
            row = self._row_by_login.get(login)
            if row is None:
                row = self._row_by_login.get(canonical_login(login, self._realms))
            if row is None:
                return -1
            return self._named(row, device) if device else row
        if device:
            row = self._row_by_device.get(device)
            if row is None:
                address = canonical_address(device)
                if address is not None:
                    row = self._row_by_device.get(address)
            if row is not None:
                return row
        return -1

    def sighting(self, row: int, observation: Observation) -> Sighting:
        """Return what is left of an admitted record: a number, a place, a time."""
        return Sighting(self._subject_by_row[row], row, observation)

    def subject_id(self, subject: int) -> str:
        """Return the opaque id of a subject's row."""
        return self._ids[subject]

    def rows_of(self, subject: int) -> Iterable[int]:
        """Return the device rows of a subject."""
        return self._rows_by_subject[subject]

    def subject_of(self, subject_id: str) -> int | None:
        """Return the row of an opaque id, None where nobody shares under it."""
        return self._subject_by_id.get(subject_id)

    def grant(self, person: Person) -> None:
        """Let a person's records pass from now on.

        A device that somebody else has registered stays theirs.
        """
        if self._free_subjects:
            subject = self._free_subjects.pop()
            self._ids[subject] = person.subject
        else:
            subject = len(self._ids)
            self._ids.append(person.subject)
            self._rows_by_subject.append([])
        self._subject_by_id[person.subject] = subject
        self._row_by_login[person.login] = self._new_row(subject)
        for device in person.devices:
            if device not in self._row_by_device:
                self._row_by_device[device] = self._new_row(subject)

    def withdraw(self, person: Person) -> list[int]:
        """Let nothing of a person pass any more; return the rows that are now free."""
        subject = self._subject_by_id.pop(person.subject, None)
        if subject is None:
            return []
        rows = self._rows_by_subject[subject]
        del self._row_by_login[person.login]
        for device in person.devices:
            if self._row_by_device.get(device) in rows:
                del self._row_by_device[device]
        for row in rows:
            address = self._named_address[row]
            if address >= 0:
                del self._row_by_named[subject << _ADDRESS_BITS | address]
                self._named_address[row] = -1
        self._rows_by_subject[subject] = []
        self._ids[subject] = ""
        self._free_subjects.append(subject)
        self._free_rows.extend(rows)
        return rows

    def _named(self, login_row: int, device: str) -> int:
        """Return the row of the device that a source named together with a login."""
        address = canonical_address(device)
        if address is None:
            return login_row
        subject = self._subject_by_row[login_row]
        row = self._row_by_device.get(address)
        if row is not None and self._subject_by_row[row] == subject:
            return row
        key = subject << _ADDRESS_BITS | int(address, 16)
        row = self._row_by_named.get(key)
        if row is not None:
            return row
        rows = self._rows_by_subject[subject]
        if sum(self._named_address[row] >= 0 for row in rows) >= DEVICES_PER_LOGIN:
            return login_row
        row = self._row_by_named[key] = self._new_row(subject)
        self._named_address[row] = int(address, 16)
        return row

    def _new_row(self, subject: int) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
            self._subject_by_row[row] = subject
        else:
            row = len(self._subject_by_row)
            self._subject_by_row.append(subject)
            self._named_address.append(-1)
        self._rows_by_subject[subject].append(row)
        return row
