"""An orchestrator that stands still where its jobs say, and notes with which leases it tried to commit."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine
from avtomatika.app import node as nodes
from avtomatika.app.backends import Backend, open_backend
from avtomatika.ports.store import Commit, Lease
from tests.e2e.zombies.notes import Notes

SLOW = 0.05
"""Longer than a handler may take before its run is leased."""

notes = Notes()
zombie = Blueprint("zombie", api_version="v1", api_endpoint="/jobs/zombie", version="1")


@zombie.handler(is_start=True)
async def start(key: str, stop: str, initial_data: dict[str, Any], actions: ActionFactory) -> None:
    await asyncio.sleep(SLOW)
    if stop == "in a handler":
        notes.stand_still(stop, key)
    actions.dispatch_task("step", dict(initial_data), {"success": "arrived"})


@zombie.handler
async def arrived(state_history: dict[str, Any], actions: ActionFactory) -> None:
    state_history["applied"] = state_history.get("applied", 0) + 1
    actions.go_to("done")


@zombie.handler(is_end=True)
async def done(value: str, state_history: dict[str, Any]) -> dict[str, Any]:
    return {"value": value, "applied": state_history["applied"]}


class Noted:
    """A store of which is noted which leases it gave, and what became of them when they were used."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def lease(self, queues: Sequence[str], **options: Any) -> Sequence[Lease]:
        began = time.monotonic()
        leases: Sequence[Lease] = await self._inner.lease(queues, **options)
        _given(began, leases)
        return leases

    async def commit(self, commit: Commit) -> None:
        stop, key = _wish(commit)
        result = any(lease.message.id.startswith("task:") for lease in commit.ack)
        if stop == "before a commit" and result:
            notes.stand_still(stop, key)
        began, kept = time.monotonic(), asyncio.ensure_future(self._inner.commit(commit))
        if stop == "after a commit" and result:
            for _ in range(3):  # turns of the loop, within which it is sent
                await asyncio.sleep(0)
            notes.stand_still(stop, key)
        await self._judged(began, kept, commit.ack)
        _given(began, commit.take)

    async def extend(self, lease: Lease, **options: Any) -> Lease:
        longer: Lease = await self._judged(time.monotonic(), self._inner.extend(lease, **options), (lease,))
        return longer

    async def _judged(self, began: float, kept: Awaitable[Any], leases: Sequence[Lease]) -> Any:
        verdict = "done"
        try:
            return await kept
        except BaseException as error:
            verdict = type(error).__name__
            raise
        finally:
            for lease in leases:
                notes.add("uses", began=began, message=lease.message.id, token=lease.token, verdict=verdict)


def _given(began: float, leases: Sequence[Lease]) -> None:
    for lease in leases:
        if lease.token:  # else it is given back
            notes.add("given", began=began, message=lease.message.id, token=lease.token)


def _wish(commit: Commit) -> tuple[str, str]:
    if commit.job is None or "stop" not in commit.job.input:
        return "", ""
    return json.loads(bytes(commit.job.input["stop"])), json.loads(bytes(commit.job.input["key"]))


def noted(open_: Callable[..., Awaitable[Backend]]) -> Callable[..., Awaitable[Backend]]:
    """Opens the backend, with its store noted."""

    async def opened(*args: Any) -> Backend:
        backend = await open_(*args)
        return Backend(Noted(backend.store), backend.registry)

    return opened


if __name__ == "__main__":
    nodes.open_backend = noted(open_backend)  # type: ignore[assignment] # the node sees a store like any other
    engine = OrchestratorEngine()
    engine.register_blueprint(zombie)
    engine.run()
