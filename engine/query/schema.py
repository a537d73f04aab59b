"""The description of the API, OpenAPI 3.1, made from the typed handlers.

Served as JSON. A page that draws it would load scripts from elsewhere, so there is
none; any OpenAPI viewer takes the address.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Litestar, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme

from engine.query.answer import JSON, Kept, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.handlers import HTTPRouteHandler

_DESCRIPTION = """\
Anonymous occupancy of desks, rooms, zones and levels, live; and the last-known location
of colleagues who opted in.

Answers are JSON; with `Accept: application/vnd.msgpack` they are msgpack of the same
shape. Every error has the shape of `Problem`.
"""


class Schema:
    """The routes under `/schema`.

    Args:
        routes: Gives the handlers that are described, new ones at each call: a handler
            belongs to one application.
        version: Of the engine.
    """

    def __init__(
        self, routes: Callable[[], Sequence[HTTPRouteHandler]], *, version: str
    ) -> None:
        self._routes = routes
        self._version = version

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return the handlers."""
        paths = ["/schema", "/schema/openapi.json"]
        return [get(paths, include_in_schema=False)(self.json)]

    async def json(self) -> Kept[dict[str, Any]]:
        """Return the description as JSON."""
        return Kept(Version(self._version, JSON, lambda: self.described))

    @cached_property
    def described(self) -> bytes:
        """The description as JSON, made at the first request."""
        app = Litestar(
            self._routes(), openapi_config=_config(self._version), logging_config=None
        )
        return msgspec.json.encode(app.openapi_schema.to_schema())


def _config(version: str) -> OpenAPIConfig:
    token = SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="JWT",
        description="A token of the configured issuer: `sub`, `name`, `tenant`, `exp`.",
    )
    secret = SecurityScheme(
        type="http",
        scheme="bearer",
        description="The source's secret; HTTP Basic with it as password works too.",
    )
    operator = SecurityScheme(
        type="http",
        scheme="bearer",
        description="The secret in `metrics_secret_file`; without one, this machine.",
    )
    return OpenAPIConfig(
        title="livefloor",
        version=version,
        description=_DESCRIPTION,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        security=[{"token": []}],
        components=Components(
            security_schemes={"token": token, "source": secret, "operator": operator}
        ),
        use_handler_docstrings=True,
        render_plugins=[JsonRenderPlugin()],
    )
