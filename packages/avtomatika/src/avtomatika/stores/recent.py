"""Jobs that ended and are still in memory."""

from collections import OrderedDict
from typing import Final

from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Data, Done, Job

_FRAME: Final = 4_096  # what a job without user data takes, about
_MEMBER: Final = 200  # what the name of a member and the objects around its bytes take, about


class Recent:
    """The last jobs that ended: their clients read them at once. Those not on disk yet are all there."""

    def __init__(self, most_jobs: int, most_bytes: int) -> None:
        self._most_jobs, self._most_bytes = most_jobs, most_bytes
        self._jobs: OrderedDict[JobId, tuple[Job, int]] = OrderedDict()
        self._unwritten: dict[JobId, Job] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._jobs) + len(self._unwritten)

    def put(self, job: Job) -> None:
        """The job is remembered, in place of the oldest when there are too many, or too much in them."""
        self.forget(job.id)
        size = weight(job)
        self._jobs[job.id] = job, size
        self.bytes += size
        while len(self._jobs) > self._most_jobs or self.bytes > self._most_bytes:
            _, (_, freed) = self._jobs.popitem(last=False)
            self.bytes -= freed

    def hold(self, job: Job) -> None:
        """The job is remembered until it is on disk, whatever else there is."""
        self.forget(job.id)
        self._unwritten[job.id] = job

    def written(self, job: Job) -> None:
        """The job is on disk: it is remembered like others, unless it has moved since."""
        if self._unwritten.get(job.id) is job:
            self.put(job)

    def get(self, job: JobId) -> Job | None:
        """The job, if it is remembered."""
        known = self._jobs.get(job)
        return self._unwritten.get(job) if known is None else known[0]

    def forget(self, job: JobId) -> None:
        """The job is not remembered."""
        self._unwritten.pop(job, None)
        known = self._jobs.pop(job, None)
        if known is not None:
            self.bytes -= known[1]


def weight(job: Job) -> int:
    """How many bytes of memory the job takes, about."""
    size = _FRAME + _of_data(job.input) + _of_data(job.history) + len(job.last)
    for signal in job.signals:
        size += len(signal.payload) + _MEMBER
    if isinstance(job.phase, Done):
        size += len(job.phase.result)
    if job.failure is not None:
        size += len(job.failure.message) + len(job.failure.details)
    return size


def _of_data(data: Data) -> int:
    size = 0
    for name, value in data.items():
        size += len(name) + len(value) + _MEMBER
    return size
