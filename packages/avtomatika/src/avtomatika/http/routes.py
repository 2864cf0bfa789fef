"""Which path leads where: the tables of `operations.py`, bound to the objects that answer."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib import metadata
from typing import Final

import msgspec
from aiohttp import web

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.errors import BlueprintError
from avtomatika.http.approval_api import ApprovalApi
from avtomatika.http.blueprint_api import BlueprintApi
from avtomatika.http.client_api import ClientApi
from avtomatika.http.creation import creations
from avtomatika.http.desk_operations import APPROVALS, FOLLOWING, LINKS, OPERATOR, OVERVIEW, WORKERS
from avtomatika.http.docs_api import DocsApi
from avtomatika.http.file_operations import FILE_LINKS, FILES
from avtomatika.http.files_api import FilesApi
from avtomatika.http.follow_api import FollowApi
from avtomatika.http.openapi import document
from avtomatika.http.operation import A, Operation, Route
from avtomatika.http.operations import CLIENT, DOCS, KNOWN_BLUEPRINTS, PUBLIC
from avtomatika.http.operator_api import OperatorApi
from avtomatika.http.overview_api import OverviewApi
from avtomatika.http.public_api import PublicApi
from avtomatika.http.worker_api import WorkerApi
from rxon.http.server import add_routes as add_worker_routes
from rxon.stream.channel import STREAM
from rxon.stream.server import add_stream
from rxon.transport import WorkerDesk, WorkerGateway

FIRST_VERSION: Final = "v1"


class ClientArea(msgspec.Struct, frozen=True):
    """The objects that answer clients and operators."""

    jobs: ClientApi
    following: FollowApi
    approvals: ApprovalApi
    operator: OperatorApi
    blueprints: BlueprintApi
    overview: OverviewApi
    workers: WorkerApi
    files: FilesApi


class WorkerEnd(msgspec.Struct, frozen=True):
    """The objects that answer workers."""

    gateway: WorkerGateway
    desk: WorkerDesk


def add_routes(
    app: web.Application,
    *,
    public: PublicApi,
    client: ClientArea | None,
    workers: WorkerEnd,
    blueprints: Iterable[Blueprint],
    prefix: str,
) -> None:
    """The application answers for this node. Without *client* there is no client API.

    Raises BlueprintError when two blueprints are at one path.
    """
    routes = list[Route]()
    docs = DocsApi(lambda: document(routes, metadata.version("avtomatika")))
    if client is not None:
        routes += client_routes(client, list(blueprints), prefix)
        routes += [*_bound(client.approvals, LINKS), *_bound(client.files, FILE_LINKS)]
        app.on_shutdown.append(client.following.let_go)
    routes += [*_bound(public, PUBLIC), *_bound(docs, DOCS)]
    for route in routes:
        _add(app.router, route)
    add_worker_routes(app, lambda _: workers.gateway, (STREAM,), workers.desk)
    add_stream(app, lambda _: workers.gateway)


def client_routes(client: ClientArea, blueprints: Sequence[Blueprint], prefix: str) -> list[Route]:
    """Every route of the client API. Raises BlueprintError when two blueprints are at one path."""
    served = [blueprint for blueprint in blueprints if blueprint.api_endpoint is not None]
    shared = [
        *_bound(client.jobs, CLIENT),
        *_bound(client.following, FOLLOWING),
        *_bound(client.approvals, APPROVALS),
        *_bound(client.operator, OPERATOR),
        *_bound(client.blueprints, KNOWN_BLUEPRINTS),
        *_bound(client.overview, OVERVIEW),
        *_bound(client.workers, WORKERS),
        *_bound(client.files, FILES),
    ]
    versions = {FIRST_VERSION, *(each.api_version for each in served if each.api_version is not None)}
    return [
        *_creations(client.jobs, served, prefix),
        *(route for version in (None, *sorted(versions)) for route in _under(version, shared, prefix)),
    ]


def _bound(api: A, table: Sequence[Operation[A]]) -> Iterator[Route]:
    """A route for every operation of the table, answered by *api*."""
    return (Route(operation.path, operation, partial(operation.call, api)) for operation in table)


def _under(version: str | None, routes: Sequence[Route], prefix: str) -> Iterator[Route]:
    base = _base(prefix, version)
    return (
        Route(base + each.path, each.operation, each.handler, version == FIRST_VERSION) for each in routes
    )


def _creations(client: ClientApi, blueprints: Sequence[Blueprint], prefix: str) -> Iterator[Route]:
    """Where jobs are created. Of several versions of a blueprint at one path the last one is there."""
    newest = {blueprint.name: blueprint for blueprint in blueprints}
    taken: dict[str, tuple[str, Route]] = {}
    for blueprint in blueprints:
        for operation in creations(blueprint, newest[blueprint.name] is blueprint):
            path = _base(prefix, blueprint.api_version) + operation.path
            if path in taken and taken[path][0] != blueprint.name:
                message = f"Blueprint '{blueprint.name}' cannot be at {path}: another one is there already."
                raise BlueprintError(message)
            taken[path] = blueprint.name, Route(path, operation, partial(operation.call, client))
    return (route for _, route in taken.values())


def _base(prefix: str, version: str | None) -> str:
    return "".join(f"/{part}" for part in (prefix, version) if part)


def _add(router: web.UrlDispatcher, route: Route) -> None:
    path = route.path.replace("{filename}", r"{filename:[\s\S]+}")  # there are slashes in names of files
    if route.operation.method == "GET":
        router.add_get(path, route.handler)  # and HEAD, as HTTP has it
    else:
        router.add_route(route.operation.method, path, route.handler)
