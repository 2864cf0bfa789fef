"""Jobs as this node last met them: whether their user data has to be written is told without reading it."""

from typing import Final

from avtomatika.kernel.model import Job
from avtomatika.ports.store import Commit
from avtomatika.stores.codec import encode_data, same_data
from avtomatika.stores.recent import Recent

MOST_JOBS: Final = 4_096
MOST_BYTES: Final = 64 * 1024 * 1024


class KnownJobs:
    """The last jobs that were loaded or committed here. Other nodes may have moved them on."""

    def __init__(self) -> None:
        self._jobs = Recent(MOST_JOBS, MOST_BYTES)

    def met(self, job: Job) -> None:
        """The store has the job in this version, or had it a moment ago."""
        self._jobs.put(job)

    def data(self, commit: Commit) -> bytes | None:
        """The user data that the commit has to write, None when it is there already.

        It is: the commit is refused unless the store has the expected version, and what that holds is known.
        """
        job = commit.job
        if job is None:
            return None
        known = self._jobs.get(job.id)
        if known is not None and known.version == commit.expected and same_data(job, known):
            return None
        return encode_data(job)
