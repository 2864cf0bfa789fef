"""An operator takes up a job again: where it ended, or where it was before.

What is finished or cancelled stays so: it can only be forked into a new job.
"""

import msgspec

from avtomatika.kernel.events import Requeued, Rewound
from avtomatika.kernel.model import Done, Job, Ready
from avtomatika.kernel.progress import Ignored, Outcome, run, withdrawal
from avtomatika.kernel.time import Instant


def requeued(job: Job, event: Requeued, now: Instant) -> Outcome:
    """The handler of the state where the job ended due once more, with fresh retries and steps.

    Whoever had waited for the job has gone on, so that its time is no longer limited.
    """
    if not isinstance(job.phase, Done):
        return Ignored("not_over")
    if job.phase.gathered is not None:
        return Ignored("aggregation_over")  # its branches are gone, so that there is nothing to aggregate
    fresh = msgspec.structs.replace(job, failure=None, steps=1, due=None)
    return run(fresh, now, Ready(), now)


def rewound(job: Job, event: Rewound, now: Instant) -> Outcome:
    """The job in the earlier state with the data of then, all that came after it withdrawn."""
    before = msgspec.structs.replace(
        job,
        state=event.state,
        input=event.input,
        history=event.history,
        last=event.last,
        failure=None,
        steps=1,
        due=None if job.over else job.due,
    )
    return run(before, now, Ready(), now, *withdrawal(job))
