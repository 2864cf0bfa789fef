"""Somebody asked to end the job."""

from avtomatika.kernel.events import CancelRequested
from avtomatika.kernel.model import Failure, Job, Verdict
from avtomatika.kernel.progress import CANCELLED, Outcome, finish
from avtomatika.kernel.time import Instant


def cancelled(job: Job, event: CancelRequested, now: Instant) -> Outcome:
    """The job over, whatever it was waiting for withdrawn."""
    return finish(job, now, Verdict.CANCELLED, failure=Failure(code=CANCELLED, message=event.reason))
