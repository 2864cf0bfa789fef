"""A client asked for a job."""

from avtomatika.kernel.model import Job
from avtomatika.kernel.progress import Ignored, Outcome, enter
from avtomatika.kernel.time import Instant


def submitted(job: Job, now: Instant) -> Outcome:
    """The new job in its start state, with the handler due."""
    if job.version != 0:
        return Ignored("already_submitted")
    return enter(job, now, job.state)
