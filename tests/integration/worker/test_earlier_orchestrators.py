"""A worker also serves orchestrators that know neither batches nor leases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from avtomatika_worker import Worker, WorkerConfig
from rxon.errors import AuthError, ProtocolError, RateLimitError, TransportError, UnavailableError
from rxon.http.client import HttpTransport
from rxon.messages import HeartbeatAnswer, Registered, Registration, TaskResult
from rxon.transport import PollRequest
from tests.integration.worker.conftest import working


class Earlier:
    """Hands out its tasks one by one; answers what a generation of orchestrators answered."""

    def __init__(self, version: str | None, accepted: dict[str, Any]) -> None:
        self.version = version
        self.accepted = accepted
        self.tasks: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.queries: list[dict[str, str]] = []
        self.all_done = asyncio.Event()
        self.port = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/_worker/workers/register", self.register)
        app.router.add_get("/_worker/workers/{id}/tasks/next", self.poll)
        app.router.add_patch("/_worker/workers/{id}", self.heartbeat)
        app.router.add_post("/_worker/tasks/result", self.result)
        return app

    async def register(self, request: web.Request) -> web.Response:
        return self._json({"status": "registered"})

    async def poll(self, request: web.Request) -> web.Response:
        self.queries.append(dict(request.query))
        if self.tasks:
            return self._json(self.tasks.pop(0))
        await asyncio.sleep(0.01)
        return web.Response(status=204, headers=self._headers())

    async def heartbeat(self, request: web.Request) -> web.Response:
        return self._json({"worker_id": "w1", "status": "idle", "load": 0})

    async def result(self, request: web.Request) -> web.Response:
        self.results.append(await request.json())
        if not self.tasks and len(self.results) == 3:
            self.all_done.set()
        return self._json(self.accepted)

    def _json(self, body: Any) -> web.Response:
        return web.json_response(body, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"X-RXON-Version": self.version} if self.version else {}


@pytest.fixture(
    params=[
        (None, {"status": "result_accepted_success"}),
        ("1.0b14", {"status": "accepted", "transition": "success_transition"}),
    ],
    ids=["1.0b4", "1.0b27"],
)
async def earlier(request: pytest.FixtureRequest) -> AsyncIterator[Earlier]:
    orchestrator = Earlier(*request.param)
    async for served in serve(orchestrator.app()):
        orchestrator.port = served
        yield orchestrator


async def serve(app: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_tasks_come_and_results_go_one_by_one(earlier: Earlier) -> None:
    url = f"http://127.0.0.1:{earlier.port}"
    environ = {
        "WORKER_ID": "w1",
        "WORKER_TOKEN": "t",
        "ORCHESTRATOR_URL": url,
        "WORKER_SKILLS_DIR": "/nowhere",
    }
    worker = Worker(config=WorkerConfig(environ))

    @worker.task("blur")
    async def blur(params: dict[str, Any], **kwargs: Any) -> Any:
        return {"status": "success", "data": {"src": params["src"]}}

    for n in range(3):
        task = {"job_id": f"J{n}", "task_id": f"T{n}", "type": "blur", "params": {"src": n}}
        earlier.tasks.append(task | {"tracing_context": {}, "timestamp": 1790000020.25, "deadline": None})
    async with working(worker):
        await earlier.all_done.wait()
    assert sorted(result["data"]["src"] for result in earlier.results) == [0, 1, 2]
    assert all(result["worker_id"] == "w1" and "lease_token" not in result for result in earlier.results)
    assert all("limit" not in query for query in earlier.queries)


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "text"),
    [
        (
            429,
            '{"error":"{\\"error\\": \\"Too Many Requests\\"}"}',
            {"Retry-After": "7"},
            RateLimitError,
            "Too Many",
        ),
        (403, '{"error":"Unauthorized: No valid token found"}', {}, AuthError, "No valid token"),
        (500, "<html>oops</html>", {}, UnavailableError, "oops"),
        (502, "", {}, UnavailableError, "502"),
        (302, "", {"Location": "http://elsewhere.example/"}, ProtocolError, "302"),
    ],
)
async def test_answers_of_any_server_become_errors(
    status: int, body: str, headers: dict[str, str], error: type[Exception], text: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async for port in serve(app):
        client = HttpTransport(f"ws://127.0.0.1:{port}/", "w1", "t")
        with pytest.raises(error, match=text) as caught:
            await client.poll(PollRequest())
        if isinstance(caught.value, RateLimitError):
            assert caught.value.retry_after == 7.0
        await client.close()


async def test_a_page_of_something_else_settles_no_result() -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>welcome to the hotel network</html>")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    async for port in serve(app):
        client = HttpTransport(f"http://127.0.0.1:{port}", "w1", "t")
        with pytest.raises(TransportError):
            await client.report([TaskResult(job_id="j", task_id="t")])
        await client.close()


async def test_a_job_that_is_not_known_ignores_its_result_and_null_is_an_answer() -> None:
    async def unknown(request: web.Request) -> web.Response:
        return web.json_response({"error": "Job not found"}, status=404)

    async def null(request: web.Request) -> web.Response:
        return web.json_response(None)

    async def registered(request: web.Request) -> web.Response:
        return web.json_response({"status": "registered", "version": "1.0b7", "warning": None})

    app = web.Application()
    app.router.add_post("/_worker/tasks/result", unknown)
    app.router.add_patch("/_worker/workers/w1", null)
    app.router.add_post("/_worker/workers/register", registered)
    async for port in serve(app):
        client = HttpTransport(f"http://127.0.0.1:{port}", "w1", "t")
        (answer,) = await client.report([TaskResult(job_id="j", task_id="t")])
        assert (answer.status, answer.reason) == ("ignored", "job_not_found")
        assert await client.heartbeat(None) == HeartbeatAnswer("ok")
        assert await client.register(Registration("w1")) == Registered("registered", "1.0b7")
        await client.close()
