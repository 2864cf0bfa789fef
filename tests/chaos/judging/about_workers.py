"""Rules about tasks, leases and results."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tests.chaos.judging.evidence import Evidence, Violation, Violations, Work
from tests.chaos.lines import Fact, Offer, Report
from tests.chaos.lines import Final as FinalLine
from tests.chaos.options import SHARED, TASK_LEASE

SLACK: Final = 0.3
"""Seconds by which what is on the way, and the clocks, may be off."""

FORGETS: Final = ("kill node", "kill store", "fill disk", "step clock")
"""After these a lease that was just granted may never have been (durability.md)."""

Applied = tuple[FinalLine, Fact]


def applied(seen: Evidence) -> dict[Work, Applied]:
    """The results that are part of jobs."""
    found: dict[Work, Applied] = {}
    for job in seen.jobs.values():
        for fact in job.facts:
            if fact.event == "task_reported":
                data = fact.data
                found[Work(data["task"], data["attempt"], data["delivery"])] = job, fact
    return found


def answers_to_results_are_true(seen: Evidence) -> Violations:
    """An accepted result is in the facts; a refused one is not, and is not applied later either."""
    facts = applied(seen)
    for work, reports in seen.reports.items():
        fact = facts.get(work)
        by = "" if fact is None else fact[1].data["report"]["worker"]
        for report in reports:
            mine, text = by == report.worker, f"{report.task} of {report.worker} {report.why}"
            refused = report.verdict in ("refused", "ignored") and not report.duplicate
            if report.verdict == "accepted" and not mine:
                yield Violation("an accepted result is in the facts", text, work.job)
            elif refused and mine and not _may_be(seen, reports, report):
                yield Violation("a refused result is not applied", text, work.job)


def _may_be(seen: Evidence, reports: list[Report], refused: Report) -> bool:
    """Whether the result was applied under another token, after a crash that undid the first grant.

    Or a node that stood still had another copy, which it took in later (ADR 0018).
    """
    if any(copy.verdict == "accepted" and copy.token != refused.token for copy in reports):
        return True
    return any(
        not copy.verdict
        and copy.began < refused.t
        and seen.troubled(copy.began, refused.t, kinds=("stop node", "pause store", "kill store"))
        for copy in reports
    )


def results_come_from_who_holds_the_task(seen: Evidence) -> Violations:
    """Whose result was applied had been given that delivery, and nobody had been given a later one."""
    given: dict[tuple[str, int], list[tuple[Work, Offer]]] = defaultdict(list)
    for work, offers in seen.offers.items():
        given[work.task, work.attempt] += ((work, offer) for offer in offers)
    for work, (job, fact) in applied(seen).items():
        worker = fact.data["report"]["worker"]
        if not any(offer.worker == worker for offer in seen.offers.get(work, ())):
            text = f"{work} was never given to {worker}"
            yield Violation("a result comes from who holds the task", text, job.id)
        began = min((report.began for report in seen.reports.get(work, ())), default=None)
        for other, offer in given[work.task, work.attempt]:
            late = began is not None and offer.t + SLACK < began
            if other.delivery > work.delivery and late and not _forgotten(seen, offer.began, began or 0.0):
                after = f"{(began or 0) - offer.t:.2f} s after {offer.worker} had {other}"
                text = f"{work} of {worker} was sent {after}"
                yield Violation("no result of a lease that has ended is applied", text, job.id)


def _forgotten(seen: Evidence, since: float, until: float) -> bool:
    kinds = FORGETS if seen.options.store not in SHARED else ("kill store",)
    return seen.troubled(since - 1, until, grace=1.0, kinds=kinds)


def leases_last(seen: Evidence) -> Violations:
    """While a worker holds a task it is given to nobody else, and its result counts."""
    by_task: dict[tuple[str, int], list[tuple[Work, Offer]]] = defaultdict(list)
    for work, offers in seen.offers.items():
        by_task[work.task, work.attempt] += ((work, offer) for offer in offers)
    for granted in by_task.values():
        if len(granted) > 1:
            granted.sort(key=lambda each: (each[0].delivery, each[1].t))
            yield from _overlaps(seen, granted)


def _overlaps(seen: Evidence, granted: list[tuple[Work, Offer]]) -> Iterator[Violation]:
    for place, (work, mine) in enumerate(granted):
        until = certain_until(seen, mine)
        for other, theirs in granted[place + 1 :]:
            later = other.delivery > work.delivery  # an earlier one may be heard of late
            if later and theirs.t < until - SLACK and not _excused(seen, mine, theirs):
                text = (
                    f"{work} was {mine.worker}'s until {until:.2f} at least,"
                    f" and {other} {theirs.worker}'s at {theirs.t:.2f}"
                )
                yield Violation("a task is leased to one worker at a time", text, work.job)


def certain_until(seen: Evidence, offer: Offer) -> float:
    """Until when the worker certainly had the task: for a lease after the grant, or after a heartbeat."""
    granted = max(_asked(seen, offer), _ordered(seen, offer))
    beats = (beat.began for beat in seen.beats[offer.worker] if _keeps(beat.held, beat.lost, offer.task))
    since = max((began for began in beats if began > offer.t), default=granted)
    return max(granted, since) + TASK_LEASE


def _keeps(held: tuple[str, ...], lost: tuple[str, ...], task: str) -> bool:
    return task in held and task not in lost


def _asked(seen: Evidence, offer: Offer) -> float:
    """The earliest moment at which the node may have asked for the lease, which counts from then.

    That is when the worker asked the node, unless the store stood still: over a stream the node may have
    asked before, and is answered when the store goes on.
    """
    pauses = (
        fault.t
        for fault in seen.faults
        if fault.kind == "pause store" and fault.t <= offer.t and fault.until + SLACK >= offer.began
    )
    return min((offer.began, *pauses))


def _ordered(seen: Evidence, offer: Offer) -> float:
    """When the task was there to be given, which is the earliest moment at which a first delivery was."""
    job, work = seen.jobs.get(offer.job), Work.of(offer.task)
    if job is None or (work.attempt, work.delivery) != (1, 1):
        return offer.began
    version = int(work.task.rsplit("-", 2)[1])
    moments = [seen.moment(fact) for fact in job.facts if fact.version == version]
    return moments[0] - SLACK if moments else offer.began


def _excused(seen: Evidence, mine: Offer, theirs: Offer) -> bool:
    """Whether the task may have been given back: it seemed not to have reached the worker, or was forgotten.

    The same worker may have it again when it has come back.
    """
    since, until = mine.began - 1, theirs.t
    met = any(seen.troubled(since, until, grace=2.0, who=who) for who in (mine.worker, mine.node))
    return mine.worker == theirs.worker or met or _forgotten(seen, since, until)


RULES: Final = (answers_to_results_are_true, results_come_from_who_holds_the_task, leases_last)
