"""A worker over streams that are refused, cut and closed: no task is lost, none is settled twice."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from avtomatika_worker import Worker
from rxon.messages import Registered, Registration
from rxon.stream.channel import STREAM
from rxon.stream.switching import SwitchingTransport
from rxon.testing.channels import LoopbackOpener
from rxon.testing.gateway import MemoryGateway
from rxon.testing.loopback import LoopbackTransport
from rxon.transport import Credentials
from tests.integration.stream.conftest import Server, settings, working
from tests.integration.stream.proxy import REFUSALS, Proxy


def echo(worker: Worker) -> Counter[str]:
    """A skill that answers what it is given; how often each task was run."""
    runs: Counter[str] = Counter()

    @worker.skill("echo")
    async def _echo(params: dict[str, Any], task_id: str) -> Any:
        runs[task_id] += 1
        return params

    return runs


async def all_done(gateway: MemoryGateway, ids: list[str]) -> None:
    for task_id in ids:
        await gateway.result_of(task_id)


async def test_everything_goes_over_the_stream_once_it_is_offered(
    worker: Worker, gateway: MemoryGateway, server: Server
) -> None:
    runs = echo(worker)
    async with working(worker):
        ids = [await gateway.offer("echo", {"n": n}) for n in range(50)]
        await all_done(gateway, ids)
    assert server.paths == ["POST /_worker/workers/register", "GET /_worker/stream"]
    assert runs == Counter(ids)
    assert len(gateway.results) == 50
    assert gateway.beats[-1] is not None
    assert gateway.beats[-1].status == "offline"


async def test_tasks_come_as_slots_are_free_and_of_the_types_that_have_room(
    gateway: MemoryGateway, proxy: Proxy, tmp_path: Path
) -> None:
    config = settings(f"http://127.0.0.1:{proxy.port}", tmp_path)
    worker = Worker(config=config, max_concurrent_tasks=3, task_type_limits={"heavy": 1})
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def work(kind: str) -> None:
        for name in (kind, "all"):
            running[name] += 1
            most[name] = max(most[name], running[name])
        await asyncio.sleep(0.01)
        for name in (kind, "all"):
            running[name] -= 1

    @worker.skill("light", type="light")
    async def light() -> None:
        await work("light")

    @worker.skill("heavy", type="heavy")
    async def heavy() -> None:
        await work("heavy")

    async with working(worker):
        ids = [await gateway.offer(("light", "heavy")[n % 2]) for n in range(20)]
        await gateway.seen(lambda: len(gateway.results) > 0)
        unsettled = max(3, 20 - len(gateway.results))
        assert len(gateway._open) <= min(3, unsettled)
        await all_done(gateway, ids)
    assert most["heavy"] == 1
    assert most["all"] <= 3
    assert max(poll.limit for poll in gateway.polls) <= 3


async def test_a_type_that_gets_room_again_is_served_at_once(
    gateway: MemoryGateway, proxy: Proxy, tmp_path: Path
) -> None:
    config = settings(f"http://127.0.0.1:{proxy.port}", tmp_path)
    worker = Worker(config=config, max_concurrent_tasks=5, task_type_limits={"heavy": 1})
    go_on = asyncio.Event()

    @worker.skill("heavy", type="heavy")
    async def heavy() -> None:
        await go_on.wait()

    worker.skill("light", type="light")(lambda: None)
    async with working(worker):
        ids = [await gateway.offer("heavy") for _ in range(2)]
        await gateway.seen(
            lambda: any(poll.available_skills == frozenset({"light"}) for poll in gateway.polls)
        )
        began = time.monotonic()
        go_on.set()
        await all_done(gateway, ids)
        assert time.monotonic() - began < 5  # and not when the poll of the server ends


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_without_a_stream_tasks_come_by_long_poll_and_later_by_stream_again(
    worker: Worker, gateway: MemoryGateway, server: Server, proxy: Proxy, refusal: str
) -> None:
    echo(worker)
    proxy.refuse = refusal
    async with working(worker):
        await gateway.result_of(await gateway.offer("echo"))
        assert server.polls >= 1
        assert proxy.refused >= 1
        proxy.refuse = None
        while not proxy.streams:
            await gateway.result_of(await gateway.offer("echo"))
            await asyncio.sleep(0.05)
        await gateway.result_of(await gateway.offer("echo"))
        polls = server.polls
        for _ in range(5):
            await gateway.result_of(await gateway.offer("echo"))
        assert server.polls == polls


async def test_an_orchestrator_that_offers_no_stream_is_polled(
    worker: Worker, gateway: MemoryGateway, server: Server, proxy: Proxy
) -> None:
    echo(worker)
    await server.stop()
    server.streams = False
    await server.start()
    async with working(worker):
        await gateway.result_of(await gateway.offer("echo"))
    assert server.polls >= 1
    assert not any(b"stream" in request for request in proxy.requests)


async def test_a_worker_can_be_told_to_poll(
    gateway: MemoryGateway, server: Server, proxy: Proxy, tmp_path: Path
) -> None:
    worker = Worker(config=settings(f"http://127.0.0.1:{proxy.port}", tmp_path, WORKER_TRANSPORT="poll"))
    echo(worker)
    async with working(worker):
        await gateway.result_of(await gateway.offer("echo"))
    assert proxy.streams == 0
    assert server.polls >= 1


async def test_a_worker_can_be_told_to_insist_on_the_stream(
    gateway: MemoryGateway, server: Server, proxy: Proxy, tmp_path: Path
) -> None:
    worker = Worker(config=settings(f"http://127.0.0.1:{proxy.port}", tmp_path, WORKER_TRANSPORT="stream"))
    echo(worker)
    proxy.refuse = "404"
    async with working(worker):
        task = await gateway.offer("echo")
        while proxy.refused < 2:
            await asyncio.sleep(0.05)
        proxy.refuse = None
        await gateway.result_of(task)
    assert server.polls == 0


CUTS = [*range(1, 400, 57), 450, 500, 555, 600, 700, 1_000, 1_500, 2_500]


@pytest.mark.parametrize("direction", ["down", "up"])
async def test_streams_that_are_cut_at_every_point_lose_no_task_and_settle_none_twice(
    worker: Worker, gateway: MemoryGateway, proxy: Proxy, direction: str
) -> None:
    """What was on its way is offered again, as a store does when the lease is over."""
    runs = echo(worker)
    proxy.direction = direction
    count = 0
    async with working(worker):
        for budget in CUTS:
            proxy.cut_after = budget
            proxy.cut()
            cuts = proxy.cuts
            while proxy.cuts == cuts:  # until a stream was cut just there, with work going on
                ids = [await gateway.offer("echo", {"n": n}) for n in range(5)]
                count += len(ids)
                rescue = asyncio.ensure_future(_offer_again(gateway, ids, runs))
                await all_done(gateway, ids)
                rescue.cancel()
    settled = Counter(result.task_id for result in gateway.results)
    assert set(settled.values()) == {1}
    assert len(settled) == count


async def _offer_again(gateway: MemoryGateway, ids: list[str], runs: Counter[str]) -> None:
    while True:
        await asyncio.sleep(0.1)
        for task_id in ids:
            offer = gateway._open.get(task_id)
            if offer is not None and not runs[task_id]:
                del gateway._open[task_id]
                gateway._waiting.append(offer)
                await gateway._notify()


async def test_after_a_cut_the_worker_tells_at_once_what_it_holds(
    worker: Worker, gateway: MemoryGateway, proxy: Proxy
) -> None:
    has_begun, go_on = asyncio.Event(), asyncio.Event()

    @worker.skill("long")
    async def long() -> None:
        has_begun.set()
        await go_on.wait()

    async with working(worker):
        task = await gateway.offer("long")
        await has_begun.wait()
        beats = len(gateway.beats)
        proxy.cut()
        began = time.monotonic()
        await gateway.seen(
            lambda: any(beat and task in (beat.current_tasks or ()) for beat in gateway.beats[beats:])
        )
        assert time.monotonic() - began < 5  # the next one was due after ten seconds
        go_on.set()
        await gateway.result_of(task)
    assert len(gateway.results) == 1


async def test_a_task_that_is_cancelled_is_stopped_within_200_ms(
    worker: Worker, gateway: MemoryGateway
) -> None:
    began, stopped = asyncio.Event(), asyncio.Event()

    @worker.skill("long")
    async def long() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async with working(worker):
        task = await gateway.offer("long")
        await began.wait()
        at = time.monotonic()
        await gateway.withdraw(task)
        await stopped.wait()
        assert time.monotonic() - at < 0.2
    assert gateway.results == []


async def test_an_orchestrator_that_restarts_is_found_again(
    worker: Worker, gateway: MemoryGateway, server: Server, proxy: Proxy
) -> None:
    runs = echo(worker)
    async with working(worker):
        for _ in range(2):
            ids = [await gateway.offer("echo") for _ in range(3)]
            await all_done(gateway, ids)
            await server.stop()
            gateway.forget_workers()
            await server.start()
        await all_done(gateway, [await gateway.offer("echo")])
    assert set(runs.values()) == {1}
    assert len(gateway.registrations) == 3


async def test_a_result_that_is_too_large_for_a_frame_is_refused_alone(
    worker: Worker, gateway: MemoryGateway, server: Server
) -> None:
    @worker.skill("huge")
    async def huge() -> str:
        return "x" * 5_000

    echo(worker)
    await server.stop()
    await server.start(max_frame=2_000)
    async with working(worker):
        large = await gateway.offer("huge")
        await all_done(gateway, [await gateway.offer("echo", {"n": n}) for n in range(5)])
        await gateway.seen(lambda: large in gateway._open)
    assert "POST /_worker/tasks/result" in server.paths
    assert large not in {result.task_id for result in gateway.results}


async def test_all_of_it_works_in_memory_as_well(gateway: MemoryGateway, tmp_path: Path) -> None:
    opener = LoopbackOpener(gateway, "w1", "token")
    http = LoopbackTransport(gateway, "w1", "token", (STREAM,))
    worker = Worker(
        config=settings("http://nowhere", tmp_path),
        connect=lambda _: SwitchingTransport(http, opener, lambda: 0.5),
    )
    runs = echo(worker)
    async with working(worker):
        ids = [await gateway.offer("echo", {"n": n}) for n in range(20)]
        await all_done(gateway, ids)
        opener.channels[-1].cut()
        while len(opener.channels) < 2:
            ids.append(await gateway.offer("echo"))
            await all_done(gateway, ids)
            await asyncio.sleep(0.01)
    assert runs == Counter(ids)


class Strange(MemoryGateway):
    """An orchestrator whose registration offers ways that nobody knows."""

    async def register(self, credentials: Credentials, registration: Registration) -> Registered:
        await super().register(credentials, registration)
        return Registered("registered", "3.0.0", transports=("smoke", "drums"))


async def test_ways_that_are_not_known_are_left_alone(tmp_path: Path) -> None:
    gateway = Strange()
    server = Server(gateway)
    server.streams = False
    await server.start()
    worker = Worker(config=settings(f"http://127.0.0.1:{server.port}", tmp_path))
    echo(worker)
    async with working(worker):
        await gateway.result_of(await gateway.offer("echo"))
    await server.stop()
