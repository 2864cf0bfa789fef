"""Streams of simulated workers: the real two ends, over connections that break."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Final

from avtomatika.testing.channels import Gate, SimChannel, channel_pair
from avtomatika.testing.processes import Process
from avtomatika.testing.stage import Stage
from avtomatika.testing.watched_gateway import ACCOUNT, Account
from rxon.stream.channel import MAX_FRAME
from rxon.stream.frames import Ready, Tasks, decode_client_frame, decode_server_frame
from rxon.stream.serving import ServedStream
from rxon.transport import Credentials, WorkerGateway

COME_BACK_AFTER: Final = 1.0
GOODBYE_S: Final = 5.0
CLAIMED_WITHIN_MS: Final = 5_000
SMALL_FRAME: Final = 900

Serve = Callable[[Coroutine[Any, Any, None], contextvars.Context], object]
"""Runs something as a request of the node, in a context."""


class StreamDoor:
    """Where streams come in at one process of a node, as in `rxon.stream.server`, without the sockets."""

    def __init__(self, process: Process, gateway: WorkerGateway, serve: Serve) -> None:
        self._process, self._gateway, self._serve = process, gateway, serve
        self._stage: Stage = process.stage
        self._open: dict[str, ServedStream] = {}
        self._channels: list[SimChannel] = []
        self._leaving = False

    async def open(self, credentials: Credentials, worker_id: str, awake: Gate) -> SimChannel:
        """The end of the worker, which runs while it passes the gate. Raises RxonError."""
        await self._gateway.heartbeat(credentials, worker_id, None)
        stage = self._stage
        here, there = channel_pair(stage, awake, self._process.awake)
        stage.log("stream", worker_id, self._process.owner)
        account = Account()
        there.on_sent = lambda frame: account.settle(_tasks_in(frame))
        _Credits(stage, here, worker_id)
        self._channels = [channel for channel in self._channels if channel.is_open]
        self._channels.append(there)
        stage.soon(CLAIMED_WITHIN_MS, self._cut_unclaimed, here)
        context = contextvars.copy_context()
        context.run(ACCOUNT.set, account)
        self._serve(self._run(credentials, worker_id, there, account), context)
        return here

    async def _run(
        self, credentials: Credentials, worker_id: str, channel: SimChannel, account: Account
    ) -> None:
        stream = ServedStream(self._gateway, credentials, worker_id, channel)
        older = self._open.get(worker_id)
        self._open[worker_id] = stream
        try:
            async with asyncio.TaskGroup() as group:
                if older is not None:
                    self._stage.counts["replaced"] += 1
                    group.create_task(older.replaced())
                if self._leaving:
                    group.create_task(stream.leave(COME_BACK_AFTER))
                await stream.run(self._stage.rng.choice((SMALL_FRAME, MAX_FRAME)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            self._stage.ledger.violated("a stream ends as it should", repr(error))
        finally:
            if self._open.get(worker_id) is stream:
                del self._open[worker_id]
        if account.owed and not self._process.dead:
            self._stage.ledger.violated("a stream gives back what it cannot send", list(account.owed))

    def _cut_unclaimed(self, end: SimChannel) -> None:
        """Who asked for the connection has not heard that it is there, or asked twice."""
        if not end.claimed:
            end.cut()

    async def leave(self) -> None:
        """The process is going: every stream is closed."""
        self._leaving = True
        try:
            async with asyncio.timeout(GOODBYE_S), asyncio.TaskGroup() as group:
                for stream in self._open.values():
                    self._stage.counts["bye"] += 1
                    group.create_task(stream.leave(COME_BACK_AFTER))
        except TimeoutError:
            return

    def cut(self) -> None:
        """The process is gone, and its connections with it."""
        for channel in self._channels:
            channel.cut()


class _Credits:
    """Holds a server to what a worker said that it has room for: no more tasks come over a connection."""

    def __init__(self, stage: Stage, end: SimChannel, worker_id: str) -> None:
        self._stage, self._worker = stage, worker_id
        self._most = self._came = 0
        end.on_sent, end.on_received = self._sent, self._received

    def _sent(self, frame: bytes) -> None:
        if frame.startswith(b'{"frame":"ready"'):
            ready = decode_client_frame(frame)
            if isinstance(ready, Ready):
                self._most = max(self._most, ready.seen + ready.credits)

    def _received(self, frame: bytes) -> None:
        tasks = _tasks_in(frame)
        for task in tasks:
            self._stage.ledger.holding.took(self._worker, task)
        self._came += len(tasks)
        if self._came > self._most:
            what = f"{self._came} tasks, of which the last is {frame!r}, for {self._most} credits"
            self._stage.ledger.violated("a worker gets no more tasks than it has room for", what)


def _tasks_in(frame: bytes) -> list[str]:
    if not frame.startswith(b'{"frame":"tasks"'):
        return []
    decoded = decode_server_frame(frame)
    return [task.task_id for task in decoded.tasks] if isinstance(decoded, Tasks) else []
