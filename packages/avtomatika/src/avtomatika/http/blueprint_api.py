"""What a client can know of the blueprints: the graph of each (feature A13)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from aiohttp import web

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.errors import NotFound

CONTENT_TYPES: Final[Mapping[str, str]] = {
    "dot": "text/vnd.graphviz",
    "svg": "image/svg+xml",
    "mermaid": "text/plain",
    "json": "application/json",
}


class BlueprintApi:
    """Handlers of the routes about blueprints. Every client may see every blueprint."""

    def __init__(
        self, blueprints: Iterable[Blueprint], client_of: Callable[[web.Request], ClientConfig]
    ) -> None:
        self._blueprints = {blueprint.name: blueprint for blueprint in blueprints}
        self._client_of = client_of
        self._drawn: dict[tuple[str, str], bytes] = {}

    async def graph(self, request: web.Request) -> web.Response:
        """200 with the graph in the `format` that is asked for; 400 for another, 404 without blueprint."""
        self._client_of(request)
        blueprint = self._blueprints.get(request.match_info["name"])
        if blueprint is None:
            raise NotFound("There is no such blueprint.")
        form = request.query.get("format", "dot")
        return web.Response(
            body=self._body(blueprint, form),
            headers={"Content-Type": f"{CONTENT_TYPES[form]}; charset=utf-8"},
        )

    def _body(self, blueprint: Blueprint, form: str) -> bytes:
        """The graph, drawn once: blueprints do not change while they are served."""
        key = blueprint.name, form
        if key not in self._drawn:
            self._drawn[key] = blueprint.render_graph(output_format=form).encode("utf-8", "replace")
        return self._drawn[key]
