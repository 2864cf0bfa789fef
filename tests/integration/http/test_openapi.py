"""The OpenAPI document is what the node does: generated requests get documented answers, and no 5xx."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from avtomatika import Blueprint
from avtomatika.http.problems import STATUS
from tests.integration.http.conftest import CLIENT_TOKEN, Orchestrator, started

OPERATOR_TOKEN = "operator-token-of-the-tests"
EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "100"))
"""Random requests per operation, after the fifty or so at the bounds of its parameters. Once: 5000."""

SETTINGS = Path(__file__).with_name("schemathesis.toml")
UNDESCRIBED = ("/_worker/",)


def orders() -> Blueprint:
    made = Blueprint("orders", api_endpoint="/orders", api_version="v1")

    @made.handler(is_start=True)
    async def begin(actions):  # type: ignore[no-untyped-def]
        actions.go_to("done")

    @made.handler(is_end=True)
    async def done(initial_data):  # type: ignore[no-untyped-def]
        return initial_data

    return made


def questions() -> Blueprint:
    contract = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    made = Blueprint("questions", api_endpoint="/questions", api_version="v2", input_schema=contract)

    @made.handler(is_start=True)
    async def ask(actions):  # type: ignore[no-untyped-def]
        # Not for long: whoever asks to wait for the end of the job is to have an answer soon.
        ways = {"approved": "done", "rejected": "done", "timeout": "done"}
        actions.await_human_approval("desk", "May it go on?", ways, timeout=0.2)

    @made.handler(is_end=True)
    async def done():  # type: ignore[no-untyped-def]
        return None

    return made


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Orchestrator]:
    settings = {"OPERATOR_TOKEN": OPERATOR_TOKEN, "AVTOMATIKA_DATA_DIR": str(tmp_path)}
    engine = await started("memory://", (orders(), questions()), settings)
    async with aiohttp.ClientSession() as session:
        yield Orchestrator(engine, session)
    await engine.stop()


async def document(node: Orchestrator) -> dict[str, Any]:
    status, found = await node.call("GET", "/_public/openapi.json")
    assert status == 200
    assert isinstance(found, dict)
    return found


def operations(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): each for path, item in found["paths"].items() for method, each in item.items()
    }


async def test_every_route_is_in_the_document_under_one_version(node: Orchestrator) -> None:
    described = set(operations(await document(node)))
    there = {
        (route.method, route.resource.canonical)
        for route in node.engine.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    aliases = {
        (method, path.replace(prefix, "/api/v1/", 1))
        for method, path in there
        for prefix in ("/api/v2/", "/api/")
        if path.startswith(prefix)
    }
    missing = {
        (method, path)
        for method, path in there - described
        if not path.startswith(UNDESCRIBED)
        and not ({(method, path.replace(old, "/api/v1/", 1)) for old in ("/api/v2/", "/api/")} & described)
    }
    assert missing == set()
    assert described - there - aliases == set()


async def test_every_error_has_the_shape_and_names_the_codes_of_its_status(node: Orchestrator) -> None:
    found = await document(node)
    seen = set()
    for each in operations(found).values():
        for status, answer in each["responses"].items():
            if int(status) < 400 or "X-Request-ID" not in answer.get("headers", {}):
                continue
            shape, narrowed = answer["content"]["application/json"]["schema"]["allOf"]
            assert shape == {"$ref": "#/components/schemas/ProblemBody"}
            codes = narrowed["properties"]["error"]["properties"]["code"]["enum"]
            assert {STATUS[code] for code in codes} == {int(status)}
            assert ("Retry-After" in answer["headers"]) == (status in ("429", "503"))
            seen |= {*codes}
    assert {"invalid_input", "unauthorized", "not_found", "already_over", "storage_full"} <= seen


async def test_an_operation_has_one_name_and_everything_it_refers_to_is_there(node: Orchestrator) -> None:
    found = await document(node)
    names = [each["operationId"] for each in operations(found).values()]
    assert len(names) == len(set(names))
    for reference in references(found):
        place: Any = found
        for part in reference.removeprefix("#/").split("/"):
            place = place[part.replace("~1", "/").replace("~0", "~")]


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for each in value for found in references(each)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for each in value.values() for found in references(each)]


@pytest.mark.timeout(120 + 30 * EXAMPLES)
async def test_generated_requests_get_documented_answers(node: Orchestrator, tmp_path: Path) -> None:
    """All checks of schemathesis but those that follow links: the document has none."""
    await node.post("/api/v1/orders", {"n": 1})
    await node.post("/api/v2/questions", {"n": 1})
    ran = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(SETTINGS), "run"),
        *(f"{node.url}/_public/openapi.json", "--header", f"X-Client-Token: {OPERATOR_TOKEN}"),
        *("--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--generation-deterministic"),
        *("--workers", "1", "--no-shrink", "--continue-on-failure", "--no-color", "--request-timeout", "20"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await ran.communicate()
    assert ran.returncode == 0, said.decode(errors="replace")
    assert "Fuzzing" in said.decode()


async def test_the_document_needs_no_token_and_tells_none(node: Orchestrator) -> None:
    async with node.session.get(f"{node.url}/_public/openapi.json") as answer:
        text = await answer.text()
    assert OPERATOR_TOKEN not in text
    assert CLIENT_TOKEN not in text


async def test_a_batch_has_a_key_or_none_but_no_empty_one(node: Orchestrator) -> None:
    status, said = await node.post("/api/v1/orders/batch", {"jobs": [{}]}, Idempotency_Key="")
    assert (status, said["error"]["field"]) == (400, "Idempotency-Key")


async def test_moments_in_queries_may_be_numbers_of_any_spelling_and_times_before_the_epoch(
    node: Orchestrator,
) -> None:
    await node.create({}, path="/api/v1/orders")
    for since in ("1e3", "0.5", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"):
        status, page = await node.get("/api/v1/jobs", since=since)
        assert (status, len(page["jobs"])) == (200, 1), since


async def test_every_place_that_names_the_last_news_is_checked(node: Orchestrator) -> None:
    job = await node.create({}, path="/api/v1/orders")
    headers = {"X-Client-Token": CLIENT_TOKEN, "Last-Event-ID": "1"}
    path = f"/api/v1/jobs/{job}/events"
    status, _ = await node.call("GET", path, headers=headers, params={"last_event_id": "no"})
    assert status == 400


async def test_the_creation_of_a_job_leads_to_what_can_be_asked_of_it(node: Orchestrator) -> None:
    found = await document(node)
    created = found["paths"]["/api/v1/orders"]["post"]["responses"]["202"]
    asked = {each["operationId"] for (_, path), each in operations(found).items() if "{job_id}" in path}
    assert set(created["links"]) == set(found["components"]["links"]) == asked
