"""Who shares: one step through registry, gate, directory and store.

Order is the promise. In: durable first, then the gate. Out: the gate first, then
erased and durable; whatever a store could not do at once is tried again until it is
done, and meanwhile the gate and the finder, which ask here, already say no.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from engine.errors import BadRequest, StoreAway
from engine.spelling import canonical_login
from engine.store.locations import Unseeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from engine.model import Location, Person
    from engine.query.directory import Directory
    from engine.store.locations import Locations
    from engine.store.lookups import Lookups
    from engine.store.registry import Registry
    from engine.tenant import Tenant

log = structlog.get_logger(__name__)

RETRY_S = 1.0


class People:
    """The people of every tenant, and what they decide about themselves.

    Attributes:
        unsettled_since_ms: Since when a store owes us a change of consent, or None.
    """

    def __init__(  # noqa: PLR0913 - one part each, by name
        self,
        *,
        tenants: Mapping[str, Tenant],
        directories: Mapping[str, Directory],
        registry: Registry,
        locations: Locations,
        lookups: Lookups,
        clock_ms: Callable[[], int],
    ) -> None:
        self._tenants = tenants
        self._directories = directories
        self._registry = registry
        self._locations = locations
        self._lookups = lookups
        self._clock_ms = clock_ms
        self._turn = asyncio.Lock()
        self._rounds = 0
        self.unsettled_since_ms: int | None = None
        self._to_admit: set[tuple[str, str]] = set()
        self._to_withdraw: set[tuple[str, str]] = set()
        self._to_forget: set[tuple[str, str]] = set()

    @property
    def unsettled(self) -> int:
        """Changes of consent that a store has not taken yet."""
        return len(self._to_admit) + len(self._to_withdraw) + len(self._to_forget)

    @property
    def tenants(self) -> Iterable[str]:
        """The tenants that there are."""
        return self._tenants.keys()

    def count(self, tenant: str) -> int:
        """Return how many people of a tenant share."""
        return len(self._tenants[tenant].consent)

    def shares(self, tenant: str, login: str) -> bool:
        """Return whether a person shares now."""
        return self._person(tenant, self._login(tenant, login)) is not None

    async def load(self, tenant: str) -> None:
        """Let everybody in who is in the registry; at start, before any message.

        Raises:
            StoreAway: A store does not answer.
        """
        consent = self._tenants[tenant].consent
        people = await self._registry.people(tenant)
        self._directories[tenant].add_all(consent.grant_all(people))
        await self._locations.seed(tenant, list(consent))

    async def state(self, tenant: str, login: str) -> Person | None:
        """Return what is held about a person, None where they do not share."""
        return self._person(tenant, self._login(tenant, login))

    async def opt_in(
        self, tenant: str, login: str, name: str, devices: tuple[str, ...] | None
    ) -> Person:
        """Share from now on; `devices` None keeps those that are registered.

        Raises:
            BadRequest: The login names nobody, or a device cannot be registered.
            StoreAway: The registry does not answer; opt out, or in again, to be sure.
        """
        login = self._login(tenant, login)
        if not login:
            raise BadRequest("the token names nobody: its sub has no user part")
        async with self._turn:
            known = self._person(tenant, login)
            if known is not None and devices in (None, known.devices):
                return known
            # A withdrawal that the registry has not taken would give the old subject
            # back, and that one is gone for good.
            await self._settle()
            if (tenant, login) in self._to_withdraw:
                raise StoreAway("an earlier withdrawal waits for the registry")
            person = None
            if known is not None:
                person = await self._registry.change_devices(
                    tenant, login, devices or ()
                )
            if person is None:
                person = await self._registered(tenant, login, name, devices or ())
            # What was withdrawn while the registry wrote stays withdrawn.
            if known is not None and self._person(tenant, login) is None:
                self._to_withdraw.add((tenant, login))
                return person
            if known is not None and person.subject == known.subject:
                self._tenants[tenant].change(person, self._clock_ms())
                return person
            if known is not None:  # the registry had lost them
                self._dismiss(tenant, known)
                await self._tell_locations()
            self._welcome(tenant, person)
            await self._admit(tenant, person.subject)
            return person

    async def _registered(
        self, tenant: str, login: str, name: str, devices: tuple[str, ...]
    ) -> Person:
        try:
            return await self._registry.opt_in(
                tenant, login, name, devices, self._clock_ms()
            )
        except StoreAway:
            # It may be written all the same, and "no" is what was answered.
            self._to_withdraw.add((tenant, login))
            self._note()
            raise

    async def opt_out(self, tenant: str, login: str) -> None:
        """Share no more, and erase the location in the same step.

        Raises:
            StoreAway: A store does not answer. The person is out all the same, and the
                store is told as soon as it is back.
        """
        login = self._login(tenant, login)
        # Not behind the lock: the gate closes at once, whatever else is under way.
        subjects: set[tuple[str, str]] = set()
        begun = self._rounds
        # The registry is told even of who is unknown here: an opt-in whose answer was
        # lost may have been written.
        self._to_withdraw.add((tenant, login))
        self._close(tenant, login, subjects)
        async with self._turn:
            # Someone who was opting in at the same time is out again as well.
            late = self._close(tenant, login, subjects)
            if late:
                self._to_withdraw.add((tenant, login))
            # A round that began after us has done, or tried, ours too: where a store
            # hangs, nobody waits for more than two.
            if late or self._rounds == begun:
                await self._settle()
        if (tenant, login) in self._to_withdraw or subjects & self._to_forget:
            raise StoreAway("a store does not answer; it is told as soon as it does")

    async def find(self, tenant: str, subject: str) -> Location | None:
        """Return the location of someone who shares now.

        Asked of the gate again after the store has answered: an opt-out in between
        counts.

        Raises:
            StoreAway: The store does not answer.
        """
        location = await self._lookups.find(tenant, subject)
        return location if subject in self._tenants[tenant].consent else None

    async def run(self) -> None:
        """Tell the stores what they missed, until they have it. One task runs it."""
        while True:
            await asyncio.sleep(RETRY_S)
            if self.unsettled:
                async with self._turn:
                    await self._settle()

    def _login(self, tenant: str, login: str) -> str:
        return canonical_login(login, self._tenants[tenant].realms)

    def _close(self, tenant: str, login: str, subjects: set[tuple[str, str]]) -> bool:
        """Let nothing of a person pass from now on; return whether anything did."""
        person = self._person(tenant, login)
        if person is None:
            return False
        self._dismiss(tenant, person)
        subjects.add((tenant, person.subject))
        return True

    def _person(self, tenant: str, login: str) -> Person | None:
        return self._tenants[tenant].consent.person(login)

    def _welcome(self, tenant: str, person: Person) -> None:
        subject = self._tenants[tenant].consent.grant(person)
        self._directories[tenant].add(subject)

    def _dismiss(self, tenant: str, person: Person) -> None:
        """Let nothing of a person pass, wait or be found; the store is told later."""
        subject = self._tenants[tenant].consent.subject_of(person.subject)
        if subject is not None:
            self._directories[tenant].remove(subject)
        self._tenants[tenant].forget(person)
        self._to_forget.add((tenant, person.subject))

    async def _admit(self, tenant: str, subject: str) -> None:
        try:
            await self._admitted(tenant, subject)
        except StoreAway:
            self._to_admit.add((tenant, subject))
            self._note()

    async def _settle(self) -> None:
        """Do what is left to do, for each store until it does not answer."""
        self._rounds += 1
        await asyncio.gather(self._tell_registry(), self._tell_locations())
        self._note()

    async def _tell_registry(self) -> None:
        with suppress(StoreAway):
            for tenant, login in tuple(self._to_withdraw):
                await self._registry.opt_out(tenant, login)
                self._to_withdraw.discard((tenant, login))

    async def _tell_locations(self) -> None:
        with suppress(StoreAway):
            for tenant, subject in tuple(self._to_forget):
                await self._locations.forget(tenant, [subject])
                self._to_forget.discard((tenant, subject))
            for tenant, subject in tuple(self._to_admit):
                if subject in self._tenants[tenant].consent:
                    await self._admitted(tenant, subject)
                self._to_admit.discard((tenant, subject))

    async def _admitted(self, tenant: str, subject: str) -> None:
        with suppress(Unseeded):  # the committer is about to seed it, from the gate
            await self._locations.admit(tenant, subject)

    def _note(self) -> None:
        """Note since when something is left, for readiness."""
        if not self.unsettled:
            self.unsettled_since_ms = None
        elif self.unsettled_since_ms is None:
            self.unsettled_since_ms = self._clock_ms()
            log.warning("consent changes wait for a store", number=self.unsettled)
