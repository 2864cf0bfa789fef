"""A worker at work: its handlers and its connections, from start to drain."""

import asyncio
import contextlib
import functools
import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.conversation.choosing import Chooser, Mode, Rank
from avtomatika_worker.conversation.event_queue import EventQueue
from avtomatika_worker.conversation.held_tasks import HeldTasks
from avtomatika_worker.conversation.keeper import Keeper, Kept
from avtomatika_worker.conversation.loops import Connection
from avtomatika_worker.conversation.orchestrators import configured_orchestrators
from avtomatika_worker.conversation.room import Room
from avtomatika_worker.conversation.session import Session
from avtomatika_worker.conversation.steps import Pace
from avtomatika_worker.errors import ConfigError
from avtomatika_worker.machine.profile import Profile
from avtomatika_worker.running.capacity import Capacity
from avtomatika_worker.running.runner import Runner
from avtomatika_worker.skills.commands import CommandDesk
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.skills import Catalog
from avtomatika_worker.spool.spooling import open_spool
from avtomatika_worker.watching.health import Health
from avtomatika_worker.watching.watch import TaskWatch
from rxon.transport import SparingTransport, WorkerTransport

if TYPE_CHECKING:  # what it needs is imported only where there is a storage
    from avtomatika_worker.files.depot import Depot

__all__ = ["Crew"]

GOODBYE = 2.0  # seconds for telling the orchestrators that the worker is gone

_log = logging.getLogger(__name__)


class Crew:
    """Serves the orchestrators behind ``transports``, given with their names."""

    def __init__(
        self,
        config: WorkerConfig,
        profile: Profile,
        catalog: Catalog,
        capacity: Capacity,
        hot_cache: HotCache,
        transports: Sequence[tuple[str, WorkerTransport]],
    ) -> None:
        self._group = asyncio.TaskGroup()
        self._grace = config.WORKER_SHUTDOWN_TIMEOUT
        files_root = Path(config.TASK_FILES_DIR)
        self._runner = Runner(catalog, capacity, hot_cache, files_root, self._group.create_task)
        self._runner.on_change = self._wake
        self._hot_cache = hot_cache
        pace = _pace(config)
        chooser = _chooser(config)
        self._spool, restored = open_spool(config)
        self._connections: list[Connection] = []
        kept: list[Kept] = []
        for name, transport in transports:
            events = EventQueue(pace, random.random)
            session = Session(pace, random.random)
            tasks = HeldTasks(name, config.WORKER_ID, session, events, self._runner, self._spool)
            tasks.restore(found for found in restored if found.to == name)
            room = Room(name, chooser, self._runner.openings)
            room.on_change = self._wake
            connection = Connection(name, transport, tasks, events, profile.for_connection(), room)
            self._connections.append(connection)
            spare = transport.spare if isinstance(transport, SparingTransport) else lambda: None
            kept.append(Kept(session, tasks, spare, connection.called_back, connection.told))
        self._keeper = Keeper(config.WORKER_ID, kept)
        for connection in self._connections:
            connection.doubtful = self._keeper.is_doubtful
        self._desk = CommandDesk(catalog.commands)
        for connection in self._connections:
            connection.on_command = self._desk.hear
        self._draining = False

    def exchange_files(self, depot: "Depot") -> None:
        """Addresses of files in parameters become files, and files in results become addresses."""
        self._runner.depot = depot

    def watch(self, watches: Sequence[TaskWatch]) -> None:
        """Every handler that is begun from now on is watched by ``watches``."""
        self._runner.watches = watches

    def health(self) -> Health:
        """How things are at this moment."""
        registered = tuple(c.name for c in self._connections if c.session.registered)
        alive = all(connection.alive for connection in self._connections)
        return Health(alive, registered, self._runner.running, self._draining)

    async def work(self, stop: asyncio.Event) -> None:
        """Tasks are run until ``stop``; then running ones had their time, and results were sent.

        What was not finished in time is stopped and not reported: its leases run out.
        """
        try:
            async with self._group:
                self._keeper.start()
                self._hot_cache.on_change = functools.partial(self._hot_changed, asyncio.get_running_loop())
                for connection in self._connections:
                    connection.start(self._group.create_task)
                await stop.wait()
                await self._drain()
        finally:
            self._keeper.stop()
            self._runner.close()
            self._spool.close()
            for connection in self._connections:
                await connection.close()

    async def _drain(self) -> None:
        _log.info("Finishing %d running tasks", self._runner.running)
        self._draining = True
        for connection in self._connections:
            connection.drain()
        self._runner.stop_waiting()
        try:
            async with asyncio.timeout(self._grace):
                for connection in self._connections:
                    await connection.quiet()
        except TimeoutError:
            _log.warning("%d tasks did not finish within %g seconds", self._runner.running, self._grace)
        self._runner.stop_running()
        await self._desk.stop()
        try:
            async with asyncio.timeout(GOODBYE):
                await asyncio.gather(*(connection.stop() for connection in self._connections))
        except TimeoutError:
            _log.warning("Not every orchestrator could be told that the worker is going")
        _log.info("Stopped")

    def _hot_changed(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: there is nobody left to tell
            loop.call_soon_threadsafe(self._changed)

    def _changed(self) -> None:
        for connection in self._connections:
            connection.changed()

    def _wake(self) -> None:
        for connection in self._connections:
            connection.wake()


def _chooser(config: WorkerConfig) -> Chooser:
    try:
        mode = Mode(config.MULTI_ORCHESTRATOR_MODE)
    except ValueError:
        words = ", ".join(Mode)
        raise ConfigError(
            f"MULTI_ORCHESTRATOR_MODE must be one of {words}, not {config.MULTI_ORCHESTRATOR_MODE!r}"
        ) from None
    found = configured_orchestrators(config)
    ranks = [Rank(one.url, one.priority, one.weight) for one in found]
    return Chooser(mode, ranks, time.monotonic())


def _pace(config: WorkerConfig) -> Pace:
    poll_initial, poll_factor = config.POLL_BACKOFF_INITIAL, config.POLL_BACKOFF_FACTOR
    if config.is_set("TASK_POLL_ERROR_DELAY") and not config.is_set("POLL_BACKOFF_INITIAL"):
        # The name of the first release, for a pause that does not grow.
        poll_initial = config.TASK_POLL_ERROR_DELAY
        poll_factor = poll_factor if config.is_set("POLL_BACKOFF_FACTOR") else 1.0
    return Pace(
        heartbeat_interval=config.HEARTBEAT_INTERVAL,
        poll_timeout=config.TASK_POLL_TIMEOUT,
        idle_poll_delay=config.IDLE_POLL_DELAY,
        registration_initial=config.REGISTRATION_RETRY_INITIAL_DELAY,
        registration_maximum=config.REGISTRATION_RETRY_MAX_DELAY,
        poll_initial=poll_initial,
        poll_maximum=config.POLL_BACKOFF_MAX,
        poll_factor=poll_factor,
        result_initial=config.RESULT_RETRY_INITIAL_DELAY,
        result_retries=config.RESULT_MAX_RETRIES,
        beat_debounce=config.WORKER_HEARTBEAT_DEBOUNCE_DELAY,
        beat_cooldown=config.WORKER_HEARTBEAT_COOLDOWN,
        rate_limit_floor=config.RATE_LIMIT_BACKOFF_FLOOR,
    )
