"""One world from beginning to end: everybody appears, faults happen, the world heals, all jobs end."""

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from avtomatika.commands.outbox import KIN, TIMERS, WEBHOOKS, run_queue
from avtomatika.commands.webhooks import DEAD
from avtomatika.kernel.ids import JobId
from avtomatika.matching.placement import FAMILY
from avtomatika.ports.store import Store
from avtomatika.testing.beats import BLUEPRINT, QUEUE
from avtomatika.testing.clients import clients
from avtomatika.testing.crew import Hire, anybody, skills_of
from avtomatika.testing.loop import Deadlock, Livelock, SimLoop
from avtomatika.testing.network import Network
from avtomatika.testing.nodes import SimNode
from avtomatika.testing.operators import SimOperator
from avtomatika.testing.options import Options
from avtomatika.testing.people import SimPeople
from avtomatika.testing.stage import Stage
from avtomatika.testing.surroundings import disk, listening
from avtomatika.testing.violations import Violation
from avtomatika.testing.watched import Home, OneFile, SharedMemory
from avtomatika.testing.workload import POLICY, blueprints

LONGEST_TIMEOUT_MS: Final = 30_000
"""The longest span in the policy of the jobs, their tasks, and the leases of timers."""

PATIENCE_MS: Final = 20 * LONGEST_TIMEOUT_MS


class Outcome(msgspec.Struct, frozen=True):
    """What became of one seed."""

    options: Options
    violations: tuple[Violation, ...]
    digest: str
    trace: tuple[str, ...]
    counts: dict[str, int]
    endings: dict[str, int]
    jobs: int
    commits: int
    moves: int
    turns: int
    virtual_s: float


class World:
    """Nodes, workers and clients over one store."""

    def __init__(self, stage: Stage, home: Home, hire: Hire) -> None:
        self._stage = stage
        options = stage.options
        self._blueprints = blueprints(stage, self._kill)
        self._nodes = [SimNode(stage, f"n{n}", home, self._blueprints, POLICY) for n in range(options.nodes)]
        self._network = Network(stage, self._nodes)
        names = [f"w{n}" for n in range(options.workers)]
        self._workers = [hire(stage, self._network, name, skills_of(stage, name)) for name in names]

    async def live(self) -> None:
        """The life of the world; what was wrong with it is in the ledger."""
        stage = self._stage
        for node in self._nodes:
            node.skew = stage.rng.randint(-stage.options.skew, stage.options.skew)
            node.start()
        for worker in self._workers:
            worker.start()
        asking = self._everybody()
        self._arrange_trouble()
        stage.soon(stage.options.faults_for, self._heal)
        until = stage.options.faults_for + PATIENCE_MS + 4 * stage.options.skew
        stage.soon(until, stage.stirred.set)
        while not stage.ledger.violations and stage.loop.time() * 1_000 < until:
            if self._is_quiet() and all(client.done() for client in asking):
                break
            stage.stirred.clear()
            for client in asking:
                if not client.done():
                    client.add_done_callback(self._stir)
            await stage.stirred.wait()
        for client in asking:
            if client.done() and not client.cancelled() and (error := client.exception()):
                stage.ledger.violated("a client gets answers that are specified", repr(error))
        if not stage.ledger.violations:
            await self._take_stock()

    def _everybody(self) -> "list[asyncio.Task[None]]":
        """Clients and operators at work, who come to an end, and people, who do not."""
        stage = self._stage
        plans = {blueprint.name: blueprint for blueprint in self._blueprints if blueprint.name != BLUEPRINT}
        if "asking" in plans:
            stage.loop.create_task(SimPeople(stage, self._network).look_for_ever())
        operators = [SimOperator(stage, self._network, n) for n in range(stage.options.operations)]
        asking = [stage.loop.create_task(client.run()) for client in clients(stage, self._network, plans)]
        return [*asking, *(stage.loop.create_task(operator.run()) for operator in operators)]

    def _unfinished(self) -> list[JobId]:
        ledger = self._stage.ledger
        return [job for job in ledger.open if not ledger.beats.is_young(job)]

    def _is_quiet(self) -> bool:
        """True when every job is over and nobody has anything to say to anybody."""
        ledger = self._stage.ledger
        if self._unfinished() or ledger.messages.waiting_in(KIN, WEBHOOKS):
            return False
        return not any(worker.unsettled() for worker in self._workers)

    def _stir(self, client: "asyncio.Task[None]") -> None:
        self._stage.stirred.set()

    def _arrange_trouble(self) -> None:
        stage, options, rng = self._stage, self._stage.options, self._stage.rng

        def later(what: Any, *arguments: Any) -> None:
            stage.soon(rng.randint(0, options.faults_for), what, *arguments)

        for _ in range(options.crashes):
            later(self._crash, rng.choice(self._nodes))
        for _ in range(options.pauses):
            later(self._pause, rng.choice(self._nodes), rng.choice((1_000, 5_000, 5_000, 60_000)))
        for _ in range(options.jumps):
            later(self._jump, rng.choice(self._nodes), rng.choice((-20_000, 3_000, 20_000)))
        for _ in range(options.restarts):
            later(self._restart, rng.choice(self._nodes))

    def _crash(self, node: SimNode) -> None:
        if node.up and self._stage.faulty:
            node.process.kill("killed")

    def _pause(self, node: SimNode, span: int) -> None:
        if node.up and self._stage.faulty:
            node.process.stop(span)

    def _jump(self, node: SimNode, span: int) -> None:
        if self._stage.faulty:
            node.jump(span)

    def _restart(self, node: SimNode) -> None:
        if self._stage.faulty:
            self._stage.loop.create_task(node.restart(self._stage.rng.randint(50, 2_000)))

    def _kill(self, owner: str, why: str) -> None:
        for node in self._nodes:
            if node.up and node.process.owner == owner:
                node.process.kill(why)

    def _heal(self) -> None:
        self._stage.log("heal")
        self._stage.faulty = False
        for node in self._nodes:
            node.process.go_on()
        self._stage.stirred.set()

    async def _take_stock(self) -> None:
        """At rest every job is over, nothing is left in any queue, and every caller was answered."""
        stage, ledger = self._stage, self._stage.ledger
        for job in self._unfinished():
            ledger.violated("every job ends", f"{ledger.jobs[job]}: {list(ledger.messages.of_job(job))}")
        ledger.beats.check(len(ledger.messages.in_queue(QUEUE)))
        for name in ledger.sink.missing(ledger.messages.in_queue(DEAD)):
            ledger.violated("every announced event is told, or lies among the dead", name)
        for task in [task for worker in self._workers for task in worker.unsettled()]:
            ledger.violated("every result is settled, and every lost task let go", task)
        for request in self._network.forgotten():
            ledger.violated("every request is answered", request)
        store = next((node.store for node in self._nodes if node.up), None)
        if store is None or ledger.violations:
            return
        await self._compare(store)
        queues = [run_queue(b.name, b.edition) for b in self._blueprints if b.name != BLUEPRINT]
        queues += [TIMERS, KIN, WEBHOOKS, *(await store.queues(FAMILY))]
        for queue in queues:
            if await store.next_due(queue) is not None:
                ledger.violated("nothing is left in the queues", queue)
        if stage.options.store == "sqlite":
            await self._reopen(self._nodes[0])
        stage.log("end", len(ledger.jobs))

    async def _reopen(self, node: SimNode) -> None:
        """The only node is killed once more: what the next finds on the disk is held against the ledger."""
        if node.up:
            node.process.kill("at the end")
        while not node.up:
            await self._stage.pass_time(100, 100)

    async def _compare(self, store: Store) -> None:
        ledger = self._stage.ledger
        for job_id, job in [(name, job) for name, job in ledger.jobs.items() if job.over]:
            if await store.load(job_id) != job:
                ledger.violated("reads show what was committed", job_id)
            if list(await store.facts(job_id)) != ledger.facts[job_id]:
                ledger.violated("the facts of a job are its history", job_id)


def run_world(options: Options, folder: Path, hire: Hire = anybody, *, traced: bool = False) -> Outcome:
    """What becomes of the world that the options describe. *folder* is for its files; *hire* makes workers.

    The trace is kept when something was found, or when it is wanted.
    """
    loop = SimLoop()
    asyncio.set_event_loop(loop)
    stage = Stage(loop, options)
    with listening(stage), disk(stage):
        try:
            home = _home(stage, folder)
            loop.run_until_complete(World(stage, home, hire).live())
        except (Deadlock, Livelock) as stuck:
            stage.ledger.violated("the world goes on", type(stuck).__name__)
        finally:
            virtual = loop.time()
            _end(loop)
    ledger = stage.ledger
    return Outcome(
        options=options,
        violations=tuple(ledger.violations),
        digest=stage.trace.digest(),
        trace=tuple(stage.trace.told()) if traced or ledger.violations else (),
        counts=dict(stage.counts),
        endings=dict(Counter(str(job.status) for job in ledger.jobs.values())),
        jobs=len(ledger.jobs),
        commits=ledger.commits,
        moves=ledger.moves,
        turns=loop.turns,
        virtual_s=virtual,
    )


def _home(stage: Stage, folder: Path) -> Home:
    if stage.options.store == "memory":
        return SharedMemory(stage.ledger, stage.clock, stage.names.token)
    return OneFile(stage.ledger, folder / f"{stage.options.seed}" / "jobs.db", stage.names.token)


def _end(loop: SimLoop) -> None:
    everybody = loop.everybody()
    for task in everybody:
        task.cancel()
    with suppress(Deadlock, Livelock):
        loop.run_until_complete(asyncio.wait(everybody, timeout=10))
    asyncio.set_event_loop(None)
    loop.close()
