"""What a store answers from memory alone: the part of the port that any store with an image shares."""

from collections.abc import Collection, Mapping, Sequence

from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Branch
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Lease, Message, MessageId
from avtomatika.stores.hints import Hints
from avtomatika.stores.image import Image


class LiveReads:
    """Reads of messages, leases and branches of unfinished jobs. None of them waits for a disk."""

    _image: Image
    _hints: Hints

    async def held(self, message: MessageId, *, now: Instant) -> Lease | None:
        return self._image.messages.held(message, now)

    async def wait(self, topics: Collection[str], *, until: Instant) -> None:
        await self._hints.wait(topics, until=until)

    async def announce(self, topics: Collection[str]) -> None:
        self._hints.announce(topics)

    async def time(self) -> Instant | None:
        return None

    async def next_due(self, queue: str) -> Instant | None:
        return self._image.messages.next_due(queue)

    async def peek(self, queue: str, *, after: MessageId | None = None, limit: int) -> Sequence[Message]:
        return self._image.messages.peek(queue, after, limit)

    async def queues(self, family: str) -> Mapping[str, Message]:
        return self._image.messages.queues(family)

    async def backlog(self, family: str, *, now: Instant, most: int) -> int:
        return self._image.messages.backlog(family, now, most)

    async def unfinished(self, client: str | None = None) -> int:
        return self._image.unfinished(client)

    async def branch(self, job: JobId, task: TaskId) -> Branch | None:
        return self._image.branch(job, task)

    async def branches(self, job: JobId, opened: int) -> Sequence[Branch]:
        return self._image.branches(job, opened)
