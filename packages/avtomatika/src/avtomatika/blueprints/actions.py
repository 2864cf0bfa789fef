"""What a handler can ask for. One request a run: the decision that comes out of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf, isfinite, nan
from typing import Any, Final, TypeGuard

from msgspec import Raw

from avtomatika.blueprints.encoding import encoded
from avtomatika.blueprints.schema import check_schema
from avtomatika.errors import HandlerError, InvalidInput
from avtomatika.kernel.decisions import Decision, Dispatch, FanOut, Finish, GoTo, Listen, Sleep
from avtomatika.kernel.model import NULL, Failure, OnFailure, Order, Verdict
from avtomatika.kernel.time import Instant, Span, seconds
from avtomatika.matching.requirements import parse

MAX_BRANCHES: Final = 10_000


class ActionFactory:
    """Given to a handler as `actions`. Exactly one action may be called in a run."""

    def __init__(self) -> None:
        self._decision: Decision | None = None

    @property
    def decision(self) -> Decision | None:
        """What was asked for, or None."""
        return self._decision

    def go_to(self, state: str) -> None:
        """The job enters *state* next."""
        self._set(GoTo(_text("state", state)))

    def transition_to(self, state: str) -> None:
        """The spelling of 1.0b4 for `go_to`."""
        self.go_to(state)

    def dispatch_task(  # noqa: PLR0913 - the signature that blueprints know
        self,
        task_type: str,
        params: Mapping[str, Any] | None = None,
        transitions: Mapping[str, str] | None = None,
        skill_version: str | None = None,
        skill_type: str | None = None,
        *,
        event_transitions: Mapping[str, str] | None = None,
        dispatch_strategy: str = "default",
        timeout_seconds: float | None = None,
        dispatch_timeout_seconds: float | None = None,
        result_timeout_seconds: float | None = None,
        resource_requirements: Mapping[str, Any] | None = None,
        output_schema: Mapping[str, Any] | None = None,
        max_cost: float | None = None,
        priority: float = 0.0,
        resource_hint: Any = None,
        retry: int | None = None,
    ) -> None:
        """A worker with the skill *task_type* is given the task; its status chooses the next state.

        An event that the worker sends and that `event_transitions` names moves the job on at once: the
        task is withdrawn, the payload laid over the state history, and the named state entered.

        Time limits are in seconds: of execution, of waiting for a worker, and as a whole.
        `retry` is how often a transient failure is tried again. `resource_hint` goes to the worker
        within `params`. Data of a success that breaks `output_schema` is a CONTRACT_VIOLATION_ERROR.
        """
        given = dict(_mapping("params", params))
        if resource_hint is not None:
            given["resource_hint"] = resource_hint
        order = _order(
            {
                "type": task_type,
                "params": given,
                "skill_version": skill_version,
                "skill_type": skill_type,
                "dispatch_strategy": dispatch_strategy,
                "timeout_seconds": timeout_seconds,
                "dispatch_timeout_seconds": dispatch_timeout_seconds,
                "result_timeout_seconds": result_timeout_seconds,
                "resource_requirements": resource_requirements,
                "output_schema": output_schema,
                "max_cost": max_cost,
                "priority": priority,
                "retry": retry,
            }
        )
        self._set(Dispatch(order, _transitions(transitions), _transitions(event_transitions)))

    def dispatch_parallel(
        self,
        tasks: Sequence[Mapping[str, Any]],
        aggregate_into: str,
        on_failure: str = "fail",
        transitions: Mapping[str, str] | None = None,
    ) -> None:
        """Every task is given to a worker; when all have ended, *aggregate_into* runs once.

        A task is a mapping with `type` (or `task_type`), `params` and the options of `dispatch_task`.
        With `on_failure="fail"` the first final failure ends the wait, cancels the others, and follows
        `transitions["failure"]` or fails the job; with `"collect"` failures are results like others.
        """
        if len(tasks) > MAX_BRANCHES:
            raise HandlerError(f"A fan-out has at most {MAX_BRANCHES} branches, not {len(tasks)}.")
        if on_failure not in tuple(OnFailure):
            raise HandlerError(f"on_failure is 'fail' or 'collect', not {on_failure!r}.")
        orders = tuple(_order(task) for task in tasks)
        state = _text("aggregate_into", aggregate_into)
        self._set(FanOut(orders, state, OnFailure(on_failure), _transitions(transitions)))

    def sleep(self, duration_seconds: float, then: str | None = None) -> None:
        """The job rests for so many seconds, through restarts too, and enters *then*.

        Without *then* it enters the same state again.
        """
        span = _span({"sleep": duration_seconds}, "sleep")
        self._set(Sleep(span or Span(0), None, None if then is None else _text("then", then)))

    def sleep_until(self, when: datetime | float, then: str | None = None) -> None:
        """The job rests until *when*, a datetime with a zone or epoch seconds, and enters *then*."""
        if isinstance(when, datetime) and when.tzinfo is None:
            raise HandlerError("sleep_until needs a datetime with a time zone.")
        moment = when.timestamp() if isinstance(when, datetime) else when
        span = _span({"sleep_until": moment}, "sleep_until")
        self._set(Sleep(Span(0), Instant(span or 0), None if then is None else _text("then", then)))

    def wait_for_event(
        self, name: str, transitions: Mapping[str, str] | str, timeout_seconds: float | None = None
    ) -> None:
        """The job waits until somebody sends the event *name* (`POST /jobs/{id}/events/{name}`).

        *transitions* names the state for `success`, when it came, and `timeout`; a text is the state for
        `success`. An object that was sent along is laid over the state history. An event that came before
        the job waited for it counts.
        """
        chosen = {"success": transitions} if isinstance(transitions, str) else transitions
        timeout = _span({"timeout": timeout_seconds}, "timeout")
        self._set(Listen(_text("name", name), _transitions(chosen), timeout))

    def finish(self, result: Any = None) -> None:
        """The job is finished, with *result*."""
        self._set(Finish(Verdict.FINISHED, encoded("The result of a job", result)))

    def fail(self, message: str, code: str = "JOB_FAILED") -> None:
        """The job has failed, for the reason that *message* gives."""
        failure = Failure(code=_text("code", code), message=_text("message", message))
        self._set(Finish(Verdict.FAILED, failure=failure))

    def _set(self, decision: Decision) -> None:
        if self._decision is not None:
            raise HandlerError(
                "Cannot set multiple actions in the same step: "
                f"{type(self._decision).__name__} was asked for, then {type(decision).__name__}."
            )
        self._decision = decision


_OPTIONS: Final = frozenset(
    {
        "type",
        "task_type",
        "params",
        "skill_version",
        "skill_type",
        "dispatch_strategy",
        "timeout_seconds",
        "dispatch_timeout_seconds",
        "result_timeout_seconds",
        "resource_requirements",
        "output_schema",
        "max_cost",
        "priority",
        "retry",
    }
)


def _order(task: Mapping[str, Any]) -> Order:
    unknown = sorted(set(task) - _OPTIONS)
    if unknown:
        raise HandlerError(f"A task has no option {', '.join(unknown)}.")
    skill = task.get("type") or task.get("task_type")
    if skill is None:
        raise HandlerError("A task needs a 'type' (or 'task_type').")
    return Order(
        skill=_text("type", skill),
        params=encoded("The params of a task", dict(_mapping("params", task.get("params")))),
        skill_version=_text_or_none(task, "skill_version"),
        skill_type=_text_or_none(task, "skill_type"),
        strategy=_text_or_none(task, "dispatch_strategy") or "default",
        max_cost=_number(task, "max_cost"),
        requirements=_requirements(task.get("resource_requirements")),
        output_schema=_schema(task.get("output_schema")),
        priority=_number(task, "priority") or 0.0,
        execution_timeout=_span(task, "timeout_seconds"),
        dispatch_timeout=_span(task, "dispatch_timeout_seconds"),
        result_timeout=_span(task, "result_timeout_seconds"),
        retries=_retries(task.get("retry")),
    )


def _requirements(given: Mapping[str, Any] | None) -> Raw:
    if not given:
        return NULL
    try:
        parse(given)
    except InvalidInput as error:
        raise HandlerError(error.message) from error
    return encoded("resource_requirements", dict(given))


def _schema(given: Mapping[str, Any] | None) -> Raw:
    if given is None:
        return NULL
    schema = encoded("output_schema", dict(given))
    try:
        check_schema(bytes(schema))
    except InvalidInput as error:
        raise HandlerError(f"output_schema: {error.message}") from error
    return schema


def _transitions(given: Mapping[str, str] | None) -> dict[str, str]:
    return {
        _text("transitions", status): _text("transitions", state)
        for status, state in _mapping("transitions", given).items()
    }


def _mapping(name: str, value: Any) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if not _is_mapping(value):
        raise HandlerError(f"{name} must be a mapping, not {value!r}.")
    return value


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise HandlerError(f"{name} must be a text that is not empty, not {value!r}.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise HandlerError(f"{name} must be a text that UTF-8 can carry, not {value!r}.") from None
    return value


def _text_or_none(task: Mapping[str, Any], name: str) -> str | None:
    value = task.get(name)
    return None if value is None else _text(name, value)


def _number(task: Mapping[str, Any], name: str) -> float | None:
    value = task.get(name)
    if value is None:
        return None
    try:
        number = nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise HandlerError(f"{name} must be a finite number, not {value!r}.")
    return number


def _span(task: Mapping[str, Any], name: str) -> Span | None:
    value = _number(task, name)
    if value is None:
        return None
    if not 0 < value < 10**10:
        raise HandlerError(f"{name} must be a positive number of seconds, not {value!r}.")
    return max(Span(1), seconds(value))


def _retries(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise HandlerError(f"retry must be a whole number from 0, not {value!r}.")
    return value
