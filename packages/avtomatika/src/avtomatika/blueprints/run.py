"""One run of a handler: from a job and the branches it aggregates to the event that came of it."""

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw

from avtomatika.blueprints.actions import ActionFactory
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.context import JobContext
from avtomatika.blueprints.contracts import check_result
from avtomatika.blueprints.data_stores import DataStores
from avtomatika.blueprints.encoding import decoded, encoded
from avtomatika.blueprints.injection import Handler, arguments
from avtomatika.blueprints.states import verdict_of_name
from avtomatika.blueprints.task_files import TaskFiles
from avtomatika.errors import ContractViolation, HandlerError
from avtomatika.kernel.decisions import Decision, Finish
from avtomatika.kernel.events import Decided, HandlerCrashed
from avtomatika.kernel.model import NULL, Branch, Data, Failure, Job, Ready, Verdict
from avtomatika.kernel.retry import BLUEPRINT, CONTRACT
from avtomatika.kernel.rules.handler import result_of

HandlerEvent = Decided | HandlerCrashed

RAISED = "HANDLER_ERROR"
MAX_MESSAGE = 4_000
MAX_THREADS = 32

# Threads of their own: a handler may wait for the storage, which commits in the threads of the loop.
_THREADS = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="handler")


async def run_handler(
    blueprint: Blueprint,
    job: Job,
    branches: Sequence[Branch],
    client: ClientConfig,
    stores: DataStores | None = None,
    files: TaskFiles | None = None,
) -> HandlerEvent:
    """What the handler of the job's state decided, or how it crashed. Raises only cancellation.

    A decision that would finish the job with a result that breaks the contract of the blueprint is a
    crash. The result is the one that the rules are going to choose, whether the handler gave it or not:
    here the contract is known, and no rule has to know contracts.

    *stores* are given to the handler instead of those of the blueprint, *files* are those of the job.
    """
    try:
        event = _by_name(blueprint, job)
        if event is None:
            context = _context(job, branches, client, stores or blueprint.data_stores)
            context.task_files = files
            event = await _run(blueprint, job, context)
        _check_result(blueprint, job, event)
        return event
    except ContractViolation as error:
        return HandlerCrashed(job.run, Failure(code=CONTRACT, message=error.message))
    except HandlerError as error:
        return HandlerCrashed(job.run, Failure(code=BLUEPRINT, message=error.message))
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return _raised(job, error)  # what the handler awaited was cancelled, not the handler
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's code raises is an event
        return _raised(job, error)


def never_waits(blueprint: Blueprint, job: Job) -> bool:
    """True when `run_handler` ends in the step of the loop that it begins in, whatever handler it chooses."""
    state, aggregator = blueprint.states.get(job.state), blueprint.aggregators.get(job.state)
    if aggregator is not None and not aggregator.prompt:
        return False
    return state is None or all(handler.prompt for handler in state.handlers)


def _raised(job: Job, error: BaseException) -> HandlerCrashed:
    message = f"{type(error).__name__} in state '{job.state}': {_said(error)}"
    return HandlerCrashed(job.run, Failure(code=RAISED, message=message))


def _said(error: BaseException) -> str:
    """What the error says, as text that can be stored."""
    try:
        return str(error).encode(errors="replace").decode()[:MAX_MESSAGE]
    except Exception:  # noqa: BLE001 - the user's own __str__
        return "it cannot say why"


def _check_result(blueprint: Blueprint, job: Job, event: Decided) -> None:
    decision, contract = event.decision, blueprint.output_contract
    if contract is not None and isinstance(decision, Finish) and decision.verdict is Verdict.FINISHED:
        check_result(contract, result_of(job, event, decision))


def _by_name(blueprint: Blueprint, job: Job) -> Decided | None:
    """The end that the name of the state alone means, where it has no handler."""
    ends = verdict_of_name(job.state)
    if ends is not None and job.state not in blueprint.states and job.state not in blueprint.aggregators:
        return Decided(job.run, Finish(ends))
    return None


async def _run(blueprint: Blueprint, job: Job, context: JobContext) -> Decided:
    handler, ends = _handler(blueprint, job, context)
    try:
        returned = await _call(handler, arguments(handler, context))
    finally:
        if context.task_files is not None:
            await context.task_files.settle()
    value = encoded("The value that a handler returns", returned)
    decision = _decision(context.actions, job, ends, value)
    context.state_history.update(context.actions.updates)
    context.initial_data.update(context.actions.updates)
    return Decided(
        version=job.run,
        decision=decision,
        input=_changed("initial_data", context.initial_data, job.input),
        history=_changed("state_history", context.state_history, job.history),
        returned=value if isinstance(job.phase, Ready) and job.phase.gathered is not None else NULL,
        told=tuple(context.actions.told),
    )


def _context(job: Job, branches: Sequence[Branch], client: ClientConfig, stores: DataStores) -> JobContext:
    return JobContext(
        job_id=job.id,
        current_state=job.state,
        initial_data=_decoded(job.input),
        state_history=_decoded(job.history),
        actions=ActionFactory(),
        client=client,
        data_stores=stores,
        aggregation_results={branch.task.id: _result(job, branch) for branch in branches},
        tracing_context=dict(job.tracing),
        webhook_url=job.webhook_url,
    )


def _handler(blueprint: Blueprint, job: Job, context: JobContext) -> tuple[Handler, Verdict | None]:
    aggregating = isinstance(job.phase, Ready) and job.phase.gathered is not None
    aggregator = blueprint.aggregators.get(job.state)
    state = blueprint.states.get(job.state)
    if aggregator is not None and (aggregating or state is None):
        return aggregator, None
    if state is None:
        raise HandlerError(f"Blueprint '{blueprint.name}' has no state '{job.state}'.")
    handler = state.handler(context)
    if handler is None:
        raise HandlerError(
            f"No suitable handler found for state '{job.state}' in blueprint '{blueprint.name}': "
            "no condition holds and there is no default."
        )
    return handler, state.ends


async def _call(handler: Handler, given: Mapping[str, Any]) -> Any:
    if handler.is_async:
        returned = handler.function(**given)
    else:
        call, around = partial(_in_thread, handler, given), copy_context()
        returned = await asyncio.get_running_loop().run_in_executor(_THREADS, around.run, call)
    return await returned if inspect.isawaitable(returned) else returned


def _in_thread(handler: Handler, given: Mapping[str, Any]) -> Any:
    try:
        return handler.function(**given)
    except StopIteration as error:
        raise RuntimeError("the handler raised StopIteration") from error  # no future can carry that one


def _decision(actions: ActionFactory, job: Job, ends: Verdict | None, value: Raw) -> Decision:
    if actions.decision is not None:
        return actions.decision
    if ends is None:
        raise HandlerError(f"The handler of state '{job.state}' asked for no action, and it is no end state.")
    return Finish(ends, value)


def _decoded(data: Data) -> dict[str, Any]:
    return {key: decoded(value) for key, value in data.items()}


def _as_it_is(key: object) -> object:
    return key  # a handler can put anything into a dict, whatever its type says


def _changed(name: str, after: Mapping[str, Any], before: Data) -> Data | None:
    for key in map(_as_it_is, after):
        if not isinstance(key, str):
            raise HandlerError(f"The keys of {name} must be texts, not {key!r}.")
        if not key.isascii():
            encoded(f"The key {key!r} of {name}", key)
    data = {key: _kept(f"{name}[{key!r}]", value, before.get(key)) for key, value in after.items()}
    return None if data == before else data


def _kept(what: str, value: Any, before: Raw | None) -> Raw:
    """The value as JSON: in the bytes that it came in, unless the handler changed it."""
    now = encoded(what, value)
    if before is None or now == before:
        return now
    return before if now == Raw(msgspec.json.encode(decoded(before))) else now


def _result(job: Job, branch: Branch) -> dict[str, Any]:
    report = branch.report
    if report is None:
        return {"job_id": job.id, "task_id": branch.task.id, "status": "unknown", "data": None, "error": None}
    failure = report.failure
    error = None if failure is None else {"code": failure.code, "message": failure.message}
    return {
        "job_id": job.id,
        "task_id": branch.task.id,
        "worker_id": report.worker,
        "status": report.status,
        "data": decoded(report.data),
        "error": error,
    }
