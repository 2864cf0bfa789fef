"""A task for one skill, as if an orchestrator had sent it."""

import asyncio
import os
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from avtomatika_worker.running.capacity import Capacity
from avtomatika_worker.running.runner import Execution, Runner, unsupported
from avtomatika_worker.skills.outcome import Outcome, result_of
from avtomatika_worker.skills.teller import Told
from avtomatika_worker.task_files import TaskFiles, task_folder
from avtomatika_worker.testing.seen import Event, Progress, SkillRun
from avtomatika_worker.worker import Worker
from rxon.codec import encode
from rxon.messages import TaskOffer, TaskResult
from rxon.vocabulary import PROGRESS

if TYPE_CHECKING:
    from rxon.storage import ObjectStorage

__all__ = ["RunningSkill", "run_skill", "start_skill"]

TASK = "task-1"
JOB = "job-1"


class RunningSkill:
    """A task that is being worked on. What it tells is recorded."""

    def __init__(self, worker: Worker, runner: Runner, offer: TaskOffer, folder: Path) -> None:
        self._worker, self._runner, self._offer, self._folder = worker, runner, offer, folder
        self._told: list[Progress | Event] = []
        self._news = asyncio.Event()
        self._heard = 0
        self._over = asyncio.Event()
        self._outcome: Outcome | None = None
        self._execution = runner.submit(offer, self._deliver, self._hear)
        if self._execution is None:
            self._outcome = unsupported(offer.type)
            self._over.set()

    def cancel(self) -> None:
        """The handler is told to stop, as when the orchestrator does not want its result any more."""
        if self._execution is not None:
            self._runner.stop(self._execution)

    async def told(self) -> Progress | Event:
        """What the handler tells next. Raises EOFError when it is over and has told nothing more."""
        while self._heard == len(self._told):
            if self._over.is_set():
                raise EOFError("The handler is over")
            self._news.clear()
            await self._news.wait()
        self._heard += 1
        return self._told[self._heard - 1]

    async def over(self) -> SkillRun:
        """How the task ended, once it has."""
        await self._over.wait()
        return SkillRun(
            result=self._result(),
            progress=tuple(each for each in self._told if isinstance(each, Progress)),
            events=tuple(each for each in self._told if isinstance(each, Event)),
            hot_cache=self._worker.get_hot_cache(),
            files=await asyncio.to_thread(_contents, self._folder),
        )

    def _result(self) -> TaskResult | None:
        if self._outcome is None:
            return None
        sent = encode(result_of(self._outcome, self._offer, self._worker.config.WORKER_ID))
        return msgspec.json.decode(sent, type=TaskResult)

    def _hear(self, told: Told) -> None:
        payload = msgspec.json.decode(told.payload)
        if told.name == PROGRESS:
            self._told.append(Progress(payload.get("progress"), payload.get("message", "")))
        else:
            self._told.append(Event(told.name, payload))
        self._news.set()

    def _deliver(self, execution: Execution, outcome: Outcome | None) -> None:
        self._outcome = outcome
        self._over.set()
        self._news.set()


async def run_skill(
    worker: Worker,
    skill: str,
    params: Any = None,
    *,
    files: Mapping[str, str | bytes] | None = None,
    storage: "ObjectStorage | None" = None,
    timeout: float = 30.0,
    **fields: Any,
) -> SkillRun:
    """How a task with ``params`` for ``skill`` ended.

    ``files`` lie in the folder of the task when its handler begins. With ``storage``, addresses in
    ``params`` are downloaded and paths in the result uploaded. ``fields`` are those of a task, such as
    ``task_id``, ``priority`` and ``deadline``. Raises TimeoutError after ``timeout`` seconds.
    """
    started = start_skill(worker, skill, params, files=files, storage=storage, **fields)
    async with asyncio.timeout(timeout), started as running:
        return await running.over()


@asynccontextmanager
async def start_skill(
    worker: Worker,
    skill: str,
    params: Any = None,
    *,
    files: Mapping[str, str | bytes] | None = None,
    storage: "ObjectStorage | None" = None,
    **fields: Any,
) -> AsyncGenerator[RunningSkill]:
    """A task that runs while the block does, and is cancelled at its end. Arguments as for ``run_skill``."""
    defaults: dict[str, Any] = {"job_id": JOB, "task_id": TASK}
    raw = msgspec.Raw(encode({} if params is None else params))
    offer = TaskOffer(type=skill, params=raw, **(defaults | fields))
    with TemporaryDirectory(prefix="avtomatika-", ignore_cleanup_errors=True) as folder:
        root = Path(await asyncio.to_thread(os.path.realpath, folder))
        own = task_folder(root, offer.task_id)
        for name, content in (files or {}).items():
            await TaskFiles(own).write(name, content)
        tasks: list[asyncio.Task[None]] = []

        def spawn(call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            """The running task."""
            tasks.append(asyncio.get_running_loop().create_task(call))
            return tasks[-1]

        runner = Runner(worker.catalog(), Capacity(1), worker.hot_cache, root, spawn)
        if storage is not None:
            from avtomatika_worker.files.depot import Depot

            runner.depot = Depot(storage, worker.config.S3_DEFAULT_BUCKET, root)
        running = RunningSkill(worker, runner, offer, own)
        try:
            yield running
        finally:
            running.cancel()
            if tasks:
                await asyncio.wait(tasks)
            runner.close()


def _contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
