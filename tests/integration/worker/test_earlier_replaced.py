"""An earlier orchestrator beside one of today, before it and after it, with the same workers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rxon.http.client import HttpTransport
from rxon.http.keys import Keys
from rxon.messages import Registration, TaskResult
from rxon.testing.gateway import MemoryGateway
from rxon.vocabulary import AnswerStatus
from tests.integration.worker.conftest import Server, working
from tests.integration.worker.earlier.fleet import busy, over, serving
from tests.integration.worker.earlier.releases import O27, RELEASES
from tests.integration.worker.earlier.server import EarlierServer

ALL = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.__name__)


async def test_one_worker_serves_an_earlier_orchestrator_and_one_of_today(
    tmp_path: Path, server: Server, gateway: MemoryGateway
) -> None:
    earlier = O27(token="token")
    async with serving(earlier):
        worker = busy(tmp_path, earlier.url, server.url, WORKER_TOKEN="token")
        worker.config.MULTI_ORCHESTRATOR_MODE = "ROUND_ROBIN"
        async with working(worker):
            task = await gateway.offer("work")
            job = await over(await earlier.dispatch("work"))
            await gateway.result_of(task)
            await gateway.seen(lambda: bool(gateway.beats))
    assert job.status == "finished"
    assert earlier.results[0]["security"]["signature"]
    assert all(result.security is None for result in gateway.results)
    assert earlier.refused_later == []


@ALL
async def test_an_earlier_orchestrator_is_replaced_under_a_worker_at_work(
    release: type[EarlierServer], tmp_path: Path, server: Server, gateway: MemoryGateway
) -> None:
    await server.stop()
    earlier = release(token="token")
    earlier.port = server.port
    await earlier.start()
    async with working(busy(tmp_path, earlier.url, WORKER_TOKEN="token")):
        await over(await earlier.dispatch("work"))
        await earlier.stop()
        await server.start()
        await gateway.result_of(await gateway.offer("work"))
        many = [await gateway.offer("work") for _ in range(5)]
        for task in many:
            await gateway.result_of(task)
    assert gateway.polls[-1].limit > 1


@ALL
async def test_a_replacement_is_taken_back_under_a_worker_at_work(
    release: type[EarlierServer], tmp_path: Path, server: Server, gateway: MemoryGateway
) -> None:
    earlier = release(token="token")
    earlier.port = server.port
    async with working(busy(tmp_path, server.url, WORKER_TOKEN="token")):
        await gateway.result_of(await gateway.offer("work"))
        await server.stop()
        await earlier.start()
        job = await over(await earlier.dispatch("work"))
    await earlier.stop()
    assert job.status == "finished"


async def test_a_result_that_is_ready_when_the_server_is_taken_back_is_delivered(
    server: Server, gateway: MemoryGateway
) -> None:
    """Without a word from the earlier server before: the refusal of the unsigned result tells."""
    transport = HttpTransport(server.url, "w1", Keys("token"))
    await transport.register(Registration("w1"))
    await server.stop()
    earlier = O27(token="token")
    earlier.port = server.port
    async with serving(earlier):
        job = earlier.book.open("work", {}, ("success",))
        job.worker, task = "w1", earlier.book.next_task(job)
        (answer,) = await transport.report([TaskResult(job_id=job.id, task_id=task, worker_id="w1")])
        await transport.close()
    assert answer.status == AnswerStatus.ACCEPTED
    assert earlier.refusals == ["Missing required security context"]


@ALL
@pytest.mark.parametrize("own", [None, "own-token"])
async def test_a_server_whose_version_gets_lost_on_the_way_is_understood(
    release: type[EarlierServer], own: str | None, tmp_path: Path
) -> None:
    """All ways to speak are tried until one is right."""

    class BehindAProxy(release):  # type: ignore[misc, valid-type] # a class made of the parameter
        def json(self, body: Any, status: int = 200) -> Any:
            response = super().json(body, status)
            response.headers.popall("X-RXON-Version", None)
            return response

        def without_body(self) -> Any:
            return web.Response(status=204)

    server: EarlierServer = BehindAProxy(own_tokens={"w1": own} if own else None)
    settings = {"WORKER_INDIVIDUAL_TOKEN": own} if own else {}
    async with serving(server), working(busy(tmp_path, server.url, **settings)):
        job = await over(await server.dispatch("work"))
        async with asyncio.timeout(10):
            await server.until(lambda: bool(server.beats))
    assert job.status == "finished"
