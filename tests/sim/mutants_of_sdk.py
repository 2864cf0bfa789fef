"""Faults of the SDK: of its session with an orchestrator, and of what it keeps for it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from avtomatika_worker.conversation import session
from avtomatika_worker.conversation.event_queue import EventQueue
from avtomatika_worker.conversation.outbox import Outbox
from avtomatika_worker.conversation.session import Session
from avtomatika_worker.conversation.steps import Beat
from rxon.errors import AuthError, RxonError
from rxon.messages import ResultAnswer, TaskOffer
from tests.sim.planting import mutant, without


@mutant(8)
def results_are_lost_with_their_answers() -> AbstractContextManager[Any]:
    """Results that got no answer do not wait any more."""
    real = Outbox.failed

    def failed(self: Outbox, retries: int | None) -> list[str]:
        sent = self.sending()
        gone = real(self, retries)
        self.drop(sent)
        return gone

    return patch.object(Outbox, "failed", failed)


@mutant(34, "sqlite")
def results_keep_their_first_token() -> AbstractContextManager[Any]:
    """A result that waits when its task is given again goes with the token of before."""
    return patch.object(Outbox, "renew", lambda *_: None)


@mutant(29, "sqlite")
def tasks_keep_their_first_token() -> AbstractContextManager[Any]:
    """A task that is given again while it runs is reported with the token of before."""
    real = Session._take

    def take(self: Session, offer: TaskOffer, now: float) -> bool:
        before = self._held.get(offer.task_id)
        fresh = real(self, offer, now)
        if before is not None:
            self._held[offer.task_id] = before
        return fresh

    return patch.object(Session, "_take", take)


@mutant(16, "sqlite")
def tasks_are_forgotten_when_the_worker_registers_again() -> AbstractContextManager[Any]:
    """Whoever registers holds nothing."""
    real = Session.register_answered

    def register_answered(self: Session, now: float) -> None:
        real(self, now)
        self._held.clear()

    return patch.object(Session, "register_answered", register_answered)


@mutant(24)
def revoked_results_are_sent() -> AbstractContextManager[Any]:
    """The result of a task that was called back is sent if it was there already."""
    return patch.object(Outbox, "drop", lambda *_: None)


@mutant(20)
def results_on_their_way_are_revoked() -> AbstractContextManager[Any]:
    """A result is forgotten while its answer is awaited."""
    return patch.object(Outbox, "sending", lambda _: set())


@mutant(11)
def who_is_told_to_stop_goes_on() -> AbstractContextManager[Any]:
    """What a heartbeat says of tasks that are lost is not read."""
    real = Session.beat_answered

    def beat_answered(self: Session, beat: Beat, answer: Any, now: float) -> list[str]:
        return real(self, beat, without(answer, cancel_task_ids=None), now)

    return patch.object(Session, "beat_answered", beat_answered)


@mutant(71)
def heartbeats_come_too_late() -> AbstractContextManager[Any]:
    """There is one heartbeat in two leases."""
    return patch.object(session, "BEATS_PER_LEASE", 0.5)


@mutant(371)
def heartbeats_name_one_task_only() -> AbstractContextManager[Any]:
    """A worker says that it holds one task, however many there are."""
    real = Session.next_beat

    def next_beat(self: Session, now: float) -> Any:
        due = real(self, now)
        return Beat(due.tasks[:1], due.full) if isinstance(due, Beat) else due

    return patch.object(Session, "next_beat", next_beat)


@mutant(21, "sqlite")
def tasks_given_again_are_run_again() -> AbstractContextManager[Any]:
    """An offer of a task that is held is taken for a new one."""
    real = Session.poll_answered

    def poll_answered(self: Session, offers: Sequence[TaskOffer], now: float) -> list[TaskOffer]:
        real(self, offers, now)
        return list(offers)

    return patch.object(Session, "poll_answered", poll_answered)


@mutant(223)
def the_first_answers_are_for_all() -> AbstractContextManager[Any]:
    """All results that were sent are settled when some are answered."""
    real = Outbox.answered

    def answered(self: Outbox, answers: Sequence[ResultAnswer]) -> list[tuple[str, ResultAnswer]]:
        sent = self.sending()
        settled = real(self, answers)
        self.drop(sent)
        return settled

    return patch.object(Outbox, "answered", answered)


@mutant(6, "sqlite")
def strangers_do_not_register() -> AbstractContextManager[Any]:
    """A worker that is told that nobody knows it goes on as before."""

    def lost(self: Session, error: RxonError, now: float) -> bool:
        return isinstance(error, AuthError)

    return patch.object(Session, "_lost", lost)


@mutant(14)
def results_overtake_what_was_told() -> AbstractContextManager[Any]:
    """A result does not wait for the events of its task."""

    def after(self: EventQueue, task_id: str, then: Any) -> None:
        then()

    return patch.object(EventQueue, "after", after)


@mutant(67)
def results_of_before_are_not_sent() -> AbstractContextManager[Any]:
    """What an earlier process has left is held, and never sent."""
    real = Session.restore

    def restore(self: Session, result: Any, lease_seconds: float | None = None) -> None:
        real(self, result, lease_seconds)
        self._outbox.drop((result.task_id,))

    return patch.object(Session, "restore", restore)
