"""What is large is kept beside a job, and nobody notices but the store (feature G2)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from avtomatika.blobs.stored import FolderBlobs
from avtomatika.commands.large_values import PLACE, LargeValues, key_of, prefix_of
from avtomatika.errors import IntegrityError, Unavailable
from avtomatika.kernel.decisions import Decision, Dispatch, FanOut, Finish, GoTo
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.events import Decided
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Data, Job, Order
from avtomatika.kernel.time import Instant
from avtomatika.ports.blobs import FileMetadata
from avtomatika.testing.contract.kinds import ODD
from avtomatika.testing.contract.values import a_job, a_task

MOST = 200
JOB = JobId("0190")
LARGE = Raw(json.dumps(["ü large value", "x" * 300]).encode())
OTHER = Raw(b'{ "spaced" : 1.0, "x": "' + b"y" * 300 + b'" }')
SMALL = Raw(b'{"a":1.0}')


class HandClock:
    def __init__(self, blobs: "Blobs") -> None:
        self.slept = 0
        self._blobs = blobs

    def now(self) -> Instant:
        return Instant(0)

    async def sleep_until(self, when: Instant) -> None:
        self.slept += 1
        self._blobs.reachable = self.slept > 1


class Blobs(FolderBlobs):
    """Those of a folder, for as long as they can be reached."""

    reachable = True
    stored = 0

    async def upload_stream(self, chunks: Any, key: str, size: int | None = None) -> FileMetadata:
        self._reach()
        self.stored += 1
        return await super().upload_stream(chunks, key, size)

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        self._reach()
        async for chunk in super().stream(key):
            yield chunk

    def _reach(self) -> None:
        if not self.reachable:
            raise Unavailable("gone")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.blobs = Blobs("bucket", folder)
        self.clock = HandClock(self.blobs)
        self.noted: list[tuple[JobId, int]] = []
        self.values = LargeValues(self.blobs, self.clock, MOST, self._note)

    async def _note(self, job: JobId) -> None:
        self.noted.append((job, self.blobs.stored))

    async def decided(self, job: Job, decision: Decision | None = None, **changed: Any) -> Decided:
        """What is kept of a run of a handler."""
        seen = await self.values.whole(job)
        return await self.values.aside(job, seen, Decided(1, decision or GoTo("x"), **changed))


def job(user_input: Data | None = None, history: Data | None = None, last: Raw = SMALL) -> Job:
    return a_job(JOB, user_input=user_input or {}, history=history or {}, last=last)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "stored")


def sizes(data: Data | None) -> dict[str, int]:
    assert data is not None
    return {key: memoryview(raw).nbytes for key, raw in data.items()}


async def test_a_job_with_nothing_large_is_left_as_it_is(bench: Bench) -> None:
    small = job({"a": SMALL}, {"b": SMALL})
    event = Decided(1, GoTo("x"), history={"b": SMALL, "c": SMALL})
    assert await bench.values.whole(small) is small
    assert await bench.values.aside(small, small, event) is event
    assert (bench.blobs.stored, bench.noted) == (0, [])


async def test_large_values_come_back_as_the_bytes_that_they_were(bench: Bench) -> None:
    before = job({"in": LARGE, "a": SMALL}, {"b": OTHER, "c": SMALL}, last=OTHER)
    event = await bench.decided(before)
    assert max(sizes(event.input).values()) < MOST
    assert max(sizes(event.history).values()) < MOST
    assert memoryview(event.returned).nbytes < MOST
    kept = msgspec.structs.replace(before, input=event.input, history=event.history, last=event.returned)
    assert list(kept.input) == ["in", "a"]
    seen = await bench.values.whole(kept)
    assert (seen.input, seen.history, seen.last) == (before.input, before.history, before.last)


@pytest.mark.parametrize("odd", ODD)
async def test_no_value_is_altered_whatever_it_is(bench: Bench, odd: str) -> None:
    value = Raw(b"[" + ODD[odd] + b"," + b'"' + b"x" * MOST + b'"]')
    event = await bench.decided(job(history={"v": value, "w": Raw(ODD[odd])}))
    assert event.history is not None
    seen = await bench.values.whole(job(history=event.history))
    assert [bytes(raw) for raw in seen.history.values()] == [bytes(value), ODD[odd]]


async def test_what_does_not_change_is_not_stored_again(bench: Bench) -> None:
    event = await bench.decided(job(history={"v": LARGE}))
    assert event.history is not None
    kept = job(history=event.history)
    assert (await bench.decided(kept)).history is None
    assert (await bench.decided(kept, history={"v": LARGE, "n": SMALL})).history == {
        "v": event.history["v"],
        "n": SMALL,
    }
    assert bench.blobs.stored == 1
    changed = await bench.decided(kept, history={"v": OTHER})
    assert changed.history is not None
    assert (await bench.values.whole(job(history=changed.history))).history == {"v": OTHER}
    removed = await bench.decided(kept, history={})
    assert removed.history == {}


async def test_it_is_noted_before_anything_is_beside_the_job(bench: Bench) -> None:
    await bench.decided(job(history={"v": LARGE}))
    assert bench.noted == [(JOB, 0)]
    assert await bench.blobs.metadata(prefix_of(JOB)) is not None


async def test_params_of_tasks_are_kept_aside_and_handed_out_whole(bench: Bench) -> None:
    params = {"big": msgspec.json.decode(LARGE), "n": 1, "none": None}
    order = Order("s", Raw(json.dumps(params).encode()))
    small = Order("s", SMALL)
    one = (await bench.decided(job(), Dispatch(order, {}))).decision
    many = (await bench.decided(job(), FanOut((order, small), "x"))).decision
    assert isinstance(one, Dispatch)
    assert isinstance(many, FanOut)
    assert memoryview(one.order.params).nbytes < MOST
    assert many.orders == (one.order, small)
    offer = OfferTask(JOB, a_task(JOB, order=one.order), Instant(1))
    whole = await bench.values.offered(offer)
    assert msgspec.json.decode(whole.task.order.params) == params
    assert msgspec.structs.replace(whole.task, order=offer.task.order) == offer.task
    plain = OfferTask(JOB, a_task(JOB, order=small), Instant(1))
    assert await bench.values.offered(plain) is plain


async def test_the_result_of_a_job_is_told_whole(bench: Bench) -> None:
    event = await bench.decided(job(history={"result": LARGE}))
    assert event.history is not None
    kept = job(history=event.history)
    finish = (await bench.decided(kept, Finish())).decision
    assert isinstance(finish, Finish)
    assert finish.result == LARGE


async def test_a_reference_that_somebody_made_up_leads_to_nothing_of_others(bench: Bench) -> None:
    event = await bench.decided(job(history={"v": LARGE}))
    assert event.history is not None
    stolen = event.history["v"]
    with pytest.raises(IntegrityError):
        await bench.values.whole(a_job("0191", user_input={"v": stolen}))


@pytest.mark.parametrize(
    "text",
    [
        b'{"$avtomatika.value":"../../jobs/0190/x","size":1}',
        b'{"$avtomatika.value":"' + b"A" * 64 + b'","size":1}',
        b'{"$avtomatika.value":"' + b"a" * 64 + b'"}',
        b'{"$avtomatika.value":"' + b"a" * 63 + b'/","size":1}',
        b'{"$avtomatika.value":1,"size":1234567890123456789012345678901234567890123456789012345}',
        b'{"$avtomatika.value":"\\u0061' + b"a" * 63,
    ],
)
async def test_what_only_looks_like_a_reference_is_a_value(bench: Bench, text: bytes) -> None:
    odd = job({"v": Raw(text)})
    assert (await bench.values.whole(odd)).input == odd.input


async def test_a_value_that_is_lost_or_damaged_is_an_error(bench: Bench, tmp_path: Path) -> None:
    event = await bench.decided(job(history={"v": LARGE}))
    assert event.history is not None
    digest = msgspec.json.decode(event.history["v"])["$avtomatika.value"]
    file = tmp_path / "stored" / "bucket" / key_of(JOB, digest)
    for content in (b"damaged", None):
        file.unlink() if content is None else file.write_bytes(content)
        with pytest.raises(IntegrityError):
            await bench.values.whole(job(history=event.history))
    assert file.parent.parent.name == PLACE


async def test_a_job_waits_while_its_values_are_out_of_reach(bench: Bench) -> None:
    event = await bench.decided(job(history={"v": LARGE}))
    assert event.history is not None
    bench.blobs.reachable = False
    with pytest.raises(Unavailable):
        await bench.values.whole(job(history=event.history))
    assert (await bench.values.patiently_whole(job(history=event.history))).history == {"v": LARGE}
    assert bench.clock.slept == 2


async def test_what_cannot_be_put_aside_stays_where_it_is(bench: Bench) -> None:
    bench.blobs.reachable = False
    event = await bench.decided(job(history={"v": LARGE}), Dispatch(Order("s", OTHER), {}))
    assert event.history is None
    assert isinstance(event.decision, Dispatch)
    assert msgspec.json.decode(event.decision.order.params) == msgspec.json.decode(OTHER)
