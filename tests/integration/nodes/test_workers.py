"""A worker may say every sentence to another node, and what is for it finds it wherever it listens."""

import asyncio
import time
from typing import Any

import pytest

from tests.integration.generations.processes import single
from tests.integration.generations.speakers import EVERY, G4
from tests.integration.generations.test_replays import again, history, life_of_a_task
from tests.integration.generations.test_sockets import heard as heard_on_socket
from tests.integration.generations.test_tokens import issued, renewed
from tests.integration.http.blueprints import flow
from tests.integration.http.conftest import OPERATOR_TOKEN, Orchestrator, Worker
from tests.integration.http.test_stream import heard, say, stream, taken
from tests.integration.http.test_worker_events import ACCEPTED, tell
from tests.integration.nodes.conftest import Nodes

SOON = 5.0
"""Much less than the ten seconds after which somebody would look again by himself."""


def at(worker: Worker, node: Orchestrator) -> Worker:
    """The same worker, at another node from now on."""
    worker.node = node
    return worker


async def command(node: Orchestrator, name: str = "ping", worker: str = "w1") -> str:
    status, answer = await node.post(f"/api/v1/workers/{worker}/commands/{name}", token=OPERATOR_TOKEN)
    assert status == 202, answer
    return str(answer["status"])


async def test_each_step_of_a_worker_may_be_at_another_node(nodes: Nodes) -> None:
    one, two, three = await nodes.several(3, flow())
    worker = await one.worker()
    job_id = await three.create()
    task = await at(worker, two).take()
    assert (await at(worker, three).beat(task["task_id"]))[1] == {"status": "ok"}
    assert await tell(at(worker, one), task, payload={"progress": 0.5}) == ACCEPTED
    assert (await two.job(job_id))["progress"] == {"value": 0.5}
    assert (await at(worker, two).report(task, {"n": 1}))[0] == 200
    assert (await one.ended(job_id))["result"] == {"n": 1}


async def test_skills_that_a_worker_names_at_one_node_count_at_the_others(nodes: Nodes) -> None:
    one, two = await nodes.several(2, flow())
    worker = await one.worker("w1", "rest")
    assert await at(worker, two).poll(timeout=0) is None  # from now on both nodes know it
    await two.create()
    skills = [{"name": "work", "type": "work"}]
    assert (await at(worker, one).beat(supported_skills=skills))[0] == 200
    assert await at(worker, two).take()
    await at(worker, two).register("rest")
    await one.create()
    assert await at(worker, one).poll(timeout=0.05) is None


async def test_a_worker_is_on_the_list_of_every_node(nodes: Nodes) -> None:
    one, two = await nodes.several(2, flow())
    await one.worker("w1")
    await two.worker("w2", "rest")
    for node in (one, two):
        _, found = await node.get("/api/v1/workers", token=OPERATOR_TOKEN)
        assert [each["worker_id"] for each in found["workers"]] == ["w1", "w2"]
        _, catalog = await node.get("/api/v1/workers/catalog")
        assert catalog.keys() == {"work", "rest"}


async def test_a_command_that_is_sent_at_another_node_comes_over_the_stream_at_once(nodes: Nodes) -> None:
    one, two = await nodes.several(2, flow())
    await one.worker()
    async with stream(two) as socket:
        began = time.monotonic()
        assert await command(one) == "queued"
        frame = await heard(socket)
        assert time.monotonic() - began < SOON
        assert frame["commands"][0]["command"] == "ping"


async def test_a_command_that_is_sent_at_another_node_comes_over_the_earlier_socket_at_once(
    nodes: Nodes,
) -> None:
    one, two = await nodes.several(2, single())
    speaker = G4(two, "cam-01")
    await speaker.register()
    async with speaker.socket() as socket:
        while await command(two, "warm", "cam-01") != "sent":
            await asyncio.sleep(0.01)  # the conversation is only beginning
        began = time.monotonic()
        assert await command(one, "ping", "cam-01") == "queued"
        frames = [await heard_on_socket(socket)]
        while frames[-1]["command"] != "ping":
            frames.append(await heard_on_socket(socket))
        assert time.monotonic() - began < SOON


async def test_what_is_cancelled_at_another_node_is_called_back_at_once(nodes: Nodes) -> None:
    one, two = await nodes.several(2, flow())
    await one.worker()
    job_id = await one.create()
    async with stream(two) as socket:
        task = await taken(socket)
        began = time.monotonic()
        assert (await one.post(f"/api/v1/jobs/{job_id}/cancel"))[0] == 200
        assert await heard(socket) == {"frame": "cancel", "task_ids": [task["task_id"]]}
        assert time.monotonic() - began < SOON


async def test_a_task_from_one_node_is_called_back_over_an_earlier_socket_at_another(nodes: Nodes) -> None:
    one, two, three = await nodes.several(3, single())
    speaker = G4(two, "cam-01")
    await speaker.register()
    async with speaker.socket() as socket:
        while await command(two, "warm", "cam-01") != "sent":
            await asyncio.sleep(0.01)
        await heard_on_socket(socket)
        speaker.node = one
        await three.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
        task = await speaker.take()
        began = time.monotonic()
        await three.post(f"/api/v1/jobs/{task['job_id']}/cancel")
        frame = await heard_on_socket(socket)
        while not speaker.means(task, frame):
            frame = await heard_on_socket(socket)
        assert time.monotonic() - began < SOON


@pytest.mark.parametrize("kind", EVERY)
async def test_all_that_a_worker_said_has_no_second_effect_at_another_node(nodes: Nodes, kind: Any) -> None:
    one, two = await nodes.several(2, single())
    speaker = kind(one, "cam-01")
    job_id = await life_of_a_task(one, speaker)
    before = await history(one, job_id)
    speaker.node = two
    assert set(await again(two, speaker)) == {200}
    assert await history(two, job_id) == before


async def test_an_event_that_is_sent_to_many_nodes_at_once_happens_once(nodes: Nodes) -> None:
    all_of_them = await nodes.several(4, flow())
    first = all_of_them[0]
    worker = await first.worker()
    job_id = await first.create()
    task = await worker.take()
    for number in range(5):
        name = f"e-at-once-{number}"
        workers = [Worker(node, "w1") for node in all_of_them for _ in range(2)]
        answers = await asyncio.gather(*(tell(each, task, "seen", event_id=name) for each in workers))
        assert answers == [ACCEPTED] * len(workers)
    told = [
        each for each in (await history(first, job_id))["events"] if each["event_type"] == "task_signalled"
    ]
    assert len(told) == 5


async def test_a_result_that_is_sent_to_many_nodes_at_once_counts_once(nodes: Nodes) -> None:
    all_of_them = await nodes.several(4, flow())
    worker = await all_of_them[0].worker()
    job_id = await all_of_them[1].create()
    task = await worker.take()
    answers = await asyncio.gather(*(Worker(node, "w1").report(task, {"n": 1}) for node in all_of_them))
    assert [status for status, _ in answers] == [200] * 4
    found = (await history(all_of_them[2], job_id))["events"]
    assert sum(each["event_type"] == "task_reported" for each in found) == 1


async def test_a_family_of_tokens_that_one_node_revoked_is_worth_nothing_at_another(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await nodes.several(2, single())
    speaker = G4(one, "cam-01")
    first = await issued(speaker)
    status, second = await renewed(two, first["refresh_token"])  # once at each node is a lost answer
    assert (status, (await renewed(one, first["refresh_token"]))[0]) == (200, 200)
    monkeypatch.setattr("avtomatika.commands.passes.GRACE", -1)
    assert (await renewed(two, first["refresh_token"]))[0] == 401
    for node in (one, two):
        assert (await renewed(node, second["refresh_token"]))[0] == 401
        thief = G4(node, "cam-01", second["access_token"])
        assert (await thief.register())[0] == 401


async def test_of_many_who_wait_at_several_nodes_each_task_has_one(nodes: Nodes) -> None:
    both = await nodes.several(2, flow())
    workers = [await both[n % 2].worker(f"w{n}") for n in range(20)]
    polls = [asyncio.ensure_future(each.poll(timeout=5.0)) for each in workers]
    await asyncio.sleep(0.1)  # by now they are parked
    jobs = [await both[n % 2].create() for n in range(20)]
    began = time.monotonic()
    tasks = [task for task in await asyncio.gather(*polls) if task is not None]
    assert time.monotonic() - began < SOON
    assert sorted(task["job_id"] for task in tasks) == sorted(jobs)


@pytest.mark.parametrize("streaming", [False, True])
async def test_who_waits_at_one_node_is_woken_by_a_commit_at_another(nodes: Nodes, streaming: bool) -> None:
    one, two = await nodes.several(2, flow())
    worker = await one.worker()
    took: list[float] = []
    for number in range(5):
        if streaming:
            async with stream(one) as socket:
                await say(socket, "ready", credits=1, seen=0)
                await asyncio.sleep(0.05)
                await two.create()
                began = time.monotonic()
                assert (await heard(socket))["frame"] == "tasks", number
        else:
            poll = asyncio.ensure_future(worker.poll(timeout=5.0))
            await asyncio.sleep(0.05)
            await two.create()
            began = time.monotonic()
            assert await poll is not None
        took.append(time.monotonic() - began)
    assert sorted(took)[2] < 0.5, took


async def test_a_node_that_stops_gives_back_what_no_worker_has(nodes: Nodes) -> None:
    one, two = await nodes.several(2, flow())
    worker = await one.worker("w1")
    polls = [asyncio.ensure_future(worker.poll_raw(timeout=20.0)) for _ in range(5)]
    await asyncio.sleep(0.05)
    stopping = asyncio.ensure_future(one.engine.stop())
    jobs = [await two.create() for _ in range(10)]
    answers = await asyncio.gather(*polls, return_exceptions=True)
    await stopping
    gone = [answer[1]["job_id"] for answer in answers if isinstance(answer, tuple) and answer[0] == 200]
    left = {(await at(worker, two).take(timeout=1.0))["job_id"] for _ in range(len(jobs) - len(gone))}
    assert left | set(gone) == set(jobs)
