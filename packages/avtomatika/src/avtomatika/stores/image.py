"""The live part of a store in memory: unfinished jobs, their branches, and all messages."""

from collections import Counter
from collections.abc import Callable, Sequence

from avtomatika.kernel.ids import JobId, TaskId, opened_by
from avtomatika.kernel.model import Branch, Job
from avtomatika.ports.store import Commit
from avtomatika.stores.queue import MessageTable


class Image:
    """What a process needs to know to go on. It changes only by whole commits and by leases."""

    def __init__(self, tokens: Callable[[], str]) -> None:
        self.jobs: dict[JobId, Job] = {}
        self.messages = MessageTable(tokens)
        self._branches: dict[JobId, dict[TaskId, Branch]] = {}
        self._of_clients: Counter[str] = Counter()

    def apply(self, commit: Commit) -> set[str]:
        """The commit, which was checked before, has happened. Whose messages were withdrawn is returned."""
        messages = self.messages
        for lease in commit.ack:
            messages.remove(lease.message.id)
        robbed = {messages.remove(message_id) for message_id in commit.drop}
        for message in commit.send:
            robbed.add(messages.put(message))
        for lease in commit.take:
            messages.put(lease.message, lease)
        if commit.job is not None:
            self._keep(commit.job, commit)
        return {owner for owner in robbed if owner is not None}

    def put_job(self, job: Job) -> None:
        """The unfinished job is there, in place of an earlier version of it."""
        if job.id not in self.jobs:
            self._of_clients[job.client] += 1
        self.jobs[job.id] = job

    def unfinished(self, client: str | None) -> int:
        """How many jobs of the client, or of all, are there."""
        return len(self.jobs) if client is None else self._of_clients[client]

    def put_branch(self, job: JobId, branch: Branch) -> None:
        """The record is there, in place of an earlier one of the same task."""
        self._branches.setdefault(job, {})[branch.task.id] = branch

    def branch(self, job: JobId, task: TaskId) -> Branch | None:
        """The record of one branch, or None."""
        return self._branches.get(job, {}).get(task)

    def branches(self, job: JobId, opened: int) -> Sequence[Branch]:
        """The records of one fan-out, in the order of the orders."""
        found = [(opened_by(task), branch) for task, branch in self._branches.get(job, {}).items()]
        return [branch for (_, version, _), branch in sorted(found, key=_index) if version == opened]

    def _keep(self, job: Job, commit: Commit) -> None:
        if job.over:
            if self.jobs.pop(job.id, None) is not None:
                self._of_clients[job.client] -= 1
            self._branches.pop(job.id, None)
            return
        self.put_job(job)
        for branch in commit.branches:
            self.put_branch(job.id, branch)
        if commit.close:
            kept = {
                t: b for t, b in self._branches.get(job.id, {}).items() if opened_by(t)[1] not in commit.close
            }
            self._branches[job.id] = kept


def _index(item: tuple[tuple[JobId, int, int], Branch]) -> int:
    return item[0][2]
