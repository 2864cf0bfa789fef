"""Looks a worker over without running it: its skills, its settings, its orchestrators."""

import asyncio
import importlib.util
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from avtomatika_worker.cli.loading import load_worker
from avtomatika_worker.conversation.orchestrators import Orchestrator, configured_orchestrators, transport_to
from avtomatika_worker.errors import WorkerError
from avtomatika_worker.skills.skill_schema import lines_of
from avtomatika_worker.skills.skills import Skill
from avtomatika_worker.watching.logs import check_logging
from avtomatika_worker.worker import Worker
from rxon.errors import AuthError, ForbiddenError, RxonError, TransportError, WorkerUnknownError

__all__ = ["Findings", "examine"]

PATIENCE = 10.0  # seconds for an orchestrator to answer
EXTRAS = (
    ("WORKER_ENABLE_METRICS", "prometheus_client", "metrics"),
    ("WORKER_ENABLE_TRACING", "opentelemetry", "otel"),
    ("S3_ENDPOINT_URL", "obstore", "s3"),
)


class Findings:
    """``lines`` describe the worker; ``problems`` say what is wrong and what to do."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.problems: list[str] = []


def examine(app: str, connect: bool) -> Findings:
    """What there is to say of the worker ``app``; with ``connect`` its orchestrators are asked as well.

    Raises UsageError when there is no such worker, ConfigError when its settings cannot be read.
    """
    findings = Findings()
    with _overheard(findings.problems):
        worker = load_worker(app)
        worker.load_skills()
    skills, config = list(worker), worker.config
    findings.lines.append(
        f"Worker {config.WORKER_ID!r} of type {config.WORKER_TYPE}:"
        f" {len(skills)} {'skill' if len(skills) == 1 else 'skills'},"
        f" {config.MAX_CONCURRENT_TASKS} tasks at once"
    )
    for skill in skills:
        findings.lines += ["", *_described(skill, worker)]
    findings.problems += _problems(worker, skills)
    _orchestrators(worker, findings, connect)
    return findings


# ---------------------------------------------------------------- skills


def _described(skill: Skill, worker: Worker) -> Iterator[str]:
    notes = [] if skill.type == skill.name else [f"type {skill.type}"]
    limit = worker.type_limits.get(skill.type)
    if limit is not None:
        notes.append(f"at most {limit} at once")
    if skill.timeout is not None:
        notes.append(f"up to {skill.timeout:g} seconds")
    if not skill.invocation.is_async:
        notes.append("in a thread" if skill.place is None else "in a process")
    yield f"  {skill.name}" + (f" ({', '.join(notes)})" if notes else "")
    if skill.info.description:
        yield f"    {skill.info.description.splitlines()[0]}"
    yield from (f"    {line}" for line in lines_of(skill))


def _problems(worker: Worker, skills: Sequence[Skill]) -> Iterator[str]:
    if not skills:
        yield "The worker has no skills, so it gets no tasks: decorate a function with @worker.skill"
    for kind in sorted(set(worker.type_limits).difference(skill.type for skill in skills)):
        known = ", ".join(sorted({skill.type for skill in skills})) or "none"
        yield f"There is a limit for the type {kind!r}, which no skill has; the types are: {known}"
    try:
        check_logging(worker.config.LOG_LEVEL, worker.config.LOG_FORMAT)
    except WorkerError as error:
        yield str(error)
    for variable, module, extra in EXTRAS:
        if getattr(worker.config, variable) and importlib.util.find_spec(module) is None:
            yield f"{variable} is set, and needs the extra: pip install 'avtomatika-worker[{extra}]'"


# ---------------------------------------------------------------- orchestrators


def _orchestrators(worker: Worker, findings: Findings, connect: bool) -> None:
    try:
        found = configured_orchestrators(worker.config)
    except WorkerError as error:
        findings.problems.append(str(error))
        return
    problems = asyncio.run(_ask_all(worker, found)) if connect else [None] * len(found)
    findings.lines += ["", "Orchestrators"]
    for orchestrator, problem in zip(found, problems, strict=True):
        asked = f"priority {orchestrator.priority}, weight {orchestrator.weight}"
        if connect:
            asked += ": reachable, token accepted" if problem is None else ": see below"
        findings.lines.append(f"  {orchestrator.url}  {asked}")
    findings.problems += [problem for problem in problems if problem is not None]


async def _ask_all(worker: Worker, orchestrators: Sequence[Orchestrator]) -> list[str | None]:
    return list(await asyncio.gather(*(_ask(worker, orchestrator) for orchestrator in orchestrators)))


async def _ask(worker: Worker, orchestrator: Orchestrator) -> str | None:
    """What is wrong with the way to the orchestrator. Nothing is registered to find out."""
    url = orchestrator.url
    try:
        transport = transport_to(orchestrator, worker.config, None)
    except WorkerError as error:
        return str(error)
    try:
        async with asyncio.timeout(PATIENCE):
            await transport.heartbeat(None)
    except WorkerUnknownError:
        return None  # it let us in, and does not know the worker yet
    except (AuthError, ForbiddenError) as error:
        return f"{url} does not accept the token ({error.message}): compare it with that of the orchestrator"
    except TransportError as error:
        return f"{url} cannot be reached ({error.message}): is it running, and is the address right?"
    except TimeoutError:
        return f"{url} did not answer within {PATIENCE:g} seconds"
    except RxonError as error:
        return f"{url} answered {error.code}: {error.message}"
    finally:
        await transport.close()
    return None


# ---------------------------------------------------------------- what is logged meanwhile


@contextmanager
def _overheard(problems: list[str]) -> Generator[None]:
    """What the worker logs as a warning or worse, such as files of skills that cannot be imported."""
    handler = _Collector(problems)
    logger = logging.getLogger("avtomatika_worker")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self._problems.append(record.getMessage() + (f" ({type(cause).__name__}: {cause})" if cause else ""))
