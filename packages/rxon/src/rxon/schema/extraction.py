"""The JSON Schema of a Python type.

Pydantic is not imported to find out whether a type is one of its models: whoever has one has imported it.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeGuard, get_type_hints

import msgspec

__all__ = ["Mode", "Schema", "extract_schema", "is_model"]

Schema = dict[str, Any]
Mode = Literal["validation", "serialization"]

_DEFS: Final = "#/$defs/"
_ANYTHING: Final[Schema] = {"type": ["null", "boolean", "number", "string", "array", "object"]}


def extract_schema(kind: Any, *, closed: bool = True, mode: Mode = "validation") -> Schema:
    """The schema of ``kind``: whatever msgspec knows, and named tuples and models of pydantic.

    A mapping is a schema already. The definition of ``kind`` is at the top, those that it refers to are in
    ``$defs``. Objects take no member that is not declared if ``closed``. For a model of pydantic, ``mode``
    says whether it is read or written. Raises TypeError when there can be none.
    """
    if _is_mapping(kind):
        return dict(kind)
    try:
        schema = _made(kind, mode)
    except (TypeError, ValueError, NameError, RuntimeError) as error:  # the last one is that of pydantic, too
        raise TypeError(_no_schema(kind, error)) from error
    if closed:
        for part in (schema, *schema.get("$defs", {}).values()):
            if "properties" in part:
                part.setdefault("additionalProperties", False)
    return schema


def is_model(kind: Any) -> bool:
    """True for models and dataclasses of pydantic."""
    return hasattr(kind, "__pydantic_validator__")


def _made(kind: Any, mode: Mode) -> Schema:
    if is_model(kind):
        found: Schema = _adapter(kind).json_schema(mode=mode)
        return found
    if _is_named_tuple(kind):
        kind = _struct_of(kind)
    return _unfolded(msgspec.json.schema(kind, schema_hook=_foreign))


def _foreign(kind: type) -> Schema:
    if kind is object:
        return dict(_ANYTHING)
    if not is_model(kind):
        raise NotImplementedError
    schema: Schema = _adapter(kind).json_schema()
    if "$defs" in schema:  # its references would be looked up in the schema around it
        raise ValueError(f"{kind.__name__} has models within it")
    return schema


def _unfolded(schema: Schema) -> Schema:
    """The schema with its definition at the top, where readers look for it."""
    name = schema.get("$ref", "").removeprefix(_DEFS)
    rest: Schema = dict(schema.get("$defs", {}))
    if name not in rest or (_DEFS + name).encode() in msgspec.json.encode(rest):
        return schema
    top: Schema = rest.pop(name)
    return {**top, "$defs": rest} if rest else top


def _struct_of(kind: type[NamedTuple]) -> type:
    """Skills take and give named tuples as objects, where msgspec has arrays."""
    hints = get_type_hints(kind)
    defaults = kind._field_defaults
    fields = [(n, hints[n], defaults[n]) if n in defaults else (n, hints[n]) for n in kind._fields]
    return msgspec.defstruct(kind.__name__, fields, kw_only=True, namespace={"__doc__": kind.__doc__})


def _is_named_tuple(kind: Any) -> TypeGuard[type[NamedTuple]]:
    return hasattr(kind, "_field_defaults") and issubclass(kind, tuple)


def _is_mapping(kind: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(kind, Mapping)


def _adapter(kind: Any) -> Any:
    return sys.modules["pydantic"].TypeAdapter(kind)


def _no_schema(kind: Any, error: Exception) -> str:
    why = " ".join(str(error).split())
    return f"No JSON Schema can be made of {getattr(kind, '__name__', kind)}, give one by hand: {why}"
