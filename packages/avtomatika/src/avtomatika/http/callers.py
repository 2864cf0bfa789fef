"""Who calls: a client by its token, or an operator, who sees the jobs of all."""

from typing import Final

from aiohttp import web

from avtomatika.blueprints.client import ClientConfig
from avtomatika.commands.access import OPERATOR, Access
from avtomatika.commands.queries import EVERYBODY, Viewer
from avtomatika.errors import Forbidden

TOKEN_HEADERS: Final = ("X-Client-Token", "X-Avtomatika-Token")


class Callers:
    """Tells callers apart by the token that their request carries."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def client_of(self, request: web.Request) -> ClientConfig:
        """Whose token the request carries. Raises Unauthorized."""
        for header in TOKEN_HEADERS:
            token = request.headers.get(header)
            if token is not None:
                return self._access.client(token)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._access.client(token.strip() if scheme.lower() == "bearer" else None)

    def viewer_of(self, request: web.Request) -> Viewer:
        """Whose jobs the caller sees. Raises Unauthorized."""
        client = self.client_of(request)
        return EVERYBODY if client is OPERATOR else client.id

    def operator(self, request: web.Request) -> ClientConfig:
        """The caller, who is an operator. Raises Unauthorized, Forbidden."""
        client = self.client_of(request)
        if client is not OPERATOR:
            raise Forbidden("This takes the token of an operator.")
        return client
