"""Faults between parents and children, and between a question and its answer."""

import asyncio
from contextlib import AbstractContextManager, suppress
from typing import Any
from unittest.mock import patch

from avtomatika.commands import approvals, draft, kin, outbox, timers
from avtomatika.commands.approvals import Approvals
from avtomatika.commands.kin import Kin
from avtomatika.commands.queries import Queries
from avtomatika.commands.timers import Timers
from avtomatika.errors import InvalidInput, NotFound
from avtomatika.kernel import notices, progress
from avtomatika.kernel.effects import CancelChild, StartChild, TellParent
from avtomatika.kernel.events import AlarmRang, ChildEnded, HumanDecided
from avtomatika.kernel.model import AwaitingChild, AwaitingHuman, Verdict
from avtomatika.kernel.rules import approval, child, pause
from avtomatika.ports.store import Commit, Lease, VersionConflict
from tests.sim.planting import both, mutant, without


def effects_without(kind: type, module: Any, name: str) -> AbstractContextManager[Any]:
    """The rule forgets effects of this kind."""
    real = getattr(module, name)

    def rule(*args: Any, **kw: Any) -> Any:
        moved = real(*args, **kw)
        return without(moved, effects=tuple(e for e in moved.effects if not isinstance(e, kind)))

    return patch.object(module, name, rule)


def acknowledged_first(kind: type) -> AbstractContextManager[Any]:
    """A message of this kind is gone before it has its effect."""
    real = Kin.deliver

    async def deliver(self: Kin, lease: Lease) -> None:
        body = lease.message.body
        if not isinstance(body, kind):
            await real(self, lease)
            return
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
        try:
            if isinstance(body, StartChild):
                await self._writer.submit(body.child)
            elif (told := kin._event(body)) is not None:
                await self._writer.apply(*told)
        except (NotFound, VersionConflict):
            pass

    return patch.object(Kin, "deliver", deliver)


@mutant(1)
def end_of_a_child_lost() -> AbstractContextManager[Any]:
    """What a child has to tell is acknowledged first and told then."""
    return acknowledged_first(TellParent)


@mutant(1)
def start_of_a_child_lost() -> AbstractContextManager[Any]:
    """The wish for a child is acknowledged first and fulfilled then."""
    return acknowledged_first(StartChild)


@mutant(1)
def cancel_of_a_child_lost() -> AbstractContextManager[Any]:
    """The wish to end a child is acknowledged first and fulfilled then."""
    return acknowledged_first(CancelChild)


@mutant(1)
def children_of_cancelled_jobs_run_on() -> AbstractContextManager[Any]:
    """A job that ends leaves its child alone."""
    real = draft.plan

    def plan(effects: Any) -> Any:
        return real([effect for effect in effects if not isinstance(effect, CancelChild)])

    return patch.object(draft, "plan", plan)


@mutant(1)
def late_children_run_on() -> AbstractContextManager[Any]:
    """A child that took too long is waited for no more, but not ended."""
    return effects_without(CancelChild, child, "late")


@mutant(1)
def start_of_a_child_outlives_its_cancel() -> AbstractContextManager[Any]:
    """To cancel a child does not take back the wish to start it."""
    real = outbox._remove

    def remove(send: Any, drop: Any, name: Any) -> None:
        if not name.startswith("child:"):
            real(send, drop, name)

    return patch.object(outbox, "_remove", remove)


@mutant(1)
def child_accepted_without_its_message() -> AbstractContextManager[Any]:
    """A child is accepted whether or not anybody still wants it, and the wish acknowledged afterwards."""
    real = Kin.deliver

    async def deliver(self: Kin, lease: Lease) -> None:
        body = lease.message.body
        if not isinstance(body, StartChild):
            await real(self, lease)
            return
        await asyncio.sleep(0.02)
        with suppress(VersionConflict):
            await self._writer.submit(body.child)
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))

    return patch.object(Kin, "deliver", deliver)


@mutant(1)
def child_accepted_twice() -> AbstractContextManager[Any]:
    """A child gets a new name each time that its message is delivered."""
    real = Kin.deliver

    async def deliver(self: Kin, lease: Lease) -> None:
        body = lease.message.body
        if isinstance(body, StartChild):
            renamed = without(body.child, id=f"{body.child.id}x{lease.delivery}")
            lease = without(lease, message=without(lease.message, body=without(body, child=renamed)))
        await real(self, lease)

    return patch.object(Kin, "deliver", deliver)


@mutant(1)
def any_child_resumes() -> AbstractContextManager[Any]:
    """A job that waits for a child goes on when any child of it has ended."""
    real = child.ended

    def ended(job: Any, event: ChildEnded, now: Any) -> Any:
        if isinstance(job.phase, AwaitingChild):
            event = without(event, since=job.phase.since, child=job.phase.child)
        return real(job, event, now)

    return patch.object(child, "ended", ended)


@mutant(1)
def parents_hear_of_success_alone() -> AbstractContextManager[Any]:
    """A child that failed or was cancelled tells nobody."""
    real = notices.announcements

    def announcements(job: Any) -> Any:
        told = real(job)
        if job.phase.verdict is Verdict.FINISHED:
            return told
        return tuple(effect for effect in told if not isinstance(effect, TellParent))

    return patch.object(progress, "announcements", announcements)


@mutant(1)
def every_child_has_finished() -> AbstractContextManager[Any]:
    """The parent is told that its child has finished, however it ended."""
    real = kin._event

    def event(body: Any) -> Any:
        told = real(body)
        if told is not None and isinstance(told[1], ChildEnded):
            return told[0], without(told[1], verdict=Verdict.FINISHED)
        return told

    return patch.object(kin, "_event", event)


@mutant(1)
def nesting_without_end() -> AbstractContextManager[Any]:
    """The depth of a child is not looked at."""
    real = child.run_child

    def run_child(job: Any, *args: Any) -> Any:
        moved = real(without(job, policy=without(job.policy, max_depth=99)), *args)
        effects = tuple(
            without(e, child=without(e.child, policy=job.policy)) if isinstance(e, StartChild) else e
            for e in moved.effects
        )
        return without(moved, job=without(moved.job, policy=job.policy), effects=effects)

    return patch.object(child, "run_child", run_child)


@mutant(1)
def late_child_resumes_at_once_and_again() -> AbstractContextManager[Any]:
    """A job whose child took too long goes on without forgetting that it waits."""
    real = child.late

    def late(job: Any, phase: AwaitingChild, now: Any) -> Any:
        moved = real(job, phase, now)
        return without(moved, job=without(moved.job, phase=phase))

    return patch.object(child, "late", late)


# ---------------------------------------------------------------- questions and answers


@mutant(136)
def answer_to_any_question() -> AbstractContextManager[Any]:
    """A decision counts for whatever the job asks by now."""
    real = approval.human_decided

    def human_decided(job: Any, event: HumanDecided, now: Any) -> Any:
        if isinstance(job.phase, AwaitingHuman):
            event = without(event, question=job.phase.since)
        return real(job, event, now)

    return patch.object(approval, "human_decided", human_decided)


@mutant(45)
def time_out_as_a_decision() -> AbstractContextManager[Any]:
    """Whatever has a transition can be decided, that nobody decided too."""

    def decisions(phase: AwaitingHuman) -> tuple[str, ...]:
        return tuple(phase.transitions)

    return both_decisions(decisions)


def both_decisions(decisions: Any) -> AbstractContextManager[Any]:
    """Rules and commands find this to be what can be decided."""
    return both(
        patch.object(approval, "decisions", decisions), patch.object(approvals, "decisions", decisions)
    )


@mutant(0)
def time_of_a_question_forgotten() -> AbstractContextManager[Any]:
    """The alarm of a question rings and nobody listens."""
    rests = tuple(kind for kind in pause._TIMED if kind is not AwaitingHuman)
    return patch.object(pause, "_TIMED", rests)


@mutant(1)
def alarms_stay_behind() -> AbstractContextManager[Any]:
    """What a job waited for came, and the alarm that it had set stays."""
    real = draft.plan

    def plan(effects: Any) -> Any:
        out = real(effects)
        return without(out, drop=tuple(name for name in out.drop if not name.startswith("alarm:")))

    return patch.object(draft, "plan", plan)


@mutant(0)
def alarm_of_any_rest() -> AbstractContextManager[Any]:
    """An alarm ends whatever rest the job is in by now, and need not be there any more."""
    real = pause.rang

    def rang(job: Any, event: AlarmRang, now: Any) -> Any:
        since = getattr(job.phase, "since", event.since)
        return real(job, without(event, since=since), now)

    async def fire(self: Timers, lease: Lease) -> None:
        if (event := timers._event(lease.message.body)) is not None:
            await asyncio.sleep(0.02)
            await self._writer.apply(lease.message.job, event)
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))

    return both(patch.object(pause, "rang", rang), patch.object(Timers, "fire", fire))


@mutant(0)
def decision_answered_before_the_commit() -> AbstractContextManager[Any]:
    """Who decides is told that it counts when the decision is on its way."""

    async def answer(self: Approvals, job: Any, phase: AwaitingHuman, given: Any, by: str) -> None:
        if given.decision not in approvals.decisions(phase):
            raise InvalidInput("This cannot be decided.")
        event = HumanDecided(phase.since, given.decision, given.data, by)
        self._writer._spawn(self._writer.apply(job.id, event), name="decide")

    return patch.object(Approvals, "_answer", answer)


@mutant(5)
def everybody_sees_everything() -> AbstractContextManager[Any]:
    """A job is found whoever asks for it."""
    real = Queries.job

    async def job(self: Queries, job_id: str, viewer: Any) -> Any:
        return await real(self, job_id, None)

    return patch.object(Queries, "job", job)
