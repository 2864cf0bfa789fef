"""What a handler can decide. Exactly one decision comes out of a run."""

from msgspec import Raw

from avtomatika.kernel.model import NULL, Failure, OnFailure, Order, Value, Verdict
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


class Finish(Value, frozen=True):
    """End the job. Without a result of its own the rules choose one (feature A14)."""

    verdict: Verdict = Verdict.FINISHED
    result: Raw = NULL
    failure: Failure | None = None


Decision = GoTo | Dispatch | FanOut | Sleep | Listen | Finish
