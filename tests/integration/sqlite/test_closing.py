"""A store that is closed leaves its connection to nobody."""

import time

import pytest

from avtomatika.ports.store import Commit
from avtomatika.stores.sql import checkpoints, group_commit
from tests.integration.sqlite.conftest import Files, inject


async def test_closing_waits_for_the_checkpoint_that_the_last_commit_began(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "BYTES", 0)
    monkeypatch.setattr(checkpoints, "EVERY_BATCHES", 1)
    store = files.open()
    begun: list[float] = []
    ended: list[float] = []
    checkpoint = group_commit.checkpoint

    def slow(database: object) -> object:
        begun.append(time.monotonic())
        time.sleep(0.1)  # in its thread; whoever does not wait for it is done by then
        outcome = checkpoint(database)  # type: ignore[arg-type]  # the connection, or what stands for it
        ended.append(time.monotonic())
        return outcome

    monkeypatch.setattr(group_commit, "checkpoint", slow)
    inject(store, lambda statement: None)
    await store.commit(Commit(now=files.clock.now()))
    await store.close()
    assert begun
    assert len(ended) == len(begun)
    assert files.failures == []
