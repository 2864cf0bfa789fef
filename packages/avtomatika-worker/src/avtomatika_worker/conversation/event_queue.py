"""Which event to send to one orchestrator next; no I/O, no clock. ``now`` is in monotonic seconds."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from avtomatika_worker.conversation.backoff import Backoff, Lane
from avtomatika_worker.conversation.steps import Pace, Wait
from rxon.errors import AuthError, RateLimitError, RxonError, TransportError, UnavailableError
from rxon.messages import EventAnswer, WorkerEvent
from rxon.vocabulary import PROGRESS, EventStatus

__all__ = ["MAX_EVENTS", "EventQueue"]

MAX_EVENTS: Final = 1_000
PROGRESS_INTERVAL: Final = 0.25  # seconds, at first
PROGRESS_SHARE: Final = 50  # then this part of the time since the first: a task of a day sends some 500
RETRY_MAXIMUM: Final = 15.0  # seconds; a result may wait behind the retries
_TRY_AGAIN: Final = (TransportError, UnavailableError, RateLimitError, AuthError)

_log = logging.getLogger(__name__)


class _Sending(msgspec.Struct):
    event: WorkerEvent
    wanted: bool = True


class _Rhythm(msgspec.Struct):
    """When the progress of a task was first sent, and from when it may be sent again."""

    first: float
    next_at: float


class EventQueue:
    """Events in their order, and of progress the newest of each task.

    What a task that is over has told goes first, so that its result need not wait for the others.
    """

    def __init__(self, pace: Pace, chance: Callable[[], float]) -> None:
        self._events: deque[WorkerEvent] = deque()
        self._progress: dict[str, WorkerEvent] = {}
        self._rhythms: dict[str, _Rhythm] = {}
        self._then: dict[str, Callable[[], None]] = {}
        self._sending: _Sending | None = None
        self._failures = 0
        self._reached = False
        self._retries = pace.result_retries
        self._lane = Lane(Backoff(pace.result_initial, RETRY_MAXIMUM, 2.0, chance), chance)

    def add(self, event: WorkerEvent) -> None:
        """The event waits to be sent, or is lost when too many do."""
        if event.event_type == PROGRESS:
            self._progress[event.task_id or ""] = event
        elif len(self._events) >= MAX_EVENTS:
            _lost(event, "too many wait")
        else:
            self._events.append(event)

    def after(self, task_id: str, then: Callable[[], None]) -> None:
        """``then`` is called once nothing of the task waits any more, which may be now."""
        self._then[task_id] = then
        self._settle(task_id)

    def forget(self, task_id: str) -> None:
        """Nothing of the task is sent any more, and nothing called."""
        self._progress.pop(task_id, None)
        self._rhythms.pop(task_id, None)
        self._then.pop(task_id, None)
        self._events = deque(event for event in self._events if event.task_id != task_id)
        if self._sending is not None and self._sending.event.task_id == task_id:
            self._sending.wanted = False

    def next(self, now: float) -> WorkerEvent | Wait:
        """What to send; then `answered` or `failed` says how it went."""
        if not self._events and not self._progress:
            return Wait()
        if now < self._lane.next_at:
            return Wait(self._lane.next_at)
        if self._then:
            return self._send(self._take(next(iter(self._then))))
        if self._events:
            return self._send(self._events.popleft())
        due = {task_id: self._due(task_id) for task_id in self._progress}
        task_id = min(due, key=due.__getitem__)
        if now < due[task_id]:
            return Wait(due[task_id])
        rhythm = self._rhythms.setdefault(task_id, _Rhythm(now, now))
        rhythm.next_at = now + max(PROGRESS_INTERVAL, (now - rhythm.first) / PROGRESS_SHARE)
        return self._send(self._progress.pop(task_id))

    def reached(self) -> None:
        """The server answered some call: what cannot be sent now has itself to blame."""
        self._reached = True
        self._lane.reached()

    def answered(self, answer: EventAnswer) -> None:
        """The event is settled, whether the server took it or not."""
        if self._sending is not None and answer.status != EventStatus.ACCEPTED:
            _lost(self._sending.event, f"{answer.code} {answer.message}")
        self._lane.succeeded()
        self._done()

    def failed(self, error: RxonError, now: float) -> None:
        """The event is sent again later, or is lost when that is of no use.

        An event is kept while the server cannot be reached, and through some errors of the server.
        Those of tasks that are over are lost together, as results wait for them. Progress is kept
        unless there is newer one, or its task is over.
        """
        sending = self._sending
        again = isinstance(error, _TRY_AGAIN)
        away = isinstance(error, TransportError) and not self._reached
        self._reached = False
        if again:
            self._lane.failed(error, now)
        else:
            self._lane.succeeded()
        if sending is not None and sending.wanted:
            if again and self._keep(sending.event, away):
                self._sending = None
                return
            _lost(sending.event, error.message)
        if self._failures > self._retries:
            self._give_up(error.message)
        self._done()

    def _keep(self, event: WorkerEvent, away: bool) -> bool:
        task_id = event.task_id or ""
        if event.event_type == PROGRESS:
            if task_id in self._then:
                return False
            self._progress.setdefault(task_id, event)
            return True
        if not away:
            self._failures += 1
        if self._failures > self._retries:
            return False
        self._events.appendleft(event)
        return True

    def _give_up(self, why: str) -> None:
        for event in self._events:
            if event.task_id in self._then:
                _lost(event, why)
        self._events = deque(event for event in self._events if event.task_id not in self._then)
        for task_id in tuple(self._then):
            self._progress.pop(task_id, None)
            self._settle(task_id)

    def _take(self, task_id: str) -> WorkerEvent:
        for index, event in enumerate(self._events):
            if event.task_id == task_id:
                del self._events[index]
                return event
        return self._progress.pop(task_id)

    def _send(self, event: WorkerEvent) -> WorkerEvent:
        self._sending = _Sending(event)
        return event

    def _due(self, task_id: str) -> float:
        rhythm = self._rhythms.get(task_id)
        return 0.0 if rhythm is None else rhythm.next_at

    def _done(self) -> None:
        sending, self._sending = self._sending, None
        self._failures = 0
        if sending is not None and sending.event.task_id is not None:
            self._settle(sending.event.task_id)

    def _settle(self, task_id: str) -> None:
        if task_id not in self._then or self._waits(task_id):
            return
        self._rhythms.pop(task_id, None)
        self._then.pop(task_id)()

    def _waits(self, task_id: str) -> bool:
        if task_id in self._progress:
            return True
        if self._sending is not None and self._sending.event.task_id == task_id:
            return True
        return any(event.task_id == task_id for event in self._events)


def _lost(event: WorkerEvent, why: str) -> None:
    level = logging.DEBUG if event.event_type == PROGRESS else logging.WARNING
    _log.log(level, "Event %r of task %s is lost: %s", event.event_type, event.task_id, why)
