"""The SDK tells an orchestrator what happens while it works, over real HTTP."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
import pytest

from avtomatika_worker import Worker
from rxon.errors import RxonError, StaleLeaseError, TransportError, UnavailableError
from rxon.http.client import HttpTransport
from rxon.messages import EventAnswer, TaskResult, WorkerEvent
from rxon.testing.gateway import MemoryGateway
from rxon.transport import Credentials
from tests.integration.worker.conftest import Server, json_of, working


def told(gateway: MemoryGateway) -> list[tuple[str, Any]]:
    return [(event.event_type, json_of(event.payload)) for event in gateway.events]


async def test_what_a_handler_tells_arrives_in_order_and_before_its_result(
    worker: Worker, gateway: MemoryGateway
) -> None:
    @worker.skill
    async def work(send_event: Any, send_progress: Any) -> None:
        for n in range(20):
            await send_event("n", {"n": n})
        await send_progress(1.0, "done")

    async with working(worker):
        result: TaskResult = await gateway.result_of(await gateway.offer("work"))
        events = list(gateway.events)
    assert told(gateway) == [
        *(("n", {"n": n}) for n in range(20)),
        ("progress", {"progress": 1.0, "message": "done"}),
    ]
    assert {event.task_id for event in events} == {result.task_id}
    assert {event.lease_token for event in events} == {"lease-1"}


async def test_a_handler_in_a_thread_tells_as_well(worker: Worker, gateway: MemoryGateway) -> None:
    @worker.skill
    def work(send_event: Any, send_progress: Any) -> Any:
        send_event("begun", {"main": threading.current_thread() is threading.main_thread()})
        send_progress(0.5)

    async with working(worker):
        await gateway.result_of(await gateway.offer("work"))
    assert told(gateway) == [
        ("begun", {"main": False}),
        ("progress", {"progress": 0.5, "message": ""}),
    ]


async def test_of_a_flood_of_progress_little_is_sent_and_the_last_of_it_always(
    worker: Worker, gateway: MemoryGateway
) -> None:
    @worker.skill
    async def work(send_progress: Any) -> None:
        for n in range(5_000):
            await send_progress(n)
            if n % 500 == 0:
                await asyncio.sleep(0)

    async with working(worker):
        await gateway.result_of(await gateway.offer("work"))
    values = [payload["progress"] for _, payload in told(gateway)]
    assert values[-1] == 4_999
    assert len(values) < 20


class Deaf(MemoryGateway):
    """Answers its first events with errors."""

    def __init__(self, *errors: RxonError) -> None:
        super().__init__()
        self.errors = list(errors)

    async def emit(self, credentials: Credentials, event: WorkerEvent) -> EventAnswer:
        if self.errors:
            raise self.errors.pop(0)
        return await super().emit(credentials, event)


@pytest.mark.parametrize(
    ("error", "arrive"), [(UnavailableError("full", retry_after=0), [1, 2]), (StaleLeaseError("no"), [2])]
)
async def test_an_event_is_sent_again_where_that_can_help_and_the_work_goes_on_anyway(
    worker: Worker, server: Server, error: RxonError, arrive: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    gateway = server.gateway = Deaf(error)
    worker.config.RESULT_RETRY_INITIAL_DELAY = 0.01

    @worker.skill
    async def work(send_event: Any) -> Any:
        await send_event("n", {"n": 1})
        await send_event("n", {"n": 2})
        return {"fine": True}

    async with working(worker):
        result = await gateway.result_of(await gateway.offer("work"))
    assert json_of(result.data) == {"fine": True}
    assert [payload["n"] for _, payload in told(gateway)] == arrive
    assert "Cannot send an event" in caplog.text


async def test_what_was_told_while_the_orchestrator_was_away_arrives_before_the_result(
    worker: Worker, server: Server, gateway: MemoryGateway
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    @worker.skill
    async def work(send_event: Any) -> None:
        began.set()
        await go_on.wait()
        await send_event("found", {"n": 1})

    async with working(worker):
        task_id = await gateway.offer("work")
        await began.wait()
        await server.stop()
        go_on.set()
        await server.start()
        await gateway.result_of(task_id)
    assert told(gateway) == [("found", {"n": 1})]


async def test_a_cancelled_task_tells_nothing_more(worker: Worker, server: Server) -> None:
    gateway = server.gateway = MemoryGateway(lease_seconds=0.3)
    kept: list[Callable[..., Any]] = []
    began = asyncio.Event()

    @worker.skill
    async def work(send_event: Any) -> None:
        kept.append(send_event)
        began.set()
        await asyncio.Event().wait()

    @worker.skill
    async def other(send_event: Any) -> None:
        kept[0]("late")
        await send_event("mine")

    async with working(worker):
        gateway.cancel(await gateway.offer("work"))
        await began.wait()
        await gateway.seen(
            lambda: bool(gateway.beats and gateway.beats[-1] and not gateway.beats[-1].current_tasks)
        )
        await gateway.result_of(await gateway.offer("other"))
    assert told(gateway) == [("mine", {})]


class Renewing(MemoryGateway):
    """Offers a task again to the worker that has it, as after a lease that ran out."""

    async def renew(self, task_id: str, lease_token: str) -> None:
        """The worker has heard of the new lease."""
        polls = len(self.polls)
        self._waiting.append(msgspec.structs.replace(self._open.pop(task_id), lease_token=lease_token))
        await self._notify()
        await self.seen(lambda: len(self.polls) > polls)


async def test_what_a_task_tells_under_a_new_lease_names_that(worker: Worker, server: Server) -> None:
    gateway = server.gateway = Renewing()
    go_on = asyncio.Event()

    @worker.skill
    async def work(send_event: Any) -> None:
        await send_event("before")
        await go_on.wait()
        await send_event("after")

    async with working(worker):
        task_id = await gateway.offer("work")
        await gateway.seen(lambda: bool(gateway.events))
        await gateway.renew(task_id, "lease-new")
        go_on.set()
        await gateway.result_of(task_id)
    assert [event.lease_token for event in gateway.events] == ["lease-1", "lease-new"]


async def test_a_finished_task_that_is_cancelled_before_its_result_is_sent_is_let_go(
    worker: Worker, server: Server
) -> None:
    gateway = server.gateway = Deaf(*[UnavailableError("full", retry_after=60)] * 9)
    worker.config.HEARTBEAT_INTERVAL = 0.1
    worker.config.WORKER_SHUTDOWN_TIMEOUT = 30

    @worker.skill
    async def work(send_event: Any) -> None:
        await send_event("found")

    async with working(worker):
        task_id = await gateway.offer("work")
        await gateway.seen(lambda: len(gateway.errors) == 8)
        gateway.cancel(task_id)
        await gateway.seen(
            lambda: bool(gateway.beats and gateway.beats[-1] and not gateway.beats[-1].current_tasks)
        )
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 20
    assert gateway.results == []


async def test_an_orchestrator_that_knows_no_events_gets_its_results(
    worker: Worker, server: Server, gateway: MemoryGateway
) -> None:
    server.missing.add("/_worker/events")

    @worker.skill
    async def work(send_event: Any, send_progress: Any) -> None:
        await send_progress(0.5)
        await send_event("found")

    async with working(worker):
        await gateway.result_of(await gateway.offer("work"))
    assert gateway.events == []


async def test_the_transport_speaks_with_the_gateway(server: Server, gateway: MemoryGateway) -> None:
    async with aiohttp.ClientSession() as session:
        transport = HttpTransport(server.url, "w1", "token", session)
        event = WorkerEvent(
            event_id="e",
            worker_id="w1",
            origin_worker_id="w1",
            event_type="x",
            payload=msgspec.Raw(b'{"n": 1.0}'),
        )
        assert (await transport.emit(event)).status == "event_accepted"
        assert gateway.events == [event]
        await server.stop()
        with pytest.raises(TransportError):
            await transport.emit(event)
