"""The tasks that one orchestrator gave, from their arrival until nobody waits for their results."""

import asyncio
import functools
import logging
from collections.abc import Iterable

from avtomatika_worker.conversation.event_queue import EventQueue
from avtomatika_worker.conversation.session import Session
from avtomatika_worker.running.runner import Execution, Runner, Spawn, unsupported
from avtomatika_worker.skills.outcome import Outcome, result_of
from avtomatika_worker.skills.teller import Told, event_of
from avtomatika_worker.spool.spool import Spool, Spooled
from rxon.messages import ResultAnswer, TaskOffer, TaskResult
from rxon.vocabulary import AnswerStatus

__all__ = ["HeldTasks"]

_log = logging.getLogger(__name__)


class HeldTasks:
    """Has tasks run, and their results kept in ``spool`` until they are settled.

    ``report_due`` and ``emit_due`` are set when there is a result or an event to send.
    """

    def __init__(
        self, name: str, worker_id: str, session: Session, events: EventQueue, runner: Runner, spool: Spool
    ) -> None:
        self.report_due = asyncio.Event()
        self.emit_due = asyncio.Event()
        self.quiet = asyncio.Event()
        self.quiet.set()
        self.session = session
        self._name, self._worker_id = name, worker_id
        self._events, self._runner, self._spool = events, runner, spool
        self._executions: dict[str, Execution] = {}
        self._spawn: Spawn | None = None

    def start(self, spawn: Spawn) -> None:
        """``spawn`` keeps what removes the files of tasks."""
        self._spawn = spawn

    def restore(self, spooled: Iterable[Spooled]) -> None:
        """Results of an earlier process of this worker are sent as soon as the orchestrator knows it."""
        for found in spooled:
            self.session.restore(found.result, found.lease)
            self.quiet.clear()

    def begin(self, offer: TaskOffer) -> None:
        """The task is run, unless its result is there from before."""
        self.quiet.clear()
        earlier = self.session.earlier(offer)
        if earlier is not None:
            _log.info("Task %s was finished before: its result is sent", offer.task_id)
            self._keep(earlier)
            self._hand_in(earlier)
            return
        execution = self._runner.submit(offer, self._deliver, functools.partial(self._tell, offer))
        if execution is None:
            _log.error("Task %s asks for the unknown skill %r", offer.task_id, offer.type)
            self._finish(offer, unsupported(offer.type))
        else:
            self._executions[offer.task_id] = execution

    def cancel(self, task_id: str) -> None:
        """The handler is told to stop; a result that was not sent never will be."""
        _log.info("Task %s is cancelled by %s", task_id, self._name)
        execution = self._executions.get(task_id)
        if execution is not None and not execution.over:
            self._runner.stop(execution)
        else:
            self._events.forget(task_id)
            self.forget(task_id)

    def warn(self, task_ids: Iterable[str]) -> None:
        """Handlers that ask hear that they should stop; the only verb that any thread may call."""
        for task_id in task_ids:
            execution = self._executions.get(task_id)
            if execution is not None:
                execution.cancelled = True

    def settled(self, task_id: str, verdict: ResultAnswer) -> None:
        """The orchestrator has answered the result."""
        if verdict.status == AnswerStatus.REFUSED:
            _log.warning("The result of task %s was refused: %s %s", task_id, verdict.code, verdict.message)
        elif verdict.status == AnswerStatus.IGNORED and not verdict.duplicate:
            _log.info("The result of task %s was ignored: %s", task_id, verdict.reason)
        self.forget(task_id)

    def flush(self) -> None:
        """Nothing that was settled is left in the spool, unless more will be written there soon.

        A restart would report it once more, which changes nothing.
        """
        if self.quiet.is_set():
            self._spool.flush()

    def forget(self, task_id: str) -> None:
        """Nothing is left of the task, but for what removes its files."""
        self._spool.done(self._name, task_id)
        execution = self._executions.pop(task_id, None)
        if execution is not None and execution.files is not None and self._spawn is not None:
            self._spawn(execution.remove_files())
        if not self.session.held:
            self.quiet.set()

    def _tell(self, offer: TaskOffer, told: Told) -> None:
        self._events.add(event_of(told, offer, self._worker_id))
        self.emit_due.set()

    def _deliver(self, execution: Execution, outcome: Outcome | None) -> None:
        task_id = execution.offer.task_id
        if self._executions.get(task_id) is not execution:
            return  # offered again while this one was being stopped: the newer one counts
        if outcome is None:
            self._events.forget(task_id)
            self.session.dropped(task_id)
            self.forget(task_id)
        else:
            self._finish(execution.offer, outcome)

    def _finish(self, offer: TaskOffer, outcome: Outcome) -> None:
        result = result_of(outcome, offer, self._worker_id)
        self._keep(result)
        # Once the result is there, nobody listens to the task any more.
        self._events.after(offer.task_id, functools.partial(self._hand_in, result))
        self.emit_due.set()

    def _keep(self, result: TaskResult) -> None:
        if self.session.holds(result.task_id):
            self._spool.put(Spooled(self._name, result, self.session.lease_of(result.task_id)))

    def _hand_in(self, result: TaskResult) -> None:
        if self.session.finished(result):
            self.report_due.set()
        else:
            self.forget(result.task_id)
