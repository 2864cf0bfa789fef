"""What operators do to jobs: again, back, another way; and to whole blueprints (feature B5)."""

from collections.abc import Collection
from typing import Literal

import msgspec
from aiohttp import web

from avtomatika.commands.operator import Operator, Place
from avtomatika.commands.pauses import Pauses
from avtomatika.errors import InvalidInput, NotFound
from avtomatika.http.answers import answer
from avtomatika.http.bodies import read_as
from avtomatika.http.callers import Callers
from avtomatika.http.views import JobAccepted


class PlaceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A moment in the life of a job: one of its versions, or the last time that it entered a state."""

    version: int | None = None
    state: str | None = None


class Requeued(msgspec.Struct, frozen=True):
    """That the handler is due once more."""

    status: Literal["requeued"] = "requeued"


class Rewound(msgspec.Struct, frozen=True, kw_only=True):
    """Where the job goes on from."""

    status: Literal["rewound"] = "rewound"
    version: int
    state: str


class WebhookQueued(msgspec.Struct, frozen=True):
    """That the webhook goes out once more."""

    status: Literal["webhook_queued"] = "webhook_queued"


class BlueprintPaused(msgspec.Struct, frozen=True):
    """Whether handlers of the blueprint are begun."""

    name: str
    paused: bool


class OperatorApi:
    """Handlers of the routes of operators. Clients may use those on jobs for their own."""

    def __init__(
        self, callers: Callers, operator: Operator, pauses: Pauses, blueprints: Collection[str]
    ) -> None:
        """*blueprints* are the names of those that can be paused."""
        self._callers, self._operator, self._pauses = callers, operator, pauses
        self._blueprints = frozenset(blueprints)

    async def requeue(self, request: web.Request) -> web.Response:
        """202 when the handler where the job ended is due once more."""
        viewer, by = self._callers.viewer_of(request), self._callers.client_of(request).id
        await self._operator.requeue(request.match_info["job_id"], viewer, by)
        return answer(Requeued(), 202)

    async def rewind(self, request: web.Request) -> web.Response:
        """202 when the job goes on from an earlier place."""
        viewer, by = self._callers.viewer_of(request), self._callers.client_of(request).id
        place = await _place(request)
        then = await self._operator.rewind(request.match_info["job_id"], viewer, place, by)
        return answer(Rewound(version=then.version, state=then.state), 202)

    async def fork(self, request: web.Request) -> web.Response:
        """202 with the id of a new job that goes on from an earlier place of this one."""
        viewer = self._callers.viewer_of(request)
        place = await _place(request)
        job_id = await self._operator.fork(request.match_info["job_id"], viewer, place)
        return answer(JobAccepted(job_id=job_id), 202)

    async def resend_webhook(self, request: web.Request) -> web.Response:
        """202 when the webhook of the job's end goes out once more."""
        viewer = self._callers.viewer_of(request)
        await self._operator.resend_webhook(request.match_info["job_id"], viewer)
        return answer(WebhookQueued(), 202)

    async def pause(self, request: web.Request) -> web.Response:
        """200 when no handler of the blueprint is begun any more."""
        name = self._named(request)
        await self._pauses.pause(name)
        return answer(BlueprintPaused(name, True))

    async def resume(self, request: web.Request) -> web.Response:
        """200 when handlers of the blueprint are begun again."""
        name = self._named(request)
        await self._pauses.resume(name)
        return answer(BlueprintPaused(name, False))

    def _named(self, request: web.Request) -> str:
        self._callers.operator(request)
        name = request.match_info["name"]
        if name not in self._blueprints and not self._pauses.holds(name):
            raise NotFound("Blueprint not found")
        return name


async def _place(request: web.Request) -> Place:
    body = await read_as(request, PlaceBody)
    if (body.version is None) == (body.state is None):
        raise InvalidInput("Name either a version or a state.", field="version")
    return Place(body.version, body.state)
