"""What anybody may ask: is it alive, is it ready, what does it promise."""

from collections.abc import Callable
from typing import Literal

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from avtomatika import observe
from avtomatika.http.answers import answer
from avtomatika.http.metrics import REGISTRY, note
from avtomatika.ports.store import Durability


class StatusView(msgspec.Struct, frozen=True):
    """That the process is alive, and what the store promises about accepted jobs."""

    status: Literal["ok"]
    durability: Durability


class ReadyView(msgspec.Struct, frozen=True):
    """That requests are taken."""

    status: Literal["ready"] = "ready"


class NotReadyView(msgspec.Struct, frozen=True):
    """That requests are not taken, not yet or no longer."""

    status: Literal["not_ready"] = "not_ready"


class PublicApi:
    """Handlers of the public routes. What happens from now on is counted."""

    def __init__(self, durability: Durability, is_ready: Callable[[], bool]) -> None:
        self._durability, self._is_ready = durability, is_ready
        observe.listen(note)

    async def metrics(self, request: web.Request) -> web.Response:
        """200 with the metrics of the process, for Prometheus."""
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def status(self, request: web.Request) -> web.Response:
        """200 for as long as the process lives."""
        return answer(StatusView("ok", self._durability))

    async def ready(self, request: web.Request) -> web.Response:
        """200 when requests are taken, 503 while the node starts or drains."""
        if self._is_ready():
            return answer(ReadyView())
        return answer(NotReadyView(), 503)
