"""The HTTP endpoints keep the published paths, bodies, statuses and headers."""

import io
from collections.abc import AsyncIterator

import aiohttp
import pytest

from rxon.errors import (
    AuthError,
    ForbiddenError,
    ProtocolError,
    RateLimitError,
    RxonError,
    StaleLeaseError,
    TooLargeError,
    TransportError,
    UnavailableError,
    WorkerUnknownError,
)
from rxon.http.client import HttpTransport
from rxon.messages import Heartbeat, HeartbeatAnswer, Registration, TaskOffer, TaskResult
from rxon.testing.gateway import MemoryGateway
from rxon.transport import Credentials, PollRequest
from tests.integration.worker.conftest import Server

TOKEN = {"X-Worker-Token": "token"}
ASK = PollRequest(timeout=5.0)


@pytest.fixture
async def http(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url, headers=TOKEN) as session:
        await session.post("/_worker/workers/register", json={"worker_id": "w1"})
        yield session


@pytest.fixture
async def client(server: Server) -> AsyncIterator[HttpTransport]:
    client = HttpTransport(server.url, "w1", "token")
    yield client
    await client.close()


async def test_registration_answers_status_and_version(http: aiohttp.ClientSession) -> None:
    async with http.post("/_worker/workers/register", json={"worker_id": "w2"}) as response:
        assert response.status == 200
        assert await response.json() == {"status": "registered", "version": "2.0.0"}


async def test_a_poll_without_limit_answers_one_task(
    http: aiohttp.ClientSession, gateway: MemoryGateway
) -> None:
    await gateway.offer("blur", {"src": "a.png"})
    async with http.get("/_worker/workers/w1/tasks/next?timeout=1&available_skills=blur,crop") as response:
        body = await response.json()
    assert (response.status, body["type"], body["params"]) == (200, "blur", {"src": "a.png"})
    assert gateway.polls == [PollRequest(1.0, frozenset({"blur", "crop"}), (), 1)]


async def test_a_poll_with_limit_answers_a_batch(http: aiohttp.ClientSession, gateway: MemoryGateway) -> None:
    ids = [await gateway.offer("blur") for _ in range(3)]
    async with http.get("/_worker/workers/w1/tasks/next?timeout=1&limit=2&hot_skills=blur") as response:
        body = await response.json()
    assert [task["task_id"] for task in body["tasks"]] == ids[:2]
    assert gateway.polls[0].hot_skills == ("blur",)


@pytest.mark.parametrize("query", ["timeout=0", "timeout=0&limit=5"])
async def test_a_poll_that_finds_nothing_has_no_content(http: aiohttp.ClientSession, query: str) -> None:
    async with http.get(f"/_worker/workers/w1/tasks/next?{query}") as response:
        assert (response.status, await response.read()) == (204, b"")


async def test_an_empty_heartbeat_refreshes(http: aiohttp.ClientSession, gateway: MemoryGateway) -> None:
    async with http.patch("/_worker/workers/w1") as response:
        assert await response.json() == {"status": "ttl_refreshed"}
    async with http.patch("/_worker/workers/w1", json={"status": "idle"}) as response:
        assert await response.json() == {"status": "ok"}
    assert gateway.beats == [None, Heartbeat(status="idle")]


async def test_single_results_are_accepted_ignored_or_refused(
    http: aiohttp.ClientSession, gateway: MemoryGateway
) -> None:
    await gateway.offer("blur")
    await http.get("/_worker/workers/w1/tasks/next")
    result = {"job_id": "job-1", "task_id": "task-1", "worker_id": "w1", "lease_token": "lease-1"}
    async with http.post("/_worker/tasks/result", json=result) as response:
        assert (response.status, (await response.json())["status"]) == (200, "accepted")
    async with http.post("/_worker/tasks/result", json=result) as response:
        assert response.status == 200
        answer = await response.json()
        assert answer == {"status": "ignored", "reason": "stale_task", "duplicate": True}
    async with http.post("/_worker/tasks/result", json=result | {"lease_token": "old"}) as response:
        assert response.status == 409
        answer = await response.json()
        assert (answer["status"], answer["code"], answer["error"]) == (
            "refused",
            "stale_lease",
            "The lease of the task is over",
        )


async def test_a_batch_of_results_has_an_answer_for_each(
    http: aiohttp.ClientSession, gateway: MemoryGateway
) -> None:
    await gateway.offer("blur")
    await http.get("/_worker/workers/w1/tasks/next")
    results = [
        {"job_id": "job-1", "task_id": "task-1", "lease_token": "lease-1"},
        {"job_id": "job-9", "task_id": "task-9"},
    ]
    async with http.post("/_worker/tasks/results", json={"results": results}) as response:
        statuses = [answer["status"] for answer in (await response.json())["results"]]
    assert (response.status, statuses) == (200, ["accepted", "refused"])


@pytest.mark.parametrize(
    ("call", "body", "status", "code", "field"),
    [
        ("POST /_worker/workers/register", b"{", 400, "invalid_message", None),
        ("POST /_worker/workers/register", b"{}", 400, "invalid_message", "worker_id"),
        ("POST /_worker/workers/register", b'{"worker_id":"a b"}', 400, "invalid_message", "worker_id"),
        ("POST /_worker/tasks/result", b'{"job_id":"j"}', 400, "invalid_message", "task_id"),
        ("POST /_worker/tasks/results", b'{"results":[{}]}', 400, "invalid_message", "results[0].job_id"),
        ("GET /_worker/workers/w1/tasks/next?limit=0", b"", 400, "invalid_message", "limit"),
        ("GET /_worker/workers/w1/tasks/next?limit=1001", b"", 400, "invalid_message", "limit"),
        ("GET /_worker/workers/w1/tasks/next?timeout=nan", b"", 400, "invalid_message", "timeout"),
        ("GET /_worker/workers/w%20/tasks/next", b"", 400, "invalid_message", "worker_id"),
        ("PATCH /_worker/workers/stranger", b"", 404, "worker_not_found", None),
        ("POST /_worker/tasks/result", b"x" * 1_100_000, 413, "payload_too_large", None),
    ],
)
async def test_refusals_have_text_code_and_version(
    http: aiohttp.ClientSession, call: str, body: bytes, status: int, code: str, field: str | None
) -> None:
    method, path = call.split()
    async with http.request(method, path, data=io.BytesIO(body)) as response:
        answer = await response.json()
    assert (response.status, answer["code"], answer.get("field")) == (status, code, field)
    assert answer["error"]
    assert response.headers["X-RXON-Version"] == "2.0.0"


async def test_a_missing_token_is_unauthorized(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as session, session.patch("/_worker/workers/w1") as response:
        assert response.status == 401
        body = {"error": "Missing X-Worker-Token header", "code": "unauthorized"}
        assert await response.json() == body


@pytest.mark.parametrize("path", ["/_worker/nothing", "/_worker/tasks/result"])
async def test_answers_made_by_the_framework_carry_the_version(
    http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(path) as response:
        assert response.status in (404, 405)
        assert response.headers["X-RXON-Version"] == "2.0.0"


class Raising(MemoryGateway):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def heartbeat(
        self, credentials: Credentials, worker_id: str, beat: Heartbeat | None
    ) -> HeartbeatAnswer:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ProtocolError("no"),
        AuthError("no"),
        ForbiddenError("no"),
        WorkerUnknownError("not found"),
        StaleLeaseError("no"),
        TooLargeError("no"),
        RateLimitError("no", retry_after=6.2),
        UnavailableError("no", retry_after=3),
    ],
)
async def test_an_error_of_the_gateway_arrives_as_the_same_error(
    server: Server, client: HttpTransport, error: RxonError
) -> None:
    server.gateway = Raising(error)
    with pytest.raises(type(error)) as caught:
        await client.heartbeat(None)
    assert caught.value.message == error.message
    if isinstance(caught.value, RateLimitError):
        assert caught.value.retry_after == 7


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_any_other_exception_reaches_the_application(server: Server, client: HttpTransport) -> None:
    server.gateway = Raising(RuntimeError("bug"))
    with pytest.raises(UnavailableError) as caught:
        await client.heartbeat(None)
    assert (caught.value.details or {})["status"] == 500
    assert client.speaks_batches


async def test_the_client_uses_batches_once_the_server_is_known_to(
    server: Server, gateway: MemoryGateway, client: HttpTransport
) -> None:
    await client.register(Registration("w1"))
    for _ in range(3):
        await gateway.offer("blur")
    offers = await client.poll(PollRequest(timeout=5, limit=10))
    assert [offer.task_id for offer in offers] == ["task-1", "task-2", "task-3"]
    answers = await client.report([done(offer) for offer in offers])
    assert [answer.status for answer in answers] == ["accepted"] * 3
    assert server.paths[-1] == "POST /_worker/tasks/results"


async def test_one_bad_result_in_a_batch_does_not_hold_up_the_others(
    gateway: MemoryGateway, client: HttpTransport
) -> None:
    await client.register(Registration("w1"))
    await gateway.offer("blur")
    (offer,) = await client.poll(ASK)
    huge = TaskResult(job_id="job-1", task_id="huge", error=None, costs={"x": "y" * 1_100_000})
    answers = await client.report([huge, done(offer)])
    assert [(answer.status, answer.code) for answer in answers] == [
        ("refused", "payload_too_large"),
        ("accepted", None),
    ]


async def test_a_server_that_is_not_there_is_a_transport_error(server: Server, client: HttpTransport) -> None:
    await server.stop()
    with pytest.raises(TransportError):
        await client.poll(ASK)


def done(offer: TaskOffer) -> TaskResult:
    return TaskResult(
        job_id=offer.job_id, task_id=offer.task_id, worker_id="w1", lease_token=offer.lease_token
    )
