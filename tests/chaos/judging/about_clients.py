"""Rules about what clients were told."""

from collections import Counter, defaultdict
from typing import Final

from tests.chaos.judging.evidence import Evidence, Violation, Violations
from tests.chaos.lines import Request

GRACE: Final = 10.0
"""Seconds after a fault for which a node may still say that it is unavailable."""

SILENCE: Final = 15.0
"""Seconds before and after a request for which a node may be so busy that it answers nobody in time."""

RIGHT: Final = {
    "create": (202,),
    "repeat": (202,),
    "cancel": (200, 409),
    "approve": (200, 409),
    "signal": (202, 409),
    "read": (200,),
    "read cancelled": (200,),
}


def accepted_jobs_are_there(seen: Evidence) -> Violations:
    """A job that was answered with 202 exists, and it is what was asked for."""
    for request in seen.requests:
        if request.verb in ("create", "repeat") and request.status == 202:
            job = seen.jobs.get(request.job)
            if job is None:
                yield Violation("an accepted job is there", request.key, request.job)
            elif job.labels.get("n") != str(request.n):
                yield Violation("an accepted job is what was asked for", f"{job.labels}", request.job)


def a_key_makes_one_job(seen: Evidence) -> Violations:
    """All requests with a key made one job, whatever their answers were."""
    answered: dict[str, set[str]] = defaultdict(set)
    for request in seen.requests:
        if request.verb in ("create", "repeat") and request.status == 202:
            answered[request.key].add(request.job)
    for key, jobs in answered.items():
        if len(jobs) > 1:
            yield Violation("a key makes one job", f"{key} was answered with {sorted(jobs)}", min(jobs))
    made = Counter(job.labels.get("n") for job in seen.roots())
    for job in seen.roots():
        if made[job.labels.get("n")] > 1:
            yield Violation("a key makes one job", f"{made[job.labels.get('n')]} jobs for it", job.id)


def answers_are_right(seen: Evidence) -> Violations:
    """No answer says that something unforeseen happened; unavailable is who has a reason."""
    for request in seen.requests:
        if request.status in (0, *RIGHT[request.verb]):
            continue
        told = f"{request.verb} {request.key} at {request.node}: {request.status} {request.code}"
        if request.status == 503:
            if not seen.troubled(request.began, request.t, GRACE):
                yield Violation("a node is available while nothing is wrong", told, request.job)
        elif request.status == 404:
            yield Violation("who was answered reads what was said", told, request.job)
        else:
            yield Violation("answers are of use to clients", told, request.job)


def nodes_answer(seen: Evidence) -> Violations:
    """Without a fault, a node may be slow, but it does not fall silent."""
    asked: dict[str, list[Request]] = defaultdict(list)
    for request in seen.requests:
        asked[request.node].append(request)
    for node, requests in asked.items():
        heard = [request.t for request in requests if request.status]
        for request in requests:
            since, until = request.began - SILENCE, request.t + SILENCE
            silent = not request.status and not any(since < moment < until for moment in heard)
            if silent and not seen.troubled(since, until):
                text = f"{node} said nothing from {since:.0f} to {until:.0f}"
                yield Violation("a node answers when nothing is wrong", text, request.job)
                break


def cancellations_hold(seen: Evidence) -> Violations:
    """200 for a cancellation means cancelled, 409 that it was too late."""
    asked: dict[str, list[Request]] = defaultdict(list)
    for request in seen.requests:
        if request.verb == "cancel":
            asked[request.job].append(request)
        elif request.verb == "read cancelled" and request.status == 200 and request.shown != "cancelled":
            yield Violation("who was answered reads what was said", f"it read {request.shown}", request.job)
    for job in seen.jobs.values():
        answers = {request.status for request in asked[job.id]}
        last = job.facts[-1].event if job.facts else ""
        if 200 in answers and (job.status, last) != ("cancelled", "cancel_requested"):
            text = f"it is {job.status}, by {last}"
            yield Violation("200 for a cancellation means cancelled", text, job.id)
        if job.status == "cancelled" and not answers - {409}:
            yield Violation("what is cancelled was to be cancelled", f"{sorted(answers)}", job.id)


def what_was_taken_is_there(seen: Evidence) -> Violations:
    """An event or a decision that was taken is among the facts."""
    events = {("signal", 202): "signal_received", ("approve", 200): "human_decided"}
    for request in seen.requests:
        event = events.get((request.verb, request.status))
        job = seen.jobs.get(request.job)
        if event and job is not None and all(fact.event != event for fact in job.facts):
            yield Violation("what was taken is in the facts", f"there is no {event}", job.id)


def nobody_asked_in_vain(seen: Evidence) -> Violations:
    """Every job was asked for, and everything that was asked for has an answer."""
    keys = {str(request.n) for request in seen.requests if request.verb == "create"}
    for job in seen.roots():
        if job.labels.get("n") not in keys:
            yield Violation("a job was asked for", f"{job.labels}", job.id)
    if "end" in seen.marks and "answered" not in seen.marks:
        created = {request.key for request in seen.requests if request.verb == "create"}
        known = {request.key for request in seen.requests if request.status == 202}
        text = f"{len(created - known)} jobs were never accepted: {sorted(created - known)[:5]}"
        yield Violation("every request is answered in the end", text)


RULES: Final = (
    accepted_jobs_are_there,
    a_key_makes_one_job,
    answers_are_right,
    nodes_answer,
    cancellations_hold,
    what_was_taken_is_there,
    nobody_asked_in_vain,
)
