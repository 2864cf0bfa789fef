"""A loop that takes a turn whenever one is due."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from avtomatika_worker.conversation.steps import Wait

__all__ = ["take_turns"]

AFTER_A_BUG: Final = 1.0  # seconds before a loop whose own code failed goes on

_log = logging.getLogger(__name__)


async def take_turns(name: str, turn: Callable[[], Awaitable[Wait | None]], due: asyncio.Event) -> None:
    """``turn`` after turn, until it is cancelled: at once, or when a Wait is over or ``due`` is set."""
    while True:
        try:
            wait = await turn()
        except Exception:  # noqa: BLE001 - a loop that ended would leave a worker that looks alive
            _log.exception("A loop for %s failed and goes on", name)
            wait = Wait(time.monotonic() + AFTER_A_BUG)
        if wait is not None:
            await _pause(due, wait.until)


async def _pause(due: asyncio.Event, until: float | None) -> None:
    """Waits for ``due``, or until the moment ``until`` in monotonic seconds."""
    if until is None:
        await due.wait()
    else:
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await due.wait()
        except TimeoutError:
            return
    due.clear()
