"""Rules about webhooks, schedules, and the nodes themselves."""

import itertools
from collections import defaultdict
from typing import Final

from tests.chaos.judging.evidence import OVER, Evidence, Violation, Violations, is_tick
from tests.chaos.lines import Final as FinalLine
from tests.chaos.sums import wants_webhook

INTERVALS: Final = {"scheduler:beat": 1_000, "scheduler:pulse": 2_000}
LATE: Final = 20_000
"""Milliseconds by which the last tick may be behind the last fact."""

STORE: Final = ("kill store", "pause store", "fill disk")


def webhooks_come(seen: Evidence) -> Violations:
    """Whoever wanted to hear of the end of a job, or of its question, did."""
    taken = {delivery.name for delivery in seen.deliveries if delivery.answer == 200}
    for job in seen.roots():
        if wants_webhook(int(job.labels.get("n", "1"))):
            for name in _due(job):
                if name not in taken:
                    yield Violation("a webhook that is due comes", name, job.id)


def webhooks_tell_the_truth(seen: Evidence) -> Violations:
    """What is told happened; by one name and in one text, however often it comes."""
    names: dict[tuple[str, str], set[str]] = defaultdict(set)
    texts: dict[str, set[str]] = defaultdict(set)
    for delivery in seen.deliveries:
        texts[delivery.name].add(delivery.digest)
        names[delivery.job, delivery.event].add(delivery.name)
        yield from _is_true(seen, delivery.job, delivery.event, delivery.status)
    for (job_id, event), known in names.items():
        if len(known) > 1:
            yield Violation("a webhook has one name", f"{event} as {sorted(known)}", job_id)
    for name, digests in texts.items():
        if len(digests) > 1:
            yield Violation("all attempts at a webhook say the same", name, name.split(":")[0])


def _is_true(seen: Evidence, job_id: str, event: str, status: str) -> Violations:
    job = seen.jobs.get(job_id)
    if job is None:
        yield Violation("a webhook tells of a job", f"{event} {status}", job_id)
    elif event.startswith("job_") and status != job.status:
        yield Violation("a webhook tells what is true", f"{event} {status}: {job.status}", job_id)


def _due(job: FinalLine) -> list[str]:
    found = [f"{job.id}:{job.version}:job_{job.status}"] if job.status in OVER else []
    asked = [fact.version for fact in job.facts if fact.status == "waiting_for_human"][:1]
    return found + [f"{job.id}:{version}:approval_requested" for version in asked]


def every_tick_has_one_job(seen: Evidence) -> Violations:
    """From the first tick of a schedule to the last there is one job for each."""
    ticks: dict[str, list[tuple[int, str]]] = {source: [] for source in INTERVALS}
    for job in seen.jobs.values():
        if is_tick(job):
            due = job.id.rpartition("-")[2]
            ticks.setdefault(job.source, []).append((int(due) if due.isdecimal() else 0, job.id))
    latest = max((fact.at for job in seen.jobs.values() for fact in job.facts), default=0)
    for source, found in ticks.items():
        found.sort()
        step = INTERVALS.get(source, 0)
        for (earlier, _), (later, name) in itertools.pairwise(found):
            if later - earlier != step:
                text = f"{source}: {later} follows {earlier}"
                yield Violation("a tick has exactly one job", text, name)
        if latest and (not found or latest - found[-1][0] > LATE):
            yield Violation("a schedule goes on", f"{source}: {found[-1:]}, now {latest}")


def nodes_stay_up(seen: Evidence) -> Violations:
    """A node ends by itself only when its store is not well, and is surprised by nothing."""
    for gone in seen.gone:
        if gone.party.startswith("n") and not seen.troubled(gone.t, gone.t, grace=15.0, kinds=STORE):
            reached = seen.troubled(gone.t, gone.t, grace=15.0, who=gone.party)
            if not reached:
                yield Violation("a node stays up", f"{gone.party} ended with {gone.code}")
    for silent in seen.silent:
        yield Violation("a node answers when nothing is wrong", f"{silent.node}: {silent.why}")
    for complaint in seen.complaints:
        last = complaint.text.strip().splitlines()[-1:]
        if "avtomatika.errors.Unavailable" in complaint.text:
            continue  # the end of a node that was started while it could not reach its store
        yield Violation("a node is surprised by nothing", f"{complaint.node}: {last}\n{complaint.text}")


RULES: Final = (webhooks_come, webhooks_tell_the_truth, every_tick_has_one_job, nodes_stay_up)
