"""A worker and an orchestrator over real HTTP."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from avtomatika_worker import TaskFiles, Worker
from avtomatika_worker.conversation.orchestrators import Orchestrator, transport_to
from rxon.messages import ResultAnswer, TaskOffer, TaskResult
from rxon.stream.switching import SwitchingTransport
from rxon.testing.gateway import MemoryGateway
from rxon.testing.loopback import LoopbackTransport
from rxon.transport import Credentials, PollRequest, WorkerTransport
from tests.integration.worker.conftest import Server, json_of, working


async def test_both_spellings_of_a_handler_are_served(worker: Worker, gateway: MemoryGateway) -> None:
    @worker.task("resize", task_type="image")
    async def resize(params: dict[str, Any], **kwargs: Any) -> Any:
        path = f"/{kwargs['job_id']}/{kwargs.get('task_id')}/{params.get('filename')}"
        return {"status": "success", "data": {"path": path}}

    @worker.skill("hello")
    async def hello(params: dict[str, Any], files: TaskFiles) -> Any:
        await files.write("name.txt", params.get("name", "World"))
        return {"message": f"Hello, {await files.read('name.txt')}!"}

    async with working(worker):
        first = await gateway.offer("resize", {"filename": "a.png"})
        second = await gateway.offer("hello", {"name": "Ann"})
        assert json_of((await gateway.result_of(first)).data) == {"path": "/job-1/task-1/a.png"}
        result = await gateway.result_of(second)
    assert json_of(result.data) == {"message": "Hello, Ann!"}
    assert (result.worker_id, result.lease_token) == ("w1", "lease-2")
    assert "execution_time_seconds" in (result.costs or {})
    assert gateway.beats[-1] is not None
    assert gateway.beats[-1].status == "offline"


async def test_an_unknown_skill_is_a_permanent_error(worker: Worker, gateway: MemoryGateway) -> None:
    worker.skill("known")(lambda: None)
    async with working(worker):
        result = await gateway.result_of(await gateway.offer("unknown"))
    assert result.error is not None
    assert (result.error.code, result.error.message) == ("PERMANENT_ERROR", "Unsupported skill: unknown")


async def test_a_restarted_orchestrator_is_found_again_and_gets_what_was_finished_meanwhile(
    worker: Worker, server: Server, gateway: MemoryGateway
) -> None:
    began, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @worker.skill
    async def slow() -> Any:
        began.set()
        await go_on.wait()
        ended.set()
        return {"n": 1}

    @worker.skill
    async def quick() -> Any:
        return {"n": 2}

    async with working(worker):
        first = await gateway.offer("slow")
        await began.wait()
        await server.stop()
        go_on.set()
        await ended.wait()
        gateway.forget_workers()
        await server.start()
        assert json_of((await gateway.result_of(first)).data) == {"n": 1}
        assert json_of((await gateway.result_of(await gateway.offer("quick"))).data) == {"n": 2}
    assert len(gateway.registrations) == 2


async def test_a_worker_may_start_before_its_orchestrator(
    worker: Worker, server: Server, gateway: MemoryGateway
) -> None:
    worker.skill("work")(lambda: None)
    await server.stop()
    async with working(worker):
        task_id = await gateway.offer("work")
        await server.start()
        await gateway.result_of(task_id)


async def test_results_travel_in_batches(worker: Worker, server: Server, gateway: MemoryGateway) -> None:
    @worker.skill
    async def work(params: dict[str, Any]) -> Any:
        return params

    ids = [await gateway.offer("work", {"n": n}) for n in range(30)]
    async with working(worker):
        results = [await gateway.result_of(task_id) for task_id in ids]
    assert [json_of(result.data)["n"] for result in results] == list(range(30))
    reports = [path for path in server.paths if "/tasks/result" in path]
    assert len(reports) < 10
    assert max(poll.limit for poll in gateway.polls) == 10


class Slow(MemoryGateway):
    """Answers reports only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def report(self, credentials: Credentials, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        self.asked.set()
        await self.answer.wait()
        return await super().report(credentials, results)


async def test_the_folder_of_a_task_stays_until_its_result_is_acknowledged(
    worker: Worker, server: Server, tmp_path: Path
) -> None:
    gateway = server.gateway = Slow()

    @worker.skill
    async def work(files: TaskFiles) -> Any:
        await files.write("a.txt", "x")

    async with working(worker):
        task_id = await gateway.offer("work")
        await gateway.asked.wait()
        assert (tmp_path / "payloads" / task_id / "a.txt").exists()
        gateway.answer.set()
        await gateway.result_of(task_id)
    assert list((tmp_path / "payloads").iterdir()) == []


async def test_a_stale_result_is_dropped_and_work_goes_on(
    worker: Worker, server: Server, gateway: MemoryGateway, caplog: pytest.LogCaptureFixture
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    @worker.skill
    async def work() -> None:
        began.set()
        await go_on.wait()

    async with working(worker):
        stale = await gateway.offer("work")
        await began.wait()
        gateway.revoke(stale)
        go_on.set()
        await gateway.result_of(await gateway.offer("work"))
    assert [result.task_id for result in gateway.results] == ["task-2"]
    assert f"{stale} was refused: stale_lease" in caplog.text
    assert server.paths.count("POST /_worker/tasks/result") == 2


async def test_heartbeats_list_what_is_held_and_carry_cancellations(worker: Worker, server: Server) -> None:
    gateway = server.gateway = MemoryGateway(lease_seconds=0.3)
    cancelled: dict[str, bool] = {}
    began = asyncio.Event()
    thread_began, thread_ended = threading.Event(), threading.Event()

    @worker.skill
    async def coroutine() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled["coroutine"] = True
            raise

    @worker.skill
    def thread(is_cancelled: Any) -> None:
        thread_began.set()
        while not is_cancelled():
            thread_ended.wait(0.001)
        cancelled["thread"] = True
        thread_ended.set()

    async with working(worker):
        ids = [await gateway.offer("coroutine"), await gateway.offer("thread")]
        await began.wait()
        await asyncio.to_thread(thread_began.wait, 5)
        for task_id in ids:
            gateway.cancel(task_id)
        await gateway.seen(
            lambda: bool(gateway.beats and gateway.beats[-1] and not gateway.beats[-1].current_tasks)
        )
        await asyncio.to_thread(thread_ended.wait, 5)
    assert cancelled == {"coroutine": True, "thread": True}
    assert gateway.results == []
    assert tuple(ids) in held(gateway)


def held(gateway: MemoryGateway) -> list[tuple[str, ...]]:
    return [beat.current_tasks or () for beat in gateway.beats if beat]


async def test_a_forgotten_worker_registers_again(worker: Worker, gateway: MemoryGateway) -> None:
    worker.config.TASK_POLL_TIMEOUT = 0.05
    worker.skill("work")(lambda: None)
    async with working(worker):
        await gateway.seen(lambda: bool(gateway.polls))
        gateway.forget_workers()
        await gateway.seen(lambda: len(gateway.registrations) == 2)
        await gateway.result_of(await gateway.offer("work"))


class Faulty(LoopbackTransport):
    """Breaks in a way that no transport should, twice in each verb."""

    def __init__(self, gateway: MemoryGateway) -> None:
        super().__init__(gateway, "w1", "token")
        self.left = {"poll": 2, "report": 2}

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        self._break("poll")
        return await super().poll(request)

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        self._break("report")
        return await super().report(results)

    def _break(self, verb: str) -> None:
        self.left[verb] -= 1
        if self.left[verb] >= 0:
            raise ZeroDivisionError(verb)


async def test_no_exception_ends_a_loop(worker: Worker, gateway: MemoryGateway) -> None:
    config = worker.config
    config.POLL_BACKOFF_INITIAL = config.RESULT_RETRY_INITIAL_DELAY = 0.01
    faulty = Faulty(gateway)
    worker = Worker(config=config, connect=lambda _: faulty)
    worker.skill("work")(lambda: None)
    async with working(worker):
        await gateway.result_of(await gateway.offer("work"))
    assert all(left < 0 for left in faulty.left.values())


async def test_an_orchestrator_that_is_away_holds_up_no_other(worker: Worker, gateway: MemoryGateway) -> None:
    url = worker.config.ORCHESTRATOR_URL
    worker.config.ORCHESTRATORS = [{"url": "http://127.0.0.1:9", "priority": 1}, {"url": url}]
    worker.skill("work")(lambda: None)
    async with working(worker):
        await gateway.result_of(await gateway.offer("work"))


async def test_a_full_worker_asks_for_nothing_and_a_limited_type_is_not_offered(
    server: Server, gateway: MemoryGateway, worker: Worker
) -> None:
    worker = Worker(config=worker.config, max_concurrent_tasks=3, task_type_limits={"video": 1})
    began, go_on = asyncio.Event(), asyncio.Event()

    @worker.task("upscale", task_type="video")
    async def upscale(params: dict[str, Any], **kwargs: Any) -> None:
        began.set()
        await go_on.wait()

    @worker.task("report")
    async def report(params: dict[str, Any], **kwargs: Any) -> None: ...

    async with working(worker):
        held = await gateway.offer("upscale")
        await began.wait()
        await gateway.seen(lambda: len(gateway.polls) >= 2)
        assert gateway.polls[1] == PollRequest(30.0, frozenset({"report"}), (), 2)
        second = await gateway.offer("upscale")
        await gateway.result_of(await gateway.offer("report"))
        assert not any(result.task_id == second for result in gateway.results)
        go_on.set()
        await gateway.result_of(held)
        await gateway.result_of(await gateway.offer("report"))  # lets the parked poll return
        await gateway.result_of(second)


async def test_what_does_not_finish_in_time_is_stopped_and_not_reported(
    worker: Worker, gateway: MemoryGateway
) -> None:
    worker.config.WORKER_SHUTDOWN_TIMEOUT = 0.05
    began, stopped = asyncio.Event(), asyncio.Event()

    @worker.skill
    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with working(worker):
        await gateway.offer("work")
        await began.wait()
    assert stopped.is_set()
    assert gateway.results == []


async def test_health_and_readiness_tell_the_truth(
    worker: Worker, server: Server, gateway: MemoryGateway
) -> None:
    worker.config.WORKER_PORT = unused_port()
    await server.stop()
    worker.skill("work")(lambda: None)
    worker._with_health = True
    address = f"http://127.0.0.1:{worker.config.WORKER_PORT}"
    async with working(worker), aiohttp.ClientSession(address) as http:
        assert await status(http, "/health") == 200
        assert await status(http, "/ready") == 503
        await server.start()
        await gateway.seen(lambda: bool(gateway.polls))
        assert await status(http, "/ready") == 200


async def status(http: aiohttp.ClientSession, path: str) -> int:
    for _ in range(1000):  # until the worker listens
        try:
            async with http.get(path) as response:
                assert response.content_type == "application/json"
                return response.status
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.005)
    raise TimeoutError


async def test_the_session_of_the_user_is_used_and_stays_open(worker: Worker, gateway: MemoryGateway) -> None:
    async with aiohttp.ClientSession() as session:
        worker = Worker(config=worker.config, http_session=session)
        worker.skill("work")(lambda: None)
        async with working(worker):
            await gateway.result_of(await gateway.offer("work"))
        assert not session.closed


async def test_certificates_that_cannot_be_read_are_a_config_error(worker: Worker) -> None:
    worker.config.TLS_CA_PATH = "/nowhere/ca.pem"
    with pytest.raises(Exception, match="TLS_CA_PATH"):
        await worker.main()


def test_the_transport_does_not_show_its_token(worker: Worker) -> None:
    transport: WorkerTransport = transport_to(Orchestrator("http://a", token="hush"), worker.config, None)
    assert isinstance(transport, SwitchingTransport)
    assert "hush" not in repr(transport)
