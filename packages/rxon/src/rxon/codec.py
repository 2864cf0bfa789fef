"""JSON in and out, for every message of the protocol."""

import math
import re
from typing import Any, Final, TypeVar

import msgspec

from rxon.errors import ProtocolError

__all__ = ["decode", "encode", "parse_float"]

T = TypeVar("T")

encode: Final = msgspec.json.Encoder().encode

_PATH = re.compile(r" - at `\$\.?(?P<path>.*)`$")
_decoders: Final[dict[type[Any], msgspec.json.Decoder[Any]]] = {}
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`")


def parse_float(text: str) -> float:
    """The number that ``text`` says. Raises ValueError when it is out of range.

    Decoders of untyped JSON take it as their ``float_hook``: their own way with numbers such as 1e300 takes
    a hundred times as long, which whoever sends a body full of them would make use of.
    """
    number = float(text)
    if math.isinf(number):
        raise ValueError("Number out of range")
    return number


def decode(kind: type[T], data: bytes | bytearray | memoryview) -> T:
    """The message of type ``kind`` that ``data`` holds.

    Fields that are not part of ``kind`` are skipped. ``msgspec.Raw`` fields share memory with
    ``data``: copy one that is to outlive it. Raises ProtocolError, with the path of the field
    when one is at fault, and nothing else.
    """
    try:
        str(data, "utf-8")  # strings inside raw payloads would pass unchecked
        decoder = _decoders.get(kind) or _decoders.setdefault(kind, _decoder(kind))
        message: T = decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _invalid(kind, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"Invalid JSON body: {error}") from None
    except RecursionError:
        raise ProtocolError("Invalid JSON body: nested too deeply") from None
    return message


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind, float_hook=parse_float)


def _invalid(kind: type[Any], text: str) -> ProtocolError:
    at = _PATH.search(text)
    missing = _MISSING.match(text)
    path = [at["path"]] if at and at["path"] else []
    if missing:
        path.append(missing["name"])
    field = ".".join(path)
    message = f"Invalid {getattr(kind, '__name__', 'message').lstrip('_')} payload: {text}"
    return ProtocolError(message, details={"field": field} if field else None)
