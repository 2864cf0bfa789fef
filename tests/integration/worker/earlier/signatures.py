"""How earlier orchestrators verify messages, with nothing but the standard library."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any


def of_o21(message: dict[str, Any], key: str, *ignored: str) -> str:
    """Without the nulls in objects and arrays; floats stay floats."""
    return _mac(_without_nulls(_signed(message, ignored), in_arrays=True), key)


def of_r14(message: dict[str, Any], key: str, *ignored: str) -> str:
    """Without the nulls in objects; floats of integral value are integers."""
    return _mac(_integral(_without_nulls(_signed(message, ignored), in_arrays=False)), key)


Sign = Callable[..., str]


def _signed(message: dict[str, Any], ignored: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in {"security", *ignored}}


def _mac(value: Any, key: str) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _without_nulls(value: Any, *, in_arrays: bool) -> Any:
    if isinstance(value, dict):
        return {n: _without_nulls(v, in_arrays=in_arrays) for n, v in value.items() if v is not None}
    if isinstance(value, list):
        kept = (item for item in value if item is not None or not in_arrays)
        return [_without_nulls(item, in_arrays=in_arrays) for item in kept]
    return value


def _integral(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _integral(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_integral(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
