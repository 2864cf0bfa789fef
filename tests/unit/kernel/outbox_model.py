"""What the outside holds for one job, as far as the rules are concerned: the effects, carried out."""

from typing import assert_never

from avtomatika.kernel.effects import (
    CancelChild,
    CloseBranches,
    Effect,
    OfferTask,
    PurgeFiles,
    RunHandler,
    SendWebhook,
    StartAlarm,
    StartChild,
    StartTimer,
    StopAlarm,
    StopRun,
    StopTimer,
    TellParent,
    WithdrawTask,
)
from avtomatika.kernel.events import Deadline
from avtomatika.kernel.ids import JobId, TaskId, is_of
from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Branch,
    Done,
    Gathering,
    Job,
    Listening,
    Ready,
    Sleeping,
    Task,
    Waiting,
)
from avtomatika.kernel.progress import Moved
from avtomatika.kernel.time import Instant

Timers = dict[tuple[TaskId, Deadline], tuple[int, Instant]]


class Outbox:
    """Runs, offers and timers that are pending, the branch records, and what was said to others.

    `wanted` are the children that were started and neither ended nor were cancelled.
    """

    def __init__(self, job: JobId) -> None:
        self._job = job
        self.runs: set[int] = set()
        self.offers: dict[TaskId, Task] = {}
        self.timers: Timers = {}
        self.alarms: dict[int, Instant] = {}
        self.branches: dict[TaskId, Branch] = {}
        self.named: set[TaskId] = set()
        self.started: dict[JobId, Job] = {}
        self.wanted: set[JobId] = set()
        self.told: list[TellParent] = []
        self.hooks: list[SendWebhook] = []
        self.purges: list[PurgeFiles] = []

    def carry_out(self, move: Moved) -> None:
        """The move has been committed."""
        self.branches.update({branch.task.id: branch for branch in move.branches})
        for effect in move.effects:
            assert effect.job == self._job, "an effect speaks of another job"
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case RunHandler(version=version):
                self.runs.add(version)
            case StopRun(version=version):
                self.runs.discard(version)
            case OfferTask(task=task):
                assert task.attempt > 1 or task.id not in self.named, "a name was given twice"
                self.named.add(task.id)
                self.offers[task.id] = task
            case WithdrawTask(task=task, limits=limits):
                self.offers.pop(task, None)
                gone = {(task, limit) for limit in limits}
                self.timers = {key: timer for key, timer in self.timers.items() if key not in gone}
            case StartTimer(task=task, deadline=deadline, attempt=attempt, due=due):
                self.timers[task, deadline] = (attempt, due)
            case StopTimer(task=task, deadline=deadline):
                self.timers.pop((task, deadline), None)
            case StartAlarm(since=since, due=due):
                self.alarms[since] = due
            case StopAlarm(since=since):
                self.alarms.pop(since, None)
            case CloseBranches(opened=opened):
                left = {task: b for task, b in self.branches.items() if not is_of(task, self._job, opened)}
                self.branches = left
            case _:
                self._of_others(effect)

    def _of_others(self, effect: StartChild | CancelChild | TellParent | SendWebhook | PurgeFiles) -> None:
        match effect:
            case StartChild(child=child):
                assert child.id not in self.started, "a child was started twice"
                assert (child.version, child.parent is not None) == (0, True)
                self.started[child.id] = child
                self.wanted.add(child.id)
            case CancelChild(child=child):
                assert child in self.started, "a stranger was cancelled"
                self.wanted.discard(child)
            case TellParent():
                self.told.append(effect)
            case SendWebhook():
                named = [(hook.version, hook.event) for hook in self.hooks]
                assert (effect.version, effect.event) not in named, "a webhook comes twice"
                self.hooks.append(effect)
            case PurgeFiles():
                self.purges.append(effect)
            case _:
                assert_never(effect)

    def ended(self, child: JobId) -> None:
        """The child has ended, and told so."""
        self.wanted.discard(child)

    def check(self, job: Job) -> None:
        """The job is armed: what it waits for is out there, and nothing else is."""
        match job.phase:
            case Ready(gathered=gathered):
                self._expect(runs={job.run})
                kept = [
                    task for task in self.branches if gathered is None or not is_of(task, job.id, gathered)
                ]
                assert kept == [], "records of a fan-out that is over"
            case Waiting(task=task):
                self._expect(tasks=[task])
                assert self.branches == {}
            case Gathering(opened=opened, width=width, left=left):
                assert len(self.branches) == width
                assert all(is_of(task, job.id, opened) for task in self.branches)
                tasks = [branch.task for branch in self.branches.values() if branch.report is None]
                assert len(tasks) == left
                self._expect(tasks=tasks)
            case Sleeping(since=since, until=until):
                self._expect(alarms={since: until})
            case Listening(since=since, due=due) | AwaitingHuman(since=since, due=due):
                self._expect(alarms={} if due is None else {since: due})
            case AwaitingChild(since=since, child=child, due=due):
                self._expect(alarms={} if due is None else {since: due}, wanted={child})
            case Done():
                self._expect()
                assert self.branches == {}

    def _expect(
        self,
        runs: set[int] | None = None,
        tasks: list[Task] | None = None,
        alarms: dict[int, Instant] | None = None,
        wanted: set[JobId] | None = None,
    ) -> None:
        tasks = tasks or []
        assert self.wanted == (wanted or set())
        assert self.alarms == (alarms or {})
        assert self.runs == (runs or set())
        attempts = {name: offer.attempt for name, offer in self.offers.items()}
        assert attempts == {task.id: task.attempt for task in tasks}
        timers: Timers = {}
        for task in tasks:
            if task.dispatch_due is not None and not task.accepted:
                timers[task.id, Deadline.DISPATCH] = (task.attempt, task.dispatch_due)
            if task.result_due is not None:
                timers[task.id, Deadline.RESULT] = (task.attempt, task.result_due)
        assert self.timers == timers
