"""Simulated operators: they take up jobs again, where it helps and where it does not."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

from avtomatika.commands.operator import Place
from avtomatika.commands.queries import EVERYBODY
from avtomatika.errors import AlreadyOver, Conflict, InvalidInput, NotFound, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.testing.clients import CLIENT
from avtomatika.testing.network import ConnectionLost, Network
from avtomatika.testing.nodes import SimNode
from avtomatika.testing.stage import Stage

VERBS: Final = ("requeue", "requeue", "rewind", "rewind", "fork", "resend", "cancel")


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
        before = stage.ledger.jobs[job]
        try:
            answer = await self._network.request(verb, partial(self._do, job=job, verb=verb))
        except (ConnectionLost, Unavailable):
            return
        except (AlreadyOver, Conflict, InvalidInput) as refusal:
            stage.log("refused", verb, job, type(refusal).__name__)
            if verb == "fork" and not isinstance(refusal, InvalidInput):
                stage.ledger.violated("every job can be forked", (job, repr(refusal)))
        except NotFound:
            stage.ledger.violated("an accepted job is found", job)
        else:
            stage.counts[verb] += 1
            stage.log("operated", verb, job)
            if verb in ("requeue", "rewind"):
                stage.ledger.kin.operated(before, self._name)
            elif verb == "fork":
                stage.ledger.kin.forked(before, stage.ledger.jobs.get(answer))

    def _do(self, node: SimNode, job: JobId, verb: str) -> Coroutine[Any, Any, Any]:
        operator = node.operator
        if verb == "requeue":
            return operator.requeue(job, EVERYBODY, self._name)
        if verb == "cancel":
            return node.control.cancel(job, CLIENT)
        if verb == "resend":
            return operator.resend_webhook(job, EVERYBODY)
        version = self._stage.rng.randint(1, max(1, self._stage.ledger.jobs[job].version))
        place = Place(version=version) if self._stage.rng.random() < 0.7 else Place(version=1)
        if verb == "fork":
            return operator.fork(job, EVERYBODY, place)
        return operator.rewind(job, EVERYBODY, place, self._name)
