"""The other nodes of the store, and when one of them died last.

A node runs the handler that an event makes due in the commit of that event (architecture 5.8.4). Should the
handler kill the process, nothing tells of it but the death; whoever sent the event sends it again, to the
next node. So jobs that have not moved since a death are suspects: their handlers are counted before they
run, and what kills its process again and again is put aside (guarantee G14). To be one costs one commit.
"""

from typing import Final

import msgspec

from avtomatika import observe
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.ports.registry import Doc, Registry

KIND: Final = "node"
BEAT: Final = Span(2 * SECOND)
SILENT: Final = Span(6 * SECOND)
"""Who was not heard of for so long has died, or has stopped so long that it is the same."""

KEEP: Final = Span(86_400 * SECOND)
_NEVER: Final = Instant(-(2**62))


class _Beat(msgspec.Struct, frozen=True):
    """`run` tells one process of a name from the next."""

    run: str
    at: Instant


class Nodes:
    """Nodes as the registry knows them. Each is there from its first beat until it leaves in order."""

    def __init__(self, node: NodeContext, registry: Registry) -> None:
        self._registry, self._clock = registry, node.clock
        self._name, self._run = node.name, node.names.token()
        self._dead: frozenset[str] = frozenset()
        self._died_at = _NEVER

    def suspects(self, job: Job) -> bool:
        """True when the job has not moved since some node died, or since this one noticed it."""
        return job.updated <= self._died_at

    async def beat(self) -> None:
        """The others know that this node lives, and it knows who of them does. Raises Unavailable."""
        now = self._clock.now()
        docs = await self._registry.scan(KIND, now=now)
        dead = frozenset(beat.run for doc in docs if self._is_dead(doc.key, beat := _read(doc), now))
        if dead - self._dead:
            self._died_at = now
        self._dead = dead
        mine = msgspec.json.encode(_Beat(self._run, now))
        await self._registry.put(Doc(KIND, self._name, mine, after(now, KEEP)))

    async def leave(self) -> None:
        """This node ends in order: nobody is to suspect anything. Raises Unavailable."""
        doc = await self._registry.get(KIND, self._name, now=self._clock.now())
        if doc is not None and _read(doc).run == self._run:
            await self._registry.delete(KIND, self._name)

    def _is_dead(self, name: str, beat: _Beat, now: Instant) -> bool:
        if beat.run == self._run:
            return False
        if name != self._name:
            return now - beat.at > SILENT
        if now - beat.at < BEAT:
            observe.warning("node.name_taken", node=name)
        return True


def _read(doc: Doc) -> _Beat:
    return msgspec.json.decode(doc.body, type=_Beat)
