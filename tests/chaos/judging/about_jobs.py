"""Rules about jobs and their facts."""

from collections import Counter, defaultdict
from typing import Any, Final

from tests.chaos.judging.evidence import OVER, Evidence, Violation, Violations, is_tick
from tests.chaos.lines import Fact
from tests.chaos.lines import Final as FinalLine
from tests.chaos.sums import expected

ONCE: Final = {
    "alarm_rang": ("since",),
    "child_ended": ("since",),
    "human_decided": ("question",),
    "task_reported": ("task", "attempt"),
    "deadline_passed": ("task", "attempt", "deadline"),
}
"""Events that a job may have once for each of these."""

CLOCKS_DIFFER: Final = 60
"""Milliseconds by which nodes may differ about the time."""


def over_once(seen: Evidence) -> Violations:
    """Every job comes to an end, and nothing follows it."""
    for job in seen.jobs.values():
        if job.status not in OVER:
            if not is_tick(job):
                yield Violation("a job comes to an end", f"it is {job.status}", job.id)
            continue
        ends = [fact.version for fact in job.facts if fact.status in OVER]
        if ends != [job.version]:
            yield Violation("final is final", f"it was over at {ends} and has version {job.version}", job.id)


def facts_have_no_gap(seen: Evidence) -> Violations:
    """The versions of the facts of a job are those from 1 to that of the job."""
    for job in seen.jobs.values():
        versions = [fact.version for fact in job.facts]
        if versions != [*range(1, job.version + 1)]:
            yield Violation("facts have no gap", f"{versions} at version {job.version}", job.id)
        for earlier, later in zip(job.facts, job.facts[1:], strict=False):
            if later.before != earlier.status:
                text = f"{later.version} begins with {later.before}, not {earlier.status}"
                yield Violation("a fact follows the one before", text, job.id)


def effects_happen_once(seen: Evidence) -> Violations:
    """What may have one effect has one."""
    for job in seen.jobs.values():
        counts = Counter(_name(fact) for fact in job.facts if fact.event in ONCE)
        for name, count in counts.items():
            if count > 1:
                rule = "a result is applied at most once"
                yield Violation(
                    rule if name[0] == "task_reported" else "an effect happens once",
                    f"{name} {count} times",
                    job.id,
                )


def _name(fact: Fact) -> tuple[Any, ...]:
    return fact.event, *(fact.data.get(member) for member in ONCE[fact.event])


def results_are_right(seen: Evidence) -> Violations:
    """Whatever happened, a job ends as it would have without it."""
    for job in seen.jobs.values():
        if is_tick(job) or job.status not in OVER:
            continue
        n = int(job.labels.get("n", "0"))
        kind = "one" if job.parent else job.labels.get("kind", job.blueprint)
        status, result = expected(kind, n)
        asked = kind == "race" and job.status == "cancelled"
        if not asked and (job.status, job.result) != (status, result):
            found = f"{job.status} {job.result} {job.error}, not {status} {result}"
            yield Violation("a job ends as without faults", found, job.id)


def parents_have_their_children(seen: Evidence) -> Violations:
    """Every child that a job started is there, and no other."""
    children: dict[str, list[FinalLine]] = defaultdict(list)
    for job in seen.jobs.values():
        if job.parent:
            children[job.parent].append(job)
    for job in seen.jobs.values():
        started = [fact for fact in job.facts if _decision(fact) == "RunChild"]
        if len(started) != len(children[job.id]):
            found = [child.id for child in children[job.id]]
            yield Violation("a child that was started is there", f"{len(started)} started: {found}", job.id)


def _decision(fact: Fact) -> str:
    return str((fact.data.get("decision") or {}).get("type", "")) if fact.event == "decided" else ""


def naps_are_long_enough(seen: Evidence) -> Violations:
    """A job that sleeps wakes when its time has come."""
    for job in seen.jobs.values():
        for fact in job.facts:
            if fact.event == "alarm_rang" and job.blueprint == "nap":
                asleep = next((each.at for each in job.facts if each.version == fact.data["since"]), fact.at)
                wanted = 300 + int(job.labels["n"]) % 10 * 200
                if fact.at - asleep < wanted - CLOCKS_DIFFER:
                    text = f"after {fact.at - asleep} ms instead of {wanted}"
                    yield Violation("a timer fires when it is due", text, job.id)


RULES: Final = (
    over_once,
    facts_have_no_gap,
    effects_happen_once,
    results_are_right,
    parents_have_their_children,
    naps_are_long_enough,
)
