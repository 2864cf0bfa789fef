"""Opening a file: by one process only, after any kind of end, and never one that is damaged."""

import asyncio
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from avtomatika.errors import ConfigError, StorageBroken, Unavailable
from avtomatika.kernel.effects import RunHandler
from avtomatika.kernel.ids import JobId
from avtomatika.ports.store import Commit, Lease, Message, MessageId, Token
from avtomatika.stores.sql import file
from avtomatika.testing.contract.values import (
    T0,
    TTL,
    a_branch,
    a_fact,
    a_job,
    a_message,
    at,
    create,
    grab,
    grab_one,
    names,
    over,
    send,
)
from tests.integration.sqlite.conftest import Files, SlowDisk

J = JobId("j")
HOLD_LOCK = """
import sys, pathlib
from avtomatika.stores.sql.file import Lock
lock = Lock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


class TestOneProcess:
    async def test_a_second_store_of_this_process_is_refused(self, files: Files) -> None:
        store = files.open()
        with pytest.raises(ConfigError, match=r"avtomatika\.db"):
            files.open()
        await create(store, a_job())
        await store.close()
        assert await files.open().load(J) == a_job()

    def test_a_store_is_refused_while_another_process_has_the_file(self, files: Files) -> None:
        lock = files.path.with_name(files.path.name + ".lock")
        command = [sys.executable, "-c", HOLD_LOCK, str(lock)]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(ConfigError):
                files.open()
            other.kill()
            other.wait()
            files.open()

    async def test_nobody_else_can_read_the_file(self, files: Files) -> None:
        folder = files.path.parent / "new" / "folder"
        store = files.open(folder / "s.db")
        await create(store, a_job())
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


class TestUncleanEnd:
    async def test_the_file_is_checked_and_jobs_are_recovered_until_they_move(self, files: Files) -> None:
        store = files.open()
        await create(store, a_job(), a_job("k"), over("done"))
        assert not store.recovered(J)
        files.kill(store)
        store = files.open()
        assert [store.recovered(JobId(name)) for name in ("j", "k", "done", "new")] == [
            True,
            True,
            False,
            False,
        ]
        await create(store, a_job("new"))
        await store.commit(Commit(now=T0, job=a_job(version=2), expected=1))
        assert [store.recovered(JobId(name)) for name in ("j", "k", "new")] == [False, True, False]

    async def test_a_clean_end_leaves_no_doubt(self, files: Files) -> None:
        store = files.open()
        await create(store, a_job())
        await store.close()
        assert not files.open().recovered(J)

    async def test_doubt_outlives_a_clean_end(self, files: Files) -> None:
        store = files.open()
        await create(store, a_job())
        files.kill(store)
        await files.open().close()
        store = files.open()
        assert store.recovered(J)
        await store.commit(Commit(now=T0, job=a_job(version=2), expected=1))
        await store.close()
        assert not files.open().recovered(J)

    async def test_the_run_of_a_recovered_job_is_on_disk_before_it_begins(self, files: Files) -> None:
        run = Message(MessageId("r"), "q", J, T0, RunHandler(J, 1, "b", "1", T0))
        store = files.open()
        await store.commit(Commit(now=T0, job=a_job(), send=(run,)))
        for delivery in (1, 2, 3):
            files.kill(store)
            store = files.open()
            lease = await grab_one(store, owner="node:n")
            assert lease.delivery == delivery

    async def test_leases_of_the_dead_node_are_void_and_those_of_workers_are_renewed(
        self, files: Files
    ) -> None:
        store = files.open()
        await send(store, *(a_message(name, f"f:{name}") for name in ("node", "worker")))
        taken = Lease(a_message("taken", "f:taken"), "node:n", Token("t"), at(TTL), 1)
        old = await grab_one(store, "f:node", owner="node:n")
        await grab_one(store, "f:worker")
        await store.commit(Commit(now=T0, take=(taken,)))
        await store.flush()
        await files.clock.advance(TTL)
        files.kill(store)
        store = files.open()
        assert await store.held(old.message.id, now=T0) is None
        leases = await grab(store, "f:node", "f:taken", "f:worker", now=at(TTL))
        assert [(lease.message.id, lease.delivery) for lease in leases] == [("node", 2), ("taken", 2)]
        kept = await store.held(MessageId("worker"), now=at(TTL))
        assert kept is not None
        assert kept.until == at(2 * TTL)

    async def test_the_clock_never_goes_back_behind_what_was_accepted(self, files: Files) -> None:
        store = files.open()
        assert store.clock_floor == 0
        await store.commit(Commit(now=at(5_000), job=a_job()))
        files.kill(store)
        store = files.open()
        assert store.clock_floor == at(5_000)
        await store.commit(Commit(now=at(1_000), job=a_job("k")))
        await store.close()
        assert files.open().clock_floor == at(5_000)


class TestDamage:
    async def fill(self, files: Files) -> Path:
        store = files.open()
        for n in range(50):
            await store.commit(
                Commit(
                    now=T0,
                    job=a_job(f"j{n}"),
                    facts=(a_fact(f"j{n}"),),
                    branches=(a_branch(f"j{n}"),),
                    send=(a_message(f"m{n}"),),
                )
            )
        await store.close()
        return files.path

    async def test_a_file_of_something_else_is_refused(self, files: Files) -> None:
        files.path.write_bytes(b"this is no database" * 1_000)
        with pytest.raises(StorageBroken):
            files.open()

    @pytest.mark.parametrize("unclean", [False, True])
    async def test_a_damaged_file_is_refused(self, files: Files, unclean: bool) -> None:
        path = await self.fill(files)
        if unclean:
            files.kill(files.open())
        raw = bytearray(path.read_bytes())
        for page in range(4096, len(raw), 4096):
            raw[page : page + 256] = b"\xa5" * 256
        path.write_bytes(raw)
        with pytest.raises(StorageBroken):
            files.open()

    async def test_a_truncated_file_is_refused(self, files: Files) -> None:
        path = await self.fill(files)
        path.write_bytes(path.read_bytes()[: 4096 * 3])
        with pytest.raises(StorageBroken):
            files.open()

    async def test_damage_that_only_the_check_sees_is_found_after_an_unclean_end(self, files: Files) -> None:
        path = await self.fill(files)
        with sqlite3.connect(path) as database:
            query = "SELECT rootpage FROM sqlite_schema WHERE name = 'fact'"
            (page,) = database.execute(query).fetchone()
        database.close()
        raw = bytearray(path.read_bytes())
        raw[(page - 1) * 4096 : (page - 1) * 4096 + 64] = b"\xa5" * 64
        path.write_bytes(raw)
        files.kill(files.open())
        with pytest.raises(StorageBroken, match="damaged"):
            files.open()

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE job SET head = x'00'",
            "UPDATE job SET data = '[]'",
            "UPDATE job SET head = x'ff'",
            "UPDATE message SET body = '{}'",
            "UPDATE message SET token = 't', owner = 'w', until = 'soon'",
            "UPDATE branch SET body = 'x'",
            "UPDATE meta SET value = 'x'",
        ],
    )
    async def test_a_row_that_cannot_be_read_is_named_and_the_file_let_go(
        self, files: Files, damage: str
    ) -> None:
        path = await self.fill(files)
        sound = path.read_bytes()
        with sqlite3.connect(path) as database:
            database.execute(damage)
        database.close()
        with pytest.raises(StorageBroken):
            files.open()
        path.write_bytes(sound)
        for stale in path.parent.glob("*-wal"):
            stale.unlink()
        files.open()

    async def test_a_file_of_a_later_release_is_refused_and_left_alone(self, files: Files) -> None:
        path = await self.fill(files)
        with sqlite3.connect(path) as database:
            database.execute(f"PRAGMA user_version = {file.SCHEMA + 1}")
        database.close()
        with pytest.raises(StorageBroken, match=str(file.SCHEMA + 1)):
            files.open()
        with sqlite3.connect(path) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (file.SCHEMA + 1,)
            assert database.execute("SELECT count(*) FROM job").fetchone() == (50,)
        database.close()

    async def test_a_file_whose_creation_was_interrupted_is_created_anew(self, files: Files) -> None:
        files.path.touch()
        await create(files.open(), a_job())


class TestClosing:
    async def test_what_was_accepted_is_in_the_file_alone(self, files: Files, tmp_path: Path) -> None:
        store = files.open()
        await create(store, a_job())
        await store.commit(Commit(now=T0, send=(a_message(),), durable=False))
        await store.close()
        moved = tmp_path / "elsewhere" / "avtomatika.db"
        moved.parent.mkdir()
        shutil.copy(files.path, moved)
        store = files.open(moved)
        assert await store.load(J) == a_job()
        assert names(await grab(store)) == ["m"]

    async def test_closing_waits_for_what_is_on_its_way(self, files: Files) -> None:
        store = files.open()
        disk = SlowDisk(store)
        commits = [asyncio.ensure_future(create(store, a_job(f"j{n}"))) for n in range(3)]
        await disk.committing()
        later = asyncio.ensure_future(create(store, a_job("later")))
        closing = asyncio.ensure_future(store.close())
        await asyncio.wait((closing,), timeout=0.05)
        assert not closing.done()
        disk.let_go(9)
        await asyncio.gather(closing, later, *commits)
        assert len(await files.open().tally()) == 1
        assert sum((await files._opened[-1].tally()).values()) == 4

    async def test_a_closed_store_accepts_nothing_and_can_be_closed_again(self, files: Files) -> None:
        store = files.open()
        await store.close()
        await store.close()
        for durable in (True, False):
            with pytest.raises(Unavailable):
                await store.commit(Commit(now=T0, job=a_job(), durable=durable))
        with pytest.raises(Unavailable):
            await store.facts(J)
        with pytest.raises(Unavailable):
            await store.sweep(now=T0, finished_before=T0, limit=1)
        assert files.failures == []
