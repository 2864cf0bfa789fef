"""A store and a registry as one node sees them: some way off, and never heard of again when it is killed."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from avtomatika.app.backends import Backend
from avtomatika.errors import Unavailable

FAR = 0.001
"""The longest way to the store and back, in seconds; nodes overtake each other on it."""

LOCAL = frozenset({"wait"})


class Life:
    """One life of a process."""

    def __init__(self, name: str) -> None:
        self._chance = random.Random(name)
        self._killed = asyncio.Event()
        self._buried = asyncio.Event()

    @property
    def is_over(self) -> bool:
        return self._killed.is_set()

    def kill(self) -> None:
        """What the node asks from now on is never asked, and what it asked is never answered."""
        self._killed.set()

    def bury(self) -> None:
        """What is left of a node that was killed may end."""
        self._buried.set()

    async def call(self, verb: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        await self._travel(verb)
        if not self.is_over:
            try:
                answer = await verb(*args, **kwargs)
            finally:
                await self._travel(verb)
            if not self.is_over:
                return answer
        await self._buried.wait()
        raise Unavailable("The process is dead.")

    async def _travel(self, verb: Callable[..., Awaitable[Any]]) -> None:
        if verb.__name__ not in LOCAL:
            await asyncio.sleep(self._chance.uniform(0, FAR / 2))


class Mortal:
    """Anything with verbs, as the node of that life sees it."""

    def __init__(self, inner: Any, life: Life) -> None:
        self._inner, self._life = inner, life

    async def close(self) -> None:
        if not self._life.is_over:
            await self._inner.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "shelf":
            return Mortal(found, self._life)
        if not iscoroutinefunction(found):
            return found

        @wraps(found)
        async def verb(*args: Any, **kwargs: Any) -> Any:
            return await self._life.call(found, *args, **kwargs)

        return verb


def mortal(backend: Backend, life: Life) -> Backend:
    """The backend of a node that may be killed."""
    return Backend(Mortal(backend.store, life), Mortal(backend.registry, life))
