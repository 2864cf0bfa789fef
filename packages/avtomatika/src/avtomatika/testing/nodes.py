"""A node of the orchestrator in a simulated world: the real parts, put together as in `app`, without HTTP."""

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.commands.access import Access
from avtomatika.commands.admission import Admission
from avtomatika.commands.apply import Writer, WriterPolicy
from avtomatika.commands.approvals import Approvals
from avtomatika.commands.control import Control
from avtomatika.commands.decide import Decider
from avtomatika.commands.fleet import Fleet
from avtomatika.commands.offers import Offers
from avtomatika.commands.operator import Operator
from avtomatika.commands.passes import Passes
from avtomatika.commands.presence import Presence
from avtomatika.commands.queries import Queries
from avtomatika.commands.results import Results
from avtomatika.commands.roll import Roll
from avtomatika.commands.submit import Submit
from avtomatika.commands.ticks import Ticks
from avtomatika.commands.translation import Terms
from avtomatika.commands.webhooks import WebhookPolicy, Webhooks
from avtomatika.kernel.model import Policy
from avtomatika.kernel.time import Span
from avtomatika.ports.node import NodeContext
from avtomatika.services.duties import consumers, sweeper, webhook_consumer
from avtomatika.services.supervisor import Supervisor
from avtomatika.services.ticking import Armer, tick_consumer
from avtomatika.testing.beats import schedules
from avtomatika.testing.clock import SimClock
from avtomatika.testing.delivery import TIMEOUT, SimDelivery
from avtomatika.testing.faults import NodeStore
from avtomatika.testing.loop import OWNER
from avtomatika.testing.processes import Process
from avtomatika.testing.sink import TRIES
from avtomatika.testing.stage import Stage
from avtomatika.testing.streams import StreamDoor
from avtomatika.testing.watched import Home
from avtomatika.testing.watched_gateway import WatchedGateway

T = TypeVar("T")

WORKER_TOKEN: Final = "the token of every worker"
WORKER_TTL: Final = Span(120_000)
WIDTH: Final = 50
HOOKS: Final = WebhookPolicy(tries=TRIES, backoff_first=Span(200), backoff_most=Span(3_000))
KEY: Final = "the key of approvals"
GRACE_MS: Final = 1_000
CALL_MS: Final = 10
"""Longer than a call of the store takes when nothing slows it down."""


class SimNode:
    """An instance that can be killed, stopped for a while, drained and started again."""

    def __init__(
        self, stage: Stage, name: str, home: Home, blueprints: Sequence[Blueprint], policy: Policy
    ) -> None:
        self.stage, self.name = stage, name
        self.skew = 0
        self.up = False
        self._home, self._blueprints, self._policy = home, blueprints, policy
        self._life = 0
        self._requests: dict[asyncio.Task[Any], None] = {}

    def start(self) -> None:
        """A new process runs: its store is open and its duties are at work."""
        self._life += 1
        owner = f"{self.name}.{self._life}"
        self.clock = SimClock(self.stage.loop, self.skew)
        self.process = Process(self.stage, owner, self.clock, self._died)
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, owner)
        self._requests = {}
        self.up = True
        self.stage.log("start", owner)
        self._context.run(self._assemble)

    def _assemble(self) -> None:
        options, process = self.stage.options, self.process
        supervisor = self.supervisor = Supervisor()
        self.store = self._home.open(self.clock, lambda error: self._failed(process, error))
        time = self.stage.now if options.store == "memory" else self.clock.now
        store = NodeStore(self.store, process, time)
        node = NodeContext(store, self.clock, self.stage.names, supervisor.spawn, self.name)
        lease = Span(options.run_lease)
        decider = Decider(self._blueprints, Access(()).client_of)
        writer = Writer(node, decider, WriterPolicy(run_lease=lease))
        fleet = Fleet()
        registry = self._home.registry(process)
        presence = self.presence = Presence(node, registry, WORKER_TTL, fleet)
        self.queries = Queries(node)
        self.control = Control(writer, self.queries)
        self.approvals = Approvals(writer, self.queries, KEY)
        self.submit = Submit(node, writer, self._policy)
        self.offers = Offers(node, writer, Span(options.task_lease), fleet)
        roll = Roll(WORKER_TOKEN)
        self.gateway = WatchedGateway(
            self.stage,
            node,
            admission=Admission(roll, Passes(node, registry, roll), self.clock),
            presence=presence,
            offers=self.offers,
            results=Results(node, writer, granted=fleet.lease),
            terms=Terms(Span(options.longest_poll)),
        )
        self.door = StreamDoor(process, self.gateway, self.serve)
        for consumer in consumers(node, writer, decider.editions, run_lease=lease, width=WIDTH):
            supervisor.start_duty(consumer.name, consumer.run)
        self.webhooks = Webhooks(node, SimDelivery(self.stage), lambda _: (b"0123456789abcdef" * 2,), HOOKS)
        self.operator = Operator(node, writer, self.queries, self.webhooks)
        consumer = webhook_consumer(node, self.webhooks, timeout=TIMEOUT, width=WIDTH)
        supervisor.start_duty(consumer.name, consumer.run)
        self._start_ticking(node, writer, supervisor)
        supervisor.start_duty("offers", self.offers.serve_for_ever)
        supervisor.start_duty("sweeper", sweeper(node, presence, None).run)
        supervisor.failure().add_done_callback(lambda failed: self._failed(process, failed.result()))

    def _start_ticking(self, node: NodeContext, writer: Writer, supervisor: Supervisor) -> None:
        due = schedules(self.stage.options)
        if due:
            ticks = Ticks(node, writer, self._policy, due, self._blueprints)
            supervisor.start_duty("schedules", Armer(node, ticks).run)
            supervisor.start_duty("ticks", tick_consumer(node, ticks, width=WIDTH).run)

    def serve(
        self, request: Coroutine[Any, Any, T], context: contextvars.Context | None = None
    ) -> asyncio.Task[T]:
        """The request is being served by the present process."""
        task = self.stage.loop.create_task(request, context=context or self._context)
        self._requests[task] = None
        task.add_done_callback(self._served)
        return task

    def jump(self, span: int) -> None:
        """Somebody set the clock of the host."""
        self.stage.fault("jump", self.name, span)
        self.skew += span
        self.clock.skew = self.skew
        self.stage.soon(CALL_MS, self._disturb)

    def _disturb(self) -> None:
        """Calls that were under way when the clock was set have named a time of before."""
        self.stage.ledger.messages.unrest += 1

    async def restart(self, after_ms: int) -> None:
        """The node was drained as for an upgrade, and a new process starts a while later."""
        process, supervisor = self.process, self.supervisor
        if not self.up:
            return
        self.stage.fault("restart", process.owner)
        self.up = False
        self.offers.close()
        await supervisor.stop_duties()
        await self.door.leave()
        if self._requests:
            await asyncio.wait(self._requests, timeout=GRACE_MS / 1_000)
        for request in list(self._requests):
            request.cancel()
        await supervisor.drain(Span(GRACE_MS))
        if not process.dead:
            await self.store.close()
            process.end()
            self.stage.soon(after_ms, self.start)

    def _served(self, task: asyncio.Task[Any]) -> None:
        self._requests.pop(task, None)
        if not task.cancelled():
            task.exception()

    def _died(self) -> None:
        self.up = False
        self.door.cut()
        self._home.abandon()
        self.stage.soon(self.stage.rng.randint(200, 4_000), self.start)

    def _failed(self, process: Process, error: BaseException) -> None:
        if not process.dead:
            self.stage.ledger.violated("a node runs until it is stopped", f"{process.owner}: {error!r}")
