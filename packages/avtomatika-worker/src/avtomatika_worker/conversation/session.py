"""What to say to one orchestrator next; no I/O, no clock.

There are three conversations side by side: calls for work (register, poll), heartbeats, and
reports. For each, a loop asks the session what is due, does it, and tells the session how it
went. ``now`` is in monotonic seconds throughout.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import msgspec

from avtomatika_worker.conversation.backoff import Backoff, Lane
from avtomatika_worker.conversation.outbox import Outbox
from avtomatika_worker.conversation.steps import Beat, Pace, Poll, Register, Report, Wait
from avtomatika_worker.running.capacity import Openings
from rxon.errors import AuthError, RxonError, TransportError, WorkerUnknownError
from rxon.messages import HeartbeatAnswer, ResultAnswer, TaskOffer, TaskResult, WorkerEvent
from rxon.transport import PollRequest

__all__ = ["Beat", "Pace", "Poll", "Register", "Report", "Session", "Wait"]

CAPACITY_CHECK_INTERVAL = 1.0
BEATS_PER_LEASE = 3


class _Held(msgspec.Struct):
    """A task from its arrival until its result is settled."""

    lease_token: str | None
    lease_seconds: float | None


class Session:
    """The state of the conversation with one orchestrator.

    ``chance`` returns numbers from 0 to 1 and spreads the retries of many workers.
    """

    def __init__(self, pace: Pace, chance: Callable[[], float]) -> None:
        self.registered = False
        self.draining = False
        self._pace = pace
        self._held: dict[str, _Held] = {}
        self._outbox = Outbox()
        self.beat_at = 0.0
        self._beaten_at = -math.inf
        self._full_sync = False
        self._relapsed = False
        registration = Backoff(pace.registration_initial, pace.registration_maximum, 2.0, chance)
        polling = Backoff(pace.poll_initial, pace.poll_maximum, pace.poll_factor, chance)
        beating = Backoff(1.0, pace.heartbeat_interval, 2.0, chance)
        reporting = Backoff(pace.result_initial, pace.poll_maximum, 2.0, chance)
        self._registration = Lane(registration, chance, pace.rate_limit_floor)
        self._polling = Lane(polling, chance, pace.rate_limit_floor)
        self._beating = Lane(beating, chance, pace.rate_limit_floor)
        self._reporting = Lane(reporting, chance, pace.rate_limit_floor)

    def drain(self) -> None:
        """No more calls for work are due; a heartbeat that says so is."""
        self.draining = True
        if self._held:
            self.beat_at = 0.0

    @property
    def held(self) -> tuple[str, ...]:
        """Ids of the tasks whose results are not settled."""
        return tuple(self._held)

    @property
    def poll_timeout(self) -> float:
        """How many seconds a call for work may take."""
        return self._pace.poll_timeout

    def holds(self, task_id: str) -> bool:
        """Whether the result of the task is not settled."""
        return task_id in self._held

    def lease_of(self, task_id: str) -> float | None:
        """For how many seconds a task that is held is leased, if that is known."""
        return self._held[task_id].lease_seconds

    def restore(self, result: TaskResult, lease_seconds: float | None = None) -> None:
        """The result, which an earlier process of this worker could not deliver, waits to be sent."""
        self._held[result.task_id] = _Held(result.lease_token, lease_seconds)
        self._outbox.add(result)

    def earlier(self, offer: TaskOffer) -> TaskResult | None:
        """The result of another delivery of the same work, as one of this delivery; None if there is none.

        When a lease ends before the result is delivered, the orchestrator hands out the work again: a worker
        that has done it does not do it again.
        """
        return self._outbox.earlier(offer)

    def beat_overdue(self, now: float) -> float | None:
        """The seconds between heartbeats, if the next one should have been sent half of them ago.

        None while that is not so, or nothing is held. The only verb that any thread may call.
        """
        if not (self.registered and self._held):
            return None
        leases = [held.lease_seconds for held in tuple(self._held.values())]
        delay = min(map(self._beat_delay, leases), default=0.0)
        return delay if now > self.beat_at + delay / 2 else None

    # ------------------------------------------------------------ calls for work

    def next_call(
        self, openings: Openings, hot_skills: tuple[str, ...], now: float
    ) -> Register | Poll | Wait:
        """What to call next."""
        if self.draining:
            return Wait()
        lane = self._polling if self.registered else self._registration
        if now < lane.next_at:
            return Wait(lane.next_at)
        if not self.registered:
            return Register()
        if openings.limit <= 0:
            checker_may_open = openings.skills is not None
            return Wait(now + CAPACITY_CHECK_INTERVAL if checker_may_open else None)
        return Poll(self.room(openings, hot_skills))

    def room(self, openings: Openings, hot_skills: tuple[str, ...]) -> PollRequest:
        """What there is room for."""
        limit = 0 if self.draining else openings.limit
        return PollRequest(self._pace.poll_timeout, openings.skills, hot_skills, limit)

    def register_answered(self, now: float) -> None:
        """The orchestrator knows the worker and all its skills."""
        self.registered = True
        self._full_sync = False
        self.beat_at = now + self._pace.heartbeat_interval
        self._registration.reached()
        self._reached()

    def register_failed(self, error: RxonError, now: float) -> None:
        """The registration is repeated later."""
        self._registration.failed(error, now)

    def poll_answered(self, offers: Sequence[TaskOffer], now: float) -> list[TaskOffer]:
        """Those of ``offers`` that are to be run: all but the ones that are held already."""
        self._settle_in()
        self._polling.succeeded()
        if not offers:
            self._polling.next_at = now + self._pace.idle_poll_delay
        return [offer for offer in offers if self._take(offer, now)]

    def poll_failed(self, error: RxonError, now: float) -> None:
        """The poll is repeated later, after a registration if the worker is not known."""
        if not self._lost(error, now):
            self._polling.failed(error, now)

    @property
    def calls_from(self) -> float:
        """The moment from which the next call for work may be made, if it failed before."""
        return self._polling.next_at if self.registered else self._registration.next_at

    # ------------------------------------------------------------ heartbeats

    def next_beat(self, now: float) -> Beat | Wait:
        """Whether a heartbeat is due."""
        if not self.registered:
            return Wait()
        due = max(self.beat_at, self._beating.next_at)
        return Wait(due) if now < due else Beat(self.held, self._full_sync)

    def changed(self, now: float) -> None:
        """What the worker tells in heartbeats has changed: the next one comes soon, but not too soon
        after what may change next, nor after the last one.
        """
        soon = max(now + self._pace.beat_debounce, self._beaten_at + self._pace.beat_cooldown)
        self.beat_at = min(self.beat_at, soon)

    def beat_answered(self, beat: Beat, answer: HeartbeatAnswer, now: float) -> list[str]:
        """Ids of running tasks to stop; their results will not be sent."""
        self._beaten_at = now
        self._settle_in()
        self._beating.succeeded()
        self._full_sync = answer.require_full_sync and not beat.full
        if self._full_sync:
            self.beat_at = now
        else:
            leases = (self._beat_delay(held.lease_seconds) for held in self._held.values())
            self.beat_at = now + min(leases, default=self._pace.heartbeat_interval)
        return self.revoked(answer.cancel_task_ids or ())

    def beat_failed(self, error: RxonError, now: float) -> None:
        """The heartbeat is repeated later, after a registration if the worker is not known."""
        if not self._lost(error, now):
            self._beating.failed(error, now)

    def revoked(self, task_ids: Iterable[str]) -> list[str]:
        """Forgets those that are held, except results on their way; the ones without a result."""
        sending = self._outbox.sending()
        gone = {task_id for task_id in task_ids if task_id in self._held and task_id not in sending}
        self._outbox.drop(gone)
        for task_id in gone:
            del self._held[task_id]
        return sorted(gone)

    # ------------------------------------------------------------ reports

    def finished(self, result: TaskResult) -> bool:
        """The result waits to be sent; False when nobody waits for it any more."""
        held = self._held.get(result.task_id)
        if held is None:
            return False
        if result.lease_token != held.lease_token:
            result = msgspec.structs.replace(result, lease_token=held.lease_token)
        self._outbox.add(result)
        return True

    def leased(self, event: WorkerEvent) -> WorkerEvent:
        """The event, with the lease token that its task has now."""
        held = self._held.get(event.task_id or "")
        return event if held is None else msgspec.structs.replace(event, lease_token=held.lease_token)

    def dropped(self, task_id: str) -> None:
        """The task is over and has no result."""
        self._held.pop(task_id, None)

    def next_report(self, now: float) -> Report | Wait:
        """Which results to send: all that wait, up to one batch."""
        if not self._outbox or not self.registered:
            return Wait()
        if now < self._reporting.next_at:
            return Wait(self._reporting.next_at)
        return Report(self._outbox.take())

    def report_answered(self, answers: Sequence[ResultAnswer], now: float) -> list[tuple[str, ResultAnswer]]:
        """The results with an answer are settled; their task ids and answers, in order."""
        self._reporting.succeeded()
        self._reached()
        settled = self._outbox.answered(answers)
        for task_id, _ in settled:
            self._held.pop(task_id, None)
        return settled

    def report_failed(self, error: RxonError, now: float) -> list[str]:
        """Task ids of results that are given up, as the server answered with errors too often.

        Results never get lost because the server cannot be reached.
        """
        if not self._lost(error, now):
            self._reporting.failed(error, now)
        retries = None if isinstance(error, TransportError) else self._pace.result_retries
        given_up = self._outbox.failed(retries)
        for task_id in given_up:
            self._held.pop(task_id, None)
        return given_up

    # ------------------------------------------------------------ rules

    def _take(self, offer: TaskOffer, now: float) -> bool:
        held = _Held(offer.lease_token, offer.lease_seconds)
        known = offer.task_id in self._held
        self._held[offer.task_id] = held
        self.beat_at = min(self.beat_at, now + self._beat_delay(held.lease_seconds))
        if known:
            self._outbox.renew(offer.task_id, held.lease_token)
        return not known

    def _beat_delay(self, lease_seconds: float | None) -> float:
        interval = self._pace.heartbeat_interval
        return interval if lease_seconds is None else min(interval, lease_seconds / BEATS_PER_LEASE)

    def _lost(self, error: RxonError, now: float) -> bool:
        """Whether the orchestrator does not know the worker, which then registers again.

        At once the first time; with growing delays if that does not help.
        """
        if not isinstance(error, AuthError | WorkerUnknownError):
            return False
        if not self.registered:
            return True
        self.registered = False
        if self._relapsed:
            self._registration.failed(error, now)
        self._relapsed = True
        return True

    def _settle_in(self) -> None:
        """The registration has proved itself."""
        self._relapsed = False
        self._registration.succeeded()
        self._reached()

    def _reached(self) -> None:
        for lane in (self._polling, self._beating, self._reporting):
            lane.reached()
