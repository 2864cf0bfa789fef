"""A blueprint: named states, the handler of each, and what is known of them before any job runs."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, overload

import msgspec

from avtomatika import observe
from avtomatika.blueprints.chart import Chart, Charted, Node, chart_of
from avtomatika.blueprints.contracts import Contract, given_contract, input_contract, output_contract
from avtomatika.blueprints.data_stores import DataStores
from avtomatika.blueprints.graph import rendered
from avtomatika.blueprints.injection import Handler, handler_of
from avtomatika.blueprints.states import Conditional, Registration, State, ending
from avtomatika.blueprints.validation import Finding, Severity, findings
from avtomatika.errors import BlueprintError
from avtomatika.kernel.model import Verdict

F = TypeVar("F", bound=Callable[..., Any])

UNVERSIONED: Final = "1"

_PART: Final = re.compile(r"[A-Za-z0-9._~-]+")


class Blueprint:
    """A process as a state machine. States are added by the decorators `handler` and `aggregator`."""

    def __init__(  # noqa: PLR0913 - the signature that blueprints know, and contracts
        self,
        name: str,
        api_endpoint: str | None = None,
        api_version: str | None = None,
        data_stores: Mapping[str, Any] | None = None,
        version: str | None = None,
        *,
        input_schema: Mapping[str, Any] | None = None,
        output_schema: Mapping[str, Any] | None = None,
    ) -> None:
        """The schemas are JSON Schemas; without them the annotations of handlers say what data is like.

        Raises BlueprintError.
        """
        if not name:
            raise BlueprintError("A blueprint needs a name.")
        self.name = name
        self.api_endpoint = api_endpoint if api_endpoint is None else "/" + api_endpoint.lstrip("/")
        if self.api_endpoint is not None and not _is_endpoint(self.api_endpoint):
            raise BlueprintError(f"The endpoint of blueprint '{name}' is no plain path: {api_endpoint!r}.")
        if api_version is not None and not _is_endpoint("/" + api_version, 1):
            raise BlueprintError(f"The API version of blueprint '{name}' is no name: {api_version!r}.")
        self.api_version = api_version
        self.version = version
        self.data_stores = DataStores(**(data_stores or {}))
        self.states: dict[str, State] = {}
        self.aggregators: dict[str, Handler] = {}
        self.start_state: str | None = None
        self._told: tuple[Finding, ...] = ()
        self._given = given_contract("input", input_schema), given_contract("output", output_schema)
        self._contracts: tuple[Contract | None, Contract | None] | None = None

    @property
    def end_states(self) -> frozenset[str]:
        """The names of the states in which a job ends."""
        return frozenset(state.name for state in self.states.values() if state.ends is not None)

    @property
    def edition(self) -> str:
        """The version that jobs of this blueprint are bound to; all without a `version` are one."""
        return self.version or UNVERSIONED

    @property
    def input_contract(self) -> Contract | None:
        """What the input of a job must be like, or None when anything will do. Raises BlueprintError."""
        return self._agreed()[0]

    @property
    def output_contract(self) -> Contract | None:
        """What the result of a finished job must be like, or None. Raises BlueprintError."""
        return self._agreed()[1]

    @property
    def input_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the input, or None when anything will do. Raises BlueprintError."""
        return None if self.input_contract is None else dict(self.input_contract.schema)

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the result of a finished job, or None. Raises BlueprintError."""
        return None if self.output_contract is None else dict(self.output_contract.schema)

    @overload
    def handler(self, name: F, /) -> F: ...
    @overload
    def handler(
        self, name: str | None = None, /, *, is_start: bool = False, is_end: bool = False, outcome: str = ...
    ) -> Registration: ...
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
        finished. Raises BlueprintError for a second default handler of a state or a second start.
        """

        def register(function: Callable[..., Any], conditional: Conditional | None) -> None:
            state = name if isinstance(name, str) else function.__name__
            if is_start and self.start_state not in (None, state):
                raise BlueprintError(
                    f"Blueprint '{self.name}' already has a start state: '{self.start_state}'."
                )
            self._add(state, conditional or handler_of(function), ending(state, is_end, outcome))
            self.start_state = state if is_start else self.start_state

        registration = Registration(register)
        return registration(name) if callable(name) else registration

    def handler_for(
        self, state: str, is_start: bool = False, is_end: bool = False, outcome: str | None = None
    ) -> Registration:
        """The spelling of 1.0b4 for `handler` with a name."""
        return self.handler(state, is_start=is_start, is_end=is_end, outcome=outcome or "")

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

    def chart(self) -> Chart:
        """The states and the ways between them that the sources of the handlers name."""
        names = dict.fromkeys((*self.states, *self.aggregators))
        return chart_of(self.name, self.version, [self._charted(name) for name in names])

    def check(self) -> tuple[Finding, ...]:
        """Everything that is wrong, or may be, as far as it can be known before a job runs."""
        try:
            self._agreed()
        except BlueprintError as error:
            return (Finding(Severity.ERROR, "", f"Blueprint '{self.name}': {error.message}"),)
        return findings(self.chart())

    def validate(self) -> None:
        """Nothing is wrong for certain; what may be wrong is on the log. Raises BlueprintError."""
        found = self.check()
        errors = [finding.message for finding in found if finding.severity is Severity.ERROR]
        if errors:
            raise BlueprintError(" ".join(errors))
        for finding in found:
            if finding not in self._told:
                observe.warning("blueprint.suspect", message=finding.message)
        self._told = found

    def render_graph(self, output_filename: str | Path | None = None, output_format: str = "dot") -> str:
        """The graph as dot, json, mermaid or svg, which is also in the file when one is named.

        Raises InvalidInput for another format, OSError when the file cannot be written.
        """
        text = rendered(self.chart(), output_format)
        if output_filename is not None:
            Path(output_filename).write_text(text, "utf-8")
        return text

    def _agreed(self) -> tuple[Contract | None, Contract | None]:
        if self._contracts is None:
            every = [handler for state in self.states.values() for handler in state.handlers]
            for handler in (*every, *self.aggregators.values()):
                _ = handler.accepts  # what cannot be read is told before any job runs
            start = self.states.get(self.start_state or "")
            first = () if start is None else start.handlers
            last = [state for state in self.states.values() if state.ends is Verdict.FINISHED]
            self._contracts = (
                input_contract(self._given[0], [handler.accepts for handler in first]),
                output_contract(self._given[1], [h.returns for state in last for h in state.handlers]),
            )
        return self._contracts

    def _charted(self, name: str) -> Charted:
        state, aggregator = self.states.get(name, State(name)), self.aggregators.get(name)
        handlers = [(each.text, each.handler) for each in state.conditional]
        handlers += [("", handler) for handler in (state.default, aggregator) if handler is not None]
        is_start, aggregates = name == self.start_state, aggregator is not None
        return Charted(Node(name, state.ends, is_start, aggregates), handlers)

    def _add(self, name: str, handler: Handler | Conditional, ends: Verdict | None) -> None:
        known = self.states.get(name, State(name))
        ends = known.ends if ends is None else ends
        if isinstance(handler, Conditional):
            added = msgspec.structs.replace(known, conditional=(*known.conditional, handler), ends=ends)
        elif known.default is None:
            added = msgspec.structs.replace(known, default=handler, ends=ends)
        else:
            raise BlueprintError(f"Default handler for state '{name}' is already registered.")
        self.states[name] = added
        self._contracts = None


class StateMachineBlueprint(Blueprint):
    """The name of 1.0b4 for `Blueprint`."""


def _is_endpoint(path: str, most: int = 32) -> bool:
    parts = path.split("/")[1:]
    return len(parts) <= most and all(_PART.fullmatch(part) and part.strip(".") for part in parts)
