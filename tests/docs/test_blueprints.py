"""Rows of the feature list about blueprints, shown on a node with a worker over HTTP."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import msgspec
import pytest

from avtomatika import Blueprint, OrchestratorEngine, StateMachineBlueprint
from avtomatika.config import Config
from avtomatika.context import ActionFactory
from avtomatika.storage import MemoryStorage
from rxon.http.client import HttpTransport
from rxon.messages import Registration, SkillInfo, TaskOffer, TaskResult
from rxon.transport import PollRequest

TOKEN = "a-token-of-the-documents"


class Node:
    """An orchestrator, a client of it, and workers as a test wants them."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def run(
        self, endpoint: str, body: Any, do: Callable[[], Awaitable[None]] | None = None
    ) -> dict[str, Any]:
        """The job, once it is over; meanwhile *do* is done."""
        async with self._session.post(f"{self._url}/api{endpoint}", json=body) as answer:
            assert answer.status == 202, await answer.text()
            job = (await answer.json())["job_id"]
        if do is not None:
            await do()
        async with self._session.get(f"{self._url}/api/v1/jobs/{job}?wait=20&detailed=true") as answer:
            found: dict[str, Any] = await answer.json()
        return found

    async def worker(self, name: str, *skills: str) -> HttpTransport:
        """A worker that is registered."""
        transport = HttpTransport(self._url, name, TOKEN, self._session)
        known = tuple(SkillInfo(skill) for skill in skills)
        await transport.register(Registration(worker_id=name, supported_skills=known))
        return transport


async def take(worker: HttpTransport, limit: int = 1, timeout: float = 5.0) -> Sequence[TaskOffer]:
    """Tasks for the worker."""
    return await worker.poll(PollRequest(timeout=timeout, limit=limit))


async def report(worker: HttpTransport, offer: TaskOffer, data: Any = None, **fields: Any) -> None:
    """The result is applied."""
    result = TaskResult(
        job_id=offer.job_id,
        task_id=offer.task_id,
        lease_token=offer.lease_token,
        data=None if data is None else msgspec.Raw(msgspec.json.encode(data)),
        **fields,
    )
    (answer,) = await worker.report((result,))
    assert answer.status == "accepted", answer


Serve = Callable[..., Awaitable[Node]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a node with blueprints."""
    engines: list[OrchestratorEngine] = []
    headers = {"X-Client-Token": TOKEN}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def begin(*blueprints: Blueprint, **settings: Any) -> Node:
            config = Config({})
            given = {
                "API_PORT": 0,
                "CLIENT_TOKEN": TOKEN,
                "GLOBAL_WORKER_TOKEN": TOKEN,
                "RETRY_BACKOFF_SECONDS": 0.01,
            }
            for name, value in (given | settings).items():
                setattr(config, name, value)
            engine = OrchestratorEngine(MemoryStorage(), config)
            for blueprint in blueprints:
                engine.register_blueprint(blueprint)
            await engine.start()
            engines.append(engine)
            assert engine.address is not None
            return Node(session, f"http://127.0.0.1:{engine.address[1]}")

        yield begin
    for engine in engines:
        await engine.stop()


async def test_the_spellings_of_earlier_programs_mean_the_same(serve: Serve) -> None:
    flow = StateMachineBlueprint(name="old", api_version="v1", api_endpoint="jobs/old")

    @flow.handler_for("start", is_start=True)
    async def start(job_id: str, initial_data: dict[str, Any], actions: ActionFactory) -> None:
        assert job_id
        actions.dispatch_parallel([{"task_type": "work", "params": initial_data}], aggregate_into="sum")

    @flow.aggregator_for("sum")
    async def add(context: Any) -> None:
        (result,) = context.aggregation_results.values()
        context.state_history["total"] = result["data"]["n"] + 1
        context.actions.transition_to("end")

    @flow.handler_for("end", is_end=True)
    async def end(context: Any) -> int:
        total: int = context.state_history["total"]
        return total

    node = await serve(flow)
    worker = await node.worker("w", "work")

    async def work() -> None:
        (offer,) = await take(worker)
        await report(worker, offer, msgspec.json.decode(offer.params))

    job = await node.run("/v1/jobs/old", {"n": 1}, work)
    assert (job["status"], job["current_state"], job["result"]) == ("finished", "end", 2)


async def test_arguments_are_given_by_name(serve: Serve) -> None:
    flow = Blueprint("names", api_version="v1", api_endpoint="/names", data_stores={"rates": {"EUR": 2}})

    @flow.handler(is_start=True)
    async def start(state_history: dict[str, Any], actions: ActionFactory) -> None:
        state_history["amount"] = 21
        actions.go_to("end")

    @flow.handler(is_end=True)
    def end(amount: int, currency: str, data_stores: Any, client: Any, note: str = "none") -> list[Any]:
        in_thread = threading.current_thread() is not threading.main_thread()
        return [amount * data_stores.rates.get(currency), note, client.id, client.token, in_thread]

    node = await serve(flow)
    job = await node.run("/v1/names", {"amount": 1, "currency": "EUR"})
    assert job["result"] == [42, "none", "default", "***", True]


async def test_a_missing_argument_is_named(serve: Serve) -> None:
    flow = Blueprint("missing", api_version="v1", api_endpoint="/missing")

    @flow.handler(is_start=True, is_end=True)
    async def start(colour: str) -> str:
        return colour

    job = await (await serve(flow)).run("/v1/missing", {})
    assert (job["status"], job["error"]["code"]) == ("quarantined", "BLUEPRINT_ERROR")
    assert "'colour'" in job["error"]["message"]


@pytest.mark.parametrize(
    ("calls", "says"), [(0, "asked for no action"), (2, "Cannot set multiple actions")], ids=["none", "two"]
)
async def test_one_action_is_asked_for_in_a_run(serve: Serve, calls: int, says: str) -> None:
    flow = Blueprint("actions", api_version="v1", api_endpoint="/actions")

    @flow.handler(is_start=True)
    async def start(actions: ActionFactory) -> None:
        for _ in range(calls):
            actions.go_to("end")

    @flow.handler(is_end=True)
    async def end() -> None: ...

    job = await (await serve(flow)).run("/v1/actions", {})
    assert job["status"] == "quarantined"
    assert says in job["error"]["message"]


async def test_an_end_state_says_how_the_job_ended(serve: Serve) -> None:
    flow = Blueprint("ends", api_version="v1", api_endpoint="/ends")

    @flow.handler(is_start=True)
    async def start(to: str, actions: ActionFactory) -> None:
        actions.go_to(to)

    flow.handler("done", is_end=True)(lambda: "fine")
    flow.handler("failed", is_end=True)(lambda: None)
    flow.handler("odd", is_end=True, outcome="quarantined")(lambda: None)
    node = await serve(flow)
    ends = {
        to: (await node.run("/v1/ends", {"to": to}))["status"] for to in ("done", "failed", "odd", "error")
    }
    assert ends == {"done": "finished", "failed": "failed", "odd": "quarantined", "error": "failed"}


async def test_an_idle_worker_gets_the_task_that_a_loaded_one_did_not_ask_for(serve: Serve) -> None:
    flow = Blueprint("wide", api_version="v1", api_endpoint="/wide")

    @flow.handler(is_start=True)
    async def start(actions: ActionFactory) -> None:
        actions.dispatch_parallel([{"type": "work"}] * 4, aggregate_into="end")

    flow.aggregator("end")(lambda actions: actions.go_to("good"))
    flow.handler("good", is_end=True)(lambda: None)
    node = await serve(flow)
    loaded, idle = await node.worker("loaded", "work"), await node.worker("idle", "work")

    async def work() -> None:
        (held,) = await take(loaded)
        for _ in range(3):
            (offer,) = await take(idle)
            await report(idle, offer)
        await report(loaded, held)

    assert (await node.run("/v1/wide", {}, work))["status"] == "finished"
