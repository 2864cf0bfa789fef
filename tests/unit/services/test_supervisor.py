"""Who owns background work, and what happens when it ends."""

import asyncio

from avtomatika.errors import StorageBroken
from avtomatika.kernel.time import Span
from avtomatika.services.supervisor import Supervisor


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_duty_that_dies_is_the_failure_of_the_node() -> None:
    supervisor = Supervisor()
    death = StorageBroken("gone")

    async def dying() -> None:
        raise death

    supervisor.start_duty("dying", dying)
    assert await asyncio.wait_for(supervisor.failure(), 1) is death


async def test_a_duty_that_simply_ends_is_a_failure_too() -> None:
    supervisor = Supervisor()

    async def short() -> None:
        return

    supervisor.start_duty("short", short)
    assert "short" in str(await asyncio.wait_for(supervisor.failure(), 1))


async def test_stopped_duties_are_no_failure() -> None:
    supervisor = Supervisor()
    supervisor.start_duty("steady", for_ever)
    await supervisor.stop_duties()
    assert not supervisor.failure().done()


async def test_drain_lets_work_finish_within_the_grace() -> None:
    supervisor = Supervisor()
    gate = asyncio.Event()
    finished: list[str] = []

    async def work() -> None:
        await gate.wait()
        finished.append("done")

    supervisor.spawn(work(), name="work")
    asyncio.get_running_loop().call_soon(gate.set)
    await supervisor.drain(Span(1_000))
    assert finished == ["done"]


async def test_drain_cancels_work_that_outlives_the_grace() -> None:
    supervisor = Supervisor()
    work = supervisor.spawn(for_ever(), name="work")
    await supervisor.drain(Span(1))
    assert work.cancelled()


async def test_work_that_fails_does_not_fail_the_node() -> None:
    supervisor = Supervisor()

    async def failing() -> None:
        raise StorageBroken("only this work")

    work = supervisor.spawn(failing(), name="work")
    await asyncio.wait((work,))
    assert not supervisor.failure().done()


async def test_what_work_begins_when_the_node_drains_comes_to_its_end_too() -> None:
    supervisor = Supervisor()
    done: list[int] = []

    async def work(left: int) -> None:
        await asyncio.sleep(0.01)
        if left:
            supervisor.spawn(work(left - 1), name="more")
        done.append(left)

    supervisor.spawn(work(5), name="work")
    await supervisor.drain(Span(5_000))
    assert done == [5, 4, 3, 2, 1, 0]


async def test_work_without_end_is_cancelled_after_the_grace() -> None:
    supervisor = Supervisor()
    task = supervisor.spawn(for_ever(), name="endless")
    await supervisor.drain(Span(20))
    assert task.cancelled()
