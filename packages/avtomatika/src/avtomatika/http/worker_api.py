"""What operators do about workers: tell one of them something, and read the tokens of all again."""

from collections.abc import Callable
from typing import Literal

import msgspec
from aiohttp import web

from avtomatika.commands.presence import Presence
from avtomatika.errors import ConfigError, Conflict, InvalidInput
from avtomatika.http.answers import answer
from avtomatika.http.bodies import read_payload
from avtomatika.http.callers import Callers
from avtomatika.kernel.model import NULL
from rxon.messages import WorkerCommand
from rxon.vocabulary import CANCEL_TASK

MAX_NAME = 255


class CommandSent(msgspec.Struct, frozen=True):
    """`sent` to a worker that listens to this node, or `queued` until it does, an hour at most."""

    status: Literal["sent", "queued"]


class WorkersReloaded(msgspec.Struct, frozen=True):
    """That the file was read again."""

    status: Literal["worker_configs_reloaded"] = "worker_configs_reloaded"


class WorkerApi:
    """Handlers of the routes about workers, for operators."""

    def __init__(
        self, callers: Callers, presence: Presence, reload: Callable[[], None], fresh: Callable[[], str]
    ) -> None:
        self._callers, self._presence, self._reload, self._fresh = callers, presence, reload, fresh

    async def command(self, request: web.Request) -> web.Response:
        """202 when the command is on its way to a worker that is present."""
        self._callers.operator(request)
        worker_id, name = request.match_info["worker_id"], request.match_info["name"]
        if name == CANCEL_TASK or len(name) > MAX_NAME:
            raise InvalidInput("This is no command of the worker's own.", field="name")
        worker = await self._presence.get(worker_id)
        params = await read_payload(request)
        told = WorkerCommand(
            command=name, params=None if params == NULL else params, id=f"cmd-{self._fresh()}"
        )
        sent = await self._presence.mailbox.send(worker.profile.id, told)
        return answer(CommandSent("sent" if sent else "queued"), 202)

    async def reload(self, request: web.Request) -> web.Response:
        """200 when the tokens are those of the file. They stay as they were when it is broken."""
        self._callers.operator(request)
        try:
            self._reload()
        except ConfigError as error:
            raise Conflict(error.message) from error
        return answer(WorkersReloaded())
