"""Running the user's handler for a job that is due, and what comes of it as an event."""

from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from types import coroutine
from typing import Any

import msgspec

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.contracts import accept_input
from avtomatika.blueprints.data_stores import Keeper
from avtomatika.blueprints.run import HandlerEvent, never_waits, run_handler
from avtomatika.blueprints.task_files import TaskFiles
from avtomatika.commands.large_values import LargeValues
from avtomatika.errors import ContractViolation, HandlerError, IntegrityError
from avtomatika.kernel.decisions import RunChild
from avtomatika.kernel.events import Decided, HandlerCrashed
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Branch, Failure, Job
from avtomatika.kernel.retry import BLUEPRINT, CONTRACT
from avtomatika.ports.shelf import Shelf

Edition = tuple[str, str]


class Beside(msgspec.Struct, frozen=True):
    """What jobs have beside their data: files, and values that are too large for it."""

    files: Callable[[JobId], TaskFiles] | None = None
    values: LargeValues | None = None


class Decider:
    """The blueprints of a node, by name and edition, and how their handlers are run.

    Of several editions of a blueprint the last one is for new jobs.
    """

    def __init__(
        self,
        blueprints: Iterable[Blueprint],
        client: Callable[[str], ClientConfig],
        rests: Callable[[str], bool] = lambda _: False,
        shelf: Shelf | None = None,
        beside: Beside | None = None,
    ) -> None:
        """*client* tells who a client is by its id, *rests* whether a blueprint is paused.

        The named data stores of blueprints are on *shelf*; without one no handler can have them. Without
        *beside* jobs have no files.
        """
        listed = list(blueprints)
        self._blueprints: Mapping[Edition, Blueprint] = {(b.name, b.edition): b for b in listed}
        self._newest: Mapping[str, Blueprint] = {b.name: b for b in listed}
        self._client, self._rests, self._beside = client, rests, beside or Beside()
        self._keeper = Keeper(shelf)

    @property
    def editions(self) -> Sequence[Edition]:
        """What this node can run."""
        return tuple(self._blueprints)

    def takes(self, job: Job) -> bool:
        """True when this node may run the job."""
        return self.held(job) is None

    def held(self, job: Job) -> str | None:
        """Why this node may not run the job: it lacks the edition, or the blueprint is paused; else None."""
        if (job.blueprint, job.edition) not in self._blueprints:
            return "version_not_loaded"
        return "blueprint_paused" if self._rests(job.blueprint) else None

    async def decide(self, job: Job, branches: Sequence[Branch]) -> HandlerEvent:
        """What the handler of the job's state decided, or how it crashed. Raises only cancellation.

        *branches* are the records of the fan-out that the handler aggregates, if it does.
        """
        blueprint = self._blueprints.get((job.blueprint, job.edition))
        if blueprint is None:
            message = f"Blueprint '{job.blueprint}' edition '{job.edition}' is not loaded."
            return _crashed(job, message)
        values = self._beside.values
        try:
            stores = self._keeper.stores(blueprint.name, blueprint.edition, blueprint.data_stores)
            seen = job if values is None else await values.patiently_whole(job)
        except (HandlerError, IntegrityError) as error:
            return _crashed(job, error.message)
        files = None if self._beside.files is None else self._beside.files(job.id)
        event = await run_handler(blueprint, seen, branches, self._client(job.client), stores, files)
        if values is not None and isinstance(event, Decided):
            event = await values.aside(job, seen, event)
        if isinstance(event, Decided) and isinstance(event.decision, RunChild):
            return self._bound(job, event, event.decision)
        return event

    def begin(
        self, job: Job, branches: Sequence[Branch]
    ) -> HandlerEvent | Coroutine[Any, Any, HandlerEvent] | None:
        """What `decide` returns, without a task for it, when no handler of the state ever waits; else None.

        Should the node itself have to wait for something, it is a coroutine that goes on with it.
        """
        blueprint = self._blueprints.get((job.blueprint, job.edition))
        if blueprint is None or not never_waits(blueprint, job):
            return None
        deciding = self.decide(job, branches)
        try:
            awaited = copy_context().run(deciding.send, None)  # what the handler sets there is gone with it
        except StopIteration as ended:
            event: HandlerEvent = ended.value
            return event
        return _rest(deciding, awaited)

    def _bound(self, job: Job, event: Decided, wanted: RunChild) -> HandlerEvent:
        """The event with the child bound to the edition that new jobs of its blueprint get.

        A child whose blueprint is not there, or does not take the input, is a crash of the handler.
        """
        blueprint = self._newest.get(wanted.blueprint)
        if blueprint is None:
            return _crashed(job, f"There is no blueprint '{wanted.blueprint}' to run.")
        try:
            accept_input(blueprint, wanted.input)
        except ContractViolation as error:
            message = f"Blueprint '{wanted.blueprint}' does not take this: {error.message}"
            return _crashed(job, message, CONTRACT)
        start = blueprint.start_state or ""
        bound = msgspec.structs.replace(wanted, edition=blueprint.edition, state=start)
        return msgspec.structs.replace(event, decision=bound)


async def _rest(begun: Coroutine[Any, Any, HandlerEvent], awaited: Any) -> HandlerEvent:
    """The rest of a coroutine that waits for what it *awaited* in its first step."""
    return await _going_on(begun, awaited)


@coroutine
def _going_on(begun: Coroutine[Any, Any, HandlerEvent], awaited: Any) -> Generator[Any, Any, HandlerEvent]:
    while True:
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - cancellation, too, is for the coroutine
            step = partial(begun.throw, error)
        else:
            step = partial(begun.send, None)
        try:
            awaited = step()
        except StopIteration as ended:
            event: HandlerEvent = ended.value
            return event


def _crashed(job: Job, message: str, code: str = BLUEPRINT) -> HandlerCrashed:
    return HandlerCrashed(job.run, Failure(code=code, message=message))


__all__ = ["Decider", "Edition", "HandlerEvent"]
