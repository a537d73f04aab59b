"""The gate in: from login or device to an opaque subject; nothing passes without yes.

The view holds the people who opted in and nobody else. An identity that it does not
know is answered `STRANGER`, and with that the record ends: no error, no log line and no
count but "disposed" can depend on it.

A *device row* stands for one way of seeing a subject: a device that they registered, a
device that a source named together with their login, or the login itself. Rows let
`presence` tell a phone from a laptop without an address; each is made when it is first
seen and given away after a withdrawal.

A *voucher* is what an authenticated record says of a device: whose login it was seen
with. Locations often come by another stream, with the device alone; until it ends the
voucher tells whose that is, before any registration does, because a device can be lent,
sold, or make up a new address. It ends with its session, with a later one that names
anybody else (of whom nothing is kept: the device is nobody's), and after a day. A
location that arrives before its voucher ends like any stranger's: it is never parked.

What is held of a person is one packed record; everything else is columns of numbers, so
that a million people fit beside the engine. Logins alone are in a dict: they are what
busy sources send.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from engine.model import ObservationKind, Person, Sightings
from engine.privacy.index import Index
from engine.spelling import canonical_login, device_address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from engine.model import Identity, Observation

STRANGER: Final = -1
"""Not opted in: end it here."""
NOBODY: Final = -2
"""The record names no person."""
REFUSED: Final = -3
"""There is no identity: its record was refused."""

DEVICES_PER_LOGIN = 8
"""Unregistered devices told apart for one login; further ones count as the login."""

MEMORY = 4_096
"""Spellings of people who share that are remembered: what a busy minute brings."""
LONGEST = 32
"""Characters of a device that is remembered: more than any spelling of an address has,
while a message may hold a million of them."""

VOUCHER_MS = 86_400_000
"""How long a voucher holds without being renewed: as long as a location may."""

_NONE = -1
_LOGIN = -1
"""The address of the row that stands for the login itself."""


class _Voucher(NamedTuple):
    """Who was seen with a device: a device row, `STRANGER` for anybody else."""

    row: int
    at_ms: int


class _Record(msgspec.Struct, array_like=True, gc=False):
    """What is held of a person beside login and subject, which stand before it."""

    name: str
    devices: list[int]
    since_ms: int


_JOINED = ObservationKind.JOINED
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Record).decode
_head = Struct("<iB")
"""A record begins with the row of its subject and the length of the subject's id, which
comes next: both are asked for often."""
_ID = _head.size


class Consent:
    """The people of one tenant who opted in, as the hot path asks for them.

    Bounded by the registry: a record and a few rows for each person in it.

    Args:
        realms: See `spelling.canonical_login`.

    Attributes:
        subject_by_row: By device row: the row of its subject, -1 where the row is free.
    """

    def __init__(self, realms: Collection[str] = ()) -> None:
        self._realms = realms
        self._record_by_login: dict[str, bytes] = {}
        # By subject row: the record, and the first of the subject's device rows.
        self._records: list[bytes | None] = []
        self._first = array("i")
        # By device row: whose it is, which address, and the subject's next row.
        self.subject_by_row = array("i")
        self._address = array("q")
        self._next = array("i")
        self._subject_by_id = Index()
        self._subject_by_device = Index()
        self._vouchers: dict[int, _Voucher] = {}
        """By address; of devices that are, or were, of somebody who shares."""
        self._free_rows: list[int] = []
        self._free_subjects: list[int] = []
        self._memory: dict[tuple[str | None, str | None], int] = {}
        """Rows of people who share, by login and device as a source spells them.
        Forgotten whenever anybody's consent, devices or rows change."""

    def __len__(self) -> int:
        """Return how many people have opted in."""
        return len(self._record_by_login)

    def __contains__(self, subject_id: object) -> bool:
        """Return whether this opaque id stands for someone who shares now."""
        return isinstance(subject_id, str) and self.subject_of(subject_id) is not None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the opaque ids of everybody who shares now."""
        return map(_id_of, self._record_by_login.values())

    @property
    def rows(self) -> int:
        """How many device rows exist, free ones included; rows are below it."""
        return len(self.subject_by_row)

    def admit(self, identities: Sequence[Identity | None]) -> list[int]:
        """Return the device row of each, or `STRANGER`, `NOBODY` or `REFUSED`.

        A login speaks before a device and without it: it was authenticated, while a
        device may be lent to someone who has not opted in.
        """
        remembered, shares = self._memory.get, self._record_by_login
        rows: list[int] = []
        append = rows.append
        for identity in identities:
            if identity is None:
                append(REFUSED)
                continue
            login, device = identity.login, identity.device
            if login and login not in shares:
                # Most who get here are strangers: they go without a call.
                login = login.strip().lower()
                if "@" in login or "\\" in login:
                    login = canonical_login(login, self._realms)
                if login not in shares:
                    append(STRANGER)
                    continue
            row = remembered((login, device))
            append(self._ask(login, device) if row is None else row)
        return rows

    def _ask(self, login: str | None, device: str | None) -> int:
        """Answer for one identity; remember who shares, and nobody else.

        Args:
            login: None, "", or the canonical login of somebody who shares.
            device: As the source spells it.
        """
        if login:
            row = self._named(login, device)
        elif device:
            row = self._unnamed(device)
        else:
            return NOBODY if login is None and device is None else STRANGER
        if row >= 0 and (device is None or len(device) <= LONGEST):
            if len(self._memory) >= MEMORY:
                self._memory.clear()
            self._memory[login, device] = row
        return row

    def _named(self, login: str, device: str | None) -> int:
        """Return the row of the device that a source named with a login, if any."""
        subject, _ = _head.unpack_from(self._record_by_login[login])
        return self._device(subject, device_address(device) if device else _LOGIN)

    def sightings(
        self, rows: list[int], observations: Sequence[Observation | None]
    ) -> Sightings:
        """Return what is left of admitted records: numbers, places, times.

        Args:
            rows: As `admit` gave them.
            observations: Of each, None where its record was refused after all.
        """
        seen = [one for one in observations if one is not None]
        if len(seen) < len(rows):
            pairs = zip(rows, observations, strict=True)
            rows = [row for row, one in pairs if one is not None]
        subject_by_row = self.subject_by_row
        return Sightings([subject_by_row[row] for row in rows], rows, seen)

    def vouch(
        self,
        rows: Sequence[int],
        observations: Sequence[Observation | None],
        now_ms: int,
    ) -> None:
        """Take in which devices authenticated records saw with a login that shares.

        Args:
            rows: As `admit` gave them, of records that name a login.
            observations: Of each, None where its record was refused after all.
            now_ms: The time of receipt.
        """
        for row, seen in zip(rows, observations, strict=True):
            address = self._address[row]
            if seen is None or address == _LOGIN:
                continue
            at_ms, known = seen.observed_at_ms, self._vouchers.get(address)
            if at_ms <= now_ms - VOUCHER_MS or (known and at_ms < known.at_ms):
                continue
            if known and known.row == STRANGER and at_ms == known.at_ms:
                continue  # whose record was the later one, nothing tells
            if seen.kind is _JOINED:
                self._vouchers[address] = _Voucher(row, at_ms)
            elif known and known.row == row:
                del self._vouchers[address]
            else:
                continue
            if known is None or known.row != row or seen.kind is not _JOINED:
                self._memory.clear()

    def disown(
        self, identities: Sequence[Identity | None], rows: Sequence[int], now_ms: int
    ) -> bool:
        """Take in which devices authenticated records saw with anybody else's login.

        Nothing is kept of devices that nobody who shares has, and nothing of the login.

        Args:
            identities: Of the records.
            rows: What `admit` answered.
            now_ms: The time of receipt; the record's own is never decoded.

        Returns:
            Whether a device became nobody's: what was admitted before is to be asked
            again, as of the records that came together nothing tells the order.
        """
        disowned = False
        for identity, row in zip(identities, rows, strict=True):
            if row != STRANGER or identity is None:
                continue
            if not identity.login or not identity.device:
                continue
            address = device_address(identity.device)
            known = self._vouchers.get(address)
            if known is None and self._subject_by_device.get(address) < 0:
                continue
            self._vouchers[address] = _Voucher(STRANGER, now_ms)
            if known is None or known.row != STRANGER:
                self._memory.clear()
                disowned = True
        return disowned

    def expire(self, now_ms: int) -> None:
        """End the vouchers that were not renewed for a day."""
        horizon_ms = now_ms - VOUCHER_MS
        vouchers = self._vouchers
        kept = {a: one for a, one in vouchers.items() if one.at_ms > horizon_ms}
        if len(kept) < len(vouchers):
            self._vouchers = kept
            self._memory.clear()

    def subject_id(self, subject: int) -> str:
        """Return the opaque id of a subject's row."""
        return _id_of(self._held(subject))

    def subject_ids(self, subjects: Sequence[int]) -> list[str]:
        """Return the opaque ids of rows of subjects who share."""
        return [_id_of(self._held(subject)) for subject in subjects]

    def name(self, subject: int) -> str:
        """Return what colleagues see of a subject's row."""
        return self._record(subject).name

    def rows_of(self, subject: int) -> list[int]:
        """Return the device rows of a subject."""
        rows = []
        row = self._first[subject]
        while row >= 0:
            rows.append(row)
            row = self._next[row]
        return rows

    def subject_of(self, subject_id: str) -> int | None:
        """Return the row of an opaque id, None where nobody shares under it."""
        for subject in self._subject_by_id.rows(hash(subject_id)):
            if self.subject_id(subject) == subject_id:
                return subject
        return None

    def person(self, login: str) -> Person | None:
        """Return who shares under a login in canonical spelling, None if nobody."""
        record = self._record_by_login.get(login)
        if record is None:
            return None
        held = _rest_of(record)
        devices = tuple(f"{address:012x}" for address in held.devices)
        return Person(_id_of(record), login, held.name, devices, held.since_ms)

    def grant(self, person: Person) -> int:
        """Let a person's records pass from now on; return the row of the subject.

        A device that somebody else has registered stays theirs.
        """
        (subject,) = self.grant_all([person])
        return subject

    def grant_all(self, people: Iterable[Person]) -> list[int]:
        """Let everybody's records pass; return the rows of the subjects."""
        subjects: list[int] = []
        ids: list[tuple[int, int]] = []
        devices: dict[int, int] = {}
        for person in people:
            subject = self._new_subject()
            for address in self._hold(subject, person):
                if self._subject_by_device.get(address) < 0:
                    devices.setdefault(address, subject)
            ids.append((hash(person.subject), subject))
            subjects.append(subject)
        self._subject_by_id.add_all(ids)
        self._subject_by_device.add_all(devices.items())
        return subjects

    def change(self, person: Person) -> list[int]:
        """Take over what has changed of a person who shares.

        Returns:
            The rows of the devices that are theirs no more.
        """
        subject = self.subject_of(person.subject)
        if subject is None:
            return []
        self._memory.clear()
        before = set(self._record(subject).devices)
        after = set(self._hold(subject, person))
        gone = before - after
        for address in gone:
            self._subject_by_device.remove(address, subject)
            self._end_voucher(address, subject)
        for address in after:  # the kept ones too: who had one before may have left
            if self._subject_by_device.get(address) < 0:
                self._subject_by_device.add(address, subject)
        return [row for row in self.rows_of(subject) if self._address[row] in gone]

    def withdraw(self, person: Person) -> list[int]:
        """Let nothing of a person pass any more; return the rows that are now free."""
        subject = self.subject_of(person.subject)
        if subject is None:
            return []
        self._memory.clear()
        rows = self.rows_of(subject)
        for row in rows:
            self._end_voucher(self._address[row], subject)
            self.subject_by_row[row] = self._address[row] = self._next[row] = _NONE
        del self._record_by_login[person.login]
        self._subject_by_id.remove(hash(person.subject), subject)
        for address in self._record(subject).devices:
            self._subject_by_device.remove(address, subject)
        self._records[subject] = None
        self._first[subject] = _NONE
        self._free_subjects.append(subject)
        self._free_rows.extend(rows)
        return rows

    def release(self, rows: Collection[int]) -> None:
        """Give away rows of which nothing is known any more.

        Addresses rotate: the row of one that was not seen for a day would otherwise
        count against `DEVICES_PER_LOGIN` for ever. One that is vouched for stays.
        """
        for row in rows:
            subject = self.subject_by_row[row]
            known = self._vouchers.get(self._address[row])
            if subject < 0 or (known and known.row == row):
                continue
            self._memory.clear()
            rest = [other for other in self.rows_of(subject) if other != row]
            self._first[subject] = _NONE
            self.subject_by_row[row] = self._address[row] = self._next[row] = _NONE
            for other in reversed(rest):
                self._next[other] = self._first[subject]
                self._first[subject] = other
            self._free_rows.append(row)

    def _hold(self, subject: int, person: Person) -> list[int]:
        """Pack the record of a person; return the addresses in it."""
        devices = [int(device, 16) for device in person.devices]
        subject_id = person.subject.encode()
        head = _head.pack(subject, len(subject_id))
        rest = _pack(_Record(person.name, devices, person.since_ms))
        record = b"".join((head, subject_id, rest))
        self._records[subject] = self._record_by_login[person.login] = record
        return devices

    def _held(self, subject: int) -> bytes:
        record = self._records[subject]
        assert record is not None  # noqa: S101 - a row in use has one
        return record

    def _record(self, subject: int) -> _Record:
        return _rest_of(self._held(subject))

    def _end_voucher(self, address: int, subject: int) -> None:
        """End what was vouched for a subject; that it is somebody else's stands."""
        known = self._vouchers.get(address)
        if known and known.row >= 0 and self.subject_by_row[known.row] == subject:
            del self._vouchers[address]

    def _unnamed(self, device: str) -> int:
        """Return the row of a device that was vouched for or else registered.

        `STRANGER` for any other.
        """
        address = device_address(device)
        known = self._vouchers.get(address)
        if known is not None:
            return known.row
        subject = self._subject_by_device.get(address) if address >= 0 else _NONE
        return STRANGER if subject < 0 else self._device(subject, address)

    def _device(self, subject: int, address: int) -> int:
        """Return the row of a device of a subject, a new one when it is first seen."""
        rows = self.rows_of(subject)
        for row in rows:
            if self._address[row] == address:
                return row
        if address != _LOGIN and self._subject_by_device.get(address) != subject:
            registered = self._record(subject).devices
            named = (self._address[row] for row in rows)
            others = sum(one != _LOGIN and one not in registered for one in named)
            if others >= DEVICES_PER_LOGIN:
                return self._device(subject, _LOGIN)
        return self._new_row(subject, address)

    def _new_subject(self) -> int:
        if self._free_subjects:
            return self._free_subjects.pop()
        self._records.append(None)
        self._first.append(_NONE)
        return len(self._records) - 1

    def _new_row(self, subject: int, address: int) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
            self.subject_by_row[row] = subject
            self._address[row] = address
        else:
            row = len(self.subject_by_row)
            self.subject_by_row.append(subject)
            self._address.append(address)
            self._next.append(_NONE)
        self._next[row] = self._first[subject]
        self._first[subject] = row
        return row


def _id_of(record: bytes) -> str:
    return record[_ID : _ID + record[_ID - 1]].decode()


def _rest_of(record: bytes) -> _Record:
    return _unpack(record[_ID + record[_ID - 1] :])
