"""What there is: blueprints, workers, schedules, and how many jobs stand where (features B3 and C6)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.commands.explain import Explain
from avtomatika.commands.parked import Parked
from avtomatika.commands.pauses import Pauses
from avtomatika.commands.presence import Presence, Worker
from avtomatika.commands.queries import EVERYBODY, Queries
from avtomatika.commands.standing import Standing
from avtomatika.commands.ticks import Planned
from avtomatika.http.answers import answer
from avtomatika.http.callers import Callers
from avtomatika.http.explaining import explanation_view


class Sources(msgspec.Struct, frozen=True):
    """Who knows."""

    queries: Queries
    presence: Presence
    pauses: Pauses
    parked: Callable[[], Awaitable[Sequence[Parked]]]
    schedules: Callable[[], Awaitable[Sequence[Planned]]]
    explain: Explain
    standing: Standing


class BlueprintView(msgspec.Struct, frozen=True):
    """A blueprint. New jobs are of `version`; `versions` are all that this node can run."""

    name: str
    version: str
    versions: list[str]
    endpoint: str | None
    api_version: str | None
    states: list[str]
    paused: bool
    input_schema: Mapping[str, Any] | None
    output_schema: Mapping[str, Any] | None


class ParkedView(msgspec.Struct, frozen=True):
    """Jobs whose version of a blueprint this node has not loaded: they wait for a node that has."""

    blueprint: str
    version: str
    jobs: int
    example_job_id: str


class BlueprintList(msgspec.Struct, frozen=True):
    """The blueprints of this node, and the versions that jobs wait for in vain here."""

    blueprints: list[BlueprintView]
    parked: list[ParkedView]


class WorkerView(msgspec.Struct, frozen=True):
    """A worker that was heard of lately. Times are in milliseconds since the epoch."""

    worker_id: str
    worker_type: str
    status: str
    hostname: str | None
    registered_at: int
    supported_skills: list[dict[str, Any]]
    cost_per_skill: dict[str, float]
    hot_skills: list[str]
    usage: dict[str, float]
    reputation: float
    load: int


class WorkerList(msgspec.Struct, frozen=True):
    """The workers that are present, by id."""

    workers: list[WorkerView]


class Offer(msgspec.Struct, frozen=True):
    """A skill that workers offer: how it is declared, by how many, of which types, and from what price on."""

    contract: dict[str, Any]
    providers_count: int
    worker_types: list[str]
    lowest_cost: float


class Dashboard(msgspec.Struct, frozen=True):
    """How many workers are present, and how many of the jobs that the caller sees stand where."""

    workers: dict[str, int]
    jobs: dict[str, int]


class ScheduleList(msgspec.Struct, frozen=True):
    """The schedules of this node."""

    schedules: list[Planned]


class OverviewApi:
    """Handlers of the routes about what there is."""

    def __init__(self, callers: Callers, sources: Sources, blueprints: Iterable[Blueprint]) -> None:
        """*blueprints* are those of the node; of several versions the last one is for new jobs."""
        self._callers, self._sources = callers, sources
        self._blueprints = tuple(blueprints)

    async def blueprints(self, request: web.Request) -> web.Response:
        """200 with the blueprints."""
        self._callers.client_of(request)
        newest = {blueprint.name: blueprint for blueprint in self._blueprints}
        parked = [ParkedView(p.blueprint, p.edition, p.jobs, p.example) for p in await self._sources.parked()]
        return answer(BlueprintList([self._view(newest[name]) for name in sorted(newest)], parked))

    def _view(self, blueprint: Blueprint) -> BlueprintView:
        return BlueprintView(
            name=blueprint.name,
            version=blueprint.edition,
            versions=[other.edition for other in self._blueprints if other.name == blueprint.name],
            endpoint=blueprint.api_endpoint,
            api_version=blueprint.api_version,
            states=sorted({*blueprint.states, *blueprint.aggregators}),
            paused=self._sources.pauses.holds(blueprint.name),
            input_schema=blueprint.input_schema,
            output_schema=blueprint.output_schema,
        )

    async def workers(self, request: web.Request) -> web.Response:
        """200 with the workers, for operators: they tell of machines that are not everybody's business."""
        self._callers.operator(request)
        return answer(WorkerList([*map(self._worker, await self._sources.presence.everyone())]))

    def _worker(self, worker: Worker) -> WorkerView:
        profile, standing = worker.profile, self._sources.standing
        return WorkerView(
            worker_id=profile.id,
            worker_type=worker.type,
            status=worker.status,
            hostname=worker.hostname,
            registered_at=worker.registered_at,
            supported_skills=[msgspec.to_builtins(skill) for skill in profile.skills.values()],
            cost_per_skill=dict(profile.costs),
            hot_skills=sorted(profile.hot),
            usage=dict(worker.usage),
            reputation=standing.reputation(profile.id),
            load=standing.load(profile.id),
        )

    async def explain(self, request: web.Request) -> web.Response:
        """200 with why a task waits; operators see the names of workers."""
        viewer = self._callers.viewer_of(request)
        found = await self._sources.explain.task(request.match_info["task_id"], viewer)
        return answer(explanation_view(found, names=viewer is EVERYBODY))

    async def catalog(self, request: web.Request) -> web.Response:
        """200 with the skills that workers offer, by name, without telling who they are."""
        self._callers.client_of(request)
        return answer(_catalog(await self._sources.presence.everyone()))

    async def dashboard(self, request: web.Request) -> web.Response:
        """200 with the numbers."""
        viewer = self._callers.viewer_of(request)
        tally = await self._sources.queries.tally(viewer)
        jobs = {status.value: count for status, count in tally.items()}
        present = await self._sources.presence.everyone()
        return answer(Dashboard({"total": len(present)}, {"queued": jobs.get("pending", 0), **jobs}))

    async def schedules(self, request: web.Request) -> web.Response:
        """200 with the schedules, for operators."""
        self._callers.operator(request)
        return answer(ScheduleList([*await self._sources.schedules()]))


def _catalog(workers: Sequence[Worker]) -> dict[str, Offer]:
    names = sorted({name for worker in workers for name in worker.profile.skills})
    return {name: _offer(name, [w for w in workers if name in w.profile.skills]) for name in names}


def _offer(name: str, providers: Sequence[Worker]) -> Offer:
    return Offer(
        contract=msgspec.to_builtins(providers[0].profile.skills[name]),
        providers_count=len(providers),
        worker_types=sorted({worker.type for worker in providers}),
        lowest_cost=min(worker.profile.costs.get(name, 0.0) for worker in providers),
    )
