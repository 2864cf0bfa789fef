"""The graph of a blueprint over HTTP (row A13)."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from yarl import URL

from avtomatika import Blueprint
from tests.integration.http.blueprints import flow
from tests.integration.http.conftest import CLIENT_TOKEN, Orchestrator, Start

GRAPH = "/api/v1/blueprints/flow/graph"


async def text(node: Orchestrator, path: str = GRAPH, **query: str) -> tuple[str, str]:
    """Content type and body of an answer that is a success."""
    headers = {"X-Client-Token": CLIENT_TOKEN}
    url = URL(node.url + path, encoded=True)
    async with node.session.get(url, headers=headers, params=query) as response:
        assert response.status == 200, await response.text()
        return response.headers["Content-Type"], await response.text()


async def test_the_graph_is_dot_unless_another_form_is_asked_for(start: Start) -> None:
    node = await start(flow())
    kind, dot = await text(node)
    assert kind == "text/vnd.graphviz; charset=utf-8"
    assert dot.startswith('digraph "flow" {')
    assert dot == (await text(node, format="dot"))[1]


async def test_the_graph_comes_in_four_forms(start: Start) -> None:
    node = await start(flow())
    kinds = {form: await text(node, format=form) for form in ("svg", "mermaid", "json")}
    assert [kind.partition(";")[0] for kind, _ in kinds.values()] == [
        "image/svg+xml",
        "text/plain",
        "application/json",
    ]
    assert ElementTree.fromstring(kinds["svg"][1]).tag.endswith("svg")
    assert kinds["mermaid"][1].startswith("flowchart LR")
    assert json.loads(kinds["json"][1])["blueprint"] == "flow"


async def test_the_graph_is_there_under_every_version_and_without(start: Start) -> None:
    node = await start(flow())
    assert await text(node, "/api/blueprints/flow/graph") == await text(node)


async def test_a_blueprint_without_endpoint_and_with_any_name_has_a_graph(start: Start) -> None:
    blueprint = Blueprint("a b/中")

    @blueprint.handler(is_start=True)
    async def begin(actions: Any) -> None:
        actions.go_to("finished")

    node = await start(blueprint)
    assert '"begin" -> "finished"' in (await text(node, "/api/blueprints/a%20b%2F%E4%B8%AD/graph"))[1]


async def test_an_unknown_blueprint_is_not_found(start: Start) -> None:
    node = await start(flow())
    status, body = await node.get("/api/v1/blueprints/none/graph")
    assert (status, body["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("form", ["png", "", "DOT"])
async def test_an_unknown_form_is_refused_by_name(start: Start, form: str) -> None:
    node = await start(flow())
    status, body = await node.get(GRAPH, format=form)
    assert (status, body["error"]["code"], body["error"]["field"]) == (400, "invalid_input", "format")


async def test_the_graph_is_for_clients_only(start: Start) -> None:
    node = await start(flow())
    assert (await node.get(GRAPH, token="nobody"))[0] == 401
    assert (await node.call("GET", GRAPH))[0] == 401
    assert (await node.get("/api/v1/blueprints/none/graph", token="nobody"))[0] == 401
