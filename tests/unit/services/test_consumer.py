"""The one loop behind the background duties."""

import asyncio
from collections.abc import Awaitable, Callable

from avtomatika.clock import SystemClock, SystemNames
from avtomatika.errors import HandlerError, StorageFull
from avtomatika.kernel.effects import RunHandler
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease, Message, MessageId
from avtomatika.services.consumer import Consumer, Duty
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore

QUEUE = "run:bp@1"


def a_node() -> NodeContext:
    clock, names = SystemClock(), SystemNames()
    store = MemoryStore(now=clock.now, tokens=names.token)
    return NodeContext(store, clock, names, Supervisor().spawn, "n1")


def a_message(number: int) -> Message:
    body = RunHandler(JobId(f"j{number}"), 1, "bp", "1", Instant(0))
    return Message(id=MessageId(f"m{number}"), queue=QUEUE, job=body.job, visible_at=Instant(0), body=body)


async def send(node: NodeContext, count: int) -> None:
    messages = tuple(a_message(number) for number in range(count))
    await node.store.commit(Commit(now=node.clock.now(), send=messages))


def a_consumer(
    node: NodeContext, handle: Callable[[Lease], Awaitable[None]], *, width: int = 10, ttl: int = 30_000
) -> Consumer:
    return Consumer(node, Duty(name="runs", queues=(QUEUE,), handle=handle, ttl=Span(ttl), width=width))


async def test_no_more_messages_are_handled_at_once_than_the_width() -> None:
    node = a_node()
    await send(node, 5)
    running = 0
    most = 0
    gate = asyncio.Event()
    full = asyncio.Event()
    all_done = asyncio.Event()
    handled: list[str] = []

    async def handle(lease: Lease) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            full.set()
        await gate.wait()
        running -= 1
        handled.append(lease.message.id)
        await node.store.commit(Commit(now=node.clock.now(), ack=(lease,)))
        if len(handled) == 5:
            all_done.set()

    loop = asyncio.ensure_future(a_consumer(node, handle, width=2).run())
    await asyncio.wait_for(full.wait(), 5)
    gate.set()
    await asyncio.wait_for(all_done.wait(), 5)
    loop.cancel()
    assert most == 2
    assert sorted(handled) == [f"m{n}" for n in range(5)]


async def test_a_message_whose_handler_failed_comes_again_when_its_lease_has_run_out() -> None:
    node = a_node()
    await send(node, 1)
    deliveries: list[int] = []
    again = asyncio.Event()

    async def handle(lease: Lease) -> None:
        deliveries.append(lease.delivery)
        if lease.delivery == 1:
            raise HandlerError("not this time")
        again.set()

    loop = asyncio.ensure_future(a_consumer(node, handle, ttl=20).run())
    await asyncio.wait_for(again.wait(), 5)
    loop.cancel()
    assert deliveries[:2] == [1, 2]


async def test_a_message_sent_while_the_consumer_waits_is_handled_at_once() -> None:
    node = a_node()
    handled = asyncio.Event()

    async def handle(lease: Lease) -> None:
        handled.set()

    loop = asyncio.ensure_future(a_consumer(node, handle).run())
    await asyncio.sleep(0)
    begun = asyncio.get_running_loop().time()
    await send(node, 1)
    await asyncio.wait_for(handled.wait(), 5)
    loop.cancel()
    assert asyncio.get_running_loop().time() - begun < 0.9


async def test_a_store_that_is_full_makes_the_consumer_pause_and_go_on() -> None:
    node = a_node()
    await send(node, 1)
    handled = asyncio.Event()
    lease_of = node.store.lease
    failures = 1

    async def failing_once(*args: object, **kwargs: object) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise StorageFull
        return await lease_of(*args, **kwargs)  # type: ignore[arg-type]

    node.store.lease = failing_once  # type: ignore[method-assign,assignment]

    async def handle(lease: Lease) -> None:
        handled.set()

    loop = asyncio.ensure_future(a_consumer(node, handle).run())
    await asyncio.wait_for(handled.wait(), 5)
    loop.cancel()
    assert failures == 0


async def test_what_rests_stays_in_its_queue_with_all_its_deliveries() -> None:
    node, resting, handled = a_node(), True, asyncio.Event()
    deliveries: list[int] = []

    async def handle(lease: Lease) -> None:
        await node.store.commit(Commit(now=node.clock.now(), ack=(lease,)))
        deliveries.append(lease.delivery)
        handled.set()

    duty = Duty("runs", (QUEUE,), handle, Span(30_000), 10, lambda queue: resting and queue == QUEUE)
    consumer = Consumer(node, duty)
    await send(node, 1)
    assert [await consumer.step() for _ in range(7)] == [False] * 7
    resting = False
    assert await consumer.step()
    await asyncio.wait_for(handled.wait(), 5)
    assert deliveries == [1]
