"""A whole engine as its operator runs it: a process, a broker, two Redis servers."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from joserfc import jwt
from joserfc.jwk import OctKey
from websockets.asyncio.client import connect

from engine.embedded import Child
from tests.building import plan_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Protocol

    class Server(Protocol):
        @property
        def url(self) -> str: ...

    class MqttServer(Protocol):
        @property
        def host(self) -> str: ...

        @property
        def port(self) -> int: ...


DEADLINE_S = 10.0
WITHIN_S = 1.0
"""What an operator expects between a message and the map."""
SECRET = "s" * 40
WEBHOOK_SECRET = "w" * 24

_CONFIG = """
[server]
port = {port}

[redis]
locations = "{locations}"
registry = "{registry}"

[auth]
secret_file = "token.secret"

[log]
level = "debug"

[[broker]]
name = "main"
url = "mqtt://{host}:{broker}"
client_id = "engine-under-test"

[[tenant]]
id = "globex"
plan = "plan.geojson"
access_points = "access-points.csv"

[[tenant.source]]
name = "own"
format = "livefloor"
broker = "main"
topics = ["globex/#"]

[[tenant.source]]
name = "radius"
format = "radius"
secret_file = "globex.secret"

[[tenant]]
id = "acme"
realms = ["corp"]
plan = "plan.geojson"
access_points = "access-points.csv"
maps = "maps.toml"
sensors = "sensors.csv"

[[tenant.source]]
name = "own"
format = "livefloor"
broker = "main"
topics = ["acme/#"]

[[tenant.source]]
name = "chirpstack"
format = "chirpstack4"
broker = "main"
topics = ["application/+/device/+/event/+"]

[[tenant.source]]
name = "zigbee"
format = "zigbee2mqtt"
broker = "main"
topics = ["zigbee2mqtt/#"]

[[tenant.source]]
name = "radius"
format = "radius"
secret_file = "radius.secret"
"""

_ACCESS_POINTS = """ap,space,confidence
ap-1,hq-1-north,70
ap-2,hq-1-hopper,80
04-bd-88-00-53-02,hq-0-lovelace,80
"""

_MAPS = """
[[map]]
source = "own"
floor = "first"
level = "hq/1"
unit = "metres"
origin = "bottom-left"
width = 11.13
height = 5.53
points = [[0, 0, 0, 0], [11.13, 0, 1e-4, 0], [0, 5.53, 0, 5e-5]]
"""
"""The whole level; Hopper lies from 2.2 to 4.5 m of x and up to 2.2 m of y."""

_SENSORS = """source,device,channel,space,kind,hold_s,interval_s
own,desk-1,,hq-1-desk-1,presence,,
own,room-1,,hq-1-lovelace,count,,
chirpstack,24e124535d000001,,hq-1-desk-2,presence,,
zigbee,desk/3,,hq-1-desk-3,presence,,
"""


class Engine(Child):
    """`livefloor run` on a small building, in the tenant `acme`.

    Args:
        site: Folder for what an operator writes.
        servers: The two stores by role, and the broker.
        more: Further tables of the configuration.
    """

    name: ClassVar[str] = "livefloor"

    def __init__(
        self, site: Path, servers: Mapping[str, Any], *, more: str = ""
    ) -> None:
        super().__init__()
        self.site = site
        self.servers = servers
        self.port = _free_port()
        site.mkdir(exist_ok=True)
        (site / "plan.geojson").write_bytes(plan_file())
        (site / "access-points.csv").write_text(_ACCESS_POINTS)
        (site / "maps.toml").write_text(_MAPS)
        (site / "sensors.csv").write_text(_SENSORS)
        (site / "token.secret").write_text(SECRET)
        (site / "radius.secret").write_text(WEBHOOK_SECRET)
        (site / "globex.secret").write_text(WEBHOOK_SECRET[::-1] + "x")
        text = _CONFIG.format(
            port=self.port,
            locations=servers["locations"].url,
            registry=servers["registry"].url,
            host=servers["broker"].host,
            broker=servers["broker"].port,
        )
        (site / "livefloor.toml").write_text(text + more)

    def command(self, folder: Path) -> Sequence[str | Path]:
        del folder
        configuration = self.site / "livefloor.toml"
        return (sys.executable, "-m", "engine", "run", "--config", configuration)

    async def answers(self) -> bool:
        status, _ = await self.request("GET", "/readyz")
        return status == 200

    @property
    def log(self) -> str:
        """Everything that the process has said so far."""
        return (self.folder / "log").read_text()

    async def request(  # noqa: PLR0913 - what a request is made of
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        login: str | None = None,
        tenant: str = "acme",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Send a request, as `login` where one is given; return status and body."""
        data = body if isinstance(body, bytes) else None
        sent = dict(headers or {})
        if body is not None and data is None:
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        if login is not None:
            sent["Authorization"] = f"Bearer {token(login, tenant)}"
        url = f"http://127.0.0.1:{self.port}{path}"
        request = Request(url, data=data, headers=sent, method=method)
        return await asyncio.to_thread(_fetch, request)

    async def json(
        self, method: str, path: str, body: object = None, **more: str
    ) -> Any:  # noqa: ANN401 - what the API says
        """Send a request that must succeed; return what it answers."""
        status, answer = await self.request(method, path, body, login=more.get("login"))
        assert status < 300, (path, status, answer)
        return json.loads(answer) if answer else None

    async def radius(self, attributes: Mapping[str, object]) -> int:
        """Post an accounting record as FreeRADIUS does."""
        status, answer = await self.request(
            "POST",
            "/v1/ingest/radius",
            json.dumps(attributes).encode(),
            headers={"Authorization": f"Bearer {WEBHOOK_SECRET}"},
        )
        assert status != 204 or answer == b""
        return status

    async def location(self, subject: str) -> str | None:
        """Return the space of a colleague as bob finds it, None for none."""
        status, answer = await self.request(
            "GET", f"/v1/colleagues/{subject}/location", login="bob"
        )
        return json.loads(answer)["space"]["id"] if status == 200 else None

    async def subject(self, name: str) -> str:
        """Return the id under which a colleague is found by name."""
        found = await self.json("GET", f"/v1/colleagues?q={name}", login="bob")
        (one,) = found["colleagues"]
        return str(one["id"])

    async def metric(self, series: str) -> float:
        """Return the value of one series."""
        _, page = await self.request("GET", "/metrics")
        lines = page.decode().splitlines()
        return next(float(x.split()[-1]) for x in lines if x.startswith(f"{series} "))

    @asynccontextmanager
    async def floor(self, level: str) -> AsyncIterator[Floor]:
        """Follow a level by an independent WebSocket client."""
        async with connect(
            f"ws://127.0.0.1:{self.port}/v1/live",
            additional_headers={"Authorization": f"Bearer {token('bob')}"},
            subprotocols=["livefloor.v1.json"],  # type: ignore[list-item]
        ) as client:
            await client.send(json.dumps({"subscribe": [level]}))
            yield Floor(client)


class Floor:
    """A level as a front end holds it: a snapshot, and deltas applied to it."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - the library's own
        self._client = client
        self.state: list[int] = []
        self.count: list[int | None] = []
        self.offset = -1
        self.heard = ""

    async def until(
        self, seen: Callable[[Floor], bool], within_s: float = WITHIN_S
    ) -> None:
        """Read until it is so."""
        async with asyncio.timeout(within_s):
            while not (self.state and seen(self)):
                text = await self._client.recv()
                self.heard += text
                self._apply(json.loads(text))

    def _apply(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "snapshot":
                self.state, self.count = message["state"], message["count"]
                self.offset = message["offset"]
            case "delta":
                assert message["prev"] == self.offset
                self.offset = message["offset"]
                rows = zip(
                    message["index"], message["state"], message["count"], strict=True
                )
                for row, state, count in rows:
                    self.state[row], self.count[row] = state, count
            case _:
                pass


def token(login: str, tenant: str = "acme") -> str:
    """Return a bearer token as an issuer with our secret signs it."""
    claims = {"sub": login, "name": login.title(), "tenant": tenant}
    claims["exp"] = int(time.time()) + 3600  # type: ignore[assignment]
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


async def eventually(
    check: Callable[[], Any], within_s: float = DEADLINE_S, every_s: float = 0.02
) -> None:
    """Wait for a change outside of this process, with a deadline."""
    async with asyncio.timeout(within_s):
        while not await check():  # noqa: ASYNC110 - nothing to wait on in there
            await asyncio.sleep(every_s)


def _fetch(request: Request) -> tuple[int, bytes]:
    """Return status and body; 0 where we were cut off while still sending."""
    try:
        with urlopen(request, timeout=DEADLINE_S) as answer:  # noqa: S310 - our own
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()
    except (URLError, ConnectionResetError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, BrokenPipeError | ConnectionResetError):
            return 0, b""
        raise


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
