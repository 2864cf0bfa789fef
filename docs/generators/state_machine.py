"""The rulebook as tables: what each event does in each phase, found out by asking the kernel."""

from collections.abc import Iterator
from typing import get_args

from avtomatika.kernel.effects import Effect
from avtomatika.kernel.machine import transition
from avtomatika.kernel.model import Done, Gathering, Job, Ready, Verdict, Waiting
from avtomatika.kernel.progress import Ignored
from generators.markdown import NOTE, code, table
from generators.state_cases import Case, cases
from generators.state_jobs import EVENTS, NOW, PHASES, SAMPLES, job_in


def page() -> str:
    """The page as Markdown."""
    sections = "\n\n".join(_section(phase) for phase in PHASES)
    return f"""# State machine of jobs

{NOTE}

What each event does to a job in each phase. The tables are made by asking the kernel,
`avtomatika.kernel.machine.transition`; every pair of phase and event is there.

The *phase* is what the job is doing, and is all that the rules look at. The *state* is the place in the
user's blueprint. The *status* is the word for the phase in the HTTP API:

{table(("Phase", "Status", "Meaning"), _statuses())}

The events:

{table(("Event", "Meaning"), ((code(kind.__name__), _meaning(kind)) for kind in EVENTS))}

The effects, each of which becomes a message, or takes one back, in the same commit:

{table(("Effect", "Meaning"), ((code(kind.__name__), _meaning(kind)) for kind in get_args(Effect)))}

The jobs that the kernel was asked about are in the state `here`; `next`, `rescue`, `late`, `stopped` and
`sum` stand for what `go_to`, transitions and `aggregate_into` name, `earlier` for the state that a job is
rewound to.

An event that does not fit is *ignored*, with a reason: that is an answer, not an error. Every move makes the
version of the job greater by one.

{sections}
"""


def _section(phase: type) -> str:
    rows = [_row(case) for case in cases() if type(case.job.phase) is phase]
    order = {kind.__name__: place for place, kind in enumerate(EVENTS)}
    rows.sort(key=lambda row: order[row[0].strip("`")])
    heading = f"## {phase.__name__}\n\n{_meaning(phase)}"
    return f"{heading}\n\n{table(('Event', 'When', 'Outcome', 'Effects'), rows)}"


def _row(case: Case) -> tuple[str, str, str, str]:
    outcome = transition(case.job, case.event, NOW, case.branch)
    event = code(type(case.event).__name__)
    if isinstance(outcome, Ignored):
        return event, case.words, f"ignored: {code(outcome.reason)}", ""
    effects = dict.fromkeys(_effect(effect) for effect in outcome.effects)
    return event, case.words, _after(case.job, outcome.job), ", ".join(effects)


def _after(before: Job, job: Job) -> str:
    phase = job.phase
    if isinstance(phase, Done):
        why = "" if job.failure in (None, before.failure) else f", {code(job.failure.code)}"
        return f"**Done**: {phase.verdict}{why}"
    name = f"**{type(phase).__name__}**"
    if isinstance(phase, Ready):
        moved = job.state != before.state or job.steps != before.steps
        return f"{name} in state {code(job.state)}" if moved else f"{name}, attempt {phase.attempt}"
    if isinstance(phase, Waiting):
        return f"{name}, attempt {phase.task.attempt}"
    return f"{name}, {phase.left} of {phase.width} left" if isinstance(phase, Gathering) else name


def _effect(effect: Effect) -> str:
    deadline = getattr(effect, "deadline", None)
    return code(type(effect).__name__) + ("" if deadline is None else f" ({deadline})")


def _statuses() -> Iterator[tuple[str, str, str]]:
    first, later = job_in(Ready(), version=1), job_in(Ready())
    yield code("Ready"), f"{code(first.status)} at version 1, then {code(later.status)}", _meaning(Ready)
    for phase in SAMPLES[1:-1]:
        yield code(type(phase).__name__), code(job_in(phase).status), _meaning(type(phase))
    verdicts = ", ".join(code(job_in(Done(verdict)).status) for verdict in Verdict)
    yield code("Done"), verdicts, _meaning(Done)


def _meaning(kind: type) -> str:
    return " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
