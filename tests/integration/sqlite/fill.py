"""Commits until the disk of a folder, its argument, is full, makes space, and goes on."""

import asyncio
import itertools
import sys
from pathlib import Path

from msgspec import Raw

from avtomatika.errors import StorageFull
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit
from avtomatika.stores.sql.sqlite import SqliteStore
from avtomatika.testing.contract.values import T0, a_fact, a_job


async def main(folder: Path) -> None:
    broken: list[Exception] = []
    tokens = itertools.count()

    def opened() -> SqliteStore:
        path = folder / "s.db"
        return SqliteStore(path, now=lambda: T0, tokens=lambda: str(next(tokens)), broken=broken.append)

    filler = folder / "filler"
    filler.write_bytes(b"x" * 1024 * 1024)
    store = SqliteStore(
        folder / "s.db", now=lambda: T0, tokens=lambda: str(next(tokens)), broken=broken.append
    )
    data = Raw(b'"' + b"x" * 3_000 + b'"')

    def commit(name: str) -> Commit:
        return Commit(now=Instant(T0), job=a_job(name, last=data), facts=(a_fact(name),))

    accepted: list[JobId] = []
    refused = 0
    while refused < 20:
        name = f"j{len(accepted)}"
        try:
            await store.commit(commit(name))
            accepted.append(JobId(name))
        except StorageFull:
            refused += 1
    assert sum((await store.tally()).values()) == len(accepted)
    filler.unlink()
    await store.commit(commit("last"))
    await store.close()
    assert broken == []
    store = SqliteStore(
        folder / "s.db", now=lambda: T0, tokens=lambda: str(next(tokens)), broken=broken.append
    )
    for job in [*accepted, JobId("last")]:
        assert await store.load(job) == a_job(job, last=data)
        assert list(await store.facts(job)) == [a_fact(job)]
    assert await store.load(JobId(f"j{len(accepted)}")) is None
    await store.close()
    print("accepted", len(accepted))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
