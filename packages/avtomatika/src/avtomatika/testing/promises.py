"""What was promised to clients and workers, and which effects may happen once only."""

from collections import Counter
from collections.abc import Mapping

from avtomatika.commands.offers import owner_of
from avtomatika.commands.outbox import task_message_id, timer_message
from avtomatika.kernel.effects import OfferTask, StartTimer
from avtomatika.kernel.events import (
    AlarmRang,
    Deadline,
    DeadlinePassed,
    Decided,
    HandlerCrashed,
    RunAbandoned,
    SignalReceived,
    TaskReported,
    TaskSignalled,
)
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Done, Job, Ready, Verdict
from avtomatika.kernel.time import Instant, after
from avtomatika.ports.store import Commit, Fact, Lease, MessageId
from avtomatika.testing.message_ledger import MessageLedger
from avtomatika.testing.violations import Violated

Handle = tuple[TaskId, int, int]
"""A delivery of an attempt of a task."""


class Promises:
    """Judges facts and answers. `copies` counts the requests that carry a result at this moment."""

    def __init__(self, violated: Violated, messages: MessageLedger) -> None:
        self._violated, self._messages = violated, messages
        self._applied: dict[Handle, bytes] = {}
        self._reported: set[tuple[TaskId, int]] = set()
        self._aggregated: set[tuple[JobId, int]] = set()
        self._refused: set[tuple[Handle, bytes]] = set()
        self._tokens: dict[Handle, str] = {}
        self._returned: set[Handle] = set()
        self.copies: Counter[tuple[Handle, bytes]] = Counter()
        self._signals: set[tuple[JobId, bytes]] = set()
        self._told: set[tuple[TaskId, str]] = set()
        self._keys: dict[str, JobId] = {}

    # ------------------------------------------------------------ facts

    def happened(self, fact: Fact, before: Job | None, commit: Commit | None) -> None:
        """The event has moved a job. The commit is None when another process wrote it before it died."""
        event = fact.event
        acks = {} if commit is None else {lease.message.id: lease for lease in commit.ack}
        match event:
            case TaskReported():
                self._reported_once(event)
                if commit is not None:
                    self._was_held(event, acks)
            case Decided() | HandlerCrashed() | RunAbandoned():
                if before is not None and event.version != before.run:
                    self._violated("a decision is for the version that the handler saw", fact)
                if isinstance(event, Decided) and before is not None:
                    self._aggregated_once(before)
            case DeadlinePassed() if commit is not None:
                self._was_due(fact, acks.get(MessageId(f"timer:{event.task}:{event.deadline}")), commit.now)
            case AlarmRang() if commit is not None:
                self._was_due(fact, acks.get(MessageId(f"alarm:{fact.job}:{event.since}")), commit.now)
            case TaskSignalled() | SignalReceived():
                self._heard(fact.job, event)
            case _:
                pass

    def _heard(self, job: JobId, event: TaskSignalled | SignalReceived) -> None:
        if isinstance(event, SignalReceived):
            self._signals.add((job, bytes(event.payload)))
        elif event.event_id:
            if (event.task, event.event_id) in self._told:
                self._violated("an event is part of a job once", event)
            self._told.add((event.task, event.event_id))

    def _was_due(self, fact: Fact, timer: Lease | None, now: Instant) -> None:
        if timer is None or timer.message.visible_at > now:
            self._violated("a limit has passed when its timer is due", f"{fact}: {timer}")

    def _reported_once(self, event: TaskReported) -> None:
        if (event.task, event.attempt) in self._reported:
            self._violated("a result is applied at most once", event)
        self._reported.add((event.task, event.attempt))
        handle = (event.task, event.attempt, event.delivery)
        failure = event.report.failure
        data = bytes(event.report.data) + (b"" if failure is None else failure.message.encode())
        self._applied[handle] = data
        if (handle, data) in self._refused:
            self._violated("a refused result is never applied", event)

    def _was_held(self, event: TaskReported, acks: Mapping[MessageId, Lease]) -> None:
        lease = acks.get(task_message_id(event.task))
        if (
            lease is None
            or lease.owner != owner_of(event.report.worker)
            or lease.delivery != event.delivery
            or not isinstance(lease.message.body, OfferTask)
            or lease.message.body.task.attempt != event.attempt
        ):
            self._violated("a result comes from the worker that holds the task", f"{event}: {lease}")

    def _aggregated_once(self, before: Job) -> None:
        if isinstance(before.phase, Ready) and before.phase.gathered is not None:
            fan_out = (before.id, before.phase.gathered)
            if fan_out in self._aggregated:
                self._violated("a fan-out is aggregated once", fan_out)
            self._aggregated.add(fan_out)

    # ------------------------------------------------------------ workers

    def offered(self, handle: Handle, token: str, since: Instant) -> None:
        """A worker that asked at *since* is given this delivery: nobody had it, and it has its whole time."""
        if handle in self._returned or (handle not in self._tokens and not self._messages.exact):
            # It is given anew: who was refused under the token of before may be heard under this one.
            self._returned.discard(handle)
            self._refused = {(of, data) for of, data in self._refused if of != handle}
        if self._tokens.setdefault(handle, token) != token:
            self._violated("a delivery is given once", f"{handle} as {self._tokens[handle]} and {token}")
        held = self._messages.get(task_message_id(handle[0]))
        body = None if held is None else held.message.body
        if held is None or held.lease is None or held.lease.token != token or not isinstance(body, OfferTask):
            return
        due = after(since, body.task.execution_timeout)
        limit = StartTimer(body.job, body.task.id, body.task.attempt, Deadline.EXECUTION, due)
        running = self._messages.get(timer_message(limit).id)
        if running is None or running.message.visible_at < due:
            found = None if running is None else running.message
            self._violated("who works on a task has the whole time", f"{held.lease} since {since}: {found}")

    def given_back(self, handle: Handle) -> None:
        """The delivery did not reach the worker, and may be given to another as if for the first time."""
        self._tokens.pop(handle, None)
        self._returned.add(handle)

    def told(self, task: TaskId, event: str) -> None:
        """A worker was told that its event is part of the job."""
        if event and (task, event) not in self._told:
            self._violated("an accepted event is in the facts", f"{task} {event}")

    def reopened(self) -> None:
        """Another process found the file of one that ended.

        Leases that were not on disk were never given and are given again; one that had just run out holds
        again, because its holder could not renew it meanwhile, and a result refused before may count now.
        """
        self._tokens.clear()
        self._refused.clear()

    def accepted_result(self, handle: Handle, data: bytes) -> None:
        """A worker was told that this result counts."""
        if self._applied.get(handle) != data:
            self._violated("an accepted result is in the facts", f"{handle} {data!r}")

    def refused_result(self, handle: Handle, data: bytes, *, last: bool) -> None:
        """A worker was told that this result does not count. *last* when no other copy is on its way."""
        if self._applied.get(handle) == data:
            self._violated("an equal repeat gets the same answer", f"{handle} {data!r}")
        if last:
            self._refused.add((handle, data))

    # ------------------------------------------------------------ clients

    def accepted_job(self, job: JobId, key: str | None, known: Job | None) -> None:
        """A client was told 202."""
        if known is None:
            self._violated("an accepted job is there", job)
        if key is not None and self._keys.setdefault(key, job) != job:
            self._violated("one key makes one job", f"{key}: {self._keys[key]} and {job}")

    def heard(self, job: JobId, payload: bytes) -> None:
        """A client was told that its signal is part of the job."""
        if (job, payload) not in self._signals:
            self._violated("a signal that was taken is in the facts", f"{job} {payload!r}")

    def cancelled(self, job: Job) -> None:
        """A client was told that the job is cancelled."""
        if not isinstance(job.phase, Done) or job.phase.verdict is not Verdict.CANCELLED:
            self._violated("200 for a cancel means cancelled", f"{job.id}: {job.phase}")

    def too_late(self, job: Job, *, revived: bool) -> None:
        """A client was told that its job is already over. *revived* when it may not be so any more."""
        if not job.over and not revived:
            self._violated("409 for a cancel means over", f"{job.id}: {job.phase}")
