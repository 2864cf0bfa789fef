"""How hard a run was, and whether it was hard enough to prove anything."""

import itertools
from collections import Counter
from collections.abc import Iterator

import msgspec

from tests.chaos.faults import kinds
from tests.chaos.judging.about_workers import applied
from tests.chaos.judging.evidence import Evidence, is_tick


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a run."""

    accepted: int
    offered: int
    jobs: int
    faults: dict[str, int]
    kills: int
    results: int
    handed_out_again: int
    stale_results: int
    duplicate_results: int
    requests_repeated: int
    unavailable: int
    webhooks: int
    webhooks_repeated: int
    ticks: int
    longest_silence: float
    longest_recovery: float
    slowest_restart: float
    settled_after: float
    own_cpu_seconds: str


def figures(seen: Evidence) -> Figures:
    """The figures of a run."""
    creates = [request for request in seen.requests if request.verb == "create"]
    accepted = sorted(request.t for request in creates if request.status == 202)
    faults = Counter(fault.kind for fault in seen.faults)
    reports = [report for each in seen.reports.values() for report in each]
    names = Counter(delivery.name for delivery in seen.deliveries)
    heal, settled = seen.marks.get("heal"), seen.marks.get("settled") or seen.marks.get("unsettled")
    submitted = seen.marks.get("submitted")
    return Figures(
        accepted=len(accepted),
        offered=int(submitted.detail) if submitted is not None else len({each.key for each in creates}),
        jobs=len(seen.jobs),
        faults=dict(sorted(faults.items())),
        kills=sum(count for kind, count in faults.items() if kind.startswith("kill")),
        results=len(applied(seen)),
        handed_out_again=sum(work.delivery > 1 for work in seen.offers),
        stale_results=sum(report.verdict in ("refused", "ignored") for report in reports),
        duplicate_results=sum(report.duplicate for report in reports),
        requests_repeated=sum(request.status == 0 for request in seen.requests),
        unavailable=sum(request.status == 503 for request in seen.requests),
        webhooks=len(names),
        webhooks_repeated=names.total() - len(names),
        ticks=sum(is_tick(job) for job in seen.jobs.values()),
        longest_silence=max((b - a for a, b in itertools.pairwise(accepted)), default=0.0),
        longest_recovery=max(_recoveries(seen, accepted), default=0.0),
        slowest_restart=max((up.after for up in seen.ups), default=0.0),
        own_cpu_seconds="" if "cpu" not in seen.marks else seen.marks["cpu"].detail,
        settled_after=0.0 if heal is None or settled is None else settled.t - heal.t,
    )


def _recoveries(seen: Evidence, accepted: list[float]) -> Iterator[float]:
    """How long after each fault it took until a job was accepted that was not asked for before."""
    for fault in seen.faults:
        later = (moment for moment in accepted if moment > fault.until)
        first = next(later, None)
        if first is not None:
            yield first - fault.until


def shortcomings(seen: Evidence) -> Iterator[str]:
    """Why the run proves too little. Nothing for one that was hard enough."""
    yield from _missing_faults(seen)
    found, asked = figures(seen), seen.options.rate * seen.options.seconds
    if found.accepted < 0.5 * asked:
        yield f"too few jobs were accepted: {found.accepted}"
    if found.results < found.accepted / 3:
        yield f"too few results: {found.results}"
    if not found.handed_out_again:
        yield "no task was handed out again"
    if not found.requests_repeated:
        yield "no request was repeated"
    if not found.stale_results:
        yield "no result came too late"
    last = max((fault.until for fault in seen.faults), default=0.0)
    if not any(request.status == 202 and request.began > last for request in seen.requests):
        yield "nothing was accepted after the last fault: recovery was not tested"


def _missing_faults(seen: Evidence) -> Iterator[str]:
    faults = Counter(fault.kind for fault in seen.faults)
    least = max(1, int(seen.options.seconds / 80))
    for kind in kinds(seen.options):
        wanted = least if kind in ("kill node", "kill worker") else 1
        if kind not in seen.skipped and faults[kind] < wanted:
            yield f"too few faults of the kind '{kind}': {faults[kind]}"
