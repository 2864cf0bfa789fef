"""`OrchestratorEngine`: a node inside a program of yours."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from avtomatika.app import Node, application
from avtomatika.app.parts import Parts
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.encoding import encoded
from avtomatika.blueprints.loader import load_folder
from avtomatika.clock import SystemNames
from avtomatika.commands.hooks import Hooks, JobHook, WorkerHook
from avtomatika.commands.queries import EVERYBODY
from avtomatika.commands.submit import Request
from avtomatika.config import Config
from avtomatika.credentials import FILE, load_or_make, new_secret
from avtomatika.errors import AlreadyOver, BlueprintError, NotFound, StorageBroken
from avtomatika.http.connections import url_of
from avtomatika.kernel.time import seconds
from avtomatika.settings import Settings
from avtomatika.storage import RedisStorage, StorageBackend

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_new_event_loop: LoopFactory = asyncio.new_event_loop
with suppress(ImportError):  # there is no uvloop for Windows
    import uvloop

    _new_event_loop = uvloop.new_event_loop

T = TypeVar("T")

EXIT_STORAGE_BROKEN: Final = 70
GARBAGE: Final = 20_000
"""Objects between two collections; each looks at all jobs at hand, so that 700 cost a tenth of the time."""


class OrchestratorEngine:
    """Register blueprints, then `run()` it, or `start()` and `stop()` it within a running event loop."""

    def __init__(self, storage: StorageBackend | None = None, config: Config | None = None) -> None:
        """Without *storage* the one that `STORAGE_URL` names. Raises ConfigError."""
        self.config = config or Config()
        if storage is not None:
            self.config.STORAGE_URL = storage.url
        if isinstance(storage, RedisStorage) and storage.prefix is not None:
            self.config.STORAGE_PREFIX = storage.prefix
        self.blueprints: dict[str, Blueprint] = {}
        self._editions: dict[tuple[str, str], Blueprint] = {}
        self.app: web.Application = application(self.config.settings())
        self.app[ENGINE_KEY] = self
        self.on_job_finished: list[JobHook] = []
        self.on_worker_event: list[WorkerHook] = []
        self._node: Node | None = None
        self._started = False

    @property
    def address(self) -> tuple[str, int] | None:
        """The host and port that the API listens on while the engine runs."""
        return None if self._node is None else self._node.address

    @property
    def url(self) -> str | None:
        """The URL of that address."""
        return None if self._node is None else self._node.url

    @property
    def editions(self) -> Sequence[Blueprint]:
        """Every version of every blueprint, as they were registered; `blueprints` has the last of each."""
        return tuple(self._editions.values())

    def register_blueprint(self, blueprint: Blueprint) -> None:
        """New jobs are of this version of the blueprint; those of other versions stay on theirs.

        Raises BlueprintError, also for a version that is registered already.
        """
        if self._started:
            raise BlueprintError("Cannot register blueprints after the engine was started.")
        edition = blueprint.name, blueprint.edition
        if edition in self._editions:
            which = f"version '{blueprint.version}'" if blueprint.version else "without a version"
            known = f"Blueprint with name '{blueprint.name}' is already registered"
            raise BlueprintError(f"{known}: {which}.")
        blueprint.validate()
        self._editions[edition] = self.blueprints[blueprint.name] = blueprint

    async def start(self) -> None:
        """The API listens and jobs run, beside whatever else the event loop does. Once per engine.

        Raises ConfigError, BlueprintError, StorageBroken, and OSError when the port is taken.
        """
        settings = self.config.settings()
        self._load(settings)
        self._started = True
        settings = _with_secrets(settings)
        node = Node(settings, self.editions, self.app, self._hooks())
        await node.start()
        self._node = node

    @property
    def _parts(self) -> Parts | None:
        return None if self._node is None else self._node.parts

    def _hooks(self) -> Hooks:
        return Hooks(self.on_job_finished, self.on_worker_event)

    async def create_background_job(
        self,
        blueprint_name: str,
        initial_data: Mapping[str, Any] | None = None,
        source: str = "internal",
        tracing_context: Mapping[str, str] | None = None,
        dispatch_timeout: float | None = None,
        result_timeout: float | None = None,
    ) -> str:
        """A job that no client asked for is durable and on its way; its id. Operators see it.

        Raises NotFound for a blueprint that is not there, InvalidInput for data that it does not take,
        HandlerError for data that JSON cannot carry, BlueprintError before `start`.
        """
        parts = self._parts
        blueprint = self.blueprints.get(blueprint_name)
        if parts is None:
            raise BlueprintError("Jobs can be created once the engine was started.")
        if blueprint is None:
            raise NotFound(f"There is no blueprint '{blueprint_name}'.")
        given = initial_data or {}
        data = {name: encoded(f"initial_data[{name!r}]", given[name]) for name in given}
        request = Request(
            input=data,
            body=b"",
            source=source,
            tracing=dict(tracing_context or {}),
            dispatch_timeout=None if dispatch_timeout is None else seconds(dispatch_timeout),
            result_timeout=None if result_timeout is None else seconds(result_timeout),
        )
        return await parts.submit(blueprint, request, "")

    async def cancel_job(self, job_id: str) -> bool:
        """True when the job is cancelled now; False when it was over, or is not there."""
        parts = self._parts
        if parts is None:
            return False
        try:
            await parts.control.cancel(job_id, EVERYBODY)
        except (AlreadyOver, NotFound):
            return False
        return True

    def _load(self, settings: Settings) -> None:
        """The blueprints of the folder that the settings name are registered."""
        folder = settings.blueprints_dir
        for file, blueprint in [] if folder is None else load_folder(folder):
            if blueprint not in self.editions:
                try:
                    self.register_blueprint(blueprint)
                except BlueprintError as error:
                    raise BlueprintError(f"{file}: {error.message}") from error

    async def stop(self) -> None:
        """The engine has drained and let go of its port and its storage."""
        node, self._node = self._node, None
        if node is not None:
            await node.stop()

    def run(self) -> None:
        """Blocks until SIGINT or SIGTERM, then drains. Exits with 70 when the storage is broken."""
        if not run_loop(self.serve()):
            sys.exit(EXIT_STORAGE_BROKEN)

    async def serve(self, started: Callable[[], None] = lambda: None) -> bool:
        """As `run`, within a running event loop: False when it ended because the storage is broken.

        Calls *started* once the API listens. The process collects garbage more rarely from then on. Raises
        what `start` raises.
        """
        await self.start()
        node = self._node
        if node is None:
            return True
        gc.freeze()  # code, settings and routes stay: a full collection would look at them for 30 ms
        gc.set_threshold(GARBAGE)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        started()
        failed = asyncio.ensure_future(node.failed())
        asked = asyncio.ensure_future(stop.wait())
        await asyncio.wait((failed, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        failure = failed.result() if failed.done() else None
        failed.cancel()
        await self.stop()
        if failure is not None and not isinstance(failure, StorageBroken):
            raise failure
        return failure is None


ENGINE_KEY: web.AppKey[OrchestratorEngine] = web.AppKey("engine", OrchestratorEngine)


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """What *main* returns, run in an event loop of its own: uvloop's where it is installed."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(main)


def _with_secrets(settings: Settings) -> Settings:
    """The settings with a secret of every kind: from the file of the data folder, made if need be.

    Those who bring the tokens of clients and workers themselves get no operator unless they name one, and
    keys of jobs that end with the process end with it too.
    """
    fields = {
        "client": "client_token",
        "worker": "worker_token",
        "operator": "operator_token",
        "approval": "approval_secret",
        "webhook": "webhook_secret",
    }
    wanted = [kind for kind, field in fields.items() if getattr(settings, field) is None]
    if "client" not in wanted and "worker" not in wanted and "operator" in wanted:
        wanted.remove("operator")
    names = SystemNames()
    keys = [kind for kind in wanted if kind in ("approval", "webhook")]
    made: Collection[str] = ()
    found: Mapping[str, str] = {kind: new_secret(kind, names.token) for kind in keys}
    if wanted and not (settings.storage.scheme == "memory" and keys == wanted):
        found, made = load_or_make(settings.data_dir, names.token, wanted)
    complete = msgspec.structs.replace(settings, **{fields[kind]: value for kind, value in found.items()})
    if "client" in made or "worker" in made:
        _show_once(complete)
    return complete


def _show_once(settings: Settings) -> None:
    place = settings.data_dir / FILE
    url = url_of(settings.http.host, settings.http.port, tls=settings.http.tls.certificates is not None)
    print(  # noqa: T201 - shown to the person at the terminal, never to the log
        f"First run: these tokens were made and are kept in {place}.\n"
        f"  client: {settings.client_token}\n"
        f"  worker: {settings.worker_token}\n"
        f"  operator: {settings.operator_token}\n"
        f"Try: curl -H 'X-Client-Token: {settings.client_token}' {url}/api/v1/jobs\n"
        f"Workers: export WORKER_TOKEN='{settings.worker_token}'",
        file=sys.stderr,
    )
