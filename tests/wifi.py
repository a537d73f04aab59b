"""One Wi-Fi source on the real path, from its bytes to where people are in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.ingest.formats import FORMATS
from engine.model import Person
from engine.pipeline import Pipeline
from engine.source import Route, Source
from engine.space import AccessPoint
from engine.tenant import Tenant
from tests.building import small_plan
from tests.moves import singly

if TYPE_CHECKING:
    from collections.abc import Sequence

PHONE = "8c:7a:3d:00:53:01"
ADA = Person("s-ada", "ada", "Ada", ("8c7a3d005301",), 0)
SPACES = ("hq-1-north", "hq-1-hopper", "hq-1-lovelace")


class Message(NamedTuple):
    topic: str
    payload: bytes
    retain: bool = False


class Wifi:
    """A tenant with one Wi-Fi source, and Ada, who shares.

    Args:
        form: The name of the format.
        aps: Access points, each in a space of its own: north, hopper, lovelace.
        base: What the topics of its messages begin with.
    """

    def __init__(self, form: str, aps: Sequence[str], base: str = "") -> None:
        plan = small_plan()
        points = {
            ap: AccessPoint(plan.space_by_id[space], 70)
            for ap, space in zip(aps, SPACES, strict=False)
        }
        self.tenant = Tenant("acme", plan, access_points=points)
        self.tenant.consent.grant(ADA)
        self.source = Source(name="wifi", tenant=self.tenant, form=FORMATS[form])
        self.route = Route(self.source, *[f"{base}#"] * bool(base))
        self.pipeline = Pipeline(lambda *_: None)
        self.stored: str | None = None

    def send(
        self,
        payload: bytes | str | object,
        now_ms: int,
        *,
        topic: str = "",
        retain: bool = False,
    ) -> str | None:
        """Take in one message; return why something of it was refused, if it was."""
        if isinstance(payload, str):
            payload = payload.encode()
        elif not isinstance(payload, bytes):
            payload = msgspec.json.encode(payload)
        message = Message(topic, payload, retain)
        return self.pipeline.run({self.route: [message]}, now_ms)

    def where(self) -> str | None:
        """Return where Ada is, as the store would know."""
        for move in singly(self.tenant.presence.take(100)):
            self.stored = move.space
        return self.stored

    def outcomes(self) -> dict[str, int]:
        return {o.value: n for o, n in self.source.tally.by_outcome.items() if n}
