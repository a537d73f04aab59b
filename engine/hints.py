"""Tells the operator what refused events ask for: seldom, and never what was in them.

A sensor or an access point is nobody's data, yet its name is not told either: the
unknown access point came with somebody who shares, and the unknown "sensor" of a source
with a wrong format may be somebody's phone. Nor is the number: it counts their records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from engine.errors import (
    BadTime,
    Gap,
    Implausible,
    Inaccurate,
    Malformed,
    Outside,
    Replayed,
    TooLarge,
    TooMany,
    TooSlow,
    Unauthorized,
    UnknownName,
    UnknownValue,
    Unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.source import Tally

log = structlog.get_logger(__name__)

AGAIN_S = 3600.0
"""After a hint, how long the same one is kept back."""

HINTS = {
    Malformed.reason: (
        "not what `format` of this source means, or without a field that it needs: "
        "compare what is sent with the page of the format in deploy/sources, and with "
        "`topics`; or try `livefloor map test`"
    ),
    TooLarge.reason: "more in a message than the format allows: send smaller batches",
    BadTime.reason: (
        "no usable time, or retained by the broker about a person: set the sender's "
        "clock and its offset, and retain no associations"
    ),
    UnknownName.reason: (
        "a sensor, access point or floor that is in no file: add it to that of "
        "`sensors` or `access_points` (`livefloor sources` shows them) or of `maps`"
    ),
    Inaccurate.reason: (
        "coordinates worse than `level_m` of [locate]: more access points must hear a "
        "device, or raise `level_m`"
    ),
    Outside.reason: (
        "coordinates beside their map or its level: compare `unit`, `origin` and the "
        "points in the file of `maps` with the source's map, then `livefloor check`"
    ),
    Unsupported.reason: (
        "something that the format allows and the engine does not read, such as a "
        "template: the page of the format in deploy/sources says what it does read"
    ),
    Gap.reason: (
        "messages of this source are missing, by its own count: see whether the broker "
        "drops some, and ask the edge node for a rebirth where values stay unknown"
    ),
    UnknownValue.reason: (
        "a value that the source's profile has no meaning for: show a message to "
        "`livefloor map test`, and list the value in the profile"
    ),
    Implausible.reason: (
        "more people than can have crossed a line in that time; the balance passes it "
        "by: look at the counter, and at its `interval_s`"
    ),
    Unauthorized.reason: (
        "a webhook without the right proof: compare `verify` and the secret of this "
        "source with what its sender has; or somebody is guessing"
    ),
    Replayed.reason: (
        "a webhook that was signed at another time: set the clocks of sender and engine"
    ),
    TooSlow.reason: (
        "webhooks that took too long to arrive: look at the line, or let the proxy "
        "gather a body before it passes it on"
    ),
    TooMany.reason: (
        "more webhooks than `rate_per_s` of this source, or more at once than there is "
        "room for: raise it if they are meant, else mend the sender"
    ),
}
"""What to do about each reason of `engine_invalid_events_total`, in our own words."""


class Hints:
    """Watches the tallies of the sources.

    Args:
        tallies: By tenant and source.
    """

    def __init__(self, tallies: Mapping[tuple[str, str], Tally]) -> None:
        self._tallies = tallies
        self._told: dict[tuple[str, str, str], tuple[int, float]] = {}
        """How many there were when the hint was last given, and when."""

    def look(self, now_s: float) -> None:
        """Log one line for each source and reason that is new, or again after an hour.

        Args:
            now_s: Seconds that only grow.
        """
        for (tenant, source), tally in self._tallies.items():
            for reason, hint in HINTS.items():
                number = tally.by_reason.get(reason, 0)
                known, told_s = self._told.get((tenant, source, reason), (0, -AGAIN_S))
                if number > known and now_s - told_s >= AGAIN_S:
                    self._told[tenant, source, reason] = number, now_s
                    log.warning(
                        "events refused",
                        tenant=tenant,
                        source=source,
                        reason=reason,
                        hint=hint,
                    )
