"""One life of a worker: session, events and tasks of the SDK under loops like its own, on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

from avtomatika.testing.network import Network, Way
from avtomatika.testing.nodes import WORKER_TOKEN
from avtomatika.testing.stage import Stage
from avtomatika.testing.transports import SimOpener, SimTransport
from avtomatika_worker.conversation.event_queue import EventQueue
from avtomatika_worker.conversation.held_tasks import HeldTasks
from avtomatika_worker.conversation.steps import Pace, Poll, Register, Wait
from avtomatika_worker.running.runner import Runner
from avtomatika_worker.spool.spool import NoSpool
from rxon.errors import RxonError
from rxon.messages import Heartbeat, Registration, SkillInfo
from rxon.stream.switching import SwitchingTransport
from rxon.transport import Credentials, PushTransport
from tests.sim.sdk_rules import SdkRules, WatchedSession
from tests.sim.sdk_runner import SimRunner, SimSpool
from tests.sim.sdk_turns import SimProcess

R = TypeVar("R")


class SdkProcess(SimProcess):
    """A process: all of its state is lost with it, but for what is in its spool."""

    def __init__(
        self, stage: Stage, network: Network, skills: Sequence[str], name: str, die: Callable[[], None]
    ) -> None:
        super().__init__(stage, name, die)
        self._network, self._skills = network, tuple(skills)
        self.rules = SdkRules(stage, name)

    def run(self, life: int, capacity: int, spool: SimSpool | None, *, streams: bool) -> None:
        """The worker is at work."""
        stage, chance = self._stage, self._stage.rng.random
        pace = Pace(
            heartbeat_interval=5.0,
            poll_timeout=stage.options.longest_poll / 1_000,
            registration_initial=0.2,
            registration_maximum=2.0,
            poll_initial=0.2,
            poll_maximum=2.0,
            result_initial=0.2,
        )
        self._session, self._events = WatchedSession(pace, chance, self.rules), EventQueue(pace, chance)
        self._runner = SimRunner(stage, self, f"{self.name}-{life}", capacity)
        self._runner.on_change = self._wake
        runner = cast("Runner", self._runner)  # its stand-in: it runs no code of users
        self._tasks = HeldTasks("", self.name, self._session, self._events, runner, spool or NoSpool())
        self._tasks.restore(() if spool is None else spool.left())
        self._connect(streams=streams)
        self._call_due, self._beat_due = asyncio.Event(), asyncio.Event()
        self.spawn(self._turns(self._call, self._call_due))
        self.spawn(self._turns(self._beat, self._beat_due))
        self.spawn(self._turns(self._report, self._tasks.report_due))
        self.spawn(self._turns(self._emit, self._tasks.emit_due))

    def _connect(self, *, streams: bool) -> None:
        credentials, way = Credentials(WORKER_TOKEN, self.name), Way(self._network)
        http = SimTransport(self._network, way, credentials, streams=streams)
        self._opener = SimOpener(self._network, way, credentials, self.awake)
        chance = self._stage.rng.random
        self._transport = SwitchingTransport(http, self._opener, chance) if streams else http
        if isinstance(self._transport, PushTransport):
            self._transport.listen(self._called_back, self._changed_way)

    def gone(self) -> None:
        """The process does nothing any more."""
        self.alive = False
        self._opener.cut()
        self._stage.ledger.holding.gone(self.name)

    # ------------------------------------------------------------ the loops

    async def _call(self) -> Wait | None:
        due = self._session.next_call(self._runner.openings(), (), self.now())
        if isinstance(due, Register):
            await self._register()
        elif isinstance(due, Poll):
            await self._poll(due)
        else:
            return due
        return None

    async def _register(self) -> None:
        skills = tuple(SkillInfo(name=skill) for skill in self._skills)
        registration = Registration(worker_id=self.name, supported_skills=skills)
        answer = await self._answer(self._transport.register(registration))
        if isinstance(answer, RxonError):
            self._session.register_failed(answer, self.now())
            return
        self._session.register_answered(self.now())
        self._beat_due.set()
        self._tasks.report_due.set()

    async def _poll(self, due: Poll) -> None:
        self._stage.ledger.holding.room(self.name, self._skills, self._stage.now())
        answer = await self._answer(self._transport.poll(due.request))
        if isinstance(answer, RxonError):
            self._session.poll_failed(answer, self.now())
            return
        before = self._session.beat_at
        self.rules.came(answer)
        fresh = self._session.poll_answered(answer, self.now())
        if self._session.beat_at < before:
            self._beat_due.set()
        for offer in fresh:
            self._tasks.begin(offer)

    async def _beat(self) -> Wait | None:
        due = self._session.next_beat(self.now())
        if isinstance(due, Wait):
            return due
        answer = await self._answer(
            self._transport.heartbeat(Heartbeat(worker_id=self.name, current_tasks=due.tasks))
        )
        if isinstance(answer, RxonError):
            self._session.beat_failed(answer, self.now())
            self._call_due.set()
        else:
            stopped = self._session.beat_answered(due, answer, self.now())
            self._stop(answer.cancel_task_ids or (), stopped)
        return None

    async def _report(self) -> Wait | None:
        due = self._session.next_report(self.now())
        if isinstance(due, Wait):
            if due.until is None and self._session.registered:
                self.rules.says_nothing()
            return due
        self.rules.goes_out(due.results)
        answer = await self._answer(self._transport.report(due.results))
        if isinstance(answer, RxonError):
            given_up = self._session.report_failed(answer, self.now())
            self.rules.came_to_nothing(given_up)
            for task_id in given_up:
                self._tasks.forget(task_id)
            self._call_due.set()
            return None
        answers = self._session.report_answered(answer, self.now())
        self.rules.answered(answers)
        for task_id, verdict in answers:
            self._tasks.settled(task_id, verdict)
        self._tasks.flush()
        return None

    async def _emit(self) -> Wait | None:
        event = self._events.next(self.now())
        if isinstance(event, Wait):
            return event
        event = self._session.leased(event)
        self.rules.tells(event)
        answer = await self._answer(self._transport.emit(event))
        if isinstance(answer, RxonError):
            self._events.failed(answer, self.now())
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

    def _called_back(self, task_ids: Sequence[str]) -> None:
        self._stage.counts["called_back"] += 1
        self._stop(task_ids, self._session.revoked(task_ids))

    def _changed_way(self) -> None:
        if self._session.held:
            self._session.beat_at = 0.0
            self._beat_due.set()

    def _wake(self) -> None:
        """There may be room for more tasks."""
        self._call_due.set()
        if isinstance(self._transport, PushTransport) and self._session.registered:
            self._transport.ready(self._session.room(self._runner.openings(), ()))

    def _stop(self, told: Sequence[str], stopped: Sequence[str]) -> None:
        self.rules.called_back(told, stopped)
        for task_id in stopped:
            self._tasks.cancel(task_id)
