"""Which path leads where."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from aiohttp import web

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.errors import BlueprintError
from avtomatika.http.blueprint_api import BlueprintApi
from avtomatika.http.client_api import ClientApi
from avtomatika.http.public_api import PublicApi
from rxon.http.server import add_routes as add_worker_routes
from rxon.transport import WorkerGateway

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(
    app: web.Application,
    *,
    public: PublicApi,
    client: ClientApi | None,
    gateway: WorkerGateway,
    blueprints: Iterable[Blueprint],
    prefix: str,
) -> None:
    """The application answers for this node. Without *client* there is no client API."""
    app.router.add_get("/_public/status", public.status)
    app.router.add_get("/_public/ready", public.ready)
    add_worker_routes(app, lambda _: gateway)
    if client is not None:
        _add_client_routes(app, client, list(blueprints), prefix)


def _add_client_routes(
    app: web.Application, client: ClientApi, blueprints: list[Blueprint], prefix: str
) -> None:
    root = f"/{prefix}" if prefix else ""
    known = BlueprintApi(blueprints, client.client_of)
    versions = {blueprint.api_version for blueprint in blueprints if blueprint.api_endpoint is not None}
    for version in (None, *sorted({"v1", *(v for v in versions if v is not None)})):
        base = root if version is None else f"{root}/{version}"
        app.router.add_get(f"{base}/jobs", client.list)
        app.router.add_get(f"{base}/jobs/{{job_id}}", client.read)
        app.router.add_post(f"{base}/jobs/{{job_id}}/cancel", client.cancel)
        app.router.add_get(f"{base}/blueprints/{{name}}/graph", known.graph)
        app.router.add_post(f"{base}/jobs/{{job_id}}/events/{{name}}", client.send_event)
        for blueprint in blueprints:
            if blueprint.api_version == version and blueprint.api_endpoint is not None:
                _add_creation(app, client, blueprint, f"{base}{blueprint.api_endpoint}")


def _add_creation(app: web.Application, client: ClientApi, blueprint: Blueprint, path: str) -> None:
    try:
        app.router.add_post(path, partial(_create, client, blueprint))
    except RuntimeError:
        message = f"Blueprint '{blueprint.name}' cannot be at {path}: something else is there already."
        raise BlueprintError(message) from None


async def _create(client: ClientApi, blueprint: Blueprint, request: web.Request) -> web.StreamResponse:
    return await client.create(request, blueprint)
