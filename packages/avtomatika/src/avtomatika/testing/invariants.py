"""What must be true after every commit. The ledger hears what the store did and keeps its own account."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from avtomatika.kernel.events import ChildEnded, Event, Requeued, Rewound, Submitted, TaskEvent
from avtomatika.kernel.ids import JobId, TaskId, is_of, opened_by
from avtomatika.kernel.machine import Life, transition
from avtomatika.kernel.model import Branch, Done, Gathering, Job, Verdict
from avtomatika.kernel.progress import Moved
from avtomatika.ports.store import Claim, Commit, Fact
from avtomatika.testing.armed import SAID, check_armed
from avtomatika.testing.beats import Beats
from avtomatika.testing.documents import Documents
from avtomatika.testing.holding import Holding
from avtomatika.testing.kinship import Kinship
from avtomatika.testing.message_ledger import Held, MessageLedger
from avtomatika.testing.options import Options
from avtomatika.testing.promises import Promises
from avtomatika.testing.sink import Sink
from avtomatika.testing.violations import Log, Violation

FEW_BRANCHES: Final = 8
"""Up to so many are all looked at after each commit; of more, those that the commit changed."""


class Ledger:
    """The account of one world. `violations` holds what should never have happened."""

    def __init__(self, log: Log, stir: Callable[[], None], options: Options) -> None:
        self._log, self._stir = log, stir
        self.violations: list[Violation] = []
        self.commits = 0
        self.moves = 0
        self.jobs: dict[JobId, Job] = {}
        self.open: dict[JobId, None] = {}
        self.facts: dict[JobId, list[Fact]] = {}
        self.holding = Holding(self.violated, gentle=options.gentle)
        self.messages = MessageLedger(self.violated, log, self.holding)
        self.promises = Promises(self.violated, self.messages)
        self.kin = Kinship(self.violated, self.messages, self.jobs)
        self.sink = Sink(self.violated)
        self.documents = Documents(self.violated)
        self.beats = Beats(self.violated, self.jobs, options)
        self._read_early: dict[JobId, int] = {}
        self._branches: dict[JobId, dict[TaskId, Branch]] = {}
        self._claims: dict[str, Claim] = {}

    def violated(self, rule: str, detail: object) -> None:
        """The world has broken a rule: it is over."""
        self.violations.append(Violation(rule, str(detail)))
        self._log("VIOLATION", rule, str(detail))
        self._stir()

    def committed(self, commit: Commit) -> None:
        """The store has accepted the commit."""
        self.commits += 1
        if commit.claim is not None:
            self._check_claim(commit.claim, commit)
        if commit.job is not None:
            self._move(commit.job, commit)
        elif commit.facts or commit.branches or commit.close:
            self.violated("facts belong to a move", commit.facts)
        else:
            self._log("commit", *(f"-{lease.message.id}" for lease in commit.ack))
        self.beats.committed(commit)
        self._hear_what_was_said(commit)
        for job in self.messages.exchanged(commit):
            self._check(job, commit.branches if commit.job is not None else None)

    def _hear_what_was_said(self, commit: Commit) -> None:
        for lease in commit.ack:
            message = lease.message
            if isinstance(message.body, SAID):
                left = next((sent for sent in commit.send if sent.id == message.id), None)
                self.sink.dealt_with(message, left)
                self._stir()

    def loaded(self, job_id: JobId, job: Job | None) -> None:
        """The store has shown the job."""
        known = self.jobs.get(job_id)
        shown = 0 if job is None else job.version
        version = 0 if known is None else known.version
        if shown > version and not self.messages.exact:
            self._read_early[job_id] = shown  # it is on the disk, and whoever wrote it is about to hear so
        elif shown != version:
            self.violated("reads show what was committed", f"{job_id} {shown}: {known}")

    def reopened(
        self,
        jobs: Sequence[Job],
        facts: Mapping[JobId, Sequence[Fact]],
        branches: Iterable[tuple[JobId, Branch]],
        messages: Iterable[Held],
    ) -> None:
        """A process died and another found this on the disk. It may be more than was ever answered."""
        found = {job.id: job for job in jobs}
        for job_id, known in self.jobs.items():
            if job_id not in found or found[job_id].version < known.version:
                self.violated("what was committed survives", f"{job_id} version {known.version}")
        for job_id, version in self._read_early.items():
            if job_id not in found or found[job_id].version < version:
                self.violated("what was read survives", f"{job_id} version {version}")
        self._read_early = {}
        self.messages.replace_all(messages)
        self.promises.reopened()
        self._branches = {}
        for job_id, branch in branches:
            self._branches.setdefault(job_id, {})[branch.task.id] = branch
        for job in jobs:
            self._take_over(job, facts.get(job.id, ()))
        for job in jobs:
            self._check(job.id, None)

    def _move(self, job: Job, commit: Commit) -> None:
        before = self.jobs.get(job.id)
        version = 0 if before is None else before.version
        self._log(
            "move", job.id, version, job.version, job.status, *(in_a_word(f.event) for f in commit.facts)
        )
        if commit.expected != version:
            self.violated("a commit follows the version it saw", f"{job.id} {version}, not {commit.expected}")
        branches = self._branches.setdefault(job.id, {})
        if self._replayed(before, commit, branches) != job:
            self.violated("replayed facts give the job", f"{commit.facts} do not give {job}")
        for branch in commit.branches:
            if branches.get(branch.task.id) != branch:
                self.violated("replayed facts give the branches", branch)
        for opened in commit.close:
            for task in [task for task in branches if opened_by(task)[1] == opened]:
                del branches[task]
        self._keep(job)

    def _replayed(self, job: Job | None, commit: Commit, branches: dict[TaskId, Branch]) -> Job | None:
        if not commit.facts:
            self.violated("every move has a fact", commit.job)
        for fact in commit.facts:
            self.moves += 1
            event = fact.event
            current = event.job if isinstance(event, Submitted) else job
            if current is None or fact.version != current.version + 1:
                self.violated("facts have no gap", fact)
                return commit.job
            if ended(current, event):
                self.violated("terminal is absorbing", f"{current.id}: {current.status}, then {event}")
            branch = branches.get(event.task) if isinstance(event, TaskEvent) else None
            outcome = transition(current, event, fact.at, branch)
            if not isinstance(outcome, Moved):
                self.violated("a fact is a move", f"{fact}: {outcome.reason}")
                return commit.job
            self.promises.happened(fact, current, commit)
            branches.update((branch.task.id, branch) for branch in outcome.branches)
            job = outcome.job
            self.kin.happened(fact, current, job, at_once=True)
            self.sink.moved(job)
            self.facts.setdefault(fact.job, []).append(fact)
        return job

    def _take_over(self, job: Job, facts: Sequence[Fact]) -> None:
        known = self.facts.get(job.id, [])
        if list(facts[: len(known)]) != known:
            self.violated("facts survive", f"{job.id}: {known}, then {facts}")
        if [fact.version for fact in facts] != list(range(1, job.version + 1)):
            self.violated("facts have no gap", f"{job.id} {job.version}: {facts}")
        life = Life()
        for fact in facts if len(facts) > len(known) else ():
            before, after = life.job, life.add(fact.event, fact.at)
            if fact.version <= len(known):
                continue
            self.moves += 1
            self._log("survived", job.id, fact.version, type(fact.event).__name__)
            self.promises.happened(fact, None, None)
            self.kin.happened(fact, before, after, at_once=False)
            self.sink.moved(after)
        self.facts[job.id] = list(facts)
        self._keep(job)

    def _keep(self, job: Job) -> None:
        self.jobs[job.id] = job
        if job.over:
            self.open.pop(job.id, None)
            self._branches.pop(job.id, None)
            self._stir()
        else:
            self.open[job.id] = None

    def _check_claim(self, claim: Claim, commit: Commit) -> None:
        earlier = self._claims.get(claim.key)
        if earlier is not None and earlier.expires_at > commit.now:
            self.violated("a key belongs to one job", f"{earlier}, then {claim}")
        if claim.job and (commit.job is None or commit.job.id != claim.job):
            self.violated("a claim comes with its job", claim)
        self._claims[claim.key] = claim

    def _check(self, job_id: JobId, changed: Sequence[Branch] | None) -> None:
        job = self.jobs.get(job_id)
        if not job_id:
            return  # what belongs to no job
        if job is None:
            self.violated("a message belongs to a job", job_id)
            return
        phase, branches, whole = job.phase, tuple(self._branches.get(job_id, {}).values()), True
        if changed is not None and isinstance(phase, Gathering) and phase.width > FEW_BRANCHES:
            # One commit may change a branch of an earlier fan-out, close that one and open another.
            branches = tuple(each for each in changed if is_of(each.task.id, job_id, phase.opened))
            whole = False
        check_armed(job, self.messages.of_job(job_id), branches, self.violated, whole=whole)
        self.kin.check(job)


def in_a_word(event: Event) -> str:
    """The event as the trace has it."""
    name = type(event).__name__
    return f"{name}:{event.verdict}" if isinstance(event, ChildEnded) else name


def ended(job: Job, event: Event) -> bool:
    """True when the event must not move the job any more."""
    phase = job.phase
    if not isinstance(phase, Done):
        return False
    for_ever = phase.verdict in (Verdict.FINISHED, Verdict.CANCELLED)
    return for_ever or not isinstance(event, Requeued | Rewound)
