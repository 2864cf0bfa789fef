"""Approvals over HTTP: the inbox, the decision of a client, and the decision by the link (A8, B4)."""

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Raw

from avtomatika.commands.approvals import Answer, Approvals
from avtomatika.commands.queries import Queries
from avtomatika.errors import InvalidInput, Unauthorized
from avtomatika.http import query
from avtomatika.http.answers import answer
from avtomatika.http.bodies import read_as
from avtomatika.http.callers import TOKEN_HEADERS, Callers
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import NULL, AwaitingHuman, Job, Status
from avtomatika.kernel.notices import approval_id, decisions
from avtomatika.ports.store import JobQuery

MAX_TEXT: Final = 255

_Object = Annotated[Raw, msgspec.Meta(extra_json_schema={"type": ["object", "null"]})]


def _null() -> Raw:
    # A default that is made: one that stands would be part of the schema, which cannot show it.
    return NULL


class ApprovalLinks:
    """Makes links by which whoever has one answers a question, with a POST."""

    def __init__(self, approvals: Approvals, base: Callable[[], str]) -> None:
        """*base* tells where the node is reached."""
        self._approvals, self._base = approvals, base

    def __call__(self, job: JobId, since: int) -> str:
        """The link for the question that the job asks since this version of it."""
        return f"{self._base()}/_public/webhooks/approval/{job}?token={self._approvals.secret(job, since)}"


class DecisionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decision, and an object that goes with it; `token` is the secret of the link.

    `metadata` is the older name of `data`. With both, the members of `data` count where they meet.
    """

    decision: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
    data: _Object = msgspec.field(default_factory=_null)
    metadata: _Object = msgspec.field(default_factory=_null)
    security: Raw = msgspec.field(default_factory=_null)
    approval_id: str | None = None
    token: str | None = None


class ApprovalReceived(msgspec.Struct, frozen=True, kw_only=True):
    """That the job has moved on by the decision."""

    status: str = "approval_received"
    job_id: str


class ApprovalView(msgspec.Struct, frozen=True):
    """A question that waits for an answer. Times are in milliseconds since the epoch."""

    approval_id: str
    job_id: str
    blueprint_name: str
    integration: str
    message: str
    decisions: list[str]
    data_schema: Raw
    asked_at: int
    expires_at: int | None
    labels: dict[str, str]


class ApprovalList(msgspec.Struct, frozen=True):
    """A page of questions, those of the newest jobs first. `next` is what `after` takes for the rest."""

    approvals: list[ApprovalView]
    next: str | None


class ApprovalApi:
    """Handlers of the routes about approvals."""

    def __init__(self, callers: Callers, approvals: Approvals, queries: Queries) -> None:
        self._callers, self._approvals, self._queries = callers, approvals, queries

    async def inbox(self, request: web.Request) -> web.Response:
        """200 with a page of the questions that the caller may answer."""
        wanted = JobQuery(
            client=self._callers.viewer_of(request),
            blueprint=request.query.get("blueprint"),
            status=Status.WAITING_FOR_HUMAN,
            labels=query.labels(request),
            after=request.query.get("after"),
            limit=query.limit(request),
        )
        page = await self._queries.page(wanted)
        views = (_view(job, job.phase) for job in page.jobs if isinstance(job.phase, AwaitingHuman))
        return answer(ApprovalList([*views], page.next))

    async def decide(self, request: web.Request) -> web.Response:
        """200 when the job has moved on by the decision; 409 when it does not ask, or not any more."""
        client = self._callers.client_of(request)
        viewer = self._callers.viewer_of(request)
        body = await _read(request)
        job_id = request.match_info["job_id"]
        await self._approvals.decide(job_id, viewer, _answer(body), client.id)
        return answer(ApprovalReceived(job_id=job_id))

    async def decide_by_link(self, request: web.Request) -> web.Response:
        """As `decide`, for whoever has the secret of the question, or the token of the client."""
        body = await _read(request)
        secret = request.query.get("token") or body.token
        if not secret and any(header in request.headers for header in (*TOKEN_HEADERS, "Authorization")):
            return await self.decide(request)
        if not secret:
            raise Unauthorized("The secret of the approval link is missing.")
        job_id = request.match_info["job_id"]
        await self._approvals.decide_by_link(job_id, secret, _answer(body))
        return answer(ApprovalReceived(job_id=job_id))


async def _read(request: web.Request) -> DecisionBody:
    return await read_as(request, DecisionBody)


def _answer(body: DecisionBody) -> Answer:
    given = {name: raw for name, raw in (("metadata", body.metadata), ("data", body.data)) if raw != NULL}
    members: dict[str, Raw] = {}
    for name, raw in given.items():
        if bytes(raw)[:1] != b"{":
            raise InvalidInput("What goes with a decision is a JSON object.", field=name)
        members |= msgspec.json.decode(raw, type=dict[str, Raw])
    data = Raw(msgspec.json.encode(members)) if len(given) > 1 else next(iter(given.values()), NULL)
    return Answer(body.decision, data, body.approval_id)


def _view(job: Job, phase: AwaitingHuman) -> ApprovalView:
    return ApprovalView(
        approval_id=approval_id(job.id, phase.since),
        job_id=job.id,
        blueprint_name=job.blueprint,
        integration=phase.integration,
        message=phase.message,
        decisions=[*decisions(phase)],
        data_schema=phase.schema,
        asked_at=phase.asked or job.updated,
        expires_at=phase.due,
        labels=job.labels,
    )
