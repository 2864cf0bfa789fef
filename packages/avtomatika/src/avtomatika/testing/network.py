"""What lies between nodes and those who call them: requests and answers are lost, late, or come twice."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from avtomatika.testing.nodes import SimNode
from avtomatika.testing.stage import Stage

T = TypeVar("T")
Call = Callable[[SimNode], Coroutine[Any, Any, T]]

PATIENCE_MS: Final = 3_000
UNANSWERED_MS: Final = 400_000
"""Longer than any poll, pause and delay together: a request that is not answered by then never is."""


class ConnectionLost(Exception):
    """No answer came. Nothing is known about what the node did."""


class Way:
    """The node that a caller is led to. It leads to another one when that cannot be reached."""

    def __init__(self, network: "Network") -> None:
        self._network = network
        self.node = network.choose()

    def failed(self) -> None:
        """The node could not be reached."""
        self.node = self._network.choose()


class Network:
    """The way from workers and clients to the nodes."""

    def __init__(self, stage: Stage, nodes: list[SimNode]) -> None:
        self._stage = stage
        self._options = stage.options
        self.nodes = nodes
        self._open: dict[asyncio.Task[Any], tuple[int, str]] = {}

    def choose(self) -> SimNode:
        """Any node, as behind a load balancer that does not know which are up."""
        return self.nodes[0] if len(self.nodes) == 1 else self._stage.rng.choice(self.nodes)

    async def request(self, verb: str, call: Call[T], *, node: SimNode | None = None) -> T:
        """What the node answers. Raises ConnectionLost, and whatever the node refuses with."""
        stage, options = self._stage, self._options
        where = node or self.choose()
        if stage.chance(options.lose_request):
            stage.fault("lose_request", verb)
            await stage.pass_time(100, PATIENCE_MS)
            raise ConnectionLost
        if stage.chance(options.late):
            stage.counts["late"] += 1
            await stage.pass_time(1, 400)
        if not where.up:
            await stage.pass_time(50, 300)
            raise ConnectionLost
        if stage.chance(options.duplicate):
            stage.fault("duplicate", verb)
            delay = stage.rng.choice((0, 1, 10, 50))
            other = where if stage.rng.random() < 0.5 else self.choose()
            if delay:
                stage.soon(delay, self._again, other, call)
            else:
                self._again(other, call)
        answer = await self._served(verb, where, call)
        if stage.chance(options.lose_response):
            stage.fault("lose_response", verb)
            await stage.pass_time(100, PATIENCE_MS)
            raise ConnectionLost
        return answer

    async def _served(self, verb: str, node: SimNode, call: Call[T]) -> T:
        stage = self._stage
        task = node.serve(call(node))
        self._open[task] = (stage.now(), f"{verb} at {node.process.owner}")
        hang_up = None
        if stage.chance(self._options.disconnect):
            stage.counts["disconnect"] += 1
            longest = stage.rng.choice((2, 10, 300))
            hang_up = stage.loop.call_later(stage.rng.randint(0, longest) / 1_000, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                raise
            raise ConnectionLost from None
        finally:
            del self._open[task]
            if hang_up is not None:
                hang_up.cancel()

    def _again(self, node: SimNode, call: Call[Any]) -> None:
        if node.up:
            node.serve(call(node))

    def forgotten(self) -> list[str]:
        """Requests that should have been answered long ago."""
        now = self._stage.now()
        return [what for since, what in self._open.values() if now - since > UNANSWERED_MS]
