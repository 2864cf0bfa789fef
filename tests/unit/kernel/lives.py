"""The life of one job, with everything checked that must hold after each of its moves."""

from hypothesis import strategies as st
from msgspec.structs import replace

from avtomatika.kernel.events import AlarmRang, ChildEnded, Event, Requeued, Rewound, Submitted
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.machine import transition
from avtomatika.kernel.model import (
    AwaitingChild,
    AwaitingHuman,
    Done,
    Gathering,
    Job,
    Listening,
    Parent,
    Policy,
    Ready,
    Sleeping,
    Waiting,
)
from avtomatika.kernel.notices import APPROVAL
from avtomatika.kernel.progress import Ignored
from avtomatika.kernel.time import Instant
from tests.unit.kernel.outbox_model import Outbox
from tests.unit.kernel.samples import J, a_job
from tests.unit.kernel.strategies import (
    answers,
    anything,
    child_events,
    requeued,
    rewound,
    run_events,
    signals,
    task_events,
)


class Life:
    """A job, what the outside holds for it, and the facts so far.

    `ends` counts how often it ended, `resumed` the children that it was resumed by.
    """

    def __init__(self, policy: Policy, parent: Parent | None = None, url: str | None = None) -> None:
        new = replace(a_job(version=0, policy=policy), steps=0, parent=parent, webhook_url=url)
        self.now = Instant(1_000)
        self.outbox = Outbox(J)
        self.facts: list[tuple[Event, Instant]] = []
        self.ends = 0
        self.resumed: list[JobId] = []
        self.job = new
        self.happen(Submitted(new))

    def happen(self, event: Event) -> None:
        before = self.job
        task = getattr(event, "task", None)
        branch = None if task is None else self.outbox.branches.get(task)
        outcome = transition(before, event, self.now, branch)
        if isinstance(outcome, Ignored):
            assert outcome.reason
            return
        assert not before.final, "a job that is finished or cancelled has moved"
        assert not before.over or isinstance(event, Requeued | Rewound), "a job that is over has moved"
        assert outcome.job.version == before.version + 1
        assert outcome.job.id == before.id
        assert outcome.job.updated == self.now
        assert len(set(map(repr, outcome.effects))) == len(outcome.effects), "an effect comes twice"
        self.job = outcome.job
        self.facts.append((event, self.now))
        if isinstance(event, ChildEnded):
            self.resumed.append(event.child)
            self.outbox.ended(event.child)
        self.outbox.carry_out(outcome)
        self.outbox.check(self.job)
        self.ends += self.job.over
        self._check_what_others_heard()

    def _check_what_others_heard(self) -> None:
        """Every end was told to whoever waits, and nothing else was."""
        assert len(set(self.resumed)) == len(self.resumed), "a child has resumed its parent twice"
        assert len(self.outbox.told) == (self.ends if self.job.parent else 0)
        ends = [hook for hook in self.outbox.hooks if hook.event != APPROVAL]
        assert len(ends) == (self.ends if self.job.webhook_url else 0)

    def fitting(self) -> st.SearchStrategy[Event]:
        """Events that the job waits for, and some that are a little late or early."""
        job = self.job
        fitting: list[st.SearchStrategy[Event]] = []
        match job.phase:
            case Ready():
                fitting += [run_events(job.run)] * 3
            case Waiting(task=task):
                fitting += [task_events(task.id, task.attempt)] * 3
            case Gathering():
                fitting += [task_events(b.task.id, b.task.attempt) for b in self.outbox.branches.values()]
            case Sleeping(since=since) | Listening(since=since):
                fitting += [st.builds(AlarmRang, st.just(since)), signals]
            case AwaitingChild(since=since, child=child):
                fitting += [child_events(since, child)] * 2 + [st.builds(AlarmRang, st.just(since))]
            case AwaitingHuman(since=since):
                fitting += [answers(since)] * 2 + [st.builds(AlarmRang, st.just(since))]
            case Done():
                fitting += [requeued, rewound]
        old = sorted(self.outbox.named)[:3]
        fitting += [task_events(name, attempt) for name in old for attempt in (1, 2)]
        fitting += [child_events(since_of(child), name) for name, child in self._children()]
        fitting += [answers(job.version - 2), run_events(job.run - 1), signals, rewound, anything]
        return st.one_of(fitting)

    def _children(self) -> list[tuple[JobId, Job]]:
        return sorted(self.outbox.started.items())[:2]


def since_of(child: Job) -> int:
    """The version of its parent that started the child."""
    assert child.parent is not None
    return child.parent.since
