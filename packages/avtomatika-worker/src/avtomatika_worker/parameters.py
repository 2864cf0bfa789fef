"""The parameters of a task, in the shape that the handler's annotation asks for."""

import dataclasses
import sys
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from avtomatika_worker.errors import InvalidInputError
from avtomatika_worker.json_shape import is_array, is_object

__all__ = ["Converter", "converter_for", "decode_json"]

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

    The converter raises InvalidInputError with the message of the failed check.
    """
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation in _UNTYPED:
        return None
    if _is_pydantic_model(annotation):
        return _reporting(annotation.model_validate)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        plain = _plain_dataclass(annotation)
        if hasattr(annotation, "__pydantic_validator__") or "__init__" not in _generated(annotation):
            return plain
        return _by_msgspec(annotation) or plain
    if get_origin(annotation) in (Union, types.UnionType) and any(
        map(_is_pydantic_model, get_args(annotation))
    ):
        return None
    return _by_msgspec(annotation)


def _is_pydantic_model(annotation: Any) -> bool:
    # Imported only by a user who has such a model, so that pydantic stays optional.
    pydantic = sys.modules.get("pydantic")
    return (
        pydantic is not None and isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel)
    )


def _generated(kind: type[Any]) -> set[str]:
    """Names of the methods that ``dataclass`` made for ``kind``."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return {"__init__"} if getattr(parameters, "init", False) else set()


def _reporting(make: Converter) -> Converter:
    def convert(value: Any) -> Any:
        try:
            return make(value)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(str(error)) from error

    return convert


def _plain_dataclass(kind: type[Any]) -> Converter:
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    required = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def make(value: Any) -> Any:
        if not is_object(value):
            raise TypeError(f"Expected an object, got {type(value).__name__}")
        for name in required:
            if name not in value:
                raise TypeError(f"Missing required parameter: {name}")
        return kind(**{name: item for name, item in value.items() if name in fields})

    return _reporting(make)


def _by_msgspec(kind: Any) -> Converter | None:
    """None when ``kind`` is, or contains, something that msgspec knows nothing of."""
    try:
        msgspec.json.Decoder(kind)
    except (TypeError, RecursionError, NameError):
        return None

    def convert(value: Any) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as first:
            # JSON has one kind of number: 3.0 is as good as 3 where a whole number is wanted.
            try:
                return msgspec.convert(_whole_numbers(value), kind)
            except msgspec.ValidationError:
                raise InvalidInputError(_message(first)) from first

    return convert


def _message(error: msgspec.ValidationError) -> str:
    text = str(error)
    missing = "Object missing required field `"
    if text.startswith(missing):
        name, _, where = text.removeprefix(missing).partition("`")
        return f"Missing required parameter: {name}{where}"
    return text


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if is_object(value):
        return {name: _whole_numbers(member) for name, member in value.items()}
    if is_array(value):
        return [_whole_numbers(item) for item in value]
    return value
