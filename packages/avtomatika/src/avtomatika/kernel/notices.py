"""What is said to whoever waits for a job: the parent that started it, the client that gave a webhook."""

from typing import Final

import msgspec

from avtomatika.kernel.effects import Effect, PurgeFiles, SendWebhook, TellParent
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import NULL, AwaitingHuman, Done, Failure, Job, Verdict
from avtomatika.kernel.time import Instant, after

APPROVAL: Final = "approval_requested"
TIMEOUT: Final = "timeout"


class Question(msgspec.Struct, frozen=True):
    """What a person is asked, as a webhook tells it. `expires_at` is in milliseconds since the epoch."""

    approval_id: str
    integration: str
    message: str
    decisions: tuple[str, ...]
    data_schema: msgspec.Raw
    expires_at: Instant | None


def approval_id(job: JobId, since: int) -> str:
    """The name of the question that the job asks since this version of it."""
    return f"{job}-{since}"


def decisions(phase: AwaitingHuman) -> tuple[str, ...]:
    """What a person may decide: what has a transition, except that nobody decided."""
    return tuple(name for name in phase.transitions if name != TIMEOUT)


def failure_of(job: Job) -> Failure | None:
    """Why *job*, which is over, did not finish; None for one that finished, whatever it met, or goes on."""
    over = isinstance(job.phase, Done) and job.phase.verdict is not Verdict.FINISHED
    return job.failure if over else None


def announcements(job: Job) -> tuple[Effect, ...]:
    """The effects that tell of the end of *job*, which is over."""
    phase = job.phase
    if not isinstance(phase, Done):
        return ()
    told: tuple[Effect, ...] = ()
    if job.policy.keep_files is not None:
        told = (PurgeFiles(job.id, after(job.updated, job.policy.keep_files)),)
    if job.parent is not None:
        parent, since = job.parent.job, job.parent.since
        told = (
            *told,
            TellParent(
                job.id, parent, since, phase.verdict, job.state, phase.result, job.failure, job.updated
            ),
        )
    return (*told, *webhook(job, f"job_{phase.verdict}", phase.result))


def asked(job: Job) -> tuple[Effect, ...]:
    """The effects that tell of the question that *job*, one version on, is about to ask."""
    phase = job.phase
    if not isinstance(phase, AwaitingHuman):
        return ()
    question = Question(
        approval_id(job.id, phase.since),
        phase.integration,
        phase.message,
        decisions(phase),
        phase.schema,
        phase.due,
    )
    return webhook(job, APPROVAL, msgspec.Raw(msgspec.json.encode(question)), phase.since)


def webhook(
    job: Job, event: str, result: msgspec.Raw = NULL, question: int | None = None
) -> tuple[SendWebhook, ...]:
    """The effect that tells the client's server of *event*, or none when the client named no server."""
    if job.webhook_url is None:
        return ()
    sent = SendWebhook(
        job=job.id,
        version=job.version,
        url=job.webhook_url,
        event=event,
        status=job.status.value,
        client=job.client,
        result=result,
        failure=failure_of(job),
        question=question,
        at=job.updated,
    )
    return (sent,)
