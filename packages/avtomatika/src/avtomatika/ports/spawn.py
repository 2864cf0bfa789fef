"""Work beside the caller, owned by the supervisor of the node."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Spawn(Protocol):
    """Starts work that the node owns: it is awaited at drain and cancelled when its time is over."""

    def __call__(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """The work is under way."""
        ...
