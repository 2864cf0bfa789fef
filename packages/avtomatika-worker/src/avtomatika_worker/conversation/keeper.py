"""Heartbeats from a thread, for as long as something keeps the event loop from sending them."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from avtomatika_worker.conversation.session import Session
from rxon.errors import RxonError
from rxon.messages import Heartbeat, WorkerCommand
from rxon.transport import WorkerTransport
from rxon.vocabulary import WorkerStatus

__all__ = ["Keeper", "Kept"]

TICK: Final = 0.25  # seconds between looks at the event loop
STUCK: Final = 1.0  # seconds without a sign of it, after which it is taken for blocked
PATIENCE: Final = 5.0  # seconds for an answer to a heartbeat

_log = logging.getLogger(__name__)


class Tasks(Protocol):
    """The tasks of one connection."""

    def warn(self, task_ids: Sequence[str]) -> None:
        """Handlers that ask hear that they should stop."""
        ...


class Kept(msgspec.Struct):
    """A connection whose leases are kept.

    ``spare`` makes a transport for the thread, or None when there can be none. ``called_back`` and
    ``told`` are called in the event loop once that runs again.
    """

    session: Session
    tasks: Tasks
    spare: Callable[[], WorkerTransport | None]
    called_back: Callable[[Sequence[str]], None]
    told: Callable[[Sequence[WorkerCommand]], None]
    kept_at: float = 0.0


class Keeper:
    """Watches the event loop that ``start`` is called in.

    While it runs, heartbeats are its own business, and nothing is sent from here.
    """

    def __init__(self, worker_id: str, kept: Sequence[Kept]) -> None:
        self._worker_id = worker_id
        self._kept = kept
        self._stopped = threading.Event()
        self._alive_at = 0.0
        self._doubt_until = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_doubtful(self) -> bool:
        """Whether the event loop stood still until a moment ago: what it reads now may be old."""
        now = time.monotonic()
        return now < self._doubt_until or now - self._alive_at > STUCK

    def start(self) -> None:
        """The thread runs until ``stop``; it does not keep the process from ending."""
        self._loop = asyncio.get_running_loop()
        self._alive_at = time.monotonic()
        threading.Thread(target=self._watch, name="avtomatika-keeper", daemon=True).start()

    def stop(self) -> None:
        """Nothing is sent any more, but for what is on its way."""
        self._stopped.set()

    # ------------------------------------------------------------ in the event loop

    def _alive(self) -> None:
        now = time.monotonic()
        if now - self._alive_at > STUCK:
            _log.warning(
                "The event loop stood still for %.1f seconds: something in it blocks. A handler that is"
                " written with `def` instead of `async def` runs in a thread",
                now - self._alive_at,
            )
            self._doubt_until = now + STUCK
        self._alive_at = now

    # ------------------------------------------------------------ in the thread

    def _watch(self) -> None:
        loop = self._loop
        while loop is not None and not self._stopped.wait(TICK):
            try:
                loop.call_soon_threadsafe(self._alive)
            except RuntimeError:
                return  # the loop is closed
            now = time.monotonic()
            if now - self._alive_at < 2 * TICK:
                continue
            late = [kept for kept in self._kept if _late(kept, now)]
            try:
                if late:
                    asyncio.run(self._keep_all(late, loop))
            except Exception:  # noqa: BLE001 - leases would be lost without a word
                _log.exception("Heartbeats in place of the event loop failed, and are tried again")

    async def _keep_all(self, late: Sequence[Kept], loop: asyncio.AbstractEventLoop) -> None:
        await asyncio.gather(*(self._keep(kept, loop) for kept in late))

    async def _keep(self, kept: Kept, loop: asyncio.AbstractEventLoop) -> None:
        transport = kept.spare()
        if transport is None:
            return
        beat = Heartbeat(
            worker_id=self._worker_id,
            status=WorkerStatus.BUSY.value,
            current_tasks=kept.session.held,
            timestamp=int(time.time()),
        )
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await transport.heartbeat(beat)
        except (RxonError, TimeoutError) as error:
            _log.warning("A heartbeat in place of the event loop failed: %s", error)
            return
        finally:
            await transport.close()
        kept.kept_at = time.monotonic()
        _log.debug("A heartbeat was sent in place of the event loop")
        if answer.cancel_task_ids:
            kept.tasks.warn(answer.cancel_task_ids)
            loop.call_soon_threadsafe(kept.called_back, answer.cancel_task_ids)
        if answer.commands:
            loop.call_soon_threadsafe(kept.told, answer.commands)


def _late(kept: Kept, now: float) -> bool:
    due = kept.session.beat_overdue(now)
    return due is not None and now >= kept.kept_at + due
