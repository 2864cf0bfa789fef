"""Texts anywhere in JSON values, and what takes their place."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from avtomatika_worker.skills.json_shape import is_array, is_object

__all__ = ["Spot", "spots"]


class Spot(NamedTuple):
    """Where a text is. ``path`` is how one would write it: ``images[0].source``."""

    holder: Any
    key: Any
    text: str
    path: str

    def put(self, text: str) -> None:
        """There is ``text`` now instead."""
        self.holder[self.key] = text


def spots(holder: dict[str, Any]) -> Iterator[Spot]:
    """Every text in the values of ``holder``, however deep; keys are none of them."""
    waiting: list[tuple[Any, str]] = [(holder, "")]
    while waiting:
        inside, path = waiting.pop()
        for key, value, here in _members(inside, path):
            if isinstance(value, str):
                yield Spot(inside, key, value, here)
            elif is_object(value) or is_array(value):
                waiting.append((value, here))


def _members(inside: Any, path: str) -> Iterable[tuple[Any, Any, str]]:
    if is_object(inside):
        return [(key, value, f"{path}.{key}" if path else key) for key, value in inside.items()]
    return [(number, value, f"{path}[{number}]") for number, value in enumerate(inside)]
