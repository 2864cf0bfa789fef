"""What the input and the result of a job must be like, and who is told when they are not (feature A17)."""

import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, get_type_hints

import msgspec
from msgspec import Raw

from avtomatika.blueprints.encoding import decoded
from avtomatika.blueprints.schema import broken, check_schema
from avtomatika.blueprints.shapes import Maker, Shape, any_of, first_of, shape_of
from avtomatika.errors import BlueprintError, ContractViolation, InvalidInput
from avtomatika.kernel.model import Data

INPUT: Final = "initial_data"
RESULT: Final = "return"
MAX_SAID: Final = 500

_UNTYPED: Final = re.compile(r"(typing\.|t\.|abc\.)?([Dd]ict|(Mutable)?Mapping|Any|None)\b")


class Contract(msgspec.Struct, frozen=True):
    """A schema, as JSON and as a value, and how an instance is made when a class says what data is like."""

    schema: Mapping[str, Any]
    encoded: bytes
    make: Maker | None = None

    def check(self, name: str, value: object) -> None:
        """The decoded *value*, called *name*, keeps the contract. Raises ContractViolation."""
        found = broken(self.encoded, value)
        if found is not None:
            raise _violation(name, found.path, found.message)
        if self.make is not None:
            made(self.make, name, value)


class Accepting(Protocol):
    """Something that takes input: a blueprint."""

    @property
    def input_contract(self) -> Contract | None:
        """What the input must be like, or None when anything will do."""
        ...


def accept_input(blueprint: Accepting, data: Data) -> None:
    """The blueprint takes *data* as the input of a job; the data itself stays as it came.

    Raises ContractViolation whose `field` is the path of what is wrong, such as
    `initial_data.items[2].price`.
    """
    contract = blueprint.input_contract
    if contract is not None:
        contract.check(INPUT, {name: decoded(value) for name, value in data.items()})


def check_result(contract: Contract, result: Raw) -> None:
    """The result keeps the contract. Raises ContractViolation."""
    contract.check("result", decoded(result))


def made(make: Maker, name: str, value: object) -> Any:
    """The instance that *make* makes of the value called *name*. Raises ContractViolation."""
    try:
        return make(value)
    except ContractViolation as refusal:
        raise _violation(name, refusal.field or "", refusal.message) from refusal


def given_contract(what: str, schema: Mapping[str, Any] | None) -> Contract | None:
    """The contract of a schema that was written out, or None without one. Raises BlueprintError."""
    return None if schema is None else _contract(what, schema)


def input_contract(given: Contract | None, shapes: Iterable[Shape | None]) -> Contract | None:
    """What a job can begin with: *given*, else any of the shapes that all its first handlers name.

    None when one of those handlers takes anything. Raises BlueprintError.
    """
    known = _all_known(shapes)
    make = first_of([shape.make for shape in known]) if known else None
    if given is not None:
        return msgspec.structs.replace(given, make=make)
    return _contract("input", any_of([shape.accepts() for shape in known]), make) if known else None


def output_contract(given: Contract | None, shapes: Iterable[Shape | None]) -> Contract | None:
    """What a job can finish with: *given*, else any of the shapes that all its last handlers name."""
    known = _all_known(shapes)
    if given is not None or not known:
        return given
    return _contract("output", any_of([shape.returns() for shape in known]))


def annotated_shape(function: Callable[..., Any], name: str) -> Shape | None:
    """The shape that the annotation of the argument *name* names, or of what is returned; else None.

    Raises BlueprintError when the annotation is a text that says nothing where the function is.
    """
    plain = _function(function)
    annotation = plain.__annotations__.get(name) if plain is not None else None
    if plain is None or annotation is None:
        return None
    if isinstance(annotation, str) and _UNTYPED.match(annotation):
        return None
    try:
        closure = inspect.getclosurevars(plain).nonlocals
        probe = type("probe", (), {"__annotations__": {name: annotation}})
        found = get_type_hints(probe, plain.__globals__, {**closure}, include_extras=True)[name]
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        message = f"The annotation of '{name}' of {plain.__qualname__} cannot be read: {error}"
        raise BlueprintError(message) from error
    return shape_of(found)


def _all_known(shapes: Iterable[Shape | None]) -> list[Shape]:
    listed = list(shapes)
    known = [shape for shape in listed if shape is not None]
    return known if len(known) == len(listed) else []


def _contract(what: str, schema: Mapping[str, Any], make: Maker | None = None) -> Contract:
    try:
        encoded = msgspec.json.encode(schema)
        check_schema(encoded)
    except (TypeError, ValueError, InvalidInput) as error:
        raise BlueprintError(f"The {what} schema of a blueprint cannot be used: {error}") from error
    return Contract(schema, encoded, make)


def _violation(name: str, path: str, message: str) -> ContractViolation:
    said = message if len(message) <= MAX_SAID else f"{message[:MAX_SAID]}…"
    return ContractViolation(f"{name}{path}: {said}", field=f"{name}{path}")


def _function(function: Callable[..., Any]) -> types.FunctionType | None:
    """The function behind a decorated one, a partial one, a method, or an object that can be called."""
    found: Any = inspect.unwrap(getattr(function, "func", function))
    if not inspect.isroutine(found):
        found = found.__call__
    found = getattr(found, "__func__", found)
    return found if isinstance(found, types.FunctionType) else None
