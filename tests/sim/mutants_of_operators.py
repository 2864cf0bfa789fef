"""Faults of taking jobs up again."""

from contextlib import AbstractContextManager, suppress
from typing import Any
from unittest.mock import patch

import msgspec

from avtomatika.commands import operator
from avtomatika.commands.operator import Operator
from avtomatika.commands.outbox import message_of
from avtomatika.errors import AlreadyOver, Conflict
from avtomatika.kernel import machine
from avtomatika.kernel.effects import CancelChild, RunHandler, SendWebhook, StopAlarm, WithdrawTask
from avtomatika.kernel.events import Requeued, Rewound
from avtomatika.kernel.model import Done, Ready
from avtomatika.kernel.notices import announcements
from avtomatika.kernel.progress import Ignored, run
from avtomatika.kernel.rules import revival
from avtomatika.ports.store import Commit
from tests.sim.planting import mutant, without


def rewind_leaves(kind: type) -> AbstractContextManager[Any]:
    """A rewind does not take back what effects of this kind take back."""
    real = revival.withdrawal

    def withdrawal(job: Any) -> Any:
        return tuple(effect for effect in real(job) if not isinstance(effect, kind))

    return patch.object(revival, "withdrawal", withdrawal)


@mutant(172)
def rewind_leaves_the_task() -> AbstractContextManager[Any]:
    """The task of a job that is rewound stays in its queue."""
    return rewind_leaves(WithdrawTask)


@mutant(464)
def rewind_leaves_the_alarm() -> AbstractContextManager[Any]:
    """The alarm of a job that is rewound rings later."""
    return rewind_leaves(StopAlarm)


@mutant(131)
def rewind_leaves_the_child() -> AbstractContextManager[Any]:
    """The child of a job that is rewound runs on."""
    return rewind_leaves(CancelChild)


@mutant(21)
def revival_without_a_run() -> AbstractContextManager[Any]:
    """A job is taken up again, and nobody is told that its handler is due."""
    real = revival.requeued

    def requeued(*args: Any) -> Any:
        moved = real(*args)
        if isinstance(moved, Ignored):
            return moved
        return without(moved, effects=tuple(e for e in moved.effects if not isinstance(e, RunHandler)))

    return patch.object(revival, "requeued", requeued)


@mutant(20)
def finished_jobs_rise() -> AbstractContextManager[Any]:
    """An operator can take up any job that is over."""
    real = machine.transition

    def transition(job: Any, event: Any, now: Any, branch: Any = None) -> Any:
        if isinstance(job.phase, Done) and isinstance(event, Requeued | Rewound):
            return run(job, now, Ready(), now)
        return real(job, event, now, branch)

    return patch.object(machine, "transition", transition)


@mutant(1)
def failed_jobs_rise_by_themselves() -> AbstractContextManager[Any]:
    """What has failed is moved by events that came too late."""
    real = machine.transition

    def transition(job: Any, event: Any, now: Any, branch: Any = None) -> Any:
        over = isinstance(job.phase, Done) and not job.final
        if over and not isinstance(event, Requeued | Rewound):
            return run(job, now, Ready(), now)
        return real(job, event, now, branch)

    return patch.object(machine, "transition", transition)


@mutant(25)
def rewind_keeps_the_data_of_now() -> AbstractContextManager[Any]:
    """A job goes back to an earlier state with the data that it has by now."""
    real = Operator._then

    async def then(self: Operator, job: Any, place: Any) -> Any:
        now = await self._store.load(job)
        earlier = await real(self, job, place)
        return without(earlier, history={**now.history}, input=now.input)

    return patch.object(Operator, "_then", then)


@mutant(5)
def fork_shares_the_id() -> AbstractContextManager[Any]:
    """A fork has the name of the job that it comes from."""
    real = Operator.fork

    async def fork(self: Operator, job_id: str, viewer: Any, place: Any) -> Any:
        class Same:
            def job(self, now: Any) -> str:
                return job_id

        names, self._names = self._names, Same()  # type: ignore[assignment]
        try:
            return await real(self, job_id, viewer, place)
        finally:
            self._names = names

    return patch.object(Operator, "fork", fork)


@mutant(257)
def fork_keeps_the_parent() -> AbstractContextManager[Any]:
    """The fork of a child believes that its parent waits for it."""
    return replacing(lambda changes: {k: v for k, v in changes.items() if k != "parent"})


@mutant(5)
def fork_moves_the_origin() -> AbstractContextManager[Any]:
    """To fork a job rewinds it as well."""
    real = Operator.fork

    async def fork(self: Operator, job_id: str, viewer: Any, place: Any) -> Any:
        with suppress(AlreadyOver):
            await self.rewind(job_id, viewer, place, "a fork")
        return await real(self, job_id, viewer, place)

    return patch.object(Operator, "fork", fork)


def replacing(change: Any) -> AbstractContextManager[Any]:
    """What the commands of operators replace in a job is changed."""
    real = msgspec.structs.replace

    def replace(struct: Any, **changes: Any) -> Any:
        return real(struct, **change(changes))

    class Structs:
        pass

    class Library:
        Struct = msgspec.Struct
        structs = Structs()

    Library.structs.replace = replace  # type: ignore[attr-defined]
    return patch.object(operator, "msgspec", Library)


@mutant(93)
def webhook_sent_again_says_something_else() -> AbstractContextManager[Any]:
    """News that are sent again have the id of then and the moment of now."""

    async def resend_webhook(self: Operator, job_id: str, viewer: Any) -> None:
        job = await self._queries.job(job_id, viewer)
        told = [effect for effect in announcements(job) if isinstance(effect, SendWebhook)]
        if not told:
            raise Conflict
        now = self._clock.now()
        again = tuple(message_of(without(effect, at=now)) for effect in told)
        await self._store.commit(Commit(now=now, send=again))

    return patch.object(Operator, "resend_webhook", resend_webhook)
