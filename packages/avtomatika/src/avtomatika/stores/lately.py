"""What was announced a moment ago: somebody may be on the way back from a look that did not show it."""

import asyncio
from collections.abc import Collection
from typing import Any, Final
from weakref import WeakKeyDictionary

from avtomatika.kernel.time import Instant

KEEP_S: Final = 1.0
MOST: Final = 50_000


class Lately:
    """When topics were announced last, and when tasks looked last."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._young: dict[str, tuple[float, int]] = {}
        self._old: dict[str, tuple[float, int]] = {}
        self._turned = self._now()
        self._looked: WeakKeyDictionary[asyncio.Task[Any], float] = WeakKeyDictionary()

    def announced(self, topic: str, at: int) -> None:
        """Something happened to the topic, or will at that moment."""
        now = self._now()
        if now - self._turned > KEEP_S or len(self._young) > MOST:
            self._old, self._young, self._turned = self._young, {}, now
        earlier = self._young.get(topic)
        self._young[topic] = now, at if earlier is None else min(at, earlier[1])

    def missed(self, topics: Collection[str], until: Instant) -> bool:
        """True when one of them was announced, for *until* or before, since this task last looked.

        A task that was not heard of looked within the last second. From now on this one has looked.
        """
        task, now = asyncio.current_task(), self._now()
        if task is None:
            return False
        since = self._looked.get(task, now - KEEP_S)
        for topic in topics:
            found = self._young.get(topic) or self._old.get(topic)
            if found is not None and found[0] > since and found[1] <= until:
                self._looked[task] = now
                return True
        return False

    def looks(self) -> None:
        """This task looks now at what it waited for."""
        task = asyncio.current_task()
        if task is not None:
            self._looked[task] = self._now()
