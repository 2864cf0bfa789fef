"""A blueprint: named states, the handler of each, and what is known of them before any job runs."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final, TypeVar, overload

import msgspec

from avtomatika.blueprints.injection import Handler, handler_of
from avtomatika.errors import BlueprintError
from avtomatika.kernel.model import Verdict

F = TypeVar("F", bound=Callable[..., Any])

UNVERSIONED: Final = "1"

_VERDICT_OF_NAME: Final = {
    "finished": Verdict.FINISHED,
    "failed": Verdict.FAILED,
    "error": Verdict.FAILED,
    "quarantined": Verdict.QUARANTINED,
}


class State(msgspec.Struct, frozen=True):
    """A state with its handler. `ends` is how a job ends there, or None when it goes on."""

    name: str
    handler: Handler
    ends: Verdict | None = None


class Blueprint:
    """A process as a state machine. States are added by the decorators `handler` and `aggregator`."""

    def __init__(
        self,
        name: str,
        api_endpoint: str | None = None,
        api_version: str | None = None,
        data_stores: Mapping[str, Any] | None = None,
        version: str | None = None,
    ) -> None:
        if not name:
            raise BlueprintError("A blueprint needs a name.")
        self.name = name
        self.api_endpoint = api_endpoint if api_endpoint is None else "/" + api_endpoint.lstrip("/")
        self.api_version = api_version
        self.version = version
        self.data_stores = SimpleNamespace(**(data_stores or {}))
        self.states: dict[str, State] = {}
        self.aggregators: dict[str, Handler] = {}
        self.start_state: str | None = None

    @property
    def end_states(self) -> frozenset[str]:
        """The names of the states in which a job ends."""
        return frozenset(state.name for state in self.states.values() if state.ends is not None)

    @property
    def edition(self) -> str:
        """The version that jobs of this blueprint are bound to; all without a `version` are one."""
        return self.version or UNVERSIONED

    @overload
    def handler(self, name: F, /) -> F: ...
    @overload
    def handler(
        self, name: str | None = None, /, *, is_start: bool = False, is_end: bool = False, outcome: str = ...
    ) -> Callable[[F], F]: ...
    def handler(
        self,
        name: Any = None,
        /,
        *,
        is_start: bool = False,
        is_end: bool = False,
        outcome: str | None = None,
    ) -> Any:
        """The decorated function handles a state: the named one, else the one of its own name.

        A job begins in the state with `is_start` and is over after one with `is_end`: as `outcome` says
        (finished, failed, quarantined), else as failed when the state is named failed or error, else as
        finished. Raises BlueprintError for a second handler of a state or a second start.
        """

        def register(function: F) -> F:
            state = name if isinstance(name, str) else function.__name__
            self._add(state, handler_of(function), is_start, _ending(state, is_end, outcome))
            return function

        return register(name) if callable(name) else register

    def handler_for(
        self, state: str, is_start: bool = False, is_end: bool = False, outcome: str | None = None
    ) -> Callable[[F], F]:
        """The spelling of 1.0b4 for `handler` with a name."""
        decorate: Callable[[F], F] = self.handler(
            state, is_start=is_start, is_end=is_end, outcome=outcome or ""
        )
        return decorate

    @overload
    def aggregator(self, name: F, /) -> F: ...
    @overload
    def aggregator(self, name: str | None = None, /) -> Callable[[F], F]: ...
    def aggregator(self, name: Any = None, /) -> Any:
        """The decorated function runs once in its state after all branches of a fan-out have ended."""

        def register(function: F) -> F:
            state = name if isinstance(name, str) else function.__name__
            if state in self.aggregators:
                raise BlueprintError(f"Aggregator for state '{state}' is already registered.")
            self.aggregators[state] = handler_of(function)
            return function

        return register(name) if callable(name) else register

    def aggregator_for(self, state: str) -> Callable[[F], F]:
        """The spelling of 1.0b4 for `aggregator` with a name."""
        decorate: Callable[[F], F] = self.aggregator(state)
        return decorate

    def add_data_store(self, name: str, store: Any) -> None:
        """Handlers find *store* as `data_stores.<name>`. Raises BlueprintError for a second of that name."""
        if hasattr(self.data_stores, name):
            raise BlueprintError(f"Data store with name '{name}' already exists.")
        setattr(self.data_stores, name, store)

    def validate(self) -> None:
        """The blueprint can start a job. Raises BlueprintError."""
        if self.start_state is None:
            raise BlueprintError(f"Blueprint '{self.name}' must have exactly one start state.")

    def _add(self, state: str, handler: Handler, is_start: bool, ends: Verdict | None) -> None:
        if state in self.states:
            raise BlueprintError(f"Default handler for state '{state}' is already registered.")
        if is_start and self.start_state is not None:
            raise BlueprintError(f"Blueprint '{self.name}' already has a start state: '{self.start_state}'.")
        self.states[state] = State(state, handler, ends)
        if is_start:
            self.start_state = state


class StateMachineBlueprint(Blueprint):
    """The name of 1.0b4 for `Blueprint`."""


def verdict_of_name(state: str) -> Verdict | None:
    """How a job ends that enters a state of this name which has no handler, or None for other names."""
    return _VERDICT_OF_NAME.get(state)


def _ending(state: str, is_end: bool, outcome: str | None) -> Verdict | None:
    if not is_end:
        if outcome:
            raise BlueprintError(f"State '{state}' has an outcome but is no end state.")
        return None
    if not outcome:
        return _VERDICT_OF_NAME.get(state, Verdict.FINISHED)
    if outcome not in tuple(Verdict):
        raise BlueprintError(f"The outcome of state '{state}' is none of {', '.join(Verdict)}.")
    return Verdict(outcome)
