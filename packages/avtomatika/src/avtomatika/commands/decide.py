"""Running the user's handler for a job that is due, and what comes of it as an event."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.run import HandlerEvent, run_handler
from avtomatika.kernel.decisions import RunChild
from avtomatika.kernel.events import Decided, HandlerCrashed
from avtomatika.kernel.model import Branch, Failure, Job
from avtomatika.kernel.retry import BLUEPRINT

Edition = tuple[str, str]


class Decider:
    """The blueprints of a node, by name and edition, and how their handlers are run.

    Of several editions of a blueprint the last one is for new jobs.
    """

    def __init__(
        self,
        blueprints: Iterable[Blueprint],
        client: Callable[[str], ClientConfig],
        rests: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """*client* tells who a client is by its id, *rests* whether a blueprint is paused."""
        listed = list(blueprints)
        self._blueprints: Mapping[Edition, Blueprint] = {(b.name, b.edition): b for b in listed}
        self._newest: Mapping[str, Blueprint] = {b.name: b for b in listed}
        self._client, self._rests = client, rests

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
        event = await run_handler(blueprint, job, branches, self._client(job.client))
        if isinstance(event, Decided) and isinstance(event.decision, RunChild):
            return self._bound(job, event, event.decision)
        return event

    def _bound(self, job: Job, event: Decided, wanted: RunChild) -> HandlerEvent:
        """The event with the child bound to the edition that new jobs of its blueprint get."""
        blueprint = self._newest.get(wanted.blueprint)
        if blueprint is None:
            return _crashed(job, f"There is no blueprint '{wanted.blueprint}' to run.")
        start = blueprint.start_state or ""
        bound = msgspec.structs.replace(wanted, edition=blueprint.edition, state=start)
        return msgspec.structs.replace(event, decision=bound)


def _crashed(job: Job, message: str) -> HandlerCrashed:
    return HandlerCrashed(job.run, Failure(code=BLUEPRINT, message=message))


__all__ = ["Decider", "Edition", "HandlerEvent"]
