"""The WebSocket of the earlier generations: who has it, what comes in, what is ordered (E1, E5)."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.integration.generations.processes import parallel, single
from tests.integration.generations.speakers import EVERY, G1, G2, G4, Speaker
from tests.integration.http.conftest import OPERATOR_TOKEN, Orchestrator, Start

Socket = aiohttp.ClientWebSocketResponse


async def heard(socket: Socket) -> Any:
    """The next frame, which comes soon."""
    return json.loads(await socket.receive_str(timeout=10))


async def held(node: Orchestrator, speaker: Speaker) -> dict[str, Any]:
    await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    return await speaker.take()


async def begin(socket: Socket, speaker: Speaker, task: dict[str, Any]) -> None:
    """A worker that opened its socket without a name says what it works on."""
    await socket.send_str(json.dumps(speaker.in_shape(speaker.progress(task, 0.0, "begun"))))
    async with asyncio.timeout(10):
        while "progress" not in await speaker.node.job(task["job_id"]):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", EVERY)
async def test_a_task_is_called_back_at_once_over_the_socket(start: Start, kind: type[Speaker]) -> None:
    node = await start(single())
    speaker = kind(node, "cam-01")
    await speaker.register()
    async with speaker.socket() as socket:
        task = await held(node, speaker)
        await begin(socket, speaker, task)
        await node.post(f"/api/v1/jobs/{task['job_id']}/cancel")
        frame = await heard(socket)
        assert speaker.means(task, frame)
        assert frame["job_id"] == task["job_id"]


async def test_the_siblings_of_a_branch_that_failed_are_called_back(start: Start) -> None:
    node = await start(parallel())
    speaker = G4(node, "cam-01")
    await speaker.register()
    async with speaker.socket() as socket:
        await node.create({"skills": [speaker.skill] * 3}, "/api/v1/jobs/parallel")
        tasks = [await speaker.take() for _ in range(3)]
        failure = {"code": "PERMANENT_ERROR", "message": "no"}
        await speaker.report(tasks[0], status="failure", error=failure)
        frames = [await heard(socket) for _ in range(2)]
        assert {frame["task_id"] for frame in frames} == {task["task_id"] for task in tasks[1:]}


async def test_a_task_that_was_reported_is_not_called_back(start: Start) -> None:
    node = await start(single())
    speaker = G4(node, "cam-01")
    await speaker.register()
    async with speaker.socket() as socket:
        done, other = await held(node, speaker), await held(node, speaker)
        await speaker.report(done, data={})
        await node.ended(done["job_id"])
        await node.post(f"/api/v1/jobs/{other['job_id']}/cancel")
        assert speaker.means(other, await heard(socket))


@pytest.mark.parametrize("kind", [G4, G1])
async def test_a_newer_socket_takes_the_place_of_an_older(start: Start, kind: type[Speaker]) -> None:
    node = await start(single())
    speaker = kind(node, "cam-01")
    await speaker.register()
    task = await held(node, speaker)
    async with speaker.socket() as older:
        await begin(older, speaker, task)
        async with speaker.socket() as newer:
            await newer.send_str(json.dumps(speaker.in_shape(speaker.progress(task, 0.5, "again"))))
            message = await older.receive(timeout=10)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
            assert message.extra == "New connection established"
            await node.post(f"/api/v1/jobs/{task['job_id']}/cancel")
            assert speaker.means(task, await heard(newer))


async def test_sockets_are_closed_when_the_node_stops(start: Start) -> None:
    node = await start(single())
    speaker = G4(node, "cam-01")
    await speaker.register()
    async with speaker.socket() as socket:
        stopping = asyncio.create_task(node.engine.stop())
        message = await socket.receive(timeout=10)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
        assert message.extra == "Server shutdown"
        await socket.close()
        await stopping


@pytest.mark.parametrize("path", ["/_worker/ws", "/_worker/ws/cam-01"])
async def test_who_may_not_come_in_hears_so_before_there_is_a_socket(start: Start, path: str) -> None:
    node = await start(single())
    for headers in ({}, {"X-Worker-Token": "wrong"}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await node.session.ws_connect(node.url + path, headers=headers)
        assert refused.value.status == 401
    status, answer = await node.call("GET", path, headers=G4(node, "cam-01").headers)
    assert (status, answer["code"]) == (400, "invalid_message")


async def test_what_cannot_be_understood_does_not_close_the_socket(start: Start) -> None:
    node = await start(single())
    speaker, stranger = G4(node, "cam-01"), G4(node, "cam-02")
    await speaker.register()
    await stranger.register()
    task = await held(node, speaker)
    async with speaker.socket() as socket, stranger.socket() as other:
        await other.send_str(json.dumps(stranger.in_shape(stranger.progress(task, 1.0, "done"))))
        for frame in ("no JSON", "[]", "{}", '{"event":"progress_update"}', '{"event_id":"e"}'):
            await socket.send_str(frame)
        await socket.send_bytes(b"\xff")
        await socket.send_str(json.dumps(speaker.in_shape(speaker.progress(task, 0.5, "half"))))
        async with asyncio.timeout(10):
            while "progress" not in (job := await node.job(task["job_id"])):
                await asyncio.sleep(0.01)
        assert job["progress"] == {"value": 0.5, "message": "half"}


# ------------------------------------------------------------------ commands of operators


async def command(node: Orchestrator, worker: str, name: str, body: Any = None, **token: str) -> Any:
    return await node.post(
        f"/api/v1/workers/{worker}/commands/{name}", body, **({"token": OPERATOR_TOKEN} | token)
    )


async def test_a_command_reaches_the_worker_that_listens(start: Start) -> None:
    node = await start(single())
    speaker = G4(node, "cam-01")
    await speaker.register()
    async with speaker.socket() as socket:
        async with asyncio.timeout(10):
            while (await command(node, "cam-01", "ping"))[1] != {"status": "sent"}:
                await heard(socket)
        assert (await heard(socket))["command"] == "ping"
        sent = await command(node, "cam-01", "reload_model", {"name": "yolo", "size": 1.0})
        assert sent == (202, {"status": "sent"})
        assert await heard(socket) == {"command": "reload_model", "params": {"name": "yolo", "size": 1.0}}


async def test_a_command_waits_for_a_worker_that_does_not_listen(start: Start) -> None:
    node = await start(single())
    speaker = G4(node, "cam-01")
    await speaker.register()
    for name in ("first", "second"):
        assert await command(node, "cam-01", name) == (202, {"status": "queued"})
    assert (await speaker.beat())[1] == {"status": "ok"}  # a heartbeat of this generation carries none
    async with speaker.socket() as socket:
        assert [await heard(socket) for _ in range(2)] == [{"command": "first"}, {"command": "second"}]


async def test_a_worker_of_today_gets_its_commands_with_a_heartbeat(start: Start) -> None:
    node = await start(single())
    worker = await node.worker("w1")
    await command(node, "w1", "reload_model", {"name": "yolo"})
    status, answer = await worker.beat()
    (told,) = answer["commands"]
    assert (status, told.pop("id")[:4]) == (200, "cmd-")
    assert told == {"command": "reload_model", "params": {"name": "yolo"}}
    assert (await worker.beat())[1] == {"status": "ok"}


async def test_commands_are_for_operators_and_for_workers_that_are_there(start: Start) -> None:
    node = await start(single())
    await G2(node, "cam-01").register()
    assert (await command(node, "cam-01", "x", token="client-token-of-the-tests"))[0] == 403
    assert (await command(node, "nobody", "x"))[0] == 404
    assert (await command(node, "cam-01", "cancel_task"))[0] == 400
    assert (await command(node, "cam-01", "x", [1]))[0] == 400
    assert (await command(node, "cam-01", "x", b"{"))[0] == 400
