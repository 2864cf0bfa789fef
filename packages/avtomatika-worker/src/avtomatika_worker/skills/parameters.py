"""The parameters of a task, in the shape that the handler's annotation asks for."""

import dataclasses
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from avtomatika_worker.errors import InvalidInputError
from avtomatika_worker.skills.json_shape import is_array, is_object

__all__ = ["Converter", "converter_for", "decode_json", "is_pydantic_model", "missing", "within"]

Converter = Callable[[Any], Any]

_UNTYPED: Final[frozenset[Any]] = frozenset({Any, object, dict, Mapping})


def decode_json(raw: msgspec.Raw) -> Any:
    """The value that ``raw`` holds; an empty dict for ``null``.

    Raises InvalidInputError when it cannot be represented, such as numbers out of range.
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidInputError(f"The parameters cannot be decoded: {error}") from None
    return {} if value is None else value


def converter_for(annotation: Any) -> Converter | None:
    """Turns decoded JSON into what ``annotation`` names; None when JSON itself is wanted.

    Keys that a class does not know are dropped. The converter raises InvalidInputError with the
    message of the failed check, and as ``field`` of its details the place, if that is known.
    """
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation in _UNTYPED:
        return None
    if get_origin(annotation) in (Union, types.UnionType):
        return _for_union(annotation)
    if is_pydantic_model(annotation):
        return _reporting(annotation.model_validate)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        plain = _by_construction(annotation)
        return plain if _needs_construction(annotation) else _by_msgspec(annotation, plain)
    return _by_msgspec(annotation, _as_it_is)


def is_pydantic_model(kind: Any) -> bool:
    """Whether ``kind`` is a pydantic model; pydantic is not imported to find out."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def missing(name: str) -> InvalidInputError:
    """The error that says so."""
    return _invalid(f"Missing required parameter: {name}", name)


def within(name: str, error: InvalidInputError) -> InvalidInputError:
    """The error about a part of the parameter ``name``."""
    inner: str = (error.details or {}).get("field", "")
    dot = "." if inner and not inner.startswith("[") else ""
    return InvalidInputError(str(error), details={**(error.details or {}), "field": name + dot + inner})


def _invalid(message: str, field: str = "") -> InvalidInputError:
    return InvalidInputError(message, details={"field": field} if field else None)


def _as_it_is(value: Any) -> Any:
    return value


def _for_union(annotation: Any) -> Converter | None:
    choices = [choice for choice in get_args(annotation) if choice is not types.NoneType]
    if len(choices) != 1:
        return _by_msgspec(annotation, _as_it_is)
    convert = converter_for(choices[0])
    if convert is None or len(get_args(annotation)) == 1:
        return convert
    return lambda value: None if value is None else convert(value)


def _needs_construction(kind: type[Any]) -> bool:
    """Whether only a call of ``kind`` makes a sound instance: msgspec fills in fields itself."""
    generated = getattr(getattr(kind, "__dataclass_params__", None), "init", False)
    fields = {field.name for field in dataclasses.fields(kind) if field.init}
    takes = set(inspect.signature(kind).parameters)
    return not generated or fields != takes or hasattr(kind, "__pydantic_validator__")


def _reporting(make: Converter) -> Converter:
    def convert(value: Any) -> Any:
        try:
            return make(value)
        except InvalidInputError:
            raise
        except (TypeError, ValueError) as error:
            raise _invalid(str(error), _field_of(error)) from error

    return convert


def _by_construction(kind: type[Any]) -> Converter:
    parameters = inspect.signature(kind).parameters
    required = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]

    def make(value: Any) -> Any:
        if not is_object(value):
            raise TypeError("Expected `object`")
        for name in required:
            if name not in value:
                raise missing(name)
        return kind(**{name: item for name, item in value.items() if name in parameters})

    return _reporting(make)


def _by_msgspec(kind: Any, otherwise: Converter) -> Converter:
    """``otherwise`` is for a ``kind`` that is, or contains, something msgspec knows nothing of."""
    try:
        msgspec.json.Decoder(kind)
    except (TypeError, RecursionError, NameError):
        return otherwise

    def convert(value: Any) -> Any:
        try:
            return msgspec.convert(value, kind, dec_hook=_foreign)
        except NotImplementedError:
            return otherwise(value)
        except msgspec.ValidationError as first:
            # JSON has one kind of number: 3.0 is as good as 3 where a whole number is wanted.
            try:
                return msgspec.convert(_whole_numbers(value), kind, dec_hook=_foreign)
            except (msgspec.ValidationError, NotImplementedError):
                raise _by_its_text(str(first)) from first

    return convert


def _foreign(kind: Any, value: Any) -> Any:
    if is_pydantic_model(kind):
        return kind.model_validate(value)
    if isinstance(kind, type) and issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    raise NotImplementedError


def _field_of(error: Exception) -> str:
    """The place that an error of pydantic is about first."""
    errors: Any = getattr(error, "errors", None)
    if not callable(errors):
        return ""
    found: Any = errors()
    steps: tuple[int | str, ...] = found[0].get("loc", ()) if found else ()
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _by_its_text(text: str) -> InvalidInputError:
    """What msgspec says, in our words; the place is at the end of its text."""
    message, _, path = text.partition(" - at `$")
    place = path.removesuffix("`").removeprefix(".")
    absent = "Object missing required field `"
    if not message.startswith(absent):
        return _invalid(text, place)
    name = message.removeprefix(absent).removesuffix("`")
    where = f" - at `${path}" if path else ""
    return _invalid(f"Missing required parameter: {name}{where}", f"{place}.{name}" if place else name)


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if is_object(value):
        return {name: _whole_numbers(member) for name, member in value.items()}
    if is_array(value):
        return [_whole_numbers(item) for item in value]
    return value
