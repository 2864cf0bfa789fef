"""What one of several connections may ask for, and how it is doing."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

import msgspec

from avtomatika_worker.conversation.choosing import Chooser
from avtomatika_worker.running.capacity import Openings
from rxon.errors import RxonError, TransportError

__all__ = ["Room"]

NOBODY_ELSE: Final = nullcontext()

SILENCE: Final = 10.0
"""Seconds beyond the time that an answer may take, after which an orchestrator counts as away."""


class Room:
    """The part of ``name`` in what ``openings`` says there is room for.

    ``on_change`` is called when the parts of others are different from now on.
    """

    def __init__(self, name: str, chooser: Chooser, openings: Callable[[], Openings]) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.all = openings
        self.alone = chooser.alone
        self._name, self._chooser = name, chooser
        self._next_look: asyncio.TimerHandle | None = None

    def part(self, timeout: float) -> tuple[Openings, float]:
        """What to ask for, and for how long, where ``timeout`` is the longest."""
        openings = self.all()
        if self.alone:
            return openings, timeout
        now = time.monotonic()
        self._look_again(now)
        ask = self._chooser.ask(self._name, openings.limit, now)
        limited = msgspec.structs.replace(openings, limit=ask.limit)
        return limited, timeout if ask.timeout is None else min(timeout, ask.timeout)

    def asking(self, limit: int) -> None:
        """A poll that cannot be changed any more asks for so many."""
        if not self.alone:
            self._chooser.asking(self._name, limit)

    def brought(self, tasks: int) -> None:
        """The poll brought so many."""
        if not self.alone:
            self._chooser.brought(self._name, tasks)
            self.on_change()

    def known(self, registered: bool) -> None:
        """Whether the orchestrator knows the worker."""
        if not self.alone and self._chooser.registered(self._name, registered):
            self.on_change()

    def refused(self, until: float) -> None:
        """The orchestrator gives no work before ``until``."""
        if not self.alone:
            self._chooser.settled(self._name)
            self._chooser.refused(self._name, until)
            self.on_change()

    def heard(self, error: RxonError | None) -> bool:
        """A call was answered, or failed with ``error``. Whether another one should tell when it is back."""
        if self.alone:
            return False
        lost = isinstance(error, TransportError)
        news = self._chooser.lost(self._name) if lost else self._chooser.reached(self._name)
        if news:
            self.on_change()
        return lost

    def listening(self, seconds: float) -> AbstractContextManager[None]:
        """The orchestrator counts as away when the block takes much longer than ``seconds``."""
        return NOBODY_ELSE if self.alone else self._listening(seconds)

    @contextmanager
    def _listening(self, seconds: float) -> Generator[None]:
        timer = asyncio.get_running_loop().call_later(seconds + SILENCE, self._silent)
        try:
            yield
        finally:
            timer.cancel()

    def _silent(self) -> None:
        if self._chooser.lost(self._name):
            self.on_change()

    def _look_again(self, now: float) -> None:
        """The parts change by themselves at some moment."""
        due = self._chooser.due(now)
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if due is not None:
            loop = asyncio.get_running_loop()
            self._next_look = loop.call_later(max(0.0, due - now) + 0.001, self.on_change)
