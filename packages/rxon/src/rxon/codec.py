"""JSON in and out, for every message of the protocol."""

import re
from typing import Any, Final, TypeVar

import msgspec

from rxon.errors import ProtocolError

__all__ = ["decode", "encode"]

T = TypeVar("T")

encode: Final = msgspec.json.Encoder().encode

_PATH = re.compile(r" - at `\$\.?(?P<path>.*)`$")
_decoders: Final[dict[type[Any], msgspec.json.Decoder[Any]]] = {}
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`")


def decode(kind: type[T], data: bytes | bytearray | memoryview) -> T:
    """The message of type ``kind`` that ``data`` holds.

    Fields that are not part of ``kind`` are skipped. ``msgspec.Raw`` fields share memory with
    ``data``: copy one that is to outlive it. Raises ProtocolError, with the path of the field
    when one is at fault, and nothing else.
    """
    try:
        str(data, "utf-8")  # strings inside raw payloads would pass unchecked
        decoder = _decoders.get(kind) or _decoders.setdefault(kind, msgspec.json.Decoder(kind))
        message: T = decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _invalid(kind, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"Invalid JSON body: {error}") from None
    except RecursionError:
        raise ProtocolError("Invalid JSON body: nested too deeply") from None
    return message


def _invalid(kind: type[Any], text: str) -> ProtocolError:
    at = _PATH.search(text)
    missing = _MISSING.match(text)
    path = [at["path"]] if at and at["path"] else []
    if missing:
        path.append(missing["name"])
    field = ".".join(path)
    message = f"Invalid {getattr(kind, '__name__', 'message')} payload: {text}"
    return ProtocolError(message, details={"field": field} if field else None)
