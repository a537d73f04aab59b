"""A small engine for the tests of the map page: the contract, and nothing behind it.

It serves the built page, the HTTP interface and the live channel from one thread with
a loop of its own; a test sets states and people from outside.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import uvicorn

from engine.web import DIST
from tests.web.level_state import PLAN, STATE_NAMES, LevelState
from tests.web.sample_plan import sample_levels

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Scope = dict[str, Any]
    Body = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

#: The policy under which the page must work; the engine sends the same.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

NAMES = (
    "Ada Lovelace",
    "Alan Turing",
    "Grace Hopper",
    "Emmy Noether",
    "Katherine Johnson",
    "Edsger Dijkstra",
    "Barbara Liskov",
    "Adele Goldberg",
    "Tim Berners-Lee",
    "Radia Perlman",
    "Hedy Lamarr",
    "Vera Rubin",
)


@dataclass
class FakePerson:
    """Somebody of the demo; `space` is where they are, if anywhere."""

    id: str
    name: str
    sharing: bool
    space: str | None = None
    seen_at: float = field(default_factory=time.time)

    @property
    def subject(self) -> str:
        return f"s-{self.id}"


class FakeEngine:
    """Start it, set states, stop it. All methods may be called from the test's thread.

    Attributes:
        demo: Whether `/demo/…` answers; without it a token is needed for everything.
        messages: What clients sent over the live channel, decoded.
        requests: Method and path of every HTTP request.
    """

    def __init__(self, *, demo: bool = True, port: int = 0) -> None:
        self.demo = demo
        self.messages: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.levels = {level.id: LevelState(level) for level in sample_levels()}
        self.people = [
            FakePerson(f"p-{i:04d}", name, sharing=i % 3 != 2)
            for i, name in enumerate(NAMES)
        ]
        self.token = "let-me-in"  # noqa: S105 - opens nothing
        self.finder_away = False
        self._sockets: dict[Send, set[str]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener = socket.create_server(("127.0.0.1", port))
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            log_level="critical",
            ws="websockets-sansio",
        )
        self._server = uvicorn.Server(config)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(10)

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)

    def set(
        self,
        space: str,
        state: int,
        *,
        count: int | None = None,
        confidence: int = 95,
        age_s: float = 0,
    ) -> None:
        """Changes one space and tells subscribers."""
        self.set_many([(space, state, count)], confidence=confidence, age_s=age_s)

    def set_many(
        self,
        changes: Iterable[tuple[str, int, int | None]],
        *,
        confidence: int = 95,
        age_s: float = 0,
    ) -> None:
        """Changes several spaces of one level in one delta."""
        rows: list[int] = []
        live: LevelState | None = None
        for space, state, count in changes:
            live, row = self._find(space)
            live.state[row], live.count[row] = state, count
            live.confidence[row], live.seen_at[row] = confidence, time.time() - age_s
            rows.append(row)
        if live is not None:
            self._tell(live, rows)

    def lose_a_delta(self, space: str, state: int) -> None:
        """Moves the offset on without telling anybody, as a broken server would."""
        live, row = self._find(space)
        live.state[row] = state
        live.offset += 1

    def new_life(self) -> None:
        """What a restart does: new epochs, offsets from the beginning."""
        for live in self.levels.values():
            live.epoch = f"{secrets.randbits(48):012x}"
            live.offset = 1

    def drop_sockets(self, code: int = 4002) -> None:
        """Closes every live channel."""
        for send in list(self._sockets):
            self._soon(send, {"type": "websocket.close", "code": code})

    def person(self, name: str) -> FakePerson:
        return next(person for person in self.people if person.name == name)

    # --- inside the loop

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._server.serve(sockets=[self._listener])

    def _soon(self, send: Send, message: dict[str, Any]) -> None:
        async def run() -> None:
            try:
                await send(message)
            except Exception:  # noqa: BLE001 - the socket went while we spoke
                self._sockets.pop(send, None)

        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(run(), self._loop)

    def _tell(self, live: LevelState, rows: list[int]) -> None:
        prev = live.offset
        live.offset += 1
        message = live.delta(rows, prev)
        for send, levels in list(self._sockets.items()):
            if live.level.id in levels:
                self._soon(send, _frame(message))

    def _find(self, space: str) -> tuple[LevelState, int]:
        for live in self.levels.values():
            for item in live.level.spaces:
                if item["id"] == space:
                    return live, item["row"]
        raise KeyError(space)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._live(scope, receive, send)
            return
        self.requests.append(f"{scope['method']} {scope['path']}")
        status, kind, body = await self._answer(scope, receive)
        headers = [
            (b"content-type", kind.encode()),
            (b"content-security-policy", POLICY.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str, bytes]:
        path: str = scope["path"]
        if not path.startswith(("/v1/", "/demo/")):
            return _static(path)
        body = json.loads((await receive()).get("body") or b"{}")
        status, answer = self._route(scope, path, body)
        return status, "application/json", json.dumps(answer).encode()

    def _route(self, scope: Scope, path: str, body: Body) -> tuple[int, Any]:  # noqa: PLR0911 - a table of routes reads best whole
        parts = path.strip("/").split("/")
        if parts[0] == "demo":
            return self._demo(parts, body)
        me = self._who(scope)
        if not self.demo and me is None:
            return _no(401, 2001, "Sign in first.")
        match parts[1:]:
            case ["levels"]:
                return 200, {"levels": [self._info(s) for s in self.levels.values()]}
            case ["levels", building, short, "plan"]:
                return 200, self.levels[f"{building}/{short}"].level.geojson(PLAN)
            case ["levels", building, short, "occupancy"]:
                return 200, self.levels[f"{building}/{short}"].snapshot()
            case ["spaces", space]:
                return 200, self._space(space)
            case ["colleagues"]:
                query = parse_qs(scope["query_string"].decode())["q"][0]
                return self._colleagues(me, query)
            case ["colleagues", subject, "location"]:
                return self._location(me, subject)
            case ["me", "consent"]:
                return self._consent(me, scope["method"])
            case _:
                pass
        return _no(404, 2004, "Nothing here.")

    def _demo(self, parts: list[str], body: Body) -> tuple[int, Any]:
        if not self.demo:
            return _no(404, 2004, "Nothing here.")
        if parts[1] == "people":
            people = [
                {"id": p.id, "name": p.name, "sharing": p.sharing} for p in self.people
            ]
            return 200, {"people": people}
        if parts[1] == "clock":
            return 200, {"weekday": "Tuesday", "at_s": 9.5 * 3600, "speed": 60.0}
        person = next(p for p in self.people if p.id == body["person"])
        expires = round(time.time() * 1000) + 600_000
        token = f"token-{person.id}"
        return 201, {"token": token, "expires_at_ms": expires, "name": person.name}

    def _who(self, scope: Scope) -> FakePerson | None:
        headers = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        if token == self.token:
            return self.people[0]
        return next((p for p in self.people if token == f"token-{p.id}"), None)

    def _info(self, live: LevelState) -> dict[str, Any]:
        level = live.level
        return {
            "id": level.id,
            "building": "hq",
            "building_name": "Headquarters",
            "name": level.name,
            "ordinal": level.ordinal,
            "plan": PLAN,
            "summary": live.summary(),
        }

    def _space(self, ident: str) -> dict[str, Any]:
        live, row = self._find(ident)
        space = live.level.spaces[row]
        columns = {key: value[0] for key, value in live.columns([row]).items()}
        columns["state"] = STATE_NAMES[columns["state"]]
        wanted = ("id", "name", "kind", "capacity")
        facts = {key: space[key] for key in wanted}
        return {**facts, "level": live.level.id, "building": "hq", **columns}

    def _colleagues(self, me: FakePerson | None, query: str) -> tuple[int, Any]:
        if me is None:
            return _no(401, 2001, "Sign in first.")
        if self.finder_away:
            return _no(503, 3002, "The finder is not available now.")
        found = [
            {"id": p.subject, "name": p.name}
            for p in self.people
            if p.sharing and query.lower() in p.name.lower()
        ]
        return 200, {"colleagues": found[:20]}

    def _location(self, me: FakePerson | None, subject: str) -> tuple[int, Any]:
        if me is None:
            return _no(401, 2001, "Sign in first.")
        person = next((p for p in self.people if p.subject == subject), None)
        if person is None or not person.sharing or person.space is None:
            return _no(404, 2004, "Not available.")
        live, row = self._find(person.space)
        space = live.level.spaces[row]
        return 200, {
            "colleague": subject,
            "space": {key: space[key] for key in ("id", "name", "kind")},
            "level": live.level.id,
            "building": "hq",
            "observed_at_ms": round(person.seen_at * 1000),
            "age_s": round(time.time() - person.seen_at),
            "confidence": 82,
        }

    def _consent(self, me: FakePerson | None, method: str) -> tuple[int, Any]:
        if me is None:
            return _no(401, 2001, "Sign in first.")
        if method == "PUT":
            me.sharing = True
        elif method == "DELETE":
            me.sharing, me.space = False, None
            return 200, {}
        since = 1_700_000_000_000 if me.sharing else None
        facts = {"sharing": me.sharing, "since_ms": since, "name": me.name}
        return 200, {**facts, "devices": []}

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        offered = scope.get("subprotocols", [])
        chosen = "livefloor.v1.json" if "livefloor.v1.json" in offered else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        allowed = self.demo
        hello = {"type": "hello", "server": "livefloor/test", "tick_ms": 100}
        await send(_frame({**hello, "heartbeat_s": 15}))
        self._sockets[send] = set()
        while (message := await receive())["type"] == "websocket.receive":
            said = json.loads(message["text"])
            self.messages.append(said)
            allowed = allowed or said.get("token") == self.token
            if not allowed:
                await send({"type": "websocket.close", "code": 4501})
                break
            self._sockets[send] -= set(said.get("unsubscribe", []))
            for level in said.get("subscribe", []):
                self._sockets[send].add(level)
                for reply in self._welcome(level, said.get("resume", {}).get(level)):
                    await send(_frame(reply))
        self._sockets.pop(send, None)

    def _welcome(self, level: str, resume: Body | None) -> list[dict[str, Any]]:
        live = self.levels[level]
        if resume is None:
            return [live.snapshot()]
        if resume["epoch"] != live.epoch:
            reset = {"type": "reset", "level": level, "reason": "epoch"}
            return [reset, live.snapshot()]
        place = {"level": level, "epoch": live.epoch, "offset": resume["offset"]}
        replies = [{"type": "resumed", **place}]
        if resume["offset"] != live.offset:
            rows = list(range(len(live.state)))
            replies.append(live.delta(rows, resume["offset"]))
        return replies


def _frame(message: dict[str, Any]) -> dict[str, Any]:
    return {"type": "websocket.send", "text": json.dumps(message)}


def _no(status: int, code: int, message: str) -> tuple[int, Any]:
    return status, {"code": code, "message": message, "retryable": status >= 500}


def _static(path: str) -> tuple[int, str, bytes]:
    file = DIST / (path.lstrip("/") or "index.html")
    if not file.is_file():
        return 404, "text/plain", b"not found"
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return 200, kind, file.read_bytes()
