"""What a handler can decide. Exactly one decision comes out of a run."""

from msgspec import Raw

from avtomatika.kernel.model import NULL, Data, Failure, OnFailure, Order, Value, Verdict
from avtomatika.kernel.time import Instant, Span


class GoTo(Value, frozen=True):
    """Enter another state."""

    state: str


class Dispatch(Value, frozen=True):
    """Give one order to a worker and follow the transition of the status it reports.

    An event that the worker sends meanwhile, and that `event_transitions` names, moves the job on at once.
    """

    order: Order
    transitions: dict[str, str]
    event_transitions: dict[str, str] = {}


class FanOut(Value, frozen=True):
    """Give several orders at once and enter `then` when all have ended."""

    orders: tuple[Order, ...]
    then: str
    on_failure: OnFailure = OnFailure.FAIL
    transitions: dict[str, str] = {}


class Sleep(Value, frozen=True):
    """Rest for `span`, or until `until`, then enter `then`, or the same state again when it is None."""

    span: Span = Span(0)
    until: Instant | None = None
    then: str | None = None


class Listen(Value, frozen=True):
    """Wait for the signal `name`, for as long as `timeout` if that is given, and follow the transition.

    The transition is `success` when the signal comes, `timeout` (else `failure`) when it does not.
    """

    name: str
    transitions: dict[str, str]
    timeout: Span | None = None


class RunChild(Value, frozen=True):
    """Run a job of another blueprint and follow the transition of its outcome.

    The outcome is `success`, `failure`, `cancelled` or `timeout` (else `failure`). `edition` and `state`
    are where the child begins; the limits replace those that it inherits.
    """

    blueprint: str
    input: Data
    transitions: dict[str, str]
    edition: str = ""
    state: str = ""
    timeout: Span | None = None
    dispatch_timeout: Span | None = None
    result_timeout: Span | None = None


class Ask(Value, frozen=True):
    """Let a person decide, for as long as `timeout` if that is given, and follow the transition.

    Decisions are the keys of `transitions`, except `timeout`, which is followed when nobody decided in time.
    `schema` is a JSON Schema for the data that come with a decision.
    """

    integration: str
    message: str
    transitions: dict[str, str]
    timeout: Span | None = None
    schema: Raw = NULL


class Finish(Value, frozen=True):
    """End the job. Without a result of its own the rules choose one (feature A14)."""

    verdict: Verdict = Verdict.FINISHED
    result: Raw = NULL
    failure: Failure | None = None


Decision = GoTo | Dispatch | FanOut | Sleep | Listen | RunChild | Ask | Finish
