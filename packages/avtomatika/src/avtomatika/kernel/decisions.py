"""What a handler can decide. Exactly one decision comes out of a run."""

from msgspec import Raw

from avtomatika.kernel.model import NULL, OnFailure, Order, Value, Verdict


class GoTo(Value, frozen=True):
    """Enter another state."""

    state: str


class Dispatch(Value, frozen=True):
    """Give one order to a worker and follow the transition of the status it reports."""

    order: Order
    transitions: dict[str, str]


class FanOut(Value, frozen=True):
    """Give several orders at once and enter `then` when all have ended."""

    orders: tuple[Order, ...]
    then: str
    on_failure: OnFailure = OnFailure.FAIL
    transitions: dict[str, str] = {}


class Finish(Value, frozen=True):
    """End the job. Without a result of its own the rules choose one (feature A14)."""

    verdict: Verdict = Verdict.FINISHED
    result: Raw = NULL


Decision = GoTo | Dispatch | FanOut | Finish
