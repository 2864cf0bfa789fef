"""The client API: create, read, wait, list, cancel."""

from typing import Any, Final

import msgspec
from aiohttp import web

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.commands.access import Access
from avtomatika.commands.control import Control
from avtomatika.commands.queries import Queries
from avtomatika.commands.submit import Submit
from avtomatika.errors import InvalidInput
from avtomatika.http.bodies import read_payload, read_request
from avtomatika.http.views import (
    CancellationAccepted,
    EventAccepted,
    JobAccepted,
    job_list,
    job_view,
    some_fields,
)
from avtomatika.kernel.model import Status
from avtomatika.kernel.time import after, seconds
from avtomatika.ports.clock import Clock
from avtomatika.ports.store import JobQuery

MAX_WAIT: Final = 60.0
MAX_PAGE: Final = 1_000
MAX_NAME: Final = 255
TOKEN_HEADERS: Final = ("X-Client-Token", "X-Avtomatika-Token")


class ClientApi:
    """Handlers of the client routes."""

    def __init__(
        self,
        *,
        access: Access,
        submit: Submit,
        queries: Queries,
        control: Control,
        clock: Clock,
        detailed: bool,
    ) -> None:
        self._access, self._submit = access, submit
        self._queries, self._control = queries, control
        self._clock, self._detailed = clock, detailed

    async def create(self, request: web.Request, blueprint: Blueprint) -> web.Response:
        """202 with the id of the job, which is durable."""
        client = self.client_of(request)
        wanted = await read_request(request)
        job_id = await self._submit(blueprint, wanted, client.id)
        return answer(JobAccepted(job_id=job_id), 202)

    async def read(self, request: web.Request) -> web.Response:
        """200 with the job; with `wait`, once it is over or that many seconds have passed."""
        client = self.client_of(request)
        wait = _number(request, "wait", 0.0, MAX_WAIT)
        detailed = _flag(request, "detailed", self._detailed)
        until = after(self._clock.now(), seconds(wait))
        job = await self._queries.ended(request.match_info["job_id"], client.id, until)
        fields = request.query.get("fields")
        if fields is None:
            return answer(job_view(job, detailed=detailed))
        return answer(some_fields(job_view(job, detailed=True), [f for f in fields.split(",") if f]))

    async def list(self, request: web.Request) -> web.Response:
        """200 with a page of the client's jobs."""
        client = self.client_of(request)
        query = JobQuery(
            client=client.id,
            blueprint=request.query.get("blueprint"),
            status=_status(request),
            after=request.query.get("after"),
            limit=_limit(request),
        )
        return answer(job_list(await self._queries.page(query)))

    async def cancel(self, request: web.Request) -> web.Response:
        """200 when nothing of the job will be committed any more; 409 when it was over."""
        client = self.client_of(request)
        await self._control.cancel(request.match_info["job_id"], client.id)
        return answer(CancellationAccepted())

    async def send_event(self, request: web.Request) -> web.Response:
        """202 when the job has the event; 409 when it is over, or keeps as many as it may."""
        client = self.client_of(request)
        name = request.match_info["name"]
        if not 0 < len(name) <= MAX_NAME:
            raise InvalidInput(f"The name of an event has 1 to {MAX_NAME} characters.", field="name")
        payload = await read_payload(request)
        await self._control.signal(request.match_info["job_id"], client.id, name, payload)
        return answer(EventAccepted(), 202)

    def client_of(self, request: web.Request) -> ClientConfig:
        """Whose token the request carries. Raises Unauthorized."""
        for header in TOKEN_HEADERS:
            token = request.headers.get(header)
            if token is not None:
                return self._access.client(token)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._access.client(token.strip() if scheme.lower() == "bearer" else None)


def answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=_ENCODER.encode(body), status=status, content_type="application/json")


_ENCODER: Final = msgspec.json.Encoder()


def _number(request: web.Request, name: str, default: float, most: float) -> float:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise InvalidInput(f"{name} must be a number of seconds from 0 to {most:g}.", field=name)
    return value


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "100")
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE):
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_PAGE}.", field="limit")
    return int(text)


def _status(request: web.Request) -> Status | None:
    text = request.query.get("status")
    if text is None:
        return None
    if text not in tuple(Status):
        raise InvalidInput(f"status must be one of {', '.join(Status)}.", field="status")
    return Status(text)


def _flag(request: web.Request, name: str, default: bool) -> bool:
    text = request.query.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false", "1", "0"):
        raise InvalidInput(f"{name} must be true or false.", field=name)
    return text.lower() in ("true", "1")
