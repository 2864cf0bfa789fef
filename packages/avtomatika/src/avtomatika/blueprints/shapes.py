"""Classes of the user as descriptions of data: a schema, and instances made of JSON (feature A17).

Dataclasses, msgspec structs, typed dictionaries and models of pydantic are shapes. Pydantic is not
imported to find out: whoever has a model has imported it.
"""

import dataclasses
import inspect
import sys
import types
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin, is_typeddict

import msgspec

from avtomatika.blueprints.schema import path_of
from avtomatika.errors import BlueprintError, ContractViolation
from rxon.schema.extraction import Mode, Schema, extract_schema, is_model

Maker = Callable[[Any], Any]


class Shape(msgspec.Struct, frozen=True):
    """A class that says what data is like.

    `make` turns decoded JSON into an instance; it raises ContractViolation whose `field` is the path within
    the data. `accepts` and `returns` make the schema of what comes in and goes out; they raise BlueprintError
    when there can be none.
    """

    accepts: Callable[[], Schema]
    returns: Callable[[], Schema]
    make: Maker


def shape_of(annotation: Any) -> Shape | None:
    """The shape that the annotation names, or None when it names none.

    A union is a shape when all its members are; `None` may be among them.
    """
    annotation = _bare(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return _of_union([_bare(member) for member in get_args(annotation)])
    if not _is_shape(annotation):
        return None
    if is_model(annotation):
        return _of_pydantic(annotation)
    make = _by_call(annotation) if _has_own_init(annotation) else _by_msgspec(annotation)
    schema = partial(_schema_of, annotation)
    return Shape(schema, schema, make)


def any_of(schemas: list[Schema]) -> Schema:
    """The schema of what one of *schemas* allows. Raises BlueprintError when two use a name differently."""
    distinct = [schema for n, schema in enumerate(schemas) if schema not in schemas[:n]]
    if len(distinct) == 1:
        return distinct[0]
    shared: Schema = {}
    for schema in distinct:
        for name, definition in schema.get("$defs", {}).items():
            if shared.setdefault(name, definition) != definition:
                raise BlueprintError(f"Two classes of one contract are both called '{name}'.")
    choices = [{key: part for key, part in schema.items() if key != "$defs"} for schema in distinct]
    return {"anyOf": choices, "$defs": shared} if shared else {"anyOf": choices}


def first_of(makers: list[Maker]) -> Maker:
    """What the first of *makers* makes that does not refuse; else the first refusal is raised."""
    if len(makers) == 1:
        return makers[0]

    def make(value: Any) -> Any:
        refusals: list[ContractViolation] = []
        for each in makers:
            try:
                return each(value)
            except ContractViolation as refusal:
                refusals.append(refusal)
        raise refusals[0]

    return make


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _is_shape(annotation: Any) -> bool:
    kind: Any = get_origin(annotation) or annotation
    if not inspect.isclass(kind):
        return False
    known = is_typeddict(kind) or dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct)
    return known or is_model(kind)


def _of_union(members: list[Any]) -> Shape | None:
    shapes = [shape_of(member) for member in members if member is not types.NoneType]
    known = [shape for shape in shapes if shape is not None]
    if not known or len(known) < len(shapes):
        return None
    null: list[Schema] = [{"type": "null"}] if types.NoneType in members else []
    return Shape(
        accepts=lambda: any_of([*(shape.accepts() for shape in known), *null]),
        returns=lambda: any_of([*(shape.returns() for shape in known), *null]),
        make=first_of([shape.make for shape in known]),
    )


def _schema_of(kind: Any, mode: Mode = "validation") -> Schema:
    try:
        return extract_schema(kind, closed=False, mode=mode)
    except TypeError as error:
        raise BlueprintError(str(error)) from error


def _adapter(kind: Any) -> Any:
    return sys.modules["pydantic"].TypeAdapter(kind)


def _of_pydantic(kind: Any) -> Shape:
    adapter = _adapter(kind)
    refused = sys.modules["pydantic"].ValidationError

    def make(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except refused as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ContractViolation(str(first["msg"]), field=path_of(first["loc"])) from error

    return Shape(partial(_schema_of, kind, "validation"), partial(_schema_of, kind, "serialization"), make)


def _has_own_init(kind: Any) -> bool:
    """Whether only a call of the dataclass makes a sound instance: msgspec fills in fields itself."""
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is None:
        return False
    fields = {field.name for field in dataclasses.fields(kind) if field.init}
    return not parameters.init or fields != set(inspect.signature(kind).parameters)


def _by_call(kind: Any) -> Maker:
    parameters = inspect.signature(kind).parameters

    def make(value: Any) -> Any:
        if not _is_object(value):
            raise ContractViolation("Expected an object.")
        try:
            return kind(**{name: member for name, member in value.items() if name in parameters})
        except (TypeError, ValueError, AssertionError) as error:
            raise ContractViolation(str(error)) from error

    return make


def _by_msgspec(kind: Any) -> Maker:
    def make(value: Any) -> Any:
        try:
            return _converted(value, kind)
        except msgspec.ValidationError as error:
            message, _, place = str(error).partition(" - at `$")
            raise ContractViolation(message, field=place.removesuffix("`")) from error
        except AssertionError as error:
            raise ContractViolation(str(error)) from error

    return _keeping(make) if is_typeddict(get_origin(kind) or kind) else make


def _keeping(make: Maker) -> Maker:
    """A dictionary that is as its type says is the instance, with all that the type does not know."""

    def keep(value: Any) -> Any:
        made = make(value)
        return value if made.items() <= value.items() else made

    return keep


def _converted(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, dec_hook=_foreign)
    except msgspec.ValidationError:
        # JSON has one kind of number: 3.0 is as good as 3 where a whole number is wanted.
        return msgspec.convert(_whole_numbers(value), kind, dec_hook=_foreign)


def _foreign(kind: Any, value: Any) -> Any:
    if is_model(kind):
        return _adapter(kind).validate_python(value)
    if kind is object:
        return value
    raise TypeError(f"No JSON is a {getattr(kind, '__name__', kind)}")


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if _is_object(value):
        return {name: _whole_numbers(member) for name, member in value.items()}
    if _is_array(value):
        return [_whole_numbers(item) for item in value]
    return value


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
