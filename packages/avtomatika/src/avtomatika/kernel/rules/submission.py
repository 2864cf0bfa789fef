"""Somebody asked for a job."""

import msgspec

from avtomatika.kernel.model import Job, Policy
from avtomatika.kernel.progress import Ignored, Outcome, enter
from avtomatika.kernel.time import Instant, Span


def submitted(job: Job, now: Instant) -> Outcome:
    """The new job in its start state, with the handler due."""
    if job.version != 0:
        return Ignored("already_submitted")
    return enter(job, now, job.state)


def limited(policy: Policy, dispatch_timeout: Span | None, result_timeout: Span | None) -> Policy:
    """The policy with the limits of tasks that were asked for in place of its own."""
    return msgspec.structs.replace(
        policy,
        dispatch_timeout=dispatch_timeout or policy.dispatch_timeout,
        result_timeout=result_timeout or policy.result_timeout,
    )
