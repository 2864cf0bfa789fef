"""Files are removed once nobody needs them: those of one job, after its end and no earlier (feature G1)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from avtomatika.blobs.stored import FolderBlobs
from avtomatika.blueprints.file_names import prefix_of
from avtomatika.clock import SystemNames
from avtomatika.commands.file_links import FileLinks
from avtomatika.commands.job_files import LATE, LOOK_AGAIN, PAUSE, PURGE_LEASE, FilePolicy, JobFiles
from avtomatika.commands.outbox import FILES, message_of
from avtomatika.errors import Forbidden, NotFound, TooLarge, Unavailable
from avtomatika.kernel.effects import PurgeFiles
from avtomatika.kernel.ids import JobId, child_id
from avtomatika.kernel.model import Job
from avtomatika.kernel.time import Instant, Span, after
from avtomatika.ports.blobs import FileMetadata
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease, LeaseLost
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore
from avtomatika.testing.contract.values import a_job, over

BEGIN = Instant(1_790_000_000_000)
KEEP = Span(500_000)
JOB = JobId("0190")
KIN = child_id(JOB, 1)
FAR = Span(10**12)


class HandClock:
    def __init__(self) -> None:
        self.time = BEGIN

    def now(self) -> Instant:
        return self.time

    async def sleep_until(self, when: Instant) -> None:
        self.time = when


class Blobs(FolderBlobs):
    """Those of a folder, for as long as they can be reached."""

    reachable = True

    async def metadata(self, key: str) -> FileMetadata | None:
        if not self.reachable:
            raise Unavailable("gone")
        return await super().metadata(key)


class Node:
    """A node with files, whose clock is set by hand."""

    def __init__(self, folder: Path, keep: Span | None = KEEP) -> None:
        self.clock, names = HandClock(), SystemNames()
        self.store = MemoryStore(now=self.clock.now, tokens=names.token)
        context = NodeContext(self.store, self.clock, names, Supervisor().spawn, "n")
        self.blobs = Blobs("bucket", folder / "stored")
        self.local = folder / "local"
        self.links = FileLinks(self.clock, "a key", lambda: "http://node")
        self.files = JobFiles(context, self.blobs, self.local, self.links, FilePolicy(keep, 1_000))

    async def has(self, job: Job, version: int = 0) -> Job:
        await self.store.commit(Commit(now=self.clock.now(), job=job, expected=version))
        return job

    async def put(self, job: Job, name: str = "a", *chunks: bytes) -> str:
        return await self.files.put(job, name, pieces(*(chunks or (b"content",))), None)

    async def work(self, job: JobId = JOB) -> Path:
        """The handler of the job has a copy and a stored file."""
        files = self.files.of(job)
        await files.write_json("out/b.json", 1)
        return self.local / job / "out" / "b.json"

    async def asked(self, job: JobId, at: Instant) -> None:
        """The end of the job has asked for the removal of its files."""
        await self.store.commit(Commit(now=self.clock.now(), send=(message_of(PurgeFiles(job, at)),)))

    async def lease(self) -> Lease:
        found = await self.store.lease([FILES], owner="n", now=self.clock.now(), ttl=PURGE_LEASE, limit=2)
        (lease,) = found
        return lease

    async def look(self) -> int | None:
        """The next look was had, when it was due; how long from now the one after it is."""
        due = await self.store.next_due(FILES)
        assert due is not None
        self.clock.time = max(due, self.clock.time)
        await self.files.purge(await self.lease())
        again = await self.store.next_due(FILES)
        return None if again is None else again - self.clock.time

    async def left(self, job: JobId = JOB) -> bool:
        return await self.blobs.metadata(prefix_of(job)) is not None


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_files_go_when_they_were_kept_for_long_enough_after_the_end(node: Node) -> None:
    job = await node.has(a_job(JOB))
    await node.put(job)
    copy = await node.work()
    assert await node.look() == max(KEEP, LOOK_AGAIN), "the job is not over"
    ended = after(node.clock.time, Span(1_000))
    node.clock.time = ended
    await node.has(over(JOB, ended=ended), 1)
    assert await node.look() == ended + KEEP - node.clock.time, "it has just ended"
    assert await node.left()
    assert copy.exists()
    assert await node.look() == LATE
    assert node.clock.time == ended + KEEP
    assert not await node.left()
    assert not copy.exists()
    assert await node.look() is None, "the last look finds nothing"


async def test_only_files_of_that_job_go(node: Node) -> None:
    kin = await node.has(a_job(KIN))
    await node.put(kin)
    copy = await node.work(KIN)
    await node.put(await node.has(over(JOB, 1, ended=BEGIN)))
    node.clock.time = after(BEGIN, KEEP)
    await node.files.purge(
        (await node.store.lease([FILES], owner="n", now=node.clock.time, ttl=PURGE_LEASE, limit=1))[0]
    )
    node.clock.time = after(node.clock.time, LATE)
    for lease in await node.store.lease([FILES], owner="n", now=node.clock.time, ttl=PURGE_LEASE, limit=9):
        await node.files.purge(lease)
    assert (await node.left(JOB), await node.left(KIN), copy.exists()) == (False, True, True)


async def test_a_job_that_lives_again_keeps_its_files(node: Node) -> None:
    ended = await node.has(over(JOB, 1, ended=BEGIN))
    await node.put(ended)
    await node.has(a_job(JOB, 2), 1)
    for _ in range(3):
        assert await node.look() == max(KEEP, LOOK_AGAIN)
    assert await node.left()


async def test_the_later_end_counts(node: Node) -> None:
    await node.put(await node.has(over(JOB, 1, ended=BEGIN)))
    again = after(BEGIN, Span(400_000))
    await node.has(over(JOB, 2, ended=again), 1)
    assert await node.look() == again + KEEP - node.clock.time
    assert await node.left()


async def test_files_of_a_job_that_was_forgotten_go(node: Node) -> None:
    await node.put(await node.has(over(JOB, 1, ended=BEGIN)))
    await node.store.sweep(now=BEGIN, finished_before=after(BEGIN, Span(1)), limit=10)
    assert await node.store.load(JOB) is None
    assert await node.look() == LATE
    assert not await node.left()


async def test_what_a_late_worker_leaves_goes_too(node: Node) -> None:
    await node.has(over(JOB, 1, ended=BEGIN))
    await node.asked(JOB, after(BEGIN, KEEP))
    await node.blobs.upload_stream(pieces(b"in time"), f"jobs/{JOB}/t/x")
    assert await node.look() == LATE
    await node.blobs.upload_stream(pieces(b"late"), f"jobs/{JOB}/t/x")
    assert await node.look() == LATE
    assert not await node.left()
    assert await node.look() is None


async def test_a_storage_that_is_away_is_asked_again_later(node: Node) -> None:
    await node.put(await node.has(over(JOB, 1, ended=BEGIN)))
    node.blobs.reachable = False
    assert await node.look() == PAUSE
    node.blobs.reachable = True
    assert await node.look() == LATE
    assert not await node.left()


async def test_whoever_lost_the_message_leaves_it_to_the_other(node: Node) -> None:
    await node.put(await node.has(over(JOB, 1, ended=BEGIN)))
    node.clock.time = after(BEGIN, KEEP)
    lost = await node.lease()
    node.clock.time = after(node.clock.time, Span(PURGE_LEASE + 1))
    await node.lease()
    with pytest.raises(LeaseLost):
        await node.files.purge(lost)
    assert await node.store.next_due(FILES) is not None


async def test_nobody_writes_a_file_that_nobody_would_remove(node: Node) -> None:
    job, seen = await node.has(a_job(JOB)), list[Instant | None]()

    async def watched() -> AsyncIterator[bytes]:
        seen.append(await node.store.next_due(FILES))
        yield b"x"

    await node.files.put(job, "a", watched(), None)
    assert seen == [after(BEGIN, KEEP)]


async def test_an_upload_after_the_end_is_noticed_too(node: Node) -> None:
    job = await node.has(over(JOB, 1, ended=BEGIN))
    await node.put(job)
    assert await node.look() == LATE
    assert await node.look() is None
    await node.put(job)
    assert await node.look() == LATE
    assert not await node.left()


async def test_files_that_are_kept_for_ever_ask_for_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path, None)
    await node.put(await node.has(a_job(JOB)))
    await node.work()
    assert await node.store.next_due(FILES) is None


async def test_a_file_that_is_too_large_is_not_stored(node: Node) -> None:
    job = await node.has(a_job(JOB))
    await node.put(job, "most", b"x" * 500, b"x" * 500)
    with pytest.raises(TooLarge):
        await node.put(job, "more", b"x" * 500, b"x" * 501)
    with pytest.raises(TooLarge):
        await node.files.put(job, "said", pieces(b""), 1_001)
    with pytest.raises(NotFound):
        await node.files.found(JOB, "more")
    assert (await node.files.found(JOB, "most")).size == 1_000


def test_a_link_is_good_for_what_it_says_and_for_as_long(node: Node) -> None:
    url = node.links.url("GET", JOB, "a/ü b", 60)
    place, _, query = url.partition("?")
    assert place == "http://node/_public/files/0190/a/%C3%BC%20b"
    expires, signature = (part.partition("=")[2] for part in query.split("&"))
    node.links.check("GET", JOB, "a/ü b", expires, signature)
    later = str(int(expires) + 1)
    for changed in (
        ("PUT", JOB, "a/ü b", expires, signature),
        ("GET", KIN, "a/ü b", expires, signature),
        ("GET", JOB, "a/ü", expires, signature),
        ("GET", JOB, "a/ü b", later, signature),
        ("GET", JOB, "a/ü b", expires, signature[:-1]),
        ("GET", JOB, "a/ü b", expires, ""),
        ("GET", JOB, "a/ü b", "", signature),
        ("GET", JOB, "a/ü b", "9" * 30, signature),
        ("GET", JOB, "a/ü b", "\u0661", "\ud800"),
    ):
        with pytest.raises(Forbidden):
            node.links.check(*changed)
    node.clock.time = after(node.clock.time, Span(60_000))
    with pytest.raises(Forbidden):
        node.links.check("GET", JOB, "a/ü b", expires, signature)
