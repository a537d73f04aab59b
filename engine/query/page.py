"""The map page: its built files, read once, with headers that let nothing else in."""

from __future__ import annotations

import gzip
import mimetypes
import re
from typing import TYPE_CHECKING, Any

from litestar import Request, route
from litestar.enums import HttpMethod
from litestar.response.base import ASGIResponse  # noqa: TC002 - read at run time

from engine.query.answer import NOSNIFF, Sent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Scope

_HASHED = re.compile(r"[.-][A-Za-z0-9_-]{8,}\.[a-z0-9.]+$")
"""A file name with a hash of its content, as Vite writes it: it never changes."""

_COMPRESSIBLE = ("text/", "application/javascript", "application/json", "image/svg")
_MIN_GZIP_BYTES = 1024

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; "  # includes the WebSocket of the same origin
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = [
    NOSNIFF,
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(), camera=(), microphone=()"),
    (b"referrer-policy", b"no-referrer"),
]

_NOT_BUILT = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>livefloor</title>
<style>
  body { font: 1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto;
         padding: 0 1.5rem; color-scheme: light dark }
  code { background: #8883; padding: .1em .4em; border-radius: .3em }
</style>
<h1>The engine runs; its map page is not built</h1>
<p>This installation came without the built page. Install livefloor from a wheel, or in
a checkout run <code>make demo</code>, which builds it.</p>
<p>Everything else is here: <a href="/v1/levels">levels</a>,
<a href="/schema">the API</a>, <a href="/metrics">metrics</a>.</p>
</html>
"""


class Page:
    """The routes of the map page: `/` and every built file by its name.

    The files are read when the engine starts: no request ever names a path on disk.

    Args:
        folder: The built page (with an `index.html`), or None.
    """

    def __init__(self, folder: Path | None) -> None:
        self._files: dict[str, _File] = {}
        if folder is not None and (folder / "index.html").is_file():
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix != ".map":
                    name = f"/{path.relative_to(folder).as_posix()}"
                    self._files[name] = _File(path.name, path.read_bytes())
            self._files["/"] = self._files.pop("/index.html")

    def routes(self) -> Sequence[HTTPRouteHandler]:
        """Return one handler for all the files there are."""
        paths = sorted(self._files) or ["/"]
        methods = [HttpMethod.GET, HttpMethod.HEAD]
        return [route(paths, http_method=methods, include_in_schema=False)(self.file)]

    async def file(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Send a file of the page."""
        found = self._files.get(request.scope["path"])
        return _not_built() if found is None else found.sent(request.scope)


class _File:
    """A file, and the same compressed where that is worth it."""

    def __init__(self, name: str, data: bytes) -> None:
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if kind == "text/javascript":
            kind = "application/javascript"
        self._headers = [
            *_HEADERS,
            (b"cache-control", _cache_control(name)),
            (b"content-type", kind.encode()),
        ]
        self._data = data
        self._gzip: bytes | None = None
        if kind.startswith(_COMPRESSIBLE) and len(data) >= _MIN_GZIP_BYTES:
            self._gzip = gzip.compress(data, mtime=0)

    def sent(self, scope: Scope) -> Sent:
        if self._gzip is None:
            return Sent(200, self._headers, self._data)
        headers = [*self._headers, (b"vary", b"accept-encoding")]
        if not _accepts_gzip(scope):
            return Sent(200, headers, self._data)
        return Sent(200, [*headers, (b"content-encoding", b"gzip")], self._gzip)


def _cache_control(name: str) -> bytes:
    if _HASHED.search(name):
        return b"public, max-age=31536000, immutable"
    return b"no-cache"


def _accepts_gzip(scope: Scope) -> bool:
    return any(
        name == b"accept-encoding" and b"gzip" in value and b"gzip;q=0" not in value
        for name, value in scope["headers"]
    )


def _not_built() -> Sent:
    kind = (b"content-type", b"text/html; charset=utf-8")
    return Sent(503, [*_HEADERS, (b"cache-control", b"no-store"), kind], _NOT_BUILT)
