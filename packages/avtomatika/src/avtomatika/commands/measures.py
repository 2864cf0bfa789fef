"""What is measured of jobs: told by the one writer, once per commit that stands."""

from avtomatika import observe
from avtomatika.kernel.events import DeadlinePassed, Submitted
from avtomatika.ports.store import Commit


def committed(commit: Commit) -> None:
    """Whoever listens knows what the commit did to its job."""
    job = commit.job
    if job is None:
        return
    for fact in commit.facts:
        if isinstance(fact.event, Submitted):
            observe.measured("job.accepted", blueprint=job.blueprint)
        elif isinstance(fact.event, DeadlinePassed):
            observe.measured("task.overdue", blueprint=job.blueprint, deadline=fact.event.deadline)
    if job.over:
        seconds = (job.updated - job.created) / 1_000
        observe.measured("job.over", blueprint=job.blueprint, status=job.status, seconds=seconds)
