"""The loops that do what a session decides, over one transport."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import msgspec

from avtomatika_worker.conversation.event_queue import EventQueue
from avtomatika_worker.conversation.held_tasks import HeldTasks
from avtomatika_worker.conversation.room import Room
from avtomatika_worker.conversation.session import Session
from avtomatika_worker.conversation.steps import Poll, Register, Wait
from avtomatika_worker.conversation.turns import take_turns
from avtomatika_worker.machine.profile import Profile
from avtomatika_worker.running.capacity import Openings
from avtomatika_worker.running.runner import Spawn
from rxon.errors import RxonError, UnavailableError
from rxon.messages import TaskOffer, WorkerCommand
from rxon.transport import PollRequest, PushTransport, WorkerTransport
from rxon.vocabulary import CANCEL_TASK, WorkerStatus

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
        tasks: HeldTasks,
        events: EventQueue,
        profile: Profile,
        room: Room,
    ) -> None:
        self.name = name
        self.tasks = tasks
        self.session: Session = tasks.session
        self.on_command: Callable[[WorkerCommand], None] = lambda command: None
        self._transport = transport
        self._events = events
        self._profile = profile
        self._room = room
        self.doubtful: Callable[[], bool] = lambda: False
        self._calls_due = asyncio.Event()
        self._beat_due = asyncio.Event()
        self._call_loop: asyncio.Task[None] | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._troubles: set[str] = set()
        self._pushing = transport if isinstance(transport, PushTransport) else None
        if self._pushing is not None:
            self._pushing.listen(self.called_back, self._changed_way, self.told)

    @property
    def alive(self) -> bool:
        """Whether every loop that is needed is running."""
        needed = [loop for loop in self._loops if not (self.session.draining and loop is self._call_loop)]
        return bool(needed) and not any(loop.done() for loop in needed)

    def start(self, spawn: Spawn) -> None:
        """The loops run, as tasks of ``spawn``, until ``stop``."""
        self.tasks.start(spawn)
        self._call_loop = spawn(take_turns(self.name, self._call, self._calls_due))
        beats = spawn(take_turns(self.name, self._beat, self._beat_due))
        reports = spawn(take_turns(self.name, self._report, self.tasks.report_due))
        emits = spawn(take_turns(self.name, self._emit, self.tasks.emit_due))
        self._loops = [self._call_loop, beats, reports, emits]

    def wake(self) -> None:
        """There may be room for more tasks."""
        self._calls_due.set()
        if self._pushing is not None and self.session.registered:
            openings, _ = self._room.part(self.session.poll_timeout)
            self._pushing.ready(self.session.room(openings, self._profile.hot_skills()))

    def changed(self) -> None:
        """Other models are loaded: the orchestrator hears of it soon."""
        self.session.changed(time.monotonic())
        self._beat_due.set()
        self.wake()

    def drain(self) -> None:
        """No more tasks are asked for; a poll under way is given up."""
        self.session.drain()
        if self._call_loop is not None:
            self._call_loop.cancel()
        self._beat_due.set()

    async def quiet(self) -> None:
        """Returns when no task is held: every result is settled."""
        await self.tasks.quiet.wait()

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
        self._room.known(self.session.registered)
        openings, patience = self._room.part(self.session.poll_timeout)
        hot_skills = self._profile.hot_skills()
        due = self.session.next_call(openings, hot_skills, time.monotonic())
        if isinstance(due, Register):
            await self._register()
            return None
        if isinstance(due, Wait):
            if openings.limit > 0 or not self._may_get_unasked:
                return due
            # Others have the room, but a task may be on its way that was sent when they had not.
            due = Poll(self.session.room(openings, hot_skills))
        await self._poll(msgspec.structs.replace(due.request, timeout=patience))
        return None

    async def _register(self) -> None:
        registration = self._profile.registration(self._room.all())
        answer = await self._answer(self._transport.register(registration))
        if isinstance(answer, RxonError):
            self._warn("Cannot register with %s: %s", answer)
            self.session.register_failed(answer, time.monotonic())
            self._room.refused(self.session.calls_from)
            return
        if answer.warning:
            _log.info("%s says: %s", self.name, answer.warning)
        _log.info("Registered with %s as %s", self.name, self._profile.worker_id)
        self.session.register_answered(time.monotonic())
        self._room.known(True)
        self._beat_due.set()
        self.tasks.report_due.set()

    async def _poll(self, request: PollRequest) -> None:
        if not self._streaming:
            self._room.asking(request.limit)
        answer = await self._answer(self._transport.poll(request), request.timeout or 0.0)
        now = time.monotonic()
        if isinstance(answer, RxonError):
            self._warn("Cannot get tasks from %s: %s", answer)
            self.session.poll_failed(answer, now)
            self._room.refused(self.session.calls_from)
            return
        before = self.session.beat_at
        fresh = self.session.poll_answered(answer, now)
        if request.limit or fresh:
            self._room.brought(len(answer))
        if fresh and self.doubtful():
            await self._ask_again(fresh)
        if self.session.beat_at < before:
            self._beat_due.set()
        for offer in fresh:
            if self.session.holds(offer.task_id):
                self.tasks.begin(offer)

    async def _ask_again(self, fresh: Sequence[TaskOffer]) -> None:
        """Those of ``fresh`` are let go of which the leases are over: they may have waited for long."""
        beat = self._profile.heartbeat(NO_ROOM, self.session.held)
        answer = await self._answer(self._transport.heartbeat(beat))
        if not isinstance(answer, RxonError):
            for task_id in self.session.revoked(answer.cancel_task_ids or ()):
                self.tasks.cancel(task_id)

    async def _beat(self) -> Wait | None:
        due = self.session.next_beat(time.monotonic())
        if isinstance(due, Wait):
            return due
        status = WorkerStatus.DRAINING if self.session.draining else None
        openings = NO_ROOM if self.session.draining else self._room.all()
        beat = self._profile.heartbeat(openings, due.tasks, status, due.full)
        answer = await self._answer(self._transport.heartbeat(beat))
        if isinstance(answer, RxonError):
            self._warn("The heartbeat to %s failed: %s", answer)
            self.session.beat_failed(answer, time.monotonic())
            self._calls_due.set()  # the worker may have to register again
            return None
        for task_id in self.session.beat_answered(due, answer, time.monotonic()):
            self.tasks.cancel(task_id)
        self.told(answer.commands or ())
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
                self.tasks.forget(task_id)
            self._calls_due.set()  # the worker may have to register again
            return None
        for task_id, verdict in self.session.report_answered(answer, time.monotonic()):
            self.tasks.settled(task_id, verdict)
        self.tasks.flush()
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

    async def _answer(self, call: Awaitable[R], expected: float = 0.0) -> R | RxonError:
        """The answer to a call that may take ``expected`` seconds, or what went wrong."""
        try:
            with self._room.listening(expected):
                answer = await call
        except RxonError as error:
            if self._room.heard(error):
                self.session.beat_at = 0.0  # a heartbeat tells when it is back
                self._beat_due.set()
            return error
        except Exception as error:  # noqa: BLE001 - as above
            _log.exception("The transport to %s failed", self.name)
            return UnavailableError(f"{type(error).__name__}: {error}", retry_after=0.0)
        self._room.heard(None)
        self._troubles.clear()
        self._events.reached()
        return answer

    @property
    def _may_get_unasked(self) -> bool:
        return (
            not self._room.alone and self._streaming and self.session.registered and not self.session.draining
        )

    @property
    def _streaming(self) -> bool:
        """Whether what there is room for can still be changed when it has been said."""
        return bool(getattr(self._transport, "streaming", False))

    def _warn(self, text: str, error: RxonError) -> None:
        """Once per kind of trouble, until something works again: retries are frequent."""
        kind = text + error.code
        _log.log(logging.DEBUG if kind in self._troubles else logging.WARNING, text, self.name, error.message)
        self._troubles.add(kind)

    def called_back(self, task_ids: Sequence[str]) -> None:
        """The server does not wait for a heartbeat to say that tasks are to be stopped."""
        for task_id in self.session.revoked(task_ids):
            self.tasks.cancel(task_id)

    def told(self, commands: Sequence[WorkerCommand]) -> None:
        """What operators told: each command is dealt with."""
        for command in commands:
            if command.command != CANCEL_TASK:
                self.on_command(command)
            elif command.task_id is not None:
                self.called_back((command.task_id,))

    def _changed_way(self) -> None:
        """Another connection: the leases are kept by telling at once what is held."""
        if self.session.held:
            self.session.beat_at = 0.0
            self._beat_due.set()
