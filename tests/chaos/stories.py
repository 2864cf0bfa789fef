"""Small histories of runs, made by hand: one in which all is well, to be spoiled by tests of the judge."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tests.chaos.lines import (
    AnyLine,
    Beat,
    Delivery,
    Fact,
    Fault,
    Mark,
    Offer,
    Report,
    Request,
)
from tests.chaos.lines import (
    Final as FinalLine,
)
from tests.chaos.sums import expected, kind_of, wants_webhook

EPOCH = 1_000_000.0
START = 100.0

without: Any = msgspec.structs.replace


def number_of(kind: str, *, webhook: bool = False) -> int:
    """The first number of a job of this kind whose client wants to hear of its end, or does not."""
    return next(n for n in range(10_000) if kind_of(n) == kind and wants_webhook(n) == webhook)


def at(moment: float) -> int:
    """The moment by the clock of the store."""
    return int((EPOCH + moment) * 1_000)


def request(moment: float, verb: str, n: int, status: int, job: str, **more: Any) -> Request:
    """A client was answered."""
    return Request(
        t=moment,
        began=moment - 0.01,
        verb=verb,
        key=f"job-{n}",
        kind=kind_of(n),
        n=n,
        node="n0",
        status=status,
        job=job,
        **more,
    )


def offer(moment: float, worker: str, task: str, token: str = "t1") -> Offer:
    """A worker was given a task."""
    job = task.rsplit("-", 4)[0]
    return Offer(t=moment, began=moment - 0.01, worker=worker, node="n0", job=job, task=task, token=token)


def report(moment: float, worker: str, task: str, verdict: str = "accepted", **more: Any) -> Report:
    """A worker has reported."""
    made = Report(
        t=moment, began=moment - 0.01, worker=worker, node="n0", task=task, token="t1", verdict=verdict
    )
    return without(made, **more)


def beat(moment: float, worker: str, *held: str) -> Beat:
    """A worker was told that it still has these."""
    return Beat(t=moment, began=moment - 0.01, worker=worker, node="n0", held=held)


def fault(since: float, until: float, kind: str, target: str) -> Fault:
    """Something was done to a party."""
    return Fault(t=since, until=until, kind=kind, target=target)


def fact(version: int, moment: float, event: str, before: str | None, status: str, **data: Any) -> Fact:
    """Something that happened to a job."""
    return Fact(
        version=version, at=at(moment), event=event, before=before, status=status, state="s", data=data
    )


def reported(version: int, moment: float, task: str, worker: str) -> Fact:
    """A result was applied."""
    name, attempt, delivery = task.rsplit("-", 2)
    return fact(
        version,
        moment,
        "task_reported",
        "waiting_for_worker",
        "running",
        task=name,
        attempt=int(attempt),
        delivery=int(delivery),
        report={"worker": worker, "status": "success"},
    )


def one_facts(job: str, moment: float, worker: str = "w0") -> tuple[Fact, ...]:
    """The facts of a job of one task."""
    return (
        fact(1, moment, "submitted", None, "pending"),
        fact(2, moment, "decided", "pending", "waiting_for_worker"),
        reported(3, moment + 0.3, f"{job}-2-0-1-1", worker),
        fact(4, moment + 0.3, "decided", "running", "finished"),
    )


def final(job: str, n: int, facts: tuple[Fact, ...], **more: Any) -> FinalLine:
    """A job as it was found in the end."""
    kind = kind_of(n)
    status, result = expected(kind, n)
    made = FinalLine(
        t=START + 90,
        id=job,
        status=status,
        version=len(facts),
        blueprint=kind,
        labels={"n": str(n), "kind": kind},
        result=result,
        facts=facts,
    )
    return without(made, **more)


ONE, NEWS, RACE, NAP, EVENT = (
    number_of("one"),
    number_of("one", webhook=True),
    number_of("race"),
    number_of("nap"),
    number_of("event"),
)


def good() -> Iterator[AnyLine]:
    """Jobs of some kinds and their ticks, without a fault but one that nobody suffered from."""
    yield Mark(t=START, name="load", detail=f'{{"epoch": {EPOCH}}}')
    for job, n in (("one", ONE), ("news", NEWS)):
        yield request(START + 1, "create", n, 202, job)
        yield offer(START + 1.1, "w0", f"{job}-2-0-1-1")
        yield report(START + 1.3, "w0", f"{job}-2-0-1-1")
        yield final(job, n, one_facts(job, START + 1))
    yield Delivery(
        t=START + 2,
        name="news:4:job_finished",
        job="news",
        event="job_finished",
        sequence=4,
        status="finished",
        digest="d",
        answer=200,
    )
    yield from _cancelled()
    yield from _asleep()
    yield from _listening()
    for second in range(90):
        yield _tick("beat", second)
    for second in range(0, 90, 2):
        yield _tick("pulse", second)
    yield fault(START + 40, START + 41, "kill worker", "w3")
    yield Mark(t=START + 60, name="answered")
    yield Mark(t=START + 90, name="end")


def _cancelled() -> Iterator[AnyLine]:
    yield request(START + 3, "create", RACE, 202, "race")
    yield request(START + 3.2, "cancel", RACE, 200, "race")
    yield request(START + 3.3, "read cancelled", RACE, 200, "race", shown="cancelled", version=3)
    facts = (
        fact(1, START + 3, "submitted", None, "pending"),
        fact(2, START + 3, "decided", "pending", "waiting_for_worker"),
        fact(3, START + 3.2, "cancel_requested", "waiting_for_worker", "cancelled"),
    )
    yield final("race", RACE, facts, status="cancelled", result=None)


def _asleep() -> Iterator[AnyLine]:
    yield request(START + 4, "create", NAP, 202, "nap")
    facts = (
        fact(1, START + 4, "submitted", None, "pending"),
        fact(2, START + 4, "decided", "pending", "sleeping"),
        fact(3, START + 6.5, "alarm_rang", "sleeping", "running", since=2),
        fact(4, START + 6.5, "decided", "running", "finished"),
    )
    yield final("nap", NAP, facts)


def _listening() -> Iterator[AnyLine]:
    yield request(START + 4, "create", EVENT, 202, "event")
    yield request(START + 5, "signal", EVENT, 202, "event")
    facts = (
        fact(1, START + 4, "submitted", None, "pending"),
        fact(2, START + 4, "decided", "pending", "waiting_for_event"),
        fact(3, START + 5, "signal_received", "waiting_for_event", "running"),
        fact(4, START + 5, "decided", "running", "finished"),
    )
    yield final("event", EVENT, facts)


def _tick(schedule: str, second: int) -> FinalLine:
    moment = START + second
    facts = (
        fact(1, moment, "submitted", None, "pending"),
        fact(2, moment, "decided", "pending", "finished"),
    )
    return FinalLine(
        t=START + 90,
        id=f"tick-{schedule}-{at(moment)}",
        status="finished",
        version=2,
        blueprint="beat",
        source=f"scheduler:{schedule}",
        facts=facts,
    )


Spoil = Callable[[list[AnyLine]], list[AnyLine]]


def changed(job: str, **members: Any) -> Spoil:
    """The job is found otherwise in the end."""

    def spoil(lines: list[AnyLine]) -> list[AnyLine]:
        return [
            without(line, **members) if isinstance(line, FinalLine) and line.id == job else line
            for line in lines
        ]

    return spoil


def facts_changed(job: str, change: Callable[[tuple[Fact, ...]], tuple[Fact, ...]]) -> Spoil:
    """The facts of the job are others; its version stays that of the last."""

    def spoil(lines: list[AnyLine]) -> list[AnyLine]:
        (found,) = (line for line in lines if isinstance(line, FinalLine) and line.id == job)
        facts = change(found.facts)
        return changed(job, facts=facts, version=facts[-1].version)(lines)

    return spoil


def lost(gone: Callable[[AnyLine], bool]) -> Spoil:
    """These lines are not there."""
    return lambda lines: [line for line in lines if not gone(line)]


def also(*more: AnyLine) -> Spoil:
    """These lines are there too."""
    return lambda lines: [*lines, *more]


def both(first: Spoil, second: Spoil) -> Spoil:
    """The one, and then the other."""
    return lambda lines: second(first(lines))
