"""The loops that do what a session decides, over one transport."""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from avtomatika_worker.capacity import Openings
from avtomatika_worker.event_queue import EventQueue
from avtomatika_worker.outcome import Outcome, result_of
from avtomatika_worker.profile import Profile
from avtomatika_worker.runner import Execution, Runner, Spawn, unsupported
from avtomatika_worker.session import Session
from avtomatika_worker.steps import Poll, Register, Wait
from avtomatika_worker.teller import Told, event_of
from avtomatika_worker.turns import take_turns
from rxon.errors import RxonError, UnavailableError
from rxon.messages import ResultAnswer, TaskOffer, TaskResult, WorkerCommand
from rxon.transport import PushTransport, WorkerTransport
from rxon.vocabulary import CANCEL_TASK, AnswerStatus, WorkerStatus

__all__ = ["Connection"]

R = TypeVar("R")

NO_ROOM: Final = Openings(0)

_log = logging.getLogger(__name__)


class Connection:
    """One orchestrator: its session, its transport, and the tasks that came from it.

    ``spawn`` keeps what outlives a turn of a loop.
    """

    def __init__(
        self,
        name: str,
        transport: WorkerTransport,
        session: Session,
        events: EventQueue,
        profile: Profile,
        runner: Runner,
    ) -> None:
        self.name = name
        self.session = session
        self.on_command: Callable[[WorkerCommand], None] = lambda command: None
        self._transport = transport
        self._events = events
        self._profile = profile
        self._runner = runner
        self._executions: dict[str, Execution] = {}
        self._calls_due = asyncio.Event()
        self._beat_due = asyncio.Event()
        self._report_due = asyncio.Event()
        self._emit_due = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._call_loop: asyncio.Task[None] | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._spawn: Spawn | None = None
        self._troubles: set[str] = set()
        self._pushing = transport if isinstance(transport, PushTransport) else None
        if self._pushing is not None:
            self._pushing.listen(self._called_back, self._changed_way, self._told)

    @property
    def alive(self) -> bool:
        """Whether every loop that is needed is running."""
        needed = [loop for loop in self._loops if not (self.session.draining and loop is self._call_loop)]
        return bool(needed) and not any(loop.done() for loop in needed)

    def start(self, spawn: Spawn) -> None:
        """The loops run, as tasks of ``spawn``, until ``stop``."""
        self._spawn = spawn
        self._call_loop = spawn(take_turns(self.name, self._call, self._calls_due))
        beats = spawn(take_turns(self.name, self._beat, self._beat_due))
        reports = spawn(take_turns(self.name, self._report, self._report_due))
        emits = spawn(take_turns(self.name, self._emit, self._emit_due))
        self._loops = [self._call_loop, beats, reports, emits]

    def wake(self) -> None:
        """There may be room for more tasks."""
        self._calls_due.set()
        if self._pushing is not None and self.session.registered:
            self._pushing.ready(self.session.room(self._runner.openings(), self._profile.hot_skills()))

    def drain(self) -> None:
        """No more tasks are asked for; a poll under way is given up."""
        self.session.drain()
        if self._call_loop is not None:
            self._call_loop.cancel()
        self._beat_due.set()

    async def quiet(self) -> None:
        """Returns when no task is held: every result is settled."""
        await self._quiet.wait()

    async def stop(self) -> None:
        """The loops are over, and the orchestrator was told, if it could be reached."""
        for loop in self._loops:
            loop.cancel()
        if self.session.registered:
            beat = self._profile.heartbeat(NO_ROOM, (), WorkerStatus.OFFLINE)
            await self._answer(self._transport.heartbeat(beat))

    async def close(self) -> None:
        """The transport is closed."""
        await self._transport.close()

    # ------------------------------------------------------------ the loops

    async def _call(self) -> Wait | None:
        due = self.session.next_call(self._runner.openings(), self._profile.hot_skills(), time.monotonic())
        if isinstance(due, Register):
            await self._register()
        elif isinstance(due, Poll):
            await self._poll(due)
        else:
            return due
        return None

    async def _register(self) -> None:
        registration = self._profile.registration(self._runner.openings())
        answer = await self._answer(self._transport.register(registration))
        if isinstance(answer, RxonError):
            self._warn("Cannot register with %s: %s", answer)
            self.session.register_failed(answer, time.monotonic())
            return
        if answer.warning:
            _log.info("%s says: %s", self.name, answer.warning)
        _log.info("Registered with %s as %s", self.name, self._profile.worker_id)
        self.session.register_answered(time.monotonic())
        self._beat_due.set()
        self._report_due.set()

    async def _poll(self, due: Poll) -> None:
        answer = await self._answer(self._transport.poll(due.request))
        now = time.monotonic()
        if isinstance(answer, RxonError):
            self._warn("Cannot get tasks from %s: %s", answer)
            self.session.poll_failed(answer, now)
            return
        before = self.session.beat_at
        fresh = self.session.poll_answered(answer, now)
        if self.session.beat_at < before:
            self._beat_due.set()
        for offer in fresh:
            self._begin(offer)

    async def _beat(self) -> Wait | None:
        due = self.session.next_beat(time.monotonic())
        if isinstance(due, Wait):
            return due
        status = WorkerStatus.DRAINING if self.session.draining else None
        openings = NO_ROOM if self.session.draining else self._runner.openings()
        beat = self._profile.heartbeat(openings, due.tasks, status, due.full)
        answer = await self._answer(self._transport.heartbeat(beat))
        if isinstance(answer, RxonError):
            self._warn("The heartbeat to %s failed: %s", answer)
            self.session.beat_failed(answer, time.monotonic())
            self._calls_due.set()  # the worker may have to register again
            return None
        for task_id in self.session.beat_answered(due, answer, time.monotonic()):
            self._cancel(task_id)
        self._told(answer.commands or ())
        return None

    async def _report(self) -> Wait | None:
        due = self.session.next_report(time.monotonic())
        if isinstance(due, Wait):
            return due
        answer = await self._answer(self._transport.report(due.results))
        if isinstance(answer, RxonError):
            self._warn("Cannot report to %s: %s", answer)
            for task_id in self.session.report_failed(answer, time.monotonic()):
                _log.error("The result of task %s is given up: %s", task_id, answer.message)
                self._forget(task_id)
            self._calls_due.set()  # the worker may have to register again
            return None
        for task_id, verdict in self.session.report_answered(answer, time.monotonic()):
            _log_verdict(task_id, verdict)
            self._forget(task_id)
        return None

    async def _emit(self) -> Wait | None:
        event = self._events.next(time.monotonic())
        if isinstance(event, Wait):
            return event
        answer = await self._answer(self._transport.emit(self.session.leased(event)))
        if isinstance(answer, RxonError):
            self._warn("Cannot send an event to %s: %s", answer)
            self._events.failed(answer, time.monotonic())
        else:
            self._events.answered(answer)
        return None

    async def _answer(self, call: Awaitable[R]) -> R | RxonError:
        try:
            answer = await call
        except RxonError as error:
            return error
        except Exception as error:  # noqa: BLE001 - as above
            _log.exception("The transport to %s failed", self.name)
            return UnavailableError(f"{type(error).__name__}: {error}", retry_after=0.0)
        self._troubles.clear()
        self._events.reached()
        return answer

    def _warn(self, text: str, error: RxonError) -> None:
        """Once per kind of trouble, until something works again: retries are frequent."""
        kind = text + error.code
        _log.log(logging.DEBUG if kind in self._troubles else logging.WARNING, text, self.name, error.message)
        self._troubles.add(kind)

    def _called_back(self, task_ids: Sequence[str]) -> None:
        """The server does not wait for a heartbeat to say that tasks are to be stopped."""
        for task_id in self.session.revoked(task_ids):
            self._cancel(task_id)

    def _told(self, commands: Sequence[WorkerCommand]) -> None:
        for command in commands:
            if command.command != CANCEL_TASK:
                self.on_command(command)
            elif command.task_id is not None:
                self._called_back((command.task_id,))

    def _changed_way(self) -> None:
        """Another connection: the leases are kept by telling at once what is held."""
        if self.session.held:
            self.session.beat_at = 0.0
            self._beat_due.set()

    # ------------------------------------------------------------ tasks

    def _begin(self, offer: TaskOffer) -> None:
        self._quiet.clear()
        execution = self._runner.submit(offer, self._deliver, functools.partial(self._tell, offer))
        if execution is None:
            _log.error("Task %s asks for the unknown skill %r", offer.task_id, offer.type)
            self._finish(offer, unsupported(offer.type))
        else:
            self._executions[offer.task_id] = execution

    def _tell(self, offer: TaskOffer, told: Told) -> None:
        self._events.add(event_of(told, offer, self._profile.worker_id))
        self._emit_due.set()

    def _deliver(self, execution: Execution, outcome: Outcome | None) -> None:
        task_id = execution.offer.task_id
        if self._executions.get(task_id) is not execution:
            return  # offered again while this one was being stopped: the newer one counts
        if outcome is None:
            self._events.forget(task_id)
            self.session.dropped(task_id)
            self._forget(task_id)
        else:
            self._finish(execution.offer, outcome)

    def _finish(self, offer: TaskOffer, outcome: Outcome) -> None:
        result = result_of(outcome, offer, self._profile.worker_id)
        # Once the result is there, nobody listens to the task any more.
        self._events.after(offer.task_id, functools.partial(self._hand_in, result))
        self._emit_due.set()

    def _hand_in(self, result: TaskResult) -> None:
        if self.session.finished(result):
            self._report_due.set()
        else:
            self._forget(result.task_id)

    def _cancel(self, task_id: str) -> None:
        _log.info("Task %s is cancelled by %s", task_id, self.name)
        execution = self._executions.get(task_id)
        if execution is not None and not execution.over:
            self._runner.stop(execution)
        else:  # its result has not been sent, and never will be
            self._events.forget(task_id)
            self._forget(task_id)

    def _forget(self, task_id: str) -> None:
        execution = self._executions.pop(task_id, None)
        if execution is not None and execution.files is not None and self._spawn is not None:
            self._spawn(execution.remove_files())
        if not self.session.held:
            self._quiet.set()


def _log_verdict(task_id: str, verdict: ResultAnswer) -> None:
    if verdict.status == AnswerStatus.REFUSED:
        _log.warning("The result of task %s was refused: %s %s", task_id, verdict.code, verdict.message)
    elif verdict.status == AnswerStatus.IGNORED and not verdict.duplicate:
        _log.info("The result of task %s was ignored: %s", task_id, verdict.reason)
