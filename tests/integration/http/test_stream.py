"""Streams of workers at a real node: what HTTP promises holds for them too."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.integration.http.blueprints import flow
from tests.integration.http.conftest import OPERATOR_TOKEN, WORKER_TOKEN, Orchestrator, Start, on_every_store

Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def stream(node: Orchestrator, name: str = "w1") -> AsyncIterator[Socket]:
    headers = {"X-Worker-Token": WORKER_TOKEN, "X-Worker-ID": name}
    url = f"{node.url}/_worker/stream"
    async with node.session.ws_connect(url, protocols=("rxon.2",), headers=headers) as socket:
        assert (await heard(socket))["frame"] == "welcome"
        yield socket


async def say(socket: Socket, frame: str, **members: Any) -> None:
    await socket.send_str(json.dumps({"frame": frame, **members}))


async def heard(socket: Socket) -> Any:
    return json.loads((await socket.receive(timeout=10)).data)


def result(task: dict[str, Any], data: Any = None) -> dict[str, Any]:
    names = ("job_id", "task_id", "lease_token")
    return {name: task[name] for name in names} | {"worker_id": "w1", "data": data}


async def taken(socket: Socket, credits: int = 1, seen: int = 0) -> dict[str, Any]:
    await say(socket, "ready", credits=credits, seen=seen)
    frame = await heard(socket)
    assert frame["frame"] == "tasks", frame
    task: dict[str, Any] = frame["tasks"][0]
    return task


async def test_a_registration_offers_the_stream(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker("w1")
    status, body = await worker.register("work")
    assert (status, body["transports"]) == (200, ["stream"])


@on_every_store
async def test_a_result_is_answered_after_its_commit_and_its_repetition_alike(start: Start) -> None:
    node = await start(flow())
    await node.worker("w1")
    job_id = await node.create()
    async with stream(node) as socket:
        task = await taken(socket)
        await say(socket, "results", seq=1, results=[result(task, {"n": 1})])
        answer = {"status": "accepted", "transition": "success_transition"}
        assert await heard(socket) == {"frame": "answers", "seq": 1, "answers": [answer]}
        await say(socket, "results", seq=2, results=[result(task, {"n": 1}), result(task, {"n": 2})])
        first, second = (await heard(socket))["answers"]
        assert first == answer | {"duplicate": True}
        assert (second["status"], second["code"]) == ("refused", "stale_lease")
    assert (await node.ended(job_id))["status"] == "finished"


async def test_a_lease_outlives_the_stream_it_came_over(start: Start) -> None:
    node = await start(flow())
    await node.worker("w1")
    job_id = await node.create()
    async with stream(node) as socket:
        task = await taken(socket)
        assert socket._response is not None
        socket._response.close()  # no goodbye
    async with stream(node) as socket:
        await say(socket, "beat", seq=1, beat={"current_tasks": [task["task_id"]]})
        assert (await heard(socket))["answer"] == {"status": "ok"}
        await say(socket, "results", seq=2, results=[result(task)])
        assert (await heard(socket))["answers"][0]["status"] == "accepted"
    assert (await node.ended(job_id))["status"] == "finished"


async def test_a_task_for_a_stream_that_was_cut_need_not_wait_for_the_end_of_a_lease(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker("w1")
    for _ in range(5):
        async with stream(node) as socket:
            await say(socket, "ready", credits=1)
            assert socket._response is not None
            creating = asyncio.ensure_future(node.create())
            socket._response.close()
            task = await worker.take(timeout=10)
            assert task["job_id"] == await creating
            assert (await worker.report(task))[0] == 200


@on_every_store
async def test_a_task_of_a_cancelled_job_is_called_back_within_200_ms(start: Start) -> None:
    node = await start(flow())
    await node.worker("w1")
    took: list[float] = []
    async with stream(node) as socket:
        for number in range(1, 4):
            job_id = await node.create()
            task = await taken(socket, seen=number - 1)
            began = time.monotonic()
            await node.post(f"/api/v1/jobs/{job_id}/cancel")
            assert await heard(socket) == {"frame": "cancel", "task_ids": [task["task_id"]]}
            took.append(time.monotonic() - began)
            await say(socket, "results", seq=number, results=[result(task)])
            assert (await heard(socket))["answers"][0]["status"] == "refused"
    assert statistics.median(took) < 0.2


async def test_a_task_that_takes_too_long_is_called_back(start: Start) -> None:
    node = await start(flow(), WORKER_TIMEOUT_SECONDS=0.3, JOB_MAX_RETRIES=0)
    await node.worker("w1")
    await node.create()
    async with stream(node) as socket:
        task = await taken(socket)
        assert await heard(socket) == {"frame": "cancel", "task_ids": [task["task_id"]]}


@on_every_store
async def test_a_poll_and_a_stream_of_one_worker_never_get_the_same_task(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker("w1")
    async with stream(node) as socket:
        await say(socket, "ready", credits=50)
        polling = asyncio.ensure_future(worker.poll_batch(50, timeout=1.0))
        jobs = [await node.create() for _ in range(20)]
        polled = await polling
        tasks = list(polled)
        while len(tasks) < len(jobs):
            tasks += (await heard(socket))["tasks"]
        assert sorted(task["job_id"] for task in tasks) == sorted(jobs)


async def test_a_node_that_stops_lets_its_streams_go_and_gives_nothing_away(start: Start) -> None:
    node = await start(flow())
    await node.worker("w1")
    async with stream(node) as socket:
        await say(socket, "ready", credits=5)
        stopping = asyncio.ensure_future(node.engine.stop())
        assert (await heard(socket))["frame"] == "bye"
        closing = await socket.receive(timeout=10)
        assert closing.type is aiohttp.WSMsgType.CLOSE
        assert closing.data == 1012
        async with asyncio.timeout(5):
            await stopping


@on_every_store
async def test_a_command_of_an_operator_comes_over_the_stream_at_once_and_no_other_way(start: Start) -> None:
    node = await start(flow())
    worker = await node.worker("w1")
    async with stream(node) as socket:
        path, token = "/api/v1/workers/w1/commands/reload_model", OPERATOR_TOKEN
        async with asyncio.timeout(10):
            while (await node.post(path, {"name": "yolo"}, token=token))[1] != {"status": "sent"}:
                await heard(socket)  # one that came before the node listened for this worker
        frame = await heard(socket)
        (command,) = frame.pop("commands")
        assert frame == {"frame": "commands"}
        assert command.pop("id").startswith("cmd-")
        assert command == {"command": "reload_model", "params": {"name": "yolo"}}
    assert (await worker.beat())[1] == {"status": "ok"}
