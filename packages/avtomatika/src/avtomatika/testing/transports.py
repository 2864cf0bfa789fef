"""How simulated workers reach the nodes: the client side of RXON over the network of the world."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, TypeVar

import msgspec

from avtomatika.testing.channels import Gate, SimChannel
from avtomatika.testing.network import Call, ConnectionLost, Network, Way
from avtomatika.testing.nodes import SimNode
from rxon.errors import TransportError
from rxon.messages import (
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Registered,
    Registration,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerEvent,
)
from rxon.stream.channel import STREAM
from rxon.transport import Credentials, PollRequest

T = TypeVar("T")

TIMEOUT_S: Final = 10.0
OPEN_WITHIN_S: Final = 5.0


class SimTransport:
    """A WorkerTransport of requests, each to the node that *way* leads to."""

    def __init__(self, network: Network, way: Way, credentials: Credentials, *, streams: bool) -> None:
        self._network, self._way, self._credentials = network, way, credentials
        self._worker = credentials.worker_id or ""
        self._transports = (STREAM,) if streams else ()

    async def register(self, registration: Registration) -> Registered:
        """The node knows the worker, and offers it a stream if it may have one."""
        registered = await self._ask("register", partial(_register, self._credentials, registration))
        return msgspec.structs.replace(registered, transports=self._transports)

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks that came in time."""
        call = partial(_poll, self._credentials, self._worker, request)
        return await self._ask("poll", call, (request.timeout or 0.0) + TIMEOUT_S)

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        """The node has heard the heartbeat."""
        return await self._ask("heartbeat", partial(_heartbeat, self._credentials, self._worker, beat))

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """The answers of the node."""
        return await self._ask("report", partial(_report, self._credentials, results))

    async def emit(self, event: WorkerEvent) -> EventAnswer:
        """The node has judged the event."""
        return await self._ask("emit", partial(_emit, self._credentials, event))

    async def close(self) -> None:
        """Nothing is left open."""

    async def _ask(self, verb: str, call: Call[T], patience: float = TIMEOUT_S) -> T:
        try:
            async with asyncio.timeout(patience):
                return await self._network.request(verb, call, node=self._way.node)
        except (ConnectionLost, TimeoutError) as error:
            self._way.failed()
            raise TransportError(f"{verb} came to nothing") from error


async def _register(credentials: Credentials, registration: Registration, node: SimNode) -> Registered:
    return await node.gateway.register(credentials, registration)


async def _poll(
    credentials: Credentials, worker: str, request: PollRequest, node: SimNode
) -> Sequence[TaskOffer]:
    return await node.gateway.poll(credentials, worker, request)


async def _heartbeat(
    credentials: Credentials, worker: str, beat: Heartbeat | None, node: SimNode
) -> HeartbeatAnswer:
    return await node.gateway.heartbeat(credentials, worker, beat)


async def _report(
    credentials: Credentials, results: Sequence[TaskResult], node: SimNode
) -> Sequence[ResultAnswer]:
    return await node.gateway.report(credentials, results)


async def _emit(credentials: Credentials, event: WorkerEvent, node: SimNode) -> EventAnswer:
    return await node.gateway.emit(credentials, event)


class SimOpener:
    """Opens streams to the node that *way* leads to, for a process that runs while it passes *awake*."""

    def __init__(self, network: Network, way: Way, credentials: Credentials, awake: Gate) -> None:
        self._network, self._way, self._credentials, self._awake = network, way, credentials, awake
        self._channels: list[SimChannel] = []

    async def open(self) -> SimChannel:
        """A connection. Raises RxonError."""
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                channel = await self._network.request("stream", self._open_at, node=self._way.node)
        except (ConnectionLost, TimeoutError) as error:
            self._way.failed()
            raise TransportError("There is no stream") from error
        channel.claimed = True
        self._channels = [each for each in self._channels if each.is_open]
        self._channels.append(channel)
        return channel

    async def _open_at(self, node: SimNode) -> SimChannel:
        worker = self._credentials.worker_id or ""
        return await node.door.open(self._credentials, worker, self._awake)

    async def close(self) -> None:
        """Nothing is left open."""
        self.cut()

    def cut(self) -> None:
        """The process is gone, and its connections with it."""
        for channel in self._channels:
            channel.cut()
