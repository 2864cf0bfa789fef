"""What a handler can ask for. One request a run: the decision that comes out of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from avtomatika.blueprints.encoding import encoded
from avtomatika.blueprints.given import mapping, span, text, transitions_of
from avtomatika.blueprints.order import order_of, schema_of
from avtomatika.errors import HandlerError
from avtomatika.kernel.decisions import (
    Ask,
    Decision,
    Dispatch,
    FanOut,
    Finish,
    GoTo,
    Listen,
    RunChild,
    Sleep,
)
from avtomatika.kernel.model import Failure, OnFailure, Signal, Verdict
from avtomatika.kernel.time import Instant, Span

MAX_BRANCHES: Final = 10_000


class ActionFactory:
    """Given to a handler as `actions`. Exactly one action may be called in a run."""

    def __init__(self) -> None:
        self._decision: Decision | None = None
        self.told: list[Signal] = []
        self.updates: dict[str, Any] = {}

    @property
    def decision(self) -> Decision | None:
        """What was asked for, or None."""
        return self._decision

    def go_to(self, state: str) -> None:
        """The job enters *state* next."""
        self._set(GoTo(text("state", state)))

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
        given = dict(mapping("params", params))
        if resource_hint is not None:
            given["resource_hint"] = resource_hint
        order = order_of(
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
        self._set(Dispatch(order, transitions_of(transitions), transitions_of(event_transitions)))

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
        orders = tuple(order_of(task) for task in tasks)
        state = text("aggregate_into", aggregate_into)
        self._set(FanOut(orders, state, OnFailure(on_failure), transitions_of(transitions)))

    def sleep(self, duration_seconds: float, then: str | None = None) -> None:
        """The job rests for so many seconds, through restarts too, and enters *then*.

        Without *then* it enters the same state again.
        """
        length = span({"sleep": duration_seconds}, "sleep")
        self._set(Sleep(length or Span(0), None, None if then is None else text("then", then)))

    def sleep_until(self, when: datetime | float, then: str | None = None) -> None:
        """The job rests until *when*, a datetime with a zone or epoch seconds, and enters *then*."""
        if isinstance(when, datetime) and when.tzinfo is None:
            raise HandlerError("sleep_until needs a datetime with a time zone.")
        moment = when.timestamp() if isinstance(when, datetime) else when
        since_epoch = span({"sleep_until": moment}, "sleep_until")
        self._set(Sleep(Span(0), Instant(since_epoch or 0), None if then is None else text("then", then)))

    def wait_for_event(
        self, name: str, transitions: Mapping[str, str] | str, timeout_seconds: float | None = None
    ) -> None:
        """The job waits until somebody sends the event *name* (`POST /jobs/{id}/events/{name}`).

        *transitions* names the state for `success`, when it came, and `timeout`; a text is the state for
        `success`. An object that was sent along is laid over the state history. An event that came before
        the job waited for it counts.
        """
        chosen = {"success": transitions} if isinstance(transitions, str) else transitions
        timeout = span({"timeout": timeout_seconds}, "timeout")
        self._set(Listen(text("name", name), transitions_of(chosen), timeout))

    def run_blueprint(
        self,
        blueprint_name: str,
        initial_data: Mapping[str, Any] | None = None,
        transitions: Mapping[str, str] | None = None,
        dispatch_timeout: float | None = None,
        result_timeout: float | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        """A job of another blueprint runs; its outcome chooses the next state.

        Outcomes are `success`, `failure` (also of a child in quarantine), `cancelled` and `timeout` (else
        `failure`). The state history gets `sub_job_<id>_result` with outcome, final_state, error_message
        and result. The child is cancelled when this job is, or when `timeout_seconds` have passed. The
        other limits, in seconds, are those of the child's tasks; it inherits what is not given.
        """
        data = mapping("initial_data", initial_data)
        limits = {
            "dispatch_timeout": dispatch_timeout,
            "result_timeout": result_timeout,
            "timeout_seconds": timeout_seconds,
        }
        decision = RunChild(
            blueprint=text("blueprint_name", blueprint_name),
            input={text("initial_data", key): encoded(f"initial_data[{key!r}]", data[key]) for key in data},
            transitions=transitions_of(transitions),
            timeout=span(limits, "timeout_seconds"),
            dispatch_timeout=span(limits, "dispatch_timeout"),
            result_timeout=span(limits, "result_timeout"),
        )
        self._set(decision)

    def await_human_approval(
        self,
        integration: str,
        message: str,
        transitions: Mapping[str, str],
        timeout: float | None = None,
        data_schema: Mapping[str, Any] | None = None,
    ) -> None:
        """The job waits for a person to take one of the decisions that *transitions* name.

        *integration* says whom to ask, in words of yours: it goes with the message into the inbox
        (`GET /approvals`) and into the webhook `approval_requested`. After *timeout* seconds without
        a decision the job follows `timeout`, else `failure`. Data that come with a decision are checked
        against *data_schema* and laid over the state history; `approval` there tells who decided what.
        """
        chosen = transitions_of(transitions)
        if not set(chosen) - {"timeout"}:
            raise HandlerError("await_human_approval needs transitions for what can be decided.")
        ask = Ask(
            integration=text("integration", integration),
            message=text("message", message),
            transitions=chosen,
            timeout=span({"timeout": timeout}, "timeout"),
            schema=schema_of("data_schema", data_schema),
        )
        self._set(ask)

    def send_event(self, event_type: str, payload: Any = None) -> None:
        """Whoever follows the job (`GET /jobs/{id}/events`) is told. No action: a handler may tell a lot."""
        self.told.append(Signal(text("event_type", event_type), encoded("The payload of an event", payload)))

    def update_context(self, updates: Mapping[str, Any]) -> None:
        """The updates are laid over state_history and initial_data when the handler ends. No action."""
        self.updates.update(mapping("updates", updates))

    def finish(self, result: Any = None) -> None:
        """The job is finished, with *result*."""
        self._set(Finish(Verdict.FINISHED, encoded("The result of a job", result)))

    def fail(self, message: str, code: str = "JOB_FAILED") -> None:
        """The job has failed, for the reason that *message* gives."""
        failure = Failure(code=text("code", code), message=text("message", message))
        self._set(Finish(Verdict.FAILED, failure=failure))

    def _set(self, decision: Decision) -> None:
        if self._decision is not None:
            raise HandlerError(
                "Cannot set multiple actions in the same step: "
                f"{type(self._decision).__name__} was asked for, then {type(decision).__name__}."
            )
        self._decision = decision
