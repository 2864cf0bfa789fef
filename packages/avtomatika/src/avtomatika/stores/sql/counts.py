"""How many jobs stand where, counted along with the commits: nobody waits while an index is counted."""

from collections import Counter
from collections.abc import Iterable

from avtomatika.kernel.model import Job, Status

Group = tuple[str, Status]


def group_of(job: Job) -> Group:
    """Where the job stands."""
    return job.client, job.status


class Counts:
    """The number of jobs by client and status."""

    def __init__(self, counts: Iterable[tuple[Group, int]]) -> None:
        self._counts: Counter[Group] = Counter(dict(counts))

    def move(self, old: Group | None, new: Group | None) -> None:
        """A job that stood at *old* stands at *new*; None is nowhere."""
        if old == new:
            return
        if old is not None:
            self._counts[old] -= 1
            if not self._counts[old]:
                del self._counts[old]
        if new is not None:
            self._counts[new] += 1

    def tally(self, client: str | None) -> dict[Status, int]:
        """How many jobs of the client, or of all, stand where."""
        found: Counter[Status] = Counter()
        for (owner, status), count in self._counts.items():
            if client is None or owner == client:
                found[status] += count
        return dict(found)
