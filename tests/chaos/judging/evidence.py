"""What all parties have seen, in an order in which it can be judged. No I/O."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from tests.chaos.lines import (
    AnyLine,
    Beat,
    Complaint,
    Delivery,
    Fact,
    Fault,
    Gone,
    Mark,
    Offer,
    Report,
    Request,
    Silent,
    Up,
)
from tests.chaos.lines import (
    Final as FinalLine,
)
from tests.chaos.options import Options

OVER: Final = ("finished", "failed", "cancelled", "quarantined")


class Violation(msgspec.Struct, frozen=True):
    """A rule that was broken: in words that say what should be true, and by what."""

    rule: str
    detail: str
    job: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: {self.detail}" + (f" (job {self.job})" if self.job else "")


Violations = Iterator[Violation]
Rules = Callable[["Evidence"], Violations]


class Work(msgspec.Struct, frozen=True, order=True):
    """One delivery of one attempt of a task: what a worker calls the task id."""

    task: str
    attempt: int
    delivery: int

    @classmethod
    def of(cls, name: str) -> "Work":
        """The parts of the name."""
        task, attempt, delivery = name.rsplit("-", 2)
        return cls(task, int(attempt), int(delivery))

    @property
    def job(self) -> str:
        """The job that the task is of."""
        return self.task.rsplit("-", 2)[0]


class Evidence:
    """The lines of a run by what they are about."""

    def __init__(self, lines: Iterable[AnyLine], options: Options) -> None:
        self.options = options
        self.requests: list[Request] = []
        self.offers: dict[Work, list[Offer]] = defaultdict(list)
        self.reports: dict[Work, list[Report]] = defaultdict(list)
        self.beats: dict[str, list[Beat]] = defaultdict(list)
        self.deliveries: list[Delivery] = []
        self.faults: list[Fault] = []
        self.skipped: dict[str, str] = {}
        self.ups: list[Up] = []
        self.gone: list[Gone] = []
        self.complaints: list[Complaint] = []
        self.silent: list[Silent] = []
        self.marks: dict[str, Mark] = {}
        self.jobs: dict[str, FinalLine] = {}
        self.others: list[AnyLine] = []
        for line in sorted(lines, key=lambda line: line.t):
            self._take(line)
        self.faults.sort(key=lambda fault: fault.t)
        start = self.marks.get("load")
        told = {} if start is None or not start.detail else msgspec.json.decode(start.detail)
        self.epoch: float = told.get("epoch", 0.0)

    def _take(self, line: AnyLine) -> None:  # noqa: C901 - one line for each kind
        match line:
            case Request():
                self.requests.append(line)
            case Offer():
                self.offers[Work.of(line.task)].append(line)
            case Report():
                self.reports[Work.of(line.task)].append(line)
            case Beat():
                self.beats[line.worker].append(line)
            case Delivery():
                self.deliveries.append(line)
            case Fault() if line.skipped:
                self.skipped[line.kind] = line.skipped
            case Fault():
                self.faults.append(line)
            case Up():
                self.ups.append(line)
            case Gone():
                self.gone.append(line)
            case Complaint():
                self.complaints.append(line)
            case Silent():
                self.silent.append(line)
            case Mark():
                self.marks.setdefault(line.name, line)
            case FinalLine():
                self.jobs[line.id] = line
            case _:
                self.others.append(line)

    def roots(self) -> Iterator[FinalLine]:
        """The jobs that clients asked for."""
        return (job for job in self.jobs.values() if not job.parent and not is_tick(job))

    def troubled(
        self, since: float, until: float, grace: float = 0.0, kinds: tuple[str, ...] = (), who: str = ""
    ) -> bool:
        """Whether there was a fault between these moments, or up to *grace* seconds before.

        Of these kinds, if any are given; that concerned this party, if one is given.
        """
        return any(
            fault.t <= until
            and fault.until + grace >= since
            and (not kinds or fault.kind in kinds)
            and (not who or concerns(fault, who))
            for fault in self.faults
        )

    def moment(self, fact: Fact) -> float:
        """When it happened, by the clock of the lines. As good as the clock of the store."""
        return fact.at / 1_000 - self.epoch


def is_tick(job: FinalLine) -> bool:
    """Whether a schedule made the job."""
    return job.source.startswith("scheduler:")


def concerns(fault: Fault, party: str) -> bool:
    """Whether the fault met the party, or a link of it."""
    if ">" not in fault.target:
        return fault.target == party
    near, far = fault.target.split(">")
    return party in (near, far) or (near == "workers" and party.startswith("w"))
