"""What the writer is told of a job saves it a look; what has moved since is looked at again."""

from msgspec.structs import replace

from avtomatika.blueprints.client import ClientConfig
from avtomatika.clock import SystemNames
from avtomatika.commands.apply import Writer
from avtomatika.commands.decide import Decider
from avtomatika.kernel.events import CancelRequested
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Status
from avtomatika.kernel.progress import Moved
from avtomatika.ports.node import NodeContext
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore
from avtomatika.testing.contract.values import CountedTokens, VirtualClock, a_job, create


class Loaded(MemoryStore):
    """Counts how often a job is loaded."""

    loads = 0

    async def load(self, job: JobId) -> Job | None:
        self.loads += 1
        return await super().load(job)


def a_writer() -> tuple[Loaded, Writer]:
    clock = VirtualClock()
    store = Loaded(now=clock.now, tokens=CountedTokens())
    node = NodeContext(store, clock, SystemNames(), Supervisor().spawn, "n")
    return store, Writer(node, Decider((), lambda name: ClientConfig(id=name, plan="")))


async def test_a_job_that_has_not_moved_is_not_loaded() -> None:
    store, writer = a_writer()
    await create(store, a_job())
    known = await store.load(JobId("j"))
    outcome = await writer.apply(JobId("j"), CancelRequested(), owned=True, known=known)
    assert isinstance(outcome, Moved)
    assert store.loads == 1


async def test_a_job_that_has_moved_since_is_loaded_and_the_event_meets_it_as_it_is() -> None:
    store, writer = a_writer()
    known = a_job()
    await create(store, replace(known, version=5, state="further", labels={"moved": "yes"}))
    outcome = await writer.apply(JobId("j"), CancelRequested(), owned=True, known=known)
    assert isinstance(outcome, Moved)
    job = await store.load(JobId("j"))
    assert job is not None
    assert (job.version, job.status, job.labels) == (6, Status.CANCELLED, {"moved": "yes"})
