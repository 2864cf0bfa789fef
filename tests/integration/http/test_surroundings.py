"""Paths, headers, and what anybody may ask."""

from typing import Any

import aiohttp
import pytest

from avtomatika import Blueprint
from tests.integration.http.blueprints import straight
from tests.integration.http.conftest import CLIENT_TOKEN, WORKER_TOKEN, Start


async def test_the_status_tells_what_the_storage_promises(start: Start, storage: str) -> None:
    node = await start()
    status, body = await node.call("GET", "/_public/status")
    promise = {
        "memory": {"backend": "memory", "fsync": "none", "accepted_loss_window_s": None, "replicated": 0},
        "sqlite": {"backend": "sqlite", "fsync": "always", "accepted_loss_window_s": 0.0, "replicated": 0},
    }[storage.partition(":")[0]]
    assert (status, body) == (200, {"status": "ok", "durability": promise})


async def test_a_node_that_takes_requests_is_ready(start: Start) -> None:
    node = await start()
    assert await node.call("GET", "/_public/ready") == (200, {"status": "ready"})


async def test_a_node_that_has_stopped_does_not_answer(start: Start) -> None:
    node = await start()
    url = node.url
    await node.engine.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await node.session.get(f"{url}/_public/ready")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Client-Token": CLIENT_TOKEN},
        {"x-client-token": CLIENT_TOKEN},
        {"X-Avtomatika-Token": CLIENT_TOKEN},
        {"Authorization": f"Bearer {CLIENT_TOKEN}"},
        {"Authorization": f"bearer   {CLIENT_TOKEN}"},
    ],
    ids=lambda headers: next(iter(headers)) if isinstance(headers, dict) else None,
)
async def test_a_client_may_spell_its_token_in_three_ways(start: Start, headers: dict[str, str]) -> None:
    node = await start(straight())
    status, body = await node.call("POST", "/api/v1/jobs/straight", {}, headers=headers)
    assert status == 202
    status, _ = await node.call("GET", f"/api/v1/jobs/{body['job_id']}", headers=headers)
    assert status == 200


async def test_the_first_spelling_that_is_there_counts(start: Start) -> None:
    node = await start(straight())
    wrong_first = {"X-Client-Token": "wrong", "Authorization": f"Bearer {CLIENT_TOKEN}"}
    status, _ = await node.call("GET", "/api/v1/jobs", headers=wrong_first)
    assert status == 401


def named(name: str, endpoint: str | None, version: str | None) -> Blueprint:
    blueprint = Blueprint(name, api_endpoint=endpoint, api_version=version)

    @blueprint.handler(is_start=True, is_end=True)
    async def start() -> str:
        return name

    return blueprint


@pytest.mark.parametrize(
    ("prefix", "endpoint", "version", "path"),
    [
        ("api", "/jobs/my_flow", "v1", "/api/v1/jobs/my_flow"),
        ("api", "jobs/my_flow", "v1", "/api/v1/jobs/my_flow"),
        ("api", "/my_flow", "v2", "/api/v2/my_flow"),
        ("api", "/jobs/my_flow", None, "/api/jobs/my_flow"),
        ("", "/my_flow", "v1", "/v1/my_flow"),
        ("/deep/er/", "/my_flow", None, "/deep/er/my_flow"),
    ],
)
async def test_a_blueprint_is_found_where_it_says(
    start: Start, prefix: str, endpoint: str, version: str | None, path: str
) -> None:
    node = await start(named("my_flow", endpoint, version), CLIENT_API_PREFIX=prefix or "/")
    job_id = await node.create({}, path)
    root = f"/{prefix.strip('/')}" if prefix else ""
    for base in {root, f"{root}/{version or 'v1'}", f"{root}/v1"}:
        status, job = await node.get(f"{base}/jobs/{job_id}", wait=5)
        assert (status, job["result"]) == (200, "my_flow")
        status, page = await node.get(f"{base}/jobs")
        assert (status, len(page["jobs"])) == (200, 1)


async def test_a_blueprint_without_an_endpoint_has_no_path(start: Start) -> None:
    node = await start(named("inner", None, "v1"))
    assert (await node.post("/api/v1/jobs/inner"))[0] in (404, 405)
    assert (await node.post("/api/v1/inner"))[0] == 404


async def test_blueprints_of_one_node_do_not_mix(start: Start) -> None:
    node = await start(named("a", "/x", "v1"), named("b", "/x", "v2"), named("c", "/x", None))
    for path, name in {"/api/v1/x": "a", "/api/v2/x": "b", "/api/x": "c"}.items():
        assert (await node.ended(await node.create({}, path)))["result"] == name


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/api/v1/jobs/straight", "/api/jobs", "/api/v1/jobs/x/cancel"]
)
async def test_the_client_api_can_be_switched_off(start: Start, path: str) -> None:
    node = await start(straight(), ENABLE_CLIENT_API="false")
    for method in ("GET", "POST"):
        status, body = await node.call(method, path, {}, headers={"X-Client-Token": CLIENT_TOKEN})
        assert (status, body["error"]["code"]) == (404, "not_found")
    assert (await node.call("GET", "/_public/ready"))[0] == 200
    await node.worker()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/_worker/workers/register", {"X-Worker-Token": WORKER_TOKEN}),
        ("POST", "/_worker/workers/register", {}),
        ("GET", "/_worker/workers/stranger/tasks/next", {"X-Worker-Token": WORKER_TOKEN}),
        ("GET", "/_worker/nothing", {}),
        ("DELETE", "/_worker/tasks/result", {}),
    ],
)
async def test_every_answer_to_a_worker_names_the_protocol(
    start: Start, method: str, path: str, headers: dict[str, str]
) -> None:
    node = await start()
    async with node.session.request(method, node.url + path, json={}, headers=headers) as response:
        assert response.headers["X-RXON-Version"] == "2.0.0"
        assert response.status >= 400


async def test_every_error_to_a_client_has_an_id_of_its_own(start: Start) -> None:
    node = await start()
    ids = set()
    for _ in range(3):
        async with node.session.get(f"{node.url}/api/v1/jobs") as response:
            body: Any = await response.json()
            assert response.headers["X-Request-ID"] == body["error"]["request_id"]
            ids.add(body["error"]["request_id"])
    assert len(ids) == 3
