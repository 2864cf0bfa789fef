"""One life of a worker: the session of the SDK under loops like those of the SDK, on virtual time."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from avtomatika.testing.network import Network, Way
from avtomatika.testing.nodes import WORKER_TOKEN
from avtomatika.testing.stage import Stage
from avtomatika.testing.transports import SimOpener, SimTransport
from avtomatika_worker.capacity import Openings
from avtomatika_worker.event_queue import EventQueue
from avtomatika_worker.outcome import Outcome, result_of
from avtomatika_worker.session import Session
from avtomatika_worker.steps import Pace, Poll, Register, Wait
from rxon.errors import RxonError
from rxon.messages import Heartbeat, Registration, SkillInfo, TaskOffer, TaskResult, WorkerEvent
from rxon.stream.switching import SwitchingTransport
from rxon.transport import Credentials, PushTransport
from tests.sim.sdk_handlers import handle
from tests.sim.sdk_rules import SdkRules
from tests.sim.sdk_turns import SimProcess, Turn

R = TypeVar("R")


class Execution:
    """A handler at work on a task."""

    def __init__(self, offer: TaskOffer) -> None:
        self.offer = offer
        self.began = self.unwanted = False
        self.task: asyncio.Task[None] | None = None


class SdkProcess(SimProcess):
    """A process: all of its state is lost with it."""

    def __init__(self, stage: Stage, network: Network, name: str, life: int, capacity: int) -> None:
        super().__init__(stage, name)
        self._life, self._capacity = life, capacity
        self._network = network
        self.alive = True
        self.rules = SdkRules(stage, name)
        options, chance = stage.options, stage.rng.random
        pace = Pace(
            heartbeat_interval=5.0,
            poll_timeout=options.longest_poll / 1_000,
            registration_initial=0.2,
            registration_maximum=2.0,
            poll_initial=0.2,
            poll_maximum=2.0,
            result_initial=0.2,
        )
        self._session, self._events = Session(pace, chance), EventQueue(pace, chance)
        self._executions: dict[str, Execution] = {}
        self._running: set[Execution] = set()
        self._dues = {turn: asyncio.Event() for turn in (self._call, self._beat, self._report, self._emit)}
        self._numbers = itertools.count(1)

    def run(self, skills: Sequence[str], die: Callable[[], None], *, streams: bool) -> None:
        """The worker is at work; *die* is what a handler may do to it."""
        stage, network = self._stage, self._network
        self.die, self._skills = die, tuple(skills)
        credentials, way = Credentials(WORKER_TOKEN, self._name), Way(network)
        http = SimTransport(network, way, credentials, streams=streams)
        self._opener = SimOpener(network, way, credentials, self.awake)
        self._transport = SwitchingTransport(http, self._opener, stage.rng.random) if streams else http
        if isinstance(self._transport, PushTransport):
            self._transport.listen(self._called_back, self._changed_way)
        for turn, due in self._dues.items():
            self._spawn(self._turns(turn, due))

    def gone(self) -> None:
        """The process does nothing any more."""
        self.alive = False
        self._opener.cut()
        self._stage.ledger.holding.gone(self._name)

    # ------------------------------------------------------------ the loops

    async def _call(self) -> Wait | None:
        due = self._session.next_call(self._openings(), (), self._now())
        if isinstance(due, Register):
            await self._register()
        elif isinstance(due, Poll):
            await self._poll(due)
        else:
            return due
        return None

    async def _register(self) -> None:
        skills = tuple(SkillInfo(name=skill) for skill in self._skills)
        registration = Registration(worker_id=self._name, supported_skills=skills)
        answer = await self._answer(self._transport.register(registration))
        if isinstance(answer, RxonError):
            self._session.register_failed(answer, self._now())
            return
        self._session.register_answered(self._now())
        self._due(self._beat, self._report)

    async def _poll(self, due: Poll) -> None:
        self._stage.ledger.holding.room(self._name, self._skills, self._stage.now())
        answer = await self._answer(self._transport.poll(due.request))
        if isinstance(answer, RxonError):
            self._session.poll_failed(answer, self._now())
            return
        before = self._session.beat_at
        self.rules.came(answer)
        fresh = self._session.poll_answered(answer, self._now())
        if self._session.beat_at < before:
            self._due(self._beat)
        for offer in fresh:
            self._begin(offer)

    async def _beat(self) -> Wait | None:
        due = self._session.next_beat(self._now())
        if isinstance(due, Wait):
            return due
        answer = await self._answer(
            self._transport.heartbeat(Heartbeat(worker_id=self._name, current_tasks=due.tasks))
        )
        if isinstance(answer, RxonError):
            self._session.beat_failed(answer, self._now())
            self._due(self._call)
        else:
            stopped = self._session.beat_answered(due, answer, self._now())
            self._stop(answer.cancel_task_ids or (), stopped)
        return None

    async def _report(self) -> Wait | None:
        due = self._session.next_report(self._now())
        if isinstance(due, Wait):
            return due
        self.rules.goes_out(due.results)
        answer = await self._answer(self._transport.report(due.results))
        if isinstance(answer, RxonError):
            given_up = self._session.report_failed(answer, self._now())
            self.rules.came_to_nothing(given_up)
            for task_id in given_up:
                self._executions.pop(task_id, None)
            self._due(self._call)
            return None
        answers = self._session.report_answered(answer, self._now())
        self.rules.answered(answers)
        for task_id, _ in answers:
            self._executions.pop(task_id, None)
        return None

    async def _emit(self) -> Wait | None:
        event = self._events.next(self._now())
        if isinstance(event, Wait):
            return event
        answer = await self._answer(self._transport.emit(self._session.leased(event)))
        if isinstance(answer, RxonError):
            self._events.failed(answer, self._now())
        else:
            self._events.answered(answer)
        return None

    async def _answer(self, call: Awaitable[R]) -> R | RxonError:
        try:
            answer = await call
        except RxonError as error:
            await self.awake()
            return error
        await self.awake()
        self._events.reached()
        return answer

    def _due(self, *turns: Turn) -> None:
        for turn in turns:
            self._dues[turn].set()

    def _called_back(self, task_ids: Sequence[str]) -> None:
        self._stage.counts["called_back"] += 1
        self._stop(task_ids, self._session.revoked(task_ids))

    def _changed_way(self) -> None:
        if self._session.held:
            self._session.beat_at = 0.0
            self._due(self._beat)

    # ------------------------------------------------------------ tasks

    def _openings(self) -> Openings:
        return Openings(max(0, self._capacity - len(self._running)))

    def _wake(self) -> None:
        """There may be room for more tasks."""
        self._due(self._call)
        if isinstance(self._transport, PushTransport) and self._session.registered:
            self._transport.ready(self._session.room(self._openings(), ()))

    def _begin(self, offer: TaskOffer) -> None:
        self._stage.log("work", self._name, offer.task_id)
        self.rules.begins(offer.task_id, self._executions)
        execution = Execution(offer)
        self._executions[offer.task_id] = execution
        self._running.add(execution)
        if len(self._running) >= self._capacity:
            self._stage.ledger.holding.full(self._name)
        execution.task = self._spawn(self._work(execution))

    async def _work(self, execution: Execution) -> None:
        name = f"{self._name}-{self._life}-{next(self._numbers)}"
        outcome: Outcome | None = None
        execution.began = True
        try:
            if not execution.unwanted:
                outcome = await handle(self._stage, self, name, partial(self._tell, execution))
                await self.awake()
        except asyncio.CancelledError:
            if not self.alive:
                raise
        self._running.discard(execution)
        self._deliver(execution, None if execution.unwanted else outcome)
        self._wake()

    def _tell(self, execution: Execution, kind: str) -> None:
        if execution.unwanted:
            return
        number, offer = next(self._numbers), execution.offer
        self._events.add(
            WorkerEvent(
                event_id=f"{self._name}-{self._life}-{number}",
                worker_id=self._name,
                origin_worker_id=self._name,
                event_type=kind,
                payload=msgspec.Raw(b'{"progress":%d}' % number),
                target_job_id=offer.job_id,
                target_task_id=offer.task_id,
                lease_token=offer.lease_token,
            )
        )
        self._due(self._emit)

    def _deliver(self, execution: Execution, outcome: Outcome | None) -> None:
        task_id = execution.offer.task_id
        if self._executions.get(task_id) is not execution:
            return
        if outcome is None:
            self._events.forget(task_id)
            self._session.dropped(task_id)
            self.rules.forgotten(task_id)
            del self._executions[task_id]
            return
        result = msgspec.structs.replace(result_of(outcome, execution.offer, self._name), timestamp=None)
        self._events.after(task_id, partial(self._hand_in, result))
        self._due(self._emit)

    def _hand_in(self, result: TaskResult) -> None:
        taken = self._session.finished(result)
        self.rules.handed_in(result.task_id, taken=taken)
        if taken:
            self._due(self._report)
        else:
            self._executions.pop(result.task_id, None)

    def _stop(self, told: Sequence[str], stopped: Sequence[str]) -> None:
        self.rules.called_back(told, stopped)
        for task_id in stopped:
            execution = self._executions.get(task_id)
            if execution is not None and execution in self._running:
                execution.unwanted = True
                if execution.task is not None and execution.began:
                    execution.task.cancel()
            else:
                self._events.forget(task_id)
                self._executions.pop(task_id, None)
