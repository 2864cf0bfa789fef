"""What must be true of jobs that have to do with each other, and of what people decided about them."""

from collections.abc import Mapping

from avtomatika.kernel.effects import CancelChild, StartChild, TellParent
from avtomatika.kernel.events import (
    AlarmRang,
    ChildEnded,
    Event,
    HumanDecided,
    Requeued,
    Rewound,
    Submitted,
)
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import AwaitingChild, AwaitingHuman, Done, Job, Listening, Sleeping
from avtomatika.ports.store import Fact, MessageId
from avtomatika.testing.message_ledger import MessageLedger
from avtomatika.testing.violations import Violated

End = tuple[object, ...]
Resting = Sleeping | Listening | AwaitingChild | AwaitingHuman


class Kinship:
    """Judges facts and answers, and after each commit whether parents and children know of each other."""

    def __init__(self, violated: Violated, messages: MessageLedger, jobs: Mapping[JobId, Job]) -> None:
        self._violated, self._messages, self._jobs = violated, messages, jobs
        self._resumed: set[JobId] = set()
        self._answered: set[tuple[JobId, int]] = set()
        self._decisions: set[tuple[JobId, bytes]] = set()
        self._operated: set[tuple[JobId, str]] = set()
        self.asked: set[tuple[JobId, str]] = set()
        self._ends: dict[JobId, set[End]] = {}
        self._versions: dict[JobId, dict[int, Job]] = {}
        self._children: dict[JobId, list[JobId]] = {}
        self.revived: set[JobId] = set()

    # ------------------------------------------------------------ facts

    def happened(self, fact: Fact, before: Job | None, job: Job, *, at_once: bool) -> None:
        """The event has moved a job to where it is now. Not *at_once*: other jobs may have gone further."""
        self._versions.setdefault(job.id, {})[job.version] = job
        if before is not None:
            self._check_event(fact.event, before, job, at_once=at_once)
        if isinstance(fact.event, Submitted) and job.parent is not None:
            self._children.setdefault(job.parent.job, []).append(job.id)
            if at_once:
                self._check_birth(job)
        if isinstance(job.phase, Done):
            end = (job.phase.verdict, job.state, bytes(job.phase.result))
            self._ends.setdefault(job.id, set()).add(end)

    def _check_event(self, event: Event, before: Job, job: Job, *, at_once: bool) -> None:
        phase = before.phase
        match event:
            case ChildEnded():
                self._check_resumption(event, before, at_once=at_once)
            case HumanDecided():
                self._check_decision(event, before, job)
            case AlarmRang():
                since = phase.since if isinstance(phase, Resting) else None
                if since != event.since:
                    self._violated("an alarm is for the rest that set it", f"{before.id}: {event}, {phase}")
            case Requeued() | Rewound():
                self._operated.add((before.id, event.by))
                if (before.id, event.by) not in self.asked:
                    self._violated("jobs are taken up again by those who ask for it", f"{before.id}: {event}")
                if before.over:
                    self.revived.add(before.id)
                if isinstance(event, Rewound):
                    self._check_rewind(event, before)
            case _:
                pass

    def _check_resumption(self, event: ChildEnded, before: Job, *, at_once: bool) -> None:
        phase = before.phase
        if not isinstance(phase, AwaitingChild) or (phase.since, phase.child) != (event.since, event.child):
            self._violated("a parent is resumed by the child that it waits for", f"{before.id}: {event}")
        if event.child in self._resumed:
            self._violated("a parent is resumed once by a child", f"{before.id}: {event.child}")
        self._resumed.add(event.child)
        end = (event.verdict, event.state, bytes(event.result))
        if at_once and end not in self._ends.get(event.child, ()):
            self._violated("a parent hears how its child ended", f"{event}: {self._ends.get(event.child)}")

    def _check_decision(self, event: HumanDecided, before: Job, job: Job) -> None:
        phase = before.phase
        if not isinstance(phase, AwaitingHuman) or phase.since != event.question:
            self._violated("a decision answers the question that is asked", f"{before.id}: {event}, {phase}")
        elif event.decision == "timeout" or phase.transitions.get(event.decision) is None:
            self._violated("only what is offered can be decided", f"{before.id}: {event}")
        elif phase.transitions[event.decision] != job.state and not job.over:
            self._violated("a decision leads where it was said to lead", f"{before.id}: {event}, {job.state}")
        if (before.id, event.question) in self._answered:
            self._violated("the first decision wins", f"{before.id}: {event}")
        self._answered.add((before.id, event.question))
        self._decisions.add((before.id, bytes(event.data)))

    def _check_rewind(self, event: Rewound, before: Job) -> None:
        then = self._versions[before.id].get(event.to)
        data = None if then is None else (then.state, then.input, then.history)
        if data != (event.state, event.input, event.history):
            self._violated("a rewound job has the data of then", f"{before.id}: {event}, {then}")

    def _check_birth(self, job: Job) -> None:
        parent = None if job.parent is None else self._jobs.get(job.parent.job)
        if parent is None or not waits_for(parent, job):
            self._violated("a child is accepted while its parent waits for it", f"{job.id}: {parent}")
        if job.parent is not None and job.parent.depth > job.policy.max_depth:
            self._violated("jobs are nested so deeply and no deeper", job.id)

    # ------------------------------------------------------------ commits

    def check(self, job: Job) -> None:
        """The job, its child and its parent know of each other, or will."""
        phase = job.phase
        for held in self._messages.of_job(job.id).values():
            body = held.message.body
            if isinstance(body, StartChild) and not waits_for(job, body.child):
                self._violated("only who waits for a child starts it", f"{job.id}: {body.child.id}")
        if isinstance(phase, AwaitingChild):
            child = self._jobs.get(phase.child)
            if child is None:
                if not self._is_said(f"child:{phase.child}", StartChild):
                    self._violated("a child that is waited for is there", f"{job.id}: {phase.child}")
            elif child.over and not self._is_said(f"ended:{child.id}", TellParent):
                self._violated("a parent hears of the end of its child", f"{job.id}: {child.id}")
        for name in self._children.get(job.id, ()):
            self._check_wanted(job, self._jobs[name])
        parent = None if job.parent is None else self._jobs.get(job.parent.job)
        if parent is not None:
            self._check_wanted(parent, job)
            if job.over and waits_for(parent, job):
                self.check(parent)

    def _check_wanted(self, parent: Job, child: Job) -> None:
        if child.over or waits_for(parent, child) or child.id in self.revived:
            return
        if not self._is_said(f"undo:{child.id}", CancelChild):
            self._violated("a child that nobody waits for is cancelled", child.id)

    def _is_said(self, name: str, kind: type) -> bool:
        held = self._messages.get(MessageId(name))
        return held is not None and isinstance(held.message.body, kind)

    # ------------------------------------------------------------ answers

    def decided(self, job: JobId, payload: bytes) -> None:
        """Somebody was told that the decision counts."""
        if (job, payload) not in self._decisions:
            self._violated("a decision that counts is in the facts", f"{job} {payload!r}")

    def refused(self, job: Job | None, question: int) -> None:
        """Somebody was told that the question is no longer asked."""
        if job is not None and isinstance(job.phase, AwaitingHuman) and job.phase.since == question:
            self._violated("a question that is asked can be answered", f"{job.id} {question}")

    def operated(self, before: Job, name: str) -> None:
        """An operator was told that the job is taken up again."""
        if (before.id, name) not in self._operated:
            self._violated("what an operator did is in the facts", f"{before.id}: {name}")

    def forked(self, origin: Job, fork: Job | None) -> None:
        """An operator was told that the job was forked."""
        if fork is None or fork.id == origin.id or not fork.source.startswith(f"fork:{origin.id}@"):
            self._violated("a fork is a job of its own", f"{origin.id}: {fork}")
        elif fork.parent is not None:
            self._violated("nobody waits for a fork", f"{origin.id}: {fork}")


def waits_for(parent: Job, child: Job) -> bool:
    """True when the parent waits for this child."""
    phase, bond = parent.phase, child.parent
    return (
        isinstance(phase, AwaitingChild)
        and bond is not None
        and (phase.child, phase.since) == (child.id, bond.since)
    )
