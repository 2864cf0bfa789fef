"""Simulated people: they decide what jobs ask, all at once, late, or what nobody offered."""

import asyncio
from functools import partial
from typing import Final

from msgspec import Raw

from avtomatika.commands.approvals import Answer
from avtomatika.errors import AlreadyOver, Conflict, InvalidInput, NotFound, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import AwaitingHuman
from avtomatika.kernel.notices import approval_id
from avtomatika.testing.families import DECISIONS, NOT_OFFERED
from avtomatika.testing.network import ConnectionLost, Network
from avtomatika.testing.nodes import SimNode
from avtomatika.testing.options import CLIENT
from avtomatika.testing.stage import Stage

LOOK_MS: Final = 700
PATIENT_MS: Final = 8_000
"""After so long a question without limit is answered, so that its job can end."""

Question = tuple[JobId, int]


class SimPeople:
    """Those who look into the inbox now and then. Any of them may take up any question."""

    def __init__(self, stage: Stage, network: Network) -> None:
        self._stage, self._network = stage, network
        self._seen: dict[Question, int] = {}
        self._answers = 0

    async def look_for_ever(self) -> None:
        """Questions are answered, until the world ends."""
        stage = self._stage
        while True:
            for job in list(stage.ledger.open):
                phase = stage.ledger.jobs[job].phase
                if isinstance(phase, AwaitingHuman):
                    self._take_up(job, phase)
            await asyncio.sleep(LOOK_MS / 1_000)

    def _take_up(self, job: JobId, phase: AwaitingHuman) -> None:
        stage, now = self._stage, self._stage.now()
        since = self._seen.get((job, phase.since))
        if since is None:
            self._seen[job, phase.since] = now
            racing = stage.rng.choice((0, 1, 1, 2, 4)) if stage.faulty else 1
        else:
            racing = int(phase.due is None and now > since + PATIENT_MS)
        for _ in range(racing):
            self._answers += 1
            deciding = stage.loop.create_task(self._decide(job, phase.since, self._answers))
            deciding.add_done_callback(self._judge)

    def _judge(self, deciding: "asyncio.Task[None]") -> None:
        if not deciding.cancelled() and (error := deciding.exception()):
            self._stage.ledger.violated("people get answers that are specified", repr(error))

    async def _decide(self, job: JobId, question: int, number: int) -> None:
        stage = self._stage
        await stage.pass_time(0, stage.rng.choice((20, 3_000)) if stage.faulty else 20)
        odd = stage.chance(stage.options.odd_answers)
        decision = stage.rng.choice(NOT_OFFERED if odd else DECISIONS)
        payload = b'{"answer":%d}' % number
        wrong_question = stage.chance(stage.options.odd_answers)
        answer = Answer(decision, Raw(payload), approval_id(job, question + wrong_question))
        by_link = stage.rng.random() < 0.3
        try:
            ask = partial(self._decide_at, job=job, answer=answer, question=question, by_link=by_link)
            await self._network.request("decide", ask)
        except (ConnectionLost, Unavailable):
            return
        except InvalidInput:
            if not odd:
                stage.ledger.violated("a decision that is offered can be taken", (job, decision))
        except (AlreadyOver, Conflict, NotFound) as refusal:
            # A link tells nothing to those who come too late.
            if isinstance(refusal, NotFound) != by_link:
                stage.ledger.violated("who decides hears why it does not count", (job, repr(refusal)))
            if not wrong_question:
                stage.ledger.kin.refused(stage.ledger.jobs.get(job), question)
        else:
            if wrong_question:
                stage.ledger.violated("a decision is for the question that it names", (job, question))
            if odd:
                stage.ledger.violated("only what is offered can be decided", (job, decision))
            stage.ledger.kin.decided(job, payload)

    async def _decide_at(
        self, node: SimNode, job: JobId, answer: Answer, question: int, by_link: bool
    ) -> None:
        if by_link:
            await node.approvals.decide_by_link(job, node.approvals.secret(job, question), answer)
        else:
            await node.approvals.decide(job, CLIENT, answer, "somebody")
