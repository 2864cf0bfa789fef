"""What happened to one job, on all sides, in order."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from tests.chaos.judging.evidence import Evidence
from tests.chaos.lines import AnyLine

MOST: Final = 80
Moment = tuple[float, str]


def timeline(seen: Evidence, job: str) -> Sequence[str]:
    """The lines that tell of the job, with the faults between them."""
    moments = sorted(_moments(seen, job))
    if not moments:
        return ()
    first, last = moments[0][0], moments[-1][0]
    moments += (
        (fault.t, f"*** {fault.kind} {fault.target} {fault.detail} until {fault.until - first:.3f}")
        for fault in seen.faults
        if first - 3 <= fault.until and fault.t <= last + 1
    )
    told = [f"{at - first:9.3f}  {text}" for at, text in sorted(moments)]
    return told if len(told) <= MOST else [*told[: MOST // 2], "      ...", *told[-MOST // 2 :]]


def _moments(seen: Evidence, job: str) -> Iterator[Moment]:
    keys = {request.key for request in seen.requests if request.job == job}
    lines: list[AnyLine] = [each for each in seen.requests if each.job == job or each.key in keys]
    lines += (offer for work, found in seen.offers.items() if work.job == job for offer in found)
    lines += (report for work, found in seen.reports.items() if work.job == job for report in found)
    lines += (beat for found in seen.beats.values() for beat in found if _tells(beat.held, job))
    lines += (delivery for delivery in seen.deliveries if delivery.job == job)
    lines += (other for other in seen.others if _tells((getattr(other, "task", ""),), job))
    for line in lines:
        yield line.t, _words(line)
    final = seen.jobs.get(job)
    for fact in () if final is None else final.facts:
        yield (
            seen.moment(fact),
            f"fact {fact.version}: {fact.event} -> {fact.status} {fact.state} {_short(fact.data)}",
        )


def _tells(tasks: Sequence[str], job: str) -> bool:
    return any(task.startswith(f"{job}-") for task in tasks)


def _words(line: AnyLine) -> str:
    members: dict[str, Any] = msgspec.to_builtins(line)
    began = members.pop("began", None)
    del members["t"]
    took = "" if began is None else f" (took {line.t - began:.3f})"
    return f"{members.pop('what')}{took} " + " ".join(f"{name}={value}" for name, value in members.items())


def _short(data: dict[str, Any]) -> str:
    text = str(data)
    return text if len(text) < 200 else text[:200] + "…"
