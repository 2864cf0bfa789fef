"""The client API: create, read, wait, list, cancel."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.commands.control import Control
from avtomatika.commands.queries import Queries
from avtomatika.commands.submit import Submit
from avtomatika.errors import InvalidInput
from avtomatika.http import query
from avtomatika.http.answers import answer, urgent_answer
from avtomatika.http.bodies import read_batch, read_payload, read_request
from avtomatika.http.callers import Callers
from avtomatika.http.views import (
    BatchAccepted,
    BatchOver,
    CancellationAccepted,
    EventAccepted,
    JobAccepted,
    JobView,
    job_list,
    job_view,
    some_fields,
)
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.time import Instant, after, seconds
from avtomatika.ports.clock import Clock
from avtomatika.ports.store import JobQuery

MAX_WAIT: Final = 60.0
MAX_NAME: Final = 255


class ClientApi:
    """Handlers of the client routes."""

    def __init__(
        self,
        *,
        callers: Callers,
        submit: Submit,
        queries: Queries,
        control: Control,
        clock: Clock,
        detailed: bool,
    ) -> None:
        self._callers, self._submit = callers, submit
        self._queries, self._control = queries, control
        self._clock, self._detailed = clock, detailed
        self._waiting = 0

    async def create(self, request: web.Request, blueprint: Blueprint) -> web.Response:
        """202 with the id of the durable job, or 200 with the job if it ends while the caller waits."""
        client = self._callers.client_of(request)
        wanted = await read_request(request)
        job_id = await self._submit(blueprint, wanted, client.id)
        wait = query.preferred_wait(request, MAX_WAIT)
        if wait is not None and (over := await self._over([job_id], client.id, wait)):
            return _waited(await self._answer(over[0], None, detailed=self._detailed, waited=True), wait)
        return answer(JobAccepted(job_id=job_id), 202)

    async def create_batch(self, request: web.Request, blueprint: Blueprint) -> web.Response:
        """202 with the ids of the jobs, all durable, in the order of the requests; or 200 with the jobs.

        They are there if all of them end while the caller waits.
        """
        client = self._callers.client_of(request)
        wanted = await read_batch(request)
        job_ids = await self._submit.batch(blueprint, wanted, client.id)
        wait = query.preferred_wait(request, MAX_WAIT)
        if wait is not None and (over := await self._over(job_ids, client.id, wait)):
            views = [await self._view(job, detailed=self._detailed) for job in over]
            return _waited(answer(BatchOver(jobs=views)), wait)
        return answer(BatchAccepted(job_ids=[*job_ids]), 202)

    async def _over(self, job_ids: Sequence[str], client: str, wait: int) -> Sequence[Job]:
        """The jobs, when all are over within *wait* seconds; else none."""
        until, over = after(self._clock.now(), seconds(wait)), list[Job]()
        for job_id in job_ids:
            job = await self._ended(job_id, client, until)
            if not job.over:
                return ()
            over.append(job)
        return over

    async def _ended(self, job_id: str, viewer: str | None, until: Instant) -> Job:
        self._waiting += 1
        try:
            return await self._queries.ended(job_id, viewer, until)
        finally:
            self._waiting -= 1

    async def read(self, request: web.Request) -> web.Response:
        """200 with the job; with `wait`, once it is over or that many seconds have passed."""
        viewer = self._callers.viewer_of(request)
        wait = query.number(request, "wait", 0.0, MAX_WAIT)
        detailed = query.flag(request, "detailed", self._detailed)
        until = after(self._clock.now(), seconds(wait))
        job = await self._ended(request.match_info["job_id"], viewer, until)
        fields = request.query.get("fields")
        return await self._answer(job, fields, detailed=detailed, waited=wait > 0)

    async def _answer(self, job: Job, fields: str | None, *, detailed: bool, waited: bool) -> web.Response:
        view = await self._view(job, detailed=detailed or fields is not None)
        if fields is None:  # with others who wait, nobody goes first: that would cost all of them
            return urgent_answer(view) if waited and not self._waiting else answer(view)
        return answer(some_fields(view, [field for field in fields.split(",") if field]))

    async def _view(self, job: Job, *, detailed: bool) -> JobView:
        held = self._queries.held(job)
        return job_view(await self._queries.shown(job) if detailed else job, detailed=detailed, held=held)

    async def list(self, request: web.Request) -> web.Response:
        """200 with a page of the jobs that the caller sees."""
        return await self._page(request, query.status(request))

    async def quarantined(self, request: web.Request) -> web.Response:
        """200 with a page of the jobs in quarantine that the caller sees."""
        return await self._page(request, Status.QUARANTINED)

    async def _page(self, request: web.Request, status: Status | None) -> web.Response:
        wanted = JobQuery(
            client=self._callers.viewer_of(request),
            blueprint=request.query.get("blueprint"),
            status=status,
            labels=query.labels(request),
            since=query.moment(request, "since"),
            before=query.moment(request, "before"),
            after=request.query.get("after"),
            limit=query.limit(request),
        )
        return answer(job_list(await self._queries.page(wanted), self._queries.held))

    async def cancel(self, request: web.Request) -> web.Response:
        """200 when nothing of the job will be committed any more; 409 when it was over."""
        viewer = self._callers.viewer_of(request)
        await self._control.cancel(request.match_info["job_id"], viewer)
        return answer(CancellationAccepted())

    async def send_event(self, request: web.Request) -> web.Response:
        """202 when the job has the event; 409 when it is over, or keeps as many as it may."""
        viewer = self._callers.viewer_of(request)
        name = request.match_info["name"]
        if not 0 < len(name) <= MAX_NAME:
            raise InvalidInput(f"The name of an event has 1 to {MAX_NAME} characters.", field="name")
        payload = await read_payload(request)
        await self._control.signal(request.match_info["job_id"], viewer, name, payload)
        return answer(EventAccepted(), 202)


def _waited(response: web.Response, wait: int) -> web.Response:
    response.headers["Preference-Applied"] = f"wait={wait}"
    return response
