"""Simulated operators: they take up jobs again, where it helps and where it does not."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

from msgspec import Raw

from avtomatika.commands.approvals import Answer
from avtomatika.commands.operator import Place
from avtomatika.commands.queries import EVERYBODY
from avtomatika.errors import AlreadyOver, Conflict, InvalidInput, NotFound, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job
from avtomatika.testing.network import ConnectionLost, Network
from avtomatika.testing.nodes import WORKER_TOKEN, SimNode
from avtomatika.testing.options import CLIENT
from avtomatika.testing.stage import Stage
from avtomatika.testing.workload import SIGNAL
from rxon.errors import RxonError
from rxon.messages import Heartbeat, WorkerCommand
from rxon.transport import Credentials

STRANGER: Final = "stranger"
COMMANDS: Final = 3
VERBS: Final = (
    "requeue",
    "requeue",
    "rewind",
    "rewind",
    "fork",
    "resend",
    "resend",
    "cancel",
    "pry",
    "tell",
    "tell",
)


class SimOperator:
    """Somebody with a hand in every job. What he does is named, to be found in the facts."""

    def __init__(self, stage: Stage, network: Network, number: int) -> None:
        self._stage, self._network = stage, network
        self._begin = stage.rng.randint(0, stage.options.faults_for)
        self._name = f"operator {number}"

    async def run(self) -> None:
        """One thing is done to one job."""
        stage = self._stage
        await asyncio.sleep(self._begin / 1_000)
        jobs = list(stage.ledger.jobs)
        if not jobs:
            return
        over = [job for job in jobs if stage.ledger.jobs[job].over and not stage.ledger.jobs[job].final]
        job = stage.rng.choice(over if over and stage.rng.random() < 0.7 else jobs)
        verb = stage.rng.choice(VERBS)
        if verb == "tell":
            await self._tell(f"w{stage.rng.randrange(stage.options.workers)}")
            return
        children = [name for name in stage.ledger.open if stage.ledger.jobs[name].parent is not None]
        if children and verb == "cancel":
            job = stage.rng.choice(children)
        before = stage.ledger.jobs[job]
        if verb in ("requeue", "rewind"):
            stage.ledger.kin.asked.add((job, self._name))
        try:
            answer = await self._network.request(verb, partial(self._do, job=job, verb=verb))
        except (ConnectionLost, Unavailable):
            return
        except (AlreadyOver, Conflict, InvalidInput, NotFound) as refusal:
            stage.log("refused", verb, job, type(refusal).__name__)
            if isinstance(refusal, NotFound) != (verb == "pry"):
                stage.ledger.violated("an accepted job is found by those whose it is", (verb, job))
            if verb == "fork" and not isinstance(refusal, InvalidInput):
                stage.ledger.violated("every job can be forked", (job, repr(refusal)))
        else:
            self._judge(verb, before, answer)

    async def _tell(self, worker: str) -> None:
        """Several commands are for one worker, each through whatever node, and several nodes tell it."""
        for step in (self._send, self._ask):
            async with asyncio.TaskGroup() as group:
                for _ in range(COMMANDS):
                    group.create_task(step(worker))

    async def _ask(self, worker: str) -> None:
        async def beat(node: SimNode) -> None:
            await node.gateway.heartbeat(Credentials(WORKER_TOKEN, worker), worker, Heartbeat())

        with suppress(ConnectionLost, RxonError):
            await self._network.request("heartbeat", beat)

    async def _send(self, worker: str) -> None:
        async def send(node: SimNode) -> None:
            command = WorkerCommand(command="look", id=self._stage.names.token())
            await node.presence.mailbox.send(worker, command)

        try:
            await self._network.request("tell", send)
        except (ConnectionLost, Unavailable):
            return
        self._stage.counts["command"] += 1

    def _judge(self, verb: str, before: Job, answer: object) -> None:
        stage = self._stage
        stage.counts[verb] += 1
        stage.log("operated", verb, before.id)
        if verb == "pry":
            stage.ledger.violated("what belongs to another is not there", (before.id, answer))
        elif verb in ("requeue", "rewind"):
            stage.ledger.kin.operated(before, self._name)
        elif verb == "fork":
            stage.ledger.kin.forked(before, stage.ledger.jobs.get(JobId(str(answer))))

    def _do(self, node: SimNode, job: JobId, verb: str) -> Coroutine[Any, Any, Any]:
        operator = node.operator
        if verb == "requeue":
            return operator.requeue(job, EVERYBODY, self._name)
        if verb == "cancel":
            return node.control.cancel(job, CLIENT)
        if verb == "pry":
            return self._pry(node, job)
        if verb == "resend":
            return operator.resend_webhook(job, EVERYBODY)
        version = self._stage.rng.randint(1, max(1, self._stage.ledger.jobs[job].version))
        place = Place(version=version) if self._stage.rng.random() < 0.7 else Place(version=1)
        if verb == "fork":
            return operator.fork(job, EVERYBODY, place)
        return operator.rewind(job, EVERYBODY, place, self._name)

    async def _pry(self, node: SimNode, job: JobId) -> None:
        """Somebody else's client tries its hand at the job."""
        match self._stage.rng.randrange(4):
            case 0:
                await node.queries.job(job, STRANGER)
            case 1:
                await node.control.cancel(job, STRANGER)
            case 2:
                await node.control.signal(job, STRANGER, SIGNAL, Raw(b"null"))
            case _:
                await node.approvals.decide(job, STRANGER, Answer("yes"), STRANGER)
