"""The description of the API, for programs (OpenAPI) and for people (a page that can send requests)."""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final

import msgspec
from aiohttp import web

from avtomatika.errors import NotFound
from avtomatika.http.operation import JSON

PAGE: Final = "page.html"
FILES: Final[Mapping[str, str]] = {
    "docs.css": "text/css",
    "docs.js": "text/javascript",
    "forms.js": "text/javascript",
    "schemas.js": "text/javascript",
}
"""What the page loads. There is nothing else that it may load, and nothing from elsewhere."""

SECURITY: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}


class DocsApi:
    """Handlers of the routes about the routes. *document* is asked once, when somebody wants to know."""

    def __init__(self, document: Callable[[], Mapping[str, Any]]) -> None:
        self._document = document
        self._encoded: bytes | None = None
        folder = resources.files("avtomatika.http") / "docs_page"
        self._files = {name: (folder / name).read_bytes() for name in (PAGE, *FILES)}

    async def document(self, request: web.Request) -> web.Response:
        """200 with the OpenAPI document."""
        if self._encoded is None:
            self._encoded = msgspec.json.encode(self._document())
        return web.Response(body=self._encoded, content_type=JSON, headers={"Cache-Control": "no-cache"})

    async def page(self, request: web.Request) -> web.Response:
        """200 with the page."""
        return self._answer(PAGE, "text/html")

    async def file(self, request: web.Request) -> web.Response:
        """200 with something that the page loads; 404 for all else."""
        name = request.match_info["file"]
        if name not in FILES:
            raise NotFound("The page has no such file.")
        return self._answer(name, FILES[name])

    def _answer(self, name: str, kind: str) -> web.Response:
        return web.Response(body=self._files[name], content_type=kind, charset="utf-8", headers=SECURITY)
