"""The routes where a worker gets a token that opens for a while, in exchange for its own."""

from aiohttp import web

from rxon.codec import decode
from rxon.errors import ProtocolError
from rxon.http.certificate import certified_names
from rxon.http.incoming import body_of, credentials_of
from rxon.http.outgoing import json_response
from rxon.identifiers import validate_identifier
from rxon.messages import RefreshRequest
from rxon.transport import WorkerDesk
from rxon.vocabulary import WORKER_ID_HEADER

__all__ = ["TokenRoutes"]


class TokenRoutes:
    """Handlers of the two routes."""

    def __init__(self, desk: WorkerDesk) -> None:
        self._desk = desk

    async def issue(self, request: web.Request) -> web.Response:
        """200 with a token for a while, and one to renew it with."""
        return json_response(await self._desk.issue(credentials_of(request, None)))

    async def renew(self, request: web.Request) -> web.Response:
        """200 with new ones of both."""
        body = await body_of(request)
        token = decode(RefreshRequest, body).refresh_token if body.strip() else ""
        if not token:
            raise ProtocolError("Missing refresh_token in payload", details={"field": "refresh_token"})
        named = request.headers.get(WORKER_ID_HEADER)
        worker_id = validate_identifier(named, WORKER_ID_HEADER) if named else None
        return json_response(await self._desk.renew(worker_id, token, certified_names(request)))
