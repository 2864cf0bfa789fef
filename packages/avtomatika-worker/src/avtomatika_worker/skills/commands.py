"""What operators tell a worker, and the handlers that do it."""

import asyncio
import functools
import inspect
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from avtomatika_worker.errors import SkillError
from avtomatika_worker.skills.parameters import decode_json
from avtomatika_worker.skills.threads import HandlerThreads
from rxon.messages import WorkerCommand
from rxon.vocabulary import CANCEL_TASK

__all__ = ["Command", "CommandDesk", "CommandHandler", "check_command_handler"]

CommandHandler = Callable[..., Any]

MOST_THREADS: Final = 4
REMEMBERED: Final = 1_000
GOODBYE: Final = 2.0  # seconds

_log = logging.getLogger(__name__)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command for this worker: its name is ``command``, ``params`` what came with it."""

    command: str
    params: Any
    task_id: str | None = None
    job_id: str | None = None
    metadata: dict[str, Any] | None = None
    id: str | None = None


def check_command_handler(name: str, handler: CommandHandler) -> None:
    """The handler can be called with a command. Raises SkillError."""
    if name == CANCEL_TASK:
        raise SkillError("Tasks are cancelled by the SDK: see `is_cancelled`")
    try:
        inspect.signature(handler).bind(None)
    except TypeError as error:
        raise SkillError(f"The handler of the command {name!r} takes one argument, the command") from error


class CommandDesk:
    """Calls the handler of each command in a task of its own, and once for each id.

    What a handler raises is logged, and stops nothing else.
    """

    def __init__(self, handlers: Mapping[str, CommandHandler]) -> None:
        self._handlers = handlers
        self._threads = HandlerThreads(MOST_THREADS)
        self._seen: deque[str] = deque(maxlen=REMEMBERED)
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, told: WorkerCommand) -> None:
        """The command is being dealt with, or on the log if nobody deals with it."""
        if told.id is not None:
            if told.id in self._seen:
                return
            self._seen.append(told.id)
        handler = self._handlers.get(told.command)
        if handler is None:
            _log.warning("There is no handler for the command %r", told.command)
            return
        # Not in the task group of the worker: a handler that hangs must not keep it from ending.
        task = asyncio.get_running_loop().create_task(self._run(handler, told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Every handler is told to stop, and coroutines have had their time to."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GOODBYE)

    async def _run(self, handler: CommandHandler, told: WorkerCommand) -> None:
        _log.info("Got the command %r", told.command)
        try:
            await self._call(handler, _command(told))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code
            _log.error("The handler of the command %r failed", told.command, exc_info=error)

    async def _call(self, handler: CommandHandler, command: Command) -> None:
        if _is_async(handler):
            await handler(command)
        else:
            value = await asyncio.shield(self._threads.submit(functools.partial(handler, command)))
            if inspect.isawaitable(value):
                await value


def _is_async(handler: CommandHandler) -> bool:
    call = getattr(handler, "__call__", handler)  # noqa: B004 - its kind, not whether there is one
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


def _command(told: WorkerCommand) -> Command:
    """Raises InvalidInputError when its parameters cannot be represented."""
    params: Any = {} if told.params is None else decode_json(told.params)
    return Command(
        command=told.command,
        params=params,
        task_id=told.task_id,
        job_id=told.job_id,
        metadata=told.metadata,
        id=told.id,
    )
