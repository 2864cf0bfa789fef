"""Calls handlers: coroutines in the event loop, functions in threads, or in processes where skills say so."""

import asyncio
import functools
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from avtomatika_worker.running.execution import Execution
from avtomatika_worker.running.processes import HandlerProcesses, ProcessCall
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.invocation import CallContext
from avtomatika_worker.skills.middleware import CallDetails, Middleware, through
from avtomatika_worker.skills.outcome import Outcome
from avtomatika_worker.skills.parameters import decode_json
from avtomatika_worker.skills.teller import Teller, in_loop
from avtomatika_worker.skills.threads import HandlerThreads
from avtomatika_worker.task_files import TaskFiles, task_folder

if TYPE_CHECKING:  # what it needs is imported only where there is a storage
    from avtomatika_worker.files.depot import Depot

__all__ = ["Calls"]

MISSING: Final = object()


class Calls:
    """Calls up to ``limit`` handlers at once, each inside all of ``middleware``."""

    def __init__(
        self, middleware: tuple[Middleware, ...], hot_cache: HotCache, files_root: Path, limit: int
    ) -> None:
        self._middleware = middleware
        self._hot_cache = hot_cache
        self._files_root = files_root
        self._threads = HandlerThreads(limit)
        self._processes = HandlerProcesses()
        self.depot: Depot | None = None

    async def call(self, execution: Execution, params: Any) -> Any:
        """What the handler makes of ``params``, or what the middleware makes of that."""
        invocation = execution.skill.invocation
        context = CallContext(
            execution.offer,
            self._hot_cache,
            execution.is_cancelled,
            functools.partial(self.files_of, execution),
            Teller(execution.offer.task_id, in_loop(execution.hear)),
        )
        given = invocation.given(context)
        if not self._middleware:
            return await self._handle(execution, params, given, {})
        details: CallDetails = {
            "task_id": execution.offer.task_id,
            "job_id": execution.offer.job_id,
            "skill_name": execution.skill.name,
            "params": params,
            "handler_kwargs": dict(given),
        }
        inner = functools.partial(self._handle_changed, execution, details, given)
        return await through(self._middleware, details, inner)

    async def inputs(self, execution: Execution) -> Any:
        """The parameters of the task, with paths of copies in place of the addresses of files."""
        params = decode_json(execution.offer.params)
        if self.depot is None or not self.depot.is_wanted_for(execution.offer):
            return params
        return await self.depot.fetched(execution.offer, params, self.files_of(execution))

    async def outputs(self, execution: Execution, outcome: Outcome) -> Outcome:
        """The outcome with the addresses of stored files in place of their paths."""
        if self.depot is None or not self.depot.is_wanted_after(outcome):
            return outcome
        return await self.depot.stored(outcome, self.files_of(execution))

    def files_of(self, execution: Execution) -> TaskFiles:
        """The folder of the task."""
        if execution.files is None:
            place = None
            if self.depot is not None:
                place = self.depot.place_of(execution.offer, in_loop(execution.hear))
            execution.files = TaskFiles(task_folder(self._files_root, execution.offer.task_id), place)
        return execution.files

    def close(self) -> None:
        """No process is left."""
        self._processes.close()

    async def _handle_changed(
        self, execution: Execution, details: CallDetails, given: Mapping[str, Any]
    ) -> Any:
        """With what the middleware has made of the parameters and of ``given``."""
        wanted: dict[str, Any] = details["handler_kwargs"]
        added = {name: value for name, value in wanted.items() if given.get(name, MISSING) is not value}
        return await self._handle(execution, details["params"], wanted, added)

    async def _handle(
        self, execution: Execution, params: Any, given: Mapping[str, Any], added: Mapping[str, Any]
    ) -> Any:
        skill = execution.skill
        execution.declared.check_input(params)
        if skill.place is not None:
            folder = task_folder(self._files_root, execution.offer.task_id)
            call = ProcessCall(skill.place, execution.offer, params, folder, added)
            return await self._in_process(execution, call)
        arguments = skill.invocation.arguments(params, given)
        if skill.invocation.is_async:
            return await skill.invocation.handler(**arguments)
        execution.thread = self._threads.submit(functools.partial(skill.invocation.handler, **arguments))
        value = await asyncio.shield(execution.thread)
        return await value if inspect.isawaitable(value) else value

    async def _in_process(self, execution: Execution, call: ProcessCall) -> Any:
        call.listen(in_loop(execution.hear), self._hot_cache)
        execution.thread = self._threads.submit(functools.partial(self._processes.run, call))
        try:
            return await asyncio.shield(execution.thread)
        except asyncio.CancelledError:
            call.stop()
            raise
