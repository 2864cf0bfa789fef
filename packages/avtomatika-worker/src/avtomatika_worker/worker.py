"""The class that users make workers of."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.errors import ConfigError, SkillError
from avtomatika_worker.running.capacity import Capacity
from avtomatika_worker.skills.commands import check_command_handler
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.middleware import Middleware, check_middleware
from avtomatika_worker.skills.skill_folder import skill_modules
from avtomatika_worker.skills.skills import Catalog, SkillBlueprint
from avtomatika_worker.watching.logs import setup_logging
from rxon.messages import SkillInfo

if TYPE_CHECKING:  # aiohttp is imported when a worker starts: programs that only know of one are spared it
    import aiohttp

    from avtomatika_worker.conversation.orchestrators import Orchestrator
    from avtomatika_worker.crew import Crew
    from avtomatika_worker.machine.usage import UsageChecker
    from avtomatika_worker.surroundings import Surroundings
    from rxon.storage import ObjectStorage
    from rxon.transport import WorkerTransport

__all__ = ["Worker"]

Handler = TypeVar("Handler", bound=Callable[..., Any])

_log = logging.getLogger(__name__)


class Worker(SkillBlueprint):
    """Runs its skills for orchestrators.

    An argument that is given wins over the setting of the same meaning in ``config``, which is
    read from the environment unless it is passed in. ``task_type_limits`` and
    ``skill_type_limits`` are the same thing: how many tasks of a type run at once.
    ``capacity_checker`` is asked, per skill, whether a task may come; it must not block. Skills
    are also loaded from ``skills_dir``, or else WORKER_SKILLS_DIR, if there is such a folder.
    ``connect`` makes the transport to an orchestrator; without it, WORKER_TRANSPORT decides, and HTTP
    goes through ``http_session`` if that is given. Files of tasks are exchanged with ``storage``, or else
    with the S3 at S3_ENDPOINT_URL. MULTI_ORCHESTRATOR_MODE decides which of several orchestrators
    are asked for tasks.
    """

    def __init__(  # noqa: PLR0913 - the published signature
        self,
        worker_type: str | None = None,
        max_concurrent_tasks: int | None = None,
        task_type_limits: Mapping[str, int] | None = None,
        http_session: "aiohttp.ClientSession | None" = None,
        skill_dependencies: Mapping[str, Sequence[str]] | None = None,
        config: WorkerConfig | None = None,
        *,
        skill_type_limits: Mapping[str, int] | None = None,
        capacity_checker: Callable[[str], bool] | None = None,
        skills_dir: str | Path | None = None,
        skill_info_class: type[SkillInfo] = SkillInfo,
        connect: "Callable[[Orchestrator], WorkerTransport] | None" = None,
        storage: "ObjectStorage | None" = None,
    ) -> None:
        super().__init__(skill_info_class)
        self.config = WorkerConfig() if config is None else config
        if max_concurrent_tasks is not None:
            self.config.MAX_CONCURRENT_TASKS = max_concurrent_tasks
        if worker_type is not None:
            self.config.WORKER_TYPE = worker_type
        self.commands: dict[str, Callable[..., Any]] = {}
        self.middleware: list[Middleware] = []
        self._type_limits = {**(task_type_limits or {}), **(skill_type_limits or {})}
        self._http_session = http_session
        self._hot_cache = HotCache(skill_dependencies)
        self._capacity_checker = capacity_checker
        self._skills_dir = skills_dir
        self._connect = connect
        self._storage = storage
        self._usage_checker: UsageChecker | None = None
        self._stop: asyncio.Event | None = None
        self._with_health = False
        self._loaded = False

    def on_command(self, name: str) -> Callable[[Handler], Handler]:
        """Registers the decorated function, coroutine or not, for the command ``name`` of operators.

        It is called with a Command, once for each that comes. Raises SkillError when the name is
        taken, or the function does not take one argument.
        """

        def register(handler: Handler) -> Handler:
            if name in self.commands:
                raise SkillError(f"There is already a handler for the command {name!r}")
            check_command_handler(name, handler)
            self.commands[name] = handler
            return handler

        return register

    def add_middleware(self, middleware: Middleware) -> None:
        """``middleware`` is called around every handler, inside those that were added before it.

        It is ``async def middleware(context, next)`` and returns the result: that of ``await next()``,
        or another one. What it raises is the error of the task. ``context`` has ``task_id``,
        ``job_id``, ``skill_name``, ``params`` as decoded JSON, and ``handler_kwargs``, what the
        handler is called with besides; changes of both reach the handler. Raises SkillError when it
        cannot be called like this.
        """
        check_middleware(middleware)
        self.middleware.append(middleware)

    def add_to_hot_cache(self, model: str) -> None:
        """``model`` is loaded; orchestrators learn of it with the next message."""
        self._hot_cache.add(model)

    def remove_from_hot_cache(self, model: str) -> None:
        """``model`` is not loaded any more."""
        self._hot_cache.remove(model)

    def get_hot_cache(self) -> frozenset[str]:
        """The models that are loaded."""
        return self._hot_cache.models

    add_to_hot_skills = add_to_hot_cache
    remove_from_hot_skills = remove_from_hot_cache
    get_hot_skills_state = get_hot_cache

    @property
    def type_limits(self) -> Mapping[str, int]:
        """How many tasks of a type run at once, for the types that have a limit of their own."""
        return self._type_limits

    def set_usage_checker(self, checker: "UsageChecker") -> None:
        """``checker`` says how loaded the machine is, in place of what is found out without it.

        It is called in a thread of its own, every few seconds while the worker works.
        """
        self._usage_checker = checker

    def load_skills(self, folder: str | Path | None = None) -> None:
        """The skills of the Python files in ``folder``, or else of the configured one, are here.

        Each blueprint in a file is included, and its ``setup(worker)`` called. A file that cannot
        be imported is logged and skipped. Raises SkillError when a name is taken.
        """
        for module in skill_modules(Path(folder or self._skills_dir or self.config.WORKER_SKILLS_DIR)):
            for value in vars(module).values():
                if isinstance(value, SkillBlueprint) and not isinstance(value, Worker):
                    self.include_blueprint(value)
            setup = getattr(module, "setup", None)
            if callable(setup):
                setup(self)

    def catalog(self) -> Catalog:
        """What there is to call: commands, middleware, and skills with those of the folder, loaded by now."""
        if not self._loaded:
            self._loaded = True
            self.load_skills()
        strict = self.config.STRICT_EVENT_VALIDATION
        return Catalog(self, self.commands, self.middleware, strict_events=strict)

    @property
    def hot_cache(self) -> HotCache:
        """The models that are loaded, and which skills need which."""
        return self._hot_cache

    def stop(self) -> None:
        """A running ``main`` takes no more tasks, finishes those that run, and returns."""
        if self._stop is not None:
            self._stop.set()

    def run(self) -> None:
        """Works until SIGTERM or SIGINT, then finishes what is running and returns.

        Running tasks have WORKER_SHUTDOWN_TIMEOUT seconds; a second signal ends the process at
        once. Raises ConfigError when the worker cannot start as it is configured.
        """
        _check_guard()
        setup_logging(self.config.LOG_LEVEL, self.config.LOG_FORMAT)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._main_with_signals())

    def run_with_health_check(self) -> None:
        """As ``run``; meanwhile ``/health`` and ``/ready`` answer on WORKER_HOST and WORKER_PORT.

        ``/metrics`` does as well if WORKER_ENABLE_METRICS is true, and then also with ``run``.
        """
        self._with_health = True
        self.run()

    async def main(self) -> None:
        """Works until ``stop``, then finishes what is running and returns. Leaves signals alone.

        Raises ConfigError when the worker cannot start as it is configured.
        """
        self._stop = asyncio.Event()
        from avtomatika_worker.conversation.orchestrators import configured_orchestrators
        from avtomatika_worker.surroundings import surroundings
        from avtomatika_worker.watching.health import serve_health

        config, orchestrators = self.config, configured_orchestrators(self.config)
        async with AsyncExitStack() as stack:
            around = await stack.enter_async_context(surroundings(config, self._usage_checker))
            ways = [(found.url, around.way(found.url, self._transport(found))) for found in orchestrators]
            crew = self._crew(ways, around)
            if self._with_health or config.WORKER_ENABLE_METRICS:
                served = serve_health(config.WORKER_HOST, config.WORKER_PORT, crew.health, around.figures)
                await stack.enter_async_context(served)
            await crew.work(self._stop)

    async def _main_with_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows; a thread
                loop.add_signal_handler(number, self._signalled, number)
        await self.main()

    def _signalled(self, number: int) -> None:
        if self._stop is None or self._stop.is_set():
            os._exit(128 + number)
        _log.info("Got %s: finishing; a second signal ends the worker at once", signal.Signals(number).name)
        self._stop.set()

    def _transport(self, orchestrator: "Orchestrator") -> "WorkerTransport":
        from avtomatika_worker.conversation.orchestrators import transport_to

        if self._connect is not None:
            return self._connect(orchestrator)
        return transport_to(orchestrator, self.config, self._http_session)

    def _crew(self, ways: "Sequence[tuple[str, WorkerTransport]]", around: "Surroundings") -> "Crew":
        from avtomatika_worker.crew import Crew
        from avtomatika_worker.machine.profile import Profile

        if self.config.MAX_CONCURRENT_TASKS < 1:
            raise ConfigError("MAX_CONCURRENT_TASKS must be at least 1")
        catalog = self.catalog()
        if not catalog.names:
            _log.warning("The worker has no skills: it will not get any task")
        unknown = set(self._type_limits).difference(skill.type for skill in catalog)
        if unknown:
            _log.warning("There are limits for types that no skill has: %s", ", ".join(sorted(unknown)))
        capacity = Capacity(self.config.MAX_CONCURRENT_TASKS, self._type_limits, self._capacity_checker)
        kind = self.config.WORKER_TYPE
        profile = Profile(self.config, kind, catalog, self._hot_cache, around.hardware, around.meter)
        crew = Crew(self.config, profile, catalog, capacity, self._hot_cache, ways)
        crew.watch(around.watches)
        if self._storage is not None or self.config.S3_ENDPOINT_URL:
            from avtomatika_worker.files.opening import configured_depot

            crew.exchange_files(configured_depot(self.config, self._storage))
        return crew


def _check_guard() -> None:
    """Not a worker in each process of a handler: those import the program. Raises ConfigError."""
    module = sys.modules.get("multiprocessing.process")
    if module is not None and getattr(module.current_process(), "_inheriting", False):
        raise ConfigError('Run the worker under `if __name__ == "__main__":`, as handlers run in processes')


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
