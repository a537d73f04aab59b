"""A session in MQTT 5: the shell that connects, waits, and pings.

The rules are in `mqtt_v5_session.py`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.ingest.mqtt_session import Ended, Reason, unreachable
from engine.ingest.mqtt_v5_session import Session, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.ingest.mqtt_session import Meter, Sink, Terms

_GOODBYE_S = 1.0
"""How long a broker may take to read our last bytes before they are thrown away."""


async def serve(
    terms: Terms, sink: Sink, meter: Meter, ready: Callable[[int], None]
) -> None:
    """Serve one session, see `mqtt_session.Serve`."""
    password = terms.credentials.password() if terms.credentials else None
    changed = asyncio.Event()
    session = Session(terms, password, sink, meter, changed.set)
    try:
        await _open(session, terms, changed)
        meter.connects += 1
        ready(session.session_expiry_s)
        while session.state is not State.ENDED:
            changed.clear()
            try:
                async with asyncio.timeout(session.keep_alive_s / 2):
                    await changed.wait()
            except TimeoutError:
                session.pulse()
        if session.fault is not None:
            raise session.fault
    finally:
        session.end()
        await _close(session, changed)


async def _open(session: Session, terms: Terms, changed: asyncio.Event) -> None:
    """Return when all subscriptions stand; raise what hindered that."""
    try:
        async with asyncio.timeout(terms.handshake_s):
            await _connect(session, terms)
            while session.state not in {State.SERVING, State.ENDED}:
                changed.clear()
                await changed.wait()
    except TimeoutError:
        raise Ended(
            Reason.TIMEOUT,
            f"the broker {terms.host}:{terms.port} did not answer in "
            f"{terms.handshake_s:g} s",
        ) from None
    except OSError as error:
        raise unreachable(terms, error) from None
    if session.fault is not None:
        raise session.fault


async def _connect(session: Session, terms: Terms) -> None:
    loop = asyncio.get_running_loop()
    try:
        await loop.create_connection(
            lambda: session,
            terms.host,
            terms.port,
            ssl=terms.tls,
            server_hostname=terms.host if terms.tls else None,
        )
    except asyncio.CancelledError:
        # uvloop closes what was half made, says so to nobody, and then lets nobody
        # write a farewell to it.
        session.connection_lost(None)
        raise


async def _close(session: Session, changed: asyncio.Event) -> None:
    """Let the last bytes out, for a moment."""
    try:
        async with asyncio.timeout(_GOODBYE_S):
            while not session.gone:
                changed.clear()
                await changed.wait()
    except TimeoutError:
        session.abort()
