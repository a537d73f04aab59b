"""What the routes ask of a tenant: its plan and what may be seen of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.errors import NotFound
from engine.query.problem import NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model import Snapshot
    from engine.space import Plan


class SpaceRow(Protocol):
    """What may be said of one space; the columns of a `Snapshot`, one row of them."""

    @property
    def state(self) -> int:
        """A `State`."""
        ...

    @property
    def count(self) -> int:
        """People, or -1 where only presence is known."""
        ...

    @property
    def confidence(self) -> int:
        """Percent."""
        ...

    @property
    def since_ms(self) -> int:
        """Time of the newest evidence, 0 where there is none."""
        ...


class View(Protocol):
    """What one tenant's readers may see; `privacy.disclosure` in production."""

    @property
    def plan(self) -> Plan:
        """The spaces of the tenant."""
        ...

    def snapshot(self, level: str, now_ms: int) -> Snapshot:
        """The whole state of a level."""
        ...

    def space(self, index: int, now_ms: int) -> SpaceRow:
        """The state of a space."""
        ...


class Views:
    """The views of every tenant; the one way from a caller to a floor."""

    def __init__(self, view_by_tenant: Mapping[str, View]) -> None:
        self._view_by_tenant = view_by_tenant

    def of(self, tenant: str) -> View:
        """Return a tenant's view.

        Raises:
            NotFound: This engine does not serve the tenant.
        """
        view = self._view_by_tenant.get(tenant)
        if view is None:
            raise NotFound(NOT_FOUND)
        return view
